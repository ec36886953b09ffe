//! The main job: a kernel gets every pending module.

use crate::inspect::pending::gather;
use crate::install::install;
use crate::install::work::InstallOptions;
use crate::model::{AttemptResult, BuildId, Error, PackageId, PackageName, Result, Target};
use crate::ops::boot_default::keep_complete;
use crate::ops::finish::finish;
use crate::ops::kept::drop_unused;
use crate::ops::replaced::{bring_back, complete, forget_superseded, retire, usable};
use crate::ops::schedule::{self, Ended, Ending};
use crate::ops::stand_in::{conclude, put_back};
use crate::plan::autoinstall::{Blocked, Satisfied, Step, plan_autoinstall};
use crate::plan::request::Force;
use crate::programs::records::note_rewritten;
use crate::session::{Session, WriteSession};
use crate::system::signals;

/// The result for every package that was pending or could not be built.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Installed now, or before.
    pub succeeded: Vec<PackageName>,
    /// Those of them that were installed now.
    pub installed: Vec<PackageId>,
    /// Packages that do not want the kernel, with the reason.
    pub skipped: Vec<(PackageId, String)>,
    pub failed: Vec<(PackageId, Error)>,
    /// Versions that do not build, with the reason and the older version that the kernel has in their place.
    pub replaced: Vec<(PackageId, Error, PackageId)>,
    pub blocked: Vec<(PackageId, Blocked)>,
    /// Packages that failed or are blocked, and of which the kernel has an earlier build.
    pub in_use: Vec<PackageName>,
    pub deferred: Vec<(PackageId, Vec<String>)>,
    /// Packages that could not be built because the kernel's headers are not there.
    pub without_headers: Vec<PackageId>,
    /// Whether nothing was pending.
    pub nothing_pending: bool,
}

impl Report {
    /// What people are to know of: packages that failed, or that wait for others or for the kernel's headers.
    #[must_use]
    pub(crate) fn lost(&self) -> Vec<String> {
        let failed = self.failed.iter().map(|(id, _)| id);
        let waiting = self.blocked.iter().map(|(id, _)| id).chain(&self.without_headers);
        failed.chain(waiting).map(ToString::to_string).collect()
    }

    /// Versions that the kernel was to have, and has not.
    fn missing(&self) -> impl Iterator<Item = &PackageId> {
        let failed = self.failed.iter().map(|(id, _)| id);
        let skipped = self.skipped.iter().map(|(id, _)| id);
        let blocked = self.blocked.iter().map(|(id, _)| id);
        let deferred = self.deferred.iter().map(|(id, _)| id);
        failed.chain(skipped).chain(blocked).chain(deferred).chain(&self.without_headers)
    }
}

/// Whether [`autoinstall`] would find nothing to do and nothing to say.
#[must_use]
pub(crate) fn is_complete(session: &Session<'_>, target: &Target, force: &Force) -> bool {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let plan = plan_autoinstall(gather(session, &snapshot, target, force));
    plan.is_empty() && plan.broken.is_empty()
}

/// Installs what is pending for a kernel. Packages do not affect each other; the report has the result of each.
///
/// # Errors
/// Nothing could be tried at all.
pub(crate) fn autoinstall(session: &WriteSession<'_>, target: &Target, force: &Force) -> Result<Report> {
    session.system.console.set_brief(true);
    let plan_now = || {
        let snapshot = session.tree().scan(&session.settings.source_tree);
        plan_autoinstall(gather(session, &snapshot, target, force))
    };
    complete(session, target);
    let mut plan = plan_now();
    if bring_back_for(session, plan.failed.iter(), target) {
        plan = plan_now();
    }
    note_rewritten(session);
    let mut report = Report { nothing_pending: plan.is_empty(), ..Report::default() };
    // What failed before is printed with the report, as loud as the caller wants it.
    let is_news = |error: &&Error| !matches!(error, Error::FailedBefore { .. });
    for error in plan.broken.iter().chain(&plan.failed).map(|(_, error)| error).filter(is_news) {
        session.tell(error);
    }
    // Without headers nothing can be compiled, but what is built can still be installed or signed.
    let kernel = session.kernel(&target.release);
    if !kernel.has_headers() {
        report.without_headers = plan.drop_builds();
    }
    // A kernel that is not there waits for nothing; its name may be a mistake.
    let pending: &[PackageId] = if kernel.exists() { &report.without_headers } else { &[] };
    if let Err(error) = session.writer.note_pending(target, pending) {
        session.tell(&error);
    }
    let options = InstallOptions { conf: None, force: force.clone() };
    let ending =
        Ending { finish: &|built| install(session, built, &options), success: AttemptResult::Installed };
    let mut ended = schedule::run(session, target, std::mem::take(&mut plan.steps), force, &ending)?;
    let mut replaced = std::mem::take(&mut plan.replaced);
    replaced.extend(step_back(session, target, &mut ended, &ending)?);
    let mut installed = Vec::new();
    let mut left = Vec::new();
    for (id, result) in ended {
        match result {
            Ok(proof) => installed.push((id, proof)),
            // The kernel has it: there is nothing to install, now or later.
            Err(Error::NothingInstalled { .. }) => plan.satisfied.push((id.name, Satisfied::Provided)),
            Err(Error::Interrupted { .. }) => left.push(id.to_string()),
            Err(error) if error.is_refusal() => report.skipped.push((id, error.in_one_line())),
            Err(error) => report.failed.push((id, error)),
        }
    }
    let (ids, proofs): (Vec<PackageId>, Vec<_>) = installed.into_iter().unzip();
    match finish(session, target, proofs, force) {
        Ok(()) => {
            report.succeeded = ids.iter().map(|id| id.name.clone()).collect();
            report.installed = ids;
        }
        Err(error) => {
            session.tell(&error);
            report.failed.extend(ids.into_iter().map(|id| (id, error.clone())));
        }
    }
    if let Some(signal) = signals::received().filter(|_| !left.is_empty()) {
        return Err(Error::Interrupted { signal, complete: false, left });
    }
    report.succeeded.splice(0..0, plan.satisfied.into_iter().map(|(name, _)| name));
    report.skipped.splice(0..0, plan.declined.into_iter().map(|(id, error)| (id, error.in_one_line())));
    report.skipped.splice(0..0, plan.skipped.into_iter().map(|(id, why)| (id, why.to_string())));
    report.failed.splice(0..0, plan.failed);
    report.blocked = plan.blocked;
    report.deferred = plan.deferred;
    let disabled = plan.disabled.iter().map(|(id, _)| id);
    let missing = report.missing().chain(disabled).chain(replaced.iter().map(|(id, ..)| id));
    keep_in_use(session, target, &missing.cloned().collect::<Vec<_>>(), &mut report);
    settle(session, target, replaced, &mut report);
    drop_unused(session);
    forget_superseded(session, report.installed.iter().map(|id| &id.name));
    retire(session, !report.installed.is_empty());
    keep_complete(session);
    Ok(report)
}

/// Where a version is missing, what the kernel used before an upgrade stays in use.
fn keep_in_use(session: &WriteSession<'_>, target: &Target, missing: &[PackageId], report: &mut Report) {
    let put_back = missing.iter().filter_map(|id| put_back(session, &id.name, Some(id), target)).collect();
    let ids = conclude(session, target, put_back);
    report.skipped.retain(|(skipped, _)| ids.iter().all(|id| id.name != skipped.name));
    report.installed.extend(ids);
}

/// A version that does not build is a failure, unless the kernel has another one now.
fn settle(
    session: &WriteSession<'_>,
    target: &Target,
    replaced: Vec<(PackageId, Error, PackageId)>,
    report: &mut Report,
) {
    let used = |id: &PackageId| {
        let active = session.tree().active(&id.name, target)?.id().package.clone();
        (active != *id).then_some(active)
    };
    let replaced = replaced.into_iter().map(|(id, error, _)| (id, error));
    for (id, error) in std::mem::take(&mut report.failed).into_iter().chain(replaced) {
        match used(&id) {
            Some(used) => report.replaced.push((id, error, used)),
            None if error.is_refusal() => report.skipped.push((id, error.in_one_line())),
            None => report.failed.push((id, error)),
        }
    }
    let missing = report.failed.iter().map(|(id, _)| id).chain(report.blocked.iter().map(|(id, _)| id));
    let names = missing.map(|id| id.name.clone());
    report.in_use = names.filter(|name| session.tree().active(name, target).is_some()).collect();
    let has_failed = |name: &PackageName| report.failed.iter().any(|(id, _)| id.name == *name);
    report.succeeded.retain(|name| !has_failed(name));
}

/// Registers the versions that upgrades replaced with ones that do not build. Tells whether there are any.
fn bring_back_for<'a>(
    session: &WriteSession<'_>,
    failed: impl Iterator<Item = &'a (PackageId, Error)>,
    target: &Target,
) -> bool {
    let mut is_any = false;
    // What may do better the next time is tried again then, and no other version.
    let is_final = |id: &PackageId, error: &Error| {
        let build = BuildId::new(id.clone(), target.clone());
        matches!(error, Error::Broken { .. }) || session.tree().failure(&build).is_some()
    };
    let failed = failed.filter(|(id, error)| is_final(id, error)).map(|(id, _)| id);
    for id in failed.filter(|id| session.tree().active(&id.name, target).is_none()) {
        let found = usable(session, &id.name, target).find(|kept| session.added(kept).is_err());
        match found.map(|kept| bring_back(session, &kept)) {
            Some(Ok(_)) => is_any = true,
            Some(Err(error)) => session.tell(&error),
            None => {}
        }
    }
    is_any
}

/// How often an older version is looked for: each time one more does not build.
const MOST_STEPS_BACK: usize = 8;

/// Where a version does not build, the newest one that does is taken, or stays; and what needs it is tried again. The failures
/// that this makes good are taken out of `ended`, and returned with the versions that are used.
pub(super) fn step_back<T>(
    session: &WriteSession<'_>,
    target: &Target,
    ended: &mut Vec<Ended<T>>,
    ending: &Ending<'_, T>,
) -> Result<Vec<(PackageId, Error, PackageId)>> {
    let mut replaced: Vec<(PackageId, Error, PackageId)> = Vec::new();
    let mut tried: Vec<PackageId> = ended.iter().map(|(id, _)| id.clone()).collect();
    for _ in 0..MOST_STEPS_BACK {
        let waits = |error: &Error| matches!(error, Error::DependencyMissing { .. });
        let of_the_package = ended.iter().filter_map(|(id, result)| {
            let error = result.as_ref().err()?;
            (error.is_of_the_package() && !error.is_declined()).then(|| (id.clone(), error.clone()))
        });
        bring_back_for(session, of_the_package.collect::<Vec<_>>().iter(), target);
        let failed = ended.iter().filter(|(_, result)| {
            result.as_ref().is_err_and(|error| error.is_of_the_package() || waits(error))
        });
        let names: Vec<PackageName> = failed.map(|(id, _)| id.name.clone()).collect();
        let snapshot = session.tree().scan(&session.settings.source_tree);
        if names.iter().all(|name| snapshot.versions(name).len() < 2) {
            break;
        }
        // What has just failed is remembered, also where the first try was forced.
        let plan = plan_autoinstall(gather(session, &snapshot, target, &Force::default()));
        let is_new = |id: &PackageId, used: &PackageId| names.contains(&id.name) && !tried.contains(used);
        let found: Vec<_> = plan.replaced.into_iter().filter(|(id, _, used)| is_new(id, used)).collect();
        if found.is_empty() {
            break;
        }
        let steps = plan.steps.into_iter().filter(|step| names.contains(&step.id.name));
        let mut steps: Vec<Step> = steps.collect();
        let planned: Vec<PackageName> = steps.iter().map(|step| step.id.name.clone()).collect();
        steps.iter_mut().for_each(|step| step.after.retain(|name| planned.contains(name)));
        tried.extend(steps.iter().map(|step| step.id.clone()));
        ended.retain(|(id, _)| !planned.contains(&id.name) && found.iter().all(|(failed, ..)| failed != id));
        // What stepped in before and failed is no news.
        replaced.retain(|(failed, ..)| found.iter().all(|(id, ..)| id != failed));
        replaced.extend(found);
        ended.extend(schedule::run(session, target, steps, &Force::default(), ending)?);
    }
    Ok(replaced)
}
