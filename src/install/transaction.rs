//! What follows the changes to one kernel's modules: the index, loading what waits for them, the administrator's
//! command.

use crate::install::depmod::depmod;
use crate::model::{KernelRelease, Result};
use crate::programs::log::StepLog;
use crate::session::WriteSession;
use crate::system::dir;
use crate::system::process::Output;
use std::collections::BTreeSet;
use std::path::Path;

/// Runs `post_transaction` of framework.conf for a kernel whose modules changed. Its failure changes nothing.
pub(crate) fn post_transaction(session: &WriteSession<'_>, release: &KernelRelease) {
    let Some(line) = session.settings.post_transaction(release, session.system) else { return };
    let path = session.tree().root().join("post_transaction.log");
    let step = session.system.console.step("dkms", "Running the post_transaction command");
    let command = session.system.command("bash").args(["--norc", "--noprofile", "-c", &line]);
    let command = command.env("kernelver", release.as_str());
    let status = StepLog::create(&path)
        .and_then(|mut log| log.run("Running the post_transaction command", &line, command));
    match status {
        Ok(status) if status.success() => step.done(),
        Ok(status) => {
            step.failed(status);
            session
                .system
                .console
                .warn(format!("post_transaction failed: {status}. Consult {}.", path.display()));
        }
        Err(error) => {
            step.failed("not run");
            session.system.console.warn(format!("post_transaction: {error}"));
        }
    }
}

/// Loads modules for the devices that the running kernel has, where the user wants that.
///
/// # Errors
/// modprobe cannot be started.
pub(crate) fn load_for_devices(session: &WriteSession<'_>, release: &KernelRelease) -> Result<()> {
    if !session.settings.modprobe_on_install || session.system.host.running.as_ref() != Some(release) {
        return Ok(());
    }
    let mut aliases = BTreeSet::new();
    collect_aliases(&session.system.path("/sys/devices"), &mut aliases);
    if !aliases.is_empty() {
        session.system.command("modprobe").args(["-a", "-b", "-q"]).args(&aliases).run()?;
    }
    const UNIT: &str = "systemd-modules-load.service";
    if session.system.path("/lib/systemd/system").join(UNIT).is_file() {
        session.system.command("systemctl").args(["restart", UNIT]).stderr(Output::Inherit).run()?;
    }
    Ok(())
}

/// The lines of every `modalias` file below a directory, without following links.
fn collect_aliases(dir: &Path, aliases: &mut BTreeSet<String>) {
    for entry in dir::entries(dir) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect_aliases(&entry.path(), aliases),
            Ok(kind) if kind.is_file() && entry.file_name() == "modalias" => {
                let text = fs_err::read_to_string(entry.path()).unwrap_or_default();
                aliases.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// A kernel whose modules are gone must not list them; that depmod failed changes nothing about their being gone.
pub(crate) fn index_after_removal(session: &WriteSession<'_>, release: &KernelRelease) {
    if let Err(error) = depmod(session, release) {
        session.system.console.warn(error.to_string().lines().next().unwrap_or_default());
    }
    post_transaction(session, release);
}
