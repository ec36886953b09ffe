//! The one error enum: a variant for each thing a user can meet, and the table of exit codes.

mod archive;
mod packaging;
mod text;

pub(crate) use archive::ArchiveProblem;
pub(crate) use packaging::PackagingProblem;

use crate::model::remedy::Remedy;
use crate::model::{Arch, BuildId, KernelRelease, PackageId, PackageName, Target};
use std::path::PathBuf;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit status of a program, 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExitCode(pub u8);

impl ExitCode {
    pub(crate) const SUCCESS: Self = Self(0);
    /// Excluded by BUILD_EXCLUSIVE_*.
    pub(crate) const EXCLUDED: Self = Self(77);
}

/// Everything that ends an action. `Display` is the text behind the `Error! ` prefix; further lines say what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The first of several errors, all of which have been printed.
    Reported(Box<Error>),
    /// The command line contradicts itself or lacks something. The code is that of the check that failed.
    Usage {
        code: u8,
        text: String,
    },
    /// A tarball in the place of a package.
    NotLoaded {
        archive: PathBuf,
    },
    /// A directory that cannot be copied into the source tree, which is in it.
    HoldsSourceTree {
        dir: PathBuf,
    },
    /// No version of it is in the tree.
    NameNotInTree(PackageName),
    /// An unknown option: the usage is printed with it.
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
        /// For a kernel that is not there no package of headers helps.
        kernel_exists: bool,
    },
    /// What was given as the headers of a kernel is none, or cannot be read.
    HeadersUnusable {
        path: PathBuf,
        why: String,
    },
    /// It cannot be found out which kernel comes next.
    NoCandidates {
        why: String,
    },
    /// Headers cannot be shown at their places without touching the machine.
    NotShown {
        why: String,
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
    /// A script may be executed, and its file system forbids it.
    ScriptOnNoexec {
        script: &'static str,
        path: PathBuf,
    },
    PreInstallFailed {
        status: u8,
    },
    MakeFailed {
        /// As bash was given it.
        command: String,
        build: BuildId,
        log: PathBuf,
        first_error: Option<String>,
    },
    /// An earlier try failed, and nothing that the build is made from has changed since.
    FailedBefore {
        build: BuildId,
        reason: String,
        log: Option<PathBuf>,
        at: String,
        code: u8,
    },
    ModuleNotProduced {
        build: BuildId,
        file: String,
        /// The modules that are there instead, by their paths below the build directory.
        made: Vec<String>,
        log: PathBuf,
    },
    /// A file was made that no kernel, or not this one, would load.
    NotAModule {
        build: BuildId,
        file: String,
        why: String,
        log: PathBuf,
    },
    /// A module was built for another kernel than the one that it would be filed under.
    OtherVermagic {
        build: BuildId,
        file: String,
        release: String,
        /// What the headers that were used say of themselves.
        headers: Option<String>,
        log: PathBuf,
    },
    /// What was built is no file of the build's own directories, and may lead anywhere.
    IrregularResult {
        build: BuildId,
        /// As the build knows it.
        file: String,
        path: PathBuf,
    },
    /// A build failed because it was denied something that the administrator does not want it to have.
    DeniedByIsolation {
        error: Box<Error>,
        /// One line of the log.
        what: String,
        package: PackageName,
    },
    /// Signing failed where the administrator demands signatures.
    NotSigned {
        build: BuildId,
        why: String,
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
    /// What the kernel has is as good as every module of the package, or better: each module with the reason.
    NothingInstalled {
        build: BuildId,
        refused: Vec<(String, String)>,
    },
    DepmodFailed {
        release: KernelRelease,
        why: String,
    },
    AutoinstallFailed {
        release: KernelRelease,
        failed: Vec<(String, u8)>,
        unresolved: Vec<String>,
        /// Packages that wait for others, which are not registered.
        waiting: Vec<String>,
        /// Those of them of which the kernel has an earlier build.
        in_use: Vec<String>,
    },
    KernelRemovalFailed {
        target: Target,
        failed: Vec<(PackageId, Error)>,
    },
    /// Every module was made, and the result did not get its place in the tree.
    ResultNotStored {
        build: BuildId,
        why: String,
    },
    /// A build has taken away the directory that its next step starts in.
    BuildDirectoryGone {
        build: BuildId,
        path: PathBuf,
    },
    /// fsck found inconsistencies, or could not repair them.
    Inconsistent {
        tree: PathBuf,
        left: usize,
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
    /// A tarball cannot be read or written.
    Archive {
        path: PathBuf,
        problem: ArchiveProblem,
    },
    /// There is nothing to put into a tarball: no build for this kernel, or none at all.
    NothingToArchive {
        package: PackageId,
        target: Option<Target>,
    },
    /// A package for other machines could not be made.
    Packaging {
        action: &'static str,
        problem: PackagingProblem,
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
        /// Everything that was asked for had been done when the signal was seen.
        complete: bool,
        /// Packages that were not installed for it.
        left: Vec<String>,
    },
    /// An operating system call failed; the text names the path.
    Io {
        text: String,
    },
}

impl Error {
    /// The exit code that callers test, as dkms(8) lists it.
    #[must_use]
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode(match self {
            Self::Reported(error) | Self::DeniedByIsolation { error, .. } => error.exit_code().0,
            Self::Usage { code, .. } => *code,
            Self::NotLoaded { .. } => 2,
            Self::HoldsSourceTree { .. } => 1,
            Self::NameNotInTree(_) => 3,
            Self::Archive { problem, .. } => problem.exit_code(),
            Self::Packaging { problem, .. } => problem.exit_code(),
            Self::NotRoot { .. }
            | Self::NotWritable { .. }
            | Self::BadName { .. }
            | Self::MissingIdentity { .. }
            | Self::ArchCount { .. }
            | Self::Inconsistent { .. }
            | Self::SigningKey { .. }
            | Self::Locked { .. }
            | Self::NotShown { .. }
            | Self::NoCandidates { .. }
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
            | Self::NothingInstalled { .. }
            | Self::NothingToArchive { .. }
            | Self::DepmodFailed { .. } => 6,
            Self::ModuleNotProduced { .. }
            | Self::NotAModule { .. }
            | Self::OtherVermagic { .. }
            | Self::NotSigned { .. }
            | Self::IrregularResult { .. }
            | Self::ResultNotStored { .. } => 7,
            Self::ConfInvalid { .. } | Self::SourceHasOnlyConf { .. } => 8,
            Self::NoConfInDirectory { .. } => 9,
            Self::MakeFailed { .. } => 10,
            Self::AutoinstallFailed { .. } => 11,
            Self::ArchUnknown => 12,
            Self::DependencyMissing { .. } => 13,
            Self::KernelRemovalFailed { .. } => 14,
            Self::BuildDirectoryGone { .. } => 15,
            Self::EmptyTarget => 16,
            Self::HeadersMissing { .. } | Self::HeadersUnusable { .. } => 21,
            Self::Excluded { .. } => 77,
            Self::PreInstallFailed { .. } => 101,
            Self::ScriptFailed { status, .. } => *status,
            Self::ScriptOnNoexec { .. } => 126,
            Self::FailedBefore { code, .. } => *code,
            Self::Interrupted { signal, .. } => 128 + u8::try_from(*signal).unwrap_or(127),
        })
    }

    /// What failed, without what was found out about it afterwards.
    #[must_use]
    pub(crate) fn cause(&self) -> &Self {
        match self {
            Self::DeniedByIsolation { error, .. } => error.cause(),
            other => other,
        }
    }

    /// Whether the text goes out as a warning: the package does not want this kernel, nothing went wrong.
    #[must_use]
    pub(crate) fn is_warning(&self) -> bool {
        matches!(self, Self::Excluded { .. })
    }

    /// Whether the crash reporter of the distribution hears of it: the package's patches, make command or modules failed.
    #[must_use]
    pub(crate) fn is_for_crash_reporters(&self) -> bool {
        matches!(
            self,
            Self::PatchMissing { .. }
                | Self::PatchOutside { .. }
                | Self::PatchFailed { .. }
                | Self::MakeFailed { .. }
                | Self::ModuleNotProduced { .. }
                | Self::NotAModule { .. }
                | Self::OtherVermagic { .. }
                | Self::NotSigned { .. }
        )
    }

    /// Whether nothing went wrong: the package does not want the kernel, or the kernel does not need the package. A PRE_BUILD
    /// says the former by ending with 77.
    #[must_use]
    pub(crate) fn is_refusal(&self) -> bool {
        const EXCLUDED: u8 = ExitCode::EXCLUDED.0;
        matches!(
            self,
            Self::Excluded { .. }
                | Self::NothingInstalled { .. }
                | Self::ScriptFailed { status: EXCLUDED, .. }
                | Self::FailedBefore { code: EXCLUDED, .. }
        )
    }

    /// Whether the package does not want the kernel, and so is missing there.
    #[must_use]
    pub(crate) fn is_declined(&self) -> bool {
        self.is_refusal() && !matches!(self, Self::NothingInstalled { .. })
    }

    /// The log of the step that failed, if one was written.
    #[must_use]
    pub(crate) fn log(&self) -> Option<&PathBuf> {
        match self {
            Self::MakeFailed { log, .. }
            | Self::ModuleNotProduced { log, .. }
            | Self::NotAModule { log, .. }
            | Self::OtherVermagic { log, .. }
            | Self::PatchFailed { log, .. } => Some(log),
            Self::ScriptFailed { log, .. } | Self::FailedBefore { log, .. } => log.as_ref(),
            Self::DeniedByIsolation { error, .. } => error.log(),
            _ => None,
        }
    }

    /// The same failure, with another name of its log.
    #[must_use]
    pub(crate) fn with_log(mut self, path: PathBuf) -> Self {
        if let Self::DeniedByIsolation { error, what, package } = self {
            return Self::DeniedByIsolation { error: Box::new(error.with_log(path)), what, package };
        }
        if let Self::MakeFailed { log, .. }
        | Self::ModuleNotProduced { log, .. }
        | Self::NotAModule { log, .. }
        | Self::OtherVermagic { log, .. }
        | Self::PatchFailed { log, .. }
        | Self::FailedBefore { log: Some(log), .. }
        | Self::ScriptFailed { log: Some(log), .. } = &mut self
        {
            *log = path;
        }
        self
    }

    /// Whether the package itself is the cause: the same build would fail in the same way again.
    #[must_use]
    pub(crate) fn is_of_the_package(&self) -> bool {
        match self {
            Self::PatchMissing { .. }
            | Self::PatchOutside { .. }
            | Self::PatchFailed { .. }
            | Self::MakeFailed { .. }
            | Self::ModuleNotProduced { .. }
            | Self::NotAModule { .. }
            | Self::OtherVermagic { .. }
            | Self::IrregularResult { .. }
            | Self::BuildDirectoryGone { .. } => true,
            Self::DeniedByIsolation { error, .. } => error.is_of_the_package(),
            // A script that was killed may do better the next time.
            Self::ScriptFailed { status, .. } => *status < 128,
            _ => false,
        }
    }

    /// The cause in one line.
    #[must_use]
    pub(crate) fn in_one_line(&self) -> String {
        match self {
            Self::ConfInvalid { path, problems } => {
                let problem =
                    problems.first().map_or("", |text| text.trim_start_matches("dkms.conf: Error! "));
                format!("{}: {problem}", path.display())
            }
            Self::FailedBefore { reason, at, .. } => {
                format!(
                    "{reason} (on {at}; nothing has changed since, so dkms will not retry it automatically)"
                )
            }
            // The first line says only that it is broken.
            Self::Broken { package, source } => format!(
                "its source is missing: {} (put it back, or remove the package: {})",
                source.display(),
                Remedy::RemoveAll(package.clone())
            ),
            Self::DeniedByIsolation { what, .. } => format!("denied by its isolation: {what}"),
            _ => match self.first_compiler_error() {
                Some(line) => line.to_owned(),
                None => self.to_string().lines().next().unwrap_or_default().to_owned(),
            },
        }
    }

    /// The first thing the compiler said, if a build failed in it.
    #[must_use]
    pub(crate) fn first_compiler_error(&self) -> Option<&str> {
        match self {
            Self::MakeFailed { first_error, .. } => first_error.as_deref(),
            _ => None,
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
