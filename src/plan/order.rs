//! Which of several builds starts first: the one after which the most work can still follow, so that a long one does not start
//! last and keep one core busy while the others wait.

use super::autoinstall::Step;
use crate::model::PackageName;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is known of a build before it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// How long it took the last time.
    pub last: Option<Duration>,
    /// The size of its source.
    pub source_bytes: u64,
}

/// How much source is built in a second, very roughly: small drivers take some seconds for some hundred kilobytes.
const BYTES_A_SECOND: u64 = 100 << 10;

impl Expected {
    /// In whole seconds: smaller differences are chance, and leave the order of the plan.
    fn duration(self) -> Duration {
        Duration::from_secs(self.last.map_or(self.source_bytes / BYTES_A_SECOND, |last| last.as_secs()))
    }
}

/// More builds than this at once only cost memory; make's own jobs fill the cores.
const MOST_AT_ONCE: usize = 16;
/// What one more build takes, apart from the compilers, which the number of jobs limits: a copy of the source, make and its
/// shells, and a compiler that has just got its token.
const BYTES_A_BUILD: u64 = 256 << 20;

/// How many builds run at once, with this number of jobs and this much memory; at least one.
#[must_use]
pub(crate) fn builds_at_once(jobs: usize, available: Option<u64>) -> usize {
    let fitting = available
        .map_or(MOST_AT_ONCE, |bytes| usize::try_from(bytes / BYTES_A_BUILD).unwrap_or(MOST_AT_ONCE));
    jobs.min(MOST_AT_ONCE).min(fitting).max(1)
}

/// For each step how long it and what must follow it will take: the critical path from it to the end.
#[must_use]
pub(crate) fn remaining(
    steps: &[Step],
    expected: &BTreeMap<PackageName, Expected>,
) -> BTreeMap<PackageName, Duration> {
    let mut remaining = BTreeMap::new();
    // A step comes after those that it depends on: from the end, what follows one is known before it.
    for step in steps.iter().rev() {
        let followers = steps.iter().filter(|other| other.after.contains(&step.id.name));
        let longest = followers.filter_map(|other| remaining.get(&other.id.name)).max().copied();
        let own = expected.get(&step.id.name).copied().unwrap_or_default();
        let own = if step.need.compiles() { own.duration() } else { Duration::ZERO };
        remaining.insert(step.id.name.clone(), own + longest.unwrap_or_default());
    }
    remaining
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PackageId, PackageVersion};
    use crate::plan::autoinstall::Need;
    use rstest::rstest;

    fn name(text: &str) -> PackageName {
        PackageName::new(text).unwrap()
    }

    fn step(text: &str, after: &[&str]) -> Step {
        let id = PackageId::new(name(text), PackageVersion::new("1").unwrap());
        Step { id, need: Need::Build, after: after.iter().map(|text| name(text)).collect() }
    }

    fn seconds(last: &[(&str, u64)]) -> BTreeMap<PackageName, Expected> {
        let expected = |seconds| Expected { last: Some(Duration::from_secs(seconds)), source_bytes: 0 };
        last.iter().map(|(text, seconds)| (name(text), expected(*seconds))).collect()
    }

    #[test]
    fn package_that_others_wait_for_counts_with_them() {
        let steps = [step("lib", &[]), step("long", &[]), step("user", &["lib"]), step("last", &["user"])];
        let found = remaining(&steps, &seconds(&[("lib", 1), ("long", 20), ("user", 15), ("last", 10)]));
        let found: Vec<u64> = ["lib", "long", "user", "last"].map(|text| found[&name(text)].as_secs()).into();
        assert_eq!(found, [26, 20, 25, 10]);
    }

    #[rstest]
    #[case(8, None, 8)]
    #[case(1024, None, 16)]
    #[case(8, Some(1 << 30), 4)]
    #[case(8, Some(1 << 20), 1)]
    #[case(2, Some(u64::MAX), 2)]
    #[case(0, None, 1)]
    fn memory_limits_builds(#[case] jobs: usize, #[case] available: Option<u64>, #[case] expected: usize) {
        assert_eq!(builds_at_once(jobs, available), expected);
    }

    #[test]
    fn unknown_build_is_judged_by_its_source() {
        let small = Expected { last: None, source_bytes: 200 << 10 };
        assert_eq!(small.duration(), Duration::from_secs(2));
        assert!(Expected { last: None, source_bytes: u64::MAX }.duration() > Duration::from_secs(3600));
        let known = Expected { last: Some(Duration::from_secs(9)), source_bytes: 1 };
        assert_eq!(known.duration(), Duration::from_secs(9));
    }

    #[test]
    fn what_is_only_installed_takes_no_time() {
        let mut built = step("built", &[]);
        built.need = Need::Install;
        assert_eq!(remaining(&[built], &seconds(&[("built", 5)]))[&name("built")], Duration::ZERO);
    }
}
