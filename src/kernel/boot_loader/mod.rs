//! Which kernel the boot loader starts next, as far as its files say it, and how its default is changed. Only reads.

mod entries;
mod grub;
mod systemd_boot;

use grub::GrubMenu;
use std::path::Path;
use systemd_boot::SystemdBoot;

/// The boot loader of a machine.
pub(crate) enum BootLoader {
    Grub(GrubMenu),
    SystemdBoot(SystemdBoot),
}

/// A command that changes the default.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SetDefault {
    /// Names of the program; the first one that is installed is taken.
    pub programs: &'static [&'static str],
    pub args: Vec<String>,
}

impl BootLoader {
    /// `None` where no boot loader's files can be read. `boot` is /boot, `root` the directory that it is in.
    #[must_use]
    pub(crate) fn read(boot: &Path, root: &Path) -> Option<Self> {
        // Files of grub may be left where systemd-boot was installed later.
        let has_started = SystemdBoot::has_started(root);
        let menu = GrubMenu::read(boot, root).filter(|_| !has_started);
        menu.map(Self::Grub).or_else(|| SystemdBoot::read(boot, root, has_started).map(Self::SystemdBoot))
    }

    /// The release of the entry that starts next; `None` where the files do not say it.
    #[must_use]
    pub(crate) fn next(&self) -> Option<String> {
        match self {
            Self::Grub(menu) => menu.next(),
            Self::SystemdBoot(loader) => loader.next(),
        }
    }

    /// The entry that was chosen as default, by a person or by us.
    #[must_use]
    pub(crate) fn chosen(&self) -> Option<String> {
        match self {
            Self::Grub(menu) => menu.chosen(),
            Self::SystemdBoot(loader) => loader.chosen(),
        }
    }

    /// How the boot loader names the entry of a kernel, so that it is the same after the menu is made anew.
    #[must_use]
    pub(crate) fn entry_of(&self, release: &str) -> Option<String> {
        match self {
            Self::Grub(menu) => menu.entry_of(release),
            Self::SystemdBoot(loader) => loader.entry_of(release),
        }
    }

    /// What has to be done first, where the default cannot be changed.
    #[must_use]
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::Grub(menu) if menu.follows_saved_entry() => None,
            Self::Grub(_) => {
                Some("boot_default needs GRUB_DEFAULT=saved in /etc/default/grub (then update-grub)")
            }
            Self::SystemdBoot(loader) if loader.is_known => None,
            Self::SystemdBoot(_) => {
                Some("boot_default works with grub and systemd-boot, and neither was found")
            }
        }
    }

    /// Makes an entry the default, or gives the default back to the newest kernel.
    #[must_use]
    pub(crate) fn set_default(&self, entry: Option<&str>) -> SetDefault {
        match self {
            Self::Grub(menu) => menu.set_default(entry),
            Self::SystemdBoot(_) => SetDefault {
                programs: &["bootctl"],
                args: vec!["set-default".to_owned(), entry.unwrap_or_default().to_owned()],
            },
        }
    }
}

fn release_of_image(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    name.strip_prefix("vmlinuz-").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_without_boot_loader_says_nothing() {
        let nowhere = Path::new("/no/such/directory");
        assert!(BootLoader::read(nowhere, nowhere).is_none());
    }
}
