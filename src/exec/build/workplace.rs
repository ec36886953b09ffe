//! Where one build happens: a private directory that the build sees at `T/M/V/build`.
//!
//! Programs run in a mount namespace where that name leads to their own directory, so that builds of one package for
//! several kernels do not meet. Where namespaces are not allowed, the build happens at `T/M/V/build` itself.

use crate::exec::Engine;
use crate::exec::environment::Environment;
use crate::exec::jobs::SharedJobs;
use crate::model::{BuildId, Error, Result};
use crate::system::files;
use crate::system::process::{Bind, Command, namespaces_allowed};
use std::path::{Path, PathBuf};

/// The directories of one build.
#[derive(Debug)]
pub struct Workplace<'a> {
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
    pub environment: Environment,
    pub jobs: Option<&'a SharedJobs>,
    stage: PathBuf,
}

impl<'a> Workplace<'a> {
    /// Makes the directories.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub fn create(
        engine: &Engine<'_>,
        id: &BuildId,
        environment: Environment,
        jobs: Option<&'a SharedJobs>,
    ) -> Result<Self> {
        let shown = engine.tree().build_dir(&id.package);
        let stage = engine.writer.stage(id)?;
        files::create_dirs(&shown)?;
        let (real, binds) = if namespaces_allowed() {
            let real = stage.join("build");
            (real.clone(), vec![Bind { from: real, onto: shown.clone() }])
        } else {
            files::remove_tree(&shown)?;
            (shown.clone(), Vec::new())
        };
        files::create_dirs(&real)?;
        let out = stage.join("out");
        files::create_dirs(&out)?;
        let owner = id.package.to_string();
        Ok(Self { id: id.clone(), owner, shown, real, binds, out, environment, jobs, stage })
    }

    /// Copies the source, and over its patches those of the administrator.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn fill(&self, source: &Path, patches: &Path) -> Result<()> {
        let source = fs_err::canonicalize(source)?;
        files::copy_tree(&source, &self.real)?;
        if patches.is_dir() {
            files::copy_tree(patches, &self.real.join("patches"))?;
        }
        Ok(())
    }

    /// Before a step starts there: an earlier one of the package may have removed the directory.
    ///
    /// # Errors
    /// It is gone.
    pub fn enter(&self) -> Result<()> {
        if self.real.is_dir() {
            return Ok(());
        }
        Err(Error::BuildDirectoryGone { build: self.id.clone(), path: self.shown.clone() })
    }

    /// What a failure to write between make and the finished result means to callers.
    #[must_use]
    pub fn not_stored(&self, error: Error) -> Error {
        match error {
            Error::Io { text } => Error::ResultNotStored { build: self.id.clone(), why: text },
            other => other,
        }
    }

    /// A command that shares the jobs of the other builds.
    #[must_use]
    pub fn with_jobserver(&self, command: Command) -> Command {
        match self.jobs {
            Some(jobs) => jobs.share_with(command),
            None => command,
        }
    }

    /// After a success: nothing of the work remains, not even the empty build directory.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub fn clean(self) -> Result<()> {
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
    pub fn leave_failed(self) -> Result<()> {
        if self.real != self.shown && self.real.is_dir() {
            files::remove_tree(&self.shown)?;
            files::rename(&self.real, &self.shown)?;
        }
        files::remove_tree(&self.stage)?;
        if let Some(kernel_dir) = self.stage.parent() {
            files::remove_empty_dir(kernel_dir);
        }
        Ok(())
    }
}
