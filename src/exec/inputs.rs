//! What a build is made from: recorded with it, and compared before anything is built again.

use super::{Engine, Reader};
use crate::conf::{View, override_names};
use crate::kernel::{Kernel, find_program, headers_digest};
use crate::model::{BuildId, Error, KernelRelease, PackageId, PackageName, Result};
use crate::plan::autoinstall::Stale;
use crate::system::files;
use crate::system::fingerprint::{Comparison, Fingerprint};
use crate::tree::{Built, FailureRecord, Inputs, UsedFile};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;

impl Reader<'_> {
    /// What a build would be made from now.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(super) fn inputs(&self, id: &BuildId) -> io::Result<Inputs> {
        let kernel = self.kernel(&id.target.release);
        let kernel_files = kernel_files(&kernel);
        Ok(Inputs {
            source: Fingerprint::take(&self.source_paths(id))?,
            overrides: Fingerprint::take(&self.override_paths(id, &kernel))?,
            kernel: Fingerprint::take(&kernel_files)?,
            kernel_files,
            compiler: compiler(&kernel),
            compiler_file: None,
            headers: None,
            dependencies: BTreeMap::new(),
        })
    }

    /// The kernel's headers as they are, looked at once in a run.
    fn headers(&self, kernel: &Kernel) -> Option<String> {
        let mut known = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(kernel.build_dir.clone()).or_insert_with(|| headers_digest(kernel)).clone()
    }

    /// Adds to the inputs of a build what is known after it: the compiler that it used, and the headers as it left them, for some
    /// packages' scripts prepare them.
    pub(super) fn note_surroundings(&self, inputs: &mut Inputs, release: &KernelRelease, cc: Option<&str>) {
        let kernel = self.kernel(release);
        inputs.headers = headers_digest(&kernel);
        let compiler = find_program(cc.unwrap_or("gcc"), self.system);
        let mut known = self.compilers.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.compiler_file =
            compiler.and_then(|path| known.entry(path.clone()).or_insert_with(|| UsedFile::of(path)).clone());
    }

    /// The packages that a build is made with, and what they export.
    pub(super) fn exports(&self, names: &[String], id: &BuildId) -> BTreeMap<String, Option<String>> {
        let names = names.iter().filter_map(|name| PackageName::new(name).ok());
        let active = names.filter_map(|name| self.tree().active(&name, &id.target));
        active.map(|found| (found.id().name().to_string(), found.built().exports())).collect()
    }

    /// Why a build is not what would be built now, if it is not. Where its files were only written anew, the record that
    /// says so is kept for [`Engine::note_rewritten`].
    ///
    /// Builds without a record, and kernels without headers, tell nothing.
    pub(super) fn staleness(&self, built: &Built) -> Option<Stale> {
        let mut record = built.record()?;
        let mut inputs = record.inputs.clone()?;
        let id = built.id();
        let kernel = self.kernel(&id.target.release);
        if !kernel.has_headers() || !self.tree().source(&id.package).is_dir() {
            return None;
        }
        let mut rewritten = false;
        match self.compare(&mut inputs, id, &kernel, &mut rewritten) {
            Ok(None) => {}
            Ok(stale) => return stale,
            Err(error) => {
                self.system.ui.warn(format!("{id}: nobody can tell whether it is up to date: {error}"));
                return None;
            }
        }
        if let Some((name, _)) = self.replaced_exports(&inputs, id) {
            return Some(Stale::Dependency(name));
        }
        if rewritten {
            record.inputs = Some(inputs);
            self.rewritten.lock().unwrap_or_else(PoisonError::into_inner).push((built.clone(), record));
        }
        None
    }

    /// The first dependency that exports something else than when the build was made.
    pub(super) fn replaced_exports(&self, inputs: &Inputs, id: &BuildId) -> Option<(String, Option<String>)> {
        let now = |name: &String| {
            let active = self.tree().active(&PackageName::new(name).ok()?, &id.target)?;
            Some(active.built().exports())
        };
        let mut replaced = inputs.dependencies.iter().filter_map(|(name, then)| {
            let now = now(name)?;
            (now != *then).then(|| (name.clone(), now))
        });
        replaced.next()
    }

    fn compare(
        &self,
        inputs: &mut Inputs,
        id: &BuildId,
        kernel: &Kernel,
        rewritten: &mut bool,
    ) -> io::Result<Option<Stale>> {
        // A build that comes from another machine is compared with what this one has.
        if inputs.kernel_files.is_empty() {
            inputs.kernel_files = kernel_files(kernel);
        }
        // Headers that are gone, or were given by hand, are nothing to compare with.
        if inputs.kernel_files.iter().all(|file| file.exists()) {
            let compiler = compiler(kernel);
            let same_headers = inputs.kernel_files == kernel_files(kernel);
            if same_headers && compiler != inputs.compiler {
                return Ok(Some(Stale::Compiler));
            }
            let files = inputs.kernel_files.clone();
            if differs(&mut inputs.kernel, &files, rewritten)? {
                return Ok(Some(Stale::Kernel));
            }
            if same_headers && inputs.headers.is_some() && inputs.headers != self.headers(kernel) {
                return Ok(Some(Stale::Kernel));
            }
        }
        // Where it is gone, another one with which nothing has been compiled yet is no reason to compile.
        if let Some(UsedFile { path, print }) = &mut inputs.compiler_file
            && path.exists()
            && differs(print, std::slice::from_ref(path), rewritten)?
        {
            return Ok(Some(Stale::CompilerFile));
        }
        if differs(&mut inputs.source, &self.source_paths(id), rewritten)? {
            return Ok(Some(Stale::Source));
        }
        if differs(&mut inputs.overrides, &self.override_paths(id, kernel), rewritten)? {
            return Ok(Some(Stale::Overrides));
        }
        Ok(None)
    }

    /// What is remembered of a failed build, if another try would be the same again.
    pub(super) fn remembered_failure(&self, id: &BuildId) -> Option<Error> {
        let record = self.tree().failure(id)?;
        let kernel = self.kernel(&id.target.release);
        let mut inputs = record.inputs;
        let same = self.compare(&mut inputs, id, &kernel, &mut false).ok()?.is_none()
            && inputs.kernel_files == kernel_files(&kernel)
            && record.tool_files == self.tool_files()
            && record.tools.compare(&record.tool_files).ok()? != Comparison::Different;
        same.then(|| Error::FailedBefore {
            build: id.clone(),
            reason: record.reason,
            log: record.log.filter(|log| log.is_file()),
            at: record.at,
            code: record.exit_code,
        })
    }

    /// Where the administrator has patches for a package.
    pub(super) fn patch_overlay(&self, id: &BuildId) -> PathBuf {
        self.system.path("/etc/dkms").join(id.name().as_str()).join("patches")
    }

    pub(super) fn source_paths(&self, id: &BuildId) -> Vec<PathBuf> {
        vec![self.tree().source(&id.package), self.patch_overlay(id)]
    }

    pub(super) fn override_paths(&self, id: &BuildId, kernel: &Kernel) -> Vec<PathBuf> {
        override_names(
            &id.package,
            View { package: Some(&id.package), kernel, arch: &id.target.arch },
            self.system,
        )
    }

    /// The programs that no build is without. Others that a package asks for are its own affair.
    fn tool_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = ["make", "gcc", "clang", "ld", "patch"]
            .iter()
            .filter_map(|name| find_program(name, self.system))
            .collect();
        files.push(self.system.path("/etc/dkms/framework.conf"));
        files.push(self.system.path("/etc/dkms/framework.conf.d"));
        files
    }
}

impl Engine<'_> {
    /// Runs a program of the package that works in its source. Builds that were made from what the source was before are made
    /// from what it is afterwards: a script that writes a log there has changed nothing.
    pub(super) fn keeping_current<T>(&self, package: &PackageId, run: impl FnOnce() -> T) -> T {
        let found = self.tree().package(package.clone(), &self.settings.source_tree);
        let builds = found.into_iter().flat_map(|package| package.builds);
        let builds = builds.filter_map(|build| {
            let built = self.tree().built(&BuildId::new(package.clone(), build.target))?;
            let inputs = built.record()?.inputs?;
            let same = inputs.source.compare(&self.source_paths(built.id())).ok()?;
            (same != Comparison::Different).then_some(built)
        });
        let current: Vec<Built> = builds.collect();
        let result = run();
        for built in current {
            self.warn_of(built.id(), self.renew_source(&built));
        }
        result
    }

    /// Records what the source of a build is now, where that is something else than before.
    pub(super) fn renew_source(&self, built: &Built) -> Result<()> {
        let Some(mut record) = built.record() else { return Ok(()) };
        let paths = self.source_paths(built.id());
        let Some(inputs) = &mut record.inputs else { return Ok(()) };
        if inputs.source.compare(&paths)? == Comparison::Same {
            return Ok(());
        }
        inputs.source = Fingerprint::take(&paths)?;
        self.writer.amend(built, &record)
    }

    /// Brings the records of builds up to date whose inputs were seen to be only written anew, so that the next look costs
    /// less.
    pub(super) fn note_rewritten(&self) {
        let seen = std::mem::take(&mut *self.rewritten.lock().unwrap_or_else(PoisonError::into_inner));
        for (built, record) in seen {
            self.warn_of(built.id(), self.writer.amend(&built, &record));
        }
    }

    /// Remembers how a build ended, where the same build would end like that again.
    pub(super) fn remember(&self, id: &BuildId, inputs: Option<Inputs>, error: Option<&Error>) {
        let Some(error) = error else {
            return self.warn_of(id, self.writer.forget_failure(id));
        };
        if !error.is_of_the_package() || error.log().is_some_and(|log| was_cut_short(log)) {
            return;
        }
        let tool_files = self.tool_files();
        let (Some(inputs), Ok(tools)) = (inputs, Fingerprint::take(&tool_files)) else { return };
        let at = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string();
        let mut record = FailureRecord::new(inputs, (tools, tool_files), at);
        record.reason = error.in_one_line();
        record.log = error.log().cloned();
        record.exit_code = error.exit_code().0;
        self.warn_of(id, self.writer.remember_failure(id, &record));
    }

    fn warn_of(&self, id: &BuildId, result: crate::model::Result<()>) {
        if let Err(error) = result {
            self.system.ui.warn(format!("{id}: {error}"));
        }
    }
}

fn differs(print: &mut Fingerprint, paths: &[PathBuf], rewritten: &mut bool) -> io::Result<bool> {
    Ok(match print.compare(paths)? {
        Comparison::Same => false,
        Comparison::Rewritten(new) => {
            *print = new;
            *rewritten = true;
            false
        }
        Comparison::Different => true,
    })
}

fn compiler(kernel: &Kernel) -> String {
    let text = kernel.config().and_then(|config| config.value("CONFIG_CC_VERSION_TEXT"));
    text.unwrap_or_default().to_owned()
}

/// Module.symvers has the checksum of every symbol that the kernel exports: a kernel in which they changed needs other
/// modules.
fn kernel_files(kernel: &Kernel) -> Vec<PathBuf> {
    vec![kernel.build_dir.join("Module.symvers"), kernel.config_path.clone()]
}

/// Whether a build ended because of the machine or the caller: out of memory or disk, killed, without a program that it needs,
/// at a limit of the caller's shell. The next try may do better.
fn was_cut_short(log: &std::path::Path) -> bool {
    const MARKS: [&str; 15] = [
        // A program that could not be started.
        "(os error ",
        "No space left on device",
        "Disk quota exceeded",
        "Cannot allocate memory",
        "virtual memory exhausted",
        "out of memory",
        "Too many open files",
        "File too large",
        "ile size limit exceeded",
        "CPU time limit exceeded",
        "Resource temporarily unavailable",
        "Killed signal",
        "] Killed",
        "] Terminated",
        "] Interrupt",
    ];
    // `make: gcc: No such file or directory` is a missing program; with `***` it is a missing directory of the package's.
    let is_missing_program = |line: &str| {
        line.ends_with(": command not found")
            || line.ends_with(": not found")
            || (line.starts_with("make")
                && !line.contains("***")
                && line.ends_with(": No such file or directory"))
    };
    let bytes = files::read_ends(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    MARKS.iter().any(|mark| text.contains(mark)) || text.lines().any(|line| is_missing_program(line.trim()))
}
