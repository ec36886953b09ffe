//! Which kernel the boot loader starts next, as far as its files say it. Only reads.
//!
//! Sources: grub's info manual (`default`, `grubenv`), the Boot Loader Specification, systemd-boot's loader.conf(5).

use crate::model::compare_versions;
use crate::system::dir;
use std::path::{Path, PathBuf};

/// The release of the default entry; `None` where no boot loader's files can be read, or they do not say it.
#[must_use]
pub(crate) fn next_boot(boot: &Path) -> Option<String> {
    let read = |path: &str| fs_err::read_to_string(boot.join(path)).ok();
    let env = ["grub/grubenv", "grub2/grubenv"].iter().find_map(|path| read(path)).unwrap_or_default();
    if let Some(menu) = GrubMenu::read(boot) {
        return menu.next();
    }
    let entries: Vec<(String, String)> = dir::entries(boot.join("loader/entries"))
        .iter()
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".conf")?.to_owned();
            Some((name, fs_err::read_to_string(entry.path()).ok()?))
        })
        .collect();
    let wanted = variable(&env, "next_entry").or_else(|| variable(&env, "saved_entry"));
    let loader = read("loader/loader.conf").unwrap_or_default();
    let wanted = wanted.or_else(|| loader.lines().find_map(|line| word_after(line, "default")));
    by_specification(&entries, wanted.as_deref())
}

/// A non-empty value of a grubenv.
fn variable(env: &str, name: &str) -> Option<String> {
    let value = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn word_after(line: &str, name: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    (words.next() == Some(name)).then(|| words.next().map(str::to_owned)).flatten()
}

/// A menu entry of a grub.cfg: its place in nested menus, title, identifier and kernel.
struct GrubEntry {
    place: Vec<usize>,
    titles: Vec<String>,
    ids: Vec<String>,
    release: Option<String>,
}

/// The menu of grub, and what it remembers.
pub(crate) struct GrubMenu {
    entries: Vec<GrubEntry>,
    /// What GRUB_DEFAULT in /etc/default/grub became.
    default: String,
    /// The file that grub-editenv(1) writes.
    pub env_file: PathBuf,
    env: String,
}

impl GrubMenu {
    /// `None` where there is no grub, or its menu is in files of the Boot Loader Specification.
    #[must_use]
    pub(crate) fn read(boot: &Path) -> Option<Self> {
        let dir = ["grub", "grub2"]
            .iter()
            .map(|name| boot.join(name))
            .find(|dir| dir.join("grub.cfg").is_file())?;
        let cfg = fs_err::read_to_string(dir.join("grub.cfg")).ok()?;
        let env_file = dir.join("grubenv");
        let env = fs_err::read_to_string(&env_file).unwrap_or_default();
        cfg.contains("menuentry ").then(|| Self::new(&cfg, env, env_file))
    }

    fn new(cfg: &str, env: String, env_file: PathBuf) -> Self {
        let set = cfg.lines().filter_map(|line| line.trim().strip_prefix("set default="));
        let mut set = set.map(|value| value.trim_matches('"'));
        // The script takes next_entry where there is one, and else what GRUB_DEFAULT became.
        let default = set.rfind(|value| !value.contains("next_entry")).unwrap_or("0").to_owned();
        Self { entries: grub_entries(cfg), default, env_file, env }
    }

    /// Whether the default is what `saved_entry` says, because GRUB_DEFAULT is `saved`.
    #[must_use]
    pub(crate) fn follows_saved_entry(&self) -> bool {
        self.default.contains("saved_entry")
    }

    /// The entry that was chosen as default, by a person or by us.
    #[must_use]
    pub(crate) fn saved_entry(&self) -> Option<String> {
        variable(&self.env, "saved_entry")
    }

    /// What `saved_entry` has to be for a kernel: identifiers, which the next grub-mkconfig leaves as they are.
    #[must_use]
    pub(crate) fn entry_of(&self, release: &str) -> Option<String> {
        let of_kernel = self.entries.iter().filter(|entry| entry.release.as_deref() == Some(release));
        let named =
            of_kernel.filter(|entry| entry.ids.iter().all(|id| !id.is_empty() && !id.contains("recovery")));
        // The first entry of the menu is any kernel's, whichever is the newest.
        let found = named.max_by_key(|entry| entry.ids.len())?;
        Some(found.ids.join(">"))
    }

    /// The release of the entry that starts next.
    #[must_use]
    pub(crate) fn next(&self) -> Option<String> {
        let saved = || self.saved_entry().unwrap_or_else(|| "0".to_owned());
        let default = || if self.follows_saved_entry() { saved() } else { self.default.clone() };
        let wanted = variable(&self.env, "next_entry").unwrap_or_else(default);
        let parts: Vec<&str> = wanted.split('>').collect();
        let fits = |entry: &&GrubEntry| {
            let matches = |depth: usize, part: &str| {
                part.parse() == Ok(entry.place[depth])
                    || entry.titles[depth] == part
                    || entry.ids[depth] == part
            };
            let as_path = entry.place.len() == parts.len()
                && parts.iter().enumerate().all(|(depth, part)| matches(depth, part));
            as_path || entry.ids.last().is_some_and(|id| *id == wanted)
        };
        self.entries.iter().find(fits)?.release.clone()
    }
}

fn grub_entries(cfg: &str) -> Vec<GrubEntry> {
    let mut entries: Vec<GrubEntry> = Vec::new();
    // For each open menu: how many entries it had, and what it is itself.
    let mut menus: Vec<(usize, String, String)> = vec![(0, String::new(), String::new())];
    let mut in_entry = false;
    for line in cfg.lines().map(str::trim) {
        let is_menu = line.starts_with("submenu ");
        if is_menu || line.starts_with("menuentry ") {
            let quoted: Vec<&str> = line.split(['\'', '"']).collect();
            let title = quoted.get(1).copied().unwrap_or_default().to_owned();
            let id = line
                .split_once("$menuentry_id_option")
                .and_then(|(_, rest)| rest.split(['\'', '"']).nth(1))
                .unwrap_or_default()
                .to_owned();
            if let Some(menu) = menus.last_mut() {
                menu.0 += 1;
            }
            if is_menu {
                menus.push((0, title, id));
                continue;
            }
            let inside = menus.iter().skip(1);
            let titles = inside.clone().map(|menu| menu.1.clone()).chain([title]).collect();
            let ids = inside.map(|menu| menu.2.clone()).chain([id]).collect();
            let place = menus.iter().map(|menu| menu.0.saturating_sub(1)).collect();
            entries.push(GrubEntry { place, titles, ids, release: None });
            in_entry = true;
        } else if line == "}" {
            if !in_entry && menus.len() > 1 {
                menus.pop();
            }
            in_entry = false;
        } else if in_entry
            && ["linux", "linuxefi", "linux16"].contains(&line.split_whitespace().next().unwrap_or_default())
            && let Some(entry) = entries.last_mut()
        {
            entry.release = line.split_whitespace().nth(1).and_then(release_of_image);
        }
    }
    entries
}

fn release_of_image(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    name.strip_prefix("vmlinuz-").map(str::to_owned)
}

/// The entry with that name, or the newest one.
fn by_specification(entries: &[(String, String)], wanted: Option<&str>) -> Option<String> {
    let key = |text: &str, name: &str| text.lines().find_map(|line| word_after(line, name));
    let release = |text: &str| {
        let image = key(text, "linux");
        key(text, "version").or_else(|| image.as_deref().and_then(release_of_image))
    };
    let is_wanted = |name: &str| {
        wanted.is_some_and(|wanted| {
            let wanted = wanted.strip_suffix(".conf").unwrap_or(wanted);
            glob::Pattern::new(wanted).is_ok_and(|pattern| pattern.matches(name))
        })
    };
    let mut releases: Vec<(bool, String)> =
        entries.iter().filter_map(|(name, text)| Some((is_wanted(name), release(text)?))).collect();
    releases.sort_by(|(_, a), (_, b)| compare_versions(b, a));
    let chosen = releases.iter().find(|(wanted, _)| *wanted).or(releases.first());
    chosen.map(|(_, release)| release.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// As grub-mkconfig of Debian writes it.
    const GRUB: &str = r#"
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
else
   set default="@DEFAULT@"
fi
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-U' {
	linux	/boot/vmlinuz-6.1.0-56-amd64 root=UUID=U ro quiet
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-U' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-56-amd64' $menuentry_id_option 'gnulinux-6.1.0-56-amd64-advanced-U' {
		linux	/boot/vmlinuz-6.1.0-56-amd64 root=UUID=U ro quiet
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-55-amd64' $menuentry_id_option 'gnulinux-6.1.0-55-amd64-advanced-U' {
		linux	/vmlinuz-6.1.0-55-amd64 root=UUID=U ro quiet
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
"#;

    #[rstest]
    #[case::first("0", "", Some("6.1.0-56-amd64"))]
    #[case::nested("1>1", "", Some("6.1.0-55-amd64"))]
    #[case::identifiers("gnulinux-advanced-U>gnulinux-6.1.0-55-amd64-advanced-U", "", Some("6.1.0-55-amd64"))]
    #[case::title(
        "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-55-amd64",
        "",
        Some("6.1.0-55-amd64")
    )]
    #[case::saved(
        "${saved_entry}",
        "saved_entry=gnulinux-6.1.0-55-amd64-advanced-U\n",
        Some("6.1.0-55-amd64")
    )]
    #[case::nothing_saved("${saved_entry}", "", Some("6.1.0-56-amd64"))]
    #[case::once("0", "next_entry=1>1\n", Some("6.1.0-55-amd64"))]
    #[case::other_system("2", "", None)]
    #[case::nonsense("no such entry", "", None)]
    fn grub_default_is_found(#[case] default: &str, #[case] env: &str, #[case] release: Option<&str>) {
        let menu = GrubMenu::new(&GRUB.replace("@DEFAULT@", default), env.to_owned(), PathBuf::new());
        assert_eq!(menu.next().as_deref(), release);
    }

    #[rstest]
    #[case::newest(None, "6.9.5-200")]
    #[case::chosen(Some("m-6.8.1-100"), "6.8.1-100")]
    #[case::pattern(Some("m-6.8*"), "6.8.1-100")]
    #[case::file(Some("m-6.8.1-100.conf"), "6.8.1-100")]
    #[case::gone(Some("m-5.0"), "6.9.5-200")]
    fn entry_of_the_specification_is_found(#[case] wanted: Option<&str>, #[case] release: &str) {
        let entries = [
            ("m-6.8.1-100".to_owned(), "title x\nversion 6.8.1-100\nlinux /vmlinuz-6.8.1-100\n".to_owned()),
            ("m-6.9.5-200".to_owned(), "title x\nlinux /boot/vmlinuz-6.9.5-200\n".to_owned()),
        ];
        assert_eq!(by_specification(&entries, wanted).as_deref(), Some(release));
    }

    #[test]
    fn machine_without_boot_loader_says_nothing() {
        assert_eq!(next_boot(Path::new("/no/such/directory")), None);
    }

    #[test]
    fn entry_of_a_kernel_is_named_by_identifiers() {
        let menu = GrubMenu::new(&GRUB.replace("@DEFAULT@", "${saved_entry}"), String::new(), PathBuf::new());
        let entry = |release| menu.entry_of(release);
        assert_eq!(
            entry("6.1.0-55-amd64").unwrap(),
            "gnulinux-advanced-U>gnulinux-6.1.0-55-amd64-advanced-U"
        );
        assert_eq!(
            entry("6.1.0-56-amd64").unwrap(),
            "gnulinux-advanced-U>gnulinux-6.1.0-56-amd64-advanced-U"
        );
        assert_eq!(entry("6.1"), None);
        assert!(menu.follows_saved_entry() && menu.saved_entry().is_none());
    }
}
