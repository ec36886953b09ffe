//! The usage text. Installers look for `--no-depmod` in it, delimited by blanks or brackets.

use super::Action;
use std::fmt::Write;

const OPTIONS: [(&str, &str); 31] = [
    ("-m, --module M[/V]", "the package, with or without its version"),
    ("-v V", "the package's version"),
    ("-k, --kernelver K[/A]", "a kernel release, by default the running one; repeatable"),
    ("-a, --arch A", "an architecture, by default the machine's; repeatable"),
    (
        "--all",
        "all kernels the package is built for (uninstall, unbuild, remove, mktarball, mkdeb, mkbmdeb, mkrpm)",
    ),
    ("--all-kernels", "every kernel that could be booted (check)"),
    ("--full", "read every file, and list the initramfs (check)"),
    ("--repair", "repair what is found (fsck)"),
    ("--force", "rebuild or reinstall, overriding safety checks"),
    ("--force-version-override", "install over a newer module of the kernel"),
    ("--force-vermagic", "take a module that names another kernel release"),
    ("-j N", "compile jobs; 0 means no limit"),
    ("-c FILE", "a dkms.conf to read in place of the package's own"),
    ("--directive NAME=VALUE", "override a directive of dkms.conf; repeatable"),
    ("--config FILE", "the kernel's configuration"),
    ("--kernelsourcedir DIR", "the kernel's build directory"),
    ("--dkmstree DIR", "the DKMS tree, by default /var/lib/dkms"),
    ("--sourcetree DIR", "where sources are, by default /usr/src"),
    ("--installtree DIR", "where kernels have modules, by default /lib/modules"),
    ("--templatekernel K", "the kernel to copy from (match)"),
    ("--archive FILE", "a tarball to write or to load"),
    ("--binaries-only, --source-only", "what a tarball holds"),
    ("--no-depmod", "do not run depmod"),
    ("--modprobe-on-install", "load modules for the devices of the running kernel"),
    ("--symlink-modules", "install links into the DKMS tree"),
    ("--rpm_safe_upgrade", "called from the scriptlets of an rpm package"),
    ("--format text|legacy|json", "how status (legacy: as dkms 2), conf and check (text, json) print"),
    ("--verbose, -q, --quiet", "print more, or nothing"),
    ("--debug", "ignored"),
    ("-V, --version", "print the version"),
    ("-h, --help", "show this help"),
];

/// What `--help` prints.
#[must_use]
pub(crate) fn usage() -> String {
    let mut text = String::from(
        "Usage: dkms [action] [options] [module/version | directory | dkms.conf | tarball]\n\nActions:\n",
    );
    let actions: Vec<&str> = Action::all().collect();
    for line in actions.chunks(8) {
        let _ = writeln!(text, "  {}", line.join("  "));
    }
    text.push_str("\nOptions:\n");
    for (option, meaning) in OPTIONS {
        let _ = writeln!(text, "  [ {option} ]\n        {meaning}");
    }
    text.push_str("\nSee dkms(8).");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installers_find_the_option_they_look_for() {
        assert!(usage().contains(" --no-depmod "));
    }
}
