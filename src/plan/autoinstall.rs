//! What to install for a kernel: the version of each package, in which order, and why the others are not.

use super::Exclusion;
use crate::conf::Disabling;
use crate::model::{Error, PackageId, PackageName};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of one version of a package, for one target.
#[derive(Debug, Clone)]
pub(crate) enum Version {
    /// The active link names it; `intact` tells whether its files are in place.
    Installed { intact: bool },
    /// Installed, and to be rebuilt. The old modules stay until the new ones are ready.
    Stale { why: Stale, depends: Vec<String> },
    /// Installed, and to be signed, without compiling.
    Unsigned(PendingSignature),
    /// The kernel uses, by weak links, the modules that are installed for another one.
    Weak,
    /// It is built, and what the kernel has of its own is as good or better.
    Provided,
    /// It is built, and an extension of the system brings its modules to the kernel.
    Extended,
    /// The administrator wants it left alone.
    Disabled { why: Disabling, is_installed: bool },
    /// Its dkms.conf was read.
    Known { built: bool, autoinstall: bool, depends: Vec<String>, exclusion: Option<Exclusion> },
    /// It is not installed, its build failed or its script did not want the kernel, and it would be the same again: a lower
    /// version may step in.
    Failed(Error),
    /// Its dkms.conf cannot be used, or it is installed and its new build fails.
    Unusable(Error),
    /// Its source is gone: a lower version may step in.
    Broken(Error),
}

impl Version {
    /// Whether it does not want the kernel.
    #[must_use]
    pub(crate) fn is_unwanted(&self) -> bool {
        match self {
            Self::Known { exclusion, .. } => exclusion.is_some(),
            Self::Failed(error) => error.is_refusal(),
            _ => false,
        }
    }
}

/// Why a build is not what would be built now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stale {
    Source,
    Overrides,
    Kernel,
    Compiler,
    /// The kernel is the same, and the program that compiles for it is another one.
    CompilerFile,
    /// A package that it was built with exports something else.
    Dependency(String),
    /// The files that were built are not as they were made.
    Damaged,
}

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source => f.write_str("its source has changed"),
            Self::Overrides => f.write_str("its configuration in /etc/dkms has changed"),
            Self::Kernel => f.write_str("the kernel's headers have changed"),
            Self::Compiler => f.write_str("the kernel was built with another compiler"),
            Self::CompilerFile => f.write_str("the compiler has changed"),
            Self::Dependency(name) => write!(f, "{name}, which it was built with, has changed"),
            Self::Damaged => f.write_str("what was built is damaged"),
        }
    }
}

/// Why a build must be signed with the configured key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PendingSignature {
    Missing,
    OtherCertificate,
}

impl std::fmt::Display for PendingSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "its modules are not signed, although signing is on",
            Self::OtherCertificate => {
                "its modules are signed with another certificate than the configured one"
            }
        })
    }
}

/// One package: its versions from the highest down, as far as they were asked.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub name: PackageName,
    pub versions: Vec<(PackageId, Version)>,
}

impl Candidate {
    /// Whether a version settles the matter, so that lower ones need not be asked: a version that does not want the
    /// kernel, does not build for it, or is disabled, leaves it to an older one.
    #[must_use]
    pub(crate) fn is_settled_by(version: &Version) -> bool {
        match version {
            Version::Known { autoinstall, exclusion, .. } => !autoinstall || exclusion.is_none(),
            Version::Broken(_) | Version::Failed(_) => false,
            // What is installed stays: an older version does not take its place.
            Version::Disabled { is_installed, .. } => *is_installed,
            Version::Installed { .. }
            | Version::Stale { .. }
            | Version::Unsigned(_)
            | Version::Weak
            | Version::Provided
            | Version::Extended
            | Version::Unusable(_) => true,
        }
    }
}

/// What is known before planning.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub candidates: Vec<Candidate>,
    /// Names of packages of which some version is installed for the target.
    pub installed: BTreeSet<PackageName>,
}

/// How much one step has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    Build,
    /// Built already, and not as it should be.
    Rebuild(Stale),
    /// Built already, or installed with files missing.
    Install,
    /// Installed; its modules are signed and installed again.
    Sign(PendingSignature),
}

impl Need {
    /// Whether a compiler runs, and the kernel's headers are needed.
    #[must_use]
    pub(crate) fn compiles(&self) -> bool {
        match self {
            Self::Build | Self::Rebuild(_) => true,
            Self::Install | Self::Sign(_) => false,
        }
    }
}

/// One package version to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub id: PackageId,
    pub need: Need,
    /// Steps that must have succeeded before.
    pub after: Vec<PackageName>,
}

/// Why nothing is to be done for a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Satisfied {
    /// This version is installed, as it would be built now.
    Installed(PackageId),
    /// Another kernel lends its modules.
    Lent,
    /// The kernel's own modules are as good or better.
    Provided,
    /// An extension of the system brings its modules.
    Extended(PackageId),
}

impl std::fmt::Display for Satisfied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Installed(id) => write!(f, "{} is installed and up to date", id.version),
            Self::Lent => f.write_str("the kernel uses the modules that are installed for another one"),
            Self::Extended(id) => write!(f, "a system extension brings the modules of {}", id.version),
            Self::Provided => f.write_str("the kernel's own modules are as new or newer"),
        }
    }
}

/// Why a package cannot be installed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Packages that are known, not installed, and not going to be.
    Missing(Vec<String>),
    /// The packages wait for each other.
    Cycle(Vec<String>),
}

impl std::fmt::Display for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(names) => write!(f, "it depends on {}, which is not installed", names.join(", ")),
            Self::Cycle(names) => write!(f, "its BUILD_DEPENDS form a circle: {}", names.join(" -> ")),
        }
    }
}

/// Why a package waits: it depends on others that are not registered.
#[must_use]
pub(crate) fn unregistered(names: &[String]) -> String {
    format!("needs {}, which is not registered with dkms", names.join(", "))
}

/// What to do with each package.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// In an order that respects `after`; otherwise in listing order.
    pub steps: Vec<Step>,
    pub satisfied: Vec<(PackageName, Satisfied)>,
    pub skipped: Vec<(PackageId, Exclusion)>,
    /// Packages that the administrator wants left alone, installed or not.
    pub disabled: Vec<(PackageId, Disabling)>,
    /// Packages that said before, by their own script, that they do not want the kernel.
    pub declined: Vec<(PackageId, Error)>,
    pub failed: Vec<(PackageId, Error)>,
    /// Versions that do not build or do not want the kernel, each with the one that is used in its place.
    pub replaced: Vec<(PackageId, Error, PackageId)>,
    /// Versions without source beside which another version serves the kernel, or does not want it.
    pub broken: Vec<(PackageId, Error)>,
    pub blocked: Vec<(PackageId, Blocked)>,
    /// Packages that wait for others that are not registered with dkms yet.
    pub deferred: Vec<(PackageId, Vec<String>)>,
}

impl Plan {
    /// Whether every package is as it should be.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.skipped.is_empty()
            && self.declined.is_empty()
            && self.failed.is_empty()
            && self.blocked.is_empty()
            && self.deferred.is_empty()
    }

    /// Takes out the steps that need the kernel's headers, and those that follow them; returns their packages.
    pub(crate) fn drop_builds(&mut self) -> Vec<PackageId> {
        let mut kept = BTreeSet::new();
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.steps).into_iter().partition(|step| {
            let stays = !step.need.compiles() && step.after.iter().all(|name| kept.contains(name));
            stays && kept.insert(step.id.name.clone())
        });
        self.steps = now;
        later.into_iter().map(|step| step.id).collect()
    }
}

struct WantedStep {
    id: PackageId,
    need: Need,
    depends: Vec<String>,
}

/// Decides for every candidate.
#[must_use]
pub(crate) fn plan_autoinstall(facts: Facts) -> Plan {
    let known: BTreeSet<String> = facts.candidates.iter().map(|c| c.name.to_string()).collect();
    let installed: BTreeSet<String> = facts.installed.iter().map(ToString::to_string).collect();
    let mut plan = Plan::default();
    let mut wanted = Vec::new();
    for candidate in facts.candidates {
        decide(candidate, &mut plan, &mut wanted);
    }
    order(wanted, &known, &installed, &mut plan);
    plan
}

/// What is done for a package.
enum Choice {
    Step(WantedStep),
    Satisfied(Satisfied),
    Declined(PackageId, Error),
    Failed(PackageId, Error),
    /// No version can be used.
    Nothing,
}

/// The highest version each that was passed over, by the reason.
#[derive(Default)]
struct Passed {
    excluded: Option<(PackageId, Exclusion)>,
    broken: Option<(PackageId, Error)>,
    disabled: Option<(PackageId, Disabling)>,
    failed: Option<(PackageId, Error)>,
}

impl Passed {
    /// Whether the highest version is passed over on purpose: what is wrong with an older one is no failure then.
    fn is_deliberate(&self) -> bool {
        self.excluded.is_some() || self.disabled.is_some()
    }
}

/// The first version that settles the matter. Below one that does not want the kernel, or does not build for it, an older one may
/// step in; that it cannot is not a failure.
fn choose(versions: Vec<(PackageId, Version)>) -> (Choice, Passed) {
    let mut passed = Passed::default();
    let step = |id, need, depends| Choice::Step(WantedStep { id, need, depends });
    for (id, version) in versions {
        let choice = match version {
            Version::Installed { intact: true } => Choice::Satisfied(Satisfied::Installed(id)),
            Version::Weak => Choice::Satisfied(Satisfied::Lent),
            Version::Provided => Choice::Satisfied(Satisfied::Provided),
            Version::Extended => Choice::Satisfied(Satisfied::Extended(id)),
            Version::Installed { intact: false } => step(id, Need::Install, Vec::new()),
            Version::Stale { why, depends } => step(id, Need::Rebuild(why), depends),
            Version::Unsigned(why) => step(id, Need::Sign(why), Vec::new()),
            Version::Disabled { why, is_installed } => {
                passed.disabled.get_or_insert((id, why));
                if is_installed {
                    Choice::Nothing
                } else {
                    continue;
                }
            }
            Version::Broken(error) => {
                passed.broken.get_or_insert((id, error));
                continue;
            }
            Version::Failed(_) | Version::Unusable(_) if passed.is_deliberate() => Choice::Nothing,
            Version::Failed(error) => {
                passed.failed.get_or_insert((id, error));
                continue;
            }
            Version::Unusable(_) if passed.failed.is_some() => Choice::Nothing,
            Version::Unusable(error) if error.is_refusal() => Choice::Declined(id, error),
            Version::Unusable(error) => Choice::Failed(id, error),
            Version::Known { autoinstall: false, .. } => Choice::Nothing,
            Version::Known { exclusion: Some(why), .. } => {
                passed.excluded.get_or_insert((id, why));
                continue;
            }
            Version::Known { built: true, depends, .. } => step(id, Need::Install, depends),
            Version::Known { depends, .. } => step(id, Need::Build, depends),
        };
        return (choice, passed);
    }
    (Choice::Nothing, passed)
}

fn decide(candidate: Candidate, plan: &mut Plan, wanted: &mut Vec<WantedStep>) {
    let (choice, passed) = choose(candidate.versions);
    let used = match &choice {
        Choice::Step(step) => Some(step.id.clone()),
        Choice::Satisfied(Satisfied::Installed(id) | Satisfied::Extended(id)) => Some(id.clone()),
        Choice::Satisfied(_) | Choice::Declined(..) | Choice::Failed(..) | Choice::Nothing => None,
    };
    let is_nothing = matches!(choice, Choice::Nothing);
    match choice {
        Choice::Step(step) => wanted.push(step),
        Choice::Satisfied(why) => plan.satisfied.push((candidate.name, why)),
        Choice::Declined(id, error) => plan.declined.push((id, error)),
        Choice::Failed(id, error) => plan.failed.push((id, error)),
        Choice::Nothing => {}
    }
    match (passed.failed, used) {
        (Some((id, error)), Some(used)) => plan.replaced.push((id, error, used)),
        (Some((id, error)), None) if error.is_refusal() => plan.declined.push((id, error)),
        (Some(failed), None) => plan.failed.push(failed),
        (None, _) if !is_nothing || passed.disabled.is_some() => {}
        (None, _) if passed.excluded.is_some() => plan.skipped.extend(passed.excluded),
        (None, _) => return plan.failed.extend(passed.broken),
    }
    plan.broken.extend(passed.broken);
    plan.disabled.extend(passed.disabled);
}

/// Takes packages whose dependencies are installed or taken, until none is left that could be.
fn order(
    mut waiting: Vec<WantedStep>,
    known: &BTreeSet<String>,
    installed: &BTreeSet<String>,
    plan: &mut Plan,
) {
    let mut planned: BTreeSet<String> = BTreeSet::new();
    // An older version that is about to be replaced is not what its dependents should be built against.
    let pending: BTreeSet<String> = waiting.iter().map(|w| w.id.name.to_string()).collect();
    let installed: BTreeSet<String> = installed.difference(&pending).cloned().collect();
    loop {
        let is_ready = |w: &WantedStep| {
            let name = w.id.name.as_str();
            w.depends.iter().all(|dep| dep != name && (planned.contains(dep) || installed.contains(dep)))
        };
        let Some(next) = waiting.iter().position(is_ready) else { break };
        let wanted = waiting.remove(next);
        let after = wanted.depends.iter().filter(|dep| planned.contains(*dep));
        let after = after.filter_map(|dep| PackageName::new(dep).ok()).collect();
        planned.insert(wanted.id.name.to_string());
        plan.steps.push(Step { id: wanted.id, need: wanted.need, after });
    }
    let edges: BTreeMap<String, Vec<String>> =
        waiting.iter().map(|w| (w.id.name.to_string(), w.depends.clone())).collect();
    for wanted in waiting {
        let unmet = |dep: &&String| !planned.contains(*dep) && !installed.contains(*dep);
        let missing: Vec<String> = wanted.depends.iter().filter(unmet).cloned().collect();
        if let Some(circle) = circle(wanted.id.name.as_str(), &edges) {
            plan.blocked.push((wanted.id, Blocked::Cycle(circle)));
        } else if missing.iter().all(|dep| !known.contains(dep)) {
            plan.deferred.push((wanted.id, missing));
        } else {
            plan.blocked.push((wanted.id, Blocked::Missing(missing)));
        }
    }
}

/// The way from a package back to itself, if its dependencies lead there.
fn circle(start: &str, edges: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    let mut paths = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop() {
        for next in path.last().and_then(|last| edges.get(last)).into_iter().flatten() {
            let mut longer = path.clone();
            longer.push(next.clone());
            if next == start {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                paths.push(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PackageVersion;

    fn id(text: &str) -> PackageId {
        let (name, version) = text.split_once('/').unwrap();
        PackageId::new(PackageName::new(name).unwrap(), PackageVersion::new(version).unwrap())
    }

    fn known(depends: &[&str]) -> Version {
        let depends = depends.iter().map(|d| (*d).to_owned()).collect();
        Version::Known { built: false, autoinstall: true, depends, exclusion: None }
    }

    fn excluded() -> Version {
        let why =
            Exclusion { directive: "D".into(), value: "v".into(), found: "f".into(), of_package: false };
        Version::Known { built: false, autoinstall: true, depends: vec![], exclusion: Some(why) }
    }

    fn facts(candidates: Vec<Vec<(&str, Version)>>, installed: &[&str]) -> Facts {
        let candidates = candidates
            .into_iter()
            .map(|versions| {
                let versions: Vec<_> = versions.into_iter().map(|(text, v)| (id(text), v)).collect();
                Candidate { name: versions[0].0.name.clone(), versions }
            })
            .collect();
        Facts { candidates, installed: installed.iter().map(|n| PackageName::new(n).unwrap()).collect() }
    }

    fn steps(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(|step| step.id.to_string()).collect()
    }

    #[test]
    fn dependencies_come_first_whatever_their_names() {
        let plan = plan_autoinstall(facts(
            vec![vec![("a/1", known(&["c"]))], vec![("b/1", known(&[]))], vec![("c/1", known(&["b"]))]],
            &[],
        ));
        assert_eq!(steps(&plan), ["b/1", "c/1", "a/1"]);
        assert_eq!(plan.steps[2].after, [PackageName::new("c").unwrap()]);
    }

    #[test]
    fn newest_version_that_wants_the_kernel_is_taken() {
        let plan = plan_autoinstall(facts(
            vec![vec![("a/3", excluded()), ("a/2", known(&[])), ("a/1", known(&[]))]],
            &[],
        ));
        assert_eq!(steps(&plan), ["a/2"]);
        let plan = plan_autoinstall(facts(vec![vec![("a/3", excluded()), ("a/2", excluded())]], &[]));
        assert!(plan.steps.is_empty());
        assert_eq!(plan.skipped[0].0, id("a/3"));
    }

    #[test]
    fn blocked_deferred_and_circular_packages_are_distinguished() {
        let plan = plan_autoinstall(facts(
            vec![
                vec![("a/1", known(&["not-added"]))],
                vec![("b/1", known(&["off"]))],
                vec![("c/1", known(&["d"]))],
                vec![("d/1", known(&["c"]))],
                vec![("e/1", known(&["e"]))],
                vec![(
                    "off/1",
                    Version::Known { built: false, autoinstall: false, depends: vec![], exclusion: None },
                )],
            ],
            &[],
        ));
        assert!(plan.steps.is_empty());
        assert_eq!(plan.deferred, [(id("a/1"), vec!["not-added".to_owned()])]);
        assert_eq!(plan.blocked[0], (id("b/1"), Blocked::Missing(vec!["off".to_owned()])));
        assert!(plan.blocked[1..].iter().all(|(_, why)| matches!(why, Blocked::Cycle(_))));
        assert_eq!(plan.blocked.len(), 4);
    }

    #[test]
    fn installed_dependency_counts() {
        let broken = Version::Unusable(Error::NotInTree(id("x/1")));
        let plan = plan_autoinstall(facts(
            vec![
                vec![("a/1", known(&["dep"]))],
                vec![("x/1", broken)],
                vec![("y/1", Version::Installed { intact: true })],
            ],
            &["dep"],
        ));
        assert_eq!(steps(&plan), ["a/1"]);
        assert_eq!(plan.failed.len(), 1);
        assert_eq!(plan.satisfied, [(PackageName::new("y").unwrap(), Satisfied::Installed(id("y/1")))]);
    }

    #[test]
    fn pending_signature_needs_no_compiler() {
        let unsigned = Version::Unsigned(PendingSignature::Missing);
        let plan =
            plan_autoinstall(facts(vec![vec![("a/1", unsigned)], vec![("b/1", known(&["a"]))]], &["a"]));
        assert_eq!(plan.steps[0].need, Need::Sign(PendingSignature::Missing));
        assert!(!plan.steps[0].need.compiles() && plan.steps[1].need.compiles());
        assert_eq!(steps(&plan), ["a/1", "b/1"]);
    }

    #[test]
    fn missing_files_are_installed_without_a_build() {
        let plan = plan_autoinstall(facts(vec![vec![("a/1", Version::Installed { intact: false })]], &["a"]));
        assert_eq!(plan.steps[0].need, Need::Install);
    }
}
