//! weak-modules: the distribution's tool that lends a kernel's added modules to other kernels with the same symbols.

use crate::conf::Strictness;
use crate::model::{KernelRelease, Result};
use crate::session::WriteSession;
use crate::system::Family;
use crate::system::process::{Command, Input, Outcome, Output};
use crate::tree::Built;
use std::path::PathBuf;

/// What happened to the modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeakChange {
    /// They have just been installed.
    Added,
    /// They are about to go.
    Removed,
}

/// Tells the tool which modules of a build come or go, where the distribution has one and it is not forbidden. What it
/// makes of that is no concern of the action.
pub(crate) fn tell_weak_modules<'a>(
    session: &WriteSession<'_>,
    change: WeakChange,
    built: &Built,
    modules: impl Iterator<Item = &'a PathBuf>,
) {
    let Some(command) = weak_modules(session, change, &built.id().target.release) else { return };
    let forbidden = session.system.variable("NO_WEAK_MODULES").is_some_and(|value| !value.is_empty());
    let lines: String = modules.map(|path| format!("{}\n", path.display())).collect();
    if forbidden || lines.is_empty() || is_kept_from_weak_modules(session, built) {
        return;
    }
    let outcome = command.stdin(Input::Bytes(lines.into())).stderr(Output::Capture).run();
    if let Err(why) = judge(outcome) {
        session.system.console.warn(format!("weak-modules failed for {}: {why}", built.id().package));
    }
}

/// The tool of the distribution, if it is installed.
fn weak_modules(session: &WriteSession<'_>, change: WeakChange, release: &KernelRelease) -> Option<Command> {
    let added = change == WeakChange::Added;
    let (program, arguments) = match session.system.host.distribution.family {
        Family::Rhel => {
            let action = if added { "--add-modules" } else { "--remove-modules" };
            ("/usr/sbin/weak-modules", ["--no-initramfs", action])
        }
        Family::Suse => {
            let action = if added { "--add-kernel-modules" } else { "--remove-kernel-modules" };
            ("/usr/lib/module-init-tools/weak-modules2", [action, release.as_str()])
        }
        _ => return None,
    };
    let program = session.system.path(program);
    program.is_file().then(|| session.system.command(program).args(arguments))
}

/// Whether the package does not want it: as recorded, or as the conf of a package that others built says.
fn is_kept_from_weak_modules(session: &WriteSession<'_>, built: &Built) -> bool {
    if let Some(record) = built.record() {
        return record.no_weak_modules;
    }
    let id = built.id();
    let conf = session.own_conf(&id.package, &id.target, Strictness::Lenient);
    conf.is_ok_and(|conf| conf.no_weak_modules.is_yes())
}

fn judge(outcome: std::io::Result<Outcome>) -> Result<(), String> {
    let outcome = outcome.map_err(|error| error.to_string())?;
    if outcome.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", outcome.status, outcome.stderr_tail()))
}
