//! The options, each defined once: the parser, the help, the manual page and the completions read this table.

use super::action::Action::{self, *};
use super::args::Arguments;
use crate::plan::request::PackageForm;
use std::path::PathBuf;

/// What a value is, for the completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complete {
    Package,
    Version,
    Kernel,
    Arch,
    File,
    Directory,
    /// text and json; for status also legacy.
    Format,
    Anything,
}

/// What an option takes and does.
#[cfg_attr(not(test), expect(dead_code, reason = "the completions are written by a test"))]
#[derive(Debug, Clone, Copy)]
pub(crate) enum OptionKind {
    Switch(fn(&mut Arguments)),
    Value {
        name: &'static str,
        complete: Complete,
        set: fn(&mut Arguments, &str),
    },
    /// Ends the reading of the command line.
    Version,
    Help,
    /// Of old versions: announced, and without effect.
    Deprecated,
    /// The same, with a value or without.
    DeprecatedValue,
}

/// The actions for which an option has a meaning; for the others it is accepted and does nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fits {
    Every,
    Only(&'static [Action]),
}

impl Fits {
    #[must_use]
    pub(crate) fn includes(self, action: Action) -> bool {
        match self {
            Self::Every => true,
            Self::Only(actions) => actions.contains(&action),
        }
    }
}

/// One option: how it is spelled, what it does and what people read about it.
#[cfg_attr(not(test), expect(dead_code, reason = "the completions are written by a test"))]
#[derive(Debug)]
pub(crate) struct OptionSpec {
    pub short: Option<&'static str>,
    pub long: Option<&'static str>,
    pub kind: OptionKind,
    pub fits: Fits,
    /// Whether the help gives it a line of its own.
    pub is_common: bool,
    pub is_repeatable: bool,
    /// A few words for the help and the completions.
    pub summary: &'static str,
    /// What dkms(8) adds to the summary.
    pub manual: &'static str,
}

impl OptionSpec {
    const fn switch(long: &'static str, set: fn(&mut Arguments)) -> Self {
        Self {
            short: None,
            long: Some(long),
            kind: OptionKind::Switch(set),
            fits: Fits::Every,
            is_common: false,
            is_repeatable: false,
            summary: "",
            manual: "",
        }
    }

    const fn value(
        long: Option<&'static str>,
        name: &'static str,
        complete: Complete,
        set: fn(&mut Arguments, &str),
    ) -> Self {
        let kind = OptionKind::Value { name, complete, set };
        Self { kind, long, ..Self::switch("", |_| ()) }
    }

    const fn deprecated(long: &'static str) -> Self {
        Self { kind: OptionKind::Deprecated, ..Self::switch(long, |_| ()) }
    }

    const fn short(self, short: &'static str) -> Self {
        Self { short: Some(short), ..self }
    }

    const fn only(self, actions: &'static [Action]) -> Self {
        Self { fits: Fits::Only(actions), ..self }
    }

    const fn common(self) -> Self {
        Self { is_common: true, ..self }
    }

    const fn repeatable(self) -> Self {
        Self { is_repeatable: true, ..self }
    }

    const fn says(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    const fn adds(self, manual: &'static str) -> Self {
        Self { manual, ..self }
    }

    /// `-k, --kernelver`
    pub(crate) fn spellings(&self) -> impl Iterator<Item = &'static str> {
        self.short.into_iter().chain(self.long)
    }
}

const PACKAGED: &[Action] = &[
    Rollback,
    Add,
    Build,
    Install,
    Uninstall,
    Unbuild,
    Remove,
    Status,
    Check,
    Conf,
    Why,
    Log,
    History,
    Disable,
    Enable,
    Match,
    Mktarball,
    DEB,
    MODULES_DEB,
    SOURCE_DEB,
    RPM,
];
/// Rollback finds the version itself.
const VERSIONED: &[Action] = match PACKAGED {
    [Rollback, rest @ ..] => rest,
    all => all,
};
const OF_A_KERNEL: &[Action] = &[
    Add,
    Build,
    Install,
    Uninstall,
    Unbuild,
    Remove,
    Status,
    Autoinstall,
    Check,
    Conf,
    Why,
    Log,
    History,
    Disable,
    Enable,
    Rollback,
    Match,
    Preflight,
    Mktarball,
    Ldtarball,
    DEB,
    MODULES_DEB,
    RPM,
    Mksysext,
    GenerateMok,
    KernelPreinst,
    KernelPostinst,
    KernelPrerm,
];
const EVALUATING: &[Action] = &[
    Add,
    Build,
    Install,
    Uninstall,
    Unbuild,
    Remove,
    Autoinstall,
    Check,
    Conf,
    Why,
    Lint,
    Match,
    Mktarball,
    Ldtarball,
    DEB,
    MODULES_DEB,
    SOURCE_DEB,
    RPM,
    KernelPreinst,
    KernelPostinst,
    KernelPrerm,
];
const ALL: &[Action] = &[Install, Uninstall, Unbuild, Remove, Mktarball, DEB, MODULES_DEB, RPM];
const FILED: &[Action] = &[Build, Install, Autoinstall, Match, KernelPostinst];
const COMPILING: &[Action] = &[Build, Install, Autoinstall, Match, Preflight, Rollback, KernelPostinst];
const INSTALLING: &[Action] = &[Install, Autoinstall, Match, KernelPostinst];
const INDEXING: &[Action] =
    &[Install, Autoinstall, Match, KernelPostinst, Uninstall, Unbuild, Remove, KernelPreinst, KernelPrerm];
const READING: &[Action] = &[Add, Build, Install, Conf, Mktarball, DEB, MODULES_DEB, SOURCE_DEB, RPM];
const DEB: Action = MakePackage(PackageForm::Deb);
const MODULES_DEB: Action = MakePackage(PackageForm::ModulesDeb);
const SOURCE_DEB: Action = MakePackage(PackageForm::SourceDeb);
const RPM: Action = MakePackage(PackageForm::Rpm);

fn path(value: &str) -> Option<PathBuf> {
    text(value).map(PathBuf::from)
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// Every option in the order of the manual page.
pub(crate) const OPTIONS: [OptionSpec; 42] = [
    OptionSpec::value(Some("--module"), "MODULE[/VERSION]", Complete::Package, |args, value| {
        args.take_module(value);
    })
    .short("-m")
    .only(PACKAGED)
    .common()
    .says("the package, with or without its version"),
    OptionSpec::value(None, "VERSION", Complete::Version, |args, value| {
        args.version = Some(value.to_owned())
    })
    .short("-v")
    .only(VERSIONED)
    .says("the package's version"),
    OptionSpec::value(Some("--kernelver"), "KERNEL[/ARCH]", Complete::Kernel, |args, value| {
        args.take_kernel(value)
    })
    .short("-k")
    .only(OF_A_KERNEL)
    .common()
    .repeatable()
    .says("a kernel release (usually the running one)")
    .adds(
        "Repeatable. Without it disable and enable mean every kernel, rollback every one that has the package.",
    ),
    OptionSpec::value(Some("--arch"), "ARCH", Complete::Arch, |args, value| {
        args.arches.push(value.to_owned())
    })
    .short("-a")
    .only(OF_A_KERNEL)
    .repeatable()
    .says("an architecture (default: the machine's)")
    .adds("Repeatable: one for all kernels, or one for each."),
    OptionSpec::switch("--all", |args| args.all = true)
        .common()
        .only(ALL)
        .says("every kernel concerned")
        .adds("For install every kernel that has headers, else every kernel that the package is built for."),
    OptionSpec::switch("--all-kernels", |args| args.all_kernels = true)
        .only(&[Check])
        .says("every kernel that can be booted"),
    OptionSpec::switch("--full", |args| args.full = true)
        .only(&[Check])
        .says("read every installed file, and list the initramfs")
        .adds("Also says how the builds of this machine are isolated."),
    OptionSpec::switch("--repair", |args| args.repair = true).only(&[Fsck]).says("fix what is found"),
    OptionSpec::switch("--force", |args| args.force = true)
        .common()
        .only(&[Add, Build, Install, Autoinstall, Match, Preflight, Ldtarball, KernelPostinst])
        .says("rebuild or reinstall, overriding safety checks"),
    OptionSpec::switch("--force-version-override", |args| args.force_version_override = true)
        .only(INSTALLING)
        .says("install over a newer module of the kernel"),
    OptionSpec::switch("--force-vermagic", |args| args.force_vermagic = true)
        .only(FILED)
        .says("accept a module built for another kernel release"),
    OptionSpec::value(None, "JOBS", Complete::Anything, |args, value| args.overrides.jobs = text(value))
        .short("-j")
        .only(COMPILING)
        .says("the number of compile jobs; 0 means no limit"),
    OptionSpec::switch("--no-isolation", |args| args.overrides.no_isolation = true)
        .only(COMPILING)
        .says("let the package's programs run as root, this time")
        .adds("See build_isolation in framework.conf."),
    OptionSpec::value(None, "FILE", Complete::File, |args, value| args.conf = path(value))
        .short("-c")
        .only(READING)
        .says("a dkms.conf to read in place of the package's own"),
    OptionSpec::value(Some("--directive"), "NAME=VALUE", Complete::Anything, |args, value| {
        args.take_directive(value);
    })
    .repeatable()
    .only(EVALUATING)
    .says("override a directive of dkms.conf; repeatable")
    .adds("It is stronger than every file."),
    OptionSpec::value(Some("--config"), "FILE", Complete::File, |args, value| {
        args.overrides.kernel_config = path(value);
    })
    .only(EVALUATING)
    .says("the kernel's configuration"),
    OptionSpec::value(Some("--kernelsourcedir"), "DIRECTORY", Complete::Directory, |args, value| {
        args.overrides.kernel_source_dir = path(value);
    })
    .only(EVALUATING)
    .says("the kernel's build directory")
    .adds("Without it /lib/modules/<release>/build."),
    OptionSpec::value(Some("--dkmstree"), "DIRECTORY", Complete::Directory, |args, value| {
        args.overrides.dkms_tree = path(value);
    })
    .says("the DKMS tree, by default /var/lib/dkms"),
    OptionSpec::value(Some("--sourcetree"), "DIRECTORY", Complete::Directory, |args, value| {
        args.overrides.source_tree = path(value);
    })
    .says("where sources are, by default /usr/src"),
    OptionSpec::value(Some("--installtree"), "DIRECTORY", Complete::Directory, |args, value| {
        args.overrides.install_tree = path(value);
    })
    .says("where kernels have their modules, by default /lib/modules"),
    OptionSpec::value(Some("--templatekernel"), "KERNEL", Complete::Kernel, |args, value| {
        args.template_kernel = text(value);
    })
    .only(&[Match])
    .says("the kernel to copy from"),
    OptionSpec::value(Some("--archive"), "FILE", Complete::File, |args, value| args.archive = path(value))
        .only(&[Mktarball, Ldtarball, Mksysext])
        .says("the tarball to write or to load, or the image to write")
        .adds("A tarball's name selects the compression when it is written; its content when it is loaded."),
    OptionSpec::switch("--binaries-only", |args| args.binaries_only = true)
        .only(&[Mktarball, DEB, RPM])
        .says("pack the builds without the source"),
    OptionSpec::switch("--source-only", |args| args.source_only = true)
        .only(&[Mktarball, DEB, RPM])
        .says("pack the source without the builds"),
    OptionSpec::switch("--no-depmod", |args| args.overrides.no_depmod = true)
        .only(INDEXING)
        .says("do not run depmod(8)"),
    OptionSpec::switch("--modprobe-on-install", |args| args.overrides.modprobe_on_install = true)
        .only(INSTALLING)
        .says("load modules for the devices of the running kernel"),
    OptionSpec::switch("--symlink-modules", |args| args.overrides.symlink_modules = true)
        .only(INSTALLING)
        .says("install links into the DKMS tree instead of copies"),
    OptionSpec::switch("--rpm_safe_upgrade", |args| args.rpm_safe_upgrade = true)
        .only(&[Add, Build, Install, Remove])
        .says("called from the scriptlets of an rpm package"),
    OptionSpec::value(
        Some("--format"),
        "FORMAT",
        Complete::Format,
        |args, value| {
            args.format = Some(value.to_owned());
        },
    )
    .only(&[Status, Conf, Check, Preflight, History, Lint, Install, Autoinstall])
    .says("print as text or json; status also as legacy, the lines of dkms 2")
    .adds(
        "For install and autoinstall, json tells what became of each package, and whether anything changed.",
    ),
    OptionSpec::switch("--follow", |args| args.follow = true)
        .short("-f")
        .only(&[Log])
        .says("print what a running build writes, until it ends"),
    OptionSpec::switch("--dry-run", |args| args.dry_run = true)
        .only(&[Add, Build, Install, Uninstall, Unbuild, Remove, Autoinstall])
        .says("print what would be done and why, and do nothing"),
    OptionSpec::switch("--next", |args| args.next = true)
        .only(&[Preflight])
        .says("the kernel that apt would install with the next upgrade")
        .adds("Its header packages are downloaded to a place of their own."),
    OptionSpec::value(Some("--reason"), "TEXT", Complete::Anything, |args, value| args.reason = text(value))
        .only(&[Disable])
        .says("the reason, shown by status, why and check"),
    OptionSpec::switch("--verbose", |args| args.overrides.verbose = true).says("print commands and details"),
    OptionSpec::switch("--quiet", |args| args.quiet = true).short("-q").says("print nothing"),
    OptionSpec::switch("--debug", |_| ()).says("accepted without effect"),
    OptionSpec { kind: OptionKind::Version, ..OptionSpec::switch("--version", |_| ()) }
        .short("-V")
        .says("print the version"),
    OptionSpec { kind: OptionKind::Help, ..OptionSpec::switch("--help", |_| ()) }
        .short("-h")
        .says("print the help; after an action, the help of that action"),
    OptionSpec::deprecated("--no-initrd"),
    OptionSpec::deprecated("--no-clean-kernel"),
    OptionSpec::deprecated("--no-prepare-kernel"),
    OptionSpec { kind: OptionKind::DeprecatedValue, ..OptionSpec::switch("--legacy-postinst", |_| ()) },
];

/// The spellings of all options.
pub(crate) fn spellings() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().flat_map(OptionSpec::spellings)
}

/// The option that a word of the command line names. Long options with a value are recognised by their leading text
/// (`--kernelverfoo=1`), the longest that fits; the others as a whole.
#[must_use]
pub(crate) fn find(word: &str) -> Option<&'static OptionSpec> {
    let is_named = |entry: &OptionSpec| match entry.kind {
        OptionKind::DeprecatedValue => entry.long == word.split('=').next(),
        _ => entry.spellings().any(|spelling| spelling == word),
    };
    let begins = |entry: &&OptionSpec| {
        matches!(entry.kind, OptionKind::Value { .. })
            && entry.long.is_some_and(|long| word.starts_with(long))
    };
    let by_leading_text = || OPTIONS.iter().filter(begins).max_by_key(|entry| entry.long.map(str::len));
    OPTIONS.iter().find(|entry| is_named(entry)).or_else(by_leading_text)
}
