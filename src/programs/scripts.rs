//! The programs of a package: PRE_BUILD to POST_REMOVE, and what the administrator put in their place.

use crate::conf::Script;
use crate::model::text::quote;
use crate::model::{Error, PackageId, Result};
use crate::programs::records::keeping_current;
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::system::process::{Output, Status};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A script that can run: its file by absolute path, its directory and the rest of its line.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) rest: String,
}

/// The file behind a script's line: the administrator's in `/etc/dkms/M` where that is executable, else the
/// package's below `dir`. A missing or non-executable file causes a warning, and is not a failure: packages build like that everywhere.
///
/// # Errors
/// The script could run, and the mount forbids it.
pub(crate) fn find_script(
    session: &WriteSession<'_>,
    id: &PackageId,
    script: Script,
    line: &str,
    dir: &Path,
    real: &Path,
) -> Result<Option<Found>> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = word.trim_start_matches('/');
    let overriding = session.system.path("/etc/dkms").join(id.name.as_str());
    let runs =
        |path: &Path| path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok();
    if runs(&overriding.join(word)) {
        return Ok(Some(Found { file: overriding.join(word), dir: overriding, rest: rest.to_owned() }));
    }
    if runs(&real.join(word)) {
        return Ok(Some(Found { file: dir.join(word), dir: dir.to_owned(), rest: rest.to_owned() }));
    }
    let file = real.join(word);
    if has_x_bit(&file) && is_on_noexec(&file) {
        return Err(Error::ScriptOnNoexec { script: script.directive(), path: dir.join(word) });
    }
    session.system.console.warn(format!(
        "The {} script of {id} is not executable or does not exist: {}\n{}",
        script.directive(),
        dir.join(word).display(),
        why_it_is_skipped(&file, &session.tree().source(id).join(word)),
    ));
    Ok(None)
}

/// Runs one of the other four in the package's source directory, on the terminal. Its words are split at blanks;
/// quotes mean nothing, wildcards are expanded.
///
/// # Errors
/// It cannot be started. How it ended is in the status.
pub(crate) fn run_script(
    session: &WriteSession<'_>,
    id: &PackageId,
    script: Script,
    line: &str,
    environment: Option<&ProgramEnvironment>,
) -> Result<Status> {
    let source = session.tree().source(id);
    let Some(found) = find_script(session, id, script, line, &source, &source)? else {
        return Ok(Status::Exited(0));
    };
    // A script without its `#!` line is run by the shell that execs it.
    let mut command =
        session.system.command("bash").args(["--norc", "--noprofile", "-c", "exec \"$0\" \"$@\""]);
    command = command.arg(&found.file);
    if let Some(environment) = environment {
        command = environment.apply(command);
    }
    command = command.args(words(&found.rest, &found.dir)).dir(&found.dir);
    let title = format!("Running the {} script", script.directive().to_lowercase());
    session.system.console.say(format!("{title}:"));
    if !session.system.console.is_quiet() {
        command = command.stdout(Output::Inherit).stderr(Output::Inherit);
    }
    let lent = session.system.console.lend();
    let status = keeping_current(session, id, || command.run())?.status;
    drop(lent);
    session.go_on()?;
    Ok(status)
}

/// Runs a POST_* script whose failure is only a warning.
pub(crate) fn run_post_script(
    session: &WriteSession<'_>,
    id: &PackageId,
    script: Script,
    line: &str,
    env: Option<&ProgramEnvironment>,
) {
    let status = match run_script(session, id, script, line, env) {
        Ok(status) if status.success() => return,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    session.system.console.warn(format!("{} of {id} failed: {status}. Continuing.", script.directive()));
}

fn has_x_bit(file: &Path) -> bool {
    fs_err::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn is_on_noexec(file: &Path) -> bool {
    statvfs(file).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_NOEXEC))
}

/// `real` is the file, of which a build has a copy, and `source` the one in the source.
fn why_it_is_skipped(real: &Path, source: &Path) -> String {
    match fs_err::metadata(real) {
        Err(_) => "The file does not exist; it is skipped.".to_owned(),
        Ok(data) if !data.is_file() => "It is not a file; it is skipped.".to_owned(),
        Ok(_) if has_x_bit(real) => "This user may not execute it; it is skipped.".to_owned(),
        Ok(_) => format!("It has no x bit and is skipped. To have it run: chmod +x {}", quote(source)),
    }
}

/// Splits at blanks; a word with wildcards becomes the files of `dir` that it matches, if there are any.
fn words(rest: &str, dir: &Path) -> Vec<String> {
    let mut words = Vec::new();
    for word in rest.split_whitespace() {
        let pattern = dir.join(word);
        let matched: Vec<String> = if word.contains(['*', '?', '[']) {
            let paths = glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten();
            paths.map(|path| path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned()).collect()
        } else {
            Vec::new()
        };
        if matched.is_empty() { words.push(word.to_owned()) } else { words.extend(matched) }
    }
    words
}
