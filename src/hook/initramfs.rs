//! Before the image of a kernel is packed it gets what is pending, and while it is packed we are asked what it must hold.
//!
//! No regeneration is started from here: post_transaction, which many use for that, is left out.

use super::pending::{KernelOutcome, install_pending};
use super::{Hook, run};
use crate::conf::{Overrides, Settings};
use crate::inspect::initramfs::image_modules;
use crate::model::KernelRelease;
use crate::session::Session;
use crate::system::syslog::Severity;
use crate::system::{lock, streams};
use std::path::PathBuf;
use std::process::ExitCode;

/// `/usr/lib/dkms/initramfs RELEASE`: called before the modules of an image are selected; builds and installs what is pending
/// for the kernel, or says that the image will lack it. Always 0: an image without a module is better than none.
pub(super) fn initramfs() -> ExitCode {
    run("initramfs", |hook| {
        (hook.repeats, hook.is_packer) = (true, true);
        // The generator exports names like MODULES and COMPRESS, which makefiles of drivers read.
        hook.system.hide_callers_variables();
        let release = hook.arg(0).to_owned();
        let overrides = Overrides { no_post_transaction: true, ..Overrides::default() };
        let settings = Settings::load(overrides, &hook.system);
        // We would wait for the run that waits for us.
        if lock::is_held_by_ancestor(&settings.dkms_tree) {
            hook.syslog.write(Severity::Info, "packed by a run of dkms, which knows what it installs");
        } else if release.is_empty() || !settings.install_tree.join(&release).is_dir() {
            hook.syslog.write(Severity::Info, &format!("kernel {release:?} has no modules; nothing is done"));
        } else {
            let KernelOutcome { missing, .. } = install_pending(hook, &release, &settings);
            if !missing.is_empty() {
                hook.error(&format!(
                    "The initramfs of kernel {release} is packed without {}.",
                    missing.join(", ")
                ));
            }
        }
        0
    })
}

/// `/usr/lib/dkms/initramfs-modules RELEASE [DIRECTORY]`: prints the modules that belong into the image, one name a line.
/// DIRECTORY is what the image holds so far. A package that belongs into it and is not installed for the kernel is named
/// on standard error. Always 0. Only reads.
pub(super) fn initramfs_modules() -> ExitCode {
    streams::close_inputs();
    let mut hook = Hook::new("initramfs-modules");
    let (release, image) = (hook.arg(0).to_owned(), PathBuf::from(hook.arg(1)));
    let settings = Settings::load(Overrides::default(), &hook.system);
    let wanted = KernelRelease::parse(&release).and_then(|release| {
        let target = settings.usual_target(&release, &hook.system)?;
        Ok(image_modules(&Session::look(&settings, &hook.system), &target, &image))
    });
    match wanted {
        Ok(wanted) => {
            wanted.names.iter().for_each(|name| hook.system.console.say(name));
            wanted.problems.iter().for_each(|problem| hook.error(problem));
        }
        Err(error) => hook.error(&error.to_string()),
    }
    ExitCode::SUCCESS
}
