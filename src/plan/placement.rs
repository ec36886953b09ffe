//! Whether a module takes the place of what a kernel has, and whether the machine forces an installation.

use super::is_obsolete;
use super::request::Force;
use crate::kernel::module_file::{RefuseReason, Verdict};
use crate::model::{KernelRelease, PackageName};
use std::fmt;

/// What stands where the kernel looks for a module of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Nothing,
    /// What this package installed before it was built again.
    Former,
    Unreadable,
    /// Another module, compared with the new one.
    Other(Verdict),
}

/// Why a module does not take its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// OBSOLETE_BY says that the kernel has it.
    Obsolete { limit: String },
    /// The kernel has one that is not older.
    Better(RefuseReason),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obsolete { limit } => write!(f, "it is obsolete since kernel {limit}"),
            Self::Better(why) => why.fmt(f),
        }
    }
}

/// Why a module does not take its place, if it does not. `standing` is asked only where it matters.
///
/// # Errors
/// Those of `standing`.
pub(crate) fn refusal<E>(
    force: &Force,
    obsolete_by: Option<&str>,
    release: &KernelRelease,
    standing: impl FnOnce() -> Result<Standing, E>,
) -> Result<Option<Refusal>, E> {
    if force.force || force.safe_upgrade {
        return Ok(None);
    }
    if let Some(limit) = obsolete_by.filter(|limit| is_obsolete(release, limit)) {
        return Ok(Some(Refusal::Obsolete { limit: limit.to_owned() }));
    }
    if force.version_override {
        return Ok(None);
    }
    Ok(match standing()? {
        Standing::Nothing
        | Standing::Former
        | Standing::Unreadable
        | Standing::Other(Verdict::Install(_)) => None,
        Standing::Other(Verdict::Refuse(why)) => Some(Refusal::Better(why)),
    })
}

/// What words of the administrator or of other packages force, on top of what was asked for.
#[must_use]
pub(crate) fn forced_by_words(name: &PackageName, words: &str, asked: &Force) -> Option<Force> {
    let override_word = format!("{name}_version-override");
    let is_meant = |word: &&str| *word == name.as_str() || *word == override_word;
    let word = words.split_whitespace().find(is_meant)?;
    Some(match word == override_word {
        true => Force { version_override: true, ..asked.clone() },
        false => Force { force: true, ..asked.clone() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn plain() -> Force {
        Force::default()
    }

    fn asked(force: &Force, obsolete_by: Option<&str>, standing: Standing) -> Option<String> {
        let release = KernelRelease::parse("6.1.0-1").unwrap();
        let refusal = refusal(force, obsolete_by, &release, || Ok::<_, ()>(standing)).unwrap();
        refusal.map(|refusal| refusal.to_string())
    }

    #[rstest]
    #[case::nothing_there(plain(), None, Standing::Nothing, None)]
    #[case::its_former_build(plain(), None, Standing::Former, None)]
    #[case::unreadable(plain(), None, Standing::Unreadable, None)]
    #[case::obsolete(plain(), Some("6.0"), Standing::Nothing, Some("it is obsolete since kernel 6.0"))]
    #[case::not_yet_obsolete(plain(), Some("6.2"), Standing::Nothing, None)]
    #[case::forced_obsolete(Force { force: true, ..plain() }, Some("6.0"), Standing::Nothing, None)]
    #[case::overridden_obsolete(
        Force { version_override: true, ..plain() }, Some("6.0"), Standing::Nothing, Some("it is obsolete since kernel 6.0")
    )]
    fn module_takes_its_place_or_not(
        #[case] force: Force,
        #[case] obsolete_by: Option<&str>,
        #[case] standing: Standing,
        #[case] why: Option<&str>,
    ) {
        assert_eq!(asked(&force, obsolete_by, standing).as_deref(), why);
    }

    #[rstest]
    #[case("m", Some((true, false)))]
    #[case("other m_version-override", Some((false, true)))]
    #[case("mm m-1", None)]
    fn words_force_a_package_by_its_name(#[case] words: &str, #[case] expected: Option<(bool, bool)>) {
        let name = PackageName::parse("m").unwrap();
        let force = forced_by_words(&name, words, &plain());
        assert_eq!(force.map(|force| (force.force, force.version_override)), expected);
    }
}
