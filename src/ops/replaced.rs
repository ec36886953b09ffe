//! Versions that a package manager replaced with newer ones. Their sources and builds are kept, so that there is something to go
//! back to.
//!
//! They are in a tree of their own, where sources are directories. A version that comes back is registered with a link to there.

use crate::conf::Strictness;
use crate::inspect::installed::is_whole;
use crate::model::{BuildId, BuildState, PackageId, PackageName, Result, SourceState, Target};
use crate::plan::buildable;
use crate::session::WriteSession;
use crate::system::files;
use crate::system::package_script::PackageScript;
use crate::tree::{Added, Built, InstallRecord, Package};
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
    if session.tree().is_replaced(id) {
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
    for built in package.builds.iter().filter_map(|build| tree.built(&package.build_id(&build.target))) {
        if is_whole(session, &built) {
            copy_build(&built, to)?;
        }
    }
    // A script that removes it for one kernel after the other comes here again, with less each time.
    let before = tree.replaced().package(package.id.clone(), tree.replaced().root());
    for build in before.iter().flat_map(|before| &before.builds) {
        if package.state(&build.target).is_none()
            && let Some(built) = tree.replaced().built(&package.build_id(&build.target))
        {
            copy_build(&built, to)?;
        }
    }
    Ok(())
}

fn copy_build(built: &Built, to: &Path) -> Result<()> {
    let target = &built.id().target;
    let place = to.join(target.release.as_str()).join(target.arch.as_str());
    files::copy_tree(built.dir(), &place)?;
    // What is installed does not come with it.
    InstallRecord::delete(&place)?;
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

/// The versions that are kept and would be installed for a kernel, from the one that was replaced last.
pub(crate) fn usable<'a>(
    session: &'a WriteSession<'_>,
    name: &PackageName,
    target: &'a Target,
) -> impl Iterator<Item = PackageId> + use<'a> {
    let found = versions(session, name).into_iter().filter(|_| session.settings.keep_versions > 0);
    found.filter(|id| session.disabling(id, target).is_none() && wants(session, id, target))
}

fn wants(session: &WriteSession<'_>, id: &PackageId, target: &Target) -> bool {
    let conf = session.conf(id, &session.tree().replaced().conf_path(id), target, Strictness::Lenient);
    let kernel = session.kernel(&target.release);
    conf.is_ok_and(|conf| buildable(&conf, target, kernel.config()).package.is_none())
}

/// Registers a version that is kept, with its builds for the kernels that are still here. One that is registered stays as it is.
///
/// # Errors
/// The tree cannot be written.
pub(crate) fn bring_back(session: &WriteSession<'_>, id: &PackageId) -> Result<Added> {
    if let Ok(added) = session.added(id) {
        return Ok(added);
    }
    let added = restore(session, id, &session.tree().replaced().source(id))?;
    session.system.console.note(format!("{id}, which an upgrade had replaced, is registered again."));
    Ok(added)
}

fn restore(session: &WriteSession<'_>, id: &PackageId, source: &Path) -> Result<Added> {
    let store = session.tree().replaced();
    let added = session.writer.register(id, source)?;
    let builds = store.package(id.clone(), store.root()).map(|package| package.builds).unwrap_or_default();
    for build in builds {
        let build = BuildId::new(id.clone(), build.target);
        if session.kernel(&build.target.release).exists() && session.tree().built(&build).is_none() {
            let staged = session.writer.stage(&build)?;
            files::copy_tree(&store.out_dir(&build), &staged)?;
            session.writer.publish(&build, &staged)?;
        }
    }
    Ok(added)
}

/// Registers versions that an upgrade removed and did not replace: it was given up, and no script of the package registered them
/// again. Only where no upgrade can be under way.
pub(crate) fn take_up_given_up(session: &WriteSession<'_>) {
    let store = session.tree().replaced();
    for name in store.names().into_iter().filter(|name| !session.tree().name_dir(name).is_dir()) {
        let mut found = versions(session, &name).into_iter();
        let Some(id) = found.find(|id| session.source_dir(id).join("dkms.conf").is_file()) else { continue };
        match restore(session, &id, &session.source_dir(&id)) {
            Ok(_) => session.system.console.note(format!(
                "{id} is registered again: an upgrade removed it, and brought no other version."
            )),
            Err(error) => session.tell(&error),
        }
    }
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
    let (again, kept): (Vec<_>, Vec<_>) = versions(session, name).into_iter().partition(|id| {
        registered.iter().any(|package| package.id == *id) && !session.tree().is_replaced(id)
    });
    again.iter().filter(|id| is_used(id)).try_for_each(|id| files::remove_tree(&store.version_dir(id)))?;
    let is_back = |id: &PackageId| kept.contains(id) && session.tree().is_replaced(id);
    // Without its place in the tree it would be forgotten that it does not build, and each run would try it.
    let is_lacking = |target: &Target| {
        session.kernel(&target.release).exists() && session.tree().active(name, target).is_none()
    };
    let has_failed =
        |id: &PackageId| session.tree().failures(id).iter().any(|(target, ..)| is_lacking(target));
    if registered.iter().any(|package| is_used(&package.id) && !is_back(&package.id)) {
        let useless = kept.iter().filter(|id| is_back(id) && !is_used(id) && !has_failed(id));
        useless.into_iter().try_for_each(|id| unregister(session, id))?;
    }
    let surplus = kept.iter().skip(session.settings.keep_versions);
    for id in surplus.filter(|id| !session.tree().is_replaced(id)) {
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
    let is_last = || registered.iter().all(|package| session.tree().is_replaced(&package.id));
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
    for id in kept.filter(|id| !session.tree().is_replaced(id)) {
        files::remove_tree(&store.version_dir(&id))?;
        files::remove_empty_dir(&store.name_dir(&id.name));
    }
    files::remove_empty_dir(store.root());
    Ok(())
}
