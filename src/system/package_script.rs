//! Scripts of packages that this process runs below.
//!
//! Sources: deb-prerm(5), its arguments; rpm-scriptlets(7), the number of packages that are left.

use super::ancestors::ancestors;

/// Why a package's script takes something away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageScript {
    /// A version of the package follows: dpkg removes the old one first.
    Upgrade,
    /// A version of the package came before: rpm removes the old one last.
    Cleanup,
    /// Another package follows, which may have the same driver.
    InFavour,
    /// The package goes.
    Removal,
}

/// The script that runs this process; `None` where none does, or one that takes nothing away.
#[must_use]
pub(crate) fn package_script() -> Option<PackageScript> {
    ancestors().find_map(|process| {
        let line = fs_err::read(format!("/proc/{}/cmdline", process.pid)).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        from_words(&line.split('\0').collect::<Vec<_>>())
    })
}

fn from_words(words: &[&str]) -> Option<PackageScript> {
    (0..words.len()).find_map(|at| match words[at..] {
        [script, argument, ref more @ ..] if is_removal_script(script) => {
            match (argument, more) {
                // A package that is deconfigured mostly comes back.
                ("upgrade" | "failed-upgrade" | "deconfigure", _) => Some(PackageScript::Upgrade),
                ("remove", ["in-favour", ..]) => Some(PackageScript::InFavour),
                ("remove" | "purge", _) => Some(PackageScript::Removal),
                _ => None,
            }
        }
        [script, left, ..] if script.starts_with("/var/tmp/rpm-tmp.") => match left {
            "0" => Some(PackageScript::Removal),
            _ if left.parse::<u32>().is_ok() => Some(PackageScript::Cleanup),
            _ => None,
        },
        _ => None,
    })
}

/// Scripts of kernels remove what is built for them, which is no driver package's going.
fn is_removal_script(path: &str) -> bool {
    let is_of_kernel = path.rsplit('/').next().is_some_and(|name| name.starts_with("linux-"));
    let is_named = |name: &str| path.strip_suffix(name).is_some_and(|start| start.ends_with(['.', '/']));
    !is_of_kernel && ["prerm", "postrm"].into_iter().any(is_named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::upgrade(&["/bin/sh", "/var/lib/dpkg/info/x-dkms.prerm", "upgrade", "2.0-1"], Some(PackageScript::Upgrade))]
    #[case::new_scripts_upgrade(&["/bin/sh", "-e", "/var/lib/dpkg/tmp.ci/prerm", "failed-upgrade", "1"], Some(PackageScript::Upgrade))]
    #[case::removal(&["/bin/bash", "/var/lib/dpkg/info/x-dkms.prerm", "remove"], Some(PackageScript::Removal))]
    #[case::for_another_package(&["/bin/sh", "/var/lib/dpkg/info/x-dkms.prerm", "deconfigure", "in-favour", "y"], Some(PackageScript::Upgrade))]
    #[case::by_another_package(&["/bin/sh", "/var/lib/dpkg/info/x-dkms.prerm", "remove", "in-favour", "y", "2"], Some(PackageScript::InFavour))]
    #[case::after_removal(&["/bin/sh", "/var/lib/dpkg/info/x-dkms.postrm", "purge"], Some(PackageScript::Removal))]
    #[case::of_kernel(&["/bin/sh", "/var/lib/dpkg/info/linux-image-6.1.0-1-amd64.prerm", "remove"], None)]
    #[case::configuration(&["/bin/sh", "/var/lib/dpkg/info/x-dkms.postinst", "configure", "1"], None)]
    #[case::rpm_upgrade(&["/bin/sh", "/var/tmp/rpm-tmp.XkzQ4v", "1"], Some(PackageScript::Cleanup))]
    #[case::rpm_removal(&["/bin/sh", "/var/tmp/rpm-tmp.XkzQ4v", "0"], Some(PackageScript::Removal))]
    #[case::another_program(&["vi", "x.prerm"], None)]
    fn script_is_known_by_its_arguments(#[case] words: &[&str], #[case] expected: Option<PackageScript>) {
        assert_eq!(from_words(words), expected);
    }
}
