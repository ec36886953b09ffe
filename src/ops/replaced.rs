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
use crate::system::package_script::{PackageScript, package_script};
use crate::tree::{Added, InstallRecord, Package};
use std::cmp::Reverse;
use std::path::Path;
use std::time::Duration;

/// How long what is kept waits for a version of its package.
const PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Keeps a version that an upgrade of its package is about to remove, if a kernel uses it. What goes wrong is a warning, because
/// an upgrade does not depend on it. Tells whether it is kept.
pub(crate) fn keep_replaced(session: &WriteSession<'_>, id: &PackageId) -> bool {
    if session.settings.keep_versions == 0 || package_script() != Some(PackageScript::Upgrade) {
        return false;
    }
    let package = session.tree().package(id.clone(), &session.settings.source_tree);
    let Some(package) = package.filter(|package| package.source == SourceState::Added && is_used(package))
    else {
        return false;
    };
    if comes_from_there(session, id) {
        return true;
    }
    if let Err(error) = keep(session, &package) {
        session.system.console.warn(format!("{id} is not kept: {error}"));
        return false;
    }
    drop_surplus(session, &id.name);
    true
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

/// The versions of a package that are kept, the newest first.
fn versions(session: &WriteSession<'_>, name: &PackageName) -> Vec<Package> {
    let store = session.tree().replaced();
    if !store.name_dir(name).is_dir() {
        return Vec::new();
    }
    let found = store.scan(store.root());
    found.versions(name).into_iter().cloned().collect()
}

/// The newest version that is kept and older than another one.
#[must_use]
pub(crate) fn newest_below(
    session: &WriteSession<'_>,
    newer: &PackageId,
    target: &Target,
) -> Option<PackageId> {
    let is_older = |id: &PackageId| compare_versions(id.version.as_str(), newer.version.as_str()).is_lt();
    let found = versions(session, &newer.name).into_iter().map(|package| package.id);
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

/// The registered versions of a package that came back.
fn back_again(session: &WriteSession<'_>, name: &PackageName) -> Vec<PackageId> {
    let found = versions(session, name).into_iter().map(|package| package.id);
    found.filter(|id| comes_from_there(session, id)).collect()
}

/// Puts in order what is kept: versions that came back leave the tree when newer ones are installed and no kernel uses them any
/// more; and what belongs to a package that has not been here for long goes.
pub(crate) fn retire(session: &WriteSession<'_>) {
    let store = session.tree().replaced();
    if !store.root().is_dir() {
        return;
    }
    let kept = store.scan(store.root());
    for name in kept.names() {
        files::remove_leftovers(&store.name_dir(name));
        let result = match session.tree().name_dir(name).is_dir() {
            true => retire_followed(session, name),
            false => drop_abandoned(session, name),
        };
        if let Err(error) = result {
            session.system.console.warn(error.to_string());
        }
    }
}

fn retire_followed(session: &WriteSession<'_>, name: &PackageName) -> Result<()> {
    let store = session.tree().replaced();
    for package in versions(session, name) {
        // The same version came again by its package.
        if session.added(&package.id).is_ok() && !comes_from_there(session, &package.id) {
            files::remove_tree(&store.version_dir(&package.id))?;
        }
    }
    let back = back_again(session, name);
    if back.is_empty() {
        return Ok(());
    }
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let versions = snapshot.versions(name);
    let used: Vec<&PackageId> =
        versions.iter().filter(|package| is_used(package)).map(|package| &package.id).collect();
    if used.iter().any(|id| !back.contains(id)) {
        back.iter().filter(|id| !used.contains(id)).try_for_each(|id| unregister(session, id))?;
    }
    Ok(())
}

/// Between the two halves of an upgrade a package has no version in the tree. What is left longer was forgotten by its scripts.
fn drop_abandoned(session: &WriteSession<'_>, name: &PackageName) -> Result<()> {
    let dir = session.tree().replaced().name_dir(name);
    let age = fs_err::metadata(&dir)?.modified()?.elapsed().unwrap_or_default();
    if age > PATIENCE { Ok(files::remove_tree(&dir)?) } else { Ok(()) }
}

fn is_used(package: &Package) -> bool {
    package.builds.iter().any(|build| build.state == BuildState::Installed)
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

/// After a version was removed: the versions that are to be removed with it, because their package is gone, and what is kept of
/// them goes.
pub(crate) fn follow_removal(session: &WriteSession<'_>, removed: &PackageId) -> Vec<PackageId> {
    let store = session.tree().replaced();
    let script = package_script();
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let back = back_again(session, &removed.name);
    let is_last = snapshot.versions(&removed.name).iter().all(|package| back.contains(&package.id));
    if script == Some(PackageScript::Removal) && is_last && !back.is_empty() {
        return back;
    }
    let is_empty = snapshot.versions(&removed.name).is_empty();
    let gone = if is_empty { store.name_dir(&removed.name) } else { store.version_dir(removed) };
    // During an upgrade it has just been put there.
    if script != Some(PackageScript::Upgrade) && gone.is_dir() {
        if let Err(error) = files::remove_tree(&gone) {
            session.system.console.warn(error.to_string());
        }
        files::remove_empty_dir(&store.name_dir(&removed.name));
    }
    Vec::new()
}

/// Deletes what is kept beyond the number that the administrator wants, the longest kept first; what is in use stays. After a
/// downgrade the version that was in use last is not the highest.
fn drop_surplus(session: &WriteSession<'_>, name: &PackageName) {
    let store = session.tree().replaced();
    let since =
        |id: &PackageId| fs_err::metadata(store.version_dir(id)).and_then(|data| data.modified()).ok();
    let mut ids: Vec<PackageId> = versions(session, name).into_iter().map(|package| package.id).collect();
    ids.sort_by_key(|id| Reverse(since(id)));
    let surplus = ids.into_iter().skip(session.settings.keep_versions);
    for id in surplus.filter(|id| !comes_from_there(session, id)) {
        if let Err(error) = files::remove_tree(&store.version_dir(&id)) {
            session.system.console.warn(error.to_string());
        }
    }
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
