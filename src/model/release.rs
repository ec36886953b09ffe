//! Kernel releases, architectures and the pairs that builds are filed under.

use super::name::component;
use super::{PackageId, PackageName};
use std::fmt;

component!(
    /// A kernel release as `uname -r` prints it; opaque, but for the two names that a version's directory uses itself.
    KernelRelease, "a kernel release", reserved: ["source", "build"]
);
component!(
    /// An architecture: an opaque string. `amd64` and `x86_64` are two different values.
    Arch, "an architecture"
);

/// What a module is built for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Target {
    pub release: KernelRelease,
    pub arch: Arch,
}

impl Target {
    #[must_use]
    pub(crate) fn new(release: KernelRelease, arch: Arch) -> Self {
        Self { release, arch }
    }

    /// The name of a package's active link for this target: `kernel-<release>-<arch>`.
    #[must_use]
    pub(crate) fn link_name(&self) -> String {
        format!("kernel-{}-{}", self.release, self.arch)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.release, self.arch)
    }
}

/// One package version built for one target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BuildId {
    pub package: PackageId,
    pub target: Target,
}

impl BuildId {
    #[must_use]
    pub(crate) fn new(package: PackageId, target: Target) -> Self {
        Self { package, target }
    }

    #[must_use]
    pub(crate) fn name(&self) -> &PackageName {
        &self.package.name
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for kernel {}", self.package, self.target)
    }
}
