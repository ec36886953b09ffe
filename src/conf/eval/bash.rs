//! Runs bash for what the native evaluator does not cover.
//!
//! Bash sees what the original shows: the real path of the file, the caller's working directory, no input, the variables
//! and functions of dkms. Its output goes to memory, not to a pipe, so that a program the conf leaves behind in the
//! background cannot hold us up, and no directory for temporary files is needed.

use super::expand::Shell;
use super::reread::RereadPlan;
use super::script::{self, ScriptReport};
use super::{EvalError, First, Scope};
use crate::conf::Values;
use crate::system::process::{Command, Outcome, Output, Status, walls};
use crate::system::sandbox::{Wall, Walls, is_readable_by_others};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a file may cost besides its time: 1 GiB of memory for each process, and 16 MiB for each file that is written, which the
/// two that hold its output are. In KiB, as bash counts.
const LIMITS: &str = "ulimit -d 1048576 -f 16384 -c 0 2>/dev/null";

pub(crate) struct Runner<'a> {
    whitelist: &'a [&'a str],
    scope: &'a Scope,
    deadline: Instant,
    timeout: Duration,
    used: bool,
    messages: Vec<String>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(
        whitelist: &'a [&'a str],
        scope: &'a Scope,
        deadline: Instant,
        timeout: Duration,
    ) -> Self {
        Self { whitelist, scope, deadline, timeout, used: false, messages: Vec::new() }
    }

    pub(crate) fn was_used(&self) -> bool {
        self.used
    }

    pub(crate) fn into_messages(self) -> Vec<String> {
        self.messages
    }

    /// Sources the file. One that exits leaves nothing but the directives of the environment.
    pub(crate) fn first_reading(&mut self, path: &Path, text: &[u8]) -> Result<First, EvalError> {
        // In a sandbox bash is another user, who may not be able to open the file.
        let is_closed = self.scope.confined.is_some() && !is_readable_by_others(path);
        let path = sourced_name(path);
        let text = (is_closed || text.contains(&b'\r')).then(|| {
            let text = String::from_utf8_lossy(text);
            super::normalised(&text).replace('\0', "")
        });
        let script = script::first(
            &path,
            text.as_deref(),
            self.whitelist,
            &self.scope.variables,
            &self.scope.inherited,
        );
        let report = self.run(&script, Some(&path))?;
        let from_environment = || {
            let names = self.scope.environment.iter().filter(|(name, _)| name.starts_with("DKMS_DIRECTIVE"));
            ScriptReport {
                directives: names.map(|(name, value)| (name.clone(), value.clone())).collect(),
                ..ScriptReport::default()
            }
        };
        let report = report.unwrap_or_else(from_environment);
        Ok(First { printed: report.printed(), directives: report.directives })
    }

    /// Carries out the steps of the second reading; returns the variables and the number of steps that could be read.
    pub(crate) fn second_reading(
        &mut self,
        plan: &RereadPlan,
        before: &Shell,
    ) -> Result<(Values, usize), EvalError> {
        let script = script::second(plan, self.whitelist, &self.scope.variables, &self.scope.inherited);
        let Some(report) = self.run(&script, None)? else { return Ok((before.variables.clone(), 0)) };
        let value = |(name, index, fields): (String, usize, Vec<String>)| {
            Some((name, index, fields.into_iter().next()?))
        };
        Ok((report.values.into_iter().filter_map(value).collect(), report.steps))
    }

    fn run(&mut self, script: &str, path: Option<&str>) -> Result<Option<ScriptReport>, EvalError> {
        self.used = true;
        let (mut stdout, mut stderr) = (memory_file()?, memory_file()?);
        let start = |walls: &Walls| -> io::Result<Outcome> {
            let command = self.command(script, walls).stdout(Output::File(stdout.try_clone()?));
            command.stderr(Output::File(stderr.try_clone()?)).run()
        };
        let mut outcome = start(walls());
        let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if self.scope.confined.is_some() && outcome.as_ref().is_err_and(|error| !is_missing(error)) {
            // A view of the files that cannot be made here is no reason to be without the package.
            outcome = start(&walls().clone().without(Wall::Files));
        }
        let outcome = match outcome {
            Err(error) if is_missing(&error) => return Err(EvalError::BashMissing),
            outcome => outcome.map_err(EvalError::Io)?,
        };
        if outcome.status == Status::TimedOut {
            return Err(EvalError::TimedOut(self.timeout));
        }
        let said = contents(&mut stderr)?;
        // A conf that opens /dev/stderr anew truncates it, and what is written next leaves a hole.
        let said = String::from_utf8_lossy(&said).replace('\0', "");
        self.messages.extend(said.lines().take(MOST_LINES).map(|line| named(shortened(line), path)));
        if let Some(left) = said.lines().count().checked_sub(MOST_LINES).filter(|left| *left > 0) {
            self.messages.push(format!("(and {left} more lines)"));
        }
        // A file that kills its shell has no values, though a subshell may have gone on.
        if matches!(outcome.status, Status::Signalled(_)) {
            return Ok(None);
        }
        Ok(script::parse_report(&contents(&mut stdout)?))
    }

    fn command(&self, script: &str, walls: &Walls) -> Command {
        let script = &format!("{LIMITS}\n{script}");
        let bash = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "bash" };
        let command = Command::new(bash).args(["--norc", "--noprofile", "-c", script, "dkms"]).env_clear();
        let environment = self
            .scope
            .environment
            .iter()
            .filter(|(name, _)| !changes_bash(name) && !self.whitelist.contains(&name.as_str()));
        let command = environment
            .fold(command, |command, (name, value)| command.env(name, value))
            .timeout(self.deadline.saturating_duration_since(Instant::now()));
        let Some(outline) = &self.scope.confined else { return command };
        command.confined(&outline.sandbox(walls.clone()))
    }
}

/// Variables that make bash read other files, change its rules or define functions.
fn changes_bash(name: &str) -> bool {
    const NAMES: &[&str] = &["BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "BASH_COMPAT", "POSIXLY_CORRECT"];
    NAMES.contains(&name) || name.starts_with("BASH_FUNC_")
}

/// A name without a slash would be looked up in PATH.
fn sourced_name(path: &Path) -> String {
    let name = path.to_string_lossy().into_owned();
    if name.contains('/') { name } else { format!("./{name}") }
}

/// What is shown of the output of a file.
const MOST_LINES: usize = 20;
const MOST_COLUMNS: usize = 500;

fn shortened(line: &str) -> &str {
    line.char_indices().nth(MOST_COLUMNS).map_or(line, |(end, _)| &line[..end])
}

/// A text that was not read from its file has a descriptor for a name in bash's messages.
fn named(line: &str, path: Option<&str>) -> String {
    match (line.strip_prefix("/dev/fd/").and_then(|rest| rest.split_once(':')), path) {
        (Some((_, message)), Some(path)) => format!("{path}:{message}"),
        _ => line.to_owned(),
    }
}

fn memory_file() -> Result<File, EvalError> {
    memfd_create("dkms.conf", MFdFlags::MFD_CLOEXEC)
        .map(File::from)
        .map_err(|errno| EvalError::Io(errno.into()))
}

fn contents(file: &mut File) -> Result<Vec<u8>, EvalError> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(EvalError::Io)?;
    Ok(bytes)
}
