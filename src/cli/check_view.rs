//! What `check` prints: a line for each kernel and for each thing that is wrong with it, or JSON.

use crate::inspect::check::{KernelCheck, check};
use crate::model::{ExitCode, Target};
use crate::plan::request::ConfFormat;
use crate::session::Session;
use crate::system::System;
use serde::Serialize;

/// Raised when a field goes or changes its meaning; new fields may come at any time.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    complete: bool,
    kernels: &'a [KernelCheck],
}

/// Checks and tells: 0, or 1 where something is wrong.
pub(crate) fn print(targets: &[Target], full: bool, format: ConfFormat, session: &Session<'_>) -> ExitCode {
    let checks: Vec<KernelCheck> = targets.iter().map(|target| check(session, target, full)).collect();
    let complete = checks.iter().all(|check| check.findings.is_empty());
    let system = session.system;
    match format {
        ConfFormat::Json => {
            let document = Document { schema: SCHEMA, complete, kernels: &checks };
            system.console.say(serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        ConfFormat::Text => checks.iter().for_each(|check| tell(check, system)),
    }
    if complete { ExitCode::SUCCESS } else { ExitCode(1) }
}

fn tell(check: &KernelCheck, system: &System) {
    let KernelCheck { target, packages, modules, findings, .. } = check;
    let have = match (packages, modules) {
        (0, _) => "no package is installed".to_owned(),
        (1, 1) => "1 package with 1 module".to_owned(),
        (1, modules) => format!("1 package with {modules} modules"),
        (packages, modules) => format!("{packages} packages with {modules} modules"),
    };
    for unknown in &check.unknown {
        system.console.warn(format!("kernel {target}: {unknown}"));
    }
    if findings.is_empty() {
        system.console.say(format!("kernel {target}: complete, {have}"));
        return;
    }
    system.console.say(format!("kernel {target}: NOT complete"));
    for finding in findings {
        let package = finding.package.iter().cloned();
        let module = finding.module.iter().map(|module| format!("module {module}"));
        let who: Vec<String> = package.chain(module).collect();
        let who = if who.is_empty() { String::new() } else { format!("{}: ", who.join(", ")) };
        system.console.say(format!("  {who}{}", finding.why));
        if let Some(remedy) = &finding.remedy {
            system.console.say(format!("      {remedy}"));
        }
    }
}
