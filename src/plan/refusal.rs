//! Whether a build is refused before anything is written, in the order in which callers know the errors.

use super::exclusive::Exclusion;
use crate::model::{BuildId, Error};
use std::path::PathBuf;

/// What stands in the way of a build.
#[derive(Debug, Clone)]
pub(crate) struct Obstacles {
    /// The package does not want the kernel.
    pub exclusion: Option<Exclusion>,
    pub conf: PathBuf,
    /// There is nothing to compile beside the dkms.conf.
    pub only_conf: bool,
    pub source: PathBuf,
    pub headers_missing: bool,
    pub kernel_exists: bool,
    /// Where the headers were looked for.
    pub headers: PathBuf,
    /// Packages that it is built against and that the kernel does not have.
    pub dependencies_missing: Vec<String>,
}

/// What follows from the obstacles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// It is built, because that is forced; what was overridden is printed.
    Forced(Error),
    Refused(Error),
}

impl Obstacles {
    /// The first obstacle that refuses the build.
    #[must_use]
    pub(crate) fn judge(self, build: &BuildId, force: bool) -> Verdict {
        if let Some(why) = self.exclusion {
            let (build, why) = (build.clone(), why.to_string());
            return Verdict::Refused(Error::Excluded { build, conf: self.conf, why });
        }
        if self.only_conf {
            return Verdict::Refused(Error::SourceHasOnlyConf { path: self.source });
        }
        if self.headers_missing {
            let release = build.target.release.clone();
            let (path, kernel_exists) = (self.headers, self.kernel_exists);
            return Verdict::Refused(Error::HeadersMissing { release, path, kernel_exists });
        }
        if self.dependencies_missing.is_empty() {
            return Verdict::Go;
        }
        let missing = Error::DependencyMissing { build: build.clone(), missing: self.dependencies_missing };
        if force { Verdict::Forced(missing) } else { Verdict::Refused(missing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, KernelRelease, PackageId, PackageName, PackageVersion, Target};
    use rstest::rstest;

    fn obstacles() -> Obstacles {
        let exclusion = Exclusion {
            directive: "BUILD_EXCLUSIVE_ARCH".into(),
            value: "arm".into(),
            found: "x86_64".into(),
            of_package: true,
        };
        Obstacles {
            exclusion: Some(exclusion),
            conf: "/c".into(),
            only_conf: true,
            source: "/s".into(),
            headers_missing: true,
            kernel_exists: true,
            headers: "/h".into(),
            dependencies_missing: vec!["dep".into()],
        }
    }

    fn judged(obstacles: Obstacles, force: bool) -> Verdict {
        let package = PackageId::new(PackageName::new("m").unwrap(), PackageVersion::new("1").unwrap());
        let target = Target::new(KernelRelease::new("6.1").unwrap(), Arch::new("x86_64").unwrap());
        obstacles.judge(&BuildId::new(package, target), force)
    }

    #[rstest]
    #[case(0, 77)]
    #[case(1, 8)]
    #[case(2, 21)]
    #[case(3, 13)]
    fn first_obstacle_is_the_error(#[case] removed: usize, #[case] code: u8) {
        let mut obstacles = obstacles();
        if removed > 0 {
            obstacles.exclusion = None;
        }
        obstacles.only_conf = removed < 2;
        obstacles.headers_missing = removed < 3;
        let Verdict::Refused(error) = judged(obstacles, false) else { panic!("not refused") };
        assert_eq!(error.exit_code().0, code);
    }

    #[test]
    fn force_overrides_missing_dependencies_only() {
        assert!(matches!(judged(obstacles(), true), Verdict::Refused(_)));
        let alone = Obstacles { exclusion: None, only_conf: false, headers_missing: false, ..obstacles() };
        assert!(matches!(judged(alone.clone(), true), Verdict::Forced(_)));
        assert_eq!(judged(Obstacles { dependencies_missing: Vec::new(), ..alone }, false), Verdict::Go);
    }
}
