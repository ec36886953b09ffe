//! What `fsck` prints: a line for each inconsistency, and what was done about it.

use crate::conf::Settings;
use crate::exec::{Engine, Reader};
use crate::model::{Error, ExitCode, Result};
use crate::system::System;

/// Looks, or looks and repairs.
///
/// # Errors
/// Something is inconsistent, or still is: exit status 1.
pub fn print(repair: bool, settings: &Settings, system: &System) -> Result<ExitCode> {
    if !settings.dkms_tree.is_dir() {
        system.ui.say(format!("{} is consistent: it does not exist.", settings.dkms_tree.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let shown = settings.dkms_tree.display();
    if repair {
        let repaired = Engine::lock(settings, system)?.repair()?;
        system.ui.say(match repaired {
            0 => format!("{shown} is consistent."),
            repaired => format!("{shown} is consistent now; {repaired} repaired."),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let found = Reader::new(settings, system).disorders(false);
    if found.is_empty() {
        system.ui.say(format!("{shown} is consistent."));
        return Ok(ExitCode::SUCCESS);
    }
    found.iter().for_each(|disorder| system.ui.say(disorder.to_string()));
    Err(Error::Inconsistent { left: found.len() })
}
