//! The real programs in a fake world: temporary directories, fake tools, no root.
//!
//! One file an area. What a test expects is what callers may rely on: exit codes, the texts that programs match, and
//! what stands on disk afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, and stand outside of the crate's layers"
)]

mod add;
mod alpm;
mod architecture;
mod asking;
mod autoinstall;
mod bad_input;
mod before_upgrade;
mod boot_default;
mod broken_trees;
mod build;
mod check;
mod clients;
mod command_line;
mod completion;
mod conf_files;
mod crash;
mod defects;
mod dependents;
mod disabled;
mod dracut_conf;
mod environment;
mod exit_codes;
mod foreign_files;
mod hooks;
mod images;
mod install;
mod isolation;
mod kernel_actions;
mod known_confs;
mod limits;
mod locking;
mod machine;
mod matrix;
mod names;
mod notices;
mod owners;
mod packages;
mod pending;
mod picture;
mod preflight;
mod preview;
mod probes;
mod reference;
mod release;
mod remedies;
mod replaced;
mod resigning;
mod rollback;
mod rpm_upgrade;
mod screens;
mod signing;
mod stale;
mod stand_in;
mod status;
mod system_extension;
mod tarballs;

mod uninstall_remove;
mod vermagic;
mod walkthroughs;
mod walls;
mod weak_modules;
mod world;
