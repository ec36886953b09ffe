//! What is known of a kernel before anything is unpacked: nothing is built, and nothing of its headers is read.

use super::{KernelForecast, Machine};
use crate::conf::Settings;
use crate::inspect::inputs::source_paths;
use crate::inspect::pending::gather;
use crate::kernel::default_arch;
use crate::model::{BuildId, Error, KernelRelease, Result, Target};
use crate::plan::autoinstall::plan_autoinstall;
use crate::plan::preflight::{Expectations, forecast};
use crate::plan::request::Force;
use crate::session::Session;
use crate::system::System;
use crate::system::fingerprint::Comparison;

/// Tells which packages do not want the kernel, cannot be built, or failed when `dkms preflight` built them from the same source.
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
    let kernel = session.kernel(release);
    let target = Target::new(release.clone(), default_arch(&kernel.dir, system)?);
    let snapshot = session.tree().scan(&settings.source_tree);
    let mut plan = plan_autoinstall(gather(&session, &snapshot, &target, &Force::default()));
    let steps = std::mem::take(&mut plan.steps).into_iter();
    let built = steps.map(|step| {
        let id = BuildId::new(step.id.clone(), target.clone());
        (step.id, failed_before(&session, &id).map_or(Ok(()), Err))
    });
    let expected = Expectations {
        built: built.collect(),
        plan,
        running: machine.installed.clone(),
        without_source: machine.without_source(),
    };
    Ok(KernelForecast { target, packages: forecast(expected), running: machine.running })
}

/// How a build ended that was tried before the kernel comes, where its source is the same since.
fn failed_before(session: &Session<'_>, id: &BuildId) -> Option<Error> {
    let kept = session.tree().kept();
    let record = kept.failure(id)?;
    let source = record.inputs.source.compare(&source_paths(session, id)).ok()?;
    (source != Comparison::Different).then(|| Error::FailedBefore {
        build: id.clone(),
        reason: record.reason,
        log: kept.log_of_failure(id),
        at: record.at,
        code: record.exit_code,
    })
}
