//! alpm-hooks(5).

use super::{Upcoming, named_by};
use crate::archive::kernel_package::is_kernel_package;
use crate::model::KernelRelease;
use crate::system::process::Output;
use crate::system::{System, dir};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Reads the paths that pacman gives, and looks for the packages that they are in: among those that it was given by name, and
/// among those that it has downloaded.
///
/// Source: alpm-hooks(5); pacman.conf(5), `CacheDir`.
pub(in crate::hook) fn from_pacman(paths: &str, system: &System) -> Upcoming {
    let mut found = Upcoming { again: "pacman -Syu", ..Upcoming::default() };
    for path in paths.lines().filter_map(|line| line.strip_prefix("usr/lib/modules/")) {
        let Some((release, rest)) = path.split_once('/') else { continue };
        let Ok(release) = KernelRelease::new(release) else { continue };
        match rest.starts_with("build/") {
            true => found.kernels.insert(release),
            false => found.images.insert(release),
        };
    }
    let is_wanted = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let is_package = is_kernel_package(file) && !name.ends_with(".sig");
        is_package && found.kernels.iter().any(|kernel| has_version(&name, version(kernel)))
    };
    found.files =
        named_by(&["pacman"]).into_iter().chain(downloaded_by_pacman(system)).filter(is_wanted).collect();
    // linux-headers-6.9.5.arch1-1-x86_64.pkg.tar.zst: behind the name follow the version, the release and the architecture.
    let name = |file: &PathBuf| Some(file.file_name()?.to_str()?.rsplitn(4, '-').last()?.to_owned());
    let headers: BTreeSet<String> = found.files.iter().filter_map(name).collect();
    let images = headers.iter().filter_map(|name| name.strip_suffix("-headers").map(str::to_owned));
    let held: Vec<String> = images.chain(headers.iter().cloned()).collect();
    let held = if held.is_empty() { "KERNEL,KERNEL-headers".to_owned() } else { held.join(",") };
    found.hold = format!("pacman -Syu --ignore {held}");
    found
}

/// The version that a release begins with: of 6.9.5-arch1-1 it is 6.9.5.
fn version(release: &KernelRelease) -> &str {
    let text = release.as_str();
    &text[..text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len())]
}

/// Whether a package of headers is of this version: linux-headers-6.9.5.arch1-1 of 6.9.5, and not of 6.9.
fn has_version(name: &str, version: &str) -> bool {
    let rest = name.split_once("-headers-").and_then(|(_, rest)| rest.strip_prefix(version));
    rest.is_some_and(|rest| {
        let mut next = rest.chars();
        let is_longer = match next.next() {
            Some('.') => next.next().is_some_and(|c| c.is_ascii_digit()),
            first => first.is_some_and(|c| c.is_ascii_digit()),
        };
        !is_longer
    })
}

fn downloaded_by_pacman(system: &System) -> Vec<PathBuf> {
    let asked = system.command("pacman-conf").arg("CacheDir").stdout(Output::Capture).run();
    let text = asked.map(|outcome| String::from_utf8_lossy(&outcome.stdout).into_owned()).unwrap_or_default();
    let usual = "/var/cache/pacman/pkg".to_owned();
    let dirs = if text.trim().is_empty() { usual } else { text };
    dirs.lines().flat_map(|line| dir::entries(system.path(line))).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("linux-headers-6.9.5.arch1-1-x86_64.pkg.tar.zst", true)]
    #[case("linux-lts-headers-6.9.5-1-x86_64.pkg.tar.zst", true)]
    #[case("linux-headers-6.9.51-1-x86_64.pkg.tar.zst", false)]
    #[case("linux-headers-6.9.5.1-1-x86_64.pkg.tar.zst", false)]
    #[case("linux-6.9.5.arch1-1-x86_64.pkg.tar.zst", false)]
    fn package_of_headers_is_known_by_its_version(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(has_version(name, "6.9.5"), expected);
    }
}
