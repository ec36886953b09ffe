//! The main job: a kernel gets every module that is due for it.

use super::{Engine, Reader, schedule};
use crate::conf::Strictness;
use crate::kernel::WeakLinks;
use crate::model::{BuildState, Error, PackageId, PackageName, Result, SourceState, Target};
use crate::plan::autoinstall::{Blocked, Candidate, Facts, Plan, Stale, Version, plan_autoinstall};
use crate::plan::buildable;
use crate::plan::request::Force;
use crate::tree::{Build, Package, Snapshot};
use std::collections::BTreeSet;

/// What became of every package that was due, or could not be.
#[derive(Debug, Default)]
pub struct Report {
    /// Installed now, or before.
    pub succeeded: Vec<PackageName>,
    /// Those of them that were installed now.
    pub installed: Vec<PackageId>,
    /// Packages that do not want the kernel, with the reason.
    pub skipped: Vec<(PackageId, String)>,
    pub failed: Vec<(PackageId, Error)>,
    pub blocked: Vec<(PackageId, Blocked)>,
    pub deferred: Vec<(PackageId, Vec<String>)>,
    /// Packages that could not be built because the kernel's headers are not there.
    pub without_headers: Vec<PackageId>,
    /// Whether the run's answer was known without looking: nothing was due.
    pub nothing_due: bool,
}

/// Installs what is due for a kernel. Every package stands for itself: the report says what became of each.
///
/// # Errors
/// Nothing could be tried at all.
pub fn autoinstall(engine: &Engine<'_>, target: &Target, force: &Force) -> Result<Report> {
    let snapshot = engine.tree().scan(&engine.settings.source_tree);
    let facts = gather(engine, &snapshot, target, force);
    engine.note_rewritten();
    let mut plan = plan_autoinstall(facts);
    let mut report = Report { nothing_due: is_empty(&plan), ..Report::default() };
    // What failed before is told by whoever tells the report, as loud as the caller wants it.
    let is_news = |error: &&Error| !matches!(error, Error::FailedBefore { .. });
    for error in plan.broken.iter().chain(&plan.failed).map(|(_, error)| error).filter(is_news) {
        engine.tell(error);
    }
    let kernel = engine.kernel(&target.release);
    if !kernel.has_headers() {
        report.without_headers = drop_builds(&mut plan);
    }
    if let Err(error) = engine.writer.note_pending(target, &report.without_headers) {
        engine.tell(&error);
    }
    let ended = schedule::run(engine, target, std::mem::take(&mut plan.steps), force)?;
    let mut installed = Vec::new();
    for (id, result) in ended {
        match result {
            Ok(proof) => installed.push((id, proof)),
            // The kernel has it: there is nothing to install, now or later.
            Err(Error::NothingInstalled { .. }) => plan.satisfied.push(id.name),
            Err(error) if error.is_refusal() => report.skipped.push((id, error.in_one_line())),
            Err(error) => report.failed.push((id, error)),
        }
    }
    let (ids, proofs): (Vec<PackageId>, Vec<_>) = installed.into_iter().unzip();
    match engine.finish(target, proofs, force) {
        Ok(()) => {
            report.succeeded = ids.iter().map(|id| id.name.clone()).collect();
            report.installed = ids;
        }
        Err(error) => {
            engine.tell(&error);
            report.failed.extend(ids.into_iter().map(|id| (id, error.clone())));
        }
    }
    report.succeeded.splice(0..0, plan.satisfied);
    report.skipped.splice(0..0, plan.declined.into_iter().map(|(id, error)| (id, error.in_one_line())));
    report.skipped.splice(0..0, plan.skipped.into_iter().map(|(id, why)| (id, why.to_string())));
    report.failed.splice(0..0, plan.failed);
    report.blocked = plan.blocked;
    report.deferred = plan.deferred;
    Ok(report)
}

fn is_empty(plan: &Plan) -> bool {
    plan.steps.is_empty()
        && plan.skipped.is_empty()
        && plan.declined.is_empty()
        && plan.failed.is_empty()
        && plan.blocked.is_empty()
        && plan.deferred.is_empty()
}

/// Without headers only what is built already can be installed.
fn drop_builds(plan: &mut Plan) -> Vec<PackageId> {
    let mut kept = BTreeSet::new();
    let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut plan.steps).into_iter().partition(|step| {
        let stays = !step.need.compiles() && step.after.iter().all(|name| kept.contains(name));
        stays && kept.insert(step.id.name.clone())
    });
    plan.steps = now;
    later.into_iter().map(|step| step.id).collect()
}

/// Reads what the decision needs, and no dkms.conf of a package that is installed.
pub(super) fn gather(engine: &Reader<'_>, snapshot: &Snapshot, target: &Target, force: &Force) -> Facts {
    let mut facts = Facts::default();
    let weak = match engine.system.host.distribution.family.has_weak_modules() {
        true => WeakLinks::scan(&engine.settings.install_tree),
        false => WeakLinks::default(),
    };
    for name in snapshot.names() {
        if snapshot.is_installed(name, target) {
            facts.installed.insert(name.clone());
        }
        let mut candidate = Candidate { name: name.clone(), versions: Vec::new() };
        for package in snapshot.versions(name) {
            let version = version_facts(engine, package, target, &weak, force);
            let settled = Candidate::is_settled_by(&version);
            candidate.versions.push((package.id.clone(), version));
            if settled {
                break;
            }
        }
        facts.candidates.push(candidate);
    }
    facts
}

/// Whether the kernel uses, by weak links, what is installed for another one.
fn is_weak(engine: &Reader<'_>, package: &Package, target: &Target, weak: &WeakLinks) -> bool {
    let lends = |build: &&Build| build.state == BuildState::Installed && build.target.arch == target.arch;
    !weak.is_empty()
        && package.builds.iter().filter(lends).any(|build| {
            let files =
                engine.tree().built(&package.build_id(&build.target)).map(|built| built.module_files());
            let dir = &engine.kernel(&build.target.release).dir;
            weak.users(dir, &files.unwrap_or_default()).contains(&target.release)
        })
}

fn version_facts(
    engine: &Reader<'_>,
    package: &Package,
    target: &Target,
    weak: &WeakLinks,
    force: &Force,
) -> Version {
    let id = package.build_id(target);
    if let Some(installed) = engine.tree().installed(&id) {
        let intact = engine.is_intact(&installed);
        let damaged = !intact && !engine.is_whole(installed.built());
        let stale = damaged.then_some(Stale::Damaged).or_else(|| engine.staleness(installed.built()));
        if let Some(why) = stale {
            return stale_version(engine, package, target, why, intact, force);
        }
        let due = engine.signature_due(installed.built()).filter(|_| intact);
        return match due.filter(|_| wants_itself_installed(engine, package, target)) {
            Some(why) => Version::Unsigned(why),
            None => Version::Installed { intact },
        };
    }
    if is_weak(engine, package, target, weak) {
        return Version::Weak;
    }
    let source = engine.tree().source(&package.id);
    if package.source == SourceState::Broken {
        return Version::Broken(Error::Broken { package: package.id.clone(), source });
    }
    let conf = match engine.conf(&package.id, &source.join("dkms.conf"), target, Strictness::Lenient) {
        Ok(conf) => conf,
        Err(error) => return Version::Unusable(error),
    };
    let built = engine.tree().built(&id);
    let built = built.is_some_and(|built| engine.is_whole(&built) && engine.staleness(&built).is_none());
    if let Some(error) = engine
        .remembered_failure(&id)
        .filter(|_| conf.autoinstall.is_yes() && !built && !force.overrides_memory())
    {
        return Version::Unusable(error);
    }
    if built && conf.autoinstall.is_yes() && force.is_plain() && engine.is_provided(&id, &conf) {
        return Version::Provided;
    }
    let can_be_made = built || package.source == SourceState::Added;
    let kernel = engine.kernel(&target.release);
    Version::Known {
        built,
        autoinstall: conf.autoinstall.is_yes() && can_be_made,
        exclusion: buildable(&conf, target, kernel.config()).package,
        depends: conf.depends,
    }
}

/// Whether autoinstall concerns an installed package: without its source, or with an unusable dkms.conf, it does not.
fn wants_itself_installed(engine: &Reader<'_>, package: &Package, target: &Target) -> bool {
    let path = engine.tree().source(&package.id).join("dkms.conf");
    let conf = engine.conf(&package.id, &path, target, Strictness::Lenient);
    conf.is_ok_and(|conf| conf.autoinstall.is_yes())
}

/// An installed version that is not as it should be: built again where that is possible and wanted.
fn stale_version(
    engine: &Reader<'_>,
    package: &Package,
    target: &Target,
    why: Stale,
    intact: bool,
    force: &Force,
) -> Version {
    let id = package.build_id(target);
    let path = engine.tree().source(&package.id).join("dkms.conf");
    let conf = match engine.conf(&package.id, &path, target, Strictness::Lenient) {
        Ok(conf) => conf,
        Err(_) if package.source != SourceState::Added => return Version::Installed { intact },
        Err(error) => return Version::Unusable(error),
    };
    let kernel = engine.kernel(&target.release);
    let unwanted = !conf.autoinstall.is_yes() || buildable(&conf, target, kernel.config()).package.is_some();
    if unwanted || package.source != SourceState::Added {
        return Version::Installed { intact };
    }
    match engine.remembered_failure(&id).filter(|_| !force.overrides_memory()) {
        Some(error) => Version::Unusable(error),
        None => Version::Stale { why, depends: conf.depends },
    }
}
