//! The right to change the tree: handed out by the lock, and nothing else.

use super::journal::Journal;
use super::record::{self, DEPENDENCY, is_record};
use super::remembered;
use super::{
    Added, BOOKKEEPING, BuildRecord, Built, ConfRecord, FailureRecord, InstallRecord, Installed,
    MovedOriginal, Original, Tree,
};
use crate::model::{Arch, BuildId, Error, KernelRelease, PackageId, Result, Target};
use crate::system::dir;
use crate::system::lock::Lock;
use crate::system::{RpmTransaction, System, files};
use std::io;
use std::path::{Path, PathBuf};

/// Writes the tree. Each change takes the proof of the state before and returns that of the state after.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) tree: Tree,
    pub(crate) journal: Journal,
    lock: Lock,
}

impl Writer {
    pub(crate) fn lock(tree: &Tree, system: &System) -> Result<Self> {
        let lock = Lock::take(tree.root(), system, &|| tree.work_under_way())?;
        // The directory exists now, so its canonical name is known.
        let tree = Tree::at(tree.root());
        let journal = Journal::open(&tree, lock.is_nested());
        Ok(Self { tree, journal, lock })
    }

    /// Deletes what an earlier holder of the lock was writing when it was killed, unless another run may write.
    pub(crate) fn sweep(&self) {
        let root = self.tree.root();
        if self.lock.is_nested() || !self.lock.outlives_nested(root) {
            return;
        }
        // A power failure leaves no mark; what it left where most is written costs a look.
        let left = if self.lock.follows_kill() { self.tree.leftovers() } else { files::leftovers(root) };
        left.iter().for_each(|path| drop(files::remove_tree(path)));
        self.lock.settled();
    }

    #[must_use]
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Registers a package: the source link (replacing a dangling one) and an empty build directory.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn register(&self, id: &PackageId, source_dir: &Path) -> Result<Added> {
        let source = self.tree.source(id);
        let registered = files::create_dirs(&self.tree.build_dir(id)).map_err(Error::from).and_then(|()| {
            remove_stub(&source)?;
            Ok(files::publish_link(source_dir, &source)?)
        });
        if let Err(error) = registered {
            // Half of it would be a broken package.
            files::remove_empty_dir(&self.tree.build_dir(id));
            files::remove_empty_dir(&self.tree.version_dir(id));
            files::remove_empty_dir(&self.tree.name_dir(&id.name));
            return Err(error);
        }
        Ok(Added { id: id.clone(), source })
    }

    /// Registers a package of which there are only binaries: its source is a directory that holds its dkms.conf.
    ///
    /// # Errors
    /// The tree cannot be written, or the dkms.conf cannot be read.
    pub(crate) fn register_binaries(&self, id: &PackageId, conf: &Path) -> Result<Added> {
        let source = self.tree.source(id);
        if source.symlink_metadata().is_ok_and(|data| data.is_symlink()) {
            files::remove_file(&source)?;
        }
        files::create_dirs(&source)?;
        files::publish_copy(conf, &source.join("dkms.conf"), 0o644)?;
        Ok(Added { id: id.clone(), source })
    }

    /// `T/M/V/tarball`, made if it is missing.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn tarball_dir(&self, id: &PackageId) -> Result<PathBuf> {
        let dir = self.tree.tarball_dir(id);
        files::create_dirs(&dir)?;
        Ok(dir)
    }

    /// `T/M/V/deb` and so on, made if it is missing.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn result_dir(&self, id: &PackageId, name: &str) -> Result<PathBuf> {
        let dir = self.tree.result_dir(id, name);
        files::create_dirs(&dir)?;
        Ok(dir)
    }

    /// An empty directory for one build, beside the place where its result goes. Other builds never see it. What an
    /// interrupted build of the same package and target left there goes: its process held the lock that we hold now.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn stage(&self, build: &BuildId) -> Result<PathBuf> {
        let kernel_dir = self.tree.version_dir(&build.package).join(build.target.release.as_str());
        let prefix = format!(".tmp_{}_", build.target.arch);
        remove_staged(&kernel_dir, &prefix)?;
        Ok(files::temporary_dir(&kernel_dir, &prefix)?)
    }

    /// Publishes a staged build under its final name in one step. Returns the directory of the build it replaced,
    /// for the caller to delete or to put back.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn publish(&self, build: &BuildId, staged: &Path) -> Result<(Built, Option<PathBuf>)> {
        let dir = self.tree.out_dir(build);
        let replaced = files::publish_dir(staged, &dir)?;
        Ok((Built { id: build.clone(), dir }, replaced))
    }

    /// Takes a published build back: the one it replaced returns, or none is there.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn withdraw(&self, built: Built, replaced: Option<PathBuf>) -> Result<()> {
        match replaced {
            Some(old) => {
                let _now_ours = files::publish_dir(&old, &built.dir)?;
                Ok(files::remove_tree(&old)?)
            }
            None => Ok(files::remove_tree(&built.dir)?),
        }
    }

    /// Makes a build the active one of its package and target, and records what was installed.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn activate(&self, built: Built, record: &InstallRecord) -> Result<Installed> {
        record.write(&built.dir)?;
        let BuildId { package, target } = &built.id;
        files::publish_link(&link_text(&built.id), &self.tree.link(&package.name, target))?;
        Ok(Installed { built })
    }

    /// Makes a build the active one for builds that depend on it, without any installation.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn nominate(&self, built: &Built) -> Result<()> {
        let BuildId { package, target } = &built.id;
        Ok(files::publish_link(&link_text(&built.id), &self.tree.link(&package.name, target))?)
    }

    /// Takes all active links for a target away, and touches nothing that they stand for.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget_nominations(&self, target: &Target) -> Result<()> {
        let nominated = self.tree.active_builds(target);
        nominated
            .iter()
            .try_for_each(|found| Ok(files::remove_file(&self.tree.link(found.id().name(), target))?))
    }

    /// Takes the active link away: the package is built, and no longer installed, for this target.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn deactivate(&self, installed: Installed) -> Result<Built> {
        let built = installed.built;
        files::remove_file(&self.tree.link(built.id.name(), &built.id.target))?;
        InstallRecord::delete(&built.dir)?;
        Ok(built)
    }

    /// Writes down anew which originals are kept for an installed package.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn renew_originals(&self, installed: &Installed) -> Result<()> {
        let Some(record) = installed.record() else { return Ok(()) };
        let id = installed.id();
        let kept = super::stored_originals(&self.tree.originals(id.name(), &id.target));
        InstallRecord::new(record.files, kept).write(&installed.built.dir)
    }

    /// Writes down anew what an installation has in its kernel.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn renew_installation(&self, installed: &Installed, record: &InstallRecord) -> Result<()> {
        record.write(&installed.built.dir)
    }

    /// Strikes an original that is lost off the record of an installation. One that is there, whatever it is, is kept as
    /// it is.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget_original(&self, installed: &Installed, moved: &MovedOriginal) -> Result<()> {
        if let Some(mut record) = installed.record() {
            record.originals.retain(|other| other != moved);
            record.write(&installed.built.dir)?;
        }
        if moved.stored.symlink_metadata().is_err() {
            let (origin, stored) = (moved.origin.clone(), moved.stored.clone());
            files::remove_file(&Original { origin, stored }.origin_file())?;
        }
        Ok(())
    }

    /// Writes the record of a build anew.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn amend(&self, built: &Built, record: &BuildRecord) -> Result<()> {
        record.write(&built.dir)
    }

    /// Remembers that a build failed.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn remember_failure(&self, build: &BuildId, record: &FailureRecord) -> Result<()> {
        record.write(&self.tree.version_dir(&build.package), &build.target)
    }

    /// Forgets that a build failed.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget_failure(&self, build: &BuildId) -> Result<()> {
        FailureRecord::delete(&self.tree.version_dir(&build.package), &build.target)
    }

    /// Remembers what a dkms.conf said.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn remember_conf(&self, build: &BuildId, record: &ConfRecord) -> Result<()> {
        let dir = self.tree.version_dir(&build.package);
        // The package may have been removed meanwhile.
        if dir.is_dir() { record.write(&dir, &build.target) } else { Ok(()) }
    }

    /// Forgets everything about a kernel that is gone.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget_kernel(&self, id: &PackageId, release: &KernelRelease) -> Result<()> {
        remembered::forget(&self.tree.version_dir(id), release)
    }

    /// Deletes the record of an installation that is no more.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget_installation(&self, built: &Built) -> Result<()> {
        InstallRecord::delete(&built.dir)
    }

    /// Deletes what a build recorded of the packages it was made with, so that they count as replaced.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget_dependencies(&self, built: &Built) -> Result<()> {
        for entry in dir::read(&built.dir)? {
            if entry.file_name().to_string_lossy().starts_with(DEPENDENCY) {
                files::remove_file(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Deletes a build, and its kernel's directory if nothing else is in it.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn discard(&self, built: Built) -> Result<()> {
        self.discard_debris(&built.id)
    }

    /// Deletes what stands where a build would be, built or not, and unfinished staged builds.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn discard_debris(&self, build: &BuildId) -> Result<()> {
        let out = self.tree.out_dir(build);
        let Some(kernel_dir) = out.parent() else { return Ok(()) };
        remove_staged(kernel_dir, &format!(".tmp_{}_", build.target.arch))?;
        if out.symlink_metadata().is_ok() {
            // Aside first: a run that is killed leaves a build, or none, and nothing that looks like half of one.
            let aside = self.stage(build)?;
            match files::rename(&out, &aside.join("out")) {
                // An overlay does not rename what its lower layer has.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => files::remove_tree(&out)?,
                moved => moved?,
            }
            files::remove_tree(&aside)?;
        }
        files::remove_empty_dir(kernel_dir);
        let link = self.tree.link(build.name(), &build.target);
        if fs_err::read_link(&link).is_ok_and(|text| text == link_text(build)) {
            files::remove_file(&link)?;
        }
        Ok(())
    }

    /// Deletes the directory where originals were kept, if they are all back.
    pub(crate) fn forget_originals(&self, name: &crate::model::PackageName, target: &Target) {
        let dir = self.tree.originals(name, target);
        remove_empty_below(&dir);
        files::remove_empty_dirs(&dir, &self.tree.name_dir(name));
    }

    /// Deletes what interrupted builds and removals left in a version's directory.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn clean_staging(&self, id: &PackageId) -> Result<()> {
        let dir = self.tree.version_dir(id);
        for kernel in dir::entries(&dir) {
            if !kernel.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            remove_staged(&kernel.path(), ".tmp_")?;
            if !BOOKKEEPING.iter().any(|name| kernel.file_name() == *name) {
                remove_debris(&kernel.path())?;
            }
            files::remove_empty_dir(&kernel.path());
        }
        Ok(())
    }

    /// Deletes a package version that has no builds left; tells whether it is gone.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn forget(&self, id: &PackageId) -> Result<bool> {
        if self.tree.has_builds(id) {
            return Ok(false);
        }
        files::remove_tree(&self.tree.version_dir(id))?;
        self.tidy(&id.name);
        self.forget_pending_package(id)?;
        Ok(true)
    }

    /// Deletes the directory of a package that has nothing any more, and what killed runs left in it.
    pub(crate) fn tidy(&self, name: &crate::model::PackageName) {
        let dir = self.tree.name_dir(name);
        files::remove_leftovers(&dir);
        remove_empty_below(&dir.join("original_module"));
        files::remove_empty_dir(&dir.join("original_module"));
        files::remove_empty_dir(&dir);
    }

    /// Notes that a package was added at a moment, for a removal in the same transaction of rpm.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn mark_upgrade(&self, id: &PackageId, moment: &RpmTransaction) -> Result<()> {
        record::write_upgrade(&self.tree.version_dir(id), moment)
    }

    /// Takes the note away; tells whether the package was added in the transaction that is under way.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn take_upgrade_mark(&self, id: &PackageId, now: &RpmTransaction) -> Result<bool> {
        let added = record::take_upgrade(&self.tree.version_dir(id))?;
        Ok(added.is_some_and(|added| added.shares_transaction_with(now)))
    }

    /// Undoes a build that was interrupted: the one that it was to replace is back, and nothing of the work remains. One
    /// that was complete stays.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn undo_build(&self, id: &BuildId) -> Result<()> {
        let out = self.tree.out_dir(id);
        let Some(kernel_dir) = out.parent() else { return Ok(()) };
        let is_finished = |dir: &Path| dir.join("log/make.log").is_file();
        let staged = staged(kernel_dir, &id.target.arch);
        // While it was written, the log had a second name where people look for it.
        let logs = staged.iter().map(|staged| staged.join("build/make.log"));
        let shown = self.tree.failure_log(&id.package);
        if logs.chain([out.join("log/make.log")]).any(|log| files::is_same_file(&log, &shown)) {
            files::remove_file(&shown)?;
        }
        for staged in staged {
            let old = ["out", "out.old"].map(|name| staged.join(name));
            let old = old.iter().find(|dir| is_finished(dir));
            match old {
                Some(old) if !is_finished(&out) => {
                    files::remove_tree(&out)?;
                    files::move_dir(old, &out)?;
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

/// How many letters make a staged directory's name unique.
const RANDOM: usize = 6;
/// Takes away the source of a binaries-only package, which is a directory with its dkms.conf; anything more is kept.
fn remove_stub(source: &Path) -> Result<()> {
    if source.symlink_metadata().is_ok_and(|data| data.is_dir()) {
        let others = dir::read(source)?.iter().any(|entry| entry.file_name() != "dkms.conf");
        if !others {
            files::remove_tree(source)?;
        }
    }
    Ok(())
}

fn remove_staged(kernel_dir: &Path, prefix: &str) -> Result<()> {
    for dir in staged_with(kernel_dir, prefix) {
        files::remove_tree(&dir)?;
    }
    Ok(())
}

/// The staged directories of builds for an architecture.
pub(crate) fn staged(kernel_dir: &Path, arch: &Arch) -> Vec<PathBuf> {
    staged_with(kernel_dir, &format!(".tmp_{arch}_"))
}

pub(crate) fn staged_with(kernel_dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let is_staged = |name: &str| {
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| prefix == ".tmp_" || (rest.len() == RANDOM && !rest.contains('_')))
    };
    let entries = dir::entries(kernel_dir).into_iter();
    let found = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_staged));
    found.map(|entry| entry.path()).collect()
}

fn remove_debris(kernel_dir: &Path) -> Result<()> {
    for entry in dir::entries(kernel_dir) {
        if is_debris(&entry.path()) {
            files::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// A build without modules: `log/` and hidden records, and nothing else.
fn is_debris(dir: &Path) -> bool {
    let paths: Vec<PathBuf> = dir::entries(dir).iter().map(|entry| entry.path()).collect();
    !paths.is_empty() && paths.iter().all(|path| path.ends_with("log") || is_record(path))
}

/// The active link's text: `V/K/A`.
fn link_text(build: &BuildId) -> PathBuf {
    let BuildId { package, target } = build;
    Path::new(package.version.as_str()).join(target.release.as_str()).join(target.arch.as_str())
}

fn remove_empty_below(dir: &Path) {
    files::remove_leftovers(dir);
    for entry in dir::entries(dir) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_below(&entry.path());
            files::remove_empty_dir(&entry.path());
        }
    }
}
