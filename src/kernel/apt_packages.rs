//! What Debian, Ubuntu, Proxmox VE and Raspberry Pi OS call the packages of a kernel and of its headers.

use crate::model::KernelRelease;

/// How the packages of one kind are named: `linux-image-6.1.0-56-amd64` is one kernel, `linux-image-amd64` follows new ones.
struct Naming {
    image: &'static str,
    headers: &'static str,
    follows: fn(&str) -> bool,
}

const NAMINGS: [Naming; 5] = [
    Naming { image: "linux-image-", headers: "linux-headers-", follows: is_flavour },
    Naming { image: "proxmox-default-kernel", headers: "proxmox-default-headers", follows: str::is_empty },
    Naming { image: "proxmox-kernel-", headers: "proxmox-headers-", follows: is_series },
    Naming { image: "pve-kernel-", headers: "pve-headers-", follows: is_series },
    Naming { image: "raspberrypi-kernel", headers: "raspberrypi-kernel-headers", follows: str::is_empty },
];
/// What is compiled with the headers, and is needed with them.
const TOOLS: [&str; 2] = ["linux-kbuild-", "linux-compiler-"];
/// Behind the release, in the names of images.
const IMAGE_SUFFIXES: [&str; 2] = ["-unsigned", "-signed"];
/// Behind the release, where a package is no kernel.
const OTHERS: [&str; 2] = ["-dbg", "-dbgsym"];

/// `amd64`, `generic-hwe-22.04`
fn is_flavour(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// `6.8`
fn is_series(rest: &str) -> bool {
    !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn is_kernel(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_digit()) && !OTHERS.iter().any(|suffix| rest.ends_with(suffix))
}

/// The package of headers that follows new kernels, where `name` is one that does, of images or of headers.
#[must_use]
pub(crate) fn headers_follower(name: &str) -> Option<String> {
    NAMINGS.iter().find_map(|naming| {
        let rest = name.strip_prefix(naming.headers).or_else(|| name.strip_prefix(naming.image))?;
        let rest = rest.strip_prefix("unsigned-").unwrap_or(rest);
        (naming.follows)(rest).then(|| format!("{}{rest}", naming.headers))
    })
}

/// Whether a package holds headers, or what is needed with them. Ubuntu has `linux-hwe-6.8-headers-6.8.0-40` as well.
fn is_part_of_headers(name: &str) -> bool {
    let is_common = name.starts_with("linux-") && name.contains("-headers-");
    let headers = NAMINGS.iter().map(|naming| naming.headers);
    is_common || headers.chain(TOOLS).any(|prefix| name.starts_with(prefix))
}

/// Whether a package is to be unpacked for its headers: one that only follows them is empty.
#[must_use]
pub(crate) fn has_headers(name: &str) -> bool {
    is_part_of_headers(name) && headers_follower(name).is_none()
}

/// The kernel that a package has the headers of; headers for several kernels are of the architecture `all`.
#[must_use]
pub(crate) fn headers_of(name: &str, arch: &str) -> Option<KernelRelease> {
    let rest = NAMINGS.iter().find_map(|naming| {
        let rest = name.strip_prefix(naming.headers)?;
        (is_kernel(rest) && !(naming.follows)(rest)).then_some(rest)
    })?;
    // linux-headers-6.1.0-9-all-amd64 needs those of every flavour.
    let is_every = rest.ends_with("-all") || rest.contains("-all-");
    let is_one = arch != "all" && !is_every && !rest.ends_with("-common");
    KernelRelease::new(rest).ok().filter(|_| is_one)
}

/// The kernel that a package has the image of.
#[must_use]
pub(crate) fn image_of(name: &str) -> Option<KernelRelease> {
    let rest = NAMINGS.iter().find_map(|naming| {
        let rest = name.strip_prefix(naming.image)?;
        let rest = rest.strip_prefix("unsigned-").unwrap_or(rest);
        (is_kernel(rest) && !(naming.follows)(rest)).then_some(rest)
    })?;
    let rest = IMAGE_SUFFIXES.iter().find_map(|suffix| rest.strip_suffix(suffix)).unwrap_or(rest);
    KernelRelease::new(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("linux-image-amd64", Some("linux-headers-amd64"))]
    #[case("linux-headers-generic-hwe-22.04", Some("linux-headers-generic-hwe-22.04"))]
    #[case("linux-image-rpi-v8", Some("linux-headers-rpi-v8"))]
    #[case("proxmox-default-kernel", Some("proxmox-default-headers"))]
    #[case("proxmox-kernel-6.8", Some("proxmox-headers-6.8"))]
    #[case("linux-image-6.1.0-50-amd64", None)]
    #[case("linux-image-6.9.0", None)]
    #[case("linux-image-unsigned-6.8.0-31-generic", None)]
    #[case("proxmox-kernel-helper", None)]
    #[case("pve-kernel-helper", None)]
    #[case("bash", None)]
    fn packages_that_follow_kernels_have_headers_beside_them(
        #[case] name: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(headers_follower(name).as_deref(), expected);
    }

    #[rstest]
    #[case("linux-headers-6.1.0-56-amd64", "amd64", Some("6.1.0-56-amd64"))]
    #[case("linux-headers-6.1.0-56-common", "all", None)]
    #[case("linux-headers-6.8.0-31", "all", None)]
    #[case("linux-headers-6.8.0-31-generic", "amd64", Some("6.8.0-31-generic"))]
    #[case("proxmox-headers-6.8.4-2-pve", "amd64", Some("6.8.4-2-pve"))]
    #[case("linux-headers-6.9.0", "amd64", Some("6.9.0"))]
    #[case("linux-headers-amd64", "amd64", None)]
    #[case("linux-headers-6.1.0-9-all-amd64", "amd64", None)]
    #[case("linux-headers-6.1.0-9-all", "amd64", None)]
    #[case("linux-headers-6.8.0-31-allwinner", "riscv64", Some("6.8.0-31-allwinner"))]
    #[case("linux-kbuild-6.1", "amd64", None)]
    fn headers_name_their_kernel(#[case] name: &str, #[case] arch: &str, #[case] expected: Option<&str>) {
        assert_eq!(headers_of(name, arch).map(|release| release.to_string()).as_deref(), expected);
    }

    #[rstest]
    #[case("linux-image-6.1.0-56-amd64", Some("6.1.0-56-amd64"))]
    #[case("linux-image-unsigned-6.8.0-31-generic", Some("6.8.0-31-generic"))]
    #[case("linux-image-6.1.0-56-amd64-unsigned", Some("6.1.0-56-amd64"))]
    #[case("linux-image-6.1.0-56-amd64-dbg", None)]
    #[case("linux-image-unsigned-6.8.0-31-generic-dbgsym", None)]
    #[case("linux-image-6.9.0", Some("6.9.0"))]
    #[case("proxmox-kernel-6.8", None)]
    #[case("proxmox-kernel-6.8.4-2-pve-signed", Some("6.8.4-2-pve"))]
    #[case("linux-image-amd64", None)]
    fn image_names_its_kernel(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(image_of(name).map(|release| release.to_string()).as_deref(), expected);
    }

    #[rstest]
    #[case("linux-headers-6.1.0-56-common", true)]
    #[case("linux-kbuild-6.1", true)]
    #[case("linux-hwe-6.8-headers-6.8.0-40", true)]
    #[case("linux-headers-amd64", false)]
    #[case("linux-image-6.1.0-56-amd64", false)]
    fn packages_with_headers_are_known(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(has_headers(name), expected);
    }
}
