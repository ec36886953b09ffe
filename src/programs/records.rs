//! Keeps the records of builds true where programs change what they were made from, and remembers how builds ended.

use crate::conf::PackageConf;
use crate::inspect::inputs::{tool_files, *};
use crate::inspect::known_conf::record_of;
use crate::model::{BuildId, Error, PackageId, Result, millis};
use crate::programs::log::NO_ROOM;
use crate::session::WriteSession;
use crate::system::files;
use crate::system::fingerprint::{Comparison, Fingerprint};
use crate::tree::{Built, FailureRecord, Inputs, IsolationRecord};
use std::sync::PoisonError;
use std::time::Duration;

/// Runs a program of the package that works in its source. Builds that were made from what the source was before are made
/// from what it is afterwards: a script that writes a log there has changed nothing.
pub(crate) fn keeping_current<T>(
    session: &WriteSession<'_>,
    package: &PackageId,
    run: impl FnOnce() -> T,
) -> T {
    let found = session.tree().package(package.clone(), &session.settings.source_tree);
    let builds = found.into_iter().flat_map(|package| package.builds);
    let builds = builds.filter_map(|build| {
        let built = session.tree().built(&BuildId::new(package.clone(), build.target))?;
        let inputs = built.record()?.inputs?;
        let same = inputs.source.compare(&source_paths(session, built.id())).ok()?;
        (same != Comparison::Different).then_some(built)
    });
    let current: Vec<Built> = builds.collect();
    let result = run();
    for built in current {
        warn_of(session, built.id(), renew_source(session, &built));
    }
    result
}

/// Records what the source of a build is now, where that is something else than before.
pub(crate) fn renew_source(session: &WriteSession<'_>, built: &Built) -> Result<()> {
    let Some(mut record) = built.record() else { return Ok(()) };
    let paths = source_paths(session, built.id());
    let Some(inputs) = &mut record.inputs else { return Ok(()) };
    if inputs.source.compare(&paths)? == Comparison::Same {
        return Ok(());
    }
    inputs.source = Fingerprint::take(&paths)?;
    session.writer.amend(built, &record)
}

/// Brings the records of builds up to date whose inputs were seen to be only written anew, so that the next look costs
/// less.
pub(crate) fn note_rewritten(session: &WriteSession<'_>) {
    let seen = std::mem::take(&mut *session.rewritten.lock().unwrap_or_else(PoisonError::into_inner));
    for (built, record) in seen {
        warn_of(session, built.id(), session.writer.amend(&built, &record));
    }
    let evaluated = std::mem::take(&mut *session.evaluated.lock().unwrap_or_else(PoisonError::into_inner));
    for (id, record) in evaluated {
        warn_of(session, &id, session.writer.remember_conf(&id, &record));
    }
}

/// Remembers how a build ended, where the same build would end like that again.
pub(crate) fn remember(
    session: &WriteSession<'_>,
    id: &BuildId,
    inputs: Option<Inputs>,
    error: Option<&Error>,
    took: Duration,
    isolation: IsolationRecord,
) {
    let Some(error) = error else {
        return warn_of(session, id, session.writer.forget_failure(id));
    };
    if !error.is_of_the_package() || error.log().is_some_and(|log| was_cut_short(log)) {
        return;
    }
    let tool_files = tool_files(session);
    let (Some(inputs), Ok(tools)) = (inputs, Fingerprint::take(&tool_files)) else { return };
    let at = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string();
    let mut record = FailureRecord::new(inputs, (tools, tool_files), at);
    record.reason = error.in_one_line();
    record.log = error.log().cloned();
    record.duration_ms = Some(millis(took));
    record.exit_code = error.exit_code().0;
    record.isolation = Some(isolation);
    warn_of(session, id, session.writer.remember_failure(id, &record));
}

/// Remembers what a dkms.conf said, if what it was read from is known.
pub(crate) fn remember_conf(
    session: &WriteSession<'_>,
    id: &BuildId,
    conf: &PackageConf,
    inputs: Option<Inputs>,
) {
    let said = (conf.values(), conf.messages.as_slice());
    if let Some(record) = inputs.and_then(|inputs| record_of(session, id, inputs, said)) {
        warn_of(session, id, session.writer.remember_conf(id, &record));
    }
}

fn warn_of(session: &WriteSession<'_>, id: &BuildId, result: crate::model::Result<()>) {
    if let Err(error) = result {
        session.system.console.warn(format!("{id}: {error}"));
    }
}

/// Whether a build ended because of the machine or the caller: out of memory or disk, killed, without a program that it needs,
/// at a limit of the caller's shell. The next try may do better.
fn was_cut_short(log: &std::path::Path) -> bool {
    const MARKS: [&str; 11] = [
        // A program that could not be started.
        "(os error ",
        "Cannot allocate memory",
        "virtual memory exhausted",
        "out of memory",
        "Too many open files",
        "CPU time limit exceeded",
        "Resource temporarily unavailable",
        "Killed signal",
        "] Killed",
        "] Terminated",
        "] Interrupt",
    ];
    // `make: gcc: No such file or directory` is a missing program; with `***` it is a missing directory of the package's.
    let is_missing_program = |line: &str| {
        line.ends_with(": command not found")
            || line.ends_with(": not found")
            || (line.starts_with("make")
                && !line.contains("***")
                && line.ends_with(": No such file or directory"))
    };
    let bytes = files::read_ends(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    // 128 and the number of a signal: the step itself was killed, as for want of memory.
    const SIGNALLED: u16 = 128;
    let code =
        text.lines().rev().find_map(|line| line.strip_prefix("# exit code: ")?.trim().parse::<u16>().ok());
    if code.is_some_and(|code| code > SIGNALLED && code < 2 * SIGNALLED) {
        return true;
    }
    MARKS.iter().chain(&NO_ROOM).any(|mark| text.contains(mark))
        || text.lines().any(|line| is_missing_program(line.trim()))
}
