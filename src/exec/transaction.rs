//! What follows the changes to one kernel's modules: the index, loading what waits for them, the administrator's
//! command.

use super::Engine;
use super::log::StepLog;
use crate::model::{KernelRelease, Result};
use crate::system::process::Output;
use std::collections::BTreeSet;
use std::path::Path;

impl Engine<'_> {
    /// Runs `post_transaction` of framework.conf for a kernel whose modules changed. Its failure changes nothing.
    pub fn post_transaction(&self, release: &KernelRelease) {
        let Some(line) = self.settings.post_transaction(release, self.system) else { return };
        let path = self.tree().root().join("post_transaction.log");
        let step = self.system.ui.step("dkms", "Running the post_transaction command");
        let command = self.system.command("bash").args(["--norc", "--noprofile", "-c", &line]);
        let command = command.env("kernelver", release.as_str());
        let status = StepLog::create(&path)
            .and_then(|mut log| log.run("Running the post_transaction command", &line, command));
        match status {
            Ok(status) if status.success() => step.done(),
            Ok(status) => {
                step.failed(status);
                self.system
                    .ui
                    .warn(format!("post_transaction failed: {status}. Consult {}.", path.display()));
            }
            Err(error) => {
                step.failed("not run");
                self.system.ui.warn(format!("post_transaction: {error}"));
            }
        }
    }

    /// Loads modules for the devices that the running kernel has, where the user wants that.
    ///
    /// # Errors
    /// modprobe cannot be started.
    pub fn load_for_devices(&self, release: &KernelRelease) -> Result<()> {
        if !self.settings.modprobe_on_install || self.system.host.running.as_ref() != Some(release) {
            return Ok(());
        }
        let mut aliases = BTreeSet::new();
        collect_aliases(&self.system.path("/sys/devices"), &mut aliases);
        if !aliases.is_empty() {
            self.system.command("modprobe").args(["-a", "-b", "-q"]).args(&aliases).run()?;
        }
        const UNIT: &str = "systemd-modules-load.service";
        if self.system.path("/lib/systemd/system").join(UNIT).is_file() {
            self.system.command("systemctl").args(["restart", UNIT]).stderr(Output::Inherit).run()?;
        }
        Ok(())
    }
}

/// The lines of every `modalias` file below a directory, without following links.
fn collect_aliases(dir: &Path, aliases: &mut BTreeSet<String>) {
    for entry in fs_err::read_dir(dir).into_iter().flatten().flatten() {
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
