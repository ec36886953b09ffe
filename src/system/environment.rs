//! The environment of every program that we start: the caller's, without what would make a shell, make, kbuild or a compiler
//! do something else than intended.

use std::collections::BTreeMap;

/// Variables by name. Names and values that are not UTF-8 are left out.
pub(crate) type Environment = BTreeMap<String, String>;

/// What must not reach a build, a script or a dkms.conf. `*` stands for any ending.
///
/// Sources: bash(1), "Shell Variables"; the GNU make manual, "Variables Used by Implicit Rules" and "Communicating Options to a
/// Sub-make"; the kernel's Documentation/kbuild/kbuild.rst and llvm.rst; gcc(1), "Environment variables affecting GCC".
const WITHHELD: [&str; 84] = [
    // bash reads other files, changes its rules, or has other commands.
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "BASH_COMPAT",
    "BASH_FUNC_*",
    "BASH_XTRACEFD",
    "POSIXLY_CORRECT",
    "CDPATH",
    "GLOBIGNORE",
    "EXECIGNORE",
    "IFS",
    "PS4",
    // make reads other files or has other options; an outer make leaves some of them.
    "MAKEFILES",
    "MAKEFLAGS",
    "GNUMAKEFLAGS",
    "MFLAGS",
    "MAKE",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "MAKE_COMMAND",
    "MAKE_HOST",
    "MAKE_RESTARTS",
    "MAKE_TERMOUT",
    "MAKE_TERMERR",
    "MAKESHELL",
    "sub_make_done",
    // kbuild builds for another machine, elsewhere, with other tools or flags.
    "ARCH",
    "SUBARCH",
    "SRCARCH",
    "UTS_MACHINE",
    "CROSS_COMPILE*",
    "LLVM",
    "LLVM_IAS",
    "KBUILD_*",
    "KCONFIG_*",
    "KERNELRELEASE",
    "KERNELVERSION",
    "INSTALL_PATH",
    "INSTALL_HDR_PATH",
    "INSTALL_MOD_*",
    "INSTALL_DTBS_PATH",
    "MODLIB",
    "M",
    "O",
    "V",
    "W",
    "C",
    "CF",
    "CHECK",
    "KCFLAGS",
    "KAFLAGS",
    "KCPPFLAGS",
    "KRUSTFLAGS",
    "CFLAGS*",
    "AFLAGS*",
    "LDFLAGS*",
    "CXXFLAGS",
    "CPPFLAGS",
    "HOST*FLAGS",
    "HOSTCC",
    "HOSTCXX",
    "HOSTLD",
    "CC",
    "CXX",
    "CPP",
    "AS",
    "AR",
    "NM",
    "STRIP",
    "OBJCOPY",
    "OBJDUMP",
    "READELF",
    "PAHOLE",
    // compilers find other programs, headers and libraries, or write more files.
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "SUNPRO_DEPENDENCIES",
    "GCC_COMPARE_DEBUG",
    "CCC_OVERRIDE_OPTIONS",
];

/// Withheld by its beginning, and wanted all the same: the password of a signing key.
const EXCEPTION: &str = "KBUILD_SIGN_PIN";

/// Variables that are not meant for one program.
const GENERAL: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "SHELL",
    "DEB*",
    "DPKG_*",
    "DKMS_*",
    "KBUILD_SIGN_PIN",
];

/// Whether a variable of the caller is kept from programs.
#[must_use]
pub(crate) fn is_withheld(name: &str) -> bool {
    name != EXCEPTION && WITHHELD.iter().any(|pattern| fits(name, pattern))
}

/// Whether a variable is for every program: the only ones that pass where the caller's are meant for its own.
#[must_use]
pub(crate) fn is_general(name: &str) -> bool {
    GENERAL.iter().any(|pattern| fits(name, pattern))
}

fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => name == pattern,
    }
}

/// A search path in which the administrator's programs are found, as cron's and su's are not.
#[must_use]
pub(crate) fn with_sbin(path: &str) -> String {
    let mut dirs: Vec<&str> = path.split(':').filter(|dir| !dir.is_empty()).collect();
    for dir in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    dirs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("BASH_ENV")]
    #[case("BASH_FUNC_make%%")]
    #[case("GNUMAKEFLAGS")]
    #[case("CROSS_COMPILE")]
    #[case("CROSS_COMPILE_COMPAT")]
    #[case("KBUILD_OUTPUT")]
    #[case("LLVM")]
    #[case("CFLAGS_MODULE")]
    #[case("HOSTCFLAGS")]
    #[case("HOST_EXTRACFLAGS")]
    fn variable_that_changes_a_build_is_withheld(#[case] name: &str) {
        assert!(is_withheld(name));
    }

    #[rstest]
    #[case("KBUILD_SIGN_PIN")]
    #[case("KERNEL_CC")]
    #[case("LD")]
    #[case("PATH")]
    #[case("IGNORE_CC_MISMATCH")]
    #[case("http_proxy")]
    fn variable_of_the_caller_passes(#[case] name: &str) {
        assert!(!is_withheld(name));
    }
}
