//! What a package manager is about to do with kernels, read in the form in which each of them says it.

mod apt;
pub(super) mod dnf;
mod pacman;

pub(super) use apt::from_apt;
pub(super) use pacman::from_pacman;

use crate::model::KernelRelease;
use crate::system::ancestors::ancestors;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// More than a package manager writes about a whole distribution.
pub(super) const MOST_BYTES: u64 = 64 << 20;

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

impl Upcoming {
    /// Whether no kernel is concerned.
    pub(super) fn is_empty(&self) -> bool {
        self.kernels.is_empty() && self.images.is_empty()
    }
}

/// The files that are words of a package manager's own command line.
fn named_by(commands: &[&str]) -> Vec<PathBuf> {
    let is_manager = |command: &str| commands.contains(&command);
    let Some(manager) = ancestors().find(|process| is_manager(&process.command)) else { return Vec::new() };
    let place = PathBuf::from(format!("/proc/{}", manager.pid));
    let dir = fs_err::read_link(place.join("cwd")).unwrap_or_default();
    let line = fs_err::read(place.join("cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).map(|word| dir.join(String::from_utf8_lossy(word).as_ref()));
    words.filter(|file| file.is_file()).collect()
}
