//! Carries a request out: takes the lock where something changes, and nothing where not.

use super::request::require_writable;
use super::results::Results;
use super::{
    check_view, conf_view, fsck_view, history_view, lint_view, log_view, preflight_view, preview, status,
};
use crate::archive::source::AddOptions;
use crate::archive::system_extension::mksysext;
use crate::archive::{package, tarball};
use crate::build::preparation::headers_missing;
use crate::build::signer::generate_mok;
use crate::cli::hints::hint_unregistered;
use crate::conf::Settings;
use crate::inspect::check::CheckOptions;
use crate::inspect::pending::is_switched_off;
use crate::model::{Error, ExitCode, Result, Target};
use crate::ops::add::add;
use crate::ops::autoinstall::Report;
use crate::ops::disable::switch_to;
use crate::ops::preflight::Preflight;
use crate::ops::report::{report_error, tell_report};
use crate::ops::rollback::rollback;
use crate::ops::{self, kernel, lifecycle, notice, remove};
use crate::plan::request::{Change, Extent, Force, Removal, Request, Subject};
use crate::session::{Session, WriteSession};
use crate::system::System;
use crate::system::files::is_read_only;
use crate::tree::Tree;

/// Does what is asked.
///
/// # Errors
/// What went wrong, with its exit code.
pub(crate) fn perform(request: &Request, settings: &Settings, system: &System) -> Result<ExitCode> {
    match request {
        Request::Status { filters, format } => status::print(filters, *format, settings, system),
        Request::Conf { subject, conf, target, format } => {
            return conf_view::print(subject, conf.as_deref(), target, *format, settings, system);
        }
        Request::Check { targets, package, full, format } => {
            let scope = CheckOptions { full: *full, package: package.as_ref() };
            return check_view::print(targets, scope, *format, &Session::look(settings, system));
        }
        Request::Fsck { repair } => return fsck_view::print(*repair, settings, system),
        Request::Why { package, target } => preview::why(&Session::look(settings, system), package, target)?,
        Request::Log { package, release, follow } => {
            log_view::print(package.as_ref(), release.as_ref(), *follow, &Session::look(settings, system))?;
        }
        Request::History { package, release, format } => {
            let session = Session::look(settings, system);
            history_view::print(package.as_ref(), release.as_ref(), *format, &session);
        }
        Request::Lint { subject, target, format } => {
            return lint_view::print(subject, target, *format, settings, system);
        }
        Request::Rollback { package, targets } => {
            rollback(package, targets, &ops::change(settings, system)?)?;
        }
        Request::Switch(switch) => {
            switch_to(switch, &ops::change(settings, system)?)?;
            hint_unregistered(switch.package.name.as_str(), settings, system);
        }
        Request::Preflight { headers, releases, arch, force, format } => {
            let wanted = Preflight { headers, releases, arch: arch.as_ref(), force };
            return preflight_view::print(&wanted, *format, settings, system);
        }
        Request::Reported(request) => return reported(request, settings, system),
        Request::DryRun(request) => dry_run(request, &Session::look(settings, system))?,
        Request::GenerateMok { release } => drop(generate_mok(release, settings, system)?),
        Request::Autoinstall { target, force } => return autoinstall(target, force, settings, system),
        Request::InstallRpm { archive, target, force } => {
            tarball::install_rpm(archive, system)?;
            return autoinstall(target, force, settings, system);
        }
        Request::Mktarball { package, conf, targets, content, archive } => {
            let (conf, archive) = (conf.as_deref(), archive.as_deref());
            let packing = tarball::Packing { package, conf, targets, content: *content, archive };
            mktarball(&packing, settings, system)?;
        }
        Request::Mksysext { targets, archive } => {
            let archive = archive.as_deref();
            match change_if_writable(settings, system)? {
                Some(session) => mksysext(targets, archive, &session)?,
                None => mksysext(targets, archive, &Session::look(settings, system))?,
            }
        }
        Request::MakePackage { form, package, conf, targets, content } => {
            let conf = conf.as_deref();
            let packaging = package::Packaging { form: *form, package, conf, targets, content: *content };
            package::make_package(&packaging, &ops::change(settings, system)?)?;
        }
        Request::Removal(removal) => {
            check_removal(removal, settings, system)?;
            remove(removal, &ops::change(settings, system)?)?;
        }
        Request::Change(wanted) => change(wanted, &ops::change(settings, system)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn dry_run(request: &Request, session: &Session<'_>) -> Result<()> {
    match request {
        Request::Autoinstall { target, force } => {
            preview::autoinstall(session, target, force, None);
            Ok(())
        }
        Request::Removal(removal) => preview::removal(session, removal),
        Request::Change(change) => preview::change(session, change),
        Request::Status { .. }
        | Request::Conf { .. }
        | Request::Check { .. }
        | Request::Fsck { .. }
        | Request::Why { .. }
        | Request::Log { .. }
        | Request::History { .. }
        | Request::Lint { .. }
        | Request::Preflight { .. }
        | Request::Switch(_)
        | Request::Rollback { .. }
        | Request::Reported(_)
        | Request::DryRun(_)
        | Request::GenerateMok { .. }
        | Request::InstallRpm { .. }
        | Request::Mktarball { .. }
        | Request::Mksysext { .. }
        | Request::MakePackage { .. } => {
            let text = "--dry-run is for add, build, install, uninstall, unbuild, remove and autoinstall.";
            Err(Error::Usage { code: 2, text: text.to_owned() })
        }
    }
}

/// The lock, for what can also go on beside a tree that cannot be written.
fn change_if_writable<'a>(settings: &'a Settings, system: &'a System) -> Result<Option<WriteSession<'a>>> {
    match ops::change(settings, system) {
        Ok(session) => Ok(Some(session)),
        Err(Error::NotWritable { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lock, for a kernel where something is to do. The tree of a read-only image is complete, or an error.
fn change_if_pending<'a>(
    target: &Target,
    force: &Force,
    settings: &'a Settings,
    system: &'a System,
) -> Result<Option<WriteSession<'a>>> {
    match ops::change(settings, system) {
        Err(Error::NotWritable { .. })
            if is_read_only(&settings.dkms_tree)
                && ops::autoinstall::is_complete(&Session::look(settings, system), target, force) =>
        {
            Ok(None)
        }
        session => session.map(Some),
    }
}

fn mktarball(packing: &tarball::Packing<'_>, settings: &Settings, system: &System) -> Result<()> {
    let session = change_if_writable(settings, system)?;
    let writer = session.as_ref().map(|session| &session.writer);
    tarball::mktarball(packing, writer, settings, system)
}

/// Without the right to take the lock, a missing package is the first error.
fn check_removal(removal: &Removal, settings: &Settings, system: &System) -> Result<()> {
    if system.is_privileged() {
        return Ok(());
    }
    let package = &removal.package;
    let tree = Tree::at(&settings.dkms_tree);
    if tree.package(package.clone(), &settings.source_tree).is_none() && !tree.version_dir(package).is_dir() {
        return Err(Error::NotInTree(package.clone()));
    }
    match removal.extent {
        Extent::Uninstall => Err(Error::NotRoot { action: "uninstall" }),
        // Who owns the lock's file could otherwise take half of a package out.
        Extent::Unbuild | Extent::Remove { .. } => require_writable(&settings.dkms_tree),
    }
}

fn remove(removal: &Removal, session: &WriteSession<'_>) -> Result<()> {
    let Removal { extent, package, targets } = removal;
    match extent {
        Extent::Uninstall => remove::uninstall_all(session, package, targets),
        Extent::Unbuild => remove::unbuild_all(session, package, targets),
        Extent::Remove { safe_upgrade } => remove::remove_all(session, package, targets, *safe_upgrade),
    }
}

fn change(change: &Change, session: &WriteSession<'_>) -> Result<()> {
    match change {
        Change::Add { subject, conf, target, force, safe_upgrade } => {
            let (conf, force, safe_upgrade) = (conf.as_deref(), *force, *safe_upgrade);
            let options = AddOptions { conf, force, safe_upgrade, ..AddOptions::default() };
            add(session, subject, options, target).map(drop)
        }
        Change::Build(job) => lifecycle::build_all(session, job),
        Change::Install(job) => lifecycle::install_all(session, job),
        Change::Match { target, template, package, force } => {
            lifecycle::match_kernel(session, target, template, package.as_ref(), force)
        }
        Change::KernelPreinst { release, arch } => kernel::kernel_preinst(session, release, arch.as_ref()),
        Change::KernelPrerm { release, arch } => kernel::kernel_prerm(session, release, arch.as_ref()),
        Change::Ldtarball { archive, force, target } => {
            let options = AddOptions { force: *force, ..AddOptions::default() };
            add(session, &Subject::Archive(archive.clone()), options, target).map(drop)
        }
    }
}

fn autoinstall(target: &Target, force: &Force, settings: &Settings, system: &System) -> Result<ExitCode> {
    if is_switched_off(system) {
        system.console.say("Automatic installation of modules is disabled: /etc/dkms/no-autoinstall exists.");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(session) = change_if_pending(target, force, settings, system)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let report = ops::autoinstall::autoinstall(&session, target, force)?;
    // As the hook of pacman calls it: no person may be reading.
    if !system.is_by_hand() && system.is_privileged() {
        notice::note(target, &report.lost(), settings, system);
    }
    conclude_autoinstall(&session, target, &report)
}

fn conclude_autoinstall(session: &WriteSession<'_>, target: &Target, report: &Report) -> Result<ExitCode> {
    for (_, error) in report.failed.iter().filter(|(_, error)| matches!(error, Error::FailedBefore { .. })) {
        session.tell(error);
    }
    tell_report(report, &target.release, session.system);
    if !report.without_headers.is_empty() {
        return Err(headers_missing(&session.settings.kernel(&target.release)));
    }
    match report_error(report, &target.release) {
        Some(error) => Err(error),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Carries a request out and prints what became of each package as one document; the lines for people go to standard error.
fn reported(request: &Request, settings: &Settings, system: &System) -> Result<ExitCode> {
    system.console.keep_stdout_for_document();
    let mut results = Results::default();
    let result = match request {
        Request::Autoinstall { target, force } if is_switched_off(system) => {
            autoinstall(target, force, settings, system)
        }
        Request::Autoinstall { target, force } => change_if_pending(target, force, settings, system)
            .and_then(|session| {
                let Some(session) = session else { return Ok(ExitCode::SUCCESS) };
                let report = ops::autoinstall::autoinstall(&session, target, force);
                results.take_attempts(&session);
                let report = report?;
                results.take_report(&report, target);
                conclude_autoinstall(&session, target, &report)
            }),
        Request::Change(Change::Install(job)) => ops::change(settings, system).and_then(|session| {
            let done = lifecycle::install_all(&session, job);
            results.take_attempts(&session);
            done.map(|()| ExitCode::SUCCESS)
        }),
        _ => {
            let text = "--format json is for the packages and kernels of this machine, not for rpm packages.";
            Err(Error::Usage { code: 2, text: text.to_owned() })
        }
    };
    system.console.document(&results.document(&result));
    result
}
