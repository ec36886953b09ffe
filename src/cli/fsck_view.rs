//! What `fsck` prints: a line for each inconsistency, and what was done about it.

use crate::conf::Settings;
use crate::inspect::fsck::inconsistencies;
use crate::model::{Error, ExitCode, Result};
use crate::ops;
use crate::ops::repair::repair;
use crate::session::Session;
use crate::system::System;

/// Looks, or looks and repairs.
///
/// # Errors
/// Something is inconsistent, or still is: exit status 1.
pub(crate) fn print(repairs: bool, settings: &Settings, system: &System) -> Result<ExitCode> {
    if !settings.dkms_tree.is_dir() {
        system.console.say(format!("{} is consistent: it does not exist.", settings.dkms_tree.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let shown = settings.dkms_tree.display();
    if repairs {
        let repaired = repair(&ops::change(settings, system)?)?;
        system.console.say(match repaired {
            0 => format!("{shown} is consistent."),
            repaired => format!("{shown} is consistent now; {repaired} repaired."),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let found = inconsistencies(&Session::look(settings, system), false);
    if found.is_empty() {
        system.console.say(format!("{shown} is consistent."));
        return Ok(ExitCode::SUCCESS);
    }
    found.iter().for_each(|inconsistency| system.console.say(inconsistency.to_string()));
    Err(Error::Inconsistent { tree: settings.dkms_tree.clone(), left: found.len() })
}
