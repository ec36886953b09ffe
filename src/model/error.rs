//! The one error enum: a variant for each thing a user can meet, and the table of exit codes.

use super::{Arch, BuildId, KernelRelease, PackageId, Target};
use std::fmt::{self, Write};
use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit status of a program, 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExitCode(pub u8);

impl ExitCode {
    pub const SUCCESS: Self = Self(0);
    /// Excluded by BUILD_EXCLUSIVE_*.
    pub const EXCLUDED: Self = Self(77);
}

/// Everything that ends an action. `Display` is the text behind the `Error! ` prefix; further lines say what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The message is out already; only the code remains.
    Reported(ExitCode),
    /// The command line contradicts itself or lacks something. The code is that of the check that failed.
    Usage {
        code: u8,
        text: String,
    },
    /// An option nobody knows: the usage is printed with it.
    UnknownOption(String),
    /// No action, or a word that is none.
    UnknownAction(String),
    NotRoot {
        action: &'static str,
    },
    NotWritable {
        path: PathBuf,
        why: String,
    },
    BadName {
        what: &'static str,
        text: String,
        why: String,
    },
    MissingIdentity {
        action: &'static str,
    },
    SourceMissing {
        path: PathBuf,
    },
    AlreadyAdded(PackageId),
    NotInTree(PackageId),
    Broken {
        package: PackageId,
        source: PathBuf,
    },
    ConfNotFound {
        path: PathBuf,
    },
    ConfUnreadable {
        path: PathBuf,
        why: String,
    },
    ConfInvalid {
        path: PathBuf,
        problems: Vec<String>,
    },
    NoConfInDirectory {
        path: PathBuf,
    },
    SourceHasOnlyConf {
        path: PathBuf,
    },
    PatchMissing {
        patch: String,
        path: PathBuf,
    },
    PatchOutside {
        patch: String,
    },
    PatchFailed {
        patch: String,
        build: BuildId,
        log: PathBuf,
    },
    HeadersMissing {
        release: KernelRelease,
        path: PathBuf,
    },
    Excluded {
        build: BuildId,
        conf: PathBuf,
        why: String,
    },
    DependencyMissing {
        build: BuildId,
        missing: Vec<String>,
    },
    ScriptFailed {
        script: &'static str,
        status: u8,
        log: Option<PathBuf>,
    },
    PreInstallFailed {
        status: u8,
    },
    MakeFailed {
        build: BuildId,
        log: PathBuf,
        first_error: Option<String>,
    },
    ModuleNotProduced {
        build: BuildId,
        file: String,
        log: PathBuf,
    },
    KernelMissing {
        path: PathBuf,
    },
    BuiltModuleMissing {
        build: BuildId,
        path: PathBuf,
    },
    InstallFailed {
        path: PathBuf,
        why: String,
    },
    NothingInstalled(BuildId),
    DepmodFailed {
        release: KernelRelease,
        why: String,
    },
    AutoinstallFailed {
        release: KernelRelease,
        failed: Vec<(String, u8)>,
        unresolved: Vec<String>,
    },
    KernelRemovalFailed {
        target: Target,
        failed: Vec<(PackageId, u8)>,
    },
    ArchUnknown,
    ArchCount {
        kernels: usize,
        arches: Vec<Arch>,
    },
    EmptyTarget,
    SigningKey {
        why: String,
    },
    NotSupported {
        action: String,
        instead: &'static str,
    },
    Locked {
        path: PathBuf,
        why: String,
    },
    Interrupted {
        signal: i32,
    },
    /// An operating system call failed; the text names the path.
    Io {
        text: String,
    },
}

impl Error {
    /// The exit code that callers test, as BEHAVIOUR.md 12 gives it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode(match self {
            Self::Reported(code) => code.0,
            Self::Usage { code, .. } => *code,
            Self::NotRoot { .. }
            | Self::NotWritable { .. }
            | Self::BadName { .. }
            | Self::MissingIdentity { .. }
            | Self::ArchCount { .. }
            | Self::SigningKey { .. }
            | Self::Locked { .. }
            | Self::Io { .. } => 1,
            Self::UnknownOption(_)
            | Self::UnknownAction(_)
            | Self::SourceMissing { .. }
            | Self::NotSupported { .. } => 2,
            Self::AlreadyAdded(_) | Self::NotInTree(_) => 3,
            Self::Broken { .. } | Self::ConfNotFound { .. } | Self::ConfUnreadable { .. } => 4,
            Self::PatchMissing { .. } | Self::PatchOutside { .. } => 5,
            Self::PatchFailed { .. }
            | Self::KernelMissing { .. }
            | Self::BuiltModuleMissing { .. }
            | Self::InstallFailed { .. }
            | Self::NothingInstalled(_)
            | Self::DepmodFailed { .. } => 6,
            Self::ModuleNotProduced { .. } => 7,
            Self::ConfInvalid { .. } | Self::SourceHasOnlyConf { .. } => 8,
            Self::NoConfInDirectory { .. } => 9,
            Self::MakeFailed { .. } => 10,
            Self::AutoinstallFailed { .. } => 11,
            Self::ArchUnknown => 12,
            Self::DependencyMissing { .. } => 13,
            Self::KernelRemovalFailed { .. } => 14,
            Self::EmptyTarget => 16,
            Self::HeadersMissing { .. } => 21,
            Self::Excluded { .. } => 77,
            Self::PreInstallFailed { .. } => 101,
            Self::ScriptFailed { status, .. } => *status,
            Self::Interrupted { signal } => 128 + u8::try_from(*signal).unwrap_or(127),
        })
    }

    /// Whether the text goes out as a warning: the package does not want this kernel, nothing went wrong.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::Excluded { .. })
    }

    /// The log of the step that failed, if one was written.
    #[must_use]
    pub fn log(&self) -> Option<&PathBuf> {
        match self {
            Self::MakeFailed { log, .. }
            | Self::ModuleNotProduced { log, .. }
            | Self::PatchFailed { log, .. } => Some(log),
            Self::ScriptFailed { log, .. } => log.as_ref(),
            _ => None,
        }
    }

    /// The first thing the compiler said, if a build failed in it.
    #[must_use]
    pub fn first_compiler_error(&self) -> Option<&str> {
        match self {
            Self::MakeFailed { first_error, .. } => first_error.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported(code) => write!(f, "exit status {}", code.0),
            Self::Usage { text, .. } | Self::Io { text } => f.write_str(text),
            Self::UnknownOption(option) => write!(f, "Unknown option: {option}"),
            Self::UnknownAction(action) if action.is_empty() => f.write_str("No action was specified."),
            Self::UnknownAction(action) => write!(f, "Unknown action specified: {action}"),
            Self::NotRoot { action } => write!(f, "You must be root to use this command: {action}."),
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
                "Arguments <module> and <module-version> are not specified.\nUsage: {action} <module>/<module-version> or {action} -m <module> -v <module-version>"
            ),
            Self::ArchCount { .. }
            | Self::ArchUnknown
            | Self::EmptyTarget
            | Self::KernelMissing { .. }
            | Self::HeadersMissing { .. }
            | Self::Locked { .. }
            | Self::Interrupted { .. }
            | Self::NotSupported { .. }
            | Self::SigningKey { .. } => self.fmt_system(f),
            Self::SourceMissing { .. }
            | Self::AlreadyAdded(_)
            | Self::NotInTree(_)
            | Self::Broken { .. }
            | Self::ConfNotFound { .. }
            | Self::ConfUnreadable { .. }
            | Self::ConfInvalid { .. }
            | Self::NoConfInDirectory { .. }
            | Self::SourceHasOnlyConf { .. } => self.fmt_package(f),
            Self::PatchMissing { .. }
            | Self::PatchOutside { .. }
            | Self::PatchFailed { .. }
            | Self::Excluded { .. }
            | Self::DependencyMissing { .. }
            | Self::ScriptFailed { .. }
            | Self::MakeFailed { .. }
            | Self::ModuleNotProduced { .. } => self.fmt_build(f),
            Self::PreInstallFailed { .. }
            | Self::BuiltModuleMissing { .. }
            | Self::InstallFailed { .. }
            | Self::NothingInstalled(_)
            | Self::DepmodFailed { .. }
            | Self::AutoinstallFailed { .. }
            | Self::KernelRemovalFailed { .. } => self.fmt_install(f),
        }
    }
}

impl Error {
    fn fmt_system(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
                    "The directory {} doesn't exist.\nYou cannot install a module onto a non-existant kernel.",
                    path.display()
                )
            }
            Self::HeadersMissing { release, path } => write!(
                f,
                "Your kernel headers for kernel {release} cannot be found at {}.\nPlease install the linux-headers-{release} package or use the --kernelsourcedir option to tell DKMS where it's located.",
                path.display()
            ),
            Self::Locked { path, why } => write!(f, "Cannot lock {}: {why}", path.display()),
            Self::Interrupted { signal } => {
                write!(f, "Interrupted by signal {signal}; what was under way has been undone.")
            }
            Self::NotSupported { action, instead } => {
                write!(f, "The action {action} does not exist any more.\n{instead}")
            }
            Self::SigningKey { why } => f.write_str(why),
            _ => Ok(()),
        }
    }

    fn fmt_package(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceMissing { path } => write!(
                f,
                "Could not find module source directory.\nDirectory: {} does not exist.",
                path.display()
            ),
            Self::AlreadyAdded(id) => write!(
                f,
                "DKMS tree already contains: {id}\nYou cannot add the same module/version combo more than once."
            ),
            Self::NotInTree(id) => write!(
                f,
                "The module/version combo: {id} is not located in the DKMS tree.\nAdd it first: dkms add {id}"
            ),
            Self::Broken { package, source } => write!(
                f,
                "{package} is broken!\nMissing the source directory or the symbolic link pointing to it: {}\nManual intervention is required: put the source back, or delete {}.",
                source.display(),
                source.parent().unwrap_or(source).display()
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
            Self::SourceHasOnlyConf { path } => write!(
                f,
                "The directory {} does not appear to have module source located within it.\nBuild halted.",
                path.display()
            ),
            _ => Ok(()),
        }
    }

    fn fmt_build(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
                "The {} BUILD_EXCLUSIVE directive does not match this kernel/arch/config.\n{}: {why}\nThis indicates that {} should not be built.",
                conf.display(),
                build.target,
                build.package
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
            Self::MakeFailed { build, log, first_error } => {
                write!(
                    f,
                    "Bad return status for module build on kernel: {}\nConsult {} for more information.",
                    build.target,
                    log.display()
                )?;
                first_error.iter().try_for_each(|line| write!(f, "\n{line}"))
            }
            Self::ModuleNotProduced { build, file, log } => write!(
                f,
                "Build of {file} failed for: {}\nMake sure the name of the generated module is correct and at the root of the build directory, or consult make.log at {} for more information.",
                build.target,
                log.display()
            ),
            _ => Ok(()),
        }
    }

    fn fmt_install(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PreInstallFailed { status } => write!(
                f,
                "pre_install failed with exit status {status}, aborting install.\nYou may override by specifying --force."
            ),
            Self::BuiltModuleMissing { build, path } => write!(
                f,
                "Missing module {}.\nBuild it again: dkms build --force {} -k {}/{}",
                path.display(),
                build.package,
                build.target.release,
                build.target.arch
            ),
            Self::InstallFailed { path, why } => write!(f, "Could not install {}: {why}", path.display()),
            Self::NothingInstalled(build) => write!(
                f,
                "Installation aborted: no module of {} was installed for kernel {}.\nThe kernel's own modules are newer or the same. You may override by specifying --force.",
                build.package, build.target
            ),
            Self::DepmodFailed { release, why } => write!(
                f,
                "Problems with depmod detected for kernel {release}: {why}\nAutomatically uninstalling this version of the module."
            ),
            Self::AutoinstallFailed { failed, unresolved, .. } => {
                let mut text = String::from("One or more modules failed to install during autoinstall.");
                if !failed.is_empty() || !unresolved.is_empty() {
                    text.push_str("\nRefer to previous errors for more information.");
                }
                for name in unresolved {
                    let _ = write!(text, "\n{name}: a package that it depends on is not installed.");
                }
                f.write_str(&text)
            }
            Self::KernelRemovalFailed { target, failed } => {
                write!(f, "Could not remove every module of kernel {target}:")?;
                failed.iter().try_for_each(|(id, code)| write!(f, " {id}({code})"))
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    /// fs-err puts the path into the text.
    fn from(error: std::io::Error) -> Self {
        Self::Io { text: error.to_string() }
    }
}
