//! The actions build, install and match: one package at a time, for one kernel after the other.

use super::add::AddOptions;
use super::build::BuildOptions;
use super::install::InstallOptions;
use super::uninstall::RemoveCaller;
use super::{Engine, Failures};
use crate::model::{BuildId, BuildState, Error, PackageName, Result, Target};
use crate::plan::lifecycle::{BuildPlan, InstallPlan, plan_build, plan_install};
use crate::plan::request::{Force, Subject};
use crate::tree::{Added, Built, Installed};
use std::path::PathBuf;

/// One package for some kernels.
#[derive(Debug, Clone)]
pub struct Job {
    pub subject: Subject,
    pub conf: Option<PathBuf>,
    pub targets: Vec<Target>,
    pub force: Force,
}

/// Runs `each` for every target; goes on after failures and returns the first one.
fn for_each_target(
    engine: &Engine<'_>,
    targets: &[Target],
    mut each: impl FnMut(&Target) -> Result<()>,
) -> Result<()> {
    if let [target] = targets {
        engine.go_on()?;
        return each(target);
    }
    let mut failures = Failures::default();
    for target in targets {
        engine.go_on()?;
        failures.note(engine, each(target));
    }
    failures.result()
}

/// The action `build`.
///
/// # Errors
/// The first target's that failed.
pub fn build_all(engine: &Engine<'_>, job: &Job) -> Result<()> {
    let Some(added) = engine.job_package(job)? else { return Ok(()) };
    for_each_target(engine, &job.targets, |target| {
        let id = BuildId::new(added.id().clone(), target.clone());
        match plan_build(&id, engine.state(&id), job.force.force) {
            BuildPlan::Skip(skip) => engine.system.ui.say(skip.to_string()),
            BuildPlan::Build => {
                engine.build_for(job, &added, &id)?;
            }
        }
        Ok(())
    })
}

/// The action `install`.
///
/// # Errors
/// The first target's that failed.
pub fn install_all(engine: &Engine<'_>, job: &Job) -> Result<()> {
    let Some(added) = engine.job_package(job)? else { return Ok(()) };
    for_each_target(engine, &job.targets, |target| {
        let installed = engine.install_one(job, &added, target)?;
        engine.finish(target, installed.into_iter().collect(), &job.force)
    })
}

/// The action `match`: what one kernel has, another one gets.
///
/// # Errors
/// Headers are missing, or a package failed; the others are installed.
pub fn match_kernel(
    engine: &Engine<'_>,
    target: &Target,
    template: &Target,
    package: Option<&PackageName>,
    force: &Force,
) -> Result<()> {
    let snapshot = engine.tree().scan(&engine.settings.source_tree);
    if let Some(name) = package
        && !engine.tree().name_dir(name).is_dir()
    {
        return Err(Error::NameNotInTree(name.clone()));
    }
    let wanted = snapshot.packages.iter().filter(|found| {
        package.is_none_or(|name| *name == found.id.name)
            && found.state(template) == Some(BuildState::Installed)
    });
    let ids: Vec<_> = wanted.map(|found| found.id.clone()).collect();
    if ids.is_empty() {
        engine.system.ui.say(format!("There are no modules installed for the kernel {template} to match."));
        return Ok(());
    }
    engine.require_headers(&target.release)?;
    let mut failures = Failures::default();
    let mut installed = Vec::new();
    for id in ids {
        engine.system.ui.say(format!("Module: {} Version: {}", id.name, id.version));
        let job = Job {
            subject: Subject::Package(id),
            conf: None,
            targets: vec![target.clone()],
            force: force.clone(),
        };
        let result = engine.job_package(&job).and_then(|added| match added {
            Some(added) => engine.install_one(&job, &added, target),
            None => Ok(None),
        });
        installed.extend(failures.note(engine, result).flatten());
    }
    failures.note(engine, engine.finish(target, installed, force));
    failures.result()
}

impl Engine<'_> {
    /// How far a build has come.
    #[must_use]
    pub fn state(&self, id: &BuildId) -> Option<BuildState> {
        match (self.tree().installed(id), self.tree().built(id)) {
            (Some(_), _) => Some(BuildState::Installed),
            (None, Some(_)) => Some(BuildState::Built),
            (None, None) => None,
        }
    }

    /// The package of a job, added once for all its kernels; `None` where there is no kernel to work for.
    fn job_package(&self, job: &Job) -> Result<Option<Added>> {
        // Forcing means the build or installation; of what is given as a file or directory, its coming in too.
        let force = job.force.force && !matches!(job.subject, Subject::Package(_));
        let options = AddOptions { conf: job.conf.as_deref(), force, ..AddOptions::default() };
        job.targets.first().map(|target| self.ensure_added(&job.subject, options, target)).transpose()
    }

    fn build_for(&self, job: &Job, added: &Added, id: &BuildId) -> Result<Built> {
        let options = BuildOptions { conf: job.conf.as_deref(), force: job.force.clone(), jobs: None };
        self.build(added, id, options)
    }

    /// Whether a job came with a source that is not what was built.
    fn has_new_source(&self, job: &Job, id: &BuildId) -> bool {
        let is_directory = matches!(job.subject, Subject::Directory(_));
        is_directory && self.tree().built(id).is_none_or(|built| self.staleness(&built).is_some())
    }

    /// Installs a package for one kernel, without indexing it; `None` if it is installed already.
    fn install_one(&self, job: &Job, added: &Added, target: &Target) -> Result<Option<Installed>> {
        let id = BuildId::new(added.id().clone(), target.clone());
        let is_as_wanted = |installed: Installed| {
            self.is_intact(&installed) && self.signature_due(installed.built()).is_none()
        };
        let intact = self.tree().installed(&id).is_none_or(is_as_wanted);
        let built = match plan_install(&id, self.state(&id), intact, job.force.force) {
            InstallPlan::Skip(skip) => {
                self.system.ui.say(skip.to_string());
                return Ok(None);
            }
            InstallPlan::Install if self.has_new_source(job, &id) => Some(self.build_for(job, added, &id)?),
            InstallPlan::Install => {
                self.tree().built(&id).map(|built| self.sign_if_due(built)).transpose()?
            }
            InstallPlan::BuildThenInstall => Some(self.build_for(job, added, &id)?),
        };
        let Some(built) = built else { return Err(Error::NotInTree(id.package)) };
        let options = InstallOptions { conf: job.conf.as_deref(), force: job.force.clone() };
        let step_owner = id.package.to_string();
        let installed = self.install(built, &options)?;
        self.system.ui.say(format!("Installing {step_owner} for kernel {}... done.", id.target));
        Ok(Some(installed))
    }

    /// Ends installations for a target: what depends on them is built again unless they were forced, and the kernel is
    /// indexed. If that fails they are taken back; else what follows a change is done.
    ///
    /// # Errors
    /// depmod failed. The modules are built, and no longer installed.
    pub fn finish(&self, target: &Target, installed: Vec<Installed>, force: &Force) -> Result<()> {
        if installed.is_empty() {
            return Ok(());
        }
        if !force.force {
            self.rebuild_dependents(target);
        }
        let release = &target.release;
        if let Err(error) = self.depmod(release) {
            for installed in installed {
                if let Err(undo) = self.uninstall(installed, RemoveCaller::Command) {
                    self.tell(&undo);
                }
            }
            return Err(error);
        }
        if let Err(error) = self.load_for_devices(release) {
            self.system.ui.warn(format!("The modules are installed, and were not loaded: {error}"));
        }
        self.post_transaction(release);
        Ok(())
    }
}
