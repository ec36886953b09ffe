//! Versions that a package manager replaced with newer ones. Their sources and builds are kept, so that there is something to go
//! back to.
//!
//! They are in a tree of their own, where sources are directories. A version that comes back is registered with a link to there.
//! A build with an installation record was in use on its kernel.

use crate::conf::{PackageConf, Strictness};
use crate::inspect::installed::is_whole;
use crate::model::{
    BuildId, BuildState, PackageId, PackageName, PackageVersion, Result, SourceState, Target,
    compare_versions,
};
use crate::plan::buildable;
use crate::session::WriteSession;
use crate::system::package_script::PackageScript;
use crate::system::{dir, files};
use crate::tree::{Added, Build, Built, InstallRecord, Package, Tree};
use std::cmp::Reverse;
use std::path::Path;
use std::time::Duration;

/// How long what is kept waits for a version of its package.
const PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Keeps a version that an upgrade of its package is about to remove, if it was built for a kernel. What goes wrong is a warning,
/// because an upgrade does not depend on it. `in_use`: whether what is installed now stays in use where nothing newer works.
pub(crate) fn keep_replaced(session: &WriteSession<'_>, id: &PackageId, in_use: bool) {
    let package = session.tree().package(id.clone(), &session.settings.source_tree);
    // One that was left for an older version, as by dkms rollback, is nothing to go back to.
    let is_wanted = |build: &Build| session.disabling(id, &build.target).is_none();
    let is_worth_it =
        |package: &Package| package.source == SourceState::Added && package.builds.iter().any(is_wanted);
    let Some(package) = package.filter(|package| session.settings.keep_versions > 0 && is_worth_it(package))
    else {
        return;
    };
    let kept = match session.tree().is_replaced(id) {
        true => add_builds(session, &package, in_use),
        false => keep(session, &package, in_use),
    };
    if let Err(error) = kept {
        session.system.console.warn(format!("{id} is not kept: {error}"));
    }
}

/// The copy is complete before it has its name.
fn keep(session: &WriteSession<'_>, package: &Package, in_use: bool) -> Result<()> {
    let store = session.tree().replaced();
    let dir = store.name_dir(&package.id.name);
    files::create_dirs(&dir)?;
    files::remove_leftovers(&dir);
    let staged = files::temporary_dir(&dir, files::TEMPORARY)?;
    let kept = copy(session, package, &staged, in_use)
        .and_then(|()| Ok(files::publish_dir(&staged, &store.version_dir(&package.id))?))
        .and_then(|old| old.map_or(Ok(()), |old| Ok(files::remove_tree(&old)?)));
    if kept.is_err() {
        files::remove_tree(&staged)?;
    }
    kept
}

fn copy(session: &WriteSession<'_>, package: &Package, to: &Path, in_use: bool) -> Result<()> {
    let source = fs_err::canonicalize(session.tree().source(&package.id))?;
    files::copy_tree(&source, &to.join("source"))?;
    let now = worth_keeping(session, package);
    // A script that removes it for one kernel after the other comes here again, with less each time; and so does one that was
    // killed.
    let store = session.tree().replaced();
    let before = store.package(package.id.clone(), store.root()).map(|package| package.builds);
    for (built, is_installed) in &now {
        let was_in_use = in_use_before(session, built.id()).is_some();
        copy_build(built, &place(to, &built.id().target), in_use && *is_installed || was_in_use)?;
    }
    for build in before.into_iter().flatten().map(|build| package.build_id(&build.target)) {
        if now.iter().all(|(built, _)| *built.id() != build) {
            if let Some(built) = store.built(&build) {
                let was_in_use = in_use_before(session, &build).is_some();
                copy_build(&built, &place(to, &build.target), was_in_use)?;
            }
        }
    }
    Ok(())
}

/// The builds of a registered version that are whole, and whether each is installed.
fn worth_keeping(session: &WriteSession<'_>, package: &Package) -> Vec<(Built, bool)> {
    let built = |build: &Build| {
        let built = session.tree().built(&package.build_id(&build.target))?;
        is_whole(session, &built).then_some((built, build.state == BuildState::Installed))
    };
    package.builds.iter().filter_map(built).collect()
}

/// Adds what was built since a version came back.
fn add_builds(session: &WriteSession<'_>, package: &Package, in_use: bool) -> Result<()> {
    let store = session.tree().replaced();
    let dir = store.version_dir(&package.id);
    files::remove_leftovers(&dir);
    for (built, is_installed) in worth_keeping(session, package) {
        let in_use = in_use && is_installed;
        let is_there = store.built(built.id()).is_some();
        if is_there && (!in_use || in_use_before(session, built.id()).is_some()) {
            continue;
        }
        add_build(&built, &dir, &store.out_dir(built.id()), in_use)?;
    }
    Ok(())
}

fn add_build(built: &Built, dir: &Path, place: &Path, in_use: bool) -> Result<()> {
    let staged = files::temporary_dir(dir, files::TEMPORARY)?;
    let added = copy_build(built, &staged, in_use)
        .and_then(|()| Ok(files::create_dirs(place.parent().unwrap_or(dir))?))
        .and_then(|()| Ok(files::publish_dir(&staged, place)?))
        .and_then(|old| old.map_or(Ok(()), |old| Ok(files::remove_tree(&old)?)));
    if added.is_err() {
        files::remove_tree(&staged)?;
    }
    added
}

fn place(top: &Path, target: &Target) -> std::path::PathBuf {
    top.join(target.release.as_str()).join(target.arch.as_str())
}

fn copy_build(built: &Built, to: &Path, in_use: bool) -> Result<()> {
    files::copy_tree(built.dir(), to)?;
    // Which files it had is of no use later.
    if in_use { InstallRecord::new(Vec::new(), Vec::new()).write(to) } else { InstallRecord::delete(to) }
}

/// The build that is kept of a version, if its kernel used it when it was replaced.
pub(super) fn in_use_before(session: &WriteSession<'_>, build: &BuildId) -> Option<Built> {
    let built = session.tree().replaced().built(build)?;
    InstallRecord::read(built.dir()).is_some().then_some(built)
}

/// The versions of a package that are kept, from the one that was replaced last. After a downgrade that is not the highest.
pub(super) fn versions(session: &WriteSession<'_>, name: &PackageName) -> Vec<PackageId> {
    let store = session.tree().replaced();
    let since =
        |id: &PackageId| fs_err::metadata(store.version_dir(id)).and_then(|data| data.modified()).ok();
    let mut found = store.versions_of(name, store.root());
    found.sort_by_cached_key(|package| Reverse(since(&package.id)));
    found.into_iter().map(|package| package.id).collect()
}

/// The kernels that are here and used a version when it was replaced.
pub(super) fn targets_in_use(session: &WriteSession<'_>, id: &PackageId) -> Vec<Target> {
    let store = session.tree().replaced();
    let builds = store.package(id.clone(), store.root()).map(|package| package.builds).unwrap_or_default();
    let targets = builds.into_iter().map(|build| build.target);
    let is_in_use = |target: &Target| {
        session.kernel(&target.release).exists()
            && in_use_before(session, &BuildId::new(id.clone(), target.clone())).is_some()
    };
    targets.filter(is_in_use).collect()
}

/// The versions that are kept and may be compiled for a kernel, in their order.
pub(crate) fn usable<'a>(
    session: &'a WriteSession<'_>,
    name: &PackageName,
    target: &'a Target,
) -> impl Iterator<Item = PackageId> + use<'a> {
    let found = versions(session, name).into_iter().filter(|_| session.settings.keep_versions > 0);
    let is_wanted =
        |id: &PackageId| kept_conf(session, id, target).is_ok_and(|conf| wants(session, &conf, target));
    found.filter(move |id| session.disabling(id, target).is_none() && is_wanted(id))
}

/// What the dkms.conf of a version says that is kept.
pub(super) fn kept_conf(session: &WriteSession<'_>, id: &PackageId, target: &Target) -> Result<PackageConf> {
    session.conf(id, &session.tree().replaced().conf_path(id), target, Strictness::Lenient)
}

/// Whether a kernel is one that a version is for.
pub(super) fn wants(session: &WriteSession<'_>, conf: &PackageConf, target: &Target) -> bool {
    buildable(conf, target, session.kernel(&target.release).config()).package.is_none()
}

/// Registers a version that is kept, with its builds for the kernels that are still here. One that was added by itself stays as
/// it is.
///
/// # Errors
/// The tree cannot be written.
pub(crate) fn bring_back(session: &WriteSession<'_>, id: &PackageId) -> Result<Added> {
    match session.added(id) {
        Ok(added) if !session.tree().is_replaced(id) => return Ok(added),
        Ok(added) => return give_back_all(session, id).map(|()| added),
        Err(_) => {}
    }
    let added = register(session, id, &session.tree().replaced().source(id))?;
    session.system.console.note(format!("{id}, which an upgrade had replaced, is registered again."));
    Ok(added)
}

fn register(session: &WriteSession<'_>, id: &PackageId, source: &Path) -> Result<Added> {
    let added = session.writer.register(id, source)?;
    if let Err(error) = give_back_all(session, id) {
        // Without its builds it would be compiled.
        session.writer.forget(id)?;
        return Err(error);
    }
    Ok(added)
}

fn give_back_all(session: &WriteSession<'_>, id: &PackageId) -> Result<()> {
    let store = session.tree().replaced();
    let builds = store.package(id.clone(), store.root()).map(|package| package.builds).unwrap_or_default();
    for target in builds.into_iter().map(|build| build.target) {
        if session.kernel(&target.release).exists() {
            give_back(session, &BuildId::new(id.clone(), target))?;
        }
    }
    Ok(())
}

/// What is kept of a package, without a look into it.
fn names_of_versions(store: &Tree, name: &PackageName) -> Vec<PackageId> {
    let entries = dir::entries(store.name_dir(name)).into_iter();
    let versions = entries.filter_map(|entry| PackageVersion::new(entry.file_name().to_str()?).ok());
    versions.map(|version| PackageId::new(name.clone(), version)).collect()
}

/// Gives versions that came back what a run that was killed did not give them, before it is compiled.
pub(super) fn complete(session: &WriteSession<'_>, target: &Target) {
    let store = session.tree().replaced();
    for id in store.names().iter().flat_map(|name| names_of_versions(&store, name)) {
        if session.tree().is_replaced(&id) {
            if let Err(error) = give_back(session, &BuildId::new(id, target.clone())) {
                session.tell(&error);
            }
        }
    }
}

/// The build of a registered version, taken from what is kept where the tree has none.
pub(super) fn give_back(session: &WriteSession<'_>, build: &BuildId) -> Result<Option<Built>> {
    if let Some(built) = session.tree().built(build) {
        return Ok(Some(built));
    }
    let kept = session.tree().replaced().built(build).filter(|kept| is_whole(session, kept));
    let Some(kept) = kept else { return Ok(None) };
    let staged = session.writer.stage(build)?;
    files::copy_tree(kept.dir(), &staged)?;
    InstallRecord::delete(&staged)?;
    Ok(Some(session.writer.publish(build, &staged)?.0))
}

/// Registers versions that an upgrade removed and did not replace: it was given up, or the new version cannot be used, and no
/// script of the package registered anything. Only where no upgrade can be under way.
pub(crate) fn take_up_given_up(session: &WriteSession<'_>) {
    if session.settings.keep_versions == 0 {
        return;
    }
    for name in given_up(session.tree()) {
        let mut kept = versions(session, &name);
        kept.retain(|id| !targets_in_use(session, id).is_empty());
        // Its package may be here as before.
        let own = kept.iter().find(|id| session.source_dir(id).join("dkms.conf").is_file());
        let registered = match (own, kept.first()) {
            (Some(id), _) => register(session, id, &session.source_dir(id)).map(|_| {
                session.system.console.note(format!(
                    "{id} is registered again: an upgrade removed it, and brought no other version."
                ));
            }),
            (None, Some(id)) => bring_back(session, id).map(|_| ()),
            (None, None) => Ok(()),
        };
        if let Err(error) = registered {
            session.tell(&error);
        }
    }
}

/// Packages of which versions are kept and none is registered. Reads little, and needs no lock.
#[must_use]
pub(crate) fn given_up(tree: &Tree) -> Vec<PackageName> {
    let mut names = tree.replaced().names();
    names.retain(|name| !is_registered(tree, name));
    names
}

fn is_registered(tree: &Tree, name: &PackageName) -> bool {
    let versions = names_of_versions(tree, name);
    versions.iter().any(|id| tree.source(id).symlink_metadata().is_ok() || tree.has_builds(id))
}

/// Forgets that kernels used versions of a package: it makes room for another one.
pub(crate) fn forget_use(session: &WriteSession<'_>, name: &PackageName) {
    for id in versions(session, name) {
        for target in targets_in_use(session, &id) {
            forget_use_of(session, &BuildId::new(id.clone(), target));
        }
    }
}

/// Forgets that kernels used what they have a newer version of now: that is what they used last.
pub(crate) fn forget_superseded<'a>(
    session: &WriteSession<'_>,
    names: impl IntoIterator<Item = &'a PackageName>,
) {
    let store = session.tree().replaced();
    for id in names.into_iter().flat_map(|name| names_of_versions(&store, name)) {
        for target in targets_in_use(session, &id) {
            let active = session.tree().active(&id.name, &target).map(|active| active.id().package.clone());
            if active.is_some_and(|active| active != id && !session.tree().is_replaced(&active)) {
                forget_use_of(session, &BuildId::new(id.clone(), target));
            }
        }
    }
}

/// Forgets that a kernel used a build: a person took it away.
pub(crate) fn forget_use_of(session: &WriteSession<'_>, build: &BuildId) {
    if let Some(kept) = session.tree().replaced().built(build) {
        if let Err(error) = InstallRecord::delete(kept.dir()) {
            session.system.console.warn(error.to_string());
        }
    }
}

/// Puts in order what is kept: versions that came back leave the tree when newer ones are installed and no kernel uses them any
/// more; and what is too much, or belongs to a package that has not been here for long, goes. `has_changed`: whether this run
/// installed something.
pub(crate) fn retire(session: &WriteSession<'_>, has_changed: bool) {
    let store = session.tree().replaced();
    if !store.root().is_dir() {
        return;
    }
    for name in store.names() {
        let kept = names_of_versions(&store, &name);
        if !has_changed
            && kept.len() <= session.settings.keep_versions
            && is_registered(session.tree(), &name)
            && !kept.iter().any(|id| session.tree().is_replaced(id))
        {
            continue;
        }
        files::remove_leftovers(&store.name_dir(&name));
        let result = match session.tree().versions_of(&name, &session.settings.source_tree) {
            registered if registered.is_empty() => drop_abandoned(session, &name),
            registered => retire_versions(session, &name, &registered),
        };
        if let Err(error) = result {
            session.system.console.warn(error.to_string());
        }
    }
}

fn retire_versions(session: &WriteSession<'_>, name: &PackageName, registered: &[Package]) -> Result<()> {
    let store = session.tree().replaced();
    let found = |id: &PackageId| registered.iter().find(|package| package.id == *id);
    let is_installed = |build: &Build| build.state == BuildState::Installed;
    let is_used = |id: &PackageId| found(id).is_some_and(|package| package.builds.iter().any(is_installed));
    let is_lacking = |target: &Target| {
        session.kernel(&target.release).exists() && session.tree().active(name, target).is_none()
    };
    // A kernel that has none yet may want what it had.
    let is_needed = |id: &PackageId| targets_in_use(session, id).iter().any(is_lacking);
    // While no version builds for a kernel, those that were tried there keep their places: what is not in the tree is forgotten, and
    // would be tried again in each run.
    let has_failed = |package: &Package| {
        session.tree().failures(&package.id).iter().any(|(target, ..)| is_lacking(target))
    };
    let is_waiting = registered.iter().any(has_failed);
    let has_spare_build = |id: &PackageId| {
        found(id).is_some_and(|package| package.builds.iter().any(|build| is_lacking(&build.target)))
    };
    // The same version may come again by its package. Then the copy waits until that works.
    let (again, kept): (Vec<_>, Vec<_>) = versions(session, name)
        .into_iter()
        .partition(|id| found(id).is_some() && !session.tree().is_replaced(id));
    for id in again.iter().filter(|id| is_used(id) && !is_needed(id)) {
        files::remove_tree(&store.version_dir(id))?;
    }
    let is_back = |id: &PackageId| kept.contains(id) && session.tree().is_replaced(id);
    if registered.iter().any(|package| is_used(&package.id) && !is_back(&package.id)) {
        let is_useless =
            |id: &PackageId| !is_used(id) && !is_needed(id) && !has_spare_build(id) && !is_waiting;
        let useless = kept.iter().filter(|id| is_back(id) && is_useless(id));
        useless.into_iter().try_for_each(|id| unregister(session, id))?;
    }
    let keep_versions = session.settings.keep_versions;
    let is_surplus = |id: &PackageId| keep_versions == 0 || !is_needed(id);
    for id in kept.iter().skip(keep_versions).filter(|id| is_surplus(id)) {
        if !session.tree().is_replaced(id) {
            files::remove_tree(&store.version_dir(id))?;
        }
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
    let is_back = |package: &Package| session.tree().is_replaced(&package.id);
    let is_newer = |package: &Package| {
        !is_back(package) && compare_versions(package.id.version.as_str(), removed.version.as_str()).is_gt()
    };
    let gone = match script {
        // What is kept belongs to a newer one.
        Some(PackageScript::Removal) if registered.iter().any(is_newer) => store.version_dir(removed),
        Some(PackageScript::Removal) => match registered.iter().find(|package| is_back(package)) {
            Some(next) => return Some(next.id.clone()),
            None => store.name_dir(&removed.name),
        },
        Some(PackageScript::InFavour) if registered.iter().all(is_back) => {
            return registered.first().map(|next| next.id.clone());
        }
        // It has just been put there.
        Some(PackageScript::Upgrade | PackageScript::Cleanup | PackageScript::InFavour) => return None,
        // A script that configures a package may remove its version first.
        None if !session.system.is_by_hand() => return None,
        None if registered.is_empty() => store.name_dir(&removed.name),
        None => store.version_dir(removed),
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
