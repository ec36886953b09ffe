//! What `check` prints: a line for each kernel and for each thing that is wrong with it, or JSON.

use crate::cli::hints::hint_unknown;
use crate::conf::{Isolation, default_isolation};
use crate::inspect::check::{CheckOptions, Finding, KernelCheck, Kernels, check};
use crate::kernel::boot_loader::BootLoader;
use crate::model::{Error, ExitCode, Result, Target};
use crate::plan::request::ConfFormat;
use crate::session::Session;
use crate::system::process;
use crate::system::sandbox::Wall;
use serde::Serialize;

/// Raised when a field goes or changes its meaning; new fields may come at any time.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    complete: bool,
    /// With `--full`.
    isolation: Option<IsolationState>,
    /// The kernel that boot_default keeps as the boot loader's default.
    kept_default: Option<String>,
    kernels: &'a [KernelCheck],
}

/// How the builds of this machine are isolated.
#[derive(Serialize)]
struct IsolationState {
    policy: Isolation,
    walls: Vec<Wall>,
    missing: Vec<Wall>,
}

/// Checks and tells: 0, or 1 where something is wrong.
///
/// # Errors
/// The package that is asked for is not in the tree.
pub(crate) fn print(
    targets: &[Target],
    scope: CheckOptions<'_>,
    format: ConfFormat,
    session: &Session<'_>,
) -> Result<ExitCode> {
    if let Some(wanted) = scope.package {
        let snapshot = session.tree().scan(&session.settings.source_tree);
        if !snapshot.packages.iter().any(|package| wanted.is(&package.id)) {
            return Err(Error::NameNotInTree(wanted.name.clone()));
        }
    }
    let kernels = Kernels::read(session.settings, session.system);
    let checks: Vec<KernelCheck> =
        targets.iter().map(|target| check(session, target, scope, &kernels)).collect();
    let complete = checks.iter().all(|check| check.findings.is_empty());
    let isolation = scope.full.then(|| IsolationState::look(session));
    let kept_default = kept_default(session);
    match format {
        ConfFormat::Json => {
            let document = Document { schema: SCHEMA, complete, isolation, kept_default, kernels: &checks };
            session.system.console.say(serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        ConfFormat::Text => {
            checks.iter().for_each(|check| tell(check, session));
            targets.iter().for_each(|target| hint_unknown(&target.release, session.settings, session.system));
            if let Some(release) = kept_default {
                session.system.console.say(format!(
                    "{release} stays the boot loader's default until a newer kernel has its drivers (boot_default)"
                ));
            }
            isolation.iter().for_each(|state| state.tell(session));
        }
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode(1) })
}

/// The kernel of the default that is ours, if it still is.
fn kept_default(session: &Session<'_>) -> Option<String> {
    let kept = session.tree().kept_default()?;
    let chosen = BootLoader::read(&session.settings.boot, &session.system.path("/"))?.chosen();
    (chosen.as_ref() == Some(&kept.entry)).then_some(kept.release)
}

impl IsolationState {
    fn look(session: &Session<'_>) -> Self {
        let policy = default_isolation(session.settings, session.system);
        let walls = if policy == Isolation::Off { Vec::new() } else { process::walls().standing().to_vec() };
        Self { policy, walls, missing: process::walls().missing() }
    }

    fn tell(&self, session: &Session<'_>) {
        let console = &session.system.console;
        if self.policy == Isolation::Off {
            console.say("Builds are not isolated: framework.conf says build_isolation=\"off\"");
            return;
        }
        let list = |walls: &[Wall]| walls.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let standing = if self.walls.is_empty() { "nothing".to_owned() } else { list(&self.walls) };
        console.say(format!("Builds are isolated ({}) by {standing}", self.policy.name()));
        if !self.missing.is_empty() {
            console.say(format!("  not here: {}", list(&self.missing)));
        }
        if self.missing.contains(&Wall::User) && session.system.host.euid == 0 {
            console.say("      fix: systemd-sysusers dkms.conf");
        }
    }
}

fn tell(check: &KernelCheck, session: &Session<'_>) {
    let console = &session.system.console;
    let KernelCheck { packages, modules, findings, .. } = check;
    let kernel = shown(check, session);
    for note in &check.notes {
        console.note(format!("{kernel}: {note}"));
    }
    for unknown in &check.unknown {
        console.warn(format!("{kernel}: {unknown}"));
    }
    let marks = [
        (check.running, "running kernel"),
        (check.newest, "newest kernel"),
        (check.boots_next, "boots next"),
    ];
    let marks: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join("; ")) };
    if !findings.is_empty() {
        console.say(format!("{kernel}  NOT READY{marks}"));
        findings.iter().for_each(|finding| tell_finding(finding, session));
        return;
    }
    let have = match (packages, modules) {
        (0, _) => "no package is installed".to_owned(),
        (1, 1) => "1 package with 1 module".to_owned(),
        (1, modules) => format!("1 package with {modules} modules"),
        (packages, modules) => format!("{packages} packages with {modules} modules"),
    };
    console.say(format!("{kernel}  complete, {have}{marks}"));
}

/// The release; with the architecture where that is not the usual one.
fn shown(check: &KernelCheck, session: &Session<'_>) -> String {
    let target = &check.target;
    let usual = session.settings.usual_target(&target.release, session.system);
    if usual.is_ok_and(|usual| usual == *target) { check.kernel.clone() } else { target.to_string() }
}

fn tell_finding(finding: &Finding, session: &Session<'_>) {
    let console = &session.system.console;
    let package = finding.package.iter().cloned();
    let module = finding.module.iter().map(|module| format!("module {module}"));
    let who: Vec<String> = package.chain(module).collect();
    let who = if who.is_empty() { String::new() } else { format!("{}  ", who.join(", ")) };
    console.say(format!("  {who}{}", finding.why));
    if let Some(remedy) = &finding.remedy {
        let fix = remedy.label();
        let then = remedy.afterwards().map(|then| format!(", {then}")).unwrap_or_default();
        console.say(format!("      {fix}{remedy}{then}"));
    }
}
