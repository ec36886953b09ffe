//! The distributions' own programs, with which packages and images are made.

use crate::model::{Error, PackagingProblem, Result};
use crate::system::System;
use crate::system::process::{Command, Output};

/// Runs them for one action.
pub(crate) struct Tools<'a> {
    pub(crate) action: &'static str,
    /// When everything that they make was made, in seconds after 1970.
    pub(crate) time: i64,
    system: &'a System,
}

impl<'a> Tools<'a> {
    pub(crate) fn new(action: &'static str, system: &'a System) -> Self {
        Self { action, time: source_date(system), system }
    }

    pub(crate) fn fails(&self, problem: PackagingProblem) -> Error {
        Error::Packaging { action: self.action, problem }
    }

    /// A program of the distribution, or what to install to have it.
    pub(crate) fn tool(&self, program: &'static str, package: &'static str) -> Result<Command> {
        let time = self.time.to_string();
        match self.system.program(program) {
            Some(path) => {
                Ok(self.system.command(path).env("SOURCE_DATE_EPOCH", time).env("LC_ALL", "C.UTF-8"))
            }
            None => Err(self.fails(PackagingProblem::NoTool { program, package })),
        }
    }

    /// Runs a program; what it says is shown when it fails, or when everything is.
    pub(crate) fn run(&self, program: &str, command: Command) -> Result<String> {
        let outcome = command.stdout(Output::Capture).stderr(Output::Capture).run()?;
        let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&outcome.stderr).into_owned();
        if self.system.console.is_verbose() {
            self.system.console.say(&said);
            self.system.console.note(&complaints);
        }
        if outcome.status.success() {
            return Ok(said);
        }
        let lines: Vec<&str> = complaints.lines().chain(said.lines()).filter(|l| !l.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(12)..];
        Err(self.fails(PackagingProblem::Failed {
            program: program.to_owned(),
            status: outcome.status.to_string(),
            said: last.join("\n"),
        }))
    }
}

/// When everything in a package was made, as far as anybody can see: 2000-01-01, or what SOURCE_DATE_EPOCH says
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn source_date(system: &System) -> i64 {
    const FIRST: i64 = 946_684_800;
    system.variable("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok()).unwrap_or(FIRST)
}
