//! What is known of a kernel before anything is unpacked: nothing is built, and nothing of its headers is read.

use super::{KernelForecast, Machine};
use crate::conf::Settings;
use crate::inspect::inputs::{override_paths, source_paths, tool_files};
use crate::inspect::pending::gather;
use crate::model::{BuildId, KernelRelease, Result};
use crate::plan::autoinstall::plan_autoinstall;
use crate::plan::preflight::{Expectations, Outlook, forecast};
use crate::plan::request::Force;
use crate::session::Session;
use crate::system::System;
use crate::system::fingerprint::{Comparison, Fingerprint};
use std::path::PathBuf;

/// Tells which packages do not want the kernel, cannot be built, or did not build when `dkms preflight` tried.
///
/// # Errors
/// The machine has no usable name.
pub(crate) fn glance(
    release: &KernelRelease,
    settings: &Settings,
    system: &System,
) -> Result<KernelForecast> {
    let machine = Machine::look(settings, system)?;
    let session = Session::look(settings, system);
    let target = settings.usual_target(release, system)?;
    let mut plan = plan_autoinstall(gather(&session, &machine.registered, &target, &Force::default()));
    let built = std::mem::take(&mut plan.steps).into_iter().map(|step| (step.id, Ok(()))).collect();
    let expected = Expectations::<()> {
        built,
        plan,
        running: machine.installed.clone(),
        without_source: machine.without_source(),
        out_of_sight: Vec::new(),
    };
    let mut packages = forecast(expected);
    for forecast in packages.iter_mut().filter(|forecast| forecast.outlook == Outlook::Ready) {
        let id = BuildId::new(forecast.package.clone(), target.clone());
        if let Some(failed) = failed_before(&session, &id) {
            forecast.outlook = failed;
        }
    }
    Ok(KernelForecast { target, packages, running: machine.running })
}

/// How a build ended that was tried before the kernel comes, where what the machine has of it is the same since.
fn failed_before(session: &Session<'_>, id: &BuildId) -> Option<Outlook> {
    let kept = session.tree().kept();
    let record = kept.failure(id)?;
    let kernel = session.kernel(&id.target.release);
    let is_same = |print: &Fingerprint, paths: &[PathBuf]| {
        print.compare(paths).is_ok_and(|comparison| comparison != Comparison::Different)
    };
    let is_current = is_same(&record.inputs.source, &source_paths(session, id))
        && is_same(&record.inputs.overrides, &override_paths(session, id, &kernel))
        && record.tool_files == tool_files(session)
        && is_same(&record.tools, &record.tool_files);
    let (at, reason, log) = (record.at, record.reason, kept.log_of_failure(id));
    is_current.then_some(Outlook::Failed { at, reason, log })
}
