//! Modules that other kernels use by a link: what weak-modules(8) leaves below `weak-updates`.

use crate::model::KernelRelease;
use crate::system::dir;
use std::path::{Path, PathBuf};

/// Every link of every kernel: which one has it, and the module that it leads to.
#[derive(Debug, Default)]
pub(crate) struct WeakLinks {
    links: Vec<(KernelRelease, PathBuf)>,
}

impl WeakLinks {
    /// Walks `weak-updates` of every kernel of an install tree; what cannot be read is left out.
    #[must_use]
    pub(crate) fn scan(install_tree: &Path) -> Self {
        let mut found = Self::default();
        let mut kernels: Vec<_> = dir::entries(install_tree);
        kernels.sort_by_key(fs_err::DirEntry::file_name);
        for entry in kernels {
            let name = entry.file_name();
            let Some(release) = name.to_str().and_then(|name| KernelRelease::new(name).ok()) else {
                continue;
            };
            found.walk(&entry.path().join("weak-updates"), &release);
        }
        found
    }

    fn walk(&mut self, dir: &Path, release: &KernelRelease) {
        for entry in dir::entries(dir) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.walk(&entry.path(), release),
                Ok(kind) if kind.is_symlink() => {
                    self.links.extend(fs_err::canonicalize(entry.path()).map(|path| (release.clone(), path)));
                }
                _ => {}
            }
        }
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The kernels that use one of these module files of the kernel in `dir`, each once.
    #[must_use]
    pub(crate) fn users(&self, dir: &Path, files: &[PathBuf]) -> Vec<KernelRelease> {
        let Ok(dir) = fs_err::canonicalize(dir) else { return Vec::new() };
        let is_one = |path: &PathBuf| {
            path.starts_with(&dir) && files.iter().any(|file| file.file_name() == path.file_name())
        };
        let mut kernels: Vec<KernelRelease> =
            self.links.iter().filter(|(_, path)| is_one(path)).map(|(kernel, _)| kernel.clone()).collect();
        kernels.dedup();
        kernels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_show_which_kernels_borrow_a_module() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("5.1/extra/m.ko");
        for path in ["5.1/extra", "5.2/weak-updates/sub", "5.3/weak-updates", "5.4"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        std::fs::write(&module, "").unwrap();
        symlink(&module, dir.path().join("5.2/weak-updates/sub/m.ko")).unwrap();
        symlink("../../5.1/extra/m.ko", dir.path().join("5.3/weak-updates/m.ko")).unwrap();
        symlink("/nowhere/m.ko", dir.path().join("5.3/weak-updates/gone.ko")).unwrap();
        let links = WeakLinks::scan(dir.path());
        let users = |kernel: &str, file: &str| {
            let found = links.users(&dir.path().join(kernel), &[PathBuf::from("/built").join(file)]);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(users("5.1", "m.ko"), ["5.2", "5.3"]);
        assert!(users("5.1", "other.ko").is_empty());
        assert!(users("5.2", "m.ko").is_empty());
        assert!(WeakLinks::scan(&dir.path().join("no")).is_empty());
    }
}
