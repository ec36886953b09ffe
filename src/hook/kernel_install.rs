//! The plugin of kernel-install(8): `add KERNEL ENTRY-DIRECTORY IMAGE...` and `remove KERNEL ENTRY-DIRECTORY`.
//!
//! Whatever else than 0 a plugin ends with ends the whole chain, and the machine is left without an initrd and a boot
//! entry: it always ends with 0.

use super::pending::{install_pending, take_out};
use super::run;
use crate::conf::{Overrides, Settings};
use crate::system::System;
use std::process::ExitCode;

/// `/usr/lib/dkms/kernel-install`. Always 0.
pub(super) fn kernel_install() -> ExitCode {
    run("kernel-install", |hook| {
        let (command, release) = (hook.arg(0).to_owned(), hook.arg(1).to_owned());
        if release.is_empty() {
            hook.note("the kernel-install plugin was called without a kernel; nothing is done.");
            return 0;
        }
        let no_depmod = is_indexed_later(&release, &hook.system);
        let settings = Settings::load(Overrides { no_depmod, ..Overrides::default() }, &hook.system);
        match command.as_str() {
            "add" => {
                install_pending(hook, &release, &settings);
            }
            // The kernel goes, and its directory with it: only the tree has to be put in order.
            "remove" => {
                if let Err(error) = take_out(hook, &release, &settings) {
                    hook.error(&error.to_string());
                }
            }
            _ => {}
        }
        0
    })
}

/// Whether systemd's own plugin runs depmod after us, as it does for every kernel with a directory `kernel`; on removal it
/// deletes the index.
fn is_indexed_later(release: &str, system: &System) -> bool {
    const PLUGIN: &str = "50-depmod.install";
    let dirs = ["/etc/kernel/install.d", "/usr/lib/kernel/install.d", "/lib/kernel/install.d"];
    let first =
        dirs.iter().map(|dir| system.path(dir).join(PLUGIN)).find(|path| path.symlink_metadata().is_ok());
    // A link to /dev/null switches a plugin off.
    let runs = first.is_some_and(|path| path.is_file());
    runs && system.path("/lib/modules").join(release).join("kernel").is_dir()
}
