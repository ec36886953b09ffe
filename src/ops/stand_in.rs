//! A version that was in use on a kernel stays in use there while no newer one works.

use crate::inspect::installed::is_whole;
use crate::inspect::provided::is_provided;
use crate::install::install;
use crate::install::work::InstallOptions;
use crate::model::{AttemptResult, BuildId, Error, PackageId, PackageName, Result, Target};
use crate::ops::finish::finish;
use crate::ops::history::attempt;
use crate::ops::replaced::{
    bring_back, give_back, in_use_before, kept_conf, targets_in_use, versions, wants,
};
use crate::plan::request::Force;
use crate::session::WriteSession;
use crate::tree::{Built, Installed, Package};

/// A build that was put back, in a kernel that is not indexed yet.
pub(super) struct PutBack {
    installed: Installed,
    news: Option<String>,
}

/// Where a kernel has no version of a package, puts back the build that it used before an upgrade, as it is: nothing is compiled.
/// `newer` is what would be there if it could.
pub(crate) fn stand_in(
    session: &WriteSession<'_>,
    name: &PackageName,
    newer: Option<&PackageId>,
    target: &Target,
) -> Option<PackageId> {
    conclude(session, target, put_back(session, name, newer, target).into_iter().collect()).pop()
}

/// The same without the end, which several packages share.
pub(super) fn put_back(
    session: &WriteSession<'_>,
    name: &PackageName,
    newer: Option<&PackageId>,
    target: &Target,
) -> Option<PutBack> {
    if session.settings.keep_versions == 0
        || session.tree().active(name, target).is_some()
        || !session.kernel(&target.release).exists()
    {
        return None;
    }
    let kept = versions(session, name).into_iter().filter(|id| may_stand_in(session, id, target));
    let mut put_back = kept.filter_map(|id| {
        let put_back = put_back_version(session, &id, newer, target);
        put_back.inspect_err(|error| session.tell(error)).ok()
    });
    put_back.next()
}

/// Indexes the kernel, and returns the versions that it uses now.
pub(super) fn conclude(
    session: &WriteSession<'_>,
    target: &Target,
    put_back: Vec<PutBack>,
) -> Vec<PackageId> {
    let ids = put_back.iter().map(|put_back| put_back.installed.id().package.clone()).collect();
    let (installed, news): (Vec<_>, Vec<_>) =
        put_back.into_iter().map(|put_back| (put_back.installed, put_back.news)).unzip();
    if let Err(error) = finish(session, target, installed, &Force::default()) {
        session.tell(&error);
        return Vec::new();
    }
    news.into_iter().flatten().for_each(|news| session.system.console.note(news));
    ids
}

fn may_stand_in(session: &WriteSession<'_>, id: &PackageId, target: &Target) -> bool {
    let build = BuildId::new(id.clone(), target.clone());
    let Some(kept) = in_use_before(session, &build) else { return false };
    // A version that came again by its package may have a build of its own, which is not installed for a reason.
    let has_own =
        session.tree().is_added(id, &session.settings.source_tree) && session.tree().built(&build).is_some();
    let is_wanted = || {
        let conf = kept_conf(session, id, target);
        conf.is_ok_and(|conf| wants(session, &conf, target) && !is_provided(session, &kept, &conf))
    };
    !has_own && is_whole(session, &kept) && session.disabling(id, target).is_none() && is_wanted()
}

fn put_back_version(
    session: &WriteSession<'_>,
    id: &PackageId,
    newer: Option<&PackageId>,
    target: &Target,
) -> Result<PutBack> {
    let is_new = session.added(id).is_err();
    bring_back(session, id)?;
    let build = BuildId::new(id.clone(), target.clone());
    let built = give_back(session, &build)?.ok_or_else(|| Error::NotInTree(id.clone()))?;
    let news = match newer.filter(|newer| *newer != id) {
        Some(newer) => Some(in_use_instead(id, newer, target)),
        // That it is registered again says the same.
        None if is_new => None,
        None => Some(format!("{id} stays in use for kernel {target} as it was built before the upgrade.")),
    };
    Ok(PutBack { installed: attempt_install(session, built, &build)?, news })
}

/// That a kernel uses an older version in the place of the one that came.
pub(super) fn in_use_instead(id: &PackageId, newer: &PackageId, target: &Target) -> String {
    format!("{newer} is not installed for kernel {target}; {id}, which it replaced, stays in use there.")
}

/// Installs a version for the kernels that used another one and have none now, as far as it is built. One that is lower than what
/// was there was refused its place before.
pub(crate) fn install_built(session: &WriteSession<'_>, package: &Package) {
    let name = &package.id.name;
    for target in targets_in_use_of(session, name) {
        let build = package.build_id(&target);
        let built = session.tree().built(&build).filter(|built| is_whole(session, built));
        if let Some(built) = built.filter(|_| session.tree().active(name, &target).is_none()) {
            if session.disabling(&package.id, &target).is_none() {
                if let Err(error) = attempt_install(session, built, &build)
                    .and_then(|installed| finish(session, &target, vec![installed], &Force::default()))
                {
                    session.tell(&error);
                }
            }
        }
    }
}

fn attempt_install(session: &WriteSession<'_>, built: Built, build: &BuildId) -> Result<Installed> {
    attempt(session, build, AttemptResult::Installed, || install(session, built, &InstallOptions::default()))
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
