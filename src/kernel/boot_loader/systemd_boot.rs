//! systemd-boot, and other boot loaders that read entries in files and have no menu of their own.
//!
//! Sources: systemd-boot(7), "EFI Variables"; loader.conf(5), `default`; the Boot Loader Interface.

use super::entries::{self, Entry};
use crate::system::efi;
use glob::{MatchOptions, Pattern};
use std::path::Path;

/// Of the Boot Loader Interface.
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

pub(crate) struct SystemdBoot {
    entries: Vec<Entry>,
    /// For the next start alone.
    once: Option<String>,
    /// What `bootctl set-default` wrote.
    default: Option<String>,
    /// The same of loader.conf, which a person writes.
    configured: Option<String>,
    /// Whether it is systemd-boot, and no other boot loader that reads such files.
    pub(super) is_known: bool,
}

impl SystemdBoot {
    /// Whether systemd-boot has told the firmware that it runs.
    pub(super) fn has_started(root: &Path) -> bool {
        let info = efi::text_variable(root, "LoaderInfo", VENDOR);
        info.is_some_and(|info| info.starts_with("systemd-boot"))
    }

    /// `None` where there are no entries.
    pub(super) fn read(boot: &Path, root: &Path, is_known: bool) -> Option<Self> {
        let places = entries::places(boot, root);
        let entries = entries::read(&places);
        let variable = |name: &str| efi::text_variable(root, name, VENDOR);
        let loader =
            places.iter().find_map(|place| fs_err::read_to_string(place.join("loader/loader.conf")).ok());
        let configured = loader.unwrap_or_default().lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("default")).then(|| words.next().map(str::to_owned)).flatten()
        });
        let last = || variable("LoaderEntryLastBooted");
        (!entries.is_empty()).then(|| Self {
            entries,
            once: variable("LoaderEntryOneShot"),
            default: variable("LoaderEntryDefault"),
            configured: configured.and_then(|text| if text == "@saved" { last() } else { Some(text) }),
            is_known,
        })
    }

    fn find(&self, pattern: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| is_named(entry, pattern))
    }

    pub(super) fn next(&self) -> Option<String> {
        let wanted = [&self.once, &self.default, &self.configured];
        let found = wanted.into_iter().flatten().find_map(|pattern| self.find(pattern));
        found.or(self.entries.first())?.release.clone()
    }

    /// What a person or we chose: the variable, or a line in loader.conf that names another one than the newest.
    pub(super) fn chosen(&self) -> Option<String> {
        let newest = self.entries.first()?;
        let configured = self.configured.as_ref().filter(|pattern| !is_named(newest, pattern));
        self.default.as_ref().or(configured).cloned()
    }

    pub(super) fn entry_of(&self, release: &str) -> Option<String> {
        let found = self.entries.iter().find(|entry| entry.release.as_deref() == Some(release))?;
        Some(format!("{}.conf", found.id))
    }
}

/// Whether a pattern is meant for an entry; files are named with their ending or without.
fn is_named(entry: &Entry, pattern: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let pattern = pattern.strip_suffix(".conf").unwrap_or(&pattern);
    // systemd-boot writes names in lower case.
    let options = MatchOptions { case_sensitive: false, ..MatchOptions::default() };
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_with(&entry.id, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// A machine with two entries.
    fn machine(loader: &str, variables: &[(&str, &str)]) -> SystemdBoot {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: String, content: &[u8]| {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        };
        for release in ["6.8.1-100", "6.9.5-200"] {
            let text = format!("title x\nversion {release}\nlinux /m/{release}/linux\n");
            write(format!("boot/efi/loader/entries/m-{release}.conf"), text.as_bytes());
        }
        write("boot/efi/loader/loader.conf".to_owned(), loader.as_bytes());
        for (name, text) in variables {
            let units = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
            let content: Vec<u8> = [6, 0, 0, 0].into_iter().chain(units).collect();
            write(format!("sys/firmware/efi/efivars/{name}-{VENDOR}"), &content);
        }
        let is_known = SystemdBoot::has_started(dir.path());
        SystemdBoot::read(&dir.path().join("boot"), dir.path(), is_known).unwrap()
    }

    #[rstest]
    #[case::newest("", &[], "6.9.5-200", None)]
    #[case::chosen("default m-6.8.1-100\n", &[], "6.8.1-100", Some("m-6.8.1-100"))]
    #[case::pattern("default m-6.8*\n", &[], "6.8.1-100", Some("m-6.8*"))]
    #[case::pattern_of_the_newest("timeout 3\ndefault m-*\n", &[], "6.9.5-200", None)]
    #[case::file("default m-6.8.1-100.conf\n", &[], "6.8.1-100", Some("m-6.8.1-100.conf"))]
    #[case::gone("default m-5.0\n", &[], "6.9.5-200", Some("m-5.0"))]
    #[case::by_variable("default m-*\n", &[("LoaderEntryDefault", "m-6.8.1-100.conf")], "6.8.1-100", Some("m-6.8.1-100.conf"))]
    #[case::once("", &[("LoaderEntryOneShot", "m-6.8.1-100.conf")], "6.8.1-100", None)]
    #[case::last("default @saved\n", &[("LoaderEntryLastBooted", "m-6.8.1-100.conf")], "6.8.1-100", Some("m-6.8.1-100.conf"))]
    #[case::last_in_lower_case("default @saved\n", &[("LoaderEntryLastBooted", "M-6.8.1-100.CONF")], "6.8.1-100", Some("M-6.8.1-100.CONF"))]
    #[case::none_was_last("default @saved\n", &[], "6.9.5-200", None)]
    fn default_entry_is_found(
        #[case] loader: &str,
        #[case] variables: &[(&str, &str)],
        #[case] next: &str,
        #[case] chosen: Option<&str>,
    ) {
        let found = machine(loader, variables);
        assert_eq!(found.next().as_deref(), Some(next));
        assert_eq!(found.chosen().as_deref(), chosen);
    }

    #[test]
    fn entry_of_a_kernel_has_the_name_of_its_file() {
        let found = machine("", &[("LoaderInfo", "systemd-boot 252")]);
        assert_eq!(found.entry_of("6.8.1-100").as_deref(), Some("m-6.8.1-100.conf"));
        assert_eq!(found.entry_of("6.8.1"), None);
        assert!(found.is_known);
    }
}
