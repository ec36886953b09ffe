//! The kernel's own modules that ours replaced, as they are kept in the tree.

use crate::system::dir;
use std::path::{Path, PathBuf};

/// An original with both its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Original {
    pub origin: PathBuf,
    pub stored: PathBuf,
}

impl Original {
    /// The file beside the stored one whose only line is where it came from.
    #[must_use]
    pub(crate) fn origin_file(&self) -> PathBuf {
        let mut name = self.stored.file_name().unwrap_or_default().to_owned();
        name.push(".origin");
        self.stored.with_file_name(name)
    }
}

/// Every stored original of a directory, by the `.origin` files.
#[must_use]
pub(crate) fn stored_originals(dir: &Path) -> Vec<Original> {
    let mut originals = Vec::new();
    for entry in dir::entries(dir) {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            originals.extend(stored_originals(&path));
        } else if path.extension().is_some_and(|extension| extension == "origin") {
            let text = fs_err::read_to_string(&path).unwrap_or_default();
            let origin = PathBuf::from(text.lines().next().unwrap_or_default());
            originals.push(Original { origin, stored: path.with_extension("") });
        }
    }
    originals.sort_by(|a, b| a.stored.cmp(&b.stored));
    originals
}
