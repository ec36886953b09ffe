//! Where one build happens: a private directory that the build sees at `T/M/V/build`.
//!
//! Programs run in a mount namespace where that name leads to their own directory, so that builds of one package for
//! several kernels do not meet. In the place of the package's source they see a second private copy: what a build writes
//! there ends with it. Where namespaces are not allowed, the build happens at `T/M/V/build` itself and sees the source.

use crate::build::jobs::SharedJobs;
use crate::model::{BuildId, Error, Result, millis};
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::system::files;
use crate::system::process::{Bind, Command, namespaces_allowed};
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
        id: &BuildId,
        environment: ProgramEnvironment,
        jobs: Option<&'a SharedJobs>,
    ) -> Result<Self> {
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
        let (out, modules) = (stage.join("out"), stage.join("modules"));
        // Mount points exist on both sides before the first program starts.
        for dir in binds.iter().map(|bind| &bind.from).chain([&real, &out, &modules]) {
            files::create_dirs(dir)?;
        }
        let (owner, began) = (id.package.to_string(), Instant::now());
        let (id, kept_log) = (id.clone(), session.tree().kept_failure_log(id));
        Ok(Self {
            id,
            owner,
            shown,
            real,
            binds,
            out,
            modules,
            environment,
            jobs,
            began,
            stage,
            source,
            kept_log,
        })
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
        files::copy_tree(&self.source, &self.real)?;
        for bind in self.binds.iter().filter(|bind| bind.onto == self.source) {
            files::copy_tree(&self.source, &bind.from)?;
        }
        if patches.is_dir() {
            files::copy_tree(patches, &self.real.join("patches"))?;
        }
        Ok(())
    }

    /// The file behind a path below the build directory, with links resolved as the build sees them; `None` where there is
    /// none.
    #[must_use]
    pub(crate) fn resolve(&self, file: &Path) -> Option<PathBuf> {
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
        Some(self.real_of(&seen)).filter(|path| path.symlink_metadata().is_ok_and(|data| data.is_file()))
    }

    /// Where a path leads that the build sees.
    fn real_of(&self, path: &Path) -> PathBuf {
        let behind = |bind: &Bind| path.strip_prefix(&bind.onto).ok().map(|rest| bind.from.join(rest));
        self.binds.iter().find_map(behind).unwrap_or_else(|| path.to_owned())
    }

    /// Lets everybody read the log while it is written, at the place where it is found after a failure. Without that the
    /// build goes on.
    pub(crate) fn show_log(&self, log: &Path) {
        if self.real != self.shown {
            let shown = self.shown.join("make.log");
            let _ = files::remove_file(&shown).and_then(|()| files::link(log, &shown));
        }
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

    /// After a failure: the build directory, with its log, is where people look for it.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn leave_failed(self) -> Result<()> {
        if self.real != self.shown && self.real.is_dir() {
            files::remove_tree(&self.shown)?;
            files::rename(&self.real, &self.shown)?;
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
