//! Keeps the machine from shutting down or sleeping while packages are built: half of a kernel's modules is what the next boot would have.
//!
//! Source: systemd-inhibit(1); systemd.io, "Inhibitor Locks". Where there is no systemd, nothing is held, and what was not ready is
//! built at the next boot.

use crate::session::Session;
use crate::system::process::Held;

/// Holds a shutdown back until the value is dropped. Users who ask for one see for which packages it waits.
pub(crate) fn hold_shutdown(session: &Session<'_>, packages: &[String]) -> Option<Held> {
    let system = session.system;
    if !session.settings.inhibit_shutdown || packages.is_empty() {
        return None;
    }
    system.program("systemd-inhibit")?;
    let why = format!("--why=Kernel modules are being built: {}", packages.join(", "));
    // cat(1) ends with the pipe that it reads, and the lock with it.
    let command =
        system.command("systemd-inhibit").args(["--what=shutdown:sleep", "--mode=block", "--who=dkms"]);
    command.arg(why).arg("cat").hold().ok()
}
