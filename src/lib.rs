//! The shared crate of the DKMS suite: a kernel is installed, removed or comes with its headers; a small program of ours
//! wakes up, asks this crate what is pending, and the modules marked `AUTOINSTALL=yes` are built, signed, installed and
//! indexed. The command `dkms` gives people the same engine by hand.
//!
//! # Rooms
//!
//! Imports point downward only, and no two files import each other; `tests/cases/architecture.rs` reads the `use` lines.
//!
//! ```text
//! entry      cli/  hook/                         argv and environment in, exit status out
//! verbs      ops/                                what a person or a hook asks for
//!            build/  install/  archive/          source -> Built; Built -> Installed and back; packages as files
//! programs   programs/                           the packages' own programs, and records that stay true beside them
//! looks      inspect/                            reads only: what is installed and whose it is, what is stale, check, fsck
//! context    session/                            what one run knows, and, opened for writing, the lock
//! decisions  plan/                               pure: facts -> plan, every decision with its reason
//! facts      tree/  kernel/  conf/  signing/     read the world into values; only tree writes, with the lock held
//! base       system/                             paths, processes, files, the lock, the log, the console
//! words      model/                              names, versions, states, errors: no I/O
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `model` | names, versions and their order, targets, states; the one `Error`, from which the entry makes exit codes |
//! | `system` | `System`: paths, host facts, environment; the only modules that start programs, write files and speak |
//! | `conf` | framework.conf and dkms.conf: the native evaluator, the fallback to bash, validation, where each value came from |
//! | `tree` | the DKMS tree: `scan` reads it, the `Writer` that its lock hands out writes it; the proofs `Added`, `Built`, `Installed`; our records; the journal of what is under way |
//! | `kernel` | one kernel: headers, configuration, compiler, its modules, module files |
//! | `signing` | which key, which tool, whether to sign |
//! | `plan` | autoinstall as a graph of steps; whether a package wants a kernel; what a request can be |
//! | `session` | `Session`, which looks, and `WriteSession`, which holds the lock; both are data, the verbs are functions that take them |
//! | `inspect` | questions about the machine that take a look |
//! | `programs` | PRE_INSTALL to POST_REMOVE, the variables of every program, step logs, and the records of what programs change |
//! | `build`, `install`, `archive` | one verb each; they do not know each other |
//! | `ops` | the actions; `ops::change` is the only way to the lock, and settles what an earlier holder left. `ops::preflight` works in a tree of its own, `<tree>/.preflight`, that it shows in the place of the other; `ops::kept` takes builds out of it |
//! | [`cli`] | the old command line's grammar; status and conf as text |
//! | [`hook`] | each caller's contract, and the one policy that turns failures into exit statuses |
//!
//! # The flow, once
//!
//! `/etc/kernel/postinst.d/dkms RELEASE IMAGE` execs `/usr/lib/dkms/kernel-postinst`, which is a name of the
//! one program around [`hook::main`]:
//!
//! 1. `hook`: standard input from /dev/null, standard output onto standard error, descriptors from 3 on closed.
//! 2. `conf::Settings::load`, then `ops::change`: the holder of the lock is named, and what an earlier holder
//!    left unfinished is put in order by its `tree::Entry`s. State is read after it.
//! 3. Facts: `tree::Tree::scan`, the kernel, and the dkms.conf of each package that is not installed.
//! 4. `plan::autoinstall`: of each package the newest version that wants the kernel, is not disabled, and has not failed, in the
//!    order of BUILD_DEPENDS;
//!    what is satisfied, skipped, blocked, deferred or unusable, each with its reason.
//! 5. `ops::autoinstall`: builds side by side under one GNU make jobserver, each in a private directory that a mount
//!    namespace shows at `<tree>/M/V/build`; each result published by rename; installations one after the other, every
//!    file a synced temporary neighbour that is renamed. A failure concerns its package and those that depend on it.
//! 6. What was built against a package that is another version now, and says BUILD_DEPENDS_REBUILD, is built again.
//!    Then one depmod, after the last change. If it fails, what was installed is taken back.
//! 7. The report: terminal, syslog, and by `on_failure` the caller's exit status.
//!
//! # Rules
//!
//! - **The right to write is a value.** Only the lock makes a `tree::Writer`; `install` takes a `Built` and returns an
//!   `Installed`.
//! - **The disk layout is the database, and it is shared.** A tree written by the packaged dkms works with ours and the
//!   other way round. Our records are hidden files beside the modules; who deletes them loses precision, not function.
//! - **Recorded, not re-derived.** Removal works from what was recorded, without headers, conf or source.
//! - **What is under way is on disk before it begins** (`tree::Entry`) and may be done twice: builds are undone, installations
//!   and removals finished, kernels indexed.
//! - **A build knows what it was made from** (`tree::Inputs`): it is stale when that changed, and one that failed is not
//!   tried again before.
//! - **Evaluating a dkms.conf runs no shell where it need not**; see `conf::eval`. `status` runs nothing at all.
//! - **Confs and scripts call dkms back.** `status` takes no lock; a run below the lock's holder does not wait for it.
//! - **An original module is never without a place**: it is stored before ours appears, and leaves its own place after.
//!
//! The lock is a file at the tree's root (`.lock`): it goes with a private tree. Requests are `plan::request`, because both the
//! entry and the verbs need their words.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests prepare files as they like"))]

mod archive;
mod build;
pub mod cli;
mod conf;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hook;
mod inspect;
mod install;
mod kernel;
mod model;
mod ops;
mod plan;
mod programs;
mod session;
mod signing;
mod system;
mod tree;

/// The version that callers compare.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
