//! The modules below one kernel's directory, by name.

use crate::model::module_name::SUFFIXES;
use crate::system::dir;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Every regular module file below a directory, without following links.
#[derive(Debug, Default)]
pub(crate) struct ModuleIndex {
    by_name: HashMap<String, Vec<PathBuf>>,
    compressed: [bool; 4],
    /// Why the first directory was left out that could not be read.
    unreadable: Option<(io::ErrorKind, String)>,
}

impl ModuleIndex {
    /// Walks `dir`; what cannot be read is left out, see [`ModuleIndex::whole`].
    #[must_use]
    pub(crate) fn scan(dir: &Path) -> Self {
        let mut index = Self::default();
        index.walk(dir);
        index
    }

    fn walk(&mut self, dir: &Path) {
        let entries = match dir::read(dir) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.unreadable.get_or_insert((error.kind(), error.to_string()));
                }
                return;
            }
        };
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.walk(&entry.path()),
                Ok(kind) if kind.is_file() => self.add(&entry.path()),
                _ => {}
            }
        }
    }

    /// For a change that must not overlook a module.
    ///
    /// # Errors
    /// A directory could not be read.
    pub(crate) fn whole(&self) -> io::Result<&Self> {
        match &self.unreadable {
            Some((kind, why)) => Err(io::Error::new(*kind, why.clone())),
            None => Ok(self),
        }
    }

    fn add(&mut self, path: &Path) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
        for (i, suffix) in SUFFIXES.iter().enumerate() {
            if let Some(stem) = name.strip_suffix(suffix) {
                self.compressed[i] = true;
                self.by_name.entry(stem.to_owned()).or_default().push(path.to_owned());
                return;
            }
        }
    }

    /// Files of a module, in the order in which the directories list them.
    #[must_use]
    pub(crate) fn find(&self, module: &str) -> &[PathBuf] {
        self.by_name.get(module).map_or(&[], Vec::as_slice)
    }

    /// The files below a directory.
    pub(crate) fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        self.by_name.values().flatten().filter(move |path| path.starts_with(dir))
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What follows `.ko` in new modules: as the kernel's own modules have it; of several kinds zst beats xz beats gz.
    #[must_use]
    pub(crate) fn compression_suffix(&self) -> &'static str {
        match self.compressed {
            [_, _, _, true] => ".zst",
            [_, _, true, _] => ".xz",
            [_, true, _, _] => ".gz",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_name_without_links() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("kernel/drivers");
        std::fs::create_dir_all(&sub).unwrap();
        for name in ["a.ko", "b.ko.xz", "b.ko.bak"] {
            std::fs::write(sub.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(sub.join("a.ko"), dir.path().join("a.ko.zst")).unwrap();
        let index = ModuleIndex::scan(dir.path());
        assert_eq!(index.find("a"), [sub.join("a.ko")]);
        assert_eq!(index.find("b"), [sub.join("b.ko.xz")]);
        assert_eq!(index.compression_suffix(), ".xz");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(ModuleIndex::scan(&file).whole().is_err());
        assert!(ModuleIndex::scan(&dir.path().join("none")).whole().is_ok());
    }
}
