//! Whether files are what they were: first by what stat(2) says of them, and only where that differs by their content.

use crate::system::dir;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What some files and directories were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// Digest of names, kinds, sizes and times of change: cheap to take again.
    pub stat: String,
    /// Digest of names, kinds, permissions to execute, and contents.
    pub content: String,
}

/// How files compare with what they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Comparison {
    Same,
    /// The same content, newly written: the new fingerprint is cheaper to compare with the next time.
    Rewritten(Fingerprint),
    Different,
}

impl Fingerprint {
    /// Reads everything at and below `paths`, in this order. What is missing differs from what is empty.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(crate) fn take(paths: &[PathBuf]) -> io::Result<Self> {
        let entries = list(paths)?;
        Ok(Self { stat: stat_of(&entries), content: content_of(&entries)? })
    }

    /// Compares with what `paths` hold now; nothing is read where stat(2) already tells that nothing changed.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(crate) fn compare(&self, paths: &[PathBuf]) -> io::Result<Comparison> {
        let entries = list(paths)?;
        let stat = stat_of(&entries);
        if stat == self.stat {
            return Ok(Comparison::Same);
        }
        let content = content_of(&entries)?;
        Ok(match content == self.content {
            true => Comparison::Rewritten(Self { stat, content }),
            false => Comparison::Different,
        })
    }
}

/// What many files were at one moment, without a look at their contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatPrint {
    /// Digest of names and sizes.
    pub sizes: String,
    /// Digest of the times of change in seconds, as packages and archives keep them; `None` where there are none: ostree gives every
    /// file 0, and Nix 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<String>,
}

impl StatPrint {
    /// Whether these are the files that the other one tells of.
    #[must_use]
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let same_times =
            self.times.as_ref().zip(other.times.as_ref()).is_none_or(|(one, another)| one == another);
        self.sizes == other.sizes && same_times
    }
}

/// One file, link or directory, by its place in the order of the walk.
struct FileEntry {
    /// Its name below the path that was asked for.
    name: Vec<u8>,
    path: PathBuf,
    data: Option<Metadata>,
}

/// Version control keeps its own files beside the source.
pub(crate) const NOT_SOURCE: [&str; 4] = [".git", ".svn", ".hg", ".bzr"];

fn list(paths: &[PathBuf]) -> io::Result<Vec<FileEntry>> {
    let mut entries = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        // The path itself may be a link, such as <kernel>/build or T/M/V/source.
        let data = std::fs::metadata(path).ok();
        let is_dir = data.as_ref().is_some_and(Metadata::is_dir);
        entries.push(FileEntry { name: index.to_string().into_bytes(), path: path.clone(), data });
        if is_dir {
            walk(path, &mut index.to_string().into_bytes(), &mut entries)?;
        }
    }
    Ok(entries)
}

fn walk(dir: &Path, prefix: &mut Vec<u8>, entries: &mut Vec<FileEntry>) -> io::Result<()> {
    for entry in dir::read(dir)? {
        if NOT_SOURCE.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let length = prefix.len();
        prefix.push(b'/');
        prefix.extend(entry.file_name().as_bytes());
        let data = entry.metadata()?;
        let is_dir = data.is_dir();
        entries.push(FileEntry { name: prefix.clone(), path: entry.path(), data: Some(data) });
        if is_dir {
            walk(&entry.path(), prefix, entries)?;
        }
        prefix.truncate(length);
    }
    Ok(())
}

fn kind(data: &Metadata) -> &'static str {
    match () {
        () if data.is_dir() => "d",
        () if data.is_symlink() => "l",
        () if data.is_file() && data.mode() & 0o111 != 0 => "x",
        () if data.is_file() => "f",
        () => "-",
    }
}

fn stat_of(entries: &[FileEntry]) -> String {
    let mut hash = Sha256::new();
    for FileEntry { name, data, .. } in entries {
        hash.update(name);
        match data {
            None => hash.update(b"\0-"),
            // A directory is what its entries are.
            Some(data) if data.is_dir() => hash.update(b"\0d"),
            Some(data) => {
                hash.update(b"\0");
                hash.update(kind(data));
                // The device's number may be another one after every boot.
                for number in [data.size(), data.ino()] {
                    hash.update(number.to_le_bytes());
                }
                for number in [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()] {
                    hash.update(number.to_le_bytes());
                }
            }
        }
    }
    text(hash)
}

fn content_of(entries: &[FileEntry]) -> io::Result<String> {
    let mut hash = Sha256::new();
    for FileEntry { name, path, data } in entries {
        hash.update(name);
        hash.update(b"\0");
        let Some(data) = data else {
            hash.update(b"-");
            continue;
        };
        hash.update(kind(data));
        if data.is_file() {
            let mut content = Sha256::new();
            io::copy(&mut fs_err::File::open(path)?, &mut content)?;
            hash.update(content.finalize());
        } else if data.is_symlink() {
            hash.update(Sha256::digest(fs_err::read_link(path)?.as_os_str().as_bytes()));
        }
    }
    Ok(text(hash))
}

/// 128 bits are enough to tell files apart that are not forged.
fn text(hash: Sha256) -> String {
    hash.finalize().iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewritten_content_differs_from_changed_content() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("src/a.c");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "int a;").unwrap();
        let paths = [dir.path().join("src"), dir.path().join("missing")];
        let print = Fingerprint::take(&paths).unwrap();
        assert_eq!(print.compare(&paths).unwrap(), Comparison::Same);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "int a;").unwrap();
        let Comparison::Rewritten(new) = print.compare(&paths).unwrap() else { panic!() };
        assert_eq!(new.compare(&paths).unwrap(), Comparison::Same);
        std::fs::write(dir.path().join("src/b.c"), "").unwrap();
        assert_eq!(print.compare(&paths).unwrap(), Comparison::Different);
        std::fs::remove_file(dir.path().join("src/b.c")).unwrap();
        std::fs::write(&file, "int b;").unwrap();
        assert_eq!(print.compare(&paths).unwrap(), Comparison::Different);
    }

    #[test]
    fn new_file_is_a_change_outside_version_control() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("conf")];
        let none = Fingerprint::take(&paths).unwrap();
        std::fs::write(&paths[0], "").unwrap();
        assert_eq!(none.compare(&paths).unwrap(), Comparison::Different);
        let dirs = [dir.path().to_owned()];
        let print = Fingerprint::take(&dirs).unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        assert_eq!(print.compare(&dirs).unwrap(), Comparison::Same);
    }
}
