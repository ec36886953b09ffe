//! What one action on one package and one kernel has to do, from the state it is in.

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

/// What `build` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildPlan {
    Skip(Skip),
    Build,
}

#[must_use]
pub(crate) fn plan_build(build: &BuildId, state: Option<BuildState>, force: bool) -> BuildPlan {
    match state {
        Some(_) if !force => BuildPlan::Skip(Skip::AlreadyBuilt(build.clone())),
        _ => BuildPlan::Build,
    }
}

/// What `install` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InstallPlan {
    Skip(Skip),
    /// Install what is built.
    Install,
    BuildThenInstall,
}

/// `intact` tells whether the installed files are still there.
#[must_use]
pub(crate) fn plan_install(
    build: &BuildId,
    state: Option<BuildState>,
    intact: bool,
    force: bool,
) -> InstallPlan {
    match state {
        Some(BuildState::Installed) if intact && !force => {
            InstallPlan::Skip(Skip::AlreadyInstalled(build.clone()))
        }
        Some(_) => InstallPlan::Install,
        None => InstallPlan::BuildThenInstall,
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

    #[rstest]
    #[case(None, true, false, InstallPlan::BuildThenInstall)]
    #[case(Some(BuildState::Built), true, false, InstallPlan::Install)]
    #[case(Some(BuildState::Installed), true, false, InstallPlan::Skip(Skip::AlreadyInstalled(build())))]
    #[case(Some(BuildState::Installed), false, false, InstallPlan::Install)]
    #[case(Some(BuildState::Installed), true, true, InstallPlan::Install)]
    fn an_installation_starts_from_the_state(
        #[case] state: Option<BuildState>,
        #[case] intact: bool,
        #[case] force: bool,
        #[case] plan: InstallPlan,
    ) {
        assert_eq!(plan_install(&build(), state, intact, force), plan);
    }

    #[test]
    fn a_build_is_repeated_only_by_force() {
        let skip = BuildPlan::Skip(Skip::AlreadyBuilt(build()));
        assert_eq!(plan_build(&build(), Some(BuildState::Built), false), skip);
        assert_eq!(plan_build(&build(), Some(BuildState::Installed), true), BuildPlan::Build);
        assert_eq!(
            skip_text(&skip),
            "Module m/1 already built for kernel 6.1 (x86_64), skip. You may override by specifying --force."
        );
    }

    fn skip_text(plan: &BuildPlan) -> String {
        match plan {
            BuildPlan::Skip(skip) => skip.to_string(),
            BuildPlan::Build => String::new(),
        }
    }
}
