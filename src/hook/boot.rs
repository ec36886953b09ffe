//! At boot: the running kernel gets what is still pending for it, for example because it was installed without our hooks; and so
//! does another one that waited for headers which are there now.
//!
//! Called by dkms.service, early enough for the network and the display, too late for what was wanted before: therefore
//! new modules are loaded here for the devices that wait for them, and for modules-load.d.

use super::pending::{install_pending, take_up_pending};
use super::regenerate::{self, When};
use super::{Hook, run};
use crate::conf::{Overrides, Settings};
use crate::inspect::pending::is_switched_off;
use crate::ops;
use crate::ops::replaced::{self, given_up};
use crate::tree::Tree;
use std::process::ExitCode;

/// `/usr/lib/dkms/boot`: 0 where the running kernel has all its modules, 1 where one is missing, so that the unit says so.
pub(super) fn boot() -> ExitCode {
    run("boot", |hook| {
        hook.repeats = true;
        let Some(release) = hook.system.host.running.clone() else { return 0 };
        let overrides = Overrides { modprobe_on_install: true, ..Overrides::default() };
        let settings = Settings::load(overrides, &hook.system);
        take_up_given_up(hook, &settings);
        let outcome = install_pending(hook, release.as_str(), &settings);
        regenerate::ask(hook, release.as_str(), &outcome.installed, When::Beside, &settings);
        let others = take_up_pending(hook, release.as_str(), When::Beside, &settings);
        u8::from(outcome.incomplete || others)
    })
}

/// No upgrade outlives a boot. One that was given up may have left a package out of the tree.
fn take_up_given_up(hook: &mut Hook, settings: &Settings) {
    if is_switched_off(&hook.system) || given_up(&Tree::at(&settings.dkms_tree)).is_empty() {
        return;
    }
    match ops::change(settings, &hook.system) {
        Ok(session) => replaced::take_up_given_up(&session),
        Err(error) => hook.error(&error.to_string()),
    }
}
