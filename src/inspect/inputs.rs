//! What a build is made from: recorded with it, and compared before anything is built again.

use crate::conf::{EvalContext, override_names};
use crate::kernel::{Kernel, header_dirs, headers_print};
use crate::model::{BuildId, Error, KernelRelease, PackageId, PackageName, Target};
use crate::plan::autoinstall::Stale;
use crate::session::Session;
use crate::system::dir;
use crate::system::fingerprint::{Comparison, Fingerprint, StatPrint};
use crate::tree::{Built, Inputs, UsedFile};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// What a build would be made from now.
///
/// # Errors
/// Something cannot be read.
pub(crate) fn inputs(session: &Session<'_>, id: &BuildId) -> io::Result<Inputs> {
    let kernel = session.kernel(&id.target.release);
    let kernel_files = kernel_files(&kernel);
    Ok(Inputs {
        source: Fingerprint::take(&source_paths(session, id))?,
        overrides: Fingerprint::take(&override_paths(session, id, &kernel))?,
        kernel: Fingerprint::take(&kernel_files)?,
        kernel_files,
        compiler: compiler(&kernel),
        compiler_file: None,
        headers: None,
        dependencies: BTreeMap::new(),
    })
}

/// The kernel's headers as they are, looked at once in a run. Where something else changes them later in the run, what is
/// built from then on counts as built with the earlier ones, and is built again by the next run.
fn headers(session: &Session<'_>, kernel: &Kernel) -> Option<StatPrint> {
    let mut known = session.headers.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(kernel.build_dir.clone()).or_insert_with(|| headers_print(kernel)).clone()
}

/// Whether the headers are those that a build was made with, as far as this is known.
fn has_same_headers(session: &Session<'_>, inputs: &Inputs, kernel: &Kernel) -> bool {
    let Some(then) = &inputs.headers else { return true };
    headers(session, kernel).is_some_and(|now| now.is_as(then))
}

/// What is known after a build: the compiler that it used, and the headers as it left them.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    headers: Option<StatPrint>,
    compiler: Option<UsedFile>,
}

impl Surroundings {
    /// `can_write_in` tells whether the package's programs could write in one of some directories.
    pub(crate) fn look(
        session: &Session<'_>,
        release: &KernelRelease,
        cc: Option<&str>,
        can_write_in: impl Fn(&[PathBuf]) -> bool,
    ) -> Self {
        let kernel = session.kernel(release);
        // Some packages' scripts prepare headers.
        if can_write_in(&header_dirs(&kernel)) {
            session.headers.lock().unwrap_or_else(PoisonError::into_inner).remove(&kernel.build_dir);
        }
        let headers = headers(session, &kernel);
        let compiler = session.system.program(cc.unwrap_or("gcc"));
        let mut known = session.compilers.lock().unwrap_or_else(PoisonError::into_inner);
        let compiler = compiler
            .and_then(|path| known.entry(path.clone()).or_insert_with(|| UsedFile::from_path(path)).clone());
        Self { headers, compiler }
    }

    /// Adds them to the inputs of the build.
    pub(crate) fn note(self, inputs: &mut Inputs) {
        inputs.headers = self.headers;
        inputs.compiler_file = self.compiler;
    }
}

/// The packages that a build is made with, and what they export.
pub(crate) fn exports(
    session: &Session<'_>,
    names: &[String],
    id: &BuildId,
) -> BTreeMap<String, Option<String>> {
    let names = names.iter().filter_map(|name| PackageName::new(name).ok());
    let active = names.filter_map(|name| session.tree().active(&name, &id.target));
    active.map(|found| (found.id().name().to_string(), found.built().exports())).collect()
}

/// Why a build is not what would be built now, if it is not. Where its files were only written anew, the record that
/// says so is kept for [`Session::note_rewritten`].
///
/// Builds without a record, kernels without headers and packages without sources tell nothing.
pub(crate) fn staleness(session: &Session<'_>, built: &Built) -> Option<Stale> {
    let mut record = built.record()?;
    let mut inputs = record.inputs.clone()?;
    let id = built.id();
    let kernel = session.kernel(&id.target.release);
    if !kernel.has_headers() || !has_sources(&session.tree().source(&id.package)) {
        return None;
    }
    let mut rewritten = false;
    match compare(session, &mut inputs, id, &kernel, &mut rewritten) {
        Ok(None) => {}
        Ok(stale) => return stale,
        Err(error) => {
            session.system.console.warn(format!("{id}: cannot determine whether it is up to date: {error}"));
            return None;
        }
    }
    if let Some((name, _)) = replaced_exports(session, &inputs, id) {
        return Some(Stale::Dependency(name));
    }
    if rewritten {
        record.inputs = Some(inputs);
        session.rewritten.lock().unwrap_or_else(PoisonError::into_inner).push((built.clone(), record));
    }
    None
}

/// Whether everything that a build was made from is known, is here, and is the same: more than [`staleness`] asks of builds that
/// are in use already.
#[must_use]
pub(crate) fn is_certainly_current(session: &Session<'_>, built: &Built) -> bool {
    let Some(inputs) = built.record().and_then(|record| record.inputs) else { return false };
    let kernel = session.kernel(&built.id().target.release);
    inputs.kernel_files == kernel_files(&kernel)
        && inputs.kernel_files.iter().all(|file| file.is_file())
        && inputs.headers.is_some()
        && has_same_headers(session, &inputs, &kernel)
        && inputs.compiler_file.is_some_and(|compiler| is_found_by_name(session, &compiler.path))
        && has_sources(&session.tree().source(&built.id().package))
        && staleness(session, built).is_none()
}

/// Whether a program is still the one that its name stands for.
fn is_found_by_name(session: &Session<'_>, path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| session.system.program(name)).is_some_and(|found| found == path)
}

/// Whether a source directory holds anything to compile beside its dkms.conf.
#[must_use]
pub(crate) fn has_sources(dir: &Path) -> bool {
    dir::entries(dir).iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count() > 1
}

/// The first dependency that exports something else than when the build was made.
pub(crate) fn replaced_exports(
    session: &Session<'_>,
    inputs: &Inputs,
    id: &BuildId,
) -> Option<(String, Option<String>)> {
    let now = |name: &String| {
        let active = session.tree().active(&PackageName::new(name).ok()?, &id.target)?;
        Some(active.built().exports())
    };
    let mut replaced = inputs.dependencies.iter().filter_map(|(name, then)| {
        let now = now(name)?;
        (now != *then).then(|| (name.clone(), now))
    });
    replaced.next()
}

fn compare(
    session: &Session<'_>,
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
        if same_headers && !has_same_headers(session, inputs, kernel) {
            return Ok(Some(Stale::Kernel));
        }
    }
    // Where it is gone, another one with which nothing has been compiled yet is no reason to compile.
    if let Some(UsedFile { path, print }) = &mut inputs.compiler_file {
        if path.exists() && differs(print, std::slice::from_ref(path), rewritten)? {
            return Ok(Some(Stale::CompilerFile));
        }
    }
    if differs(&mut inputs.source, &source_paths(session, id), rewritten)? {
        return Ok(Some(Stale::Source));
    }
    if differs(&mut inputs.overrides, &override_paths(session, id, kernel), rewritten)? {
        return Ok(Some(Stale::Overrides));
    }
    Ok(None)
}

/// What is remembered of a failed build, if another try would be the same again.
pub(crate) fn remembered_failure(session: &Session<'_>, id: &BuildId) -> Option<Error> {
    let record = session.tree().failure(id)?;
    let mut inputs = record.inputs;
    let same = record.tool_files == tool_files(session)
        && is_as_recorded(session, &mut inputs, (&record.tools, &record.tool_files), id);
    same.then(|| Error::FailedBefore {
        build: id.clone(),
        reason: record.reason,
        log: record.log.and_then(|_| session.tree().log_of_failure(id)),
        at: record.at,
        code: record.exit_code,
    })
}

/// Whether everything is what it was: what a build is made from, and the programs that it is made with.
pub(crate) fn is_as_recorded(
    session: &Session<'_>,
    inputs: &mut Inputs,
    (tools, files): (&Fingerprint, &[PathBuf]),
    id: &BuildId,
) -> bool {
    let kernel = session.kernel(&id.target.release);
    compare(session, inputs, id, &kernel, &mut false).is_ok_and(|stale| stale.is_none())
        && inputs.kernel_files == kernel_files(&kernel)
        && tools.compare(files).is_ok_and(|comparison| comparison != Comparison::Different)
}

/// Where the administrator has patches for a package.
pub(crate) fn patch_overlay(session: &Session<'_>, id: &BuildId) -> PathBuf {
    session.system.path("/etc/dkms").join(id.name().as_str()).join("patches")
}

pub(crate) fn source_paths(session: &Session<'_>, id: &BuildId) -> Vec<PathBuf> {
    vec![session.tree().source(&id.package), patch_overlay(session, id)]
}

pub(crate) fn override_paths(session: &Session<'_>, id: &BuildId, kernel: &Kernel) -> Vec<PathBuf> {
    override_names(
        &id.package,
        EvalContext { package: Some(&id.package), kernel, arch: &id.target.arch },
        session.system,
    )
}

/// The programs that no build is without. Others that a package asks for are its own affair.
pub(crate) fn tool_files(session: &Session<'_>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["make", "gcc", "clang", "ld", "patch"]
        .iter()
        .filter_map(|name| session.system.program(name))
        .collect();
    files.push(session.system.path("/etc/dkms/framework.conf"));
    files.push(session.system.path("/etc/dkms/framework.conf.d"));
    files
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

/// The versions of the packages that a build finds installed.
pub(crate) fn installed_dependencies(
    session: &Session<'_>,
    names: &[String],
    target: &Target,
) -> Vec<PackageId> {
    let names = names.iter().filter_map(|name| PackageName::new(name).ok());
    let active = names.filter_map(|name| session.tree().active(&name, target));
    active.map(|installed| installed.id().package.clone()).collect()
}
