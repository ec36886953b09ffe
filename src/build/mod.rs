//! Builds one package for one kernel: a private copy of the source, the package's own make, and a result that is
//! published whole or not at all.

mod build_dir;
mod compress;
mod isolation;
pub(crate) mod jobs;
pub(crate) mod make;
pub(crate) mod modules;
mod outline;
pub(crate) mod preparation;
pub(crate) mod probes;
pub(crate) mod resign;
mod scripts;
pub(crate) mod sign;
pub(crate) mod signer;
mod store;

pub(crate) use build_dir::BuildDir;

use crate::build::jobs::Turn;
use crate::build::make::{OwnJobs, Parallelism};
use crate::build::modules::{collect_modules, record_anew};
use crate::build::preparation::{BuildOptions, Preparation, prepare};
use crate::build::scripts::run_build_script;
use crate::conf::{Isolation, IsolationPolicy, PackageConf, Script};
use crate::inspect::inputs::{Surroundings, patch_overlay, source_paths};
use crate::model::{BuildId, Error, Result};
use crate::programs::log::StepLog;
use crate::programs::records::{keeping_current, remember, remember_conf, renew_source};
use crate::session::WriteSession;
use crate::system::fingerprint::Fingerprint;
use crate::system::process::Input;
use crate::system::{Work, dir, files, handover, regex};
use crate::tree::{Added, Built, Entry, Key};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Builds, and replaces an earlier build only by a finished one. If the old one was installed it stays so.
///
/// # Errors
/// The kernel is not wanted (77), its headers are missing, or a step fails; then the build directory and its log
/// are left at `T/M/V/build`.
pub(crate) fn build(
    session: &WriteSession<'_>,
    added: &Added,
    id: &BuildId,
    mut options: BuildOptions<'_>,
) -> Result<Built> {
    session.go_on()?;
    let began = Instant::now();
    let preparation = prepare(session, added, id, &options)?;
    let under_way = session.writer.journal.begin(Entry::Build { build: Key::from_build(id) })?;
    let (shared, mut turn) = (options.shared, options.turn.take());
    let policy = isolation::policy(session, &preparation);
    isolation::tell_if_off(session);
    let mut place = BuildDir::create(session, &preparation, shared, &policy)?;
    session.note_environment(id, &preparation.environment);
    let shown = session.system.console.work(Work {
        owner: place.owner.clone(),
        kernel: id.target.release.to_string(),
        log: session.tree().failure_log(&id.package),
        last: session.tree().last_duration(&id.package.name),
    });
    let writes_source = !place.hides_source();
    let mut attempt = |place: &BuildDir<'_>| match !writes_source {
        true => build_in(session, place, &preparation, turn.as_mut()),
        // What a build writes into its source is its own work, and no change of it.
        false => keeping_current(session, &id.package, || {
            let built = build_in(session, place, &preparation, turn.as_mut())?;
            renew_source(session, &built).map(|()| built)
        }),
    };
    let mut result = attempt(&place);
    match denied(&place, result.as_ref().err()) {
        Some(what) if policy.isolation == Isolation::Strict => {
            result = result.map_err(|error| Error::DeniedByIsolation {
                error: Box::new(error),
                what,
                package: id.name().clone(),
            });
        }
        Some(what) => {
            session.system.console.warn(format!(
                "{id} does not build in isolation: {what}\nIt is built again without. To refuse that: build_isolation=\"strict\" in /etc/dkms/{}.conf",
                id.name()
            ));
            place.clean()?;
            let open = IsolationPolicy { isolation: Isolation::Off, ..policy };
            place = BuildDir::create(session, &preparation, shared, &open)?.without_walls(what);
            result = attempt(&place);
        }
        None => {}
    }
    // A make that a signal ended looks like one that failed: the signal is the reason.
    let result = if result.is_err() { session.go_on().and(result) } else { result };
    drop(shown);
    let walls = place.isolation();
    let is_interrupted = matches!(result, Err(Error::Interrupted { .. }));
    if preparation.conf.needed_bash && options.conf.is_none() && !writes_source {
        remember_conf(session, id, &preparation.conf, preparation.inputs.clone());
    }
    // A success recorded its inputs with the build.
    let mut inputs = preparation.inputs.filter(|_| result.is_err());
    if let (true, Some(inputs)) = (writes_source, &mut inputs) {
        inputs.source = Fingerprint::take(&source_paths(session, id)).unwrap_or_default();
    }
    if let Some(inputs) = &mut inputs {
        let (release, cc) = (&id.target.release, preparation.toolchain.cc.as_deref());
        Surroundings::look(session, release, cc, |dirs| place.can_write_in(dirs)).note(inputs);
    }
    // The directory of a failed build stays for its author; an interrupted one tells nothing.
    let tidied = if result.is_ok() || is_interrupted { place.clean() } else { place.leave_failed() };
    if let Err(error) = tidied {
        session.system.console.warn(format!("{id}: {error}"));
        under_way.keep();
    }
    let failed_before = session.tree().failure(id).is_some();
    remember(session, id, inputs, result.as_ref().err(), began.elapsed(), walls);
    if result.as_ref().is_err_and(Error::is_for_crash_reporters) {
        report_to_apport(session, id, &[]);
    } else if result.is_ok() && failed_before {
        report_to_apport(session, id, &["--fixed"]);
    }
    result
}

/// What the walls around a build denied to it, if that can be why it failed.
fn denied(place: &BuildDir<'_>, error: Option<&Error>) -> Option<String> {
    let error = error.filter(|_| place.is_confined())?;
    match error {
        Error::IrregularResult { .. } => Some(error.in_one_line()),
        Error::MakeFailed { .. }
        | Error::PatchFailed { .. }
        | Error::ScriptFailed { .. }
        | Error::ModuleNotProduced { .. } => isolation::denial(&place.log_path()),
        _ => None,
    }
}

fn build_in(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    preparation: &Preparation,
    turn: Option<&mut Turn<'_>>,
) -> Result<Built> {
    place.fill(&patch_overlay(session, &preparation.id))?;
    let mut log = StepLog::for_build(&place.log_path(), &preparation.id)?;
    // From here on people can follow the build.
    place.show_log();
    apply_patches(session, place, &preparation.conf, &mut log)?;
    if let Some(line) = preparation.conf.script(Script::PreBuild) {
        run_build_script(session, Script::PreBuild, line, place, &|command| place.place(command), &mut log)?;
    }
    place.enter()?;
    make(session, place, preparation, turn, &mut log)?;
    place.enter()?;
    collect_modules(session, place, preparation, log.cpu())?;
    publish(session, place, preparation, log)
}

fn apply_patches(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    conf: &PackageConf,
    log: &mut StepLog,
) -> Result<()> {
    let release = place.id.target.release.as_str();
    for patch in conf.patches(|expr| regex::matches(expr, release)) {
        if Path::new(patch)
            .components()
            .any(|part| !matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
        {
            return Err(Error::PatchOutside { patch: patch.to_owned() });
        }
        // Read from our copy: in the source its owner could exchange it for a link meanwhile. An earlier patch could make it
        // one, too.
        let Some(content) = place.read(&Path::new("patches").join(patch))? else {
            let path = place.shown.join("patches").join(patch);
            return Err(Error::PatchMissing { patch: patch.to_owned(), path });
        };
        let title = format!("Applying patch {patch}");
        let step = session.system.console.step(&place.owner, &title);
        let command =
            place.environment.apply(session.system.command("patch")).arg("-p1").stdin(Input::Bytes(content));
        let shown = format!("patch -p1 < ./patches/{patch}");
        let status = log.run(&title, &shown, place.place(command.dir(&place.shown)))?;
        session.go_on()?;
        if !status.success() {
            step.failed(format!("bad exit status: {}", status.code()));
            let log = session.tree().failure_log(&place.id.package);
            return Err(Error::PatchFailed { patch: patch.to_owned(), build: place.id.clone(), log });
        }
        step.done();
    }
    Ok(())
}

fn make(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    preparation: &Preparation,
    turn: Option<&mut Turn<'_>>,
    log: &mut StepLog,
) -> Result<()> {
    let kernel = session.kernel(&place.id.target.release);
    let release = &place.id.target.release;
    let conf = preparation.conf.make_command(|expr| regex::matches(expr, release.as_str()));
    let jobs = match place.jobs {
        Some(_) => Parallelism::Jobserver,
        None => Parallelism::Option(session.settings.jobs),
    };
    let mut line =
        make::command_line(conf, &kernel.build_dir, &place.shown, release, preparation.toolchain.llvm, jobs);
    if let Some(turn) = turn {
        match make::own_jobs(&line) {
            OwnJobs::None | OwnJobs::One => {}
            OwnJobs::Shared(shared) => line = shared,
            OwnJobs::Unknown => turn.be_alone(),
        }
    }
    let title = if session.system.console.is_verbose() { line.as_str() } else { "Building module(s)" };
    let step = session.system.console.step(&place.owner, title);
    let mut environment = place.environment.clone();
    // The usual place, not the real one: two machines then make the same module.
    let source = Path::new("/usr/src").join(place.id.package.source_dir_name());
    if let Some(option) = kernel.config().and_then(|c| make::prefix_map(c, &place.shown, &source)) {
        environment.append("KCFLAGS", &option, session.system);
        // Newer kernels make clang refuse an option that it has no use for.
        if kernel.config().is_none_or(|config| !config.is_set("CONFIG_CC_IS_CLANG")) {
            environment.append("KAFLAGS", &option, session.system);
        }
    }
    let command = place.place(environment.shell(session.system, &line).dir(&place.shown));
    let status = log.run("Building module(s)", &line, place.with_jobserver(command))?;
    session.go_on()?;
    if status.success() {
        step.done();
        return Ok(());
    }
    step.failed(format!("bad exit status: {}", status.code()));
    if !session.system.console.is_verbose() {
        session.system.console.detail(format!("Failed command:\n{line}"));
    }
    Err(Error::MakeFailed {
        build: place.id.clone(),
        log: session.tree().failure_log(&place.id.package),
        command: line,
        first_error: crate::programs::log::first_error(log.path(), &place.shown),
    })
}

/// Gives the staged result its name, runs POST_BUILD where everything stands as it expects, and takes the result
/// back if that fails.
fn publish(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    preparation: &Preparation,
    mut log: StepLog,
) -> Result<Built> {
    // The record of what stands in the kernel belongs to the place, not to the build: it must survive the exchange.
    if let Some(installed) = session.tree().installed(&place.id) {
        installed.carry_record(&place.out)?;
    }
    let (built, replaced) =
        session.writer.publish(&place.id, &place.out).map_err(|error| place.not_stored(error))?;
    if let Some(line) = preparation.conf.script(Script::PostBuild) {
        let (record, records) = (built.record(), Records::read(built.dir())?);
        let done = place.lend(built.dir(), |confined| {
            run_build_script(session, Script::PostBuild, line, place, confined, &mut log)
        });
        let done = done.and_then(|()| records.restore(built.dir()));
        let done = done.and_then(|()| require_regular(place, built.dir()));
        if let Err(error) = done.and_then(|()| record_anew(session, &built, record)) {
            session.writer.withdraw(built, replaced)?;
            return Err(error);
        }
    }
    // With its log the build is complete; without, it is taken back, by us or by the next run.
    let logs = built.dir().join("log");
    let kept = || -> Result<()> {
        place.take_log()?;
        files::create_dirs(&logs)?;
        Ok(files::move_file(log.path(), &logs.join("make.log"))?)
    };
    if let Err(error) = kept() {
        session.writer.withdraw(built, replaced)?;
        return Err(place.not_stored(error));
    }
    // What was replaced goes with the rest of the work.
    Ok(built)
}

/// What we and other dkms record in a build, which is not the package's to change.
struct Records(Vec<(PathBuf, Vec<u8>)>);

impl Records {
    fn read(dir: &Path) -> Result<Self> {
        let content = |path: PathBuf| Ok((path.clone(), fs_err::read(path)?));
        Ok(Self(records_in(dir)?.into_iter().map(content).collect::<Result<_>>()?))
    }

    fn restore(self, dir: &Path) -> Result<()> {
        records_in(dir)?.iter().try_for_each(|path| files::remove_tree(path))?;
        Ok(self.0.iter().try_for_each(|(path, content)| files::publish_file(path, content, 0o644))?)
    }
}

fn records_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let paths = dir::read(dir)?.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| crate::tree::is_record(path)).collect())
}

/// Nothing but files and directories may be in a result: what was made behind walls must not lead out of them later.
fn require_regular(place: &BuildDir<'_>, dir: &Path) -> Result<()> {
    match handover::find_irregular(dir)?.filter(|_| place.is_confined()) {
        Some(path) => {
            let name = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
            Err(Error::IrregularResult { build: place.id.clone(), file: name, path })
        }
        None => Ok(()),
    }
}

/// Ubuntu's crash reporter, where it is installed; its result does not matter.
fn report_to_apport(session: &WriteSession<'_>, id: &BuildId, more: &[&str]) {
    let hook = session.system.path("/usr/share/apport/package-hooks/dkms_packages.py");
    if session.system.program("/usr/share/apport/apport").is_none() || !hook.is_file() {
        return;
    }
    // The script that Ubuntu's own dkms calls.
    let command = session.system.command("python3").arg(hook);
    let _ = command
        .args(["-m", id.name().as_str(), "-v", id.package.version.as_str()])
        .args(["-k", id.target.release.as_str()])
        .args(more)
        .run();
}
