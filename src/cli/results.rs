//! `install --format json` and `autoinstall --format json`: what became of each package, for programs that must know whether
//! anything changed.
//!
//! `schema` is raised when a field goes or changes its meaning; new fields may come at any time.

use crate::model::{Attempt, Error, ExitCode, PackageId, Result, Target};
use crate::ops::autoinstall::Report;
use crate::plan::autoinstall::unregistered;
use crate::session::WriteSession;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::PoisonError;

const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    /// Whether a kernel's modules are others than before.
    changed: bool,
    exit_code: u8,
    error: Option<String>,
    packages: &'a [PackageResult],
}

#[derive(Debug, Serialize)]
struct PackageResult {
    name: String,
    version: String,
    kernel: String,
    arch: String,
    /// `installed`, `skipped`, `failed`, `interrupted`; `waiting` for headers or for another package.
    result: &'static str,
    code: u8,
    reason: Option<String>,
    log: Option<PathBuf>,
    /// Null where nothing was tried.
    duration_ms: Option<u64>,
}

/// What became of the packages of one run. What was up to date already is not among them.
#[derive(Debug, Default)]
pub(crate) struct Results {
    packages: Vec<PackageResult>,
}

impl Results {
    /// What was tried.
    pub(crate) fn take_attempts(&mut self, session: &WriteSession<'_>) {
        let attempts = std::mem::take(&mut *session.attempts.lock().unwrap_or_else(PoisonError::into_inner));
        for result in attempts.into_iter().map(PackageResult::from_attempt) {
            // An installation that was taken back, because the kernel could not be indexed, is followed by a failure.
            self.packages.retain(|known| !known.is_of_same_build(&result));
            self.packages.push(result);
        }
    }

    /// What was not tried: that is in the report alone.
    pub(crate) fn take_report(&mut self, report: &Report, target: &Target) {
        for (id, why) in &report.skipped {
            self.add(PackageResult::untried(id, target, "skipped", why.clone()));
        }
        for (id, error) in &report.failed {
            let result = PackageResult::untried(id, target, "failed", error.in_one_line());
            self.add(PackageResult { code: error.exit_code().0, log: error.log().cloned(), ..result });
        }
        for (id, why) in &report.blocked {
            self.add(PackageResult::untried(id, target, "waiting", why.to_string()));
        }
        for (id, names) in &report.deferred {
            self.add(PackageResult::untried(id, target, "waiting", unregistered(names)));
        }
        for id in &report.without_headers {
            let why = format!("the headers of kernel {} are not installed", target.release);
            self.add(PackageResult::untried(id, target, "waiting", why));
        }
    }

    fn add(&mut self, result: PackageResult) {
        if !self.packages.iter().any(|known| known.is_of_same_build(&result)) {
            self.packages.push(result);
        }
    }

    /// The document for a run that ended like this.
    #[must_use]
    pub(crate) fn document(&self, result: &Result<ExitCode>) -> String {
        let exit_code = match result {
            Ok(code) => code.0,
            Err(error) => error.exit_code().0,
        };
        let document = Document {
            schema: SCHEMA,
            changed: self.packages.iter().any(|package| package.result == "installed"),
            exit_code,
            error: result.as_ref().err().map(Error::in_one_line),
            packages: &self.packages,
        };
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }
}

impl PackageResult {
    fn is_of_same_build(&self, other: &Self) -> bool {
        let build =
            |result: &Self| [&result.name, &result.version, &result.kernel, &result.arch].map(String::clone);
        build(self) == build(other)
    }

    fn from_attempt(attempt: Attempt) -> Self {
        Self {
            name: attempt.name,
            version: attempt.version,
            kernel: attempt.kernel,
            arch: attempt.arch,
            result: attempt.result.word(),
            code: attempt.code,
            reason: attempt.reason,
            log: attempt.log,
            duration_ms: Some(attempt.duration_ms),
        }
    }

    fn untried(id: &PackageId, target: &Target, result: &'static str, reason: String) -> Self {
        Self {
            name: id.name.to_string(),
            version: id.version.to_string(),
            kernel: target.release.to_string(),
            arch: target.arch.to_string(),
            result,
            code: 0,
            reason: Some(reason),
            log: None,
            duration_ms: None,
        }
    }
}
