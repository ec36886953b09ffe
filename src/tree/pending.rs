//! Kernels that wait for their headers: packages are pending there and cannot be built yet. The next run that sees the headers, be it
//! a header hook or the boot, takes them up.
//!
//! The file is `<tree>/.dkms-pending.json`, and is gone when no kernel waits.

use super::{Tree, Writer};
use crate::model::{Arch, KernelRelease, PackageId, Result, Target};
use crate::system::files;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One kernel that waits for its headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    release: String,
    arch: String,
    /// The packages to build, as `name/version`.
    pub packages: Vec<String>,
    /// Since when, in local time.
    pub since: String,
}

impl Pending {
    /// `None` if no kernel can be called so.
    #[must_use]
    pub(crate) fn target(&self) -> Option<Target> {
        Some(Target::new(KernelRelease::new(&self.release).ok()?, Arch::new(&self.arch).ok()?))
    }

    fn is_of(&self, target: &Target) -> bool {
        self.release == target.release.as_str() && self.arch == target.arch.as_str()
    }
}

impl Tree {
    pub(crate) fn pending_file(&self) -> PathBuf {
        self.root().join(".dkms-pending.json")
    }

    /// The kernels that wait for their headers. A file that cannot be understood tells nothing.
    #[must_use]
    pub(crate) fn pending(&self) -> Vec<Pending> {
        let text = fs_err::read(self.pending_file()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Since when a kernel waits.
    #[must_use]
    pub(crate) fn pending_since(&self, target: &Target) -> Option<String> {
        self.pending().into_iter().find(|pending| pending.is_of(target)).map(|pending| pending.since)
    }
}

impl Writer {
    /// Notes what waits for the headers of a kernel; nothing does any more if `packages` is empty.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn note_pending(&self, target: &Target, packages: &[PackageId]) -> Result<()> {
        let before = self.tree.pending();
        let packages: Vec<String> = packages.iter().map(ToString::to_string).collect();
        let known = before.iter().find(|pending| pending.is_of(target));
        if known.map_or(&[][..], |known| &known.packages) == packages {
            return Ok(());
        }
        let since = known.map(|known| known.since.clone());
        let mut after: Vec<Pending> =
            before.iter().filter(|pending| !pending.is_of(target)).cloned().collect();
        if !packages.is_empty() {
            let since = since.unwrap_or_else(|| jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string());
            let (release, arch) = (target.release.to_string(), target.arch.to_string());
            after.push(Pending { release, arch, packages, since });
        }
        self.write_pending(&after)
    }

    /// Nothing waits any more for the headers of a kernel that goes.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget_pending(&self, release: &KernelRelease) -> Result<()> {
        let before = self.tree.pending();
        let mut after = before.clone();
        after.retain(|pending| pending.release != release.as_str());
        if after == before { Ok(()) } else { self.write_pending(&after) }
    }

    /// A package that is gone waits for nothing.
    pub(crate) fn forget_pending_package(&self, id: &PackageId) -> Result<()> {
        let before = self.tree.pending();
        let mut after = before.clone();
        let name = id.to_string();
        after.iter_mut().for_each(|pending| pending.packages.retain(|package| *package != name));
        after.retain(|pending| !pending.packages.is_empty());
        if after == before { Ok(()) } else { self.write_pending(&after) }
    }

    fn write_pending(&self, pending: &[Pending]) -> Result<()> {
        let path = self.tree.pending_file();
        if pending.is_empty() {
            return Ok(files::remove_file(&path)?);
        }
        let text = serde_json::to_vec_pretty(pending).map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(files::publish_file(&path, &text, 0o644)?)
    }
}
