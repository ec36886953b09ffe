//! What can be wrong with a tarball of a package, each with its exit code and its words.

use crate::model::PackageId;
use std::fmt;
use std::path::Path;

/// Why a tarball cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArchiveProblem {
    /// No such file.
    Missing,
    /// Neither a tree of DKMS nor any dkms.conf is in it.
    NoConf,
    /// It has the tree of DKMS, but neither the package's source nor its dkms.conf.
    NoPackage,
    /// It is damaged, or holds what no tarball of a package may hold. Nothing of it was used.
    Refused(String),
    /// Its package is in the tree already.
    AlreadyAdded(PackageId),
    /// Its directory cannot be made or written.
    Unwritable(String),
    /// Writing it failed.
    NotWritten(String),
    /// rpm did not take it.
    NotInstalled(String),
}

impl ArchiveProblem {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Missing => 2,
            Self::NoConf => 3,
            Self::NotWritten(_) => 6,
            Self::NoPackage | Self::Refused(_) => 7,
            Self::AlreadyAdded(_) => 8,
            Self::Unwritable(_) | Self::NotInstalled(_) => 9,
        }
    }

    pub(crate) fn describe(&self, path: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = path.display();
        match self {
            Self::Missing => write!(f, "{path} does not exist.\nGive the tarball of a package."),
            Self::NoConf => write!(f, "The tarball {path} does not contain a dkms.conf file."),
            Self::NoPackage => write!(
                f,
                "The tarball {path} does not contain a valid dkms_source_tree or dkms_binaries_only directory.\nOne of them must have a dkms.conf at its top."
            ),
            Self::Refused(why) => write!(f, "The tarball {path} is refused: {why}.\nNothing of it was used."),
            Self::AlreadyAdded(id) => write!(
                f,
                "{id} is already added, so {path} was not loaded.\nUse --force to replace what the tree has of it."
            ),
            Self::Unwritable(why) => {
                write!(f, "Cannot write {path}: {why}\nChoose another place with --archive.")
            }
            Self::NotWritten(why) => write!(f, "Failed to make {path}: {why}"),
            Self::NotInstalled(why) => write!(f, "Unable to install {path} using rpm: {why}"),
        }
    }
}
