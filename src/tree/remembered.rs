//! What is remembered of a package for one kernel: a build that failed, and what a dkms.conf said that only bash can read. Hidden
//! files in `T/M/V`, for the directory of the kernel would look like a build to others; who deletes them loses time.

use super::record::{Inputs, IsolationRecord, read, text};
use crate::conf::Values;
use crate::model::{Arch, KernelRelease, Result, Target};
use crate::system::fingerprint::Fingerprint;
use crate::system::{dir, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const FAILED: &str = ".dkms-failed-";
const CONF: &str = ".dkms-conf-";
const FORMAT: u32 = 1;

fn path(version_dir: &Path, kind: &str, target: &Target) -> PathBuf {
    version_dir.join(format!("{kind}{}-{}.json", target.release, target.arch))
}

/// The target in the name of a file of a kind.
fn target_in(name: &str, kind: &str, suffix: &str) -> Option<Target> {
    let (release, arch) = name.strip_prefix(kind)?.strip_suffix(suffix)?.rsplit_once('-')?;
    Some(Target::new(KernelRelease::new(release).ok()?, Arch::new(arch).ok()?))
}

/// Deletes everything that is remembered for a kernel, whatever the architecture.
///
/// # Errors
/// The directory cannot be written.
pub(super) fn forget(version_dir: &Path, release: &KernelRelease) -> Result<()> {
    for entry in dir::entries(version_dir) {
        let (path, name) = (entry.path(), entry.file_name());
        let target = |kind, suffix| target_in(name.to_str()?, kind, suffix);
        let is_of_kernel = |target: Option<Target>| target.is_some_and(|target| target.release == *release);
        // What cannot be read may be another program's.
        let is_ours = is_of_kernel(target(FAILED, ".json")) && read::<FailureRecord>(&path).is_some()
            || is_of_kernel(target(FAILED, ".log"))
            || is_of_kernel(target(CONF, ".json")) && read::<ConfRecord>(&path).is_some();
        if is_ours {
            files::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The records of these kinds in a directory that are none.
pub(super) fn unreadable(version_dir: &Path) -> Vec<PathBuf> {
    let is_broken = |entry: &fs_err::DirEntry| {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_of = |kind| name.starts_with(kind) && name.ends_with(".json");
        is_of(FAILED) && read::<FailureRecord>(&path).is_none()
            || is_of(CONF) && read::<ConfRecord>(&path).is_none()
    };
    dir::entries(version_dir).iter().filter(|entry| is_broken(entry)).map(fs_err::DirEntry::path).collect()
}

/// A build that failed, and what it was made from: it is not worth another try before that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureRecord {
    format: u32,
    pub inputs: Inputs,
    /// The programs that it was made with, and framework.conf.
    pub tools: Fingerprint,
    pub tool_files: Vec<PathBuf>,
    /// One line.
    pub reason: String,
    pub log: Option<PathBuf>,
    pub exit_code: u8,
    /// When it was, in local time.
    pub at: String,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How its programs were kept from the machine; missing where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<IsolationRecord>,
}

impl FailureRecord {
    #[must_use]
    pub(crate) fn new(inputs: Inputs, tools: (Fingerprint, Vec<PathBuf>), at: String) -> Self {
        let (tools, tool_files) = tools;
        let reason = String::new();
        let (log, duration_ms, isolation, exit_code) = (None, None, None, 0);
        Self { format: FORMAT, inputs, tools, tool_files, reason, log, exit_code, at, duration_ms, isolation }
    }

    fn path(version_dir: &Path, target: &Target) -> PathBuf {
        path(version_dir, FAILED, target)
    }

    /// The log that is kept beside the record.
    pub(crate) fn log_path(version_dir: &Path, target: &Target) -> PathBuf {
        Self::path(version_dir, target).with_extension("log")
    }

    pub(crate) fn read(version_dir: &Path, target: &Target) -> Option<Self> {
        read(&Self::path(version_dir, target)).filter(|record: &Self| record.format == FORMAT)
    }

    /// Those of a package, each with its target and the time when it was written.
    pub(crate) fn list(version_dir: &Path) -> Vec<(Target, Self, Option<SystemTime>)> {
        let record = |entry: &fs_err::DirEntry| {
            let target = target_in(entry.file_name().to_str()?, FAILED, ".json")?;
            let written = entry.metadata().and_then(|data| data.modified()).ok();
            Some((target.clone(), Self::read(version_dir, &target)?, written))
        };
        dir::entries(version_dir).iter().filter_map(record).collect()
    }

    /// The logs of a package that are kept, each with its target.
    pub(crate) fn logs(version_dir: &Path) -> Vec<(Target, PathBuf)> {
        let log = |entry: &fs_err::DirEntry| {
            Some((target_in(entry.file_name().to_str()?, FAILED, ".log")?, entry.path()))
        };
        dir::entries(version_dir).iter().filter_map(log).collect()
    }

    pub(crate) fn write(&self, version_dir: &Path, target: &Target) -> Result<()> {
        Ok(files::publish_file(&Self::path(version_dir, target), &text(self)?, 0o644)?)
    }

    pub(crate) fn delete(version_dir: &Path, target: &Target) -> Result<()> {
        files::remove_file(&Self::log_path(version_dir, target))?;
        Ok(files::remove_file(&Self::path(version_dir, target))?)
    }
}

/// The values of a dkms.conf and its overrides for one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfRecord {
    format: u32,
    /// What it was read from: the package's own files, the overrides, and the kernel's.
    pub inputs: Inputs,
    /// Programs of the machine, and framework.conf.
    pub tools: Fingerprint,
    pub tool_files: Vec<PathBuf>,
    /// Digest of the variables that the file found, and of our version.
    pub context: String,
    /// Seconds since 1970.
    pub at: i64,
    pub values: Values,
    pub messages: Vec<String>,
}

impl ConfRecord {
    #[must_use]
    pub(crate) fn new(
        inputs: Inputs,
        tools: (Fingerprint, Vec<PathBuf>),
        context: String,
        at: i64,
        (values, messages): (Values, Vec<String>),
    ) -> Self {
        let (tools, tool_files) = tools;
        Self { format: FORMAT, inputs, tools, tool_files, context, at, values, messages }
    }

    fn path(version_dir: &Path, target: &Target) -> PathBuf {
        path(version_dir, CONF, target)
    }

    pub(super) fn read(version_dir: &Path, target: &Target) -> Option<Self> {
        read(&Self::path(version_dir, target)).filter(|record: &Self| record.format == FORMAT)
    }

    pub(super) fn write(&self, version_dir: &Path, target: &Target) -> Result<()> {
        Ok(files::publish_file(&Self::path(version_dir, target), &text(self)?, 0o644)?)
    }
}
