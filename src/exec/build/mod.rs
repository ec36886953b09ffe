//! Builds one package for one kernel: a private copy of the source, the package's own make, and a result that is
//! published whole or not at all.

mod modules;
mod workplace;

pub(super) use modules::store;
pub use workplace::Workplace;

use super::Engine;
use super::environment::Environment;
use super::jobs::{SharedJobs, Turn};
use super::log::{self, StepLog};
use super::make::{self, Parallelism};
use crate::conf::{PackageConf, Script, Strictness};
use crate::inspect::exposures;
use crate::kernel::Toolchain;
use crate::model::{BuildId, Error, PackageId, Result};
use crate::plan::request::Force;
use crate::plan::{Buildable, buildable};
use crate::system::fingerprint::Fingerprint;
use crate::system::process::Input;
use crate::system::{files, regex};
use crate::tree::{Added, Built, Inputs, Intent, Key};
use std::path::Path;

/// How a build is meant.
#[derive(Debug, Default)]
pub struct BuildOptions<'a> {
    /// Read in place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    pub force: Force,
    /// The build's turn among others that run at the same time, and what they share.
    pub jobs: Option<(&'a SharedJobs, Turn<'a>)>,
}

/// What is known of a build before anything is written.
struct Preparation {
    id: BuildId,
    conf: PackageConf,
    buildable: Buildable,
    toolchain: Toolchain,
    environment: Environment,
    signer: Option<crate::signing::Signer>,
    /// What it is built against, where that is to be recorded.
    against: Vec<PackageId>,
    /// What the build is made from; `None` where that cannot be read.
    inputs: Option<Inputs>,
    /// Modules may name another release.
    any_vermagic: bool,
}

impl Engine<'_> {
    /// Builds, and replaces an earlier build only by a finished one. If the old one was installed it stays so.
    ///
    /// # Errors
    /// The kernel is not wanted (77), its headers are missing, or a step fails; then the build directory and its log
    /// are left at `T/M/V/build`.
    pub fn build(&self, added: &Added, id: &BuildId, options: BuildOptions<'_>) -> Result<Built> {
        self.go_on()?;
        let preparation = self.prepare(added, id, &options)?;
        let under_way = self.writer.intend(Intent::Build { build: Key::of(id) })?;
        let (shared, mut turn) = options.jobs.unzip();
        let place = Workplace::create(self, &preparation.id, preparation.environment.clone(), shared)?;
        self.note_environment(id, &preparation.environment);
        let writes_source = !place.hides_source();
        let result = match !writes_source {
            true => self.build_in(&place, &preparation, turn.as_mut()),
            // What a build writes into its source is its own work, and no change of it.
            false => self.keeping_current(&id.package, || {
                let built = self.build_in(&place, &preparation, turn.as_mut())?;
                self.renew_source(&built).map(|()| built)
            }),
        };
        let result = if result.is_err() { self.go_on().and(result) } else { result };
        let is_interrupted = matches!(result, Err(Error::Interrupted { .. }));
        let tidied = if result.is_ok() || is_interrupted { place.clean() } else { place.leave_failed() };
        if let Err(error) = tidied {
            self.system.ui.warn(format!("{id}: {error}"));
            under_way.leave();
        }
        let mut inputs = preparation.inputs.filter(|_| result.is_err());
        if let (true, Some(inputs)) = (writes_source, &mut inputs) {
            inputs.source = Fingerprint::take(&self.source_paths(id)).unwrap_or_default();
        }
        if let Some(inputs) = &mut inputs {
            self.note_surroundings(inputs, &id.target.release, preparation.toolchain.cc.as_deref());
        }
        self.remember(id, inputs, result.as_ref().err());
        if result.as_ref().is_err_and(Error::is_for_crash_reporters) {
            self.report_to_apport(id);
        }
        result
    }

    /// Everything that can refuse a build, in the order in which callers know it.
    fn prepare(&self, added: &Added, id: &BuildId, options: &BuildOptions<'_>) -> Result<Preparation> {
        let kernel = self.kernel(&id.target.release);
        let own_conf = added.conf();
        let conf =
            self.conf(&id.package, options.conf.unwrap_or(&own_conf), &id.target, Strictness::Strict)?;
        self.tell_about(&conf, &id.package);
        let buildable = buildable(&conf, &id.target, kernel.config());
        if let Some(why) = &buildable.package {
            return Err(Error::Excluded { build: id.clone(), conf: conf.path.clone(), why: why.to_string() });
        }
        if visible_entries(added.source()) < 2 {
            return Err(Error::SourceHasOnlyConf { path: added.source().to_owned() });
        }
        self.require_headers(&id.target.release)?;
        self.tell_exposures(id, options.conf);
        let signer =
            self.signer(&id.target.release).map_err(|why| Error::NotSigned { build: id.clone(), why })?;
        let toolchain = self.toolchain(&id.target.release);
        let environment = self.build_environment(id, &toolchain)?;
        self.require_dependencies(id, &conf, options.force.force)?;
        let against = if conf.depends_rebuild.is_yes() && !options.force.force {
            self.installed_dependencies(&conf.depends, &id.target)
        } else {
            Vec::new()
        };
        // Read before it is copied: what changes meanwhile makes the build stale.
        let mut inputs = self.inputs(id).ok();
        if let Some(inputs) = inputs.as_mut().filter(|_| !against.is_empty()) {
            inputs.dependencies = self.exports(&conf.depends, id);
        }
        Ok(Preparation {
            id: id.clone(),
            conf,
            buildable,
            toolchain,
            environment,
            signer,
            against,
            inputs,
            any_vermagic: options.force.vermagic,
        })
    }

    /// Names what another user can change of what is about to run as root.
    fn tell_exposures(&self, id: &BuildId, conf: Option<&Path>) {
        let mut paths = self.source_paths(id);
        paths.extend(self.override_paths(id, &self.kernel(&id.target.release)));
        paths.extend(conf.map(Path::to_owned));
        let found = exposures(&paths, self.system.host.euid);
        let Some(first) = found.first() else { return };
        let others = match found.len() - 1 {
            0 => String::new(),
            1 => " and one other file".to_owned(),
            n => format!(" and {n} other files"),
        };
        let source = fs_err::canonicalize(self.tree().source(&id.package)).unwrap_or_default();
        let top = if first.path.starts_with(&source) { source.as_path() } else { &first.path };
        self.system.ui.warn(format!(
            "{id}: {} can change {}{others}, which this build runs.\nTo prevent that: chown -R root: {top} && chmod -R go-w {top}",
            first.who,
            first.path.display(),
            top = make::quote(top)
        ));
    }

    /// # Errors
    /// The kernel's headers are not installed.
    pub fn require_headers(&self, release: &crate::model::KernelRelease) -> Result<()> {
        let kernel = self.kernel(release);
        if kernel.has_headers() {
            return Ok(());
        }
        Err(Error::HeadersMissing { release: release.clone(), path: kernel.build_dir.clone() })
    }

    fn require_dependencies(&self, id: &BuildId, conf: &PackageConf, force: bool) -> Result<()> {
        let is_missing = |name: &&String| {
            crate::model::PackageName::new(name)
                .map_or(true, |name| self.tree().active(&name, &id.target).is_none())
        };
        let missing: Vec<String> = conf.depends.iter().filter(is_missing).cloned().collect();
        let error = Error::DependencyMissing { build: id.clone(), missing };
        match &error {
            Error::DependencyMissing { missing, .. } if missing.is_empty() => Ok(()),
            _ if force => {
                self.system.ui.warn(error.to_string());
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn build_in(
        &self,
        place: &Workplace<'_>,
        preparation: &Preparation,
        turn: Option<&mut Turn<'_>>,
    ) -> Result<Built> {
        place.fill(&self.patch_overlay(&preparation.id))?;
        let mut log = StepLog::for_build(&place.real.join("make.log"), &preparation.id)?;
        self.apply_patches(place, &preparation.conf, &mut log)?;
        if let Some(line) = preparation.conf.script(Script::PreBuild) {
            self.run_build_script(Script::PreBuild, line, place, &mut log)?;
        }
        place.enter()?;
        self.make(place, preparation, turn, &mut log)?;
        place.enter()?;
        self.collect_modules(place, preparation)?;
        self.publish(place, preparation, log)
    }

    fn apply_patches(&self, place: &Workplace<'_>, conf: &PackageConf, log: &mut StepLog) -> Result<()> {
        let release = place.id.target.release.as_str();
        for patch in conf.patches(|expr| regex::matches(expr, release)) {
            if Path::new(patch)
                .components()
                .any(|part| !matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
            {
                return Err(Error::PatchOutside { patch: patch.to_owned() });
            }
            let file = place.real.join("patches").join(patch);
            if !file.is_file() {
                let path = place.shown.join("patches").join(patch);
                return Err(Error::PatchMissing { patch: patch.to_owned(), path });
            }
            let title = format!("Applying patch {patch}");
            let step = self.system.ui.step(&place.owner, &title);
            let command =
                place.environment.apply(self.system.command("patch")).arg("-p1").stdin(Input::File(file));
            let shown = format!("patch -p1 < ./patches/{patch}");
            let status = log.run(&title, &shown, command.dir(&place.shown).binds(&place.binds))?;
            self.go_on()?;
            if !status.success() {
                step.failed(format!("bad exit status: {}", status.code()));
                let log = self.tree().failure_log(&place.id.package);
                return Err(Error::PatchFailed { patch: patch.to_owned(), build: place.id.clone(), log });
            }
            step.done();
        }
        Ok(())
    }

    fn make(
        &self,
        place: &Workplace<'_>,
        preparation: &Preparation,
        turn: Option<&mut Turn<'_>>,
        log: &mut StepLog,
    ) -> Result<()> {
        let kernel = self.kernel(&place.id.target.release);
        let release = &place.id.target.release;
        let conf = preparation.conf.make_command(|expr| regex::matches(expr, release.as_str()));
        let jobs = match place.jobs {
            Some(_) => Parallelism::Jobserver,
            None => Parallelism::Option(self.settings.jobs),
        };
        let line = make::command_line(
            conf,
            &kernel.build_dir,
            &place.shown,
            release,
            preparation.toolchain.llvm,
            jobs,
        );
        if let Some(turn) = turn.filter(|_| make::sets_jobs(&line)) {
            turn.be_alone();
        }
        let title = if self.system.ui.is_verbose() { line.as_str() } else { "Building module(s)" };
        let step = self.system.ui.step(&place.owner, title);
        let mut environment = place.environment.clone();
        let source = Path::new("/usr/src").join(place.id.package.source_dir_name());
        if let Some(option) = kernel.config().and_then(|c| make::prefix_map(c, &place.shown, &source)) {
            environment.append("KCFLAGS", &option, self.system);
            // Newer kernels make clang refuse an option that it has no use for.
            if kernel.config().is_none_or(|config| !config.is_set("CONFIG_CC_IS_CLANG")) {
                environment.append("KAFLAGS", &option, self.system);
            }
        }
        let command = environment.shell(self.system, &line).dir(&place.shown).binds(&place.binds);
        let status = log.run("Building module(s)", &line, place.with_jobserver(command))?;
        self.go_on()?;
        if status.success() {
            step.done();
            return Ok(());
        }
        step.failed(format!("bad exit status: {}", status.code()));
        Err(Error::MakeFailed {
            build: place.id.clone(),
            log: self.tree().failure_log(&place.id.package),
            first_error: log::first_error(log.path()),
        })
    }

    /// Gives the staged result its name, runs POST_BUILD where everything stands as it expects, and takes the result
    /// back if that fails.
    fn publish(&self, place: &Workplace<'_>, preparation: &Preparation, mut log: StepLog) -> Result<Built> {
        if let Some(installed) = self.tree().installed(&place.id) {
            installed.carry_record(&place.out)?;
        }
        let (built, replaced) =
            self.writer.publish(&place.id, &place.out).map_err(|error| place.not_stored(error))?;
        if let Some(line) = preparation.conf.script(Script::PostBuild) {
            let done = self.run_build_script(Script::PostBuild, line, place, &mut log);
            if let Err(error) = done.and_then(|()| self.record_anew(&built)) {
                self.writer.withdraw(built, replaced)?;
                return Err(error);
            }
        }
        // With its log the build is complete; without, it is taken back, by us or by the next run.
        let logs = built.dir().join("log");
        let kept =
            files::create_dirs(&logs).and_then(|()| files::move_file(log.path(), &logs.join("make.log")));
        if let Err(error) = kept {
            self.writer.withdraw(built, replaced)?;
            return Err(place.not_stored(error.into()));
        }
        // What was replaced goes with the rest of the work.
        Ok(built)
    }

    /// Ubuntu's crash reporter, where it is installed; its result does not matter.
    fn report_to_apport(&self, id: &BuildId) {
        let hook = self.system.path("/usr/share/apport/package-hooks/dkms_packages.py");
        if !crate::kernel::is_available("/usr/share/apport/apport", self.system) || !hook.is_file() {
            return;
        }
        let command = self.system.command("python3").arg(hook);
        let _ = command
            .args(["-m", id.name().as_str(), "-v", id.package.version.as_str()])
            .args(["-k", id.target.release.as_str()])
            .run();
    }
}

fn visible_entries(dir: &Path) -> usize {
    let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count()
}
