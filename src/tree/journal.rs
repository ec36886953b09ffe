//! What is under way: written before a change begins and taken away after it has ended, so that the next holder of the lock
//! finishes what a killed process or a power failure left.
//!
//! The file is `<tree>/.dkms-intents.json`; runs below the lock's holder have one of their own. It is on disk before the first
//! change; that it goes need not be, for everything in it may be done twice.

use super::Tree;
use crate::model::{Arch, BuildId, KernelRelease, PackageId, PackageName, PackageVersion, Result, Target};
use crate::system::{clock, files};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FILE: &str = ".dkms-intents.json";

/// One build, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    name: String,
    version: String,
    release: String,
    arch: String,
}

impl Key {
    #[must_use]
    pub(crate) fn from_build(id: &BuildId) -> Self {
        Self {
            name: id.package.name.to_string(),
            version: id.package.version.to_string(),
            release: id.target.release.to_string(),
            arch: id.target.arch.to_string(),
        }
    }

    /// `None` if no build can be called so.
    #[must_use]
    pub(crate) fn id(&self) -> Option<BuildId> {
        let name = PackageName::new(&self.name).ok()?;
        let package = PackageId::new(name, PackageVersion::new(&self.version).ok()?);
        let arch = Arch::new(&self.arch).ok()?;
        Some(BuildId::new(package, Target::new(KernelRelease::new(&self.release).ok()?, arch)))
    }
}

/// A change that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// Undone: the build that was there stays.
    Build { build: Key },
    /// Finished.
    Install { build: Key, conf: Option<PathBuf>, force: bool, version_override: bool, safe_upgrade: bool },
    /// Finished.
    Uninstall { build: Key },
    /// Finished, as far as the build goes.
    Unbuild { build: Key },
    /// Modules of a kernel changed, and depmod has not run since.
    Index { release: String },
}

/// The intents of one holder of the lock.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    under_way: Mutex<Vec<Entry>>,
    unfinished: Vec<Entry>,
}

impl Tree {
    /// What the holder of the lock is building, and since when; `None` where it builds nothing now.
    #[must_use]
    pub(crate) fn work_under_way(&self) -> Option<String> {
        let text = fs_err::read(self.root().join(FILE)).ok()?;
        let entries: Vec<Entry> = serde_json::from_slice(&text).ok()?;
        let building = entries.into_iter().filter_map(|entry| match entry {
            Entry::Build { build } => build.id(),
            Entry::Install { .. } | Entry::Uninstall { .. } | Entry::Unbuild { .. } | Entry::Index { .. } => {
                None
            }
        });
        let since = |id: BuildId| {
            // The directory of a build is made when it starts, and gone when it ends.
            let begun = self.staged(&id.package).iter().filter_map(|dir| begun(dir)).min();
            let for_how_long = begun.map(|begun| format!(" for {}", clock(begun))).unwrap_or_default();
            format!("{}{for_how_long}", id.package)
        };
        let building: Vec<String> = building.map(since).collect();
        (!building.is_empty()).then(|| format!("building {}", building.join(", ")))
    }
}

/// How long ago the directory of a build was made.
fn begun(staged: &Path) -> Option<Duration> {
    fs_err::metadata(staged).ok()?.modified().ok()?.elapsed().ok()
}

impl Journal {
    /// Reads what an earlier holder left. A file that cannot be understood tells nothing.
    pub(crate) fn open(tree: &Tree, nested: bool) -> Self {
        let name = if nested { ".dkms-intents.nested.json" } else { FILE };
        let path = tree.root().join(name);
        let unfinished: Vec<Entry> =
            fs_err::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { path, under_way: Mutex::new(unfinished.clone()), unfinished }
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    journal: &'a Journal,
    entry: Entry,
}

impl Begun<'_> {
    /// Something of it remains for the next holder of the lock.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.journal.commit(&self.entry);
    }
}

impl Journal {
    /// Writes down a change that is about to begin.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn begin(&self, entry: Entry) -> Result<Begun<'_>> {
        let mut under_way = self.under_way();
        under_way.push(entry.clone());
        // A build shows by its staged directory, whose content is worth nothing after a power failure.
        let durable = !matches!(entry, Entry::Build { .. });
        let written = write(&self.path, &under_way, durable);
        drop(under_way);
        let begun = Begun { journal: self, entry };
        let makes_room = matches!(begun.entry, Entry::Uninstall { .. } | Entry::Unbuild { .. });
        if !makes_room || !written.as_ref().is_err_and(is_full) {
            written?;
        }
        Ok(begun)
    }

    /// Writes down that modules of a kernel are about to change: until [`Journal::indexed`]. Returns whether that was not written
    /// down before: who then changes nothing takes it back.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn begin_index(&self, release: &KernelRelease) -> Result<bool> {
        let entry = Entry::Index { release: release.to_string() };
        let mut under_way = self.under_way();
        let is_new = !under_way.contains(&entry);
        if is_new {
            under_way.push(entry);
            let written = write(&self.path, &under_way, true);
            // What only removes makes room, and what adds will not come far.
            if !written.as_ref().is_err_and(is_full) {
                written?;
            }
        }
        Ok(is_new)
    }

    /// The kernels whose modules have changed since they were indexed.
    #[must_use]
    pub(crate) fn not_indexed(&self) -> Vec<KernelRelease> {
        let under_way = self.under_way();
        let release = |entry: &Entry| match entry {
            Entry::Index { release } => KernelRelease::new(release).ok(),
            _ => None,
        };
        under_way.iter().filter_map(release).collect()
    }

    /// The index of a kernel tells of its modules again.
    pub(crate) fn indexed(&self, release: &KernelRelease) {
        let entry = Entry::Index { release: release.to_string() };
        while self.under_way().contains(&entry) {
            self.commit(&entry);
        }
    }

    /// What an earlier holder of the lock left.
    #[must_use]
    pub(crate) fn unfinished(&self) -> &[Entry] {
        &self.unfinished
    }

    /// One of them is in order.
    pub(crate) fn commit(&self, entry: &Entry) {
        let mut under_way = self.under_way();
        if let Some(at) = under_way.iter().position(|other| other == entry) {
            under_way.remove(at);
            // That it stays costs the next run a look.
            let _ = write(&self.path, &under_way, false);
        }
    }
}

/// Whether there is no room; then nothing that makes room waits for a note of it.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn write(path: &Path, entries: &[Entry], durable: bool) -> io::Result<()> {
    if entries.is_empty() {
        return files::remove_file(path);
    }
    let text = serde_json::to_vec_pretty(entries).map_err(|e| io::Error::other(e.to_string()))?;
    if durable { files::publish_file(path, &text, 0o644) } else { files::replace_file(path, &text, 0o644) }
}
