//! What a package manager is about to do with kernels, read in the form in which each of them says it.

mod apt;
mod pacman;

pub(super) use apt::from_apt;
pub(super) use pacman::from_pacman;

use crate::model::KernelRelease;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What a package manager is about to do, as far as it concerns kernels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Upcoming {
    /// Kernels whose headers come.
    pub kernels: BTreeSet<KernelRelease>,
    /// Kernels whose images come.
    pub images: BTreeSet<KernelRelease>,
    /// The packages with headers and what is needed with them.
    pub files: Vec<PathBuf>,
    /// A command that keeps the kernels from coming.
    pub hold: String,
    /// The command to repeat.
    pub again: &'static str,
}
