//! What Debian, Ubuntu, Proxmox VE and Raspberry Pi OS call the packages of a kernel and of its headers.

use crate::model::KernelRelease;

/// Packages that follow each new kernel (metapackages): the image's, and the headers' beside it.
const FOLLOWERS: [(&str, &str); 5] = [
    ("linux-image-", "linux-headers-"),
    ("proxmox-default-kernel", "proxmox-default-headers"),
    ("proxmox-kernel-", "proxmox-headers-"),
    ("pve-kernel-", "pve-headers-"),
    ("raspberrypi-kernel", "raspberrypi-kernel-headers"),
];
/// What is compiled with the headers, and is needed with them.
const TOOLS: [&str; 2] = ["linux-kbuild-", "linux-compiler-"];
/// Behind the release, in the names of images.
const IMAGE_SUFFIXES: [&str; 2] = ["-unsigned", "-signed"];

/// The package of headers that follows new kernels, where `name` is one that does, of images or of headers.
#[must_use]
pub(crate) fn headers_follower(name: &str) -> Option<String> {
    FOLLOWERS.iter().find_map(|(image, headers)| {
        let rest = name.strip_prefix(headers).or_else(|| name.strip_prefix(image))?;
        is_follower(rest).then(|| format!("{headers}{rest}"))
    })
}

/// Whether what stands behind the prefix names a line of kernels: `amd64`, `generic-hwe-22.04`, `6.8`, and not one kernel.
fn is_follower(rest: &str) -> bool {
    let is_line = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    !rest.starts_with(|c: char| c.is_ascii_digit()) || is_line(rest)
}

/// Whether a package holds headers, or what is needed with them.
#[must_use]
pub(crate) fn is_part_of_headers(name: &str) -> bool {
    let headers = FOLLOWERS.iter().map(|(_, headers)| *headers);
    headers.chain(TOOLS).any(|prefix| name.starts_with(prefix))
}

/// The kernel that a package has the headers of; headers for several kernels are of the architecture `all`.
#[must_use]
pub(crate) fn headers_of(name: &str, arch: &str) -> Option<KernelRelease> {
    let rest = FOLLOWERS.iter().find_map(|(_, headers)| name.strip_prefix(headers))?;
    KernelRelease::new(rest).ok().filter(|_| arch != "all" && !is_follower(rest))
}

/// The kernel that a package has the image of.
#[must_use]
pub(crate) fn image_of(name: &str) -> Option<KernelRelease> {
    let rest = FOLLOWERS.iter().find_map(|(image, _)| name.strip_prefix(image))?;
    let rest = rest.strip_prefix("unsigned-").unwrap_or(rest);
    let rest = IMAGE_SUFFIXES.iter().find_map(|suffix| rest.strip_suffix(suffix)).unwrap_or(rest);
    KernelRelease::new(rest).ok().filter(|_| !is_follower(rest) && !rest.ends_with("-dbg"))
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
    #[case("linux-headers-amd64", "amd64", None)]
    #[case("linux-kbuild-6.1", "amd64", None)]
    fn headers_name_their_kernel(#[case] name: &str, #[case] arch: &str, #[case] expected: Option<&str>) {
        assert_eq!(headers_of(name, arch).map(|release| release.to_string()).as_deref(), expected);
    }

    #[rstest]
    #[case("linux-image-6.1.0-56-amd64", Some("6.1.0-56-amd64"))]
    #[case("linux-image-unsigned-6.8.0-31-generic", Some("6.8.0-31-generic"))]
    #[case("linux-image-6.1.0-56-amd64-unsigned", Some("6.1.0-56-amd64"))]
    #[case("linux-image-6.1.0-56-amd64-dbg", None)]
    #[case("proxmox-kernel-6.8.4-2-pve-signed", Some("6.8.4-2-pve"))]
    #[case("linux-image-amd64", None)]
    fn image_names_its_kernel(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(image_of(name).map(|release| release.to_string()).as_deref(), expected);
    }

    #[rstest]
    #[case("linux-headers-6.1.0-56-common", true)]
    #[case("linux-kbuild-6.1", true)]
    #[case("linux-image-6.1.0-56-amd64", false)]
    fn parts_of_headers_are_known(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_part_of_headers(name), expected);
    }
}
