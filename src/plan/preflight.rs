//! What a kernel that is about to come will have, beside what the running one has.

use crate::model::text::shown_in_line;
use crate::model::{Error, PackageId, PackageName};
use crate::plan::autoinstall::{Plan, Satisfied, unregistered};
use std::path::PathBuf;

/// What becomes of one package on a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Its modules are built, and wait for the kernel.
    Ready,
    /// The kernel has modules of its own that are as good or better.
    Provided,
    /// It does not want the kernel.
    Excluded(String),
    Fails(Error),
    /// It did not build some time ago, and it is not known whether it does now.
    Failed {
        at: String,
        reason: String,
        log: Option<PathBuf>,
    },
    /// It needs packages that the kernel will not have.
    Waits(String),
    /// It cannot be tried before the kernel comes.
    Untried(&'static str),
    /// The administrator wants it left alone.
    Disabled(String),
    /// Nothing installs it by itself.
    NotAutomatic(&'static str),
}

impl Outlook {
    /// Whether the kernel will have what the package is for.
    #[must_use]
    pub(crate) fn is_good(&self) -> bool {
        match self {
            Self::Ready | Self::Provided => true,
            Self::Excluded(_)
            | Self::Fails(_)
            | Self::Failed { .. }
            | Self::Waits(_)
            | Self::Untried(_)
            | Self::Disabled(_)
            | Self::NotAutomatic(_) => false,
        }
    }

    /// Whether the kernel will lack it against the administrator's will, as far as that is known.
    #[must_use]
    pub(crate) fn is_missing(&self) -> bool {
        !self.is_good() && !matches!(self, Self::Disabled(_) | Self::Untried(_))
    }
}

impl std::fmt::Display for Outlook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("builds"),
            Self::Provided => f.write_str("is in the kernel itself, as good or better"),
            Self::Excluded(why) => write!(f, "does not want this kernel: {}", shown_in_line(why)),
            Self::Fails(error) => write!(f, "does not build: {}", shown_in_line(&error.in_one_line())),
            Self::Failed { at, reason, .. } => write!(f, "did not build on {at}: {}", shown_in_line(reason)),
            Self::Waits(why) => write!(f, "cannot be built: {}", shown_in_line(why)),
            Self::Untried(why) => write!(f, "cannot be tried before: {why}"),
            Self::Disabled(why) => write!(f, "is left alone: {}", shown_in_line(why)),
            Self::NotAutomatic(why) => write!(f, "is not built automatically: {why}"),
        }
    }
}

/// One package, and whether its absence would be a loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forecast {
    pub package: PackageId,
    pub outlook: Outlook,
    /// Whether the running kernel has it.
    pub is_running: bool,
    /// The version that does not build or does not want the kernel, with the reason.
    pub instead_of: Option<(PackageId, String)>,
}

impl Forecast {
    /// The log of the build that failed.
    #[must_use]
    pub(crate) fn log(&self) -> Option<&PathBuf> {
        match &self.outlook {
            Outlook::Fails(error) => error.log(),
            Outlook::Failed { log, .. } => log.as_ref(),
            _ => None,
        }
    }

    /// Whether a boot into the kernel would lose what works now, and that is not wanted.
    #[must_use]
    pub(crate) fn is_lost(&self) -> bool {
        self.is_running && self.outlook.is_missing()
    }
}

/// What is known before a kernel comes.
#[derive(Debug, Clone)]
pub(crate) struct Expectations<T> {
    /// What autoinstall would do; its steps were carried out as builds.
    pub plan: Plan,
    pub built: Vec<(PackageId, Result<T, Error>)>,
    /// What the running kernel has.
    pub running: Vec<PackageId>,
    /// Packages of which the machine has no source: they cannot be built for any kernel.
    pub without_source: Vec<PackageName>,
    /// Packages whose source is not seen where the builds are made.
    pub out_of_sight: Vec<PackageName>,
}

/// Tells for every package what becomes of it, in the order of names.
#[must_use]
pub(crate) fn forecast<T>(expected: Expectations<T>) -> Vec<Forecast> {
    let Expectations { plan, built, running, without_source, out_of_sight } = expected;
    let mut outlooks: Vec<(PackageId, Outlook)> = Vec::new();
    let replaced = plan.replaced;
    for (id, result) in built {
        let outlook = match result {
            Ok(_) => Outlook::Ready,
            Err(Error::NothingInstalled { .. }) => Outlook::Provided,
            Err(Error::DependencyMissing { missing, .. }) => Outlook::Waits(not_there(&missing)),
            Err(error) if error.is_refusal() => Outlook::Excluded(error.in_one_line()),
            Err(error) => Outlook::Fails(error),
        };
        outlooks.push((id, outlook));
    }
    outlooks.extend(plan.skipped.into_iter().map(|(id, why)| (id, Outlook::Excluded(why.to_string()))));
    outlooks
        .extend(plan.declined.into_iter().map(|(id, error)| (id, Outlook::Excluded(error.in_one_line()))));
    outlooks.extend(plan.disabled.into_iter().map(|(id, why)| (id, Outlook::Disabled(why.to_string()))));
    outlooks.extend(plan.failed.into_iter().map(|(id, error)| (id, Outlook::Fails(error))));
    outlooks.extend(plan.blocked.into_iter().map(|(id, why)| (id, Outlook::Waits(why.to_string()))));
    outlooks.extend(plan.deferred.into_iter().map(|(id, names)| (id, Outlook::Waits(unregistered(&names)))));
    for (name, why) in plan.satisfied {
        let lent = running.iter().find(|id| id.name == name);
        match why {
            Satisfied::Installed(id) | Satisfied::Extended(id) => outlooks.push((id, Outlook::Ready)),
            Satisfied::Lent | Satisfied::Provided => {
                outlooks.extend(lent.map(|id| (id.clone(), Outlook::Provided)));
            }
        }
    }
    for id in &running {
        if outlooks.iter().all(|(known, _)| known.name != id.name) {
            let outlook = if out_of_sight.contains(&id.name) {
                Outlook::Untried("its source lies in the DKMS tree")
            } else if without_source.contains(&id.name) {
                Outlook::NotAutomatic("this machine has no source of it")
            } else {
                Outlook::NotAutomatic("its dkms.conf does not say AUTOINSTALL=yes")
            };
            outlooks.push((id.clone(), outlook));
        }
    }
    outlooks.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let is_running = |name: &PackageName| running.iter().any(|id| id.name == *name);
    let instead_of = |package: &PackageId| {
        let (newer, error, _) = replaced.iter().find(|(_, _, older)| older == package)?;
        let reason = match error {
            Error::FailedBefore { reason, .. } => reason.clone(),
            error => error.in_one_line(),
        };
        Some((newer.clone(), reason))
    };
    let forecast = |(package, outlook): (PackageId, Outlook)| Forecast {
        is_running: is_running(&package.name),
        instead_of: instead_of(&package),
        package,
        outlook,
    };
    outlooks.into_iter().map(forecast).collect()
}

fn not_there(names: &[String]) -> String {
    format!("needs {}, which this kernel will not have", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PackageVersion;
    use crate::plan::Exclusion;
    use crate::plan::autoinstall::Blocked;
    use rstest::rstest;

    fn id(text: &str) -> PackageId {
        let (name, version) = text.split_once('/').unwrap();
        PackageId::new(PackageName::new(name).unwrap(), PackageVersion::new(version).unwrap())
    }

    fn expected() -> Expectations<()> {
        Expectations {
            plan: Plan::default(),
            built: Vec::new(),
            running: vec![id("a/1")],
            without_source: Vec::new(),
            out_of_sight: Vec::new(),
        }
    }

    fn io() -> Error {
        Error::Io { text: "x".into() }
    }

    #[rstest]
    #[case::built(Expectations { built: vec![(id("a/2"), Ok(()))], ..expected() }, false)]
    #[case::failed(Expectations { built: vec![(id("a/1"), Err(io()))], ..expected() }, true)]
    #[case::failed_before(
        Expectations { plan: Plan { failed: vec![(id("a/1"), io())], ..Plan::default() }, ..expected() },
        true
    )]
    #[case::excluded(
        Expectations {
            plan: Plan {
                skipped: vec![(
                    id("a/1"),
                    Exclusion { directive: "D".into(), value: "v".into(), found: "f".into(), of_package: false }
                )],
                ..Plan::default()
            },
            ..expected()
        },
        true
    )]
    #[case::waits(
        Expectations {
            plan: Plan { blocked: vec![(id("a/1"), Blocked::Cycle(vec![]))], ..Plan::default() },
            ..expected()
        },
        true
    )]
    #[case::provided(
        Expectations {
            plan: Plan {
                satisfied: vec![(PackageName::new("a").unwrap(), Satisfied::Provided)],
                ..Plan::default()
            },
            ..expected()
        },
        false
    )]
    #[case::by_hand_only(expected(), true)]
    #[case::without_source(
        Expectations { without_source: vec![PackageName::new("a").unwrap()], ..expected() },
        true
    )]
    #[case::out_of_sight(
        Expectations { out_of_sight: vec![PackageName::new("a").unwrap()], ..expected() },
        false
    )]
    fn lost_is_what_the_running_kernel_has(#[case] expected: Expectations<()>, #[case] lost: bool) {
        let found = forecast(expected);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].is_lost(), lost, "{found:?}");
    }

    #[test]
    fn what_does_not_run_is_no_loss() {
        let found = forecast(Expectations {
            running: Vec::new(),
            built: vec![(id("b/1"), Err(io())), (id("a/1"), Ok(()))],
            ..expected()
        });
        assert_eq!(found.iter().map(|f| f.package.to_string()).collect::<Vec<_>>(), ["a/1", "b/1"]);
        assert!(found.iter().all(|forecast| !forecast.is_lost()));
    }
}
