//! The exit codes, each explained once: the help of an action and dkms(8) read this table.

use super::action::Action::{self, *};
use super::options::Fits;
use crate::plan::request::PackageForm;

/// One exit code.
#[derive(Debug)]
pub(crate) struct ExitSpec {
    pub code: u8,
    /// The actions that can end with it.
    pub fits: Fits,
    pub meaning: &'static str,
}

const LOOKING: &[Action] = &[Check, Fsck, Lint, Log, Preflight];
const BUILDING: &[Action] = &[Build, Install, Match];
const INSTALLING: &[Action] = &[Install, Match];
const READING: &[Action] = &[Add, Build, Install, Match, Conf, Lint];
const OF_A_PACKAGE: &[Action] = &[
    Add,
    Build,
    Install,
    Match,
    Uninstall,
    Unbuild,
    Remove,
    Mktarball,
    DEB,
    MODULES_DEB,
    SOURCE_DEB,
    RPM,
    Log,
    Why,
];
const PACKING: &[Action] = &[Mktarball, DEB, MODULES_DEB, SOURCE_DEB, RPM, Mksysext];
const DEB: Action = MakePackage(PackageForm::Deb);
const MODULES_DEB: Action = MakePackage(PackageForm::ModulesDeb);
const SOURCE_DEB: Action = MakePackage(PackageForm::SourceDeb);
const RPM: Action = MakePackage(PackageForm::Rpm);

const fn spec(code: u8, fits: Fits, meaning: &'static str) -> ExitSpec {
    ExitSpec { code, fits, meaning }
}

/// Every exit code in its order.
pub(crate) const EXIT_CODES: [ExitSpec; 26] = [
    spec(0, Fits::Every, "success, also where nothing had to be done"),
    spec(1, Fits::Only(LOOKING), "something is wrong, or would be lost, or there is no log"),
    spec(1, Fits::Every, "not root, a tree that cannot be written, no package named, no signing key"),
    spec(2, Fits::Every, "a wrong command line, an unknown action, a source or tarball that is missing"),
    spec(3, Fits::Only(OF_A_PACKAGE), "the package is added already, or is not in the tree"),
    spec(3, Fits::Only(&[Ldtarball]), "the tarball holds no package"),
    spec(3, Fits::Only(&[Enable, Rollback]), "the package is not disabled, or has no older version"),
    spec(
        4,
        Fits::Only(READING),
        "the dkms.conf is missing, the package is broken, or two actions were given",
    ),
    spec(5, Fits::Only(BUILDING), "a patch is missing; --all where that has no meaning"),
    spec(
        6,
        Fits::Only(BUILDING),
        "a patch failed, the kernel is missing, no module could be installed, depmod failed",
    ),
    spec(
        7,
        Fits::Only(BUILDING),
        "the build made no module, one of another kernel, or one that could not be signed where that is required",
    ),
    spec(6, Fits::Only(&[Mksysext]), "nothing is built, or the kernel has no modules here"),
    spec(7, Fits::Only(&[Mksysext]), "a program failed, or two packages have the same module"),
    spec(7, Fits::Only(&[Ldtarball]), "the tarball is refused"),
    spec(8, Fits::Only(READING), "an invalid dkms.conf"),
    spec(8, Fits::Only(&[Mksysext]), "systemd would not take a file of this name"),
    spec(9, Fits::Only(PACKING), "a file cannot be written, rpm failed"),
    spec(10, Fits::Only(BUILDING), "the make command failed"),
    spec(11, Fits::Only(&[Autoinstall, KernelPostinst]), "at least one package failed"),
    spec(12, Fits::Only(BUILDING), "the architecture is unknown"),
    spec(13, Fits::Only(BUILDING), "a package of BUILD_DEPENDS is not installed"),
    spec(14, Fits::Only(&[KernelPreinst, KernelPrerm]), "a kernel's modules could not all be removed"),
    spec(15, Fits::Only(BUILDING), "a build removed its own directory"),
    spec(
        21,
        Fits::Only(&[Build, Install, Match, Autoinstall, Preflight]),
        "the kernel's headers are missing, or cannot be used",
    ),
    spec(77, Fits::Only(BUILDING), "the package does not want this kernel"),
    spec(101, Fits::Only(INSTALLING), "PRE_INSTALL failed"),
];
