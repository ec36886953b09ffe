//! The states of a package and of its builds, as `status` prints them.

use std::fmt;

/// What stands behind `<tree>/M/V/source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceState {
    /// A link to an existing directory.
    Added,
    /// A real directory that holds only dkms.conf: loaded from a binaries-only tarball.
    BinariesOnly,
    /// A link that leads nowhere, or no link although the source tree has the package.
    Broken,
}

/// How far one build has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BuildState {
    Built,
    Installed,
}

impl fmt::Display for BuildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Built => "built",
            Self::Installed => "installed",
        })
    }
}
