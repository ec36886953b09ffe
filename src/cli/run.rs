//! Carries a request out: takes the lock where something changes, and nothing where not.

use super::request::require_writable;
use super::{check_view, conf_view, fsck_view, status};
use crate::conf::Settings;
use crate::exec::{self, Engine, Job, Report};
use crate::model::{Error, ExitCode, KernelRelease, Result, Target};
use crate::plan::request::{Force, Request, Subject};
use crate::system::System;
use crate::tree::Tree;
use std::path::Path;

/// Does what is asked.
///
/// # Errors
/// What the user or caller must be told, with its exit code.
pub fn perform(request: &Request, settings: &Settings, system: &System) -> Result<ExitCode> {
    match request {
        Request::Status { filters, format } => {
            status::print(filters, *format, settings, system);
            return Ok(ExitCode::SUCCESS);
        }
        Request::Conf { subject, conf, target, format } => {
            return conf_view::print(subject, conf.as_deref(), target, *format, settings, system);
        }
        Request::Check { targets, full, format } => {
            let reader = exec::Reader::new(settings, system);
            return Ok(check_view::print(targets, *full, *format, &reader));
        }
        Request::Fsck { repair } => return fsck_view::print(*repair, settings, system),
        Request::GenerateMok { release } => {
            exec::generate_mok(release, settings, system)?;
            return Ok(ExitCode::SUCCESS);
        }
        Request::Autoinstall { target, force } => {
            return autoinstall(target, force, settings, system);
        }
        Request::Mktarball { package, conf, targets, content, archive } => {
            let (conf, archive) = (conf.as_deref(), archive.as_deref());
            let packing = exec::Packing { package, conf, targets, content: *content, archive };
            exec::mktarball(&packing, settings, system)?;
            return Ok(ExitCode::SUCCESS);
        }
        Request::MakePackage { form, package, conf, targets, content } => {
            let conf = conf.as_deref();
            let packaging = exec::Packaging { form: *form, package, conf, targets, content: *content };
            exec::make_package(&packaging, settings, system)?;
            return Ok(ExitCode::SUCCESS);
        }
        request => {
            if let Some((archive, target, force)) = rpm_package(request) {
                exec::install_rpm(archive, system)?;
                return autoinstall(target, &force, settings, system);
            }
        }
    }
    check_removal(request, settings, system)?;
    let engine = Engine::lock(settings, system)?;
    change(request, &engine).map(|()| ExitCode::SUCCESS)
}

/// Whoever may not take the lock is told first that a package is not there.
fn check_removal(request: &Request, settings: &Settings, system: &System) -> Result<()> {
    if system.is_privileged() {
        return Ok(());
    }
    let package = match request {
        Request::Uninstall { package, .. }
        | Request::Unbuild { package, .. }
        | Request::Remove { package, .. } => package,
        _ => return Ok(()),
    };
    let tree = Tree::at(&settings.dkms_tree);
    if tree.package(package.clone(), &settings.source_tree).is_none() && !tree.version_dir(package).is_dir() {
        return Err(Error::NotInTree(package.clone()));
    }
    match request {
        Request::Uninstall { .. } => Err(Error::NotRoot { action: "uninstall" }),
        // Who owns the lock's file could otherwise take half of a package out.
        _ => require_writable(&settings.dkms_tree),
    }
}

/// The rpm package that a request is given, if it is: rpm installs it, and then autoinstall does the rest.
fn rpm_package(request: &Request) -> Option<(&Path, &Target, Force)> {
    let forced = |force: bool| Force { force, ..Force::default() };
    let (archive, target, force) = match request {
        Request::Add { subject: Subject::Archive(archive), target, force, .. } => {
            (archive, target, forced(*force))
        }
        Request::Build { subject: Subject::Archive(archive), targets, force, .. }
        | Request::Install { subject: Subject::Archive(archive), targets, force, .. } => {
            (archive, targets.first()?, force.clone())
        }
        Request::Ldtarball { archive, force, target } => (archive, target, forced(*force)),
        _ => return None,
    };
    exec::is_rpm(archive).then_some((archive.as_path(), target, force))
}

/// The requests that change one package or kernel.
fn change(request: &Request, engine: &Engine<'_>) -> Result<()> {
    match request {
        Request::Add { subject, conf, target, force, safe_upgrade } => {
            let options =
                exec::AddOptions { conf: conf.as_deref(), force: *force, safe_upgrade: *safe_upgrade };
            engine.add(subject, options, target).map(|_| ())
        }
        Request::Build { subject, conf, targets, force } => {
            let (subject, conf, force) = (subject.clone(), conf.clone(), force.clone());
            exec::build_all(engine, &Job { subject, conf, targets: targets.clone(), force })
        }
        Request::Install { subject, conf, targets, force } => {
            let (subject, conf, force) = (subject.clone(), conf.clone(), force.clone());
            exec::install_all(engine, &Job { subject, conf, targets: targets.clone(), force })
        }
        Request::Uninstall { package, targets } => exec::uninstall_all(engine, package, targets),
        Request::Unbuild { package, targets } => exec::unbuild_all(engine, package, targets),
        Request::Remove { package, targets, safe_upgrade } => {
            exec::remove_all(engine, package, targets, *safe_upgrade)
        }
        Request::Match { target, template, package, force } => {
            exec::match_kernel(engine, target, template, package.as_ref(), force)
        }
        Request::KernelPreinst { release, arch } => exec::kernel_preinst(engine, release, arch.as_ref()),
        Request::KernelPrerm { release, arch } => exec::kernel_prerm(engine, release, arch.as_ref()),
        Request::Ldtarball { archive, force, target } => {
            let options = exec::AddOptions { force: *force, ..exec::AddOptions::default() };
            engine.add(&Subject::Archive(archive.clone()), options, target).map(|_| ())
        }
        Request::Status { .. }
        | Request::Conf { .. }
        | Request::Check { .. }
        | Request::Fsck { .. }
        | Request::Mktarball { .. }
        | Request::MakePackage { .. }
        | Request::GenerateMok { .. }
        | Request::Autoinstall { .. } => Ok(()),
    }
}

/// Whether the administrator switched autoinstall off.
#[must_use]
pub fn is_switched_off(system: &System) -> bool {
    system.path("/etc/dkms/no-autoinstall").exists()
}

fn autoinstall(target: &Target, force: &Force, settings: &Settings, system: &System) -> Result<ExitCode> {
    if is_switched_off(system) {
        system.ui.say("Automatic installation of modules is disabled: /etc/dkms/no-autoinstall exists.");
        return Ok(ExitCode::SUCCESS);
    }
    let engine = Engine::lock(settings, system)?;
    let report = exec::autoinstall(&engine, target, force)?;
    for (_, error) in report.failed.iter().filter(|(_, error)| matches!(error, Error::FailedBefore { .. })) {
        engine.tell(error);
    }
    tell_report(&report, &target.release, system);
    if !report.without_headers.is_empty() {
        let kernel = settings.kernel(&target.release);
        return Err(Error::HeadersMissing { release: target.release.clone(), path: kernel.build_dir });
    }
    match report_error(&report, &target.release) {
        Some(error) => Err(error),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The lines that callers match.
pub fn tell_report(report: &Report, release: &KernelRelease, system: &System) {
    if report.nothing_due {
        return;
    }
    let line = |what: &str, names: Vec<String>| {
        if !names.is_empty() {
            system.ui.say(format!("Autoinstall on {release} {what} for module(s) {}.", names.join(" ")));
        }
    };
    line("succeeded", report.succeeded.iter().map(ToString::to_string).collect());
    line("was skipped", report.skipped.iter().map(|(id, _)| id.name.to_string()).collect());
    for (id, why) in &report.skipped {
        if system.ui.is_verbose() {
            system.ui.say(format!("{id}: {why}"));
        }
    }
    line(
        "failed",
        report.failed.iter().map(|(id, error)| format!("{}({})", id.name, error.exit_code().0)).collect(),
    );
    for (id, why) in &report.blocked {
        system.ui.error(format!("{id} cannot be installed for kernel {release}: {why}."));
    }
    for (id, names) in &report.deferred {
        system.ui.say(format!("{id} waits for {}, which nobody has added yet.", names.join(", ")));
    }
}

/// What a report means for an exit status; the reasons are out already.
#[must_use]
pub fn report_error(report: &Report, release: &KernelRelease) -> Option<Error> {
    if report.failed.is_empty() && report.blocked.is_empty() {
        return None;
    }
    Some(Error::AutoinstallFailed {
        release: release.clone(),
        failed: report.failed.iter().map(|(id, error)| (id.name.to_string(), error.exit_code().0)).collect(),
        unresolved: report.blocked.iter().map(|(id, _)| id.name.to_string()).collect(),
    })
}
