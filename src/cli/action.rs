//! The actions, each defined once: the parser, the help, the manual page and the completions read this table.

use crate::plan::request::PackageForm;

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Add,
    Remove,
    Build,
    Unbuild,
    Install,
    Uninstall,
    Match,
    Autoinstall,
    Mktarball,
    Ldtarball,
    /// Ours: what is built as an extension of the system.
    Mksysext,
    /// mkdeb, mkbmdeb, mkdsc, mkrpm.
    MakePackage(PackageForm),
    Status,
    GenerateMok,
    KernelPreinst,
    KernelPostinst,
    KernelPrerm,
    /// Ours: what a dkms.conf says.
    Conf,
    /// Ours: whether the next boot is complete.
    Check,
    /// Ours: whether the tree is consistent.
    Fsck,
    /// Ours: what autoinstall would do with a package, and why.
    Why,
    /// Ours: the log of a build.
    Log,
    /// Ours: what was built and installed when, and how that ended.
    History,
    /// Ours: what is wrong with a dkms.conf.
    Lint,
    /// Ours: whether packages build for a kernel that is not here yet.
    Preflight,
    /// Ours: leaves a package alone, or no longer.
    Disable,
    Enable,
    /// Ours: goes back to an older version.
    Rollback,
    /// Ours: explains one action.
    Help,
    /// Made packages in old versions; the word is kept so that callers see a failure.
    Removed(&'static str),
}

/// What an action works on, for the help and the completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    Nothing,
    /// A package of the tree.
    Package,
    /// A package of the tree or of the source tree, a directory, a dkms.conf or a tarball.
    Source,
    /// A package of the tree or of the source tree, a directory or a dkms.conf.
    Conf,
    Tarball,
    /// A package by its name alone, or with a version.
    Name,
    /// A package by its name alone.
    BareName,
    /// Packages of a kernel's headers, or directories with headers; any number.
    Headers,
    Action,
}

/// One action: its word and what people read about it.
#[derive(Debug)]
pub(crate) struct ActionSpec {
    pub word: &'static str,
    pub action: Action,
    pub operand: Operand,
    /// Whether the help gives it a line of its own.
    pub is_common: bool,
    /// A few words for the help and the completions.
    pub summary: &'static str,
    /// Paragraphs for `dkms help ACTION` and dkms(8).
    pub manual: &'static str,
    pub example: &'static str,
}

/// Every action in the order of the manual page.
pub(crate) const ACTIONS: [ActionSpec; 32] = [
    ActionSpec {
        word: "add",
        action: Action::Add,
        operand: Operand::Source,
        is_common: true,
        summary: "register a package",
        manual: "Registers a package. A directory or tarball is copied into the source tree first.",
        example: "dkms add ./hello-0.1",
    },
    ActionSpec {
        word: "build",
        action: Action::Build,
        operand: Operand::Source,
        is_common: true,
        summary: "compile it for a kernel, adding it first if needed",
        manual: "Compiles a package for a kernel, adding it first if needed. An existing build that is up to date is kept unless --force is \
                 given. An installed build is replaced only by one that succeeded.",
        example: "dkms build hello/0.1 -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "install",
        action: Action::Install,
        operand: Operand::Source,
        is_common: true,
        summary: "install it for a kernel, building it first if needed",
        manual: "Installs a package for a kernel, building it first if needed. Modules of the kernel that it replaces are kept in \
                 the tree and come back when it is uninstalled. A registered package can be given by its name alone; of several \
                 versions the newest is taken. What is stale is rebuilt.",
        example: "dkms install hello/0.1",
    },
    ActionSpec {
        word: "uninstall",
        action: Action::Uninstall,
        operand: Operand::Package,
        is_common: true,
        summary: "remove its modules from a kernel, keeping the build",
        manual: "Removes the modules of a package from a kernel. The build stays.",
        example: "dkms uninstall hello/0.1 --all",
    },
    ActionSpec {
        word: "unbuild",
        action: Action::Unbuild,
        operand: Operand::Package,
        is_common: false,
        summary: "remove its build as well, keeping it registered",
        manual: "Removes the build as well. The package stays registered.",
        example: "dkms unbuild hello/0.1 -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "remove",
        action: Action::Remove,
        operand: Operand::Package,
        is_common: true,
        summary: "remove it for a kernel, or with --all altogether",
        manual: "Removes a package for a kernel, or with --all altogether. The source is never deleted.",
        example: "dkms remove hello/0.1 --all",
    },
    ActionSpec {
        word: "status",
        action: Action::Status,
        operand: Operand::Package,
        is_common: true,
        summary: "list packages and their builds",
        manual: "Lists packages and their builds. The states are added, built, installed, installed-weak (a kernel uses the \
                 modules of another one) and broken (the source is gone). It runs no program, takes no lock, and exits with 0.",
        example: "dkms status -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "autoinstall",
        action: Action::Autoinstall,
        operand: Operand::Nothing,
        is_common: true,
        summary: "install every AUTOINSTALL=yes package for a kernel",
        manual: "Installs, for one kernel, of every package that says AUTOINSTALL=yes the newest version that wants the kernel, builds \
                 and is not disabled. An installed package is \
                 rebuilt if its source, its configuration, the kernel's headers or compiler, or a package that it was built with \
                 has changed; the old module stays until the new one is ready. A damaged file is installed again. A build that \
                 failed is not retried until one of its inputs changes, --force is given, or it is built by name.",
        example: "dkms autoinstall -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "check",
        action: Action::Check,
        operand: Operand::Name,
        is_common: true,
        summary: "report what would be missing after the next boot",
        manual: "Reports whether the next boot is complete. It looks at the running kernel and the newest one, or those given by -k, \
                 and names each package and module that should be installed and is not, is stale, is damaged, is not found by \
                 modprobe(8), would be refused for lack of a signature, or is missing or older in the initramfs, with the command \
                 that fixes it. The exit status is 0 if all is well, else 1. It changes nothing, takes no lock, and works for every \
                 user.",
        example: "dkms check --all-kernels",
    },
    ActionSpec {
        word: "preflight",
        action: Action::Preflight,
        operand: Operand::Headers,
        is_common: true,
        summary: "build everything for a kernel before it is installed",
        manual: "Reports what a kernel would have that is not installed yet. Its headers are given as packages (.deb, .rpm, \
                 .pkg.tar.zst), all that they need with them, or as a directory; with --next they are those that apt would \
                 install with the next upgrade, and with -k alone those that are installed. Every package that says \
                 AUTOINSTALL=yes is built, with the headers shown at their places to its build alone. The builds wait in \
                 <tree>/.preflight, and are used instead of compiling if the kernel comes within 30 days with the same headers; \
                 besides these and the history nothing of the machine changes. The exit status is 0 if no package that the \
                 running kernel has would be lost, else 1.",
        example: "dkms preflight linux-headers-6.1.0-56-*.deb",
    },
    ActionSpec {
        word: "fsck",
        action: Action::Fsck,
        operand: Operand::Nothing,
        is_common: false,
        summary: "find and repair inconsistencies of the tree",
        manual: "Reports whether the tree is consistent. It finds missing sources, links without builds and builds without links, \
                 modules and originals without a package, installations for kernels that are gone, unreadable records, and \
                 leftovers of killed processes. With --repair it fixes them: a module that works stays, and one without a package \
                 is set aside beside its place. The exit status is 0 if nothing is wrong, or no longer is, else 1.",
        example: "dkms fsck --repair",
    },
    ActionSpec {
        word: "conf",
        action: Action::Conf,
        operand: Operand::Conf,
        is_common: false,
        summary: "print how a dkms.conf is understood",
        manual: "Prints how a dkms.conf is understood, and which file each value comes from.",
        example: "dkms conf ./hello-0.1 --format json",
    },
    ActionSpec {
        word: "why",
        action: Action::Why,
        operand: Operand::Package,
        is_common: false,
        summary: "say what autoinstall would do with a package, and why",
        manual: "Says what autoinstall would do with a package for a kernel, and why: whether it is up to date, would be built, \
                 skipped or kept from it. It changes nothing.",
        example: "dkms why hello -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "log",
        action: Action::Log,
        operand: Operand::Package,
        is_common: true,
        summary: "print the log of a build, or list all logs",
        manual: "Prints the newest log of a package's builds; of a build that failed, the log stays until the next build for that \
                 kernel. With --follow it prints what a running build writes until that ends. Without a package it lists the \
                 logs, the newest last.",
        example: "dkms log hello -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "history",
        action: Action::History,
        operand: Operand::Package,
        is_common: false,
        summary: "list what was built and installed, when and why",
        manual: "Lists every attempt to build or install: when it began, what set it off, the package and kernel, how it ended and \
                 how long it took. It is read from /var/log/dkms/history.jsonl, which keeps some thousand attempts.",
        example: "dkms history hello",
    },
    ActionSpec {
        word: "lint",
        action: Action::Lint,
        operand: Operand::Conf,
        is_common: false,
        summary: "find mistakes in a dkms.conf",
        manual: "Finds mistakes in a dkms.conf and its package: unknown directives, values that are lost or deprecated, a MAKE that \
                 builds for the running kernel, missing scripts and patches, names that mkdeb would refuse. Nothing is built; a \
                 dkms.conf that needs bash is evaluated by it, as always. The exit status is 0 if there are at most hints, else 1.",
        example: "dkms lint ./hello-0.1",
    },
    ActionSpec {
        word: "disable",
        action: Action::Disable,
        operand: Operand::Name,
        is_common: false,
        summary: "leave a package alone on some kernels, or on all",
        manual: "Leaves a package alone, on the kernel -k or those that a shell wildcard matches, or on all: autoinstall, the hooks, \
                 the boot and the package manager no longer build, install, repair or update it there, also in newer versions. What \
                 is installed stays until it is uninstalled; build and install by name still work. --reason is shown by \
                 status, why and check. The list is /etc/dkms/disabled; disabled=\"yes\", or kernels in its place, and \
                 disabled_reason in /etc/dkms/<package>.conf do the same.",
        example: "dkms disable rtl8812au -k '6.1.*-rt-*' --reason 'needs no rt'",
    },
    ActionSpec {
        word: "enable",
        action: Action::Enable,
        operand: Operand::Name,
        is_common: false,
        summary: "manage a disabled package again",
        manual: "Ends what disable did: for the kernels -k, as they were given there, or without -k for all. What is pending then is \
                 installed by the next trigger, or by autoinstall.",
        example: "dkms enable rtl8812au",
    },
    ActionSpec {
        word: "rollback",
        action: Action::Rollback,
        operand: Operand::BareName,
        is_common: false,
        summary: "install the next older version, and keep it",
        manual: "Installs, in the place of the installed version of a package, the newest older one that is registered or kept \
                 from an upgrade (keep_versions in framework.conf): for the \
                 kernel -k, or for every kernel that has the package. The version that is left is disabled there, so that it does \
                 not come back; a newer one is taken when it comes. dkms enable ends that.",
        example: "dkms rollback nvidia -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "match",
        action: Action::Match,
        operand: Operand::Nothing,
        is_common: false,
        summary: "install what another kernel has",
        manual: "Installs the packages that the kernel --templatekernel has for another kernel.",
        example: "dkms match --templatekernel 6.1.0-49-amd64 -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "mktarball",
        action: Action::Mktarball,
        operand: Operand::Package,
        is_common: false,
        summary: "pack a package with its builds",
        manual: "Packs a package with its builds into a tarball.",
        example: "dkms mktarball hello/0.1 --archive hello.tar.gz",
    },
    ActionSpec {
        word: "ldtarball",
        action: Action::Ldtarball,
        operand: Operand::Tarball,
        is_common: false,
        summary: "load such a tarball",
        manual: "Loads a tarball of mktarball. One that would write anywhere else is refused as a whole.",
        example: "dkms ldtarball hello.tar.gz",
    },
    ActionSpec {
        word: "mkdeb",
        action: Action::MakePackage(PackageForm::Deb),
        operand: Operand::Package,
        is_common: false,
        summary: "make a Debian package of source and builds",
        manual: "Makes a Debian package of a package: its source, and what is built for the kernels given by -k or for all. A machine \
                 that installs it uses these builds without compiling if they were made from the same source, kernel configuration \
                 and symbols as it has; else it compiles. The package works with every dkms of Debian. The result is in \
                 <tree>/M/V/deb. A directory <M>-dkms-mkdeb in the source, or /etc/dkms/template-dkms-mkdeb, is a template for \
                 dpkg-buildpackage(1) in place of ours: in its files MODULE_NAME, MODULE_VERSION, DEBIAN_PACKAGE, \
                 DEBIAN_BUILD_ARCH, KERNEL_VERSION and DATE_STAMP are replaced. DEBFULLNAME and DEBEMAIL name the maintainer. \
                 The same inputs give the same package, here and in the next three actions; everything in it has the time of \
                 SOURCE_DATE_EPOCH.",
        example: "dkms mkdeb hello/0.1 -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "mkbmdeb",
        action: Action::MakePackage(PackageForm::ModulesDeb),
        operand: Operand::Package,
        is_common: false,
        summary: "make a Debian package of modules for each kernel",
        manual: "Makes, for each kernel, a Debian package <M>-modules-<kernel> of its modules, which needs neither dkms nor headers \
                 nor a compiler. The result is in <tree>/M/V/bmdeb.",
        example: "dkms mkbmdeb hello/0.1",
    },
    ActionSpec {
        word: "mkdsc",
        action: Action::MakePackage(PackageForm::SourceDeb),
        operand: Operand::Package,
        is_common: false,
        summary: "make a Debian source package",
        manual: "Makes a Debian source package, for dh_dkms(1). The result is in <tree>/M/V/dsc.",
        example: "dkms mkdsc hello/0.1",
    },
    ActionSpec {
        word: "mkrpm",
        action: Action::MakePackage(PackageForm::Rpm),
        operand: Operand::Package,
        is_common: false,
        summary: "make rpm packages of source and modules",
        manual: "Makes an rpm package of the source, and one for each kernel with its modules. The result is in <tree>/M/V/rpm. A \
                 file <M>-dkms-mkrpm.spec in the source, or /etc/dkms/template-dkms-mkrpm.spec, is the spec in place of ours; it \
                 gets the macros module_name, version, kernel_versions, mktarball_line, _dkmsdir, _srcdir and _sourcedir.",
        example: "dkms mkrpm hello/0.1",
    },
    ActionSpec {
        word: "mksysext",
        action: Action::Mksysext,
        operand: Operand::Nothing,
        is_common: false,
        summary: "make a system extension of all built modules",
        manual: "Makes an image for systemd-sysext(8), which brings modules to a system whose /usr is read-only: what is built for the \
                 kernels of -k, or for every kernel that has modules here, with the index that modprobe(8) reads. It warns of \
                 packages that autoinstall would build first. The image is an erofs or a squashfs, dkms.raw in the working \
                 directory unless --archive names another file; its name without .raw is the extension's. It fits this \
                 distribution, in this version. Make it again when a package or a kernel changes.",
        example: "dkms mksysext --archive /var/lib/extensions/dkms.raw",
    },
    ActionSpec {
        word: "generate_mok",
        action: Action::GenerateMok,
        operand: Operand::Nothing,
        is_common: false,
        summary: "make the signing key and its certificate",
        manual: "Makes the key and certificate that modules are signed with, if neither exists.",
        example: "dkms generate_mok",
    },
    ActionSpec {
        word: "kernel_preinst",
        action: Action::KernelPreinst,
        operand: Operand::Nothing,
        is_common: false,
        summary: "what the hook of a kernel package does before it is unpacked",
        manual: "Does what the hook of a kernel package does before the kernel -k is unpacked.",
        example: "dkms kernel_preinst -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "kernel_postinst",
        action: Action::KernelPostinst,
        operand: Operand::Nothing,
        is_common: false,
        summary: "what the hook of a kernel package does after it is installed",
        manual: "Does what the hook of a kernel package does after the kernel -k is installed.",
        example: "dkms kernel_postinst -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "kernel_prerm",
        action: Action::KernelPrerm,
        operand: Operand::Nothing,
        is_common: false,
        summary: "what the hook of a kernel package does before it is removed",
        manual: "Does what the hook of a kernel package does before the kernel -k is removed.",
        example: "dkms kernel_prerm -k 6.1.0-50-amd64",
    },
    ActionSpec {
        word: "help",
        action: Action::Help,
        operand: Operand::Action,
        is_common: false,
        summary: "explain an action",
        manual: "Explains an action: what it does and its options. dkms ACTION --help does the same.",
        example: "dkms help install",
    },
];

/// Actions of old versions, for which there is nothing to say but what replaced them.
const REMOVED: [&str; 2] = ["mkkmp", "mkdriverdisk"];

/// The words of all actions.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|entry| entry.word)
}

impl Action {
    #[must_use]
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let removed = || REMOVED.iter().find(|removed| **removed == word).map(|word| Self::Removed(word));
        ACTIONS.iter().find(|entry| entry.word == word).map(|entry| entry.action).or_else(removed)
    }

    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Removed(word) => word,
            action => action.entry().map_or("", |entry| entry.word),
        }
    }

    /// What people read about it; a removed action has nothing.
    #[must_use]
    pub(crate) fn entry(self) -> Option<&'static ActionSpec> {
        ACTIONS.iter().find(|entry| entry.action == self)
    }

    /// Whether every dkms knows the word: only these cannot name a module once an action is given.
    #[must_use]
    pub(crate) fn is_classic(self) -> bool {
        match self {
            Self::Conf
            | Self::Check
            | Self::Fsck
            | Self::Help
            | Self::History
            | Self::Lint
            | Self::Disable
            | Self::Enable
            | Self::Log
            | Self::Preflight
            | Self::Rollback
            | Self::Why
            | Self::MakePackage(_)
            | Self::Mksysext
            | Self::Removed(_) => false,
            Self::Add
            | Self::Remove
            | Self::Build
            | Self::Unbuild
            | Self::Install
            | Self::Uninstall
            | Self::Match
            | Self::Autoinstall
            | Self::Mktarball
            | Self::Ldtarball
            | Self::Status
            | Self::GenerateMok
            | Self::KernelPreinst
            | Self::KernelPostinst
            | Self::KernelPrerm => true,
        }
    }
}
