//! A version that was in use on a kernel stays in use there while no newer one works.

use crate::inspect::installed::is_whole;
use crate::inspect::provided::is_provided;
use crate::install::install;
use crate::install::work::InstallOptions;
use crate::model::{AttemptResult, BuildId, PackageId, PackageName, Result, Target};
use crate::ops::finish::finish;
use crate::ops::history::attempt;
use crate::ops::replaced::{
    bring_back, give_back, in_use_before, kept_conf, targets_in_use, versions, wants,
};
use crate::plan::request::Force;
use crate::session::WriteSession;
use crate::tree::{Built, Package};

/// Where a kernel has no version of a package, puts back the build that it used before an upgrade, as it is: nothing is compiled.
/// `newer` is what would be there if it could. Returns the version that is used now.
pub(crate) fn stand_in(
    session: &WriteSession<'_>,
    name: &PackageName,
    newer: Option<&PackageId>,
    target: &Target,
) -> Option<PackageId> {
    if session.settings.keep_versions == 0
        || session.tree().active(name, target).is_some()
        || !session.kernel(&target.release).exists()
    {
        return None;
    }
    versions(session, name).into_iter().find(|id| {
        may_stand_in(session, id, target)
            && put_back(session, id, newer, target).inspect_err(|error| session.tell(error)).is_ok()
    })
}

fn may_stand_in(session: &WriteSession<'_>, id: &PackageId, target: &Target) -> bool {
    let build = BuildId::new(id.clone(), target.clone());
    let Some(kept) = in_use_before(session, &build) else { return false };
    // A version that came again by its package may have a build of its own, which is not installed for a reason.
    let has_own =
        session.tree().is_added(id, &session.settings.source_tree) && session.tree().built(&build).is_some();
    let conf = || kept_conf(session, id, target).ok();
    !has_own
        && is_whole(session, &kept)
        && session.disabling(id, target).is_none()
        && conf().is_some_and(|conf| wants(session, &conf, target) && !is_provided(session, &kept, &conf))
}

fn put_back(
    session: &WriteSession<'_>,
    id: &PackageId,
    newer: Option<&PackageId>,
    target: &Target,
) -> Result<()> {
    let is_new = session.added(id).is_err();
    bring_back(session, id)?;
    let build = BuildId::new(id.clone(), target.clone());
    if let Some(built) = give_back(session, &build)? {
        install_for(session, built, &build)?;
    }
    let text = match newer.filter(|newer| *newer != id) {
        Some(newer) => format!(
            "{newer} is not installed for kernel {target}; {id}, which it replaced, stays in use there."
        ),
        None if is_new => return Ok(()),
        None => format!("{id} stays in use for kernel {target} as it was built before the upgrade."),
    };
    session.system.console.note(text);
    Ok(())
}

/// Installs a version for the kernels that used another one and have none now, as far as it is built. One that is lower than what
/// was there was refused its place before.
pub(crate) fn install_built(session: &WriteSession<'_>, package: &Package) {
    let name = &package.id.name;
    for target in targets_in_use_of(session, name) {
        let build = package.build_id(&target);
        let built = session.tree().built(&build).filter(|built| is_whole(session, built));
        if let Some(built) = built.filter(|_| session.tree().active(name, &target).is_none())
            && session.disabling(&package.id, &target).is_none()
            && let Err(error) = install_for(session, built, &build)
        {
            session.tell(&error);
        }
    }
}

fn install_for(session: &WriteSession<'_>, built: Built, build: &BuildId) -> Result<()> {
    let work = || install(session, built, &InstallOptions::default());
    let installed = attempt(session, build, AttemptResult::Installed, work)?;
    finish(session, &build.target, vec![installed], &Force::default())
}

/// Puts back what was in use on every kernel that used a version of the package and has none.
pub(crate) fn stand_in_everywhere(session: &WriteSession<'_>, name: &PackageName, newer: Option<&PackageId>) {
    for target in targets_in_use_of(session, name) {
        stand_in(session, name, newer, &target);
    }
}

fn targets_in_use_of(session: &WriteSession<'_>, name: &PackageName) -> Vec<Target> {
    let mut targets: Vec<Target> =
        versions(session, name).iter().flat_map(|id| targets_in_use(session, id)).collect();
    targets.sort();
    targets.dedup();
    targets
}
