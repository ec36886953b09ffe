//! Commands that are printed with a problem. Each one fixes what it is printed for; a test runs every kind.

use super::{KernelRelease, PackageId, Target};
use std::fmt;
use std::path::PathBuf;

/// A command that fixes a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Builds what is missing or stale, and installs it.
    Install { package: PackageId, target: Target },
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
    /// There is nothing to run: the kernel that works is the way out.
    KeepKernel(KernelRelease),
}

impl Remedy {
    /// Whether the words are a command, so that a shell can take them.
    #[must_use]
    pub(crate) fn is_command(&self) -> bool {
        match self {
            Self::Install { .. }
            | Self::InstallAfter { .. }
            | Self::Enable { .. }
            | Self::InstallAgain { .. }
            | Self::BuildAgain { .. }
            | Self::InstallHeaders(_)
            | Self::Index(_)
            | Self::MakeImage(_)
            | Self::TrustCertificate(_) => true,
            Self::ConfirmCertificate | Self::KeepKernel(_) => false,
        }
    }

    /// What is to be done after the command.
    #[must_use]
    pub(crate) fn afterwards(&self) -> Option<&'static str> {
        match self {
            Self::TrustCertificate(_) => Some("then reboot and choose \"Enroll MOK\""),
            Self::Install { .. }
            | Self::InstallAfter { .. }
            | Self::Enable { .. }
            | Self::InstallAgain { .. }
            | Self::BuildAgain { .. }
            | Self::InstallHeaders(_)
            | Self::Index(_)
            | Self::MakeImage(_)
            | Self::ConfirmCertificate
            | Self::KeepKernel(_) => None,
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let install = |package: &PackageId, target: &Target| {
            format!("dkms install {package} -k {}/{}", target.release, target.arch)
        };
        match self {
            Self::Install { package, target } => f.write_str(&install(package, target)),
            Self::InstallAfter { first, package, target } => {
                let all = first.iter().chain([package]).map(|package| install(package, target));
                f.write_str(&all.collect::<Vec<_>>().join(" && "))
            }
            Self::Enable { rule, kernels, package, target } => {
                write!(f, "dkms enable {rule} -k '{kernels}' && {}", install(package, target))
            }
            Self::InstallAgain { package, target } => {
                write!(f, "dkms install --force {package} -k {}/{}", target.release, target.arch)
            }
            Self::BuildAgain { package, target } => {
                let place = format!("{package} -k {}/{}", target.release, target.arch);
                write!(f, "dkms build --force {place} && dkms install --force {place}")
            }
            Self::InstallHeaders(command) | Self::MakeImage(command) => f.write_str(command),
            Self::Index(release) => write!(f, "depmod {release}"),
            Self::TrustCertificate(certificate) => write!(f, "mokutil --import {}", certificate.display()),
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
