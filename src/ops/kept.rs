//! Builds that were made before their kernel came: used when it comes with the headers that they were made with, and dropped
//! when it does not come.

use crate::conf::Strictness;
use crate::inspect::inputs::staleness;
use crate::inspect::installed::is_whole;
use crate::model::{BuildId, PackageName, Result};
use crate::session::WriteSession;
use crate::system::{files, lock};
use crate::tree::{BuildRecord, Built, Tree};
use std::time::{Duration, SystemTime};

/// How long a build waits for its kernel.
const PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The build that `dkms preflight` made, if it is the one that would be made now. It has its usual place afterwards.
pub(crate) fn take_kept(session: &WriteSession<'_>, id: &BuildId) -> Option<Built> {
    let kept = session.tree().kept();
    let found = kept.built(id)?;
    // A preflight that runs now may be replacing it.
    if lock::is_held_by_another(kept.root()) || !fits(session, &found) {
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
    let id = found.id();
    let Some(inputs) = found.record().and_then(|record| record.inputs) else { return false };
    // Given by hand, these are in no record.
    if !session.settings.directives.is_empty() || !session.kernel(&id.target.release).has_headers() {
        return false;
    }
    let Ok(conf) = session.own_conf(&id.package, &id.target, Strictness::Strict) else { return false };
    let is_installed = |name: &String| {
        PackageName::new(name).is_ok_and(|name| session.tree().active(&name, &id.target).is_some())
    };
    let has_all = conf.depends.iter().chain(inputs.dependencies.keys()).all(is_installed);
    has_all && is_whole(session, found) && staleness(session, found).is_none()
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

/// Deletes builds that have waited for their kernel too long.
pub(crate) fn drop_unused(session: &WriteSession<'_>) {
    let kept = session.tree().kept();
    if !kept.root().is_dir() || lock::is_held_by_another(kept.root()) {
        return;
    }
    for id in unused(&kept) {
        if let Err(error) = files::remove_tree(&kept.out_dir(&id)) {
            session.system.console.warn(error.to_string());
        }
    }
}

/// The builds of a tree that are older than a kernel is waited for.
#[must_use]
pub(crate) fn unused(tree: &Tree) -> Vec<BuildId> {
    let now = SystemTime::now();
    let is_old = |id: &BuildId| {
        let made = BuildRecord::taken(&tree.out_dir(id)).map(|(made, _)| made);
        made.is_none_or(|made| now.duration_since(made).is_ok_and(|age| age > PATIENCE))
    };
    let packages = tree.scan(tree.root()).packages;
    let builds = packages.iter().flat_map(|package| {
        package.builds.iter().map(|build| BuildId::new(package.id.clone(), build.target.clone()))
    });
    builds.filter(is_old).collect()
}
