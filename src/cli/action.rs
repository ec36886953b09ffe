//! The action words.

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
    /// Made packages in old versions; the word is kept so that callers see a failure.
    Removed(&'static str),
}

const WORDS: [(&str, Action); 24] = [
    ("add", Action::Add),
    ("remove", Action::Remove),
    ("build", Action::Build),
    ("unbuild", Action::Unbuild),
    ("install", Action::Install),
    ("uninstall", Action::Uninstall),
    ("match", Action::Match),
    ("autoinstall", Action::Autoinstall),
    ("mktarball", Action::Mktarball),
    ("ldtarball", Action::Ldtarball),
    ("status", Action::Status),
    ("generate_mok", Action::GenerateMok),
    ("kernel_preinst", Action::KernelPreinst),
    ("kernel_postinst", Action::KernelPostinst),
    ("kernel_prerm", Action::KernelPrerm),
    ("conf", Action::Conf),
    ("check", Action::Check),
    ("fsck", Action::Fsck),
    ("mkdeb", Action::MakePackage(PackageForm::Deb)),
    ("mkdsc", Action::MakePackage(PackageForm::SourceDeb)),
    ("mkbmdeb", Action::MakePackage(PackageForm::ModulesDeb)),
    ("mkrpm", Action::MakePackage(PackageForm::Rpm)),
    ("mkkmp", Action::Removed("mkkmp")),
    ("mkdriverdisk", Action::Removed("mkdriverdisk")),
];

impl Action {
    #[must_use]
    pub(crate) fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|(text, _)| *text == word).map(|(_, action)| *action)
    }

    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        WORDS.iter().find(|(_, action)| *action == self).map_or("", |(text, _)| text)
    }

    /// Whether every dkms knows the word: only these cannot name a module once an action is given.
    #[must_use]
    pub(crate) fn is_classic(self) -> bool {
        !matches!(self, Self::Conf | Self::Check | Self::Fsck | Self::MakePackage(_) | Self::Removed(_))
    }

    /// Every action that exists, for the usage text.
    pub(crate) fn all() -> impl Iterator<Item = &'static str> {
        WORDS.iter().filter(|(_, action)| !matches!(action, Self::Removed(_))).map(|(text, _)| *text)
    }
}
