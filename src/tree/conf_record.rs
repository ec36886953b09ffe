//! What a dkms.conf said that only bash can read, so that looks need not ask bash again. Hidden files in `T/M/V`; who deletes them
//! loses time.

use super::Inputs;
use super::record::{read, text};
use crate::conf::Values;
use crate::model::{KernelRelease, Result, Target};
use crate::system::fingerprint::Fingerprint;
use crate::system::{dir, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;
const CONF: &str = ".dkms-conf-";

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
        version_dir.join(format!("{CONF}{}-{}.json", target.release, target.arch))
    }

    pub(super) fn read(version_dir: &Path, target: &Target) -> Option<Self> {
        read(&Self::path(version_dir, target)).filter(|record: &Self| record.format == FORMAT)
    }

    pub(super) fn write(&self, version_dir: &Path, target: &Target) -> Result<()> {
        Ok(files::publish_file(&Self::path(version_dir, target), &text(self)?, 0o644)?)
    }

    /// Those of a kernel, whatever the architecture.
    pub(super) fn delete_all(version_dir: &Path, release: &KernelRelease) -> Result<()> {
        for entry in dir::entries(version_dir) {
            let is_of_kernel = entry.file_name().to_str().is_some_and(|name| {
                let rest = name.strip_prefix(CONF).and_then(|rest| rest.strip_prefix(release.as_str()));
                rest.is_some_and(|rest| rest.matches('-').count() == 1 && rest.ends_with(".json"))
            });
            if is_of_kernel {
                files::remove_file(&entry.path())?;
            }
        }
        Ok(())
    }
}
