//! Entries in files, for boot loaders that read them by themselves.
//!
//! Source: the Boot Loader Specification, "Type #1"; its "Boot counting" for names that end in `+TRIES`.

use super::release_of_image;
use crate::model::compare_versions;
use crate::system::dir;
use std::path::{Path, PathBuf};

/// A file in `loader/entries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name without `.conf` and without what counts its tries.
    pub id: String,
    pub title: String,
    pub release: Option<String>,
    /// It was tried as often as it may be, and has not come up.
    is_bad: bool,
}

impl Entry {
    fn new(name: &str, text: &str) -> Option<Self> {
        let name = name.strip_suffix(".conf")?;
        let counted = name.rsplit_once('+').filter(|(_, count)| {
            let mut numbers = count.splitn(2, '-');
            numbers.all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        });
        let (id, left) = counted.map_or((name, None), |(id, count)| (id, count.split('-').next()));
        let value = |key: &str| {
            let lines = text.lines().map(str::trim);
            let mut found = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix([' ', '\t']));
            Some(found.next()?.trim().to_owned())
        };
        Some(Self {
            id: id.to_owned(),
            title: value("title").unwrap_or_default(),
            release: value("version").or_else(|| release_of_image(&value("linux")?)),
            is_bad: left == Some("0"),
        })
    }

    fn version(&self) -> &str {
        self.release.as_deref().unwrap_or_default()
    }
}

/// The entries below the directories that may hold them, as boot loaders list them: the newest first, and last what did not come
/// up.
pub(super) fn read(places: &[PathBuf]) -> Vec<Entry> {
    let files = places.iter().flat_map(|place| dir::entries(place.join("loader/entries")));
    let found = files.filter_map(|file| {
        Entry::new(file.file_name().to_str()?, &fs_err::read_to_string(file.path()).ok()?)
    });
    let mut found: Vec<Entry> = found.collect();
    found.sort_by(|a, b| a.is_bad.cmp(&b.is_bad).then_with(|| compare_versions(b.version(), a.version())));
    found
}

/// Where the entries of a machine may be: its own file system for booting, and that of the firmware.
pub(super) fn places(boot: &Path, root: &Path) -> Vec<PathBuf> {
    let found = [boot.to_owned(), boot.join("efi"), root.join("efi")];
    found.into_iter().filter(|place| place.join("loader").is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain("m-6.9.5.conf", "m-6.9.5", false)]
    #[case::to_be_tried("m-6.9.5+3.conf", "m-6.9.5", false)]
    #[case::tried("m-6.9.5+2-1.conf", "m-6.9.5", false)]
    #[case::bad("m-6.9.5+0-3.conf", "m-6.9.5", true)]
    #[case::plus_of_a_release("m-6.9.5.x86_64+debug.conf", "m-6.9.5.x86_64+debug", false)]
    fn tries_are_no_part_of_the_name(#[case] name: &str, #[case] id: &str, #[case] is_bad: bool) {
        let entry = Entry::new(name, "title\tA machine\nlinux /vmlinuz-6.9.5\n").unwrap();
        assert_eq!((entry.id.as_str(), entry.is_bad), (id, is_bad));
        assert_eq!((entry.title.as_str(), entry.release.as_deref()), ("A machine", Some("6.9.5")));
    }

    #[test]
    fn entries_are_listed_from_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("loader/entries")).unwrap();
        for (name, text) in [
            ("a-6.10.conf", "version 6.10\n"),
            ("a-6.9.conf", "version 6.9\n"),
            ("a-6.11+0-3.conf", "version 6.11\n"),
            ("memtest.conf", "efi /memtest.efi\n"),
            ("README", "version 7\n"),
        ] {
            fs_err::write(dir.path().join("loader/entries").join(name), text).unwrap();
        }
        let found: Vec<String> = read(&[dir.path().to_owned()]).into_iter().map(|entry| entry.id).collect();
        assert_eq!(found, ["a-6.10", "a-6.9", "memtest", "a-6.11"]);
    }
}
