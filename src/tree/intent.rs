//! What is under way: written before a change begins and taken away after it has ended, so that whoever takes the lock next
//! finishes what a killed process or a power failure left.
//!
//! The file is `<tree>/.dkms-intents.json`; runs below the lock's holder have one of their own. It is on disk before the first
//! change; that it goes need not be, for everything in it may be done twice.

use super::{Tree, Writer};
use crate::model::{Arch, BuildId, KernelRelease, PackageId, PackageName, PackageVersion, Result, Target};
use crate::system::files;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One build, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    name: String,
    version: String,
    release: String,
    arch: String,
}

impl Key {
    #[must_use]
    pub fn of(id: &BuildId) -> Self {
        Self {
            name: id.package.name.to_string(),
            version: id.package.version.to_string(),
            release: id.target.release.to_string(),
            arch: id.target.arch.to_string(),
        }
    }

    /// `None` if no build can be called so.
    #[must_use]
    pub fn id(&self) -> Option<BuildId> {
        let name = PackageName::new(&self.name).ok()?;
        let package = PackageId::new(name, PackageVersion::new(&self.version).ok()?);
        let arch = Arch::new(&self.arch).ok()?;
        Some(BuildId::new(package, Target::new(KernelRelease::new(&self.release).ok()?, arch)))
    }
}

/// A change that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Intent {
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
pub(super) struct Intents {
    path: PathBuf,
    under_way: Mutex<Vec<Intent>>,
    unfinished: Vec<Intent>,
}

impl Intents {
    /// Reads what an earlier holder left. A file that cannot be understood tells nothing.
    pub(super) fn open(tree: &Tree, nested: bool) -> Self {
        let name = if nested { ".dkms-intents.nested.json" } else { ".dkms-intents.json" };
        let path = tree.root().join(name);
        if !nested {
            // Nobody else writes there while we hold the lock.
            files::remove_leftovers(tree.root());
        }
        let unfinished: Vec<Intent> =
            fs_err::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { path, under_way: Mutex::new(unfinished.clone()), unfinished }
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<Intent>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change that is under way until this is dropped.
#[derive(Debug)]
pub struct Intended<'a> {
    writer: &'a Writer,
    intent: Intent,
}

impl Intended<'_> {
    /// Something of it remains for whoever takes the lock next.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Intended<'_> {
    fn drop(&mut self) {
        self.writer.ended(&self.intent);
    }
}

impl Writer {
    /// Writes down a change that is about to begin.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub fn intend(&self, intent: Intent) -> Result<Intended<'_>> {
        let mut under_way = self.intents.under_way();
        under_way.push(intent.clone());
        // A build shows by its staged directory, whose content is worth nothing after a power failure.
        let durable = !matches!(intent, Intent::Build { .. });
        let written = write(&self.intents.path, &under_way, durable);
        drop(under_way);
        let intended = Intended { writer: self, intent };
        let makes_room = matches!(intended.intent, Intent::Uninstall { .. } | Intent::Unbuild { .. });
        if !makes_room || !written.as_ref().is_err_and(is_full) {
            written?;
        }
        Ok(intended)
    }

    /// Writes down that modules of a kernel are about to change: until [`Writer::indexed`]. Returns whether that was not written
    /// down before: who then changes nothing takes it back.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub fn intend_index(&self, release: &KernelRelease) -> Result<bool> {
        let intent = Intent::Index { release: release.to_string() };
        let mut under_way = self.intents.under_way();
        let is_new = !under_way.contains(&intent);
        if is_new {
            under_way.push(intent);
            let written = write(&self.intents.path, &under_way, true);
            // What only removes makes room, and what adds will not come far.
            if !written.as_ref().is_err_and(is_full) {
                written?;
            }
        }
        Ok(is_new)
    }

    /// The kernels whose modules have changed since they were indexed.
    #[must_use]
    pub fn not_indexed(&self) -> Vec<KernelRelease> {
        let under_way = self.intents.under_way();
        let release = |intent: &Intent| match intent {
            Intent::Index { release } => KernelRelease::new(release).ok(),
            _ => None,
        };
        under_way.iter().filter_map(release).collect()
    }

    /// The index of a kernel tells of its modules again.
    pub fn indexed(&self, release: &KernelRelease) {
        let intent = Intent::Index { release: release.to_string() };
        while self.intents.under_way().contains(&intent) {
            self.ended(&intent);
        }
    }

    /// What an earlier holder of the lock left.
    #[must_use]
    pub fn unfinished(&self) -> &[Intent] {
        &self.intents.unfinished
    }

    /// One of them is in order.
    pub fn ended(&self, intent: &Intent) {
        let mut under_way = self.intents.under_way();
        if let Some(at) = under_way.iter().position(|other| other == intent) {
            under_way.remove(at);
            // That it stays costs the next run a look.
            let _ = write(&self.intents.path, &under_way, false);
        }
    }

    /// Undoes a build that was interrupted: the one that it was to replace is back, and nothing of the work remains. One
    /// that was complete stays.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub fn undo_build(&self, id: &BuildId) -> Result<()> {
        let out = self.tree.out_dir(id);
        let Some(kernel_dir) = out.parent() else { return Ok(()) };
        let is_finished = |dir: &Path| dir.join("log/make.log").is_file();
        for staged in super::writer::staged(kernel_dir, &id.target.arch) {
            let old = ["out", "out.old"].map(|name| staged.join(name));
            let old = old.iter().find(|dir| is_finished(dir));
            match old {
                Some(old) if !is_finished(&out) => {
                    files::remove_tree(&out)?;
                    files::rename(old, &out)?;
                }
                None if !is_finished(&out) && out.is_dir() && !staged.join("out").is_dir() => {
                    files::remove_tree(&out)?;
                }
                _ => {}
            }
            files::remove_tree(&staged)?;
        }
        files::remove_leftovers(&out);
        files::remove_leftovers(&self.tree.version_dir(&id.package));
        files::remove_leftovers(&self.tree.name_dir(id.name()));
        files::remove_empty_dir(kernel_dir);
        if is_finished(&out) {
            files::remove_empty_dir(&self.tree.build_dir(&id.package));
        }
        Ok(())
    }
}

/// Whether there is no room; then nothing that makes room waits for a note of it.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn write(path: &Path, intents: &[Intent], durable: bool) -> io::Result<()> {
    if intents.is_empty() {
        return files::remove_file(path);
    }
    let text = serde_json::to_vec_pretty(intents).map_err(|e| io::Error::other(e.to_string()))?;
    if durable { files::publish_file(path, &text, 0o644) } else { files::replace_file(path, &text, 0o644) }
}
