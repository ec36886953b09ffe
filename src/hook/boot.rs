//! At boot: the running kernel gets what is still pending for it, for example because it was installed without our hooks; and so
//! does another one that waited for headers which are there now.
//!
//! Called by dkms.service, early enough for the network and the display, too late for what was wanted before: therefore
//! new modules are loaded here for the devices that wait for them, and for modules-load.d.

use super::pending::{install_pending, ready_pending, take_up_pending};
use super::regenerate::{self, When};
use super::run;
use crate::conf::{Overrides, Settings};
use crate::kernel::default_arch;
use crate::model::{KernelRelease, Target};
use crate::system::System;
use crate::tree::Tree;
use std::process::ExitCode;

/// `/usr/lib/dkms/boot`: 0 where the running kernel has all its modules, 1 where one is missing, so that the unit says so.
pub(super) fn boot() -> ExitCode {
    run("boot", |hook| {
        hook.repeats = true;
        let Some(release) = hook.system.host.running.clone() else { return 0 };
        let overrides = Overrides { modprobe_on_install: true, ..Overrides::default() };
        let settings = Settings::load(overrides, &hook.system);
        if may_build(&release, &settings, &hook.system)
            || !ready_pending(release.as_str(), &settings).is_empty()
        {
            inhibit_shutdown(&hook.system);
        }
        let outcome = install_pending(hook, release.as_str(), &settings);
        regenerate::ask(hook, release.as_str(), &outcome.installed, When::Beside, &settings);
        let others = take_up_pending(hook, release.as_str(), When::Beside, &settings);
        u8::from(outcome.incomplete || others)
    })
}

/// Whether a package is not installed for the kernel. Whether it should be is not asked yet.
fn may_build(release: &KernelRelease, settings: &Settings, system: &System) -> bool {
    let Ok(arch) = default_arch(&settings.install_tree.join(release.as_str()), system) else { return false };
    let target = Target::new(release.clone(), arch);
    let snapshot = Tree::at(&settings.dkms_tree).scan(&settings.source_tree);
    snapshot.names().iter().any(|name| !snapshot.is_installed(name, &target))
}

/// Keeps the machine from shutting down or sleeping as long as this process lives; see systemd-inhibit(1). Where nothing
/// can do that, work goes on without.
fn inhibit_shutdown(system: &System) {
    let me = format!("--pid={}", std::process::id());
    let command = system
        .command("systemd-inhibit")
        .args(["--what=shutdown:sleep", "--mode=block", "--who=dkms", "--why=Kernel modules are being built"])
        .args(["tail", &me, "-f", "/dev/null"]);
    std::thread::spawn(move || command.run());
}
