//! Is the next boot complete: what each kernel should have of ours, and what is wrong with what it has. Only reads.

mod boot;
mod files;
mod image;
mod index;
mod trust;

pub(crate) use boot::Kernels;
#[cfg(any(test, fuzzing))]
pub(crate) use index::parse_modules_dep;

use crate::inspect::extension::remedy_for;
use crate::inspect::pending::{gather, is_switched_off};
use crate::kernel::{Kernel, header_package};
use crate::model::remedy::Remedy;
use crate::model::{Error, KernelRelease, PackageId, PackageName, Target};
use crate::plan::autoinstall::{Blocked, Need, Plan, plan_autoinstall, unregistered};
use crate::plan::request::{Force, PackageQuery};
use crate::session::Session;
use crate::system::dir;
use crate::tree::Snapshot;
use boot::check_lost;
use files::check_files;
use serde::Serialize;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The kernel is not there.
    NoKernel,
    /// A package should be installed and is not.
    Missing,
    /// It is installed, and not what would be built now.
    Stale,
    /// A file is gone, or is nothing that the kernel could load.
    Damaged,
    /// In the place of the installed file is a module that dkms did not install.
    Foreign,
    /// modprobe would not find the module, or would take another file.
    NotIndexed,
    /// The kernel would refuse the module.
    Unsigned,
    /// It is signed with a key that the machine does not trust.
    Untrusted,
    /// The initramfs lacks a module that it should hold.
    NotInImage,
    /// The initramfs was packed before the module was installed.
    OldInImage,
    /// The running kernel has it, and this one will not.
    Lost,
    /// The same, because the administrator disabled it here.
    Disabled,
    /// The tree cannot be read.
    Unreadable,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub kind: Kind,
    pub package: Option<String>,
    pub module: Option<String>,
    pub why: String,
    /// A command that fixes it.
    pub remedy: Option<Remedy>,
}

/// What a kernel has, and what is wrong with it.
#[derive(Debug, Serialize)]
pub(crate) struct KernelCheck {
    pub kernel: String,
    pub arch: String,
    pub running: bool,
    pub newest: bool,
    /// Whether the boot loader starts it next, where its files say it.
    pub boots_next: bool,
    /// Packages that are installed as they should be.
    pub packages: usize,
    /// Their modules.
    pub modules: usize,
    pub findings: Vec<Finding>,
    /// What is worth knowing and needs nothing to be done.
    pub notes: Vec<String>,
    /// What could not be determined; the kernel may be complete.
    pub unknown: Vec<String>,
    #[serde(skip)]
    pub target: Target,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckOptions<'a> {
    /// Read every installed file, and list the initramfs in any case.
    pub full: bool,
    pub package: Option<&'a PackageQuery>,
}

/// Looks at what a kernel has.
#[must_use]
pub(crate) fn check(
    session: &Session<'_>,
    target: &Target,
    scope: CheckOptions<'_>,
    kernels: &Kernels,
) -> KernelCheck {
    let kernel = session.kernel(&target.release);
    let is = |release: Option<&KernelRelease>| release == Some(&target.release);
    let mut check = KernelCheck {
        kernel: target.release.to_string(),
        arch: target.arch.to_string(),
        running: is(kernels.running.as_ref()),
        newest: is(kernels.newest()),
        boots_next: is(kernels.next.as_ref()),
        packages: 0,
        modules: 0,
        findings: Vec::new(),
        notes: Vec::new(),
        unknown: Vec::new(),
        target: target.clone(),
    };
    let flaw = |kind, why| Finding { kind, package: None, module: None, why, remedy: None };
    if !kernel.exists() {
        check.findings.push(flaw(Kind::NoKernel, format!("{} does not exist", kernel.dir.display())));
        return check;
    }
    let unreadable = dir::read(session.tree().root()).err();
    if let Some(error) = unreadable.filter(|error| error.kind() != std::io::ErrorKind::NotFound) {
        check.findings.push(flaw(Kind::Unreadable, error.to_string()));
        return check;
    }
    let mut snapshot = session.tree().scan(&session.settings.source_tree);
    let plan = plan_autoinstall(gather(session, &snapshot, target, &Force::default()));
    check_packages(session, &mut check, &snapshot, &plan, &kernel);
    check_lost(session, &mut check, &snapshot, &plan, kernels);
    if let Some(wanted) = scope.package {
        snapshot.packages.retain(|package| wanted.is(&package.id));
        check.findings.retain(|finding| finding.package.as_deref().is_some_and(|id| wanted.is_text(id)));
    }
    check_files(session, &mut check, &snapshot, &kernel, scope.full);
    for finding in &mut check.findings {
        let remedy = finding.remedy.take();
        finding.remedy =
            remedy.and_then(|remedy| remedy_for(remedy, &target.release, session.settings, session.system));
    }
    check
}

/// Why nothing happens by itself.
const SWITCHED_OFF: &str = "; /etc/dkms/no-autoinstall switches automatic installation off";

fn check_packages(
    session: &Session<'_>,
    check: &mut KernelCheck,
    snapshot: &Snapshot,
    plan: &Plan,
    kernel: &Kernel,
) {
    let target = check.target.clone();
    for (id, error, older) in &plan.replaced {
        let why = match error {
            Error::FailedBefore { reason, at, .. } => format!("{reason} (on {at})"),
            error => error.in_one_line(),
        };
        let fails = if error.is_declined() { "does not want this kernel" } else { "does not build" };
        check.notes.push(format!("{older} is used, because {id} {fails}: {why}"));
    }
    let install = |package: &PackageId| Remedy::Install { package: package.clone(), target: target.clone() };
    let mut add = |kind, id: &PackageId, why: String, remedy: Option<Remedy>| {
        check.findings.push(Finding { kind, package: Some(id.to_string()), module: None, why, remedy });
    };
    // What the kernel has of the package works, if it is not what it should be.
    let kind_of = |id: &PackageId| match session.tree().active(&id.name, &target) {
        Some(_) => Kind::Stale,
        None => Kind::Missing,
    };
    for (id, error) in &plan.failed {
        let kind = kind_of(id);
        match error {
            // What made it fail is in the reason; when that is fixed, this tries again.
            Error::FailedBefore { reason, at, .. } => {
                let again = Remedy::TryAgain { package: id.clone(), target: target.clone() };
                add(kind, id, format!("it failed to build: {reason} (on {at})"), Some(again));
            }
            error => add(kind, id, error.in_one_line(), None),
        }
    }
    for (id, why) in &plan.blocked {
        add(kind_of(id), id, why.to_string(), after(why, id, snapshot, &target));
    }
    for (id, names) in &plan.deferred {
        add(kind_of(id), id, unregistered(names), None);
    }
    let headers = || header_package::install_command(kernel, session.system).map(Remedy::InstallHeaders);
    for step in &plan.steps {
        let id = &step.id;
        let installed = session.tree().active(&id.name, &target);
        let is_installed = installed.is_some_and(|installed| installed.id().package == *id);
        match (&step.need, is_installed) {
            (Need::Rebuild(why), true) => add(Kind::Stale, id, why.to_string(), Some(install(id))),
            (Need::Sign(why), true) => add(Kind::Stale, id, why.to_string(), Some(install(id))),
            (Need::Install, true) => {
                let why = "files are not as they were installed".to_owned();
                add(Kind::Damaged, id, why, Some(install(id)));
            }
            (Need::Install, false) => {
                let off = if is_switched_off(session.system) { SWITCHED_OFF } else { "" };
                add(kind_of(id), id, format!("it is built, and not installed{off}"), Some(install(id)));
            }
            (Need::Build | Need::Rebuild(_) | Need::Sign(_), _) if !kernel.has_headers() => {
                let since = session.tree().pending_since(&target).map(|since| format!(" since {since}"));
                let since = since.unwrap_or_default();
                let why = format!("it waits for the headers of kernel {}{since}", target.release);
                add(kind_of(id), id, why, headers());
            }
            (Need::Build | Need::Rebuild(_) | Need::Sign(_), _) => {
                let first: Vec<PackageId> = planned(plan, &step.after);
                let remedy = match first.is_empty() {
                    true => install(id),
                    false => Remedy::InstallAfter { first, package: id.clone(), target: target.clone() },
                };
                let off = if is_switched_off(session.system) { SWITCHED_OFF } else { "" };
                let why = match &step.need {
                    Need::Rebuild(why) => why.to_string(),
                    _ => "it is not built".to_owned(),
                };
                add(kind_of(id), id, format!("{why}{off}"), Some(remedy));
            }
        }
    }
}

/// The packages of a plan's steps that come before another one, with what they come after.
fn planned(plan: &Plan, names: &[PackageName]) -> Vec<PackageId> {
    let mut found = Vec::new();
    for step in plan.steps.iter().filter(|step| names.contains(&step.id.name)) {
        found.extend(planned(plan, &step.after));
        found.push(step.id.clone());
    }
    found.dedup();
    found
}

/// The command for a package that others are missing for, where they are known.
fn after(why: &Blocked, id: &PackageId, snapshot: &Snapshot, target: &Target) -> Option<Remedy> {
    match why {
        Blocked::Cycle(_) => None,
        Blocked::Missing(names) => {
            let newest = |name: &String| {
                let name = PackageName::new(name).ok()?;
                snapshot.versions(&name).first().map(|package| package.id.clone())
            };
            let first = names.iter().map(newest).collect::<Option<Vec<_>>>()?;
            Some(Remedy::InstallAfter { first, package: id.clone(), target: target.clone() })
        }
    }
}
