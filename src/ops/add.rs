//! Adds a package to the tree: from the source tree by name, or from any directory, which is copied there first.

use crate::archive::source::{self, AddOptions, link_source, require_writable_sources};
use crate::archive::tarball::load;
use crate::conf::{Script, Strictness};
use crate::inspect::subject::{identify, resolve};
use crate::model::{BuildId, Error, PackageId, Result, Target};
use crate::plan::request::Subject;
use crate::programs::environment::environment_of;
use crate::programs::scripts::{run_post_script, run_script};
use crate::session::WriteSession;
use crate::system::files;
use crate::system::fingerprint::{Comparison, Fingerprint};
use crate::tree::Added;
use std::path::{Path, PathBuf};

/// The action `add`. POST_ADD's failure is the action's, and the package stays added.
///
/// # Errors
/// The package is there already, its source is missing, its dkms.conf is invalid, or nothing can be written.
pub(crate) fn add(
    session: &WriteSession<'_>,
    subject: &Subject,
    options: AddOptions<'_>,
    target: &Target,
) -> Result<Added> {
    let registered = register(session, subject, options, target);
    if options.safe_upgrade {
        mark_upgrade(session, &registered);
    }
    let (added, post_add) = registered?;
    let Some(line) = post_add else { return Ok(added) };
    let status = run_script(session, added.id(), Script::PostAdd, &line, None)?;
    if status.success() {
        Ok(added)
    } else {
        Err(Error::ScriptFailed { script: "POST_ADD", status: status.code().max(1), log: None })
    }
}

/// Notes the addition, also of a package that was there: rpm adds the new one before it removes the old one.
fn mark_upgrade(session: &WriteSession<'_>, registered: &Result<(Added, Option<String>)>) {
    let id = match registered {
        Ok((added, _)) => added.id(),
        Err(Error::AlreadyAdded(id)) => id,
        Err(_) => return,
    };
    if let Err(error) = session.writer.mark_upgrade(id, &session.system.moment()) {
        session
            .system
            .console
            .warn(format!("The removal of {id} in this transaction will not be skipped: {error}"));
    }
}

/// The package of a subject, added if it is not. A directory or a tarball is always an addition: that its package is there
/// already is an error that callers test for. Forced, a directory's content becomes the source of the package that is there.
///
/// # Errors
/// Those of `add`, but not POST_ADD's.
pub(crate) fn ensure_added(
    session: &WriteSession<'_>,
    subject: &Subject,
    options: AddOptions<'_>,
    target: &Target,
) -> Result<Added> {
    if let Subject::Package(id) = subject {
        match session.added(id) {
            // A version that stepped in is still what an upgrade replaced; here it comes by its package.
            Ok(_) if !session.system.is_by_hand() && comes_again(session, id) => {}
            Ok(added) => return Ok(added),
            Err(error @ Error::Broken { .. }) => return Err(error),
            Err(_) => {}
        }
    }
    if let (Subject::Directory(dir), true) = (subject, options.force) {
        let id = identify(session, subject, target)?;
        if let Ok(added) = session.added(&id) {
            if !session.tree().is_replaced(&id) {
                take_over(session, &resolve(dir)?, &id, options, target)?;
                return Ok(added);
            }
        }
    }
    if let (Subject::Directory(dir), true) = (subject, options.same_content) {
        let id = identify(session, subject, target)?;
        if let Ok(added) = session.added(&id) {
            if has_content_of(added.source(), &resolve(dir)?) {
                return Ok(added);
            }
        }
    }
    let (added, post_add) = register(session, subject, options, target)?;
    if let Some(line) = post_add {
        let build = BuildId::new(added.id().clone(), target.clone());
        let environment = environment_of(session, &build);
        run_post_script(session, added.id(), Script::PostAdd, &line, Some(&environment));
    }
    Ok(added)
}

/// Whether the source of a version that stepped in is in the source tree again.
fn comes_again(session: &WriteSession<'_>, id: &PackageId) -> bool {
    session.tree().is_replaced(id) && session.source_dir(id).join("dkms.conf").is_file()
}

fn has_content_of(source: &Path, dir: &Path) -> bool {
    let same = |print: Fingerprint| print.compare(&[source.to_owned()]);
    Fingerprint::take(&[dir.to_owned()]).and_then(same).is_ok_and(|found| found != Comparison::Different)
}

/// Checks everything, then copies, then links: a refused package changes nothing.
fn register(
    session: &WriteSession<'_>,
    subject: &Subject,
    options: AddOptions<'_>,
    target: &Target,
) -> Result<(Added, Option<String>)> {
    if let Subject::Archive(archive) = subject {
        return load(session, archive, options, target);
    }
    let id = identify(session, subject, target)?;
    if session.tree().is_added(&id, &session.settings.source_tree) {
        return Err(Error::AlreadyAdded(id));
    }
    let source_dir = session.source_dir(&id);
    let import = match subject {
        Subject::Directory(dir) => needs_copy(session, &resolve(dir)?, &id, &source_dir)?,
        Subject::Package(_) | Subject::Archive(_) => None,
    };
    if import.is_none() && !source_dir.is_dir() {
        return Err(Error::SourceMissing { path: source_dir });
    }
    let own_conf = import.as_deref().unwrap_or(&source_dir).join("dkms.conf");
    let conf = session.conf(&id, options.conf.unwrap_or(&own_conf), target, Strictness::Strict)?;
    session.tell_about(&conf, &id);
    let is_new = import.is_some() && source_dir.symlink_metadata().is_err();
    if let Some(dir) = import {
        source::import(session, &dir, &source_dir, options.force)?;
    }
    let added = match link_source(session, &id, &source_dir) {
        Ok(added) => added,
        Err(error) => {
            if is_new {
                files::remove_tree(&source_dir)?;
            }
            return Err(error);
        }
    };
    Ok((added, conf.script(Script::PostAdd).map(str::to_owned)))
}

/// Makes a directory's content the source of a package that is added, unless it is that already.
fn take_over(
    session: &WriteSession<'_>,
    dir: &Path,
    id: &PackageId,
    options: AddOptions<'_>,
    target: &Target,
) -> Result<()> {
    let source_dir = session.source_dir(id);
    let Some(dir) = needs_copy(session, dir, id, &source_dir)? else { return Ok(()) };
    let own_conf = dir.join("dkms.conf");
    session.conf(id, options.conf.unwrap_or(&own_conf), target, Strictness::Strict)?;
    source::import(session, &dir, &source_dir, true)?;
    session.system.console.say(format!("Copied {} to {}.", dir.display(), source_dir.display()));
    Ok(())
}

/// The directory to copy from, unless it is the package's place in one of the trees already.
fn needs_copy(
    session: &WriteSession<'_>,
    dir: &Path,
    id: &PackageId,
    source_dir: &Path,
) -> Result<Option<PathBuf>> {
    let real = |path: PathBuf| fs_err::canonicalize(&path).unwrap_or(path);
    let own = [source_dir.to_owned(), session.tree().source(id), session.tree().build_dir(id)];
    if own.into_iter().any(|place| real(place) == dir) {
        return Ok(None);
    }
    if real(session.settings.source_tree.clone()).starts_with(dir) {
        return Err(Error::HoldsSourceTree { dir: dir.to_owned() });
    }
    require_writable_sources(session)?;
    Ok(Some(dir.to_owned()))
}
