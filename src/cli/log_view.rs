//! `dkms log`: the newest log of a package, that of a running build while it grows, or a list of all logs.

use super::table::{self, Cell};
use crate::inspect::logs::{Log, LogKind, logs};
use crate::model::{Error, KernelRelease, Result};
use crate::plan::request::PackageQuery;
use crate::session::Session;
use crate::system::{Colour, Console, files};
use crate::tree::Package;
use fs_err::File;
use std::io::Read;
use std::time::Duration;

/// How often a log that is followed is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// # Errors
/// The package is not registered, has no log, or its log cannot be read.
pub(crate) fn print(
    package: Option<&PackageQuery>,
    release: Option<&KernelRelease>,
    follow: bool,
    session: &Session<'_>,
) -> Result<()> {
    let console = &session.system.console;
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let Some(query) = package else {
        list(&logs(session, &snapshot.packages, release), console);
        return Ok(());
    };
    let packages: Vec<&Package> = snapshot.packages.iter().filter(|known| query.is(&known.id)).collect();
    if packages.is_empty() {
        return Err(Error::NameNotInTree(query.name.clone()));
    }
    let mut found = logs(session, packages.iter().copied(), release);
    // A build that has just begun copies the source before it has a log.
    let is_building = || packages.iter().any(|known| !session.tree().staged(&known.id).is_empty());
    while follow && found.iter().all(|log| log.kind != LogKind::Running) && is_building() {
        std::thread::sleep(INTERVAL);
        found = logs(session, packages.iter().copied(), release);
    }
    let Some(newest) = found.pop() else {
        let kernel = release.map(|release| format!(" for kernel {release}")).unwrap_or_default();
        let text = format!("{} has no log{kernel}: it has not been built.", query.name);
        return Err(Error::Usage { code: 1, text });
    };
    console.note(format!("{}: {}", newest.path.display(), newest.what()));
    let mut file = File::open(&newest.path)?;
    if follow && newest.kind == LogKind::Running {
        self::follow(&mut file, &newest, session)?;
        let kept = session.tree().kept_failure_logs(&newest.id);
        let has_failed = kept.iter().any(|(_, log)| files::is_same_file(log, &newest.path));
        let how = if has_failed { "failed" } else { "ended" };
        console.note(format!("The build of {} has {how}.", newest.id));
        return Ok(());
    }
    copy(&mut file, console)?;
    if follow {
        console.note(format!("No build of {} is running.", newest.id));
    }
    Ok(())
}

/// Prints what is in the file from here on.
fn copy(file: &mut File, console: &Console) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    // A character may begin at the end of one piece and end in the next.
    let mut rest = Vec::new();
    loop {
        let read = file.read(&mut buffer)?;
        rest.extend_from_slice(&buffer[..read]);
        let whole = match std::str::from_utf8(&rest) {
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            _ => rest.len(),
        };
        console.write(&String::from_utf8_lossy(&rest[..whole]));
        rest.drain(..whole);
        if read == 0 {
            return Ok(());
        }
    }
}

/// Prints what comes until the build has ended.
fn follow(file: &mut File, log: &Log, session: &Session<'_>) -> std::io::Result<()> {
    loop {
        let is_running = !session.tree().staged(&log.id).is_empty();
        copy(file, &session.system.console)?;
        if !is_running {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn list(logs: &[Log], console: &Console) {
    if logs.is_empty() {
        return console.say("There is no log: nothing has been built.");
    }
    let row = |log: &Log| {
        let (result, colour) = match log.kind {
            LogKind::Running => ("running", Colour::Warning),
            LogKind::Failed => ("FAILED", Colour::Bad),
            LogKind::Built => ("built", Colour::Good),
        };
        vec![
            Cell::plain(log.minute()),
            Cell::plain(log.id.to_string()),
            Cell::plain(&log.kernel),
            Cell::painted(result, colour),
            Cell::plain(log.path.display().to_string()),
        ]
    };
    let rows: Vec<Vec<Cell>> = logs.iter().map(row).collect();
    // Paths are for copying: they are not cut.
    let terminal = console.terminal().without_edge();
    let lines = table::lines(&["TIME", "PACKAGE", "KERNEL", "RESULT", "LOG"], &rows, &terminal);
    lines.iter().for_each(|line| console.say_painted(line));
}
