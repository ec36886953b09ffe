//! What follows installations for a kernel.

use crate::install::depmod::depmod;
use crate::install::transaction::{load_for_devices, post_transaction};
use crate::install::uninstall::{RemoveCaller, uninstall};
use crate::model::{AttemptResult, Result, Target};
use crate::ops::dependents::rebuild_dependents;
use crate::ops::history::note;
use crate::plan::request::Force;
use crate::session::WriteSession;
use crate::tree::Installed;
use std::time::Duration;

/// Ends installations for a target: what depends on them is built again unless they were forced, and the kernel is
/// indexed. If that fails they are taken back; else what follows a change is done.
///
/// # Errors
/// depmod failed. The modules are built, and no longer installed.
pub(crate) fn finish(
    session: &WriteSession<'_>,
    target: &Target,
    installed: Vec<Installed>,
    force: &Force,
) -> Result<()> {
    if installed.is_empty() {
        return Ok(());
    }
    // As in every dkms: --force installs this package and touches no other one.
    if !force.force {
        rebuild_dependents(session, target);
    }
    let release = &target.release;
    if let Err(error) = depmod(session, release) {
        for installed in installed {
            // The history has it as installed already, which is not true any more.
            note(session, installed.id(), AttemptResult::Installed, Duration::ZERO, Some(&error));
            if let Err(undo) = uninstall(session, installed, RemoveCaller::Command) {
                session.tell(&undo);
            }
        }
        return Err(error);
    }
    if let Err(error) = load_for_devices(session, release) {
        session.system.console.warn(format!("The modules are installed but could not be loaded: {error}"));
    }
    post_transaction(session, release);
    Ok(())
}
