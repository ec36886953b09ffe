//! What an action would do and why: `--dry-run`, and `why` for one package. Only reads.

use crate::inspect::pending::gather;
use crate::inspect::subject::identify;
use crate::model::{BuildId, Error, PackageId, PackageName, Result, Target};
use crate::ops::lifecycle::{facts, facts_for_build};
use crate::plan::autoinstall::{Need, Plan, plan_autoinstall, unregistered};
use crate::plan::lifecycle::{BuildPlan, InstallPlan, plan_build, plan_install};
use crate::plan::request::{Change, Force, Job, PackageQuery, Removal, Subject, Targets};
use crate::session::Session;

/// What autoinstall would do with each package, or with one.
pub(crate) fn autoinstall(session: &Session<'_>, target: &Target, force: &Force, only: Option<&PackageName>) {
    let kernel = session.kernel(&target.release);
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let plan = plan_autoinstall(gather(session, &snapshot, target, force));
    let mut lines = lines(&plan, target, kernel.has_headers());
    lines.retain(|(name, _)| only.is_none_or(|only| name == only));
    if lines.is_empty() {
        session.system.console.say(format!("Nothing to do for kernel {target}."));
    }
    lines.iter().for_each(|(_, line)| session.system.console.say(line));
}

/// # Errors
/// The package is not in the tree.
pub(crate) fn why(session: &Session<'_>, wanted: &PackageQuery, target: &Target) -> Result<()> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    if !snapshot.packages.iter().any(|package| wanted.is(&package.id)) {
        return Err(Error::NameNotInTree(wanted.name.clone()));
    }
    session.read_confs_anew();
    let kernel = session.kernel(&target.release);
    if !kernel.exists() {
        return Err(Error::KernelMissing { path: kernel.dir.clone() });
    }
    if let Some(installed) = session.tree().active(&wanted.name, target) {
        session.system.console.say(format!("{} is installed for kernel {target}.", installed.id().package));
    }
    autoinstall(session, target, &Force::default(), Some(&wanted.name));
    Ok(())
}

/// What a plan has for each package, in its own words.
fn lines(plan: &Plan, target: &Target, has_headers: bool) -> Vec<(PackageName, String)> {
    let mut lines = Vec::new();
    let mut add = |name: &PackageName, line: String| lines.push((name.clone(), line));
    for step in &plan.steps {
        let id = &step.id;
        let what = match &step.need {
            Need::Build | Need::Rebuild(_) if !has_headers => {
                format!("would wait {id}: the headers of kernel {target} are not installed")
            }
            Need::Build => format!("would build and install {id}: it is not built"),
            Need::Rebuild(why) => format!("would rebuild and install {id}: {why}"),
            Need::Install => format!("would install {id}: it is built, and not installed as it was built"),
            Need::Sign(why) => format!("would sign and install {id}: {why}"),
        };
        let after = match step.after.is_empty() {
            true => String::new(),
            false => format!(
                ", after {}",
                step.after.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        };
        add(&id.name, format!("{what}{after}"));
    }
    for (name, why) in &plan.satisfied {
        add(name, format!("would keep {name}: {why}"));
    }
    for (id, why) in &plan.skipped {
        add(&id.name, format!("would skip {id}: {why}"));
    }
    for (id, why) in &plan.disabled {
        add(&id.name, format!("would leave {id} alone: {why}"));
    }
    for (id, error) in &plan.declined {
        add(&id.name, format!("would skip {id}: {}", error.in_one_line()));
    }
    for (id, error) in plan.failed.iter().chain(&plan.broken) {
        add(&id.name, format!("would not build {id}: {}", error.in_one_line()));
    }
    for (id, error, older) in &plan.replaced {
        add(&id.name, format!("would not build {id}, {older} is used: {}", error.in_one_line()));
    }
    for (id, why) in &plan.blocked {
        add(&id.name, format!("would not build {id}: {why}"));
    }
    for (id, names) in &plan.deferred {
        add(&id.name, format!("would not build {id}: {}", unregistered(names)));
    }
    lines
}

/// What a change would do.
///
/// # Errors
/// The subject is not a package.
pub(crate) fn change(session: &Session<'_>, change: &Change) -> Result<()> {
    let console = &session.system.console;
    match change {
        Change::Build(job) => {
            each(session, job, |id, force| match plan_build(id, facts_for_build(session, id, force)) {
                BuildPlan::Skip(skip) => skip.to_string(),
                BuildPlan::Build(why) => format!("would build {id}{}", reason(why)),
            })
        }
        Change::Install(job) => {
            if let (Subject::Directory(_), Some(target)) = (&job.subject, job.targets.first()) {
                refuse_added(session, &identify(session, &job.subject, target)?, job.force.force)?;
            }
            each(session, job, |id, force| match plan_install(id, facts(session, id, force)) {
                InstallPlan::Skip(skip) => skip.to_string(),
                InstallPlan::Install => format!("would install {id}: it is built"),
                InstallPlan::BuildThenInstall(why) => format!("would build and install {id}{}", reason(why)),
            })
        }
        Change::Add { subject, target, force, .. } => {
            let id = identify(session, subject, target)?;
            refuse_added(session, &id, *force)?;
            console.say(format!("would add {id}"));
            Ok(())
        }
        Change::Match { .. }
        | Change::KernelPreinst { .. }
        | Change::KernelPrerm { .. }
        | Change::Ldtarball { .. } => {
            let text = "--dry-run is for add, build, install, uninstall, unbuild, remove and autoinstall.";
            Err(Error::Usage { code: 2, text: text.to_owned() })
        }
    }
}

/// # Errors
/// The package is added already, and that is not forced.
fn refuse_added(session: &Session<'_>, id: &PackageId, force: bool) -> Result<()> {
    let is_added = session.tree().is_added(id, &session.settings.source_tree);
    if is_added && !force { Err(Error::AlreadyAdded(id.clone())) } else { Ok(()) }
}

fn reason(why: Option<impl std::fmt::Display>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

fn each(session: &Session<'_>, job: &Job, line: impl Fn(&BuildId, bool) -> String) -> Result<()> {
    for target in &job.targets {
        let id = BuildId::new(identify(session, &job.subject, target)?, target.clone());
        session.system.console.say(line(&id, job.force.force));
    }
    Ok(())
}

/// What a removal would take away.
///
/// # Errors
/// The package is not in the tree.
pub(crate) fn removal(session: &Session<'_>, removal: &Removal) -> Result<()> {
    let Removal { package, targets, extent } = removal;
    let found = session.tree().package(package.clone(), &session.settings.source_tree);
    let found = found.ok_or_else(|| Error::NotInTree(package.clone()))?;
    let builds = found.builds.iter().map(|build| build.target.clone());
    let meant: Vec<Target> = match targets {
        Targets::AllBuilt => builds.collect(),
        Targets::These(targets) => builds.filter(|target| targets.contains(target)).collect(),
    };
    let console = &session.system.console;
    for target in &meant {
        let id = BuildId::new(package.clone(), target.clone());
        if let Some(installed) = session.tree().installed(&id) {
            console.say(format!("would uninstall {id}"));
            let files = installed.record().map(|record| record.files).unwrap_or_default();
            files.iter().for_each(|file| console.say(format!("    {}", file.path.display())));
        }
        if extent.takes_builds() {
            console.say(format!("would delete the build of {id}"));
        }
    }
    if extent.takes_package() && found.builds.iter().all(|build| meant.contains(&build.target)) {
        console.say(format!("would delete {package} from the DKMS tree"));
    }
    Ok(())
}
