//! Under which architecture builds are filed where the caller names none.

use super::{KernelConfig, default_config};
use crate::model::{Arch, Error, Result};
use crate::system::System;
use crate::system::process::Output;
use std::path::Path;

/// The machine's name on Debian, Ubuntu, Arch and Gentoo; elsewhere the ARCH tag of the rpm package that owns the
/// kernel's directory, and the machine's name where rpm does not know.
///
/// A 32-bit name is checked against the configuration of the kernel: setarch(8) and 32-bit chroots change what uname(2)
/// says, and not what the kernel is.
///
/// # Errors
/// The machine has no usable name.
pub(crate) fn default_arch(kernel_dir: &Path, system: &System) -> Result<Arch> {
    let machine = || {
        let machine = system.host.machine.clone().ok_or(Error::ArchUnknown)?;
        Ok(wide_arch(&machine, kernel_dir, system).unwrap_or(machine))
    };
    if system.host.distribution.family.arch_is_machine() {
        return machine();
    }
    packaged_arch(kernel_dir, system).map_or_else(machine, Ok)
}

/// The 64-bit architecture of a kernel for which uname(2) gives a 32-bit name.
fn wide_arch(machine: &Arch, kernel_dir: &Path, system: &System) -> Option<Arch> {
    let (option, wide) = match machine.as_str() {
        "i386" | "i486" | "i586" | "i686" => ("CONFIG_X86_64", "x86_64"),
        "armv7l" | "armv8l" => ("CONFIG_ARM64", "aarch64"),
        "ppc" => ("CONFIG_PPC64", "ppc64"),
        "ppcle" => ("CONFIG_PPC64", "ppc64le"),
        "s390" => ("CONFIG_64BIT", "s390x"),
        "sparc" => ("CONFIG_SPARC64", "sparc64"),
        "mips" => ("CONFIG_64BIT", "mips64"),
        "parisc" => ("CONFIG_64BIT", "parisc64"),
        _ => return None,
    };
    let release = kernel_dir.file_name()?.to_string_lossy();
    let files = [
        default_config(&kernel_dir.join("build")),
        kernel_dir.join("config"),
        system.path("/boot").join(format!("config-{release}")),
    ];
    let config = files.iter().find_map(|file| KernelConfig::read(file))?;
    if config.is_set(option) { Arch::new(wide).ok() } else { None }
}

fn packaged_arch(kernel_dir: &Path, system: &System) -> Option<Arch> {
    let query =
        system.command("rpm").args(["-q", "--queryformat", "%{NAME} %{ARCH}\\n", "-f"]).arg(kernel_dir);
    let outcome = query.stdout(Output::Capture).run().ok().filter(|outcome| outcome.status.success())?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    let owner = text.lines().find(|line| line.contains("kernel"))?;
    Arch::new(owner.rsplit_once(' ')?.1).ok()
}
