//! The shared crate of the DKMS suite: a kernel is installed, removed or comes with its headers; a small program of ours
//! wakes up, asks this crate what is due, and the modules marked `AUTOINSTALL=yes` are built, signed, installed and
//! indexed. The command `dkms` gives people the same engine by hand.
//!
//! # Layers
//!
//! Imports point downward only; `tests/cases/architecture.rs` reads the `use` lines and fails on an upward one.
//!
//! ```text
//! entry      cli/      hook/        argv and environment in, exit status out
//! effects    exec/                  carries a plan out
//! looks      inspect/               whose a file is and who can change it: reads only
//! decisions  plan/                  pure: facts -> plan, every decision with its reason
//! facts      tree/  kernel/  conf/  signing/     read the world into values; only tree writes, with the lock held
//! base       system/                the one context: paths, processes, files, the lock, the log, the mouth
//! words      model/                 names, versions, states, errors: no I/O
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`model`] | names, versions and their order, targets, states; the one [`model::Error`] with its exit codes |
//! | [`system`] | [`system::System`]: paths, host facts, environment; the only modules that start programs ([`system::process`]), write files ([`system::files`]) and speak ([`system::Ui`]) |
//! | [`conf`] | framework.conf and dkms.conf: the native evaluator, the fallback to bash, validation, where each value came from |
//! | [`tree`] | the DKMS tree: `scan` reads it, the [`tree::Writer`] that its lock hands out writes it; the proofs `Added`, `Built`, `Installed`; our records |
//! | [`kernel`] | one kernel: headers, configuration, compiler, its modules, module files |
//! | [`signing`] | which key, which tool, whether to sign |
//! | [`plan`] | autoinstall as a graph of steps; whether a package wants a kernel; what a request can be |
//! | [`inspect`] | questions about the machine that take a look: who can change a source |
//! | [`exec`] | [`exec::Reader`], which only looks, [`exec::Engine`], and one external action a file: build, install, uninstall, depmod, scripts, tarballs |
//! | [`cli`] | the old command line's grammar; status and conf as text |
//! | [`hook`] | each caller's contract, and the one policy that turns failures into exit statuses |
//!
//! # The flow, once
//!
//! `/etc/kernel/postinst.d/dkms RELEASE IMAGE` execs `/usr/lib/dkms/kernel-postinst`, three lines around
//! [`hook::kernel_postinst`]:
//!
//! 1. `hook`: standard input from /dev/null, standard output onto standard error, descriptors from 3 on closed.
//! 2. [`conf::Settings::load`], then [`exec::Engine::lock`]: whoever holds the lock is named, and what an earlier holder
//!    left unfinished is put in order by its [`tree::Intent`]s. State is read after it.
//! 3. Facts: [`tree::Tree::scan`], the kernel, and the dkms.conf of each package that is not installed.
//! 4. [`plan::autoinstall`]: the newest version of each package that wants the kernel, in the order of BUILD_DEPENDS;
//!    what is satisfied, skipped, blocked, deferred or unusable, each with its reason.
//! 5. [`exec::autoinstall()`]: builds side by side under one GNU make jobserver, each in a private directory that a mount
//!    namespace shows at `<tree>/M/V/build`; each result published by rename; installations one after the other, every
//!    file a synced temporary neighbour that is renamed. A failure concerns its package and those that depend on it.
//! 6. What was built against a package that is another version now, and says BUILD_DEPENDS_REBUILD, is built again.
//!    Then one depmod, after the last change. If it fails, what was installed is taken back.
//! 7. The report: terminal, syslog, and by `on_failure` the caller's exit status.
//!
//! # Rules
//!
//! - **The right to write is a value.** Only the lock makes a [`tree::Writer`]; `install` takes a `Built` and returns an
//!   `Installed`.
//! - **The disk layout is the database, and it is shared.** A tree written by the packaged dkms works with ours and the
//!   other way round. Our records are hidden files beside the modules; who deletes them loses precision, not function.
//! - **Recorded, not re-derived.** Removal works from what was recorded, without headers, conf or source.
//! - **What is under way is on disk before it begins** ([`tree::Intent`]) and may be done twice: builds are undone, installations
//!   and removals finished, kernels indexed.
//! - **A build knows what it was made from** ([`tree::Inputs`]): it is stale when that changed, and one that failed is not
//!   tried again before.
//! - **Evaluating a dkms.conf runs no shell where it need not**; see [`conf::eval`]. `status` runs nothing at all.
//! - **Confs and scripts call dkms back.** `status` takes no lock; a run below the lock's holder does not wait for it.
//! - **An original module is never without a place**: it is stored before ours appears, and leaves its own place after.
//!
//! Where this differs from the project's architecture page: the lock is a file at the tree's root (`.lock`), because it
//! then goes with a private tree; requests are `plan::request`, because both `cli` and `exec` need their words.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests prepare files as they like"))]

pub mod cli;
pub mod conf;
pub mod exec;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hook;
pub mod inspect;
pub mod kernel;
pub mod model;
pub mod plan;
pub mod signing;
pub mod system;
pub mod tree;

/// The version that callers compare.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
