//! Which packages to rebuild because a dependency was replaced, and in which order.

use crate::model::PackageId;
use std::fmt;

/// A build of a package that says BUILD_DEPENDS_REBUILD, with what it depends on.
#[derive(Debug, Clone)]
pub(crate) struct Dependent {
    pub id: PackageId,
    pub depends: Vec<Dependency>,
}

/// One dependency of a build.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub name: String,
    /// The version that the build recorded.
    pub recorded: Option<String>,
    /// The version that is installed now.
    pub installed: Option<String>,
    /// Whether it exports something else than when the build was made.
    pub exports_changed: bool,
}

/// A package to rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rebuild {
    pub id: PackageId,
    pub why: Replaced,
}

/// The dependency that is another one now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub name: String,
    pub recorded: Option<String>,
    pub installed: String,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.recorded {
            Some(recorded) if *recorded == self.installed => {
                write!(f, "{}/{recorded}, which it was built with, exports something else now", self.name)
            }
            Some(recorded) => {
                write!(f, "it was built with {}/{recorded}, and {} is installed", self.name, self.installed)
            }
            None => write!(f, "it is not recorded as built with {}/{}", self.name, self.installed),
        }
    }
}

impl Dependency {
    /// A dependency that is not installed leaves nothing to build against.
    fn replaced(&self) -> Option<Replaced> {
        let installed = self.installed.clone()?;
        let Self { name, recorded, .. } = self;
        let differs = self.exports_changed || recorded.as_ref() != Some(&installed);
        differs.then(|| Replaced { name: name.clone(), recorded: recorded.clone(), installed })
    }
}

/// Every package to rebuild, after those that it depends on; otherwise, and in a circle, in the order given.
#[must_use]
pub(crate) fn plan_rebuilds(dependents: Vec<Dependent>) -> Vec<Rebuild> {
    let why = |dependent: &Dependent| dependent.depends.iter().find_map(Dependency::replaced);
    let mut waiting: Vec<(Dependent, Replaced)> =
        dependents.into_iter().filter_map(|dependent| why(&dependent).map(|why| (dependent, why))).collect();
    let mut plan = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |(dependent, _): &(Dependent, Replaced)| {
            let own = dependent.id.name.as_str();
            let names = dependent.depends.iter().map(|dependency| dependency.name.as_str());
            !names
                .filter(|name| *name != own)
                .any(|name| waiting.iter().any(|(w, _)| w.id.name.as_str() == name))
        };
        let next = waiting.iter().position(is_ready).unwrap_or(0);
        let (dependent, why) = waiting.remove(next);
        plan.push(Rebuild { id: dependent.id, why });
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PackageName, PackageVersion};
    use rstest::rstest;

    fn dependent(name: &str, depends: &[(&str, Option<&str>, Option<&str>)]) -> Dependent {
        let id = PackageId::new(PackageName::new(name).unwrap(), PackageVersion::new("1").unwrap());
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let depends = depends.iter().map(|(name, recorded, installed)| Dependency {
            name: (*name).to_owned(),
            recorded: owned(*recorded),
            installed: owned(*installed),
            exports_changed: false,
        });
        Dependent { id, depends: depends.collect() }
    }

    fn names(plan: &[Rebuild]) -> Vec<&str> {
        plan.iter().map(|rebuild| rebuild.id.name.as_str()).collect()
    }

    #[rstest]
    #[case::same(Some("1"), Some("1"), false)]
    #[case::newer(Some("1"), Some("2"), true)]
    #[case::older(Some("2"), Some("1"), true)]
    #[case::unrecorded(None, Some("1"), true)]
    #[case::gone(Some("1"), None, false)]
    #[case::never_there(None, None, false)]
    fn what_is_installed_now_decides(
        #[case] recorded: Option<&str>,
        #[case] installed: Option<&str>,
        #[case] is_rebuilt: bool,
    ) {
        let plan = plan_rebuilds(vec![dependent("a", &[("d", recorded, installed)])]);
        assert_eq!(!plan.is_empty(), is_rebuilt);
    }

    #[test]
    fn dependencies_come_first_and_circles_end() {
        let changed = Some("2");
        let plan = plan_rebuilds(vec![
            dependent("a", &[("d", Some("1"), changed), ("b", Some("1"), Some("1"))]),
            dependent("b", &[("d", Some("1"), changed)]),
            dependent("x", &[("y", None, changed)]),
            dependent("y", &[("x", None, changed)]),
        ]);
        assert_eq!(names(&plan), ["b", "a", "x", "y"]);
    }
}
