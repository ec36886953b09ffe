//! Commands that are printed with a problem. Each one fixes what it is printed for; a test runs every kind.

use super::text::quote;
use super::{KernelRelease, PackageId, PackageName, Target};
use std::fmt;
use std::path::{Path, PathBuf};

/// A command that fixes a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Builds what is missing or stale, and installs it.
    Install { package: PackageId, target: Target },
    /// The same, for what failed: when its cause is gone.
    TryAgain { package: PackageId, target: Target },
    /// The same, after the packages that it depends on.
    InstallAfter { first: Vec<PackageId>, package: PackageId, target: Target },
    /// No longer leaves a package alone, and installs it.
    Enable { rule: String, kernels: String, package: PackageId, target: Target },
    /// Installs over what stands in the place of a module.
    InstallAgain { package: PackageId, target: Target },
    /// Compiles and installs again what is not signed by dkms.
    BuildAgain { package: PackageId, target: Target },
    /// The kernel's headers, by the package manager of this machine.
    InstallHeaders(String),
    /// Tells modprobe(8) where modules are.
    Index(KernelRelease),
    /// Makes the initramfs of a kernel again.
    MakeImage(String),
    /// Makes the machine trust the certificate that modules are signed with.
    TrustCertificate(PathBuf),
    /// The certificate was imported, and has to be confirmed.
    ConfirmCertificate,
    /// Registers a package whose source is in its place.
    Add(PackageId),
    /// Replaces the source of a package by what a directory holds; `dir` is one word of a shell line.
    TakeOver { action: &'static str, dir: String },
    /// Makes what is to be packed.
    Build { package: PackageId, target: Option<Target> },
    /// Unpacks an archive into the tree; one word of a shell line.
    Load(String),
    /// Repairs what the tree says.
    RepairTree,
    /// Removes a package whose source is gone.
    RemoveAll(PackageId),
    /// Takes a package from a kernel that it is to be left alone on.
    Uninstall { package: PackageId, target: Target },
    /// Installs a package on kernels that lack it.
    InstallOn { package: PackageId, targets: Vec<Target> },
    /// Installs the newest version of a package.
    InstallNewest(PackageName),
    /// Takes a rule back that leaves a package alone.
    EnableRule(String),
    /// The version before a rollback.
    UndoRollback { from: PackageId, target: Target },
    /// Builds a package, and brings what is built to a kernel whose modules cannot be written.
    Extend { package: PackageId, target: Target, force: bool, image: PathBuf },
    /// There is nothing to run: the kernel that works is the way out.
    KeepKernel(KernelRelease),
}

impl Remedy {
    /// Whether the words are a command, so that a shell can take them.
    #[must_use]
    pub(crate) fn is_command(&self) -> bool {
        !self.label().is_empty()
    }

    /// What stands before the command; nothing where there is none to run.
    #[must_use]
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::TryAgain { .. } => "when that is fixed: ",
            Self::ConfirmCertificate | Self::KeepKernel(_) => "",
            Self::Install { .. }
            | Self::InstallAfter { .. }
            | Self::Enable { .. }
            | Self::InstallAgain { .. }
            | Self::BuildAgain { .. }
            | Self::InstallHeaders(_)
            | Self::Index(_)
            | Self::MakeImage(_)
            | Self::Add(_)
            | Self::TakeOver { .. }
            | Self::Build { .. }
            | Self::Load(_)
            | Self::RepairTree
            | Self::RemoveAll(_)
            | Self::Uninstall { .. }
            | Self::InstallOn { .. }
            | Self::InstallNewest(_)
            | Self::EnableRule(_)
            | Self::UndoRollback { .. }
            | Self::Extend { .. }
            | Self::TrustCertificate(_) => "fix: ",
        }
    }

    /// The same for a kernel whose modules cannot be written: an extension of the system brings them, in this image. Nothing where a
    /// command would have to write them, or where there is no place for a build.
    #[must_use]
    pub(crate) fn by_extension(self, image: Option<&Path>) -> Option<Self> {
        let extend =
            |package, target, force| Some(Self::Extend { package, target, force, image: image?.to_owned() });
        match self {
            Self::Install { package, target }
            | Self::TryAgain { package, target }
            | Self::InstallAgain { package, target } => extend(package, target, false),
            Self::BuildAgain { package, target } => extend(package, target, true),
            Self::InstallAfter { .. }
            | Self::Enable { .. }
            | Self::Index(_)
            | Self::Uninstall { .. }
            | Self::InstallOn { .. }
            | Self::InstallNewest(_)
            | Self::UndoRollback { .. } => None,
            other => Some(other),
        }
    }

    /// What is to be done after the command.
    #[must_use]
    pub(crate) fn afterwards(&self) -> Option<&'static str> {
        matches!(self, Self::TrustCertificate(_)).then_some("then reboot and choose \"Enroll MOK\"")
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |target: &Target| format!("-k {}/{}", target.release, target.arch);
        let install = |package: &PackageId, target: &Target| format!("dkms install {package} {}", on(target));
        match self {
            Self::Install { package, target } | Self::TryAgain { package, target } => {
                f.write_str(&install(package, target))
            }
            Self::InstallAfter { first, package, target } => {
                let all = first.iter().chain([package]).map(|package| install(package, target));
                f.write_str(&all.collect::<Vec<_>>().join(" && "))
            }
            Self::Enable { rule, kernels, package, target } => {
                write!(f, "dkms enable {rule} -k '{kernels}' && {}", install(package, target))
            }
            Self::InstallAgain { package, target } => {
                write!(f, "dkms install --force {package} {}", on(target))
            }
            Self::BuildAgain { package, target } => {
                let place = format!("{package} {}", on(target));
                write!(f, "dkms build --force {place} && dkms install --force {place}")
            }
            Self::InstallHeaders(command) | Self::MakeImage(command) => f.write_str(command),
            Self::Index(release) => write!(f, "depmod {release}"),
            Self::TrustCertificate(certificate) => write!(f, "mokutil --import {}", certificate.display()),
            Self::Add(package) => write!(f, "dkms add {package}"),
            Self::TakeOver { action, dir } => write!(f, "dkms {action} --force {dir}"),
            Self::Build { package, target: None } => write!(f, "dkms build {package}"),
            Self::Build { package, target: Some(target) } => write!(f, "dkms build {package} {}", on(target)),
            Self::Load(archive) => write!(f, "dkms ldtarball {archive}"),
            Self::RepairTree => f.write_str("dkms fsck --repair"),
            Self::RemoveAll(package) => write!(f, "dkms remove {package} --all"),
            Self::Uninstall { package, target } => write!(f, "dkms uninstall {package} {}", on(target)),
            Self::InstallOn { package, targets } => {
                write!(f, "dkms install {package}")?;
                targets.iter().try_for_each(|target| write!(f, " {}", on(target)))
            }
            Self::InstallNewest(name) => write!(f, "dkms install {name}"),
            Self::EnableRule(rule) => write!(f, "dkms enable {rule}"),
            Self::UndoRollback { from, target } => {
                write!(f, "dkms enable {from} -k {} && {}", target.release, install(from, target))
            }
            Self::Extend { package, target, force, image } => write!(
                f,
                "dkms build {}{package} {} && dkms mksysext --archive {} && systemd-sysext refresh",
                if *force { "--force " } else { "" },
                on(target),
                quote(image)
            ),
            Self::ConfirmCertificate => f.write_str("reboot and choose \"Enroll MOK\""),
            Self::KeepKernel(release) => write!(f, "keep booting {release}, or install a newer driver"),
        }
    }
}

/// In JSON it is the command.
impl serde::Serialize for Remedy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_command() { serializer.collect_str(self) } else { serializer.serialize_none() }
    }
}
