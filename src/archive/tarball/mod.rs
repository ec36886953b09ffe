//! Packages as tarballs: `mktarball` writes one, `ldtarball` and `add`, `build` or `install` of a file load one.
//!
//! A tarball is foreign until [`read::unpack`] has unpacked and judged all of it in a private directory. Only then does
//! [`WriteSession::load`] change a tree, in an order in which an interruption leaves an added package with fewer builds.

mod check;
mod members;
mod read;
mod write;

pub(crate) use members::Members;
pub(crate) use write::{Packing, mktarball};
pub(crate) use write::{built_targets, check_conf, write_file};

use crate::archive::source::{AddOptions, import, link_source, require_writable_sources};
use crate::conf::{PackageConf, Script, Strictness};
use crate::inspect::inputs::staleness;
use crate::inspect::installed::is_whole;
use crate::inspect::subject::identify;
use crate::model::{ArchiveProblem, BuildId, Error, PackageId, Result, SourceState, Target};
use crate::plan::autoinstall::Stale;
use crate::plan::request::Subject;
use crate::session::WriteSession;
use crate::system::process::Output;
use crate::system::{System, files};
use crate::tree::{Added, BuildRecord, Built};
use read::TarballContent;
use std::path::{Path, PathBuf};

#[cfg(any(test, fuzzing))]
pub(crate) use {check::link_leading_out, read::unpack};

/// Whether a file is for rpm instead of us.
#[must_use]
pub(crate) fn is_rpm(archive: &Path) -> bool {
    archive.as_os_str().to_string_lossy().ends_with(".rpm")
}

/// Gives a package to rpm. Its scripts may call dkms: the caller does not hold the lock.
///
/// # Errors
/// The file is missing, or rpm does not take it.
pub(crate) fn install_rpm(archive: &Path, system: &System) -> Result<()> {
    let named = |problem| Error::Archive { path: archive.to_owned(), problem };
    if !archive.is_file() {
        return Err(named(ArchiveProblem::Missing));
    }
    let mut command = system.command("rpm").arg("-Uvh").arg(archive);
    if !system.console.is_quiet() {
        command = command.stdout(Output::Inherit).stderr(Output::Inherit);
    }
    match command.run() {
        Ok(outcome) if outcome.status.success() => Ok(()),
        Ok(outcome) => Err(named(ArchiveProblem::NotInstalled(outcome.status.to_string()))),
        Err(error) => Err(named(ArchiveProblem::NotInstalled(error.to_string()))),
    }
}

/// Loads a tarball: its source into the source tree, its builds into the DKMS tree. Returns the package and its
/// POST_ADD, which has not run.
///
/// # Errors
/// The tarball cannot be used, its package is added already and nothing is forced, or a tree cannot be written.
/// Whatever is wrong with the tarball itself is found before anything is written.
pub(crate) fn load(
    session: &WriteSession<'_>,
    archive: &Path,
    options: AddOptions<'_>,
    target: &Target,
) -> Result<(Added, Option<String>)> {
    let work = files::private_dir(&session.settings.tmp_location, "dkms.")?;
    // Its own directory, because what is copied from there keeps its mode.
    let inside = work.path().join("content");
    files::create_dirs(&inside)?;
    let content = read::unpack(archive, &inside)?;
    let id = identify(session, &Subject::Directory(content.dir.clone()), target)
        .map_err(|error| name_archive(error, &inside, archive))?;
    if session.tree().is_added(&id, &session.settings.source_tree) && !options.force {
        return Err(match content.from_tree {
            true => Error::Archive { path: archive.to_owned(), problem: ArchiveProblem::AlreadyAdded(id) },
            false => Error::AlreadyAdded(id),
        });
    }
    let own_conf = conf_of(session, &content, &id);
    let conf = session
        .conf(&id, options.conf.unwrap_or(&own_conf), target, Strictness::Strict)
        .map_err(|error| name_archive(error, &inside, archive))?;
    session.tell_about(&conf, &id);
    if content.has_source {
        require_writable_sources(session)?;
    }
    session.system.console.say(format!("Loading tarball for {}", id.source_dir_name()));
    let added = load_source(session, &content, &id, options.force)?;
    for (target, dir) in &content.builds {
        load_build(session, &BuildId::new(id.clone(), target.clone()), dir, &conf, options.force)?;
    }
    Ok((added, conf.script(Script::PostAdd).map(str::to_owned)))
}

/// The dkms.conf that will be the package's: the source tree's, where there are only binaries to load.
fn conf_of(session: &WriteSession<'_>, content: &TarballContent, id: &PackageId) -> PathBuf {
    let source_dir = session.source_dir(id);
    let stays = !content.has_source && source_dir.is_dir();
    if stays { source_dir.join("dkms.conf") } else { content.dir.join("dkms.conf") }
}

fn load_source(
    session: &WriteSession<'_>,
    content: &TarballContent,
    id: &PackageId,
    force: bool,
) -> Result<Added> {
    let source_dir = session.source_dir(id);
    if content.has_source {
        import(session, &content.dir, &source_dir, force)?;
        return link_source(session, id, &source_dir);
    }
    if source_dir.is_dir() {
        return link_source(session, id, &source_dir);
    }
    session.writer.register_binaries(id, &content.dir.join("dkms.conf"))
}

/// Publishes one build; one that is there stays, unless forced away. An installed one stays installed.
fn load_build(
    session: &WriteSession<'_>,
    id: &BuildId,
    dir: &Path,
    conf: &PackageConf,
    force: bool,
) -> Result<()> {
    let out = session.tree().out_dir(id);
    let (console, shown) = (&session.system.console, out.display());
    if !dir.join("module").is_dir() {
        console.warn(format!("The tarball has no modules for kernel {}. Skipping...", id.target));
        return Ok(());
    }
    if out.symlink_metadata().is_ok() && !force {
        console.warn(format!("{shown} already exists. Skipping..."));
        return Ok(());
    }
    console.say(format!("Loading {shown}..."));
    let staged = session.writer.stage(id)?;
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
        if let Some(installed) = session.tree().installed(id) {
            installed.carry_record(&staged)?;
        }
        session.writer.publish(id, &staged)
    })();
    if published.is_err() {
        files::remove_tree(&staged)?;
    }
    let (built, replaced) = published?;
    if let Some(why) = misfit(session, &built) {
        console.note(format!(
            "The prebuilt module for kernel {} does not fit ({why}); compiling instead.",
            id.target
        ));
        return session.writer.withdraw(built, replaced);
    }
    replaced.map_or(Ok(()), |old| Ok(files::remove_tree(&old)?))
}

/// Why a build that was recorded on another machine is not what this one would build. Where there is no source, there
/// is no choice.
fn misfit(session: &WriteSession<'_>, built: &Built) -> Option<Stale> {
    let package = &built.id().package;
    let can_build =
        session.tree().source_state(package, &session.settings.source_tree) == Some(SourceState::Added);
    if !can_build || built.record().is_none() {
        return None;
    }
    if !is_whole(session, built) {
        return Some(Stale::Damaged);
    }
    staleness(session, built)
}

/// An error about an unpacked dkms.conf, reported for the tarball: the directory where it was read is gone by then.
fn name_archive(error: Error, inside: &Path, archive: &Path) -> Error {
    let named = |path: PathBuf| path.strip_prefix(inside).map_or(path.clone(), |inner| archive.join(inner));
    match error {
        Error::ConfInvalid { path, problems } => Error::ConfInvalid { path: named(path), problems },
        Error::ConfUnreadable { path, why } => Error::ConfUnreadable { path: named(path), why },
        other => other,
    }
}
