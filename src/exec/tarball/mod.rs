//! Packages as tarballs: `mktarball` writes one, `ldtarball` and `add`, `build` or `install` of a file load one.
//!
//! A tarball is foreign until [`read::unpack`] has unpacked and judged all of it in a private directory. Only then does
//! [`Engine::load`] change a tree, in an order in which an interruption leaves an added package with fewer builds.

mod check;
mod members;
mod read;
mod write;

pub(super) use members::Members;
pub use write::{Packing, mktarball};
pub(super) use write::{built_targets, check_conf, write_file};

use super::Engine;
use super::add::AddOptions;
use crate::conf::{PackageConf, Script, Strictness};
use crate::model::{ArchiveProblem, BuildId, Error, PackageId, Result, SourceState, Target};
use crate::plan::autoinstall::Stale;
use crate::plan::request::Subject;
use crate::system::process::Output;
use crate::system::{System, files};
use crate::tree::{Added, BuildRecord, Built};
use read::Content;
use std::path::{Path, PathBuf};
#[cfg(any(test, fuzzing))]
pub(crate) use {check::link_leading_out, read::unpack};

/// Whether a file is for rpm instead of us.
#[must_use]
pub fn is_rpm(archive: &Path) -> bool {
    archive.as_os_str().to_string_lossy().ends_with(".rpm")
}

/// Gives a package to rpm. Its scripts may call dkms: the caller does not hold the lock.
///
/// # Errors
/// The file is missing, or rpm does not take it.
pub fn install_rpm(archive: &Path, system: &System) -> Result<()> {
    let named = |problem| Error::Archive { path: archive.to_owned(), problem };
    if !archive.is_file() {
        return Err(named(ArchiveProblem::Missing));
    }
    let mut command = system.command("rpm").arg("-Uvh").arg(archive);
    if !system.ui.is_quiet() {
        command = command.stdout(Output::Inherit).stderr(Output::Inherit);
    }
    match command.run() {
        Ok(outcome) if outcome.status.success() => Ok(()),
        Ok(outcome) => Err(named(ArchiveProblem::NotInstalled(outcome.status.to_string()))),
        Err(error) => Err(named(ArchiveProblem::NotInstalled(error.to_string()))),
    }
}

impl Engine<'_> {
    /// Loads a tarball: its source into the source tree, its builds into the DKMS tree. Returns the package and its
    /// POST_ADD, which has not run.
    ///
    /// # Errors
    /// The tarball cannot be used, its package is added already and nothing is forced, or a tree cannot be written.
    /// Whatever is wrong with the tarball itself is found before anything is written.
    pub(super) fn load(
        &self,
        archive: &Path,
        options: AddOptions<'_>,
        target: &Target,
    ) -> Result<(Added, Option<String>)> {
        let work = files::private_dir(&self.settings.tmp_location, "dkms.")?;
        // Its own directory, because what is copied from there keeps its mode.
        let inside = work.path().join("content");
        files::create_dirs(&inside)?;
        let content = read::unpack(archive, &inside)?;
        let id = self
            .identify(&Subject::Directory(content.dir.clone()), target)
            .map_err(|error| name_archive(error, &inside, archive))?;
        if self.writer.is_added(&id, &self.settings.source_tree) && !options.force {
            return Err(match content.from_tree {
                true => {
                    Error::Archive { path: archive.to_owned(), problem: ArchiveProblem::AlreadyAdded(id) }
                }
                false => Error::AlreadyAdded(id),
            });
        }
        let own_conf = self.conf_of(&content, &id);
        let conf = self
            .conf(&id, options.conf.unwrap_or(&own_conf), target, Strictness::Strict)
            .map_err(|error| name_archive(error, &inside, archive))?;
        self.tell_about(&conf, &id);
        if content.has_source {
            self.require_writable_sources()?;
        }
        self.system.ui.say(format!("Loading tarball for {}", id.source_dir_name()));
        let added = self.load_source(&content, &id, options.force)?;
        for (target, dir) in &content.builds {
            self.load_build(&BuildId::new(id.clone(), target.clone()), dir, &conf, options.force)?;
        }
        Ok((added, conf.script(Script::PostAdd).map(str::to_owned)))
    }

    /// The dkms.conf that will be the package's: the source tree's, where there are only binaries to load.
    fn conf_of(&self, content: &Content, id: &PackageId) -> PathBuf {
        let source_dir = self.source_dir(id);
        let stays = !content.has_source && source_dir.is_dir();
        if stays { source_dir.join("dkms.conf") } else { content.dir.join("dkms.conf") }
    }

    fn load_source(&self, content: &Content, id: &PackageId, force: bool) -> Result<Added> {
        let source_dir = self.source_dir(id);
        if content.has_source {
            self.import(&content.dir, &source_dir, force)?;
            return self.link_source(id, &source_dir);
        }
        if source_dir.is_dir() {
            return self.link_source(id, &source_dir);
        }
        self.writer.register_binaries(id, &content.dir.join("dkms.conf"))
    }

    /// Publishes one build; one that is there stays, unless forced away. An installed one stays installed.
    fn load_build(&self, id: &BuildId, dir: &Path, conf: &PackageConf, force: bool) -> Result<()> {
        let out = self.tree().out_dir(id);
        let (ui, shown) = (&self.system.ui, out.display());
        if !dir.join("module").is_dir() {
            ui.warn(format!("The tarball has no modules for kernel {}. Skipping...", id.target));
            return Ok(());
        }
        if out.symlink_metadata().is_ok() && !force {
            ui.warn(format!("{shown} already exists. Skipping..."));
            return Ok(());
        }
        ui.say(format!("Loading {shown}..."));
        let staged = self.writer.stage(id)?;
        let published = (|| {
            files::copy_tree(dir, &staged)?;
            files::set_mode(&staged, 0o755)?;
            files::remove_file(&staged.join(BuildRecord::FILE))?;
            if let Some(mut record) = BuildRecord::read(dir).and_then(BuildRecord::foreign) {
                record.post_remove = conf.script(Script::PostRemove).map(str::to_owned);
                record.no_weak_modules = conf.no_weak_modules.is_yes();
                record.depends_rebuild = conf.depends_rebuild.is_yes();
                record.stage(&staged)?;
            }
            if let Some(installed) = self.tree().installed(id) {
                installed.carry_record(&staged)?;
            }
            self.writer.publish(id, &staged)
        })();
        if published.is_err() {
            files::remove_tree(&staged)?;
        }
        let (built, replaced) = published?;
        if let Some(why) = self.misfit(&built) {
            ui.note(format!("What is built for kernel {} is not used: {why}; it is built here.", id.target));
            return self.writer.withdraw(built, replaced);
        }
        replaced.map_or(Ok(()), |old| Ok(files::remove_tree(&old)?))
    }

    /// Why a build that was recorded on another machine is not what this one would build. Where there is no source, there
    /// is no choice.
    fn misfit(&self, built: &Built) -> Option<Stale> {
        let package = &built.id().package;
        let can_build =
            self.tree().source_state(package, &self.settings.source_tree) == Some(SourceState::Added);
        if !can_build || built.record().is_none() {
            return None;
        }
        if !self.is_whole(built) {
            return Some(Stale::Damaged);
        }
        self.staleness(built)
    }
}

/// An error about an unpacked dkms.conf, told as one of the tarball: the place where it was read is gone by then.
fn name_archive(error: Error, inside: &Path, archive: &Path) -> Error {
    let named = |path: PathBuf| path.strip_prefix(inside).map_or(path.clone(), |inner| archive.join(inner));
    match error {
        Error::ConfInvalid { path, problems } => Error::ConfInvalid { path: named(path), problems },
        Error::ConfUnreadable { path, why } => Error::ConfUnreadable { path: named(path), why },
        other => other,
    }
}
