//! What a build made and what an installation wrote, as JSON beside the modules.
//!
//! The files are hidden in `T/M/V/K/A` and go with it. A tree without them works too; whoever deletes them loses
//! nothing but precision.

use crate::model::{PackageId, PackageName, Result};
use crate::system::{Moment, files};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const BUILD: &str = ".dkms-build.json";
const INSTALL: &str = ".dkms-install.json";
/// In `T/M/V`: when rpm's scriptlet added the package.
const UPGRADE: &str = ".dkms-rpm-upgrade.json";
const FORMAT: u32 = 1;
/// Before the name of a dependency: one line with its version, as every dkms writes it.
pub(super) const DEPENDENCY: &str = ".dep_";

/// One module of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleRecord {
    /// The installed stem: DEST_MODULE_NAME.
    pub name: String,
    /// The file in `module/`.
    pub file: String,
    /// Where it goes below the kernel's directory.
    pub location: String,
    /// What the dkms.conf said, before the distribution's rule.
    pub conf_location: String,
}

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    format: u32,
    pub modules: Vec<ModuleRecord>,
    /// Modules that do not want this kernel: their installed stems.
    pub excluded: Vec<String>,
    /// POST_REMOVE with its arguments, so that removal needs no dkms.conf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_remove: Option<String>,
    #[serde(default)]
    pub no_weak_modules: bool,
    /// BUILD_DEPENDS_REBUILD: whether the build is due again when a dependency is replaced.
    #[serde(default)]
    pub depends_rebuild: bool,
}

impl BuildRecord {
    #[must_use]
    pub fn new(modules: Vec<ModuleRecord>, excluded: Vec<String>) -> Self {
        Self {
            format: FORMAT,
            modules,
            excluded,
            post_remove: None,
            no_weak_modules: false,
            depends_rebuild: false,
        }
    }

    pub(super) fn read(dir: &Path) -> Option<Self> {
        read(&dir.join(BUILD)).filter(|record: &Self| record.format == FORMAT)
    }

    /// Writes the record into a staged build.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn stage(&self, dir: &Path) -> Result<()> {
        Ok(files::stage_file(&dir.join(BUILD), &text(self)?, 0o644)?)
    }
}

/// A file that an installation wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledFile {
    pub path: PathBuf,
    pub size: u64,
    /// SHA-256 of the content, hexadecimal; empty for a symbolic link into the tree.
    pub sha256: String,
}

/// What an installation wrote. The originals it moved aside are recorded by the `.origin` files beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallRecord {
    format: u32,
    pub files: Vec<InstalledFile>,
}

impl InstallRecord {
    #[must_use]
    pub fn new(files: Vec<InstalledFile>) -> Self {
        Self { format: FORMAT, files }
    }

    pub(super) fn read(dir: &Path) -> Option<Self> {
        read(&dir.join(INSTALL)).filter(|record: &Self| record.format == FORMAT)
    }

    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        Ok(files::publish_file(&dir.join(INSTALL), &text(self)?, 0o644)?)
    }

    pub(super) fn carry(from: &Path, to: &Path) -> Result<()> {
        match Self::read(from) {
            Some(record) => Ok(files::stage_file(&to.join(INSTALL), &text(&record)?, 0o644)?),
            None => Ok(()),
        }
    }

    pub(super) fn delete(dir: &Path) -> Result<()> {
        Ok(files::remove_file(&dir.join(INSTALL))?)
    }
}

/// Records in a staged build a package that it was built with.
///
/// # Errors
/// The directory cannot be written.
pub fn stage_dependency(dir: &Path, dependency: &PackageId) -> Result<()> {
    let path = dir.join(format!("{DEPENDENCY}{}", dependency.name));
    Ok(files::stage_file(&path, format!("{}\n", dependency.version).as_bytes(), 0o644)?)
}

pub(super) fn read_dependency(dir: &Path, name: &PackageName) -> Option<String> {
    let text = fs_err::read_to_string(dir.join(format!("{DEPENDENCY}{name}"))).ok()?;
    Some(text.trim().to_owned())
}

pub(super) fn write_upgrade(version_dir: &Path, moment: &Moment) -> Result<()> {
    Ok(files::publish_file(&version_dir.join(UPGRADE), &text(moment)?, 0o644)?)
}

pub(super) fn take_upgrade(version_dir: &Path) -> Result<Option<Moment>> {
    let path = version_dir.join(UPGRADE);
    let moment = read(&path);
    if path.symlink_metadata().is_ok() {
        files::remove_file(&path)?;
    }
    Ok(moment)
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs_err::read(path).ok()?).ok()
}

fn text(record: &impl Serialize) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec_pretty(record).map_err(|e| std::io::Error::other(e.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_version_1_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"format":1,"modules":[{"name":"m","file":"m.ko.xz","location":"/updates/dkms","conf_location":"/extra"}],"excluded":["n"]}"#;
        std::fs::write(dir.path().join(BUILD), text).unwrap();
        let record = BuildRecord::read(dir.path()).unwrap();
        assert_eq!(record.modules[0].file, "m.ko.xz");
        assert_eq!(record.excluded, ["n"]);
    }

    #[test]
    fn an_unreadable_record_or_one_of_a_later_format_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(INSTALL), "{").unwrap();
        assert_eq!(InstallRecord::read(dir.path()), None);
        let later = r#"{"format":2,"files":[]}"#;
        std::fs::write(dir.path().join(INSTALL), later).unwrap();
        assert_eq!(InstallRecord::read(dir.path()), None);
    }
}
