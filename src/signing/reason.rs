//! Why modules are not signed, and the words for it.

use crate::model::KernelRelease;
use std::fmt;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    SwitchedOff,
    InChroot,
    NoConfig {
        release: KernelRelease,
    },
    /// The kernel was configured without module signatures.
    NoHash {
        release: KernelRelease,
    },
    ToolMissing {
        tool: PathBuf,
    },
    /// The distribution's own program that makes the keys.
    PolicyToolMissing {
        tool: &'static str,
    },
    /// For a key that is not ours to make.
    KeyMissing {
        key: PathBuf,
    },
    /// For a key that is kept elsewhere.
    CertificateMissing {
        key: String,
        certificate: PathBuf,
    },
    /// One of two files exists; a new pair would take its place, and what is enrolled would be worth nothing.
    HalfPair {
        present: PathBuf,
        missing: PathBuf,
    },
    Unreadable {
        path: PathBuf,
        why: String,
    },
}

impl Reason {
    /// Whether the administrator should act: signing was wanted and possible, but for this. A strict run
    /// fails here; what the administrator or the kernel has chosen is not a problem.
    #[must_use]
    pub(crate) fn is_problem(&self) -> bool {
        !matches!(self, Self::SwitchedOff | Self::InChroot | Self::NoConfig { .. } | Self::NoHash { .. })
    }

    fn cause(&self) -> String {
        match self {
            Self::SwitchedOff => "try_sign_modules is false".to_owned(),
            Self::InChroot => "running in a chroot".to_owned(),
            Self::NoConfig { release } => format!("the configuration of kernel {release} was not found"),
            Self::NoHash { release } => {
                format!("the configuration of kernel {release} has no CONFIG_MODULE_SIG_HASH")
            }
            Self::ToolMissing { tool } => {
                format!("the sign tool {} is not an executable file", tool.display())
            }
            Self::PolicyToolMissing { tool } => format!("{tool}, which makes the signing key, was not found"),
            Self::KeyMissing { key } => format!("the signing key {} does not exist", key.display()),
            Self::CertificateMissing { key, certificate } => {
                format!("the certificate {} for the key {key} does not exist", certificate.display())
            }
            Self::HalfPair { present, missing } => format!(
                "{} exists but {} does not; put the missing file back, or delete the other one to have a new pair made, which must be enrolled again",
                present.display(),
                missing.display()
            ),
            Self::Unreadable { path, why } => format!("{}: {why}", path.display()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Modules are not signed: {}.", self.cause())
    }
}
