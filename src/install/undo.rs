//! What an installation has done so far, so that a failure in the middle takes all of it back.

use crate::system::files;
use crate::tree::Original;
use std::io;
use std::path::{Path, PathBuf};

/// Changes in order. Dropped without [`Undo::keep`] they are taken back.
#[derive(Debug)]
pub(crate) struct Undo {
    /// Where replaced files wait.
    dir: PathBuf,
    top: PathBuf,
    package_dir: PathBuf,
    placed: Vec<(PathBuf, Option<PathBuf>)>,
    originals: Vec<Original>,
    kept: bool,
}

impl Undo {
    /// Changes below `top`; replaced files are kept in `dir`, which is made when needed, and originals in the directory
    /// of the package.
    #[must_use]
    pub(crate) fn new(dir: PathBuf, top: &Path, package_dir: &Path) -> Self {
        Self {
            dir,
            top: top.to_owned(),
            package_dir: package_dir.to_owned(),
            placed: Vec::new(),
            originals: Vec::new(),
            kept: false,
        }
    }

    /// Notes that `path` is about to be written, and keeps what stands there.
    ///
    /// # Errors
    /// The old file cannot be kept.
    pub(crate) fn before_writing(&mut self, path: &Path) -> io::Result<()> {
        let old = match path.symlink_metadata() {
            Ok(data) if data.is_file() => {
                let copy = self.dir.join(self.placed.len().to_string());
                files::keep_copy(path, &copy)?;
                Some(copy)
            }
            _ => None,
        };
        self.placed.push((path.to_owned(), old));
        Ok(())
    }

    /// Notes originals that were stored.
    pub(crate) fn stored(&mut self, originals: &[Original]) {
        self.originals.extend_from_slice(originals);
    }

    /// The installation is complete: nothing is taken back.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Undo {
    /// Takes everything back now; tells whether all of it is as it was.
    pub(crate) fn take_back(mut self) -> bool {
        self.kept = true;
        let done = self.undo();
        let _ = files::remove_tree(&self.dir);
        done
    }

    fn undo(&mut self) -> bool {
        let mut done = true;
        // Backwards: a place that was written twice gets what stood there first.
        for (path, old) in self.placed.iter().rev() {
            done &= match old {
                Some(old) => files::move_file(old, path),
                None => files::remove_file(path),
            }
            .is_ok();
            if let Some(dir) = path.parent() {
                files::remove_empty_dirs(dir, &self.top);
            }
        }
        for original in self.originals.iter().rev() {
            if original.stored.symlink_metadata().is_ok() {
                // An original is moved only after ours stands; if its old place is still taken it never left it.
                done &= if original.origin.symlink_metadata().is_err() {
                    files::move_file(&original.stored, &original.origin)
                } else {
                    files::remove_file(&original.stored)
                }
                .is_ok();
            }
            let _ = files::remove_file(&original.origin_file());
            if let Some(dir) = original.stored.parent() {
                files::remove_empty_dirs(dir, &self.package_dir);
            }
        }
        done
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if !self.kept {
            self.undo();
        }
        let _ = files::remove_tree(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_restores_every_change() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("k/sub")).unwrap();
        std::fs::write(at("k/old.ko"), "old").unwrap();
        std::fs::write(at("k/sub/orig.ko"), "orig").unwrap();
        let mut undo = Undo::new(at("undo"), &at("k"), root.path());
        let original = Original { origin: at("k/sub/orig.ko"), stored: at("stored/orig.ko") };
        files::keep_copy(&original.origin, &original.stored).unwrap();
        undo.stored(std::slice::from_ref(&original));
        undo.before_writing(&at("k/old.ko")).unwrap();
        files::publish_file(&at("k/old.ko"), b"new", 0o644).unwrap();
        files::create_dirs(&at("k/new")).unwrap();
        undo.before_writing(&at("k/new/x.ko")).unwrap();
        std::fs::write(at("k/new/x.ko"), "x").unwrap();
        std::fs::remove_file(&original.origin).unwrap();
        drop(undo);
        assert_eq!(std::fs::read(at("k/old.ko")).unwrap(), b"old");
        assert_eq!(std::fs::read(at("k/sub/orig.ko")).unwrap(), b"orig");
        assert!(!at("k/new").exists() && !at("undo").exists() && !at("stored").exists());
    }
}
