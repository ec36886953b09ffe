//! Which package has the headers of a kernel, and how it is installed. One table for every message.
//!
//! Sources: the package names of Debian, Ubuntu, Proxmox VE, Raspberry Pi OS, Fedora, openSUSE and Arch.

use super::Kernel;
use super::initramfs::package_name;
use crate::system::{Family, System};

/// The command that installs a kernel's headers; `None` where the name of the package is not known.
#[must_use]
pub(crate) fn install_command(kernel: &Kernel, system: &System) -> Option<String> {
    let release = kernel.release.as_str();
    command(system.host.distribution.family, release, package_name(kernel).as_deref())
}

fn command(family: Family, release: &str, package: Option<&str>) -> Option<String> {
    Some(match family {
        Family::Debian | Family::Ubuntu => format!("apt install {}", debian(release)),
        Family::Fedora | Family::Rhel => match release.split_once('+') {
            // 6.9.5-200.fc40.x86_64+debug: the flavour is in the package's name.
            Some((release, flavour)) => format!("dnf install kernel-{flavour}-devel-{release}"),
            None => format!("dnf install kernel-devel-{release}"),
        },
        // 6.4.0-150600.21-default
        Family::Suse => {
            let (version, flavour) = release.rsplit_once('-')?;
            format!("zypper install kernel-{flavour}-devel={version}")
        }
        Family::Arch => format!("pacman -S {}-headers", package?),
        Family::Gentoo | Family::Other => return None,
    })
}

fn debian(release: &str) -> String {
    // Raspberry Pi OS: 6.6.31+rpt-rpi-v8, before that 6.1.21-v8+.
    if let Some((_, flavour)) = release.split_once("+rpt-rpi-") {
        return format!("linux-headers-rpi-{flavour}");
    }
    if release.ends_with('+') {
        return "raspberrypi-kernel-headers".to_owned();
    }
    // Proxmox VE: 6.8.4-2-pve, before 6.5 with pve-headers.
    if release.ends_with("-pve") {
        let is_old = crate::model::compare_versions(release, "6.5").is_lt();
        return format!("{}-headers-{release}", if is_old { "pve" } else { "proxmox" });
    }
    format!("linux-headers-{release}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Family::Debian, "6.1.0-56-amd64", Some("apt install linux-headers-6.1.0-56-amd64"))]
    #[case(Family::Ubuntu, "6.8.0-31-generic", Some("apt install linux-headers-6.8.0-31-generic"))]
    #[case(Family::Debian, "6.8.4-2-pve", Some("apt install proxmox-headers-6.8.4-2-pve"))]
    #[case(Family::Debian, "5.15.158-1-pve", Some("apt install pve-headers-5.15.158-1-pve"))]
    #[case(Family::Debian, "6.6.31+rpt-rpi-v8", Some("apt install linux-headers-rpi-v8"))]
    #[case(Family::Debian, "6.1.21-v8+", Some("apt install raspberrypi-kernel-headers"))]
    #[case(Family::Fedora, "6.9.5-200.fc40.x86_64", Some("dnf install kernel-devel-6.9.5-200.fc40.x86_64"))]
    #[case(
        Family::Fedora,
        "6.9.5-200.fc40.x86_64+debug",
        Some("dnf install kernel-debug-devel-6.9.5-200.fc40.x86_64")
    )]
    #[case(
        Family::Suse,
        "6.4.0-150600.21-default",
        Some("zypper install kernel-default-devel=6.4.0-150600.21")
    )]
    #[case(Family::Arch, "6.9.5-arch1-1", Some("pacman -S linux-headers"))]
    #[case(Family::Gentoo, "6.9.5-gentoo", None)]
    fn headers_are_in_the_package_of_the_distribution(
        #[case] family: Family,
        #[case] release: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(command(family, release, Some("linux")).as_deref(), expected);
    }
}
