//! Where one build happens: a private directory that the build sees at `T/M/V/build`.
//!
//! Programs run in a mount namespace where that name leads to their own directory, so that builds of one package for
//! several kernels do not meet. In the place of the package's source they see a second private copy: what a build writes
//! there ends with it. Where namespaces are not allowed, the build happens at `T/M/V/build` itself and sees the source.

use crate::build::isolation;
use crate::build::jobs::{Shared, SharedJobs};
use crate::build::preparation::Preparation;
use crate::build::probes::Probes;
use crate::conf::{Isolation, IsolationPolicy, Script};
use crate::model::{BuildId, Error, Result, millis};
use crate::programs::log::was_without_room;
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::system::files;
use crate::system::handover;
use crate::system::process::{Command, namespaces_allowed, walls};
use crate::system::regex;
use crate::system::sandbox::{Bind, Ids, Outline, Sandbox, Wall};
use crate::tree::IsolationRecord;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

/// The directories of one build.
#[derive(Debug)]
pub(crate) struct BuildDir<'a> {
    pub id: BuildId,
    /// `M/V`, for messages.
    pub owner: String,
    /// The name that the build sees.
    pub shown: PathBuf,
    /// Where its files are.
    pub real: PathBuf,
    pub binds: Vec<Bind>,
    /// The staged result.
    pub out: PathBuf,
    /// Copies of the modules that were made: they are stripped and signed here, where no link leads.
    pub modules: PathBuf,
    pub environment: ProgramEnvironment,
    pub jobs: Option<&'a SharedJobs>,
    /// The walls around its programs; `None` where the administrator wants none, or the build does not stand them.
    confinement: Option<(Outline, Sandbox)>,
    /// Why it runs without walls, where they were tried first.
    fallback: Option<String>,
    /// What answers questions to compilers, where something does.
    probes: Option<Probes>,
    began: Instant,
    stage: PathBuf,
    source: PathBuf,
    /// Where the log of a failure stays until the next build for this kernel.
    kept_log: PathBuf,
}

/// More links than this in one path are a circle, as for the kernel (path_resolution(7)).
const MOST_LINKS: usize = 40;

impl<'a> BuildDir<'a> {
    /// Makes the directories.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn create(
        session: &WriteSession<'_>,
        preparation: &Preparation,
        Shared { jobs, probes: common }: Shared<'a>,
        policy: &IsolationPolicy,
    ) -> Result<Self> {
        let id = &preparation.id;
        let shown = session.tree().build_dir(&id.package);
        let stage = session.writer.stage(id)?;
        files::create_dirs(&shown)?;
        let (real, mut binds) = if namespaces_allowed() {
            let real = stage.join("build");
            (real.clone(), vec![Bind { from: real, onto: shown.clone() }])
        } else {
            files::remove_tree(&shown)?;
            (shown.clone(), Vec::new())
        };
        // A bind mount needs the directory itself, not a link to it.
        let source = fs_err::canonicalize(session.tree().source(&id.package))?;
        // A source below the tree is only a dkms.conf.
        if !binds.is_empty() && !source.starts_with(session.tree().root()) {
            binds.push(Bind { from: stage.join("source"), onto: source.clone() });
        }
        let (out, modules, scratch) = (stage.join("out"), stage.join("modules"), stage.join("scratch/tmp"));
        // Mount points exist on both sides before the first program starts.
        for dir in binds.iter().map(|bind| &bind.from).chain([&real, &out, &modules, &scratch]) {
            files::create_dirs(dir)?;
        }
        let (conf, release) = (&preparation.conf, id.target.release.as_str());
        let lines = [conf.make_command(|expr| regex::matches(expr, release)), conf.script(Script::PreBuild)];
        let lines: Vec<&str> = lines.into_iter().flatten().collect();
        let probes = Probes::prepare(session, &preparation.environment, &lines, &stage, common);
        let mut place = Self {
            id: id.clone(),
            owner: id.package.to_string(),
            shown,
            real,
            binds,
            out,
            modules,
            environment: preparation.environment.clone(),
            jobs,
            confinement: None,
            fallback: None,
            probes,
            began: Instant::now(),
            stage,
            source,
            kept_log: session.tree().kept_failure_log(id),
        };
        if policy.isolation != Isolation::Off {
            place.confine(isolation::outline(session, preparation, policy), &scratch)?;
        }
        if let Some(probes) = &place.probes {
            let sandbox = place.confinement.as_ref().map(|(_, sandbox)| sandbox);
            probes.give(sandbox.and_then(|sandbox| sandbox.walls.user()))?;
            probes.enter(&mut place.environment, session.system);
        }
        Ok(place)
    }

    /// Puts walls around what is built here.
    fn confine(&mut self, outline: Outline, scratch: &Path) -> Result<()> {
        let own = if self.real == self.shown {
            vec![Bind::in_place(self.real.clone())]
        } else {
            self.binds.clone()
        };
        let shown = self.probes.iter().flat_map(Probes::shown);
        let own = own.into_iter().chain(self.probes.iter().map(Probes::written));
        let outline =
            outline.show(shown).write(own).scratch(scratch.to_owned()).log(self.shown.join("make.log"));
        let mut walls = walls().clone();
        // Some file systems have one owner for everything.
        if walls.user().is_some_and(|owner| handover::set_owner(scratch, owner.numbers()).is_err()) {
            walls = walls.without(Wall::User);
        }
        if walls.has(Wall::Files) {
            // As /tmp is: what we put there for the build to see is not the build's to exchange. No other user comes here.
            handover::set_owner(scratch, handover::own_ids())?;
            files::set_mode(scratch, 0o1777)?;
            files::set_mode(scratch.parent().unwrap_or(scratch), 0o700)?;
        } else {
            files::set_mode(scratch, 0o700)?;
        }
        let sandbox = outline.sandbox(walls);
        self.confinement = Some((outline, sandbox));
        Ok(())
    }

    /// The same without walls, because `why` was denied behind them.
    #[must_use]
    pub(crate) fn without_walls(mut self, why: String) -> Self {
        self.fallback = Some(why);
        self
    }

    /// What the record of the build says about its walls.
    #[must_use]
    pub(crate) fn isolation(&self) -> IsolationRecord {
        let walls = self.confinement.as_ref().map(|(_, sandbox)| sandbox.walls.names());
        IsolationRecord { walls: walls.unwrap_or_default(), fallback: self.fallback.clone() }
    }

    /// Whether there are walls around it.
    #[must_use]
    pub(crate) fn is_confined(&self) -> bool {
        self.confinement.is_some()
    }

    /// Whether programs of the package can write anything in one of these directories.
    #[must_use]
    pub(crate) fn can_write_in(&self, dirs: &[PathBuf]) -> bool {
        match &self.confinement {
            Some((outline, sandbox)) if sandbox.walls.has(Wall::Files) => outline.can_write_in(dirs),
            _ => true,
        }
    }

    /// A program of the package, where it belongs.
    #[must_use]
    pub(crate) fn place(&self, command: Command) -> Command {
        match &self.confinement {
            Some((_, sandbox)) => command.confined(sandbox),
            None => command.binds(&self.binds),
        }
    }

    /// The same for a program that works in `dir`, which is of this process before and after.
    ///
    /// # Errors
    /// The directory cannot be given away or taken back, or `run` fails.
    pub(crate) fn lend<T>(
        &self,
        dir: &Path,
        run: impl FnOnce(&dyn Fn(Command) -> Command) -> Result<T>,
    ) -> Result<T> {
        let Some((outline, sandbox)) = &self.confinement else {
            return run(&|command| command.binds(&self.binds));
        };
        let wider = outline.clone().write([Bind::in_place(dir.to_owned())]).sandbox(sandbox.walls.clone());
        if let Some(owner) = self.owner_of_files() {
            handover::give_tree(dir, owner)?;
        }
        let result = run(&|command| command.confined(&wider));
        self.take_over(dir)?;
        result
    }

    /// Takes back what programs of the package made in a directory.
    fn take_over(&self, dir: &Path) -> Result<()> {
        match self.owner_of_files() {
            Some((user, _)) => Ok(handover::take_over(dir, user)?),
            None => Ok(()),
        }
    }

    /// Who the files of a build belong to while its programs run; `None` for us.
    fn owner_of_files(&self) -> Option<(u32, u32)> {
        let (_, sandbox) = self.confinement.as_ref()?;
        sandbox.walls.user().map(Ids::numbers)
    }

    /// How long the build has been running, in milliseconds.
    #[must_use]
    pub(crate) fn elapsed_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }

    /// Whether programs see a copy in the place of the package's source.
    #[must_use]
    pub(crate) fn hides_source(&self) -> bool {
        self.binds.iter().any(|bind| bind.onto == self.source)
    }

    /// Copies the source, and over its patches those of the administrator.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn fill(&self, patches: &Path) -> Result<()> {
        let source = self.binds.iter().find(|bind| bind.onto == self.source).map(|bind| &bind.from);
        for copy in std::iter::once(&self.real).chain(source) {
            files::copy_tree(&self.source, copy)?;
        }
        if patches.is_dir() {
            files::copy_tree(patches, &self.real.join("patches"))?;
        }
        // Given away when it is complete: programs of other builds may run as the same user.
        if let Some(owner) = self.owner_of_files() {
            for copy in std::iter::once(&self.real).chain(source) {
                handover::give_tree(copy, owner)?;
            }
        }
        Ok(())
    }

    /// Where the log is written, beside what the build can change.
    #[must_use]
    pub(crate) fn log_path(&self) -> PathBuf {
        self.stage.join("make.log")
    }

    /// The content of a file below the build directory, with links resolved as the build sees them; `None` where there is
    /// none. What was built behind walls is taken from the build's own directories only.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(&self, file: &Path) -> Result<Option<Vec<u8>>> {
        let path = self.resolve(file);
        let Some(path) = path.filter(|path| path.symlink_metadata().is_ok_and(|data| data.is_file())) else {
            return Ok(None);
        };
        if self.confinement.is_none() {
            return Ok(Some(fs_err::read(&path)?));
        }
        let own = std::iter::once(&self.real).chain(self.binds.iter().map(|bind| &bind.from));
        for dir in own {
            if let Ok(name) = path.strip_prefix(dir) {
                return Ok(handover::read_below(dir, name)?);
            }
        }
        Err(Error::IrregularResult { build: self.id.clone(), file: file.display().to_string(), path })
    }

    /// Where a path below the build directory leads, as the build sees it; `None` for a circle of links.
    fn resolve(&self, file: &Path) -> Option<PathBuf> {
        let mut pending: Vec<OsString> = parts(&self.shown.join(file));
        let (mut seen, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = pending.pop() {
            if part == ".." {
                seen.pop();
                continue;
            }
            let next = seen.join(part);
            let Ok(target) = fs_err::read_link(self.real_of(&next)) else {
                seen = next;
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            if target.is_absolute() {
                seen = PathBuf::from("/");
            }
            pending.extend(parts(&target));
        }
        Some(self.real_of(&seen))
    }

    /// Where a path leads that the build sees.
    fn real_of(&self, path: &Path) -> PathBuf {
        let behind = |bind: &Bind| path.strip_prefix(&bind.onto).ok().map(|rest| bind.from.join(rest));
        self.binds.iter().find_map(behind).unwrap_or_else(|| path.to_owned())
    }

    /// Lets everybody read the log while it is written, at the place where it is found after a failure, and the build's
    /// programs open their standard output by name. Without that the build goes on.
    pub(crate) fn show_log(&self) {
        let log = self.log_path();
        if let Some(owner) = self.owner_of_files() {
            let _ = handover::set_owner(&log, owner);
        }
        let mut places = vec![&self.real, &self.shown];
        places.dedup();
        for dir in places {
            let shown = dir.join("make.log");
            let _ = files::remove_tree(&shown).and_then(|()| files::link(&log, &shown));
        }
    }

    /// Takes the log back from the programs that could write it.
    ///
    /// # Errors
    /// It is gone, or cannot be written.
    pub(crate) fn take_log(&self) -> Result<()> {
        files::shorten(&self.log_path())?;
        self.take_over(&self.log_path())
    }

    /// Before a step starts there: an earlier one of the package may have removed the directory.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn enter(&self) -> Result<()> {
        if self.real.is_dir() {
            return Ok(());
        }
        Err(Error::BuildDirectoryGone { build: self.id.clone(), path: self.shown.clone() })
    }

    /// What a failure to write between make and the finished result means to callers.
    #[must_use]
    pub(crate) fn not_stored(&self, error: Error) -> Error {
        match error {
            Error::Io { text } => Error::ResultNotStored { build: self.id.clone(), why: text },
            other => other,
        }
    }

    /// A command that shares the jobs of the other builds.
    #[must_use]
    pub(crate) fn with_jobserver(&self, command: Command) -> Command {
        match self.jobs {
            Some(jobs) => jobs.share_with(command),
            None => command,
        }
    }

    /// After a success: nothing of the work remains, not even the empty build directory.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn clean(self) -> Result<()> {
        files::remove_tree(&self.stage)?;
        if let Some(kernel_dir) = self.stage.parent() {
            files::remove_empty_dir(kernel_dir);
        }
        Ok(files::remove_tree(&self.shown)?)
    }

    /// After a failure: the build directory, with its log, is where people look for it. One that filled the disk, or its share
    /// of it, leaves the log only.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn leave_failed(self) -> Result<()> {
        let log = self.log_path();
        // Without a log there is nothing to keep.
        let _ = files::shorten(&log);
        if was_without_room(&log) || files::is_full(&self.stage) {
            files::remove_tree(&self.real)?;
            files::create_dirs(&self.real)?;
        }
        // What cannot be taken over, as a path that is too long to be named, is of no use to anybody.
        if self.real.is_dir() && self.take_over(&self.real).is_err() {
            files::remove_tree(&self.real)?;
            files::create_dirs(&self.real)?;
        }
        if self.real.is_dir() {
            let shown = self.real.join("make.log");
            if log.is_file() {
                files::remove_tree(&shown)?;
                files::move_file(&log, &shown)?;
                self.take_over(&shown)?;
            }
            if self.real != self.shown {
                files::remove_tree(&self.shown)?;
                files::rename(&self.real, &self.shown)?;
            }
        }
        let log = self.shown.join("make.log");
        if log.is_file() {
            // It is a convenience: without it the failure is the same.
            let _ = files::keep_copy(&log, &self.kept_log);
        }
        files::remove_tree(&self.stage)?;
        if let Some(kernel_dir) = self.stage.parent() {
            files::remove_empty_dir(kernel_dir);
        }
        Ok(())
    }
}

/// The components of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir));
    parts.rev().map(|part| part.as_os_str().to_owned()).collect()
}
