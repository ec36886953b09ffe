//! grub: its menu, which is one of its own or is in files, and what it remembers.
//!
//! Source: grub's info manual (`default`, `grubenv`, `blscfg`).

use super::entries;
use super::{SetDefault, release_of_image};
use std::path::{Path, PathBuf};

/// A non-empty value of a grubenv.
fn variable(env: &str, name: &str) -> Option<String> {
    let value = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?.trim();
    (!value.is_empty()).then(|| value.to_owned())
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
    env_file: PathBuf,
    env: String,
    /// Whether the entries are files. Of these grub starts the first where the default is none of them.
    is_in_files: bool,
    saves_new: SavesNew,
}

/// Whether the entry of each new kernel is saved when it is installed, so that this says nothing of a person's choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SavesNew {
    No,
    /// Not that of a kernel with a variant in its release, such as `6.9.4-200.fc40.x86_64+debug`.
    Plain,
    All,
}

impl GrubMenu {
    /// `None` where there is no grub.
    pub(super) fn read(boot: &Path, root: &Path) -> Option<Self> {
        let dir = ["grub", "grub2"]
            .iter()
            .map(|name| boot.join(name))
            .find(|dir| dir.join("grub.cfg").is_file())?;
        let cfg = fs_err::read_to_string(dir.join("grub.cfg")).ok()?;
        let env_file = dir.join("grubenv");
        let env = fs_err::read_to_string(&env_file).unwrap_or_default();
        let is_in_files = cfg.lines().any(|line| line.trim() == "blscfg");
        let (entries, saves_new) = match is_in_files {
            true => (entries_in_files(boot), saves_new_kernels(root)),
            false => (grub_entries(&cfg), SavesNew::No),
        };
        let default = default_of(&cfg);
        (!entries.is_empty()).then_some(Self { entries, default, env_file, env, is_in_files, saves_new })
    }

    /// Whether the default is what `saved_entry` says, because GRUB_DEFAULT is `saved`.
    pub(super) fn follows_saved_entry(&self) -> bool {
        self.default.contains("saved_entry")
    }

    fn saved_entry(&self) -> Option<String> {
        variable(&self.env, "saved_entry")
    }

    pub(super) fn chosen(&self) -> Option<String> {
        let newest = self.saved_by_installation();
        self.saved_entry().filter(|saved| newest.as_ref() != Some(saved))
    }

    /// The entry that the installation of the newest kernel saved.
    fn saved_by_installation(&self) -> Option<String> {
        let is_plain = |entry: &&GrubEntry| entry.release.as_ref().is_none_or(|name| !name.contains('+'));
        let newest = match self.saves_new {
            SavesNew::No => None,
            SavesNew::Plain => self.entries.iter().find(is_plain),
            SavesNew::All => self.entries.first(),
        };
        Some(newest?.ids.join(">"))
    }

    pub(super) fn set_default(&self, entry: Option<&str>) -> SetDefault {
        let entry = entry.map(str::to_owned).or_else(|| self.saved_by_installation());
        let change = match entry {
            Some(entry) => vec!["set".to_owned(), format!("saved_entry={entry}")],
            None => vec!["unset".to_owned(), "saved_entry".to_owned()],
        };
        let file = self.env_file.to_string_lossy().into_owned();
        SetDefault {
            programs: &["grub-editenv", "grub2-editenv"],
            args: [file].into_iter().chain(change).collect(),
        }
    }

    /// What `saved_entry` has to be for a kernel: identifiers, which the next grub-mkconfig leaves as they are.
    pub(super) fn entry_of(&self, release: &str) -> Option<String> {
        let of_kernel = self.entries.iter().filter(|entry| entry.release.as_deref() == Some(release));
        let named =
            of_kernel.filter(|entry| entry.ids.iter().all(|id| !id.is_empty() && !id.contains("recovery")));
        // The first entry of the menu is any kernel's, whichever is the newest.
        let found = named.max_by_key(|entry| entry.ids.len())?;
        Some(found.ids.join(">"))
    }

    pub(super) fn next(&self) -> Option<String> {
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
        let found = self.entries.iter().find(fits);
        found.or(self.entries.first().filter(|_| self.is_in_files))?.release.clone()
    }
}

/// What GRUB_DEFAULT became: the script takes next_entry where there is one, and else this.
fn default_of(cfg: &str) -> String {
    let set = cfg.lines().filter_map(|line| line.trim().strip_prefix("set default="));
    let mut set = set.map(|value| value.trim_matches('"'));
    set.rfind(|value| !value.contains("next_entry")).unwrap_or("0").to_owned()
}

/// As grub of Fedora shows the files of the Boot Loader Specification.
fn entries_in_files(boot: &Path) -> Vec<GrubEntry> {
    let entries = entries::read(&[boot.to_owned()]).into_iter().enumerate();
    entries
        .map(|(place, entry)| GrubEntry {
            place: vec![place],
            titles: vec![entry.title],
            ids: vec![entry.id],
            release: entry.release,
        })
        .collect()
}

/// What Fedora's plugin of kernel-install reads.
fn saves_new_kernels(root: &Path) -> SavesNew {
    let says = |file: &str, wanted: &str| {
        let text = fs_err::read_to_string(root.join(file)).unwrap_or_default();
        text.lines().any(|line| line.trim().replace('"', "") == wanted)
    };
    if !says("etc/sysconfig/kernel", "UPDATEDEFAULT=yes") {
        SavesNew::No
    } else if says("etc/default/grub", "GRUB_DEFAULT_TO_DEBUG=true") {
        SavesNew::All
    } else {
        SavesNew::Plain
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
        {
            if let Some(entry) = entries.last_mut() {
                entry.release = line.split_whitespace().nth(1).and_then(release_of_image);
            }
        }
    }
    entries
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

    fn menu(default: &str, env: &str) -> GrubMenu {
        let cfg = GRUB.replace("@DEFAULT@", default);
        GrubMenu {
            entries: grub_entries(&cfg),
            default: default_of(&cfg),
            env_file: PathBuf::new(),
            env: env.to_owned(),
            is_in_files: false,
            saves_new: SavesNew::No,
        }
    }

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
        let menu = menu(default, env);
        assert_eq!(menu.next().as_deref(), release);
    }

    #[test]
    fn entry_of_a_kernel_is_named_by_identifiers() {
        let menu = menu("${saved_entry}", "");
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
        assert!(menu.follows_saved_entry() && menu.chosen().is_none());
    }

    /// As on Fedora.
    fn menu_in_files(env: &str, sysconfig: &str) -> GrubMenu {
        menu_with(env, sysconfig, "")
    }

    /// With a kernel for debugging, which sorts above the one that it belongs to.
    fn menu_with(env: &str, sysconfig: &str, grub: &str) -> GrubMenu {
        let dir = tempfile::tempdir().unwrap();
        let debug = (
            "boot/loader/entries/m-6.9+debug.conf",
            "title A (6.9+debug)\nversion 6.9+debug\nlinux /vmlinuz-6.9+debug\n",
        );
        let cfg = "if [ \"${next_entry}\" ]; then\n  set default=\"${next_entry}\"\nelse\n  set default=\"${saved_entry}\"\nfi\n\
                   insmod blscfg\nblscfg\nmenuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {\n fwsetup\n}\n";
        for (name, text) in [
            ("boot/grub2/grub.cfg", cfg),
            ("boot/grub2/grubenv", env),
            ("boot/loader/entries/m-6.8.conf", "title A (6.8)\nversion 6.8\nlinux /vmlinuz-6.8\n"),
            ("boot/loader/entries/m-6.9.conf", "title A (6.9)\nversion 6.9\nlinux /vmlinuz-6.9\n"),
            ("etc/sysconfig/kernel", sysconfig),
            ("etc/default/grub", grub),
        ]
        .into_iter()
        .chain((!grub.is_empty()).then_some(debug))
        {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        GrubMenu::read(&dir.path().join("boot"), dir.path()).unwrap()
    }

    #[rstest]
    #[case::nothing_saved("", "", "6.9", None)]
    #[case::chosen("saved_entry=m-6.8\n", "UPDATEDEFAULT=yes\n", "6.8", Some("m-6.8"))]
    #[case::newest_by_hand("saved_entry=m-6.9\n", "", "6.9", Some("m-6.9"))]
    #[case::newest_by_its_installation("saved_entry=m-6.9\n", "# x\nUPDATEDEFAULT=yes\n", "6.9", None)]
    #[case::gone("saved_entry=m-5.0\n", "", "6.9", Some("m-5.0"))]
    #[case::once("next_entry=m-6.8\nsaved_entry=m-6.9\n", "UPDATEDEFAULT=yes\n", "6.8", None)]
    fn menu_in_files_is_read(
        #[case] env: &str,
        #[case] sysconfig: &str,
        #[case] next: &str,
        #[case] chosen: Option<&str>,
    ) {
        let menu = menu_in_files(env, sysconfig);
        assert_eq!(menu.next().as_deref(), Some(next));
        assert_eq!(menu.chosen().as_deref(), chosen);
        assert_eq!(menu.entry_of("6.8").as_deref(), Some("m-6.8"));
    }

    #[rstest]
    #[case::plain_is_saved("m-6.9", "GRUB_TIMEOUT=5\n", None)]
    #[case::debug_by_hand("m-6.9+debug", "GRUB_TIMEOUT=5\n", Some("m-6.9+debug"))]
    #[case::debug_is_saved("m-6.9+debug", "GRUB_DEFAULT_TO_DEBUG=\"true\"\n", None)]
    #[case::plain_by_hand("m-6.9", "GRUB_DEFAULT_TO_DEBUG=true\n", Some("m-6.9"))]
    fn kernel_for_debugging_is_chosen_by_hand(
        #[case] saved: &str,
        #[case] grub: &str,
        #[case] chosen: Option<&str>,
    ) {
        let menu = menu_with(&format!("saved_entry={saved}\n"), "UPDATEDEFAULT=yes\n", grub);
        assert_eq!(menu.chosen().as_deref(), chosen);
        let given_back = menu.set_default(None).args.pop().unwrap();
        assert_eq!(given_back.ends_with("+debug"), grub.contains("DEBUG"));
    }

    #[rstest]
    #[case::keep("", Some("m-6.8"), &["set", "saved_entry=m-6.8"])]
    #[case::give_back("", None, &["unset", "saved_entry"])]
    #[case::give_back_as_it_was("UPDATEDEFAULT=yes\n", None, &["set", "saved_entry=m-6.9"])]
    fn default_is_changed_by_editing_what_grub_remembers(
        #[case] sysconfig: &str,
        #[case] entry: Option<&str>,
        #[case] expected: &[&str],
    ) {
        assert_eq!(menu_in_files("", sysconfig).set_default(entry).args[1..], *expected);
    }
}
