//! Under which architecture builds are filed where nobody names one.

use crate::model::{Arch, Error, Result};
use crate::system::System;
use crate::system::process::Output;
use std::path::Path;

/// The machine's name on Debian, Ubuntu, Arch and Gentoo; elsewhere the ARCH tag of the rpm package that owns the
/// kernel's directory, and the machine's name where rpm does not know.
///
/// # Errors
/// The machine has no usable name.
pub fn default_arch(kernel_dir: &Path, system: &System) -> Result<Arch> {
    let machine = || system.host.machine.clone().ok_or(Error::ArchUnknown);
    if system.host.distribution.family.arch_is_machine() {
        return machine();
    }
    packaged_arch(kernel_dir, system).map_or_else(machine, Ok)
}

fn packaged_arch(kernel_dir: &Path, system: &System) -> Option<Arch> {
    let query =
        system.command("rpm").args(["-q", "--queryformat", "%{NAME} %{ARCH}\\n", "-f"]).arg(kernel_dir);
    let outcome = query.stdout(Output::Capture).run().ok().filter(|outcome| outcome.status.success())?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    let owner = text.lines().find(|line| line.contains("kernel"))?;
    Arch::new(owner.rsplit_once(' ')?.1).ok()
}
