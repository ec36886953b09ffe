//! Facts about the machine we run on: kernel, distribution, user.

use super::Environment;
use crate::model::{Arch, KernelRelease};
use std::path::Path;

/// The machine and the user of this run.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// What `uname -r` prints; `None` only if that is not a possible directory name.
    pub running: Option<KernelRelease>,
    /// What `uname -m` prints.
    pub machine: Option<Arch>,
    pub distribution: Distribution,
    pub euid: u32,
}

impl Host {
    pub(crate) fn capture(root: &Path, env: &Environment) -> Self {
        let (running, machine) = nix::sys::utsname::uname()
            .map(|name| {
                (name.release().to_string_lossy().into_owned(), name.machine().to_string_lossy().into_owned())
            })
            .unwrap_or_default();
        let pretended = |name: &str| env.get(name).filter(|_| root != Path::new("/"));
        let running = pretended("DKMS_UNAME_R").unwrap_or(&running);
        let machine = pretended("DKMS_UNAME_M").unwrap_or(&machine);
        Self {
            running: KernelRelease::new(running).ok(),
            machine: Arch::new(machine).ok(),
            distribution: Distribution::read(root),
            euid: nix::unistd::geteuid().as_raw(),
        }
    }
}

/// Which conventions for destinations, signing and weak modules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Debian,
    Ubuntu,
    Arch,
    Gentoo,
    Fedora,
    Rhel,
    Suse,
    Other,
}

impl Family {
    /// The family of one word of os-release.
    fn from_id(id: &str) -> Option<Self> {
        let starts = |prefix: &str| id.starts_with(prefix);
        Some(match id {
            _ if starts("debian") => Self::Debian,
            _ if starts("ubuntu") => Self::Ubuntu,
            _ if starts("arch") => Self::Arch,
            _ if starts("gentoo") => Self::Gentoo,
            _ if starts("fedora") || starts("centos") => Self::Fedora,
            _ if starts("rhel") => Self::Rhel,
            _ if starts("sles") || starts("suse") || starts("opensuse") => Self::Suse,
            _ => return None,
        })
    }

    /// Where modules of every package go, below `/lib/modules/<K>`; `None` where the dkms.conf decides.
    #[must_use]
    pub(crate) fn module_location(self) -> Option<&'static str> {
        match self {
            Self::Debian | Self::Ubuntu | Self::Arch => Some("/updates/dkms"),
            Self::Fedora | Self::Rhel => Some("/extra"),
            Self::Suse => Some("/updates"),
            Self::Gentoo | Self::Other => None,
        }
    }

    /// Whether kernels of the distribution lend each other modules by weak-modules(8).
    #[must_use]
    pub(crate) fn has_weak_modules(self) -> bool {
        matches!(self, Self::Fedora | Self::Rhel | Self::Suse)
    }

    /// Whether builds are filed under the machine's own name for its architecture.
    #[must_use]
    pub(crate) fn arch_is_machine(self) -> bool {
        matches!(self, Self::Debian | Self::Ubuntu | Self::Arch | Self::Gentoo)
    }

    /// The identifier that configuration and messages use.
    #[must_use]
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Ubuntu => "ubuntu",
            Self::Arch => "arch",
            Self::Gentoo => "gentoo",
            Self::Fedora => "fedora",
            Self::Rhel => "rhel",
            Self::Suse => "suse",
            Self::Other => "other",
        }
    }
}

/// What os-release(5) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Distribution {
    pub id: String,
    /// VERSION_ID, which distributions without versions do not have.
    pub version: Option<String>,
    /// What extensions of the system are for, in the place of the version.
    pub sysext_level: Option<String>,
    pub family: Family,
}

impl Distribution {
    fn read(root: &Path) -> Self {
        let text = ["etc/os-release", "usr/lib/os-release"]
            .iter()
            .find_map(|file| fs_err::read_to_string(root.join(file)).ok())
            .unwrap_or_default();
        Self::parse(&text)
    }

    /// ID decides; where we do not know it, the first known word of ID_LIKE.
    #[must_use]
    pub(crate) fn parse(os_release: &str) -> Self {
        let value = |name: &str| {
            os_release.lines().rev().find_map(|line| {
                let value = line.trim().strip_prefix(name)?.strip_prefix('=')?.trim();
                Some(value.trim_matches(|c| c == '"' || c == '\'').to_owned())
            })
        };
        let id = value("ID").unwrap_or_default();
        let like = value("ID_LIKE").unwrap_or_default();
        let family = Family::from_id(&id).or_else(|| like.split_whitespace().find_map(Family::from_id));
        let (version, sysext_level) = (value("VERSION_ID"), value("SYSEXT_LEVEL"));
        Self { id, version, sysext_level, family: family.unwrap_or(Family::Other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ID=debian\n", Family::Debian)]
    #[case("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Family::Ubuntu)]
    #[case("ID=ubuntu\nID_LIKE=debian\n", Family::Ubuntu)]
    #[case("ID=\"rhel\"\nID_LIKE=\"fedora\"\n", Family::Rhel)]
    #[case("ID=rocky\nID_LIKE=\"rhel centos fedora\"\n", Family::Rhel)]
    #[case("ID='opensuse-leap'\nID_LIKE='suse opensuse'\n", Family::Suse)]
    #[case("ID=manjaro\nID_LIKE=arch\n", Family::Arch)]
    #[case("ID=debian\nID_LIKE=\n", Family::Debian)]
    #[case("ID=alpine\n", Family::Other)]
    #[case("", Family::Other)]
    fn the_identifier_decides_before_the_likeness(#[case] text: &str, #[case] family: Family) {
        assert_eq!(Distribution::parse(text).family, family);
    }
}
