//! The main job: a kernel gets every pending module.

use crate::inspect::pending::gather;
use crate::install::install;
use crate::install::work::InstallOptions;
use crate::model::{AttemptResult, Error, PackageId, PackageName, Result, Target};
use crate::ops::kept::drop_unused;
use crate::ops::lifecycle::finish;
use crate::ops::schedule::{self, Ending};
use crate::plan::autoinstall::{Blocked, Satisfied, plan_autoinstall};
use crate::plan::request::Force;
use crate::programs::records::note_rewritten;
use crate::session::WriteSession;
use crate::system::signals;

/// The result for every package that was pending or could not be built.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Installed now, or before.
    pub succeeded: Vec<PackageName>,
    /// Those of them that were installed now.
    pub installed: Vec<PackageId>,
    /// Packages that do not want the kernel, with the reason.
    pub skipped: Vec<(PackageId, String)>,
    pub failed: Vec<(PackageId, Error)>,
    pub blocked: Vec<(PackageId, Blocked)>,
    pub deferred: Vec<(PackageId, Vec<String>)>,
    /// Packages that could not be built because the kernel's headers are not there.
    pub without_headers: Vec<PackageId>,
    /// Whether nothing was pending.
    pub nothing_pending: bool,
}

/// Installs what is pending for a kernel. Packages do not affect each other; the report has the result of each.
///
/// # Errors
/// Nothing could be tried at all.
pub(crate) fn autoinstall(session: &WriteSession<'_>, target: &Target, force: &Force) -> Result<Report> {
    session.system.console.set_brief(true);
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let facts = gather(session, &snapshot, target, force);
    note_rewritten(session);
    let mut plan = plan_autoinstall(facts);
    let mut report = Report { nothing_pending: plan.is_empty(), ..Report::default() };
    // What failed before is printed with the report, as loud as the caller wants it.
    let is_news = |error: &&Error| !matches!(error, Error::FailedBefore { .. });
    for error in plan.broken.iter().chain(&plan.failed).map(|(_, error)| error).filter(is_news) {
        session.tell(error);
    }
    // Without headers nothing can be compiled, but what is built can still be installed or signed.
    let kernel = session.kernel(&target.release);
    if !kernel.has_headers() {
        report.without_headers = plan.drop_builds();
    }
    // A kernel that is not there waits for nothing; its name may be a mistake.
    let pending: &[PackageId] = if kernel.exists() { &report.without_headers } else { &[] };
    if let Err(error) = session.writer.note_pending(target, pending) {
        session.tell(&error);
    }
    let options = InstallOptions { conf: None, force: force.clone() };
    let ending =
        Ending { finish: &|built| install(session, built, &options), success: AttemptResult::Installed };
    let ended = schedule::run(session, target, std::mem::take(&mut plan.steps), force, &ending)?;
    let mut installed = Vec::new();
    let mut left = Vec::new();
    for (id, result) in ended {
        match result {
            Ok(proof) => installed.push((id, proof)),
            // The kernel has it: there is nothing to install, now or later.
            Err(Error::NothingInstalled { .. }) => plan.satisfied.push((id.name, Satisfied::Provided)),
            Err(Error::Interrupted { .. }) => left.push(id.to_string()),
            Err(error) if error.is_refusal() => report.skipped.push((id, error.in_one_line())),
            Err(error) => report.failed.push((id, error)),
        }
    }
    let (ids, proofs): (Vec<PackageId>, Vec<_>) = installed.into_iter().unzip();
    match finish(session, target, proofs, force) {
        Ok(()) => {
            report.succeeded = ids.iter().map(|id| id.name.clone()).collect();
            report.installed = ids;
        }
        Err(error) => {
            session.tell(&error);
            report.failed.extend(ids.into_iter().map(|id| (id, error.clone())));
        }
    }
    if let Some(signal) = signals::received().filter(|_| !left.is_empty()) {
        return Err(Error::Interrupted { signal, complete: false, left });
    }
    report.succeeded.splice(0..0, plan.satisfied.into_iter().map(|(name, _)| name));
    report.skipped.splice(0..0, plan.declined.into_iter().map(|(id, error)| (id, error.in_one_line())));
    report.skipped.splice(0..0, plan.skipped.into_iter().map(|(id, why)| (id, why.to_string())));
    report.failed.splice(0..0, plan.failed);
    drop_unused(session);
    report.blocked = plan.blocked;
    report.deferred = plan.deferred;
    Ok(report)
}
