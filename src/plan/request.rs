//! What is asked for: every combination that a request can hold makes sense.

use crate::model::{Arch, KernelRelease, PackageId, PackageName, PackageVersion, Target};
use std::path::PathBuf;

/// What a package is given by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    Package(PackageId),
    /// A directory with a dkms.conf, which names the package.
    Directory(PathBuf),
    /// A tarball of a package, or an rpm package.
    Archive(PathBuf),
}

/// What a tarball is to hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Content {
    #[default]
    Both,
    SourceOnly,
    BinariesOnly,
}

/// A package for another machine's package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageForm {
    /// A Debian package with the source, and with what is built.
    Deb,
    /// Debian packages that hold the modules of one kernel each.
    ModulesDeb,
    /// A Debian source package.
    SourceDeb,
    /// An rpm package with the source, and one with the modules of each kernel.
    Rpm,
}

impl PackageForm {
    /// The action that makes it.
    #[must_use]
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Deb => "mkdeb",
            Self::ModulesDeb => "mkbmdeb",
            Self::SourceDeb => "mkdsc",
            Self::Rpm => "mkrpm",
        }
    }

    /// The directory of a version in the DKMS tree where callers find the result.
    #[must_use]
    pub(crate) fn dir_name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::ModulesDeb => "bmdeb",
            Self::SourceDeb => "dsc",
            Self::Rpm => "rpm",
        }
    }
}

/// A filter of `status`: `None` lets everything pass. The texts are shell wildcards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub name: Option<String>,
    pub version: Option<String>,
    pub release: Option<String>,
    pub arch: Option<String>,
}

/// The kernels that an action is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Targets {
    These(Vec<Target>),
    /// `--all`: those for which the package is built.
    AllBuilt,
}

/// The package that is asked for, in one version or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackageQuery {
    pub name: PackageName,
    pub version: Option<PackageVersion>,
}

impl PackageQuery {
    #[must_use]
    pub(crate) fn is(&self, id: &PackageId) -> bool {
        self.name == id.name && self.version.as_ref().is_none_or(|version| *version == id.version)
    }

    /// The same for `NAME/VERSION`.
    #[must_use]
    pub(crate) fn is_text(&self, text: &str) -> bool {
        text.split_once('/').is_some_and(|(name, version)| {
            name == self.name.as_str()
                && self.version.as_ref().is_none_or(|wanted| wanted.as_str() == version)
        })
    }
}

/// How an action on one package is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Force {
    pub force: bool,
    pub version_override: bool,
    /// A built module may name another kernel release than the one that it is for.
    pub vermagic: bool,
    /// Called from an rpm scriptlet: a failing PRE_INSTALL and the version check do not stop the installation.
    pub safe_upgrade: bool,
}

impl Force {
    /// Whether nothing is forced.
    #[must_use]
    pub(crate) fn is_plain(&self) -> bool {
        !(self.force || self.version_override || self.vermagic || self.safe_upgrade)
    }

    /// Whether what failed before is tried again.
    #[must_use]
    pub(crate) fn overrides_memory(&self) -> bool {
        self.force || self.vermagic
    }
}

/// How `conf` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ConfFormat {
    #[default]
    Text,
    Json,
}

/// How `status` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum StatusFormat {
    #[default]
    Text,
    /// As dkms 2 printed it.
    Legacy,
    Json,
}

/// Where the headers of kernels that are not here yet come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Headers {
    /// They are installed.
    Installed,
    /// Packages, or directories with headers.
    Given(Vec<PathBuf>),
    /// What the package manager would install with its next upgrade.
    Candidates,
}

/// What to do. Every combination that a variant can hold makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Status {
        filters: Vec<Filter>,
        format: StatusFormat,
    },
    Conf {
        subject: Subject,
        conf: Option<PathBuf>,
        target: Target,
        format: ConfFormat,
    },
    /// Whether these kernels have what they should.
    Check {
        targets: Vec<Target>,
        package: Option<PackageQuery>,
        full: bool,
        format: ConfFormat,
    },
    /// Whether the tree is consistent.
    Fsck {
        repair: bool,
    },
    /// What autoinstall would do with a package, and why.
    Why {
        package: PackageQuery,
        target: Target,
    },
    /// The newest log of a package's builds, or all logs.
    Log {
        package: Option<PackageQuery>,
        release: Option<KernelRelease>,
        follow: bool,
    },
    /// What was tried, and how it ended.
    History {
        package: Option<PackageQuery>,
        release: Option<KernelRelease>,
        format: ConfFormat,
    },
    /// What is wrong with a dkms.conf.
    Lint {
        subject: Subject,
        target: Target,
        format: ConfFormat,
    },
    /// Whether every package builds for kernels that are not here yet; without a kernel, for those that the headers are for.
    Preflight {
        headers: Headers,
        releases: Vec<KernelRelease>,
        arch: Option<Arch>,
        force: Force,
        format: ConfFormat,
    },
    /// A package goes back to an older version; without kernels on each that has it.
    Rollback {
        package: PackageName,
        targets: Vec<Target>,
    },
    /// A package is left alone from now on, or no longer.
    Switch(Switch),
    /// A request whose results are printed as a document.
    Reported(Box<Request>),
    /// What a request would do.
    DryRun(Box<Request>),
    GenerateMok {
        release: KernelRelease,
    },
    Autoinstall {
        target: Target,
        force: Force,
    },
    /// An rpm package: rpm installs it, and then autoinstall does the rest.
    InstallRpm {
        archive: PathBuf,
        target: Target,
        force: Force,
    },
    Mktarball {
        package: PackageId,
        conf: Option<PathBuf>,
        targets: Targets,
        content: Content,
        archive: Option<PathBuf>,
    },
    /// One image with what is built.
    Mksysext {
        targets: Targets,
        archive: Option<PathBuf>,
    },
    MakePackage {
        form: PackageForm,
        package: PackageId,
        conf: Option<PathBuf>,
        targets: Targets,
        content: Content,
    },
    Removal(Removal),
    Change(Change),
}

impl Request {
    /// Whether the tree or a kernel may be another one afterwards.
    #[must_use]
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Status { .. }
            | Self::Conf { .. }
            | Self::Check { .. }
            | Self::Fsck { repair: false }
            | Self::Why { .. }
            | Self::Log { .. }
            | Self::History { .. }
            | Self::Lint { .. }
            | Self::Preflight { .. }
            | Self::DryRun(_)
            | Self::Mktarball { .. }
            | Self::Mksysext { .. }
            | Self::MakePackage { .. } => false,
            Self::Reported(request) => request.changes(),
            Self::Fsck { repair: true }
            | Self::GenerateMok { .. }
            | Self::Switch(_)
            | Self::Rollback { .. }
            | Self::Autoinstall { .. }
            | Self::InstallRpm { .. }
            | Self::Removal(_)
            | Self::Change(_) => true,
        }
    }
}

/// Whether automatic installation concerns a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Switch {
    pub package: PackageQuery,
    /// A kernel or a shell wildcard; every kernel without one.
    pub kernels: Option<String>,
    pub to: SwitchTo,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SwitchTo {
    Enabled,
    Disabled { reason: String },
}

/// How far a package is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Uninstall,
    Unbuild,
    /// Called from an rpm scriptlet, a package that was added in the same transaction stays.
    Remove {
        safe_upgrade: bool,
    },
}

impl Extent {
    #[must_use]
    pub(crate) fn takes_builds(self) -> bool {
        match self {
            Self::Uninstall => false,
            Self::Unbuild | Self::Remove { .. } => true,
        }
    }

    #[must_use]
    pub(crate) fn takes_package(self) -> bool {
        match self {
            Self::Uninstall | Self::Unbuild => false,
            Self::Remove { .. } => true,
        }
    }
}

/// A package that is taken out of kernels, or out of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    pub extent: Extent,
    pub package: PackageId,
    pub targets: Targets,
}

/// Other changes of the tree or of a kernel's modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Add {
        subject: Subject,
        conf: Option<PathBuf>,
        target: Target,
        force: bool,
        safe_upgrade: bool,
    },
    Build(Job),
    Install(Job),
    Match {
        target: Target,
        template: Target,
        package: Option<PackageName>,
        force: Force,
    },
    /// Without an architecture, of every one.
    KernelPreinst {
        release: KernelRelease,
        arch: Option<Arch>,
    },
    KernelPrerm {
        release: KernelRelease,
        arch: Option<Arch>,
    },
    Ldtarball {
        archive: PathBuf,
        force: bool,
        target: Target,
    },
}

/// One package to build or to install for some kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub subject: Subject,
    pub conf: Option<PathBuf>,
    pub targets: Vec<Target>,
    /// Whether neither package nor kernel was chosen, and the job is one of all that there are: one that is not wanted is no
    /// failure.
    pub every_kernel: bool,
    pub force: Force,
}

impl Job {
    /// A package that is named, for one kernel, with the configuration that it has.
    #[must_use]
    pub(crate) fn of_package(id: PackageId, target: Target, force: Force) -> Self {
        let subject = Subject::Package(id);
        Self { subject, conf: None, targets: vec![target], every_kernel: false, force }
    }
}
