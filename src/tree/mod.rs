//! The DKMS tree on disk: sole session, and, with the lock held, sole writer.
//!
//! The layout is the database, shared with every other dkms: what is on disk decides, and our records beside it are
//! additions that anyone may delete. Only this module can make [`Added`], [`Built`] and [`Installed`]: each is a proof
//! that the tree says so.

mod boot;
mod journal;
mod originals;
mod pending;
mod record;
mod remembered;
mod scan;
mod writer;

pub(crate) use boot::KeptDefault;
pub(crate) use journal::{Entry, Key};
pub(crate) use originals::{Original, stored_originals};
pub(crate) use pending::Pending;
pub(crate) use record::{
    BuildRecord, Inputs, InstallRecord, InstalledFile, IsolationRecord, ModuleRecord, MovedOriginal,
    Signature, UsedFile, is_record, stage_dependency,
};
pub(crate) use remembered::{ConfRecord, FailureRecord};
pub(crate) use scan::{Build, Package, Snapshot};
pub(crate) use writer::Writer;

use crate::model::module_name::{is_module_file, module_name};
use crate::model::{BuildId, Error, PackageId, PackageName, Result, SourceState, Target};
use crate::system::System;
use crate::system::{dir, files};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where replaced files wait until an installation is complete.
pub(crate) const UNDO_DIR: &str = ".dkms-undo";

/// Directories of a version that are not kernels.
const BOOKKEEPING: [&str; 9] =
    ["source", "build", "tarball", "driver_disk", "rpm", "deb", "dsc", "bmdeb", "kmp"];

/// The DKMS tree, by its canonical absolute path.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    root: PathBuf,
}

/// See [`Tree::replaced`].
pub(crate) const REPLACED: &str = ".replaced";

impl Tree {
    /// The tree at `path`: made absolute, and canonical as far as it exists, so that links compare equal.
    #[must_use]
    pub(crate) fn at(path: &Path) -> Self {
        Self { root: canonical(path) }
    }

    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The tree with what was built for kernels that are not here yet. It is a hidden directory, so that no dkms takes it for
    /// a package.
    #[must_use]
    pub(crate) fn kept(&self) -> Self {
        Self { root: self.root.join(".preflight") }
    }

    /// The tree with versions that a package manager replaced. Hidden for the same reason.
    #[must_use]
    pub(crate) fn replaced(&self) -> Self {
        Self { root: self.root.join(REPLACED) }
    }

    /// Whether a registered version is one that a package manager replaced: its source is what is kept of it.
    #[must_use]
    pub(crate) fn is_replaced(&self, id: &PackageId) -> bool {
        // The tree may have been moved since, and be reached by a link: the text of the link does not tell.
        files::is_same_file(&self.source(id), &self.replaced().source(id))
    }

    #[must_use]
    pub(crate) fn name_dir(&self, name: &PackageName) -> PathBuf {
        self.root.join(name.as_str())
    }

    #[must_use]
    pub(crate) fn version_dir(&self, id: &PackageId) -> PathBuf {
        self.name_dir(&id.name).join(id.version.as_str())
    }

    /// The dkms.conf of a package.
    #[must_use]
    pub(crate) fn conf_path(&self, id: &PackageId) -> PathBuf {
        self.source(id).join("dkms.conf")
    }

    /// `T/M/V/source`: the link to the source tree.
    #[must_use]
    pub(crate) fn source(&self, id: &PackageId) -> PathBuf {
        self.version_dir(id).join("source")
    }

    /// `T/M/V/build`: where a build sees itself, and where a failed one is left.
    #[must_use]
    pub(crate) fn build_dir(&self, id: &PackageId) -> PathBuf {
        self.version_dir(id).join("build")
    }

    /// `T/M/V/build/make.log`: where callers look after a failure.
    #[must_use]
    pub(crate) fn failure_log(&self, id: &PackageId) -> PathBuf {
        self.build_dir(id).join("make.log")
    }

    /// `T/M/V/.dkms-failed-K-A.log`: the log of the last failed build for one kernel, which the next failure for another kernel
    /// does not replace.
    #[must_use]
    pub(crate) fn kept_failure_log(&self, id: &BuildId) -> PathBuf {
        FailureRecord::log_path(&self.version_dir(&id.package), &id.target)
    }

    /// The logs of failed builds that are kept, each with its kernel.
    #[must_use]
    pub(crate) fn kept_failure_logs(&self, id: &PackageId) -> Vec<(Target, PathBuf)> {
        FailureRecord::logs(&self.version_dir(id))
    }

    /// The log of the last failed build for a kernel: where callers look, unless another failure has come there since.
    #[must_use]
    pub(crate) fn log_of_failure(&self, id: &BuildId) -> Option<PathBuf> {
        let (usual, kept) = (self.failure_log(&id.package), self.kept_failure_log(id));
        if kept.is_file() && !files::is_same_file(&usual, &kept) {
            return Some(kept);
        }
        Some(usual).filter(|log| log.is_file())
    }

    /// `T/M/V/tarball`: where mktarball writes by default.
    #[must_use]
    pub(crate) fn tarball_dir(&self, id: &PackageId) -> PathBuf {
        self.version_dir(id).join("tarball")
    }

    /// `T/M/V/deb` and so on: where packages for other machines are found.
    #[must_use]
    pub(crate) fn result_dir(&self, id: &PackageId, name: &str) -> PathBuf {
        self.version_dir(id).join(name)
    }

    /// Whether a directory of a version has this name for another purpose than the builds of a kernel.
    #[must_use]
    pub(crate) fn is_bookkeeping(name: &str) -> bool {
        BOOKKEEPING.contains(&name)
    }

    /// `T/M/V/K/A`.
    #[must_use]
    pub(crate) fn out_dir(&self, build: &BuildId) -> PathBuf {
        self.version_dir(&build.package).join(build.target.release.as_str()).join(build.target.arch.as_str())
    }

    /// `T/M/kernel-K-A`: the active link.
    #[must_use]
    pub(crate) fn link(&self, name: &PackageName, target: &Target) -> PathBuf {
        self.name_dir(name).join(target.link_name())
    }

    /// `T/M/original_module/K/A`.
    #[must_use]
    pub(crate) fn originals(&self, name: &PackageName, target: &Target) -> PathBuf {
        let kernels = self.name_dir(name).join("original_module").join(target.release.as_str());
        kernels.join(target.arch.as_str())
    }

    /// Active links that lead to no build.
    #[must_use]
    pub(crate) fn broken_links(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for name in scan::directories(&self.root) {
            let entries = dir::entries(self.root.join(name)).into_iter();
            let links = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("kernel-"));
            found.extend(links.map(|entry| entry.path()).filter(|link| {
                link.is_symlink() && !fs_err::canonicalize(link).is_ok_and(|dir| dir.join("module").is_dir())
            }));
        }
        found
    }

    /// Records of ours that cannot be read.
    #[must_use]
    pub(crate) fn unreadable_records(&self) -> Vec<PathBuf> {
        let versions = scan::directories(&self.root).into_iter().flat_map(|name| {
            let dir = self.root.join(name);
            scan::directories(&dir).into_iter().map(move |version| dir.join(version))
        });
        let below = |dir: &PathBuf| {
            scan::directories(dir).into_iter().map(|entry| dir.join(entry)).collect::<Vec<_>>()
        };
        let pending = fs_err::read(self.pending_file()).ok();
        let is_broken = pending.is_some_and(|text| serde_json::from_slice::<Vec<Pending>>(&text).is_err());
        let mut found: Vec<PathBuf> = is_broken.then(|| self.pending_file()).into_iter().collect();
        for version in versions {
            let outs: Vec<PathBuf> = below(&version).iter().flat_map(below).collect();
            found.extend(remembered::unreadable(&version));
            found.extend(std::iter::once(version).chain(outs).flat_map(|dir| record::unreadable(&dir)));
        }
        found
    }

    /// Staged directories of a version: builds that are under way, or were when their process died.
    #[must_use]
    pub(crate) fn staged(&self, id: &PackageId) -> Vec<PathBuf> {
        let dir = self.version_dir(id);
        let kernels = scan::directories(&dir).into_iter().map(|kernel| dir.join(kernel));
        kernels.flat_map(|kernel| writer::staged_with(&kernel, ".tmp_")).collect()
    }

    /// Where originals are kept: for each package and target.
    #[must_use]
    pub(crate) fn original_dirs(&self) -> Vec<(PackageName, Target, PathBuf)> {
        let mut found = Vec::new();
        for name in scan::directories(&self.root).iter().filter_map(|name| PackageName::new(name).ok()) {
            let top = self.name_dir(&name).join("original_module");
            for release in scan::directories(&top) {
                for arch in scan::directories(&top.join(&release)) {
                    let dir = top.join(&release).join(&arch);
                    let target = crate::model::KernelRelease::new(&release)
                        .and_then(|release| Ok(Target::new(release, crate::model::Arch::new(&arch)?)));
                    found.extend(target.ok().map(|target| (name.clone(), target, dir)));
                }
            }
        }
        found
    }

    /// Where the kernel had the modules that those of a package replaced.
    #[must_use]
    pub(crate) fn origins(&self, name: &PackageName, target: &Target) -> Vec<PathBuf> {
        stored_originals(&self.originals(name, target)).into_iter().map(|original| original.origin).collect()
    }

    /// What stands behind the source of a package; `None` if the tree does not have it.
    #[must_use]
    pub(crate) fn source_state(&self, id: &PackageId, source_tree: &Path) -> Option<SourceState> {
        if !self.version_dir(id).is_dir() {
            return None;
        }
        let source = self.source(id);
        match source.symlink_metadata() {
            Ok(data) if data.is_symlink() && source.is_dir() => Some(SourceState::Added),
            Ok(data) if data.is_symlink() => Some(SourceState::Broken),
            found => {
                if source_tree.join(id.source_dir_name()).is_dir() {
                    Some(SourceState::Broken)
                } else {
                    found.is_ok_and(|data| data.is_dir()).then_some(SourceState::BinariesOnly)
                }
            }
        }
    }

    /// Whether a version was added, and its source is there. One that stepped in for the version which replaced it was not, and
    /// may be.
    #[must_use]
    pub(crate) fn is_added(&self, id: &PackageId, source_tree: &Path) -> bool {
        let state = self.source_state(id, source_tree);
        matches!(state, Some(SourceState::Added | SourceState::BinariesOnly)) && !self.is_replaced(id)
    }

    /// The proof that a package is added and its source is there.
    ///
    /// # Errors
    /// It is broken, or not in the tree.
    pub(crate) fn added(&self, id: &PackageId, source_tree: &Path) -> Result<Added> {
        match self.source_state(id, source_tree) {
            Some(SourceState::Added | SourceState::BinariesOnly) => {
                Ok(Added { id: id.clone(), source: self.source(id) })
            }
            Some(SourceState::Broken) => Err(Error::Broken { package: id.clone(), source: self.source(id) }),
            None => Err(Error::NotInTree(id.clone())),
        }
    }

    /// The proof that a build is there, if it is.
    #[must_use]
    pub(crate) fn built(&self, build: &BuildId) -> Option<Built> {
        let dir = self.out_dir(build);
        dir.join("module").is_dir().then(|| Built { id: build.clone(), dir })
    }

    /// The proof that a build is the active one of its package and target.
    #[must_use]
    pub(crate) fn installed(&self, build: &BuildId) -> Option<Installed> {
        let built = self.built(build)?;
        let link = self.link(build.name(), &build.target);
        let text = fs_err::read_link(&link).ok()?;
        // What we write needs no look at the file system; other spellings are resolved.
        let usual = built.dir.strip_prefix(self.name_dir(build.name())).is_ok_and(|dir| dir == text);
        let active = usual || fs_err::canonicalize(&link).is_ok_and(|dir| dir == built.dir);
        active.then_some(Installed { built })
    }

    /// The build that the active link of a package names for a target, whatever its version.
    #[must_use]
    pub(crate) fn active(&self, name: &PackageName, target: &Target) -> Option<Installed> {
        let link = fs_err::read_link(self.link(name, target)).ok()?;
        let version = link.iter().rev().nth(2)?.to_str()?;
        let version = crate::model::PackageVersion::new(version).ok()?;
        self.installed(&BuildId::new(PackageId::new(name.clone(), version), target.clone()))
    }

    /// The files that recorded installations of a package, in any version, wrote for a target.
    #[must_use]
    pub(crate) fn installed_files(&self, name: &PackageName, target: &Target) -> Vec<PathBuf> {
        let dir = self.name_dir(name);
        let versions = scan::directories(&dir).into_iter().map(|version| dir.join(version));
        let out = |dir: PathBuf| dir.join(target.release.as_str()).join(target.arch.as_str());
        let records = versions.filter_map(|dir| InstallRecord::read(&out(dir)));
        records.flat_map(|record| record.files.into_iter().map(|file| file.path)).collect()
    }

    /// What is installed for a target, of every package.
    #[must_use]
    pub(crate) fn active_builds(&self, target: &Target) -> Vec<Installed> {
        let names = scan::directories(&self.root);
        let names = names.iter().filter_map(|name| PackageName::new(name).ok());
        names.filter_map(|name| self.active(&name, target)).collect()
    }

    /// How long the last build of a package took, of whatever version and for whatever kernel.
    #[must_use]
    pub(crate) fn last_duration(&self, name: &PackageName) -> Option<Duration> {
        let below = |dir: PathBuf| {
            scan::directories(&dir).into_iter().map(|entry| dir.join(entry)).collect::<Vec<PathBuf>>()
        };
        let outs = std::iter::once(self.name_dir(name)).flat_map(below).flat_map(below).flat_map(below);
        let mut taken: Vec<(SystemTime, u64)> =
            outs.filter_map(|dir: PathBuf| BuildRecord::taken(&dir)).collect();
        taken.sort_unstable();
        taken.last().map(|(_, ms)| Duration::from_millis(*ms))
    }

    /// What is remembered of a dkms.conf.
    #[must_use]
    pub(crate) fn conf_record(&self, build: &BuildId) -> Option<ConfRecord> {
        ConfRecord::read(&self.version_dir(&build.package), &build.target)
    }

    /// What is remembered of a build that failed.
    #[must_use]
    pub(crate) fn failure(&self, build: &BuildId) -> Option<FailureRecord> {
        FailureRecord::read(&self.version_dir(&build.package), &build.target)
    }

    /// The remembered failures of a package, each with its target and the time when it was written.
    #[must_use]
    pub(crate) fn failures(&self, id: &PackageId) -> Vec<(Target, FailureRecord, Option<SystemTime>)> {
        FailureRecord::list(&self.version_dir(id))
    }

    /// Takes the lock and, with it, the right to write. For `WriteSession::lock` alone, which also settles what an earlier holder
    /// left and watches signals.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn lock(&self, system: &System) -> Result<Writer> {
        Writer::lock(self, system)
    }
}

/// An absolute path, canonical as far as it exists.
fn canonical(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    let mut existing = absolute.as_path();
    loop {
        if let Ok(real) = fs_err::canonicalize(existing) {
            return missing.iter().rev().fold(real, |path, name| path.join(name));
        }
        match (existing.parent(), existing.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                existing = parent;
            }
            _ => return absolute,
        }
    }
}

/// A package whose source can be read.
#[derive(Debug, Clone)]
pub(crate) struct Added {
    id: PackageId,
    source: PathBuf,
}

impl Added {
    #[must_use]
    pub(crate) fn id(&self) -> &PackageId {
        &self.id
    }

    /// `T/M/V/source`.
    #[must_use]
    pub(crate) fn source(&self) -> &Path {
        &self.source
    }

    /// The dkms.conf behind the source link.
    #[must_use]
    pub(crate) fn conf(&self) -> PathBuf {
        self.source.join("dkms.conf")
    }
}

/// A build whose modules are in the tree.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    id: BuildId,
    dir: PathBuf,
}

impl Built {
    #[must_use]
    pub(crate) fn id(&self) -> &BuildId {
        &self.id
    }

    /// `T/M/V/K/A`.
    #[must_use]
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// `T/M/V/K/A/module`.
    #[must_use]
    pub(crate) fn modules(&self) -> PathBuf {
        self.dir.join("module")
    }

    /// The files of modules that the build holds, by name.
    #[must_use]
    pub(crate) fn module_files(&self) -> Vec<PathBuf> {
        let files = dir::entries(self.modules()).into_iter().map(|entry| entry.path());
        files.filter(|file| file.file_name().and_then(|n| n.to_str()).is_some_and(is_module_file)).collect()
    }

    /// What the build recorded, if it was ours.
    #[must_use]
    pub(crate) fn record(&self) -> Option<BuildRecord> {
        BuildRecord::read(&self.dir)
    }

    /// The digest of the symbols that it exports to other modules; `None` if it exports none.
    #[must_use]
    pub(crate) fn exports(&self) -> Option<String> {
        let symbols = fs_err::read(self.modules().join("Module.symvers")).ok()?;
        Some(crate::system::digest::sha256(&symbols))
    }

    /// The version of a dependency that the build was made with, if it recorded one.
    #[must_use]
    pub(crate) fn dependency(&self, name: &PackageName) -> Option<String> {
        record::read_dependency(&self.dir, name)
    }
}

/// A build that the active link names.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    built: Built,
}

impl Installed {
    #[must_use]
    pub(crate) fn id(&self) -> &BuildId {
        &self.built.id
    }

    #[must_use]
    pub(crate) fn built(&self) -> &Built {
        &self.built
    }

    /// The names of its modules, as modprobe(8) takes them.
    #[must_use]
    pub(crate) fn module_names(&self) -> Vec<String> {
        self.built.module_files().iter().map(|file| module_name(file)).collect()
    }

    /// Hands what the installation recorded on to a build that is about to replace this one.
    ///
    /// # Errors
    /// The staged directory cannot be written.
    pub(crate) fn carry_record(&self, staged: &Path) -> Result<()> {
        InstallRecord::carry(&self.built.dir, staged)
    }

    /// What the installation recorded, if it was ours.
    #[must_use]
    pub(crate) fn record(&self) -> Option<InstallRecord> {
        InstallRecord::read(&self.built.dir)
    }
}
