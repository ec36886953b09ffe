//! The history: each build and installation that was tried is written down with its end.
//!
//! The file is `/var/log/dkms/history.jsonl`, one JSON object per line, the newest last. It is for people: nothing is decided by
//! it, it may be deleted at any time, and who may not write there writes none.

use crate::model::{Attempt, AttemptResult, BuildId, Error, Result};
use crate::session::{Session, WriteSession};
use crate::system::{System, files};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How large the file may grow before its older half is dropped: some thousand attempts.
const MOST_BYTES: u64 = 1 << 20;

/// Does the work of an attempt that ends as `success`, and writes down how it ended.
///
/// # Errors
/// Those of the work.
pub(crate) fn attempt<T>(
    session: &WriteSession<'_>,
    id: &BuildId,
    success: AttemptResult,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let began = Instant::now();
    let result = work();
    note(session, id, success, began.elapsed(), result.as_ref().err());
    result
}

/// Writes down how an attempt ended.
pub(crate) fn note(
    session: &WriteSession<'_>,
    id: &BuildId,
    success: AttemptResult,
    took: Duration,
    error: Option<&Error>,
) {
    let mut attempt = Attempt::new(id, success, took);
    attempt.trigger = session.system.trigger();
    attempt.tree = session.tree().root().to_owned();
    let existing = |log: PathBuf| Some(log).filter(|log| log.is_file());
    if let Some(error) = error {
        attempt.result = result_of(error);
        attempt.code = error.exit_code().0;
        attempt.reason = Some(error.in_one_line());
        let kept = || existing(session.tree().kept_failure_log(id));
        attempt.log = error.log().and_then(|log| kept().or_else(|| Some(log.clone())));
    } else {
        attempt.log = existing(session.tree().out_dir(id).join("log/make.log"));
    }
    attempt.log = attempt.log.map(|log| session.system.console.renamed(&log));
    if session.system.is_privileged() {
        // A disk that is full has other ways to be noticed.
        let _ = append(&attempt, session.system);
    }
    session.attempts.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
}

fn result_of(error: &Error) -> AttemptResult {
    match error {
        Error::Interrupted { .. } => AttemptResult::Interrupted,
        Error::NothingInstalled { .. } => AttemptResult::Skipped,
        error if error.is_refusal() => AttemptResult::Skipped,
        _ => AttemptResult::Failed,
    }
}

/// Every attempt in a tree that is remembered, the oldest first. Lines that cannot be understood are left out.
#[must_use]
pub(crate) fn read(session: &Session<'_>) -> Vec<Attempt> {
    let text = fs_err::read(file(session.system)).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    let attempts = lines.filter_map(|line| serde_json::from_slice::<Attempt>(line).ok());
    attempts.filter(|attempt| attempt.tree == session.tree().root()).collect()
}

fn file(system: &System) -> PathBuf {
    system.path("/var/log/dkms/history.jsonl")
}

fn append(attempt: &Attempt, system: &System) -> io::Result<()> {
    let path = file(system);
    let mut line = serde_json::to_vec(attempt)?;
    line.push(b'\n');
    if ends_in_the_middle(&path) {
        line.insert(0, b'\n');
    }
    if let Some(dir) = path.parent() {
        files::create_dirs(dir)?;
    }
    if path.symlink_metadata().is_ok_and(|data| data.is_file() && data.len() > MOST_BYTES) {
        let text = fs_err::read(&path)?;
        files::replace_file(&path, newer_half(&text), 0o644)?;
    }
    // One append is one write(2): lines of two runs do not mix, and no lock is needed.
    files::append(&path, &line, 0o644)
}

/// Whether the last line has no end: its writer was killed, or the disk was full.
fn ends_in_the_middle(path: &Path) -> bool {
    let last = || {
        let mut file = fs_err::File::open(path).ok()?;
        file.seek(SeekFrom::End(-1)).ok()?;
        let mut byte = [0];
        file.read_exact(&mut byte).ok()?;
        Some(byte[0])
    };
    last().is_some_and(|byte| byte != b'\n')
}

/// The lines of the second half.
fn newer_half(text: &[u8]) -> &[u8] {
    let half = &text[text.len() / 2..];
    let begin = half.iter().position(|byte| *byte == b'\n').map_or(half.len(), |at| at + 1);
    &half[begin..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_half_begins_with_a_whole_line() {
        assert_eq!(newer_half(b"aa\nbb\ncc\ndd\n"), b"dd\n");
        assert_eq!(newer_half(b"a line without an end"), b"");
    }
}
