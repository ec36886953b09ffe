//! Keeps the boot loader's default on a kernel that has its drivers, while a newer one lacks some; where the administrator wants
//! that (`boot_default="keep-complete"`).
//!
//! Sources: grub's info manual, "Simple configuration handling" (GRUB_DEFAULT=saved) and "Invoking grub-editenv"; bootctl(1),
//! `set-default`.

use crate::inspect::check::{CheckOptions, Kernels, Kind, check};
use crate::kernel::boot_loader::{BootLoader, SetDefault};
use crate::model::{Error, KernelRelease, Result};
use crate::plan::boot_default::{BootFacts, BootPlan, plan_boot_default};
use crate::session::{Session, WriteSession};
use crate::system::process::Output;
use crate::tree::KeptDefault;

/// Brings the default up to date, unless the run is interrupted. What goes wrong is a warning: nothing depends on it.
pub(crate) fn keep_complete(session: &WriteSession<'_>) {
    let ours = session.tree().kept_default();
    let is_of_interest = session.settings.keeps_complete || ours.is_some();
    if !is_of_interest || session.go_on().is_err() {
        return;
    }
    if let Err(error) = bring_up_to_date(session, ours) {
        session.system.console.warn(format!("The default of the boot loader stays as it is: {error}"));
    }
}

fn bring_up_to_date(session: &WriteSession<'_>, ours: Option<KeptDefault>) -> Result<()> {
    let loader = BootLoader::read(&session.settings.boot, &session.system.path("/"));
    let Some(loader) = loader else { return Ok(()) };
    let kernels = match session.settings.keeps_complete {
        true => newest_first(session),
        // Switched off: as if every kernel were complete.
        false => Vec::new(),
    };
    let newest = kernels.first().map(|(release, _)| release.clone());
    let facts = BootFacts { kernels, chosen: loader.chosen(), ours: ours.map(|kept| kept.entry) };
    let console = &session.system.console;
    match plan_boot_default(&facts) {
        BootPlan::Leave => Ok(()),
        BootPlan::Forget => session.writer.note_default(None),
        BootPlan::GiveBack => {
            change(session, &loader.set_default(None))?;
            session.writer.note_default(None)?;
            console.note("dkms: the boot loader starts the newest kernel by default again.");
            Ok(())
        }
        BootPlan::Keep(release) => {
            let failed = |why: String| Error::Io { text: why };
            if let Some(obstacle) = loader.obstacle() {
                return Err(failed(obstacle.to_owned()));
            }
            let entry = loader.entry_of(release.as_str());
            let entry =
                entry.ok_or_else(|| failed(format!("the boot loader has no entry for kernel {release}")))?;
            if facts.chosen.as_ref() == Some(&entry) {
                return Ok(());
            }
            // What is ours is known before it is there.
            let kept = KeptDefault { entry: entry.clone(), release: release.to_string() };
            session.writer.note_default(Some(&kept))?;
            change(session, &loader.set_default(Some(&entry)))?;
            let newest = newest.map(|newest| newest.to_string()).unwrap_or_default();
            console.note(format!(
                "dkms: the boot loader starts kernel {release} by default until {newest} has its drivers."
            ));
            Ok(())
        }
    }
}

/// The kernels that can be booted, each with whether it has what it should have.
fn newest_first(session: &WriteSession<'_>) -> Vec<(KernelRelease, bool)> {
    // Another look: what was read before the change is out of date.
    let look = Session::look(session.settings, session.system);
    let kernels = Kernels::read(session.settings, session.system);
    let releases = kernels.all.iter().rev();
    releases.map(|release| (release.clone(), is_complete(&look, release, &kernels))).collect()
}

fn is_complete(session: &Session<'_>, release: &KernelRelease, kernels: &Kernels) -> bool {
    let Ok(target) = session.settings.usual_target(release, session.system) else { return false };
    let scope = CheckOptions { full: false, package: None };
    let found = check(session, &target, scope, kernels);
    found.findings.iter().all(|finding| match finding.kind {
        // What was disabled is not wanted.
        Kind::Disabled => true,
        Kind::Stale | Kind::Foreign | Kind::NotInImage | Kind::OldInImage => true,
        Kind::NoKernel
        | Kind::Missing
        | Kind::Lost
        | Kind::Damaged
        | Kind::NotIndexed
        | Kind::Unsigned
        | Kind::Untrusted
        | Kind::Unreadable => false,
    })
}

fn change(session: &WriteSession<'_>, wanted: &SetDefault) -> Result<()> {
    let failed = |why: String| Error::Io { text: why };
    let tool = wanted.programs.iter().find_map(|name| session.system.program(name));
    let tool = tool.ok_or_else(|| failed(format!("{} is not installed", wanted.programs[0])))?;
    let outcome = session.system.command(tool).args(&wanted.args).stderr(Output::Capture).run()?;
    if outcome.status.success() { Ok(()) } else { Err(failed(outcome.stderr_tail())) }
}
