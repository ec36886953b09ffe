//! What one action on one package and one kernel has to do, from the state it is in.

use super::autoinstall::Stale;
use crate::model::{BuildId, BuildState};
use std::fmt;

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Skip {
    AlreadyBuilt(BuildId),
    AlreadyInstalled(BuildId),
}

/// The texts are API.
impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyBuilt(build) => write!(
                f,
                "Module {} already built for kernel {}, skip. You may override by specifying --force.",
                build.package, build.target
            ),
            Self::AlreadyInstalled(build) => write!(
                f,
                "Module {} already installed on kernel {}, skip. You may override by specifying --force.",
                build.package, build.target
            ),
        }
    }
}

/// What is known of one package and one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildFacts {
    pub state: Option<BuildState>,
    /// Why the build is not what would be built now, where that can be made again.
    pub stale: Option<Stale>,
    /// Whether the installed files are there, as they were installed, and signed as the settings want.
    pub intact: bool,
    pub force: bool,
}

/// What `build` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildPlan {
    Skip(Skip),
    /// Compile, because it was asked for, or for this reason.
    Build(Option<Stale>),
}

#[must_use]
pub(crate) fn plan_build(build: &BuildId, facts: BuildFacts) -> BuildPlan {
    match facts {
        BuildFacts { state: Some(_), stale: None, force: false, .. } => {
            BuildPlan::Skip(Skip::AlreadyBuilt(build.clone()))
        }
        BuildFacts { stale, .. } => BuildPlan::Build(stale),
    }
}

/// What `install` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InstallPlan {
    Skip(Skip),
    /// Install what is built.
    Install,
    BuildThenInstall(Option<Stale>),
}

#[must_use]
pub(crate) fn plan_install(build: &BuildId, facts: BuildFacts) -> InstallPlan {
    match facts {
        BuildFacts { state: None, .. } => InstallPlan::BuildThenInstall(None),
        BuildFacts { stale: Some(why), .. } => InstallPlan::BuildThenInstall(Some(why)),
        BuildFacts { state: Some(BuildState::Installed), intact: true, force: false, .. } => {
            InstallPlan::Skip(Skip::AlreadyInstalled(build.clone()))
        }
        BuildFacts { state: Some(_), .. } => InstallPlan::Install,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, KernelRelease, PackageId, PackageName, PackageVersion, Target};
    use rstest::rstest;

    fn build() -> BuildId {
        let package = PackageId::new(PackageName::new("m").unwrap(), PackageVersion::new("1").unwrap());
        BuildId::new(package, Target::new(KernelRelease::new("6.1").unwrap(), Arch::new("x86_64").unwrap()))
    }

    const STALE: Option<Stale> = Some(Stale::Source);
    const DAMAGED: Option<Stale> = Some(Stale::Damaged);

    fn facts(state: Option<BuildState>, stale: Option<Stale>, intact: bool, force: bool) -> BuildFacts {
        BuildFacts { state, stale, intact, force }
    }

    fn installed() -> InstallPlan {
        InstallPlan::Skip(Skip::AlreadyInstalled(build()))
    }

    #[rstest]
    #[case::new(facts(None, None, true, false), InstallPlan::BuildThenInstall(None))]
    #[case::built(facts(Some(BuildState::Built), None, true, false), InstallPlan::Install)]
    #[case::edited(facts(Some(BuildState::Built), STALE, true, false), InstallPlan::BuildThenInstall(STALE))]
    #[case::up_to_date(facts(Some(BuildState::Installed), None, true, false), installed())]
    #[case::damaged(facts(Some(BuildState::Installed), None, false, false), InstallPlan::Install)]
    #[case::forced(facts(Some(BuildState::Installed), None, true, true), InstallPlan::Install)]
    #[case::forced_and_edited(
        facts(Some(BuildState::Installed), STALE, true, true),
        InstallPlan::BuildThenInstall(STALE)
    )]
    fn installation_starts_from_the_state(#[case] facts: BuildFacts, #[case] plan: InstallPlan) {
        assert_eq!(plan_install(&build(), facts), plan);
    }

    #[rstest]
    #[case::new(facts(None, None, true, false), BuildPlan::Build(None))]
    #[case::up_to_date(
        facts(Some(BuildState::Built), None, true, false),
        BuildPlan::Skip(Skip::AlreadyBuilt(build()))
    )]
    #[case::edited(facts(Some(BuildState::Installed), STALE, true, false), BuildPlan::Build(STALE))]
    #[case::damaged(facts(Some(BuildState::Built), DAMAGED, true, false), BuildPlan::Build(DAMAGED))]
    #[case::forced(facts(Some(BuildState::Installed), None, true, true), BuildPlan::Build(None))]
    fn build_is_repeated_by_force_or_reason(#[case] facts: BuildFacts, #[case] plan: BuildPlan) {
        assert_eq!(plan_build(&build(), facts), plan);
    }

    #[test]
    fn skip_has_the_words_that_callers_know() {
        assert_eq!(
            Skip::AlreadyBuilt(build()).to_string(),
            "Module m/1 already built for kernel 6.1 (x86_64), skip. You may override by specifying --force."
        );
    }
}
