//! What a build made and what an installation wrote, as JSON beside the modules.
//!
//! The files are hidden in `T/M/V/K/A` and go with it. A tree without them works too; deleting them loses
//! nothing but precision.

use super::Original;
use crate::model::{PackageId, PackageName, Result};
use crate::system::digest::sha256;
use crate::system::dir;
use crate::system::fingerprint::{Fingerprint, StatPrint};
use crate::system::{RpmTransaction, files};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const BUILD: &str = ".dkms-build.json";
const INSTALL: &str = ".dkms-install.json";
/// In `T/M/V`: when rpm's scriptlet added the package.
const UPGRADE: &str = ".dkms-rpm-upgrade.json";
const FORMAT: u32 = 1;
/// Before the name of a dependency: one line with its version, as every dkms writes it.
pub(crate) const DEPENDENCY: &str = ".dep_";

/// What a build did with a module's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Signature {
    /// None was made.
    None,
    /// None was made: the build was in a chroot, where modules are signed only on request.
    NoneInChroot,
    /// Made with the key of this certificate: SHA-256 of its file, hexadecimal.
    Certificate(String),
}

/// How the programs of a build were kept from the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IsolationRecord {
    /// The walls that stood; none without isolation.
    pub walls: Vec<String>,
    /// What they denied to a build that was then tried, and made, without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// One module of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModuleRecord {
    /// The installed stem: DEST_MODULE_NAME.
    pub name: String,
    /// The file in `module/`.
    pub file: String,
    /// Where it goes below the kernel's directory.
    pub location: String,
    /// What the dkms.conf said, before the distribution's rule.
    pub conf_location: String,
    /// SHA-256 of the file, hexadecimal; empty where it was not recorded.
    #[serde(default)]
    pub sha256: String,
    /// The same of the module itself, uncompressed and without signatures.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Missing where the signature is not ours to judge: the package's own script changed the module, or it was built on
    /// another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildRecord {
    format: u32,
    pub modules: Vec<ModuleRecord>,
    /// Modules that do not want this kernel: their installed stems.
    pub excluded: Vec<String>,
    /// POST_REMOVE with its arguments, so that removal needs no dkms.conf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_remove: Option<String>,
    #[serde(default)]
    pub no_weak_modules: bool,
    /// BUILD_DEPENDS_REBUILD: whether the package is rebuilt when a dependency is replaced.
    #[serde(default)]
    pub depends_rebuild: bool,
    /// What it was made from; missing where that was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Processor time of the package's programs, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Missing where it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<IsolationRecord>,
    /// Tool, key and certificate that could not sign: as long as they stay the same, they are not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cannot_sign: Option<Fingerprint>,
}

/// What a build was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// The source tree, and the administrator's patches.
    pub source: Fingerprint,
    /// What the administrator sets for the package in /etc/dkms.
    pub overrides: Fingerprint,
    /// Configuration and exported symbols of the kernel.
    pub kernel: Fingerprint,
    /// The files of the kernel that were read.
    pub kernel_files: Vec<PathBuf>,
    /// CONFIG_CC_VERSION_TEXT: what the kernel itself was built with.
    #[serde(default)]
    pub compiler: String,
    /// The compiler that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler_file: Option<UsedFile>,
    /// The kernel's headers, where they were looked at.
    #[serde(rename = "header_files", default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<StatPrint>,
    /// Packages that it was built with, each with the digest of the symbols that it exported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<String, Option<String>>,
}

/// A file of the machine, with what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedFile {
    pub path: PathBuf,
    pub print: Fingerprint,
}

impl UsedFile {
    /// `None` where it cannot be read.
    #[must_use]
    pub(crate) fn from_path(path: PathBuf) -> Option<Self> {
        let print = Fingerprint::take(std::slice::from_ref(&path)).ok()?;
        Some(Self { path, print })
    }
}

impl BuildRecord {
    /// The record's name in the directory of a build.
    pub(crate) const FILE: &str = BUILD;

    #[must_use]
    pub(crate) fn new(modules: Vec<ModuleRecord>, excluded: Vec<String>) -> Self {
        Self {
            format: FORMAT,
            modules,
            excluded,
            post_remove: None,
            no_weak_modules: false,
            depends_rebuild: false,
            inputs: None,
            duration_ms: None,
            cpu_ms: None,
            isolation: None,
            cannot_sign: None,
        }
    }

    /// What a record that came from another machine is worth here: it names files of its own build only, and says nothing
    /// of what is to be done.
    #[must_use]
    pub(crate) fn foreign(mut self) -> Option<Self> {
        let is_plain = |text: &str| !text.is_empty() && !text.contains('/') && text != "." && text != "..";
        let stays =
            |text: &str| Path::new(text).components().all(|part| part != std::path::Component::ParentDir);
        let fits = self.modules.iter().all(|module| {
            is_plain(&module.file)
                && is_plain(&module.name)
                && stays(&module.location)
                && stays(&module.conf_location)
        });
        self.post_remove = None;
        fits.then(|| self.portable())
    }

    /// As it can go to another machine: there the inputs are known by their content alone, and have their own places.
    #[must_use]
    pub(crate) fn portable(mut self) -> Self {
        if let Some(inputs) = &mut self.inputs {
            for print in [&mut inputs.source, &mut inputs.overrides, &mut inputs.kernel] {
                print.stat.clear();
            }
            inputs.kernel_files.clear();
            inputs.headers = None;
            inputs.compiler_file = None;
        }
        // Another machine has other keys.
        for module in &mut self.modules {
            module.signature = None;
        }
        self.cannot_sign = None;
        self.isolation = None;
        self.duration_ms = None;
        self.cpu_ms = None;
        self
    }

    /// The record in a directory, if there is one that can be read.
    #[must_use]
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        read(&dir.join(BUILD)).filter(|record: &Self| record.format == FORMAT)
    }

    /// When the record in a directory was written, and how many milliseconds its build took.
    #[must_use]
    pub(crate) fn taken(dir: &Path) -> Option<(SystemTime, u64)> {
        let written = fs_err::metadata(dir.join(BUILD)).and_then(|data| data.modified()).ok()?;
        Some((written, Self::read(dir)?.duration_ms?))
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        Ok(files::publish_file(&dir.join(BUILD), &text(self)?, 0o644)?)
    }

    /// Writes the record into a staged build.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn stage(&self, dir: &Path) -> Result<()> {
        Ok(files::stage_file(&dir.join(BUILD), &text(self)?, 0o644)?)
    }
}

/// A file that an installation wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstalledFile {
    pub path: PathBuf,
    pub size: u64,
    /// SHA-256 of the content, hexadecimal; empty for a symbolic link into the tree.
    pub sha256: String,
    /// Time of change in nanoseconds since 1970, and inode: as long as they and the size are the same, nothing wrote to
    /// the file. 0 where that was not recorded.
    #[serde(default)]
    pub modified: i128,
    #[serde(default)]
    pub inode: u64,
    /// SHA-256 of the built module where the installed one is another: the better one that stays in its place, or what the
    /// package's own script made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

impl InstalledFile {
    /// The file at `path` with the given content.
    #[must_use]
    pub(crate) fn from_content(path: &Path, content: &[u8]) -> Self {
        let data = path.symlink_metadata().ok();
        Self {
            path: path.to_owned(),
            size: content.len() as u64,
            sha256: sha256(content),
            modified: data.as_ref().map_or(0, modified),
            inode: data.as_ref().map_or(0, MetadataExt::ino),
            instead_of: None,
        }
    }

    /// Whether, by stat(2), the file was not written to since it was recorded.
    #[must_use]
    pub(crate) fn is_untouched(&self) -> bool {
        let Ok(data) = self.path.symlink_metadata() else { return false };
        self.modified != 0
            && data.ino() == self.inode
            && modified(&data) == self.modified
            && data.size() == self.size
    }

    /// Whether the file is as it was written. Its content is read only where stat(2) does not tell, or when that is asked
    /// for.
    #[must_use]
    pub(crate) fn is_unchanged(&self, read: bool) -> bool {
        let Ok(link) = self.path.symlink_metadata() else { return false };
        let untouched = link.ino() == self.inode && modified(&link) == self.modified;
        if !read && untouched && (link.is_symlink() || link.size() == self.size) {
            return !link.is_symlink() || self.path.is_file();
        }
        link.is_symlink() && self.path.is_file() && !read
            || fs_err::metadata(&self.path).is_ok_and(|data| data.size() == self.size)
                && fs_err::read(&self.path).is_ok_and(|content| sha256(&content) == self.sha256)
    }
}

fn is_module_name(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(super::is_module_file)
}

fn modified(data: &std::fs::Metadata) -> i128 {
    i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec())
}

fn changed(data: &std::fs::Metadata) -> i128 {
    i128::from(data.ctime()) * 1_000_000_000 + i128::from(data.ctime_nsec())
}

/// A module of the kernel that an installation moved aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MovedOriginal {
    /// Where the kernel had it.
    pub origin: PathBuf,
    /// Where it is kept.
    pub stored: PathBuf,
    pub size: u64,
    /// SHA-256 of the content, hexadecimal.
    pub sha256: String,
}

impl MovedOriginal {
    fn from_original(original: Original) -> Option<Self> {
        let content = fs_err::read(&original.stored).ok()?;
        let (size, sha256) = (content.len() as u64, sha256(&content));
        Some(Self { origin: original.origin, stored: original.stored, size, sha256 })
    }

    /// Whether it is still kept as it was.
    #[must_use]
    pub(crate) fn is_kept(&self) -> bool {
        fs_err::metadata(&self.stored).is_ok_and(|data| data.size() == self.size)
            && fs_err::read(&self.stored).is_ok_and(|content| sha256(&content) == self.sha256)
    }
}

/// What an installation wrote, and what it moved aside; other dkms know the latter by the `.origin` files only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstallRecord {
    format: u32,
    pub files: Vec<InstalledFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub originals: Vec<MovedOriginal>,
}

impl InstallRecord {
    /// `originals`: all that are kept for the package and the kernel.
    #[must_use]
    pub(crate) fn new(files: Vec<InstalledFile>, originals: Vec<Original>) -> Self {
        let originals = originals.into_iter().filter_map(MovedOriginal::from_original).collect();
        Self { format: FORMAT, files, originals }
    }

    pub(crate) fn read(dir: &Path) -> Option<Self> {
        read(&dir.join(INSTALL)).filter(|record: &Self| record.format == FORMAT)
    }

    /// The record in the directory of a build, and when it was written: time of the last change of the file's status, in
    /// nanoseconds since 1970.
    #[must_use]
    pub(crate) fn taken(dir: &Path) -> Option<(Self, i128)> {
        let data = fs_err::metadata(dir.join(INSTALL)).ok()?;
        Some((Self::read(dir)?, changed(&data)))
    }

    /// Whether `place` holds what the built module `file` holds, as stat(2) tells: one was recorded as the copy of the other, and
    /// neither was changed since, not even in a way that leaves its time of change.
    #[must_use]
    pub(crate) fn is_copy(&self, file: &Path, place: &Path, at: i128) -> bool {
        let Some(installed) = self.files.iter().find(|installed| installed.path == place) else {
            return false;
        };
        let is_as_recorded = |path: &Path| {
            let data = fs_err::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file);
            data.is_some_and(|data| data.size() == installed.size && changed(&data) < at)
        };
        installed.instead_of.is_none()
            && !installed.sha256.is_empty()
            && is_as_recorded(file)
            && is_as_recorded(place)
            && installed.is_untouched()
    }

    /// The record as far as it can be believed: a record in a tree names files below the directory of its kernel, and originals
    /// in the place where the package's are kept. What it says beyond that is dropped.
    #[must_use]
    pub(crate) fn within(mut self, kernel_dir: &Path, originals: &Path) -> Self {
        let lies_in = |path: &Path, top: &Path| {
            let plain = path.components().all(|part| part != std::path::Component::ParentDir);
            plain && path != top && files::lies_below(path, top)
        };
        self.files.retain(|file| lies_in(&file.path, kernel_dir) && is_module_name(&file.path));
        self.originals
            .retain(|moved| lies_in(&moved.origin, kernel_dir) && lies_in(&moved.stored, originals));
        self
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        Ok(files::publish_file(&dir.join(INSTALL), &text(self)?, 0o644)?)
    }

    pub(crate) fn carry(from: &Path, to: &Path) -> Result<()> {
        match Self::read(from) {
            Some(record) => Ok(files::stage_file(&to.join(INSTALL), &text(&record)?, 0o644)?),
            None => Ok(()),
        }
    }

    pub(crate) fn delete(dir: &Path) -> Result<()> {
        Ok(files::remove_file(&dir.join(INSTALL))?)
    }
}

/// Whether a file in a build is a record, of ours or of any dkms.
#[must_use]
pub(crate) fn is_record(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(".dkms-") || name.starts_with(DEPENDENCY)
}

/// Records in a staged build a package that it was built with.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn stage_dependency(dir: &Path, dependency: &PackageId) -> Result<()> {
    let path = dir.join(format!("{DEPENDENCY}{}", dependency.name));
    Ok(files::stage_file(&path, format!("{}\n", dependency.version).as_bytes(), 0o644)?)
}

pub(crate) fn read_dependency(dir: &Path, name: &PackageName) -> Option<String> {
    let text = fs_err::read_to_string(dir.join(format!("{DEPENDENCY}{name}"))).ok()?;
    Some(text.trim().to_owned())
}

pub(crate) fn write_upgrade(version_dir: &Path, moment: &RpmTransaction) -> Result<()> {
    Ok(files::publish_file(&version_dir.join(UPGRADE), &text(moment)?, 0o644)?)
}

pub(crate) fn take_upgrade(version_dir: &Path) -> Result<Option<RpmTransaction>> {
    let path = version_dir.join(UPGRADE);
    let moment = read(&path);
    if path.symlink_metadata().is_ok() {
        files::remove_file(&path)?;
    }
    Ok(moment)
}

/// The records of a build or an installation in a directory that are none.
pub(crate) fn unreadable(dir: &Path) -> Vec<PathBuf> {
    let entries = dir::entries(dir).into_iter().map(|entry| entry.path());
    let is_broken = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match &*name {
            BUILD => read::<BuildRecord>(path).is_none(),
            INSTALL => read::<InstallRecord>(path).is_none(),
            _ => false,
        }
    };
    entries.filter(is_broken).collect()
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs_err::read(path).ok()?).ok()
}

pub(super) fn text(record: &impl Serialize) -> Result<Vec<u8>> {
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
    fn unreadable_or_later_record_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(INSTALL), "{").unwrap();
        assert_eq!(InstallRecord::read(dir.path()), None);
        let later = r#"{"format":2,"files":[]}"#;
        std::fs::write(dir.path().join(INSTALL), later).unwrap();
        assert_eq!(InstallRecord::read(dir.path()), None);
    }
}
