//! What became of an autoinstall, as people and callers read it.

use crate::model::text::shown_in_line;
use crate::model::{Error, KernelRelease};
use crate::ops::autoinstall::Report;
use crate::system::System;

/// The lines that callers match.
pub(crate) fn tell_report(report: &Report, release: &KernelRelease, system: &System) {
    if report.nothing_pending {
        return;
    }
    let line = |what: &str, names: Vec<String>| {
        if !names.is_empty() {
            system.console.say(format!("Autoinstall on {release} {what} for module(s) {}.", names.join(" ")));
        }
    };
    line("succeeded", report.succeeded.iter().map(ToString::to_string).collect());
    line("was skipped", report.skipped.iter().map(|(id, _)| id.name.to_string()).collect());
    for (id, why) in &report.skipped {
        if system.console.is_verbose() {
            system.console.say(format!("{id}: {why}"));
        }
    }
    line(
        "failed",
        report.failed.iter().map(|(id, error)| format!("{}({})", id.name, error.exit_code().0)).collect(),
    );
    for (id, error) in &report.failed {
        if let Error::MakeFailed { command, log, .. } = error.cause() {
            let (command, log) = (shown_in_line(command), log.display());
            system.console.say(format!("{id}: Failed command: {command} (log: {log})"));
        }
    }
    for (id, error, older) in &report.replaced {
        let fails = if error.is_declined() { "does not want" } else { "does not build for" };
        let why = error.in_one_line();
        system.console.warn(format!("{id} {fails} kernel {release}; {older} is used there: {why}"));
    }
    for (id, why) in &report.blocked {
        system.console.error(format!("{id} cannot be installed for kernel {release}: {why}."));
    }
    for (id, names) in &report.deferred {
        system
            .console
            .say(format!("{id} waits for {}, which is not registered with dkms yet.", names.join(", ")));
    }
}

/// What a report means for an exit status; the reasons are out already.
#[must_use]
pub(crate) fn report_error(report: &Report, release: &KernelRelease) -> Option<Error> {
    if report.failed.is_empty() && report.blocked.is_empty() {
        return None;
    }
    Some(Error::AutoinstallFailed {
        release: release.clone(),
        failed: report.failed.iter().map(|(id, error)| (id.name.to_string(), error.exit_code().0)).collect(),
        unresolved: report.blocked.iter().map(|(id, _)| id.name.to_string()).collect(),
        waiting: report.deferred.iter().map(|(id, _)| id.name.to_string()).collect(),
        in_use: report.in_use.iter().map(ToString::to_string).collect(),
    })
}
