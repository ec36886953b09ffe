//! The actions build, install and match: one package at a time, for one kernel after the other.

use crate::archive::source::AddOptions;
use crate::build::build;
use crate::build::preparation::{BuildOptions, require_headers};
use crate::build::resign::sign_if_pending;
use crate::inspect::extension::built_in_extension;
use crate::inspect::inputs::{remembered_failure, staleness};
use crate::inspect::installed::{is_intact, is_whole};
use crate::inspect::signature::pending_signature;
use crate::install::install;
use crate::install::work::InstallOptions;
use crate::model::{AttemptResult, BuildId, BuildState, Error, PackageId, PackageName, Result, Target};
use crate::ops::Failures;
use crate::ops::add::ensure_added;
use crate::ops::boot_default::keep_complete;
use crate::ops::finish::finish;
use crate::ops::history::attempt;
use crate::ops::kept::take_kept;
use crate::ops::replaced::{bring_back, forget_superseded, retire, usable};
use crate::ops::stand_in::{in_use_instead, stand_in};
use crate::plan::autoinstall::Stale;
use crate::plan::lifecycle::{BuildFacts, BuildPlan, InstallPlan, plan_build, plan_install};
use crate::plan::request::{Force, Job, Subject};
use crate::session::{Session, WriteSession};
use crate::tree::{Added, Built, Installed};

/// Runs `each` for every target; goes on after failures and returns the first one.
fn for_each_target(
    session: &WriteSession<'_>,
    package: &PackageId,
    targets: &[Target],
    mut each: impl FnMut(&Target) -> Result<()>,
) -> Result<()> {
    if let [target] = targets {
        session.go_on()?;
        return each(target);
    }
    let mut failures = Failures::default();
    for target in targets {
        session.go_on()?;
        // The next kernel's build writes its log to the usual place.
        let kept = session.tree().kept_failure_log(&BuildId::new(package.clone(), target.clone()));
        let result = each(target).map_err(|error| if kept.is_file() { error.with_log(kept) } else { error });
        failures.note(session, result);
    }
    failures.result()
}

/// The action `build`.
///
/// # Errors
/// The first target's that failed.
pub(crate) fn build_all(session: &WriteSession<'_>, job: &Job) -> Result<()> {
    let Some(added) = job_package(session, job, true)? else { return Ok(()) };
    for_each_target(session, added.id(), &job.targets, |target| {
        let id = BuildId::new(added.id().clone(), target.clone());
        match plan_build(&id, facts_for_build(session, &id, job.force.force)) {
            BuildPlan::Skip(skip) => session.system.console.say(skip.to_string()),
            BuildPlan::Build(why) => {
                let work = || build_for(session, job, &added, &id, why);
                attempt(session, &id, AttemptResult::Built, work)
                    .inspect_err(|error| leave_to_replaced(session, added.id(), target, error))?;
            }
        }
        Ok(())
    })
}

/// The action `install`.
///
/// # Errors
/// The first target's that failed.
pub(crate) fn install_all(session: &WriteSession<'_>, job: &Job) -> Result<()> {
    let Some(added) = job_package(session, job, false)? else { return Ok(()) };
    let (mut refusal, mut is_wanted) = (None, false);
    let ended = for_each_target(session, added.id(), &job.targets, |target| {
        let installed = install_one(session, job, &added, target)
            .inspect_err(|error| leave_to_replaced(session, added.id(), target, error));
        let installed = match installed {
            Err(error) if job.every_kernel && error.is_refusal() => {
                session.tell(&error);
                refusal = Some(error);
                return Ok(());
            }
            installed => installed?,
        };
        if installed.is_none() && !session.system.is_by_hand() {
            // It may be disabled.
            stand_in(session, &added.id().name, Some(added.id()), target);
        }
        is_wanted = true;
        finish(session, target, installed.into_iter().collect(), &job.force)
    });
    // A person may try a version, and take it away again.
    if !session.system.is_by_hand() {
        forget_superseded(session, [&added.id().name]);
    }
    retire(session, true);
    keep_complete(session);
    ended?;
    match refusal.filter(|_| !is_wanted) {
        Some(error) => Err(Error::Reported(Box::new(error))),
        None => Ok(()),
    }
}

/// What a package manager brings and does not work leaves the kernel to the version that it replaced. A person who builds one sees
/// that it fails, and decides.
fn leave_to_replaced(session: &WriteSession<'_>, failed: &PackageId, target: &Target, error: &Error) {
    if session.system.is_by_hand()
        || matches!(error, Error::Interrupted { .. } | Error::NothingInstalled { .. })
        || session.tree().active(&failed.name, target).is_some()
    {
        return;
    }
    let is_used = stand_in(session, &failed.name, Some(failed), target).is_some();
    // What is not remembered may do better the next time.
    let is_remembered = session.tree().failure(&BuildId::new(failed.clone(), target.clone())).is_some();
    if !is_used && is_remembered && error.is_of_the_package() && !error.is_declined() {
        build_replaced(session, failed, target);
    }
}

/// Builds and installs the version that was replaced last, of those that build.
fn build_replaced(session: &WriteSession<'_>, newer: &PackageId, target: &Target) {
    for id in usable(session, &newer.name, target).filter(|id| id != newer) {
        let job = Job::of_package(id.clone(), target.clone(), Force::default());
        let back = bring_back(session, &id)
            .and_then(|added| install_one(session, &job, &added, target))
            .and_then(|installed| finish(session, target, installed.into_iter().collect(), &job.force));
        match back {
            Ok(()) => return session.system.console.note(in_use_instead(&id, newer, target)),
            Err(error) => session.tell(&error),
        }
    }
}

/// The action `match`: what one kernel has, another one gets.
///
/// # Errors
/// Headers are missing, or a package failed; the others are installed.
pub(crate) fn match_kernel(
    session: &WriteSession<'_>,
    target: &Target,
    template: &Target,
    package: Option<&PackageName>,
    force: &Force,
) -> Result<()> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    if let Some(name) = package {
        if !session.tree().name_dir(name).is_dir() {
            return Err(Error::NameNotInTree(name.clone()));
        }
    }
    let wanted = snapshot.packages.iter().filter(|found| {
        package.is_none_or(|name| *name == found.id.name)
            && found.state(template) == Some(BuildState::Installed)
    });
    let ids: Vec<_> = wanted.map(|found| found.id.clone()).collect();
    if ids.is_empty() {
        session
            .system
            .console
            .say(format!("There are no modules installed for the kernel {template} to match."));
        return Ok(());
    }
    require_headers(session, &target.release)?;
    let names: Vec<PackageName> = ids.iter().map(|id| id.name.clone()).collect();
    let mut failures = Failures::default();
    let mut installed = Vec::new();
    for id in ids {
        session.system.console.say(format!("Module: {} Version: {}", id.name, id.version));
        let job =
            Job { every_kernel: package.is_none(), ..Job::of_package(id, target.clone(), force.clone()) };
        let result = job_package(session, &job, false).and_then(|added| match added {
            Some(added) => install_one(session, &job, &added, target),
            None => Ok(None),
        });
        installed.extend(failures.note(session, result).flatten());
    }
    failures.note(session, finish(session, target, installed, force));
    forget_superseded(session, &names);
    retire(session, true);
    keep_complete(session);
    failures.result()
}

/// The package of a job, added once for all its kernels; `None` where there is no kernel to work for. `same_content`: a
/// directory may be given for a package that was added with what it holds.
fn job_package(session: &WriteSession<'_>, job: &Job, same_content: bool) -> Result<Option<Added>> {
    // Forcing means the build or installation; of what is given as a file or directory, its coming in too.
    let force = job.force.force && !matches!(job.subject, Subject::Package(_));
    let options = AddOptions { conf: job.conf.as_deref(), force, same_content, ..AddOptions::default() };
    job.targets.first().map(|target| ensure_added(session, &job.subject, options, target)).transpose()
}

/// What is known before it is decided what to do.
pub(crate) fn facts(session: &Session<'_>, id: &BuildId, force: bool) -> BuildFacts {
    let (installed, built) = (session.tree().installed(id), session.tree().built(id));
    let is_in_use = installed.is_some() || built_in_extension(session, id).is_some();
    let is_as_wanted = |installed: Installed| {
        is_intact(session, &installed) && pending_signature(session, installed.built()).is_none()
    };
    BuildFacts {
        state: built.as_ref().map(|_| if is_in_use { BuildState::Installed } else { BuildState::Built }),
        stale: built.and_then(|built| staleness(session, &built)),
        intact: installed.is_none_or(is_as_wanted),
        force,
    }
}

/// The same for a build by name: what is damaged and not in use is made again. An installation of it fails, with the code that
/// callers know.
pub(crate) fn facts_for_build(session: &Session<'_>, id: &BuildId, force: bool) -> BuildFacts {
    let mut facts = facts(session, id, force);
    if facts.state == Some(BuildState::Built) && facts.stale.is_none() && !force {
        let is_damaged = session.tree().built(id).is_some_and(|built| !is_whole(session, &built));
        facts.stale = is_damaged.then_some(Stale::Damaged);
    }
    facts
}

/// Compiles, or takes what was compiled before the kernel came; `why` is why what is built already does not do.
fn build_for(
    session: &WriteSession<'_>,
    job: &Job,
    added: &Added,
    id: &BuildId,
    why: Option<Stale>,
) -> Result<Built> {
    if job.conf.is_none() && job.force.is_plain() {
        if let Some(built) = take_kept(session, id) {
            return sign_if_pending(session, built);
        }
    }
    if let Some(why) = why {
        session.system.console.note(format!("{id} is rebuilt: {why}."));
    }
    let options =
        BuildOptions { conf: job.conf.as_deref(), force: job.force.clone(), ..BuildOptions::default() };
    build(session, added, id, options)
}

/// Installs a package for one kernel, without indexing it; `None` if it is installed already.
fn install_one(
    session: &WriteSession<'_>,
    job: &Job,
    added: &Added,
    target: &Target,
) -> Result<Option<Installed>> {
    let id = BuildId::new(added.id().clone(), target.clone());
    let disabling = session.disabling(added.id(), target);
    // A person who names a package means it; a package manager, or everything at once, does not.
    if let Some(why) = &disabling {
        if job.every_kernel || !session.system.is_by_hand() {
            session.system.console.say(format!("{} is skipped for kernel {target}: {why}.", added.id()));
            return Ok(None);
        }
    }
    let plan = plan_install(&id, facts(session, &id, job.force.force));
    if let InstallPlan::Skip(skip) = plan {
        session.system.console.say(skip.to_string());
        return Ok(None);
    }
    if let Some(why) = disabling {
        session.system.console.warn(format!("{id}: {why}; it is installed, and not kept up to date."));
    }
    let work = || carry_out(session, job, added, &id, plan);
    attempt(session, &id, AttemptResult::Installed, work).map(Some)
}

fn carry_out(
    session: &WriteSession<'_>,
    job: &Job,
    added: &Added,
    id: &BuildId,
    plan: InstallPlan,
) -> Result<Installed> {
    let built = match plan {
        InstallPlan::BuildThenInstall(why) => Some(build_for(session, job, added, id, why)?),
        InstallPlan::Install | InstallPlan::Skip(_) => {
            tell_failure_since(session, id);
            session.tree().built(id).map(|built| sign_if_pending(session, built)).transpose()?
        }
    };
    let Some(built) = built else { return Err(Error::NotInTree(id.package.clone())) };
    let options = InstallOptions { conf: job.conf.as_deref(), force: job.force.clone() };
    let installed = install(session, built, &options)?;
    session.system.console.say(format!("Installing {} for kernel {}... done.", id.package, id.target));
    Ok(installed)
}

/// A build that is installed although a later one failed is not what its author expects.
fn tell_failure_since(session: &WriteSession<'_>, id: &BuildId) {
    // One of another source, which was taken back since, means nothing.
    if let Some(Error::FailedBefore { at, reason, .. }) = remembered_failure(session, id) {
        let console = &session.system.console;
        console.warn(format!("{id}: the last build failed on {at} ({reason}); an earlier one is installed."));
    }
}
