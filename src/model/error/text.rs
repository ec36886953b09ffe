//! What each error says: the text behind `Error! `; further lines say what to do. One table, so that an error without words
//! does not compile.

use super::Error;
use crate::model::module_name::module_stem;
use crate::model::remedy::Remedy;
use crate::model::text::{quote, shown_in_line};
use crate::model::{Arch, BuildId};
use std::fmt;

/// How the C library calls EROFS.
const READ_ONLY: &str = "Read-only file system";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported(error) => error.fmt(f),
            Self::NotLoaded { archive } => {
                let load = Remedy::Load(quote(archive));
                write!(
                    f,
                    "{} is an archive, which has to be loaded first.\nTo load it: {load}",
                    archive.display()
                )
            }
            Self::HoldsSourceTree { dir } => {
                write!(f, "{} contains the source tree itself and cannot be copied into it.", dir.display())
            }
            Self::NameNotInTree(name) => write!(f, "The module {name} is not located in the DKMS tree."),
            Self::Usage { text, .. } | Self::Io { text } => f.write_str(text),
            Self::UnknownOption(option) => write!(f, "Unknown option: {option}"),
            Self::UnknownAction(action) if action.is_empty() => f.write_str("No action was specified."),
            Self::UnknownAction(action) => write!(f, "Unknown action specified: {action}"),
            Self::NotRoot { action } => write!(f, "You must be root to use this command: {action}."),
            Self::NotWritable { path, why } if why.contains(READ_ONLY) => write!(
                f,
                "Cannot write to {}: the file system is read-only.\nMake it writable, or choose another tree.",
                path.display()
            ),
            Self::NotWritable { path, why } => {
                write!(
                    f,
                    "Cannot write to {}: {why}\nRun the command as root, or choose another tree.",
                    path.display()
                )
            }
            Self::BadName { what, text, why } => {
                write!(f, "{text:?} cannot be {what}: {why}.\nIt must be one file name without blanks.")
            }
            Self::MissingIdentity { action } => write!(
                f,
                "Arguments <module> and <module-version> are not specified.\nUsage: dkms {action} <module>/<module-version> or dkms {action} -m <module> -v <module-version>"
            ),
            Self::Archive { path, problem } => problem.describe(path, f),
            Self::Packaging { action, problem } => write!(f, "{action}: {problem}"),
            Self::ArchCount { kernels, arches } => {
                let arches = arches.iter().map(Arch::as_str).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "{kernels} kernel(s) and the architectures {arches} were given.\nGive one architecture for all kernels, or one for each."
                )
            }
            Self::ArchUnknown => f.write_str("Could not determine architecture.\nGive it with -a <arch>."),
            Self::EmptyTarget => f.write_str(
                "The kernel release or the architecture is empty.\nGive them with -k <kernel> and -a <arch>.",
            ),
            Self::KernelMissing { path } => {
                write!(
                    f,
                    "The directory {} doesn't exist.\nYou cannot install a module onto a non-existent kernel.",
                    path.display()
                )
            }
            Self::HeadersMissing { release, path, .. } => {
                write!(f, "Your kernel headers for kernel {release} cannot be found at {}.", path.display())
            }
            Self::Locked { path, why } => write!(f, "Cannot lock {}: {why}", path.display()),
            Self::Inconsistent { left, tree } => {
                let problems = if *left == 1 { "problem" } else { "problems" };
                write!(f, "{left} {problems} found in {}.\nTo repair: {}", tree.display(), Remedy::RepairTree)
            }
            Self::Interrupted { complete: true, .. } => {
                f.write_str("Interrupted; the work was already complete.")
            }
            Self::Interrupted { left, .. } => {
                f.write_str("Interrupted; unfinished work was undone.")?;
                match left.as_slice() {
                    [] => Ok(()),
                    left => write!(f, " Not installed: {}.", left.join(", ")),
                }
            }
            Self::NotSupported { action, instead } => {
                write!(f, "The action {action} does not exist any more.\n{instead}")
            }
            Self::SigningKey { why } => f.write_str(why),
            Self::SourceMissing { path } => write!(
                f,
                "Could not find module source directory.\nDirectory: {} does not exist.",
                path.display()
            ),
            Self::AlreadyAdded(id) => write!(
                f,
                "DKMS tree already contains: {id}\nYou cannot add the same module/version combo more than once."
            ),
            Self::NotInTree(id) => {
                write!(f, "The module/version combo: {id} is not located in the DKMS tree.")
            }
            Self::Broken { package, source } => write!(
                f,
                "{package} is broken!\nMissing the source directory or the symbolic link pointing to it: {}\nPut the source back, or remove the package with its modules: {}\nFile: {}/dkms.conf does not exist.",
                source.display(),
                Remedy::RemoveAll(package.clone()),
                source.display()
            ),
            Self::ConfNotFound { path } => {
                write!(f, "Could not locate dkms.conf file.\nFile: {} does not exist.", path.display())
            }
            Self::ConfUnreadable { path, why } => {
                write!(f, "Could not read dkms.conf file.\nFile: {}: {why}", path.display())
            }
            Self::ConfInvalid { path, problems } => {
                write!(
                    f,
                    "Bad conf file.\nFile: {} does not represent a valid dkms.conf file.",
                    path.display()
                )?;
                problems.iter().try_for_each(|problem| write!(f, "\n{problem}"))
            }
            Self::NoConfInDirectory { path } => write!(
                f,
                "{} does not contain a dkms.conf file.\nA source directory has one at its top.",
                path.display()
            ),
            Self::NothingToArchive { package, target: Some(target) } => write!(
                f,
                "No modules built for {package} on kernel {target}.\nModules must already be in the built state before using mktarball."
            ),
            Self::NothingToArchive { package, target: None } => write!(
                f,
                "No modules built for {package}.\nBuild it first, or archive its source alone with --source-only."
            ),
            Self::HeadersUnusable { path, why } => {
                write!(f, "{} cannot be used as kernel headers: {why}.", path.display())
            }
            Self::NoCandidates { why } => {
                write!(
                    f,
                    "The next kernel is not known: {why}.\nGive the packages of its headers: dkms preflight FILE.deb..."
                )
            }
            Self::NotShown { why } => write!(
                f,
                "Preflight cannot mount: {why}.\nIt needs root, and does not work in an unprivileged container."
            ),
            Self::SourceHasOnlyConf { path } => write!(
                f,
                "The directory {} does not appear to have module source located within it.\nBuild halted.",
                path.display()
            ),
            Self::PatchMissing { patch, path } => write!(
                f,
                "Patch {patch} as specified in dkms.conf cannot be found.\nFile: {} does not exist.",
                path.display()
            ),
            Self::PatchOutside { patch } => {
                write!(
                    f,
                    "Patch {patch} lies outside of the package.\nA PATCH is a path below patches/ without `..`."
                )
            }
            Self::PatchFailed { patch, log, .. } => write!(
                f,
                "Application of patch {patch} failed.\nConsult {} for more information.",
                log.display()
            ),
            Self::Excluded { build, conf, why } => write!(
                f,
                "The {} BUILD_EXCLUSIVE directive does not match this kernel/arch/config.\nThis indicates that {} should not be built. Kernel {}: {why}.",
                conf.display(),
                build.package,
                build.target
            ),
            Self::DependencyMissing { build, missing } => write!(
                f,
                "Aborting build of module {} for kernel {} due to missing BUILD_DEPENDS: {}.\nYou may override by specifying --force.",
                build.package,
                build.target,
                missing.join(" ")
            ),
            Self::ScriptFailed { script, status, log } => {
                write!(f, "{script} failed with exit status {status}.")?;
                log.iter().try_for_each(|log| write!(f, "\nConsult {} for more information.", log.display()))
            }
            Self::ScriptOnNoexec { script, path } => write!(
                f,
                "{script} cannot run: {} is on a file system that is mounted noexec.\nMount it without that option, or name another tree with --dkmstree or --sourcetree.",
                path.display()
            ),
            Self::MakeFailed { build, log, first_error, .. } => {
                write!(
                    f,
                    "Bad return status for module build on kernel: {}\nConsult {} for more information.",
                    build.target,
                    log.display()
                )?;
                // The alternate form is for callers that print this line themselves.
                let shown = first_error.as_ref().filter(|_| !f.alternate());
                shown.map_or(Ok(()), |line| write!(f, "\n{line}"))
            }
            Self::IrregularResult { build, file, path } => write!(
                f,
                "{file} of {} for kernel {} is no regular file of the build's own directory: {}",
                build.package,
                build.target,
                path.display()
            ),
            Self::DeniedByIsolation { error, what, package } => {
                match f.alternate() {
                    true => write!(f, "{error:#}")?,
                    false => error.fmt(f)?,
                }
                write!(
                    f,
                    "\nIts isolation denied it something: {what}\nTo let it build without: build_isolation=\"auto\" in /etc/dkms/{package}.conf"
                )
            }
            Self::FailedBefore { build, reason, log, at, .. } => {
                write!(f, "{} failed to build for kernel {} on {at}: {reason}", build.package, build.target)?;
                log.iter().try_for_each(|log| write!(f, " (log: {})", log.display()))?;
                write!(
                    f,
                    "; nothing has changed since, so dkms will not retry it automatically.\nTo try again: {}",
                    install(build)
                )
            }
            Self::BuildDirectoryGone { build, path } => write!(
                f,
                "Unable to change to directory {}: a step of the build of {} removed it.",
                path.display(),
                build.package
            ),
            Self::ModuleNotProduced { build, file, made, log } => {
                write!(
                    f,
                    "Build of {file} failed for: {}\nMake sure the name of the generated module is correct and at the root of the build directory, or consult make.log at {} for more information.",
                    build.target,
                    log.display()
                )?;
                fmt_made(file, made, f)
            }
            Self::OtherVermagic { build, file, release, headers, log } => {
                let why = match headers.as_ref() == Some(release) {
                    true => "the headers that were used belong to the former",
                    // Why, and what to write instead, is in dkms.conf(5).
                    false => {
                        "pass the kernel to its Makefile, as in MAKE[0]=\"make KVERSION=$kernelver\" (see dkms.conf(5))"
                    }
                };
                write!(
                    f,
                    "{file} of {} was built for kernel {release}, not for kernel {}, which would not load it: {why}.\nConsult {} for more information. You may override by specifying --force-vermagic.",
                    build.package,
                    build.target.release,
                    log.display()
                )
            }
            Self::NotAModule { build, file, why, log } => write!(
                f,
                "{file} of {} for kernel {} is not usable: {why}.\nConsult {} for more information.",
                build.package,
                build.target,
                log.display()
            ),
            Self::ResultNotStored { build, why } => write!(
                f,
                "The modules of {} for kernel {} were made, and could not be stored: {why}",
                build.package, build.target
            ),
            Self::NotSigned { build, why } => write!(
                f,
                "{} cannot be signed for kernel {}: {why}\nThe build fails because framework.conf says require_signature.",
                build.package, build.target
            ),
            Self::PreInstallFailed { status } => write!(
                f,
                "pre_install failed with exit status {status}, aborting install.\nYou may override by specifying --force."
            ),
            Self::BuiltModuleMissing { build, path } => write!(
                f,
                "Missing module {}.\nBuild it again: {}",
                path.display(),
                Remedy::BuildAgain { package: build.package.clone(), target: build.target.clone() }
            ),
            Self::InstallFailed { path, why } => {
                write!(f, "Could not install {}: {why}", path.display())?;
                match why.contains(READ_ONLY) {
                    true => f.write_str(
                        "\nA system extension brings modules to such a system: dkms help mksysext",
                    ),
                    false => Ok(()),
                }
            }
            Self::NothingInstalled { build, refused } => {
                write!(
                    f,
                    "Installation aborted: no module of {} was installed for kernel {}.",
                    build.package, build.target
                )?;
                refused.iter().try_for_each(|(module, why)| write!(f, "\n{module}: {why}."))?;
                f.write_str("\nYou may override by specifying --force.")
            }
            Self::DepmodFailed { release, why } => write!(
                f,
                "Problems with depmod detected for kernel {release}: {why}\nAutomatically uninstalling this version of the module."
            ),
            Self::AutoinstallFailed { release, failed, unresolved, waiting, in_use } => {
                f.write_str("One or more modules failed to install during autoinstall.")?;
                let names = failed.iter().map(|(name, _)| name).chain(unresolved).chain(waiting);
                let (kept, lost): (Vec<_>, Vec<_>) =
                    names.map(String::as_str).partition(|name| in_use.iter().any(|kept| kept == name));
                if !kept.is_empty() || !lost.is_empty() {
                    f.write_str("\nRefer to previous errors for more information.")?;
                }
                if !lost.is_empty() {
                    let lost = lost.join(", ");
                    write!(f, "\nHardware that depends on {lost} will not work with kernel {release}.")?;
                }
                if !kept.is_empty() {
                    write!(f, "\nKernel {release} keeps an earlier build of {}.", kept.join(", "))?;
                }
                Ok(())
            }
            Self::KernelRemovalFailed { target, failed } => {
                write!(f, "Could not remove every module of kernel {target}:")?;
                failed.iter().try_for_each(|(id, error)| write!(f, " {id}({})", error.exit_code().0))
            }
        }
    }
}

fn install(build: &BuildId) -> Remedy {
    Remedy::Install { package: build.package.clone(), target: build.target.clone() }
}

/// What make did produce, and the directives that name it.
fn fmt_made(file: &str, made: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if made.is_empty() {
        return f.write_str(" The make command succeeded and produced no module at all.");
    }
    let made: Vec<_> = made.iter().map(|path| shown_in_line(path)).collect();
    write!(f, " The make command produced: {}.", made.join(", "))?;
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let same = made.iter().find(|path| name(path) == name(file));
    let Some(path) = same.or(made.first().filter(|_| made.len() == 1)) else { return Ok(()) };
    let (dir, stem) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = module_stem(stem).unwrap_or(stem);
    f.write_str(" To take it, say in dkms.conf, at the index of this module:")?;
    if same.is_none() {
        write!(f, " BUILT_MODULE_NAME=\"{stem}\"")?;
    }
    if dir.is_empty() { Ok(()) } else { write!(f, " BUILT_MODULE_LOCATION=\"{dir}\"") }
}
