//! What every hook does with a kernel: it gets what is pending, or loses what is ours.

use super::Hook;
use super::policy::{self, Failure};
use super::regenerate::{self, When};
use crate::conf::Settings;
use crate::inspect::pending::is_switched_off;
use crate::model::{KernelRelease, PackageId, Result, Target};
use crate::ops::autoinstall::Report;
use crate::ops::report::{report_error, tell_report};
use crate::ops::{self, kernel, notice};
use crate::plan::request::Force;
use crate::system::syslog::Severity;
use crate::tree::{Pending, Tree};

/// Takes the modules of a kernel that goes out of the tree.
///
/// # Errors
/// A package could not be taken out; the others are.
pub(crate) fn take_out(hook: &mut Hook, release: &str, settings: &Settings) -> Result<()> {
    let release = KernelRelease::parse(release)?;
    if !settings.dkms_tree.is_dir() {
        return Ok(());
    }
    let session = ops::change(settings, &hook.system)?;
    kernel::kernel_prerm(&session, &release, None)
}

/// What became of a kernel's modules.
#[derive(Debug, Default)]
pub(crate) struct KernelOutcome {
    /// For a caller who wants to fail when a package does, as configured.
    pub status: u8,
    /// Whether a module is missing that should be there.
    pub incomplete: bool,
    /// The packages that are missing, also for want of headers.
    pub missing: Vec<String>,
    /// What was installed now.
    pub installed: Vec<PackageId>,
}

/// Installs what is pending for a kernel, and reports it on the terminal, in the log and by the status.
pub(crate) fn install_pending(hook: &mut Hook, release: &str, settings: &Settings) -> KernelOutcome {
    if is_switched_off(&hook.system) {
        hook.note("automatic installation of modules is disabled: /etc/dkms/no-autoinstall exists.");
        return KernelOutcome::default();
    }
    match autoinstall(hook, release, settings) {
        Ok((target, report)) => {
            let missing = report.lost();
            notice::note(&target, &missing, settings, &hook.system);
            KernelOutcome {
                status: conclude(hook, &target, &report, settings),
                incomplete: report_error(&report, &target.release).is_some(),
                missing,
                installed: report.installed,
            }
        }
        Err(error) => {
            hook.error(&error.to_string());
            let status = u8::from(settings.on_failure == crate::conf::OnFailure::Fail);
            KernelOutcome { status, incomplete: true, ..KernelOutcome::default() }
        }
    }
}

/// Kernels other than `release` that waited for their headers, and have them now.
fn ready_pending(release: &str, settings: &Settings) -> Vec<(Target, Pending)> {
    let is_ready = |target: &Target| {
        let kernel = settings.kernel(&target.release);
        target.release.as_str() != release && kernel.exists() && kernel.has_headers()
    };
    let pending = Tree::at(&settings.dkms_tree).pending().into_iter();
    let pending = pending.filter_map(|pending| Some((pending.target()?, pending)));
    pending.filter(|(target, _)| is_ready(target)).collect()
}

/// Installs what waited for the headers of other kernels than `release` and can be built now, with a new initramfs where
/// one is needed. Returns whether something is still missing that could be there.
pub(crate) fn take_up_pending(hook: &mut Hook, release: &str, images: When, settings: &Settings) -> bool {
    let mut incomplete = false;
    for (target, pending) in ready_pending(release, settings) {
        hook.note(&format!(
            "the headers of kernel {}, missing since {}, are there now: {}",
            target.release,
            pending.since,
            pending.packages.join(", ")
        ));
        let outcome = install_pending(hook, target.release.as_str(), settings);
        regenerate::ask(hook, target.release.as_str(), &outcome.installed, images, settings);
        incomplete |= outcome.incomplete;
    }
    incomplete
}

fn autoinstall(hook: &mut Hook, release: &str, settings: &Settings) -> Result<(Target, Report)> {
    let target = settings.usual_target(&KernelRelease::parse(release)?, &hook.system)?;
    if !settings.dkms_tree.is_dir() {
        return Ok((target, Report { nothing_pending: true, ..Report::default() }));
    }
    let session = ops::change(settings, &hook.system)?;
    let report = ops::autoinstall::autoinstall(&session, &target, &Force::default())?;
    Ok((target, report))
}

fn conclude(hook: &mut Hook, target: &Target, report: &Report, settings: &Settings) -> u8 {
    let changes = !report.installed.is_empty() || report_error(report, &target.release).is_some();
    if !report.installed.is_empty() || (changes && !hook.is_packer) || !hook.repeats {
        tell_report(report, &target.release, &hook.system);
    }
    if !changes {
        hook.syslog.write(Severity::Info, &format!("kernel {}: nothing is pending", target.release));
    }
    for (id, why) in &report.skipped {
        hook.syslog.write(Severity::Info, &format!("kernel {}: {id} is left out: {why}", target.release));
    }
    if !report.without_headers.is_empty() {
        let ids: Vec<String> = report.without_headers.iter().map(ToString::to_string).collect();
        hook.note(&format!(
            "no headers for kernel {}; {} will be built when linux-headers-{} is installed.",
            target.release,
            ids.join(", "),
            target.release
        ));
    }
    if !report.installed.is_empty() {
        let names: Vec<&str> = report.succeeded.iter().map(crate::model::PackageName::as_str).collect();
        let line = format!(
            "kernel {}: {} installed now; it has {}",
            target.release,
            report.installed.len(),
            names.join(" ")
        );
        hook.syslog.write(Severity::Info, &line);
    }
    if report_error(report, &target.release).is_none() {
        return 0;
    }
    let mut failures: Vec<Failure> =
        report.failed.iter().map(|(id, error)| Failure::from_error(id, target, error)).collect();
    failures.extend(report.blocked.iter().map(|(id, why)| Failure {
        id: id.clone(),
        target: target.clone(),
        reason: why.to_string(),
        log: None,
        code: 11,
    }));
    let block = policy::loud_block(&failures, settings, &hook.system);
    // A program that packs an image says in one line what it lacks.
    if !hook.is_packer {
        hook.system.console.note(&block);
    }
    hook.syslog.write(Severity::Error, &block);
    u8::from(policy::fails_caller(&failures, settings, &hook.system))
}
