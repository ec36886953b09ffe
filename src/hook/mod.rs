//! Who calls us and under which contract: argv and environment in, a trigger, and one policy for the exit status.
//!
//! All hooks are one program, `dkms-hooks`, under the names that callers know. Hooks never read standard input, write only to standard error (but for the one whose output is its answer), and leave
//! nothing running.

mod boot;
mod common_postinst;
mod debian;
mod initramfs;
mod kernel_install;
mod kernels;
mod pending;
mod policy;
mod preflight;
mod regenerate;
mod upcoming;

use boot::boot;
use common_postinst::common_postinst;
use debian::{autoinstaller, hand_back, header_postinst, kernel_postinst, kernel_preinst, kernel_prerm};
use initramfs::{initramfs, initramfs_modules};
use kernel_install::kernel_install;
use preflight::{preflight_apt, preflight_dnf, preflight_pacman, preflight_timer};

use crate::model::text::shown_in_line;
use crate::system::syslog::{Severity, Syslog};
use crate::system::{System, streams};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long a hook waits for another run: longer than the builds of most machines, and not for ever, because apt and the boot
/// wait for the hook. What it leaves is done by the next trigger, at the latest by the boot.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

type Program = fn() -> ExitCode;

/// The programs in /usr/lib/dkms, which are links to one file: what they share is there once.
const PROGRAMS: [(&str, Program); 15] = [
    ("boot", boot),
    ("common.postinst", common_postinst),
    ("dkms_autoinstaller", autoinstaller),
    ("hand-back", hand_back),
    ("header-postinst", header_postinst),
    ("initramfs", initramfs),
    ("initramfs-modules", initramfs_modules),
    ("kernel-install", kernel_install),
    ("kernel-postinst", kernel_postinst),
    ("kernel-preinst", kernel_preinst),
    ("kernel-prerm", kernel_prerm),
    ("preflight-apt", preflight_apt),
    ("preflight-dnf", preflight_dnf),
    ("preflight-pacman", preflight_pacman),
    ("preflight-timer", preflight_timer),
];

/// Runs the program whose name this process was started by.
#[must_use]
pub fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    match PROGRAMS.iter().find(|(program, _)| name == *program) {
        Some((_, program)) => program(),
        None => {
            let names: Vec<&str> = PROGRAMS.iter().map(|(program, _)| *program).collect();
            let text = format!("{called:?} is not the name of a hook; these are: {}", names.join(", "));
            System::capture().console.error(text);
            ExitCode::from(2)
        }
    }
}

/// What every hook program does around its work.
struct Hook {
    system: System,
    args: Vec<String>,
    syslog: Syslog,
    /// Whether old news go to the log alone.
    repeats: bool,
    is_packer: bool,
}

impl Hook {
    fn begin(program: &'static str) -> Self {
        streams::detach();
        Self::new(program)
    }

    fn new(program: &'static str) -> Self {
        crate::system::prepare_process();
        let mut system = System::capture();
        system.patience.get_or_insert(PATIENCE);
        system.called_as(program);
        let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
        let syslog = Syslog::open(&format!("dkms-{program}"), &system);
        Self { system, args, syslog, repeats: false, is_packer: false }
    }

    fn arg(&self, index: usize) -> &str {
        self.args.get(index).map(String::as_str).unwrap_or_default()
    }

    /// A line for people and for the log.
    fn note(&mut self, text: &str) {
        self.system.console.note(format!("dkms: {text}"));
        self.syslog.write(Severity::Info, text);
    }

    fn error(&mut self, text: &str) {
        self.system.console.error(text);
        self.syslog.write(Severity::Error, text);
    }
}

/// Runs a hook and turns its status into the process's.
fn run(program: &'static str, work: impl FnOnce(&mut Hook) -> u8) -> ExitCode {
    run_as(Hook::begin(program), work)
}

fn run_as(mut hook: Hook, work: impl FnOnce(&mut Hook) -> u8) -> ExitCode {
    let by = ["DPKG_MAINTSCRIPT_PACKAGE", "DEB_MAINT_PARAMS", "KERNEL_INSTALL_LAYOUT"]
        .into_iter()
        .filter_map(|name| Some(format!(" {name}={}", shown_in_line(hook.system.variable(name)?))));
    let called = format!("called with {:?}{}", hook.args.join(" "), by.collect::<String>());
    hook.syslog.write(Severity::Info, &called);
    let status = work(&mut hook);
    hook.syslog.write(Severity::Info, &format!("ends with status {status}"));
    ExitCode::from(status)
}
