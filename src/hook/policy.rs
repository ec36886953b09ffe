//! One policy: what the failure of a package means for the program that triggered its build, and how loudly it is reported.

use crate::conf::{OnFailure, Settings};
use crate::inspect::extension::remedy_for;
use crate::inspect::known_conf::known_values;
use crate::model::remedy::Remedy;
use crate::model::{BuildId, Error, PackageId, Target};
use crate::session::Session;
use crate::system::System;
use crate::tree::Tree;
use std::fmt::Write;
use std::path::PathBuf;

/// A package that a kernel does not have.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub id: PackageId,
    pub target: Target,
    pub reason: String,
    pub log: Option<PathBuf>,
    pub code: u8,
}

impl Failure {
    #[must_use]
    pub(crate) fn from_error(id: &PackageId, target: &Target, error: &Error) -> Self {
        let reason = error.in_one_line();
        let log = error.log().cloned();
        Self { id: id.clone(), target: target.clone(), reason, log, code: error.exit_code().0 }
    }
}

/// Whether any of the failures fails the caller: `on_failure` of the package, else of framework.conf.
#[must_use]
pub(crate) fn fails_caller(failures: &[Failure], settings: &Settings, system: &System) -> bool {
    failures.iter().any(|failure| match package_policy(failure, settings, system).as_deref() {
        Some("fail") => true,
        Some("warn") => false,
        _ => settings.on_failure == OnFailure::Fail,
    })
}

/// What the package's dkms.conf and its overrides say, however invalid they are otherwise.
fn package_policy(failure: &Failure, settings: &Settings, system: &System) -> Option<String> {
    let id = BuildId::new(failure.id.clone(), failure.target.clone());
    let values = known_values(&Session::look(settings, system), &id).ok()?.values;
    values.get("on_failure").or_else(|| values.get("ON_FAILURE")).map(str::to_owned)
}

/// The block at the end, which is hard to overlook.
#[must_use]
pub(crate) fn loud_block(failures: &[Failure], settings: &Settings, system: &System) -> String {
    const RULE: &str = "==============================================================================";
    let mut text = format!("\n{RULE}\ndkms: these drivers could not be built:\n");
    for failure in failures {
        let _ = writeln!(text, "\n  {} for kernel {}", failure.id, failure.target);
        let _ = writeln!(text, "    reason: {}", failure.reason);
        if let Some(log) = &failure.log {
            let _ = writeln!(text, "    log:    {}", log.display());
        }
        let retry = Remedy::Install { package: failure.id.clone(), target: failure.target.clone() };
        if let Some(retry) = remedy_for(retry, &failure.target.release, settings, system) {
            let _ = writeln!(text, "    retry:  {retry}");
        }
    }
    let tree = Tree::at(&settings.dkms_tree);
    let is_in_use = |failure: &Failure| tree.active(&failure.id.name, &failure.target).is_some();
    let running = system.host.running.as_ref();
    let is_running = |failure: &Failure| running == Some(&failure.target.release);
    let consequence = match (failures.iter().all(is_in_use), failures.iter().all(is_running)) {
        (true, _) => "An earlier build of them stays in use.",
        (false, true) => "Hardware that depends on them does not work with this kernel.",
        (false, false) => "Hardware that depends on them will not work after you boot that kernel.",
    };
    let _ = write!(text, "\n{consequence}\n{RULE}\n");
    text
}
