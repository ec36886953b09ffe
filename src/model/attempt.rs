//! One attempt to build or install a package: what was tried when, what set it off, and how it ended.

use crate::model::{BuildId, ExitCode};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Whole milliseconds, as records and documents have durations.
#[must_use]
pub(crate) fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AttemptResult {
    Built,
    Installed,
    Failed,
    /// The package, or the kernel's own module, did not want it.
    Skipped,
    Interrupted,
}

impl AttemptResult {
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Installed => "installed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One attempt to build or install a package for a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// When it began: RFC 3339, with the offset from UTC.
    pub at: String,
    /// What set it off: `by hand`, a package manager, or the name of a hook.
    pub trigger: String,
    /// The DKMS tree.
    pub tree: PathBuf,
    pub name: String,
    pub version: String,
    pub kernel: String,
    pub arch: String,
    pub result: AttemptResult,
    /// The exit status; 0 for a success.
    pub code: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

impl Attempt {
    /// An attempt that ends now, as a success.
    #[must_use]
    pub(crate) fn new(id: &BuildId, result: AttemptResult, took: Duration) -> Self {
        let began = jiff::Zoned::now().checked_sub(took).unwrap_or_else(|_| jiff::Zoned::now());
        Self {
            at: began.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            trigger: String::new(),
            tree: PathBuf::new(),
            name: id.package.name.to_string(),
            version: id.package.version.to_string(),
            kernel: id.target.release.to_string(),
            arch: id.target.arch.to_string(),
            result,
            code: ExitCode::SUCCESS.0,
            reason: None,
            duration_ms: millis(took),
            log: None,
        }
    }

    /// How long it took.
    #[must_use]
    pub(crate) fn took(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }
}
