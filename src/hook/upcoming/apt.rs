//! apt.conf(5), "DPkg::Pre-Install-Pkgs" and its protocol, version 3.

use super::Upcoming;
use crate::kernel::apt_packages::{has_headers, headers_follower, headers_of, image_of};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Reads version 3 of apt's protocol: lines of configuration, an empty line, then one line for each package: its name, the old
/// version, its architecture and multi-arch word, a comparison, the same three of the new one, and the file that is about to be
/// unpacked.
pub(in crate::hook) fn from_apt(text: &str) -> Upcoming {
    let mut found = Upcoming { again: "apt upgrade", ..Upcoming::default() };
    let mut names = BTreeSet::new();
    let mut lines = text.lines();
    let configuration = lines.by_ref().take_while(|line| !line.is_empty());
    let native = configuration.filter_map(|line| line.strip_prefix("APT::Architecture=")).last();
    let native = native.map(str::to_owned);
    for line in lines {
        let words: Vec<&str> = line.splitn(9, ' ').collect();
        let [name, _, _, _, _, _, arch, _, file] = words.as_slice() else { continue };
        // What another architecture's programs run on is none of this machine's kernels.
        let is_foreign = *arch != "all" && native.as_ref().is_some_and(|native| native != arch);
        if !file.starts_with('/') || is_foreign {
            continue;
        }
        let (kernel, image) = (headers_of(name, arch), image_of(name));
        if kernel.is_some() || image.is_some() || headers_follower(name).is_some() {
            names.insert(*name);
        }
        if has_headers(name) {
            found.files.push(PathBuf::from(file));
        }
        found.kernels.extend(kernel);
        found.images.extend(image);
    }
    // What follows new kernels, or else the kernels themselves.
    let followers: BTreeSet<&str> =
        names.iter().copied().filter(|name| headers_follower(name).is_some()).collect();
    let held = if followers.is_empty() { names } else { followers };
    found.hold = format!("apt-mark hold {}", held.into_iter().collect::<Vec<_>>().join(" "));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KernelRelease;

    const TEXT: &str = "VERSION 3\nAPT::Architecture=amd64\n\n\
        linux-kbuild-6.1 6.1.164-1 amd64 foreign < 6.1.170-1 amd64 foreign /var/cache/apt/archives/linux-kbuild-6.1.deb\n\
        linux-headers-6.1.0-56-common - - none < 6.1.170-1 all foreign /var/cache/apt/archives/common.deb\n\
        linux-headers-6.1.0-56-amd64 - - none < 6.1.170-1 amd64 none /var/cache/apt/archives/a file.deb\n\
        linux-image-6.1.0-56-amd64 - - none < 6.1.170-1 amd64 none /var/cache/apt/archives/image.deb\n\
        linux-image-amd64 6.1.164-1 amd64 none < 6.1.170-1 amd64 none /var/cache/apt/archives/meta.deb\n\
        bash 5.2 amd64 foreign < 5.3 amd64 foreign /var/cache/apt/archives/bash.deb\n\
        linux-headers-6.1.0-49-amd64 6.1.160-1 amd64 none > - - none **REMOVE**\n\
        linux-headers-6.1.0-56-amd64 - - none < 6.1.170-1 amd64 none **CONFIGURE**\n";

    #[test]
    fn kernels_of_transaction_are_found() {
        let found = from_apt(TEXT);
        let release = KernelRelease::new("6.1.0-56-amd64").unwrap();
        assert_eq!(found.kernels, BTreeSet::from([release.clone()]));
        assert_eq!(found.images, BTreeSet::from([release]));
        let files: Vec<_> =
            found.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(files, ["linux-kbuild-6.1.deb", "common.deb", "a file.deb"]);
        assert_eq!(found.hold, "apt-mark hold linux-image-amd64");
    }

    #[test]
    fn transaction_without_kernels_is_nothing() {
        for text in ["VERSION 3\n\nbash 1 a f < 2 a f /b.deb\n", "", "\u{0}nonsense\n\nlinux-image-x\n"] {
            let found = from_apt(text);
            assert!(
                found.kernels.is_empty() && found.images.is_empty() && found.files.is_empty(),
                "{found:?}"
            );
        }
    }
}
