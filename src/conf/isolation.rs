//! How far the builds of a package are kept from the machine: the administrator's word, in framework.conf and in
//! /etc/dkms/<M>.conf. What a package says about it in its own dkms.conf means nothing.

use super::administrator::read_over;
use super::settings::ISOLATION;
use super::{EvalContext, Settings, Values};
use crate::model::text::shown_in_line;
use crate::system::System;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What happens behind the walls, and where a build does not stand them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Isolation {
    /// A build that is denied something is tried once without.
    #[default]
    Auto,
    /// It fails.
    Strict,
    /// No walls.
    Off,
}

impl Isolation {
    /// As the administrator writes it.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Off => "off",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "auto" => Some(Self::Auto),
            "strict" => Some(Self::Strict),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

impl Serialize for Isolation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The rule for one package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct IsolationPolicy {
    pub isolation: Isolation,
    /// Files and directories that its builds may write beside their own, absolute.
    pub paths: Vec<PathBuf>,
}

impl IsolationPolicy {
    /// From values of framework.conf, or of a file for one package over those. `file` is named in warnings.
    pub(super) fn from_values(values: &Values, file: &str, system: &System) -> Self {
        let text = values.get(ISOLATION[0]).unwrap_or_default();
        let isolation = Isolation::parse(text).unwrap_or_else(|| {
            system.console.warn(format!(
                "build_isolation in {file} is {text:?}, which is none of auto, strict and off; using auto."
            ));
            Isolation::Auto
        });
        let paths = values.get(ISOLATION[1]).unwrap_or_default().split_whitespace().map(PathBuf::from);
        let (paths, relative): (Vec<PathBuf>, Vec<PathBuf>) = paths.partition(|path| path.is_absolute());
        for path in relative {
            system.console.warn(format!(
                "build_paths in {file} has {}, which is no absolute path; ignoring it.",
                shown_in_line(&path.to_string_lossy())
            ));
        }
        Self { isolation, paths }
    }
}

/// The rule for packages without one of their own.
#[must_use]
pub(crate) fn default_isolation(settings: &Settings, system: &System) -> Isolation {
    IsolationPolicy::from_values(&settings.isolation, "framework.conf", system).isolation
}

/// The rule for the builds of a package.
#[must_use]
pub(crate) fn isolation_of(view: EvalContext<'_>, settings: &Settings, system: &System) -> IsolationPolicy {
    let variables = super::variables(view, settings, system);
    read_policy(&super::existing_overrides(view, system), &variables, settings, system)
}

/// The same from the files of /etc/dkms for the package: they stand over framework.conf, and the command line over them.
pub(super) fn read_policy(
    overrides: &[PathBuf],
    variables: &BTreeMap<String, String>,
    settings: &Settings,
    system: &System,
) -> IsolationPolicy {
    let start = settings.isolation.clone();
    let (values, last) = read_over(start, &ISOLATION, overrides, variables, system);
    let file = last.map_or_else(|| "framework.conf".to_owned(), |path| path.display().to_string());
    let mut policy = IsolationPolicy::from_values(&values, &file, system);
    if settings.no_isolation {
        policy.isolation = Isolation::Off;
    }
    policy
}
