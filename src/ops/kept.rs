//! Builds that were made before their kernel came: used when it comes with the headers that they were made with, and dropped
//! when it does not come.

use crate::conf::{Strictness, framework_files};
use crate::inspect::inputs::is_certainly_current;
use crate::inspect::installed::is_whole;
use crate::model::{BuildId, PackageId, PackageName, Result};
use crate::session::WriteSession;
use crate::system::lock::Lock;
use crate::system::{dir, files};
use crate::tree::{BuildRecord, Built, Tree};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long a build waits for its kernel.
const PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Held by the thread that takes a build: the lock of the other tree knows processes only.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The build that `dkms preflight` made, if it is the one that would be made now. It has its usual place afterwards.
pub(crate) fn take_kept(session: &WriteSession<'_>, id: &BuildId) -> Option<Built> {
    let kept = session.tree().kept();
    let found = kept.built(id)?;
    // Builds of this run ask side by side; a preflight that runs now may be replacing what is there.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let _lock = Lock::try_take(kept.root())?;
    if !fits(session, &found) {
        return None;
    }
    match publish(session, &kept, id) {
        Ok(built) => {
            session.system.console.note(format!("{id} is used as dkms preflight built it."));
            Some(built)
        }
        Err(error) => {
            session.system.console.warn(format!("{id} cannot be used as dkms preflight built it: {error}"));
            None
        }
    }
}

/// Whether a build made elsewhere in the tree is what would be built now.
fn fits(session: &WriteSession<'_>, found: &Built) -> bool {
    let (id, settings) = (found.id(), session.settings);
    // Given by hand, these are in no record.
    let is_plain = settings.directives.is_empty()
        && settings.kernel_source_dir.is_none()
        && settings.kernel_config.is_none();
    if !is_plain || !session.kernel(&id.target.release).has_headers() {
        return false;
    }
    let Ok(conf) = session.own_conf(&id.package, &id.target, Strictness::Strict) else { return false };
    let inputs = found.record().and_then(|record| record.inputs);
    let built_with = inputs.into_iter().flat_map(|inputs| inputs.dependencies.into_keys());
    let is_installed = |name: String| {
        PackageName::new(&name).is_ok_and(|name| session.tree().active(&name, &id.target).is_some())
    };
    // What framework.conf says of builds is in no record either.
    let configuration = framework_files(session.system).into_iter().chain(settings.build_environment.clone());
    let made = BuildRecord::taken(found.dir()).map(|(made, _)| made);
    let is_older = |file: PathBuf| {
        let changed = fs_err::metadata(file).and_then(|data| data.modified()).ok();
        changed.is_none_or(|changed| made.is_some_and(|made| changed <= made))
    };
    configuration.into_iter().all(is_older)
        && conf.depends.into_iter().chain(built_with).all(is_installed)
        && is_whole(session, found)
        && is_certainly_current(session, found)
}

fn publish(session: &WriteSession<'_>, kept: &Tree, id: &BuildId) -> Result<Built> {
    let staged = kept.out_dir(id);
    if let Some(installed) = session.tree().installed(id) {
        installed.carry_record(&staged)?;
    }
    files::create_dirs(session.tree().out_dir(id).parent().unwrap_or(session.tree().root()))?;
    let (built, replaced) = session.writer.publish(id, &staged)?;
    session.writer.forget_failure(id)?;
    replaced.map_or(Ok(()), |old| files::remove_tree(&old))?;
    Ok(built)
}

/// Deletes builds that have waited for their kernel too long, and those beside which a newer one was made when it came.
pub(crate) fn drop_unused(session: &WriteSession<'_>) {
    let kept = session.tree().kept();
    if kept.root().is_dir() {
        if let Some(_lock) = Lock::try_take(kept.root()) {
            let taken =
                |tree: &Tree, id: &BuildId| BuildRecord::taken(&tree.out_dir(id)).map(|(made, _)| made);
            let is_late =
                |id: &BuildId| taken(session.tree(), id).is_some_and(|made| Some(made) > taken(&kept, id));
            let late = builds(&kept).into_iter().filter(is_late);
            expired(&kept).into_iter().chain(late).for_each(|id| drop_build(session, &kept, &id));
            tidy(&kept);
        }
    }
}

/// Deletes what was built before its kernel came of a package that is no more.
pub(crate) fn drop_package(session: &WriteSession<'_>, package: &PackageId) {
    let kept = session.tree().kept();
    let dir = kept.version_dir(package);
    if dir.is_dir() {
        if let Some(_lock) = Lock::try_take(kept.root()) {
            let builds = kept.scan(kept.root()).packages.into_iter().filter(|found| found.id == *package);
            let builds = builds.flat_map(|package| package.builds);
            builds.for_each(|build| drop_build(session, &kept, &BuildId::new(package.clone(), build.target)));
            if let Err(error) = files::remove_tree(&dir) {
                session.system.console.warn(error.to_string());
            }
            files::remove_empty_dir(&kept.name_dir(&package.name));
        }
    }
}

fn drop_build(session: &WriteSession<'_>, kept: &Tree, id: &BuildId) {
    if let Err(error) = files::remove_tree(&kept.out_dir(id)) {
        session.system.console.warn(error.to_string());
    }
}

/// Takes away what is left where builds have gone: links to them, and the directories of their kernels.
fn tidy(kept: &Tree) {
    for link in kept.broken_links() {
        let _ = files::remove_file(&link);
    }
    for package in kept.scan(kept.root()).packages {
        for entry in dir::entries(kept.version_dir(&package.id)) {
            let is_bookkeeping = entry.file_name().to_str().is_none_or(Tree::is_bookkeeping);
            if !is_bookkeeping && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                files::remove_empty_dir(&entry.path());
            }
        }
    }
}

/// The builds of a tree that are older than a kernel is waited for.
#[must_use]
pub(crate) fn expired(tree: &Tree) -> Vec<BuildId> {
    let now = SystemTime::now();
    let is_old = |id: &BuildId| {
        let made = BuildRecord::taken(&tree.out_dir(id)).map(|(made, _)| made);
        // One without a record is never used; but perhaps it can only not be read now.
        let made = made.or_else(|| tree.out_dir(id).metadata().and_then(|data| data.modified()).ok());
        made.is_some_and(|made| now.duration_since(made).is_ok_and(|age| age > PATIENCE))
    };
    builds(tree).into_iter().filter(is_old).collect()
}

fn builds(tree: &Tree) -> Vec<BuildId> {
    let packages = tree.scan(tree.root()).packages;
    let builds = packages.iter().flat_map(|package| {
        package.builds.iter().map(|build| BuildId::new(package.id.clone(), build.target.clone()))
    });
    builds.collect()
}
