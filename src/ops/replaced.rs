//! Versions that a package manager replaced with newer ones. Their sources and builds are kept, so that there is something to go
//! back to.
//!
//! They are in a tree of their own, where sources are directories. A version that comes back is registered with a link to there.

use crate::inspect::installed::is_whole;
use crate::model::{
    BuildId, BuildState, PackageId, PackageName, Result, SourceState, Target, compare_versions,
};
use crate::session::WriteSession;
use crate::system::files;
use crate::system::package_script::PackageScript;
use crate::tree::{Added, InstallRecord, Package};
use std::cmp::Reverse;
use std::path::Path;
use std::time::Duration;

/// How long what is kept waits for a version of its package.
const PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Keeps a version that an upgrade of its package is about to remove, if it was built for a kernel. What goes wrong is a warning,
/// because an upgrade does not depend on it. Tells whether it is kept.
pub(crate) fn keep_replaced(session: &WriteSession<'_>, id: &PackageId) -> bool {
    let package = session.tree().package(id.clone(), &session.settings.source_tree);
    let is_worth_it = |package: &Package| package.source == SourceState::Added && !package.builds.is_empty();
    let Some(package) = package.filter(|package| session.settings.keep_versions > 0 && is_worth_it(package))
    else {
        return false;
    };
    if comes_from_there(session, id) {
        return true;
    }
    let kept = keep(session, &package);
    if let Err(error) = &kept {
        session.system.console.warn(format!("{id} is not kept: {error}"));
    }
    kept.is_ok()
}

/// The copy is complete before it has its name.
fn keep(session: &WriteSession<'_>, package: &Package) -> Result<()> {
    let store = session.tree().replaced();
    let dir = store.name_dir(&package.id.name);
    files::create_dirs(&dir)?;
    files::remove_leftovers(&dir);
    let staged = files::temporary_dir(&dir, files::TEMPORARY)?;
    let kept = copy(session, package, &staged)
        .and_then(|()| Ok(files::publish_dir(&staged, &store.version_dir(&package.id))?))
        .and_then(|old| old.map_or(Ok(()), |old| Ok(files::remove_tree(&old)?)));
    if kept.is_err() {
        files::remove_tree(&staged)?;
    }
    kept
}

fn copy(session: &WriteSession<'_>, package: &Package, to: &Path) -> Result<()> {
    let tree = session.tree();
    files::copy_tree(&fs_err::canonicalize(tree.source(&package.id))?, &to.join("source"))?;
    for build in &package.builds {
        let id = BuildId::new(package.id.clone(), build.target.clone());
        if let Some(built) = tree.built(&id).filter(|built| is_whole(session, built)) {
            let place = to.join(build.target.release.as_str()).join(build.target.arch.as_str());
            files::copy_tree(built.dir(), &place)?;
            // What is installed does not come with it.
            InstallRecord::delete(&place)?;
        }
    }
    Ok(())
}

/// The versions of a package that are kept, from the one that was replaced last. After a downgrade that is not the highest.
fn versions(session: &WriteSession<'_>, name: &PackageName) -> Vec<PackageId> {
    let store = session.tree().replaced();
    let since =
        |id: &PackageId| fs_err::metadata(store.version_dir(id)).and_then(|data| data.modified()).ok();
    let found = store.versions_of(name, store.root()).into_iter().map(|package| package.id);
    let mut ids: Vec<PackageId> = found.collect();
    ids.sort_by_key(|id| Reverse(since(id)));
    ids
}

/// Of the versions that are kept and older than another one, the one that was replaced last.
#[must_use]
pub(crate) fn last_below(
    session: &WriteSession<'_>,
    newer: &PackageId,
    target: &Target,
) -> Option<PackageId> {
    let is_older = |id: &PackageId| compare_versions(id.version.as_str(), newer.version.as_str()).is_lt();
    let found = versions(session, &newer.name).into_iter().filter(|_| session.settings.keep_versions > 0);
    let mut found = found.filter(|id| is_older(id) && session.disabling(id, target).is_none());
    found.next()
}

/// Registers a version that is kept, with its builds for the kernels that are still here. One that is registered stays as it is.
///
/// # Errors
/// The tree cannot be written.
pub(crate) fn bring_back(session: &WriteSession<'_>, id: &PackageId) -> Result<Added> {
    if let Ok(added) = session.added(id) {
        return Ok(added);
    }
    let store = session.tree().replaced();
    let added = session.writer.register(id, &store.source(id))?;
    let builds = store.package(id.clone(), store.root()).map(|package| package.builds).unwrap_or_default();
    for build in builds {
        let build = BuildId::new(id.clone(), build.target);
        if session.kernel(&build.target.release).exists() && session.tree().built(&build).is_none() {
            let staged = session.writer.stage(&build)?;
            files::copy_tree(&store.out_dir(&build), &staged)?;
            session.writer.publish(&build, &staged)?;
        }
    }
    session.system.console.note(format!("{id}, which an upgrade had replaced, is registered again."));
    Ok(added)
}

/// Whether the source of a registered version is the one that is kept.
fn comes_from_there(session: &WriteSession<'_>, id: &PackageId) -> bool {
    // The tree may have been moved since, and be reached by a link: the text of the link does not tell.
    files::is_same_file(&session.tree().source(id), &session.tree().replaced().source(id))
}

/// Puts in order what is kept: versions that came back leave the tree when newer ones are installed and no kernel uses them any
/// more; and what is too much, or belongs to a package that has not been here for long, goes.
pub(crate) fn retire(session: &WriteSession<'_>) {
    let store = session.tree().replaced();
    if !store.root().is_dir() {
        return;
    }
    for name in store.names() {
        files::remove_leftovers(&store.name_dir(&name));
        let result = match session.tree().name_dir(&name).is_dir() {
            true => retire_versions(session, &name),
            false => drop_abandoned(session, &name),
        };
        if let Err(error) = result {
            session.system.console.warn(error.to_string());
        }
    }
}

fn retire_versions(session: &WriteSession<'_>, name: &PackageName) -> Result<()> {
    let store = session.tree().replaced();
    let registered = session.tree().versions_of(name, &session.settings.source_tree);
    let is_used = |id: &PackageId| {
        let package = registered.iter().find(|package| package.id == *id);
        package.is_some_and(|package| package.builds.iter().any(|build| build.state == BuildState::Installed))
    };
    // The same version may come again by its package. Then the copy waits until that works.
    let (again, kept): (Vec<_>, Vec<_>) = versions(session, name)
        .into_iter()
        .partition(|id| registered.iter().any(|package| package.id == *id) && !comes_from_there(session, id));
    again.iter().filter(|id| is_used(id)).try_for_each(|id| files::remove_tree(&store.version_dir(id)))?;
    let is_back = |id: &PackageId| kept.contains(id) && comes_from_there(session, id);
    if registered.iter().any(|package| is_used(&package.id) && !is_back(&package.id)) {
        kept.iter().filter(|id| is_back(id) && !is_used(id)).try_for_each(|id| unregister(session, id))?;
    }
    let surplus = kept.iter().skip(session.settings.keep_versions);
    for id in surplus.filter(|id| !comes_from_there(session, id)) {
        files::remove_tree(&store.version_dir(id))?;
    }
    Ok(())
}

/// Between the two halves of an upgrade a package has no version in the tree. What is left longer was forgotten by its scripts.
fn drop_abandoned(session: &WriteSession<'_>, name: &PackageName) -> Result<()> {
    let dir = session.tree().replaced().name_dir(name);
    let age = fs_err::metadata(&dir)?.modified()?.elapsed().unwrap_or_default();
    if age > PATIENCE { Ok(files::remove_tree(&dir)?) } else { Ok(()) }
}

/// Deletes the builds of a version that no kernel uses, and its place in the tree.
fn unregister(session: &WriteSession<'_>, id: &PackageId) -> Result<()> {
    let package = session.tree().package(id.clone(), &session.settings.source_tree);
    for build in package.map(|package| package.builds).unwrap_or_default() {
        if let Some(built) = session.tree().built(&BuildId::new(id.clone(), build.target)) {
            session.writer.discard(built)?;
        }
    }
    session.writer.forget(id).map(|_| ())
}

/// After a version was removed what is kept of it goes; where its package is gone, what is kept of all versions. First the
/// versions that came back have to be removed with it: returns the next one.
pub(crate) fn follow_removal(
    session: &WriteSession<'_>,
    removed: &PackageId,
    script: Option<PackageScript>,
) -> Option<PackageId> {
    let store = session.tree().replaced();
    let registered = session.tree().versions_of(&removed.name, &session.settings.source_tree);
    let is_last = || registered.iter().all(|package| comes_from_there(session, &package.id));
    let gone = match (script, registered.first()) {
        // It has just been put there.
        (Some(PackageScript::Upgrade), _) => return None,
        (Some(PackageScript::Removal), Some(next)) if is_last() => return Some(next.id.clone()),
        (_, None) => store.name_dir(&removed.name),
        (_, Some(_)) => store.version_dir(removed),
    };
    if gone.is_dir() {
        if let Err(error) = files::remove_tree(&gone) {
            session.system.console.warn(error.to_string());
        }
        files::remove_empty_dir(&store.name_dir(&removed.name));
    }
    None
}

/// Before another dkms takes over, which would never delete what is kept: only sources that registered versions need stay.
///
/// # Errors
/// Something cannot be deleted.
pub(crate) fn hand_back(session: &WriteSession<'_>) -> Result<()> {
    let store = session.tree().replaced();
    let kept = store.scan(store.root()).packages.into_iter().map(|package| package.id);
    for id in kept.filter(|id| !comes_from_there(session, id)) {
        files::remove_tree(&store.version_dir(&id))?;
        files::remove_empty_dir(&store.name_dir(&id.name));
    }
    files::remove_empty_dir(store.root());
    Ok(())
}
