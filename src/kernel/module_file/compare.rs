//! Whether a built module may take the place of the kernel's own: the version check of an install. Pure.
//!
//! `--force`, `--force-version-override` and a kernel without such a module are the caller's: then nothing is compared.

use super::ModuleFile;
use crate::model::compare_versions;
use std::cmp::Ordering;
use std::fmt;

/// The outcome for one module, with the values that made it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Install(InstallReason),
    Refuse(RefuseReason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InstallReason {
    KernelOlder {
        kernel: String,
        built: String,
    },
    OtherSource {
        version: String,
        kernel: String,
        built: String,
    },
    /// Neither file says which it is, and they differ.
    UnversionedDiffers,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefuseReason {
    SameVersion {
        version: String,
        source_id: String,
    },
    KernelNewer {
        kernel: String,
        built: String,
    },
    /// Neither file says which it is, and they are the same to the byte.
    Identical,
}

impl Verdict {
    #[must_use]
    pub(crate) fn is_install(&self) -> bool {
        matches!(self, Self::Install(_))
    }
}

/// Compares the kernel's module with the built one.
#[must_use]
pub(crate) fn compare_modules(kernel: &ModuleFile, built: &ModuleFile) -> Verdict {
    let (versions, ids) = (
        (kernel.info.version_word(), built.info.version_word()),
        (kernel.info.source_id(), built.info.source_id()),
    );
    let values = |(kernel, built): (&str, &str)| (kernel.to_owned(), built.to_owned());
    match compare_versions(versions.0, versions.1) {
        Ordering::Greater => {
            let (kernel, built) = values(versions);
            Verdict::Refuse(RefuseReason::KernelNewer { kernel, built })
        }
        Ordering::Less => {
            let (kernel, built) = values(versions);
            Verdict::Install(InstallReason::KernelOlder { kernel, built })
        }
        Ordering::Equal if ids.0 != ids.1 => {
            let (version, (kernel, built)) = (versions.1.to_owned(), values(ids));
            Verdict::Install(InstallReason::OtherSource { version, kernel, built })
        }
        Ordering::Equal if !versions.1.is_empty() || !ids.1.is_empty() => {
            let (version, source_id) = values((versions.1, ids.1));
            Verdict::Refuse(RefuseReason::SameVersion { version, source_id })
        }
        Ordering::Equal if kernel.content == built.content => Verdict::Refuse(RefuseReason::Identical),
        Ordering::Equal => Verdict::Install(InstallReason::UnversionedDiffers),
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "no version" } else { text }
}

impl fmt::Display for InstallReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelOlder { kernel, built } => {
                write!(f, "the kernel's module has {}, older than {}", or_none(kernel), or_none(built))
            }
            Self::OtherSource { version, kernel, built } => write!(
                f,
                "the kernel's module has the same version ({}) from another source ({kernel:?}, not {built:?})",
                or_none(version)
            ),
            Self::UnversionedDiffers => f.write_str("neither module has a version, and they differ"),
        }
    }
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameVersion { version, source_id } => {
                write!(f, "the kernel already has this module: {} {source_id}", or_none(version))
            }
            Self::KernelNewer { kernel, built } => {
                write!(f, "the kernel's module has {}, newer than {}", or_none(kernel), or_none(built))
            }
            Self::Identical => f.write_str("the kernel already has exactly this module"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn module(version: &str, srcversion: &str, content: u8) -> ModuleFile {
        let mut file = ModuleFile { content: vec![content], ..ModuleFile::default() };
        file.info.version = (!version.is_empty()).then(|| version.to_owned());
        file.info.srcversion = (!srcversion.is_empty()).then(|| srcversion.to_owned());
        file
    }

    #[rstest]
    #[case::same(("1.0", "A", 1), ("1.0", "A", 2), false, "this module: 1.0 A")]
    #[case::same_without_id(("1.0", "", 1), ("1.0", "", 2), false, "this module: 1.0")]
    #[case::same_id_only(("", "A", 1), ("", "A", 2), false, "this module: no version A")]
    #[case::id_in_version(("1.0 A", "", 1), ("1.0", "A", 2), false, "this module: 1.0 A")]
    #[case::same_key(("1.00", "A", 1), ("1.0", "A", 2), false, "this module: 1.0 A")]
    #[case::other_source(("1.0", "A", 1), ("1.0", "B", 1), true, "another source")]
    #[case::other_source_unversioned(("", "A", 1), ("", "B", 1), true, "another source")]
    #[case::source_unknown_here(("1.0", "A", 1), ("1.0", "", 1), true, "another source")]
    #[case::newer(("1.10", "A", 1), ("1.9", "B", 2), false, "has 1.10, newer than 1.9")]
    #[case::unversioned_build(("0.1", "A", 1), ("", "B", 2), false, "newer than no version")]
    #[case::older(("1.9", "A", 1), ("1.10", "A", 1), true, "has 1.9, older than 1.10")]
    #[case::unversioned_kernel(("", "A", 1), ("0", "A", 1), true, "has no version, older than 0")]
    #[case::long_runs(("999", "A", 1), ("20240101", "A", 1), true, "older")]
    #[case::identical(("", "", 1), ("", "", 1), false, "exactly this module")]
    #[case::nothing_known(("", "", 1), ("", "", 2), true, "they differ")]
    fn the_better_module_wins(
        #[case] kernel: (&str, &str, u8),
        #[case] built: (&str, &str, u8),
        #[case] installs: bool,
        #[case] words: &str,
    ) {
        let verdict =
            compare_modules(&module(kernel.0, kernel.1, kernel.2), &module(built.0, built.1, built.2));
        let text = match &verdict {
            Verdict::Install(reason) => reason.to_string(),
            Verdict::Refuse(reason) => reason.to_string(),
        };
        assert_eq!(verdict.is_install(), installs, "{text}");
        assert!(text.contains(words), "{text}");
    }
}
