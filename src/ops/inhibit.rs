//! Keeps the machine from shutting down or sleeping while packages are built: half of a kernel's modules is what the next boot would have.
//!
//! Source: systemd-inhibit(1); systemd.io, "Inhibitor Locks". Where there is no systemd, nothing is held, and what was not ready is
//! built at the next boot.

use crate::session::Session;
use crate::system::process::Held;

/// The command without its reason and the program that it runs.
pub(crate) const INHIBIT: [&str; 4] =
    ["systemd-inhibit", "--what=shutdown:sleep", "--mode=block", "--who=dkms"];

/// Holds a shutdown back until the value is dropped. Users who ask for one see for which packages it waits.
pub(crate) fn hold_shutdown(session: &Session<'_>, packages: &[String]) -> Option<Held> {
    let system = session.system;
    if !session.settings.inhibit_shutdown || packages.is_empty() {
        return None;
    }
    let [program, arguments @ ..] = INHIBIT;
    system.program(program)?;
    let why = format!("--why=Kernel modules are being built: {}", packages.join(", "));
    // cat(1) ends with the pipe that it reads, and the lock with it.
    system.command(program).args(arguments).arg(why).arg("cat").hold().ok()
}
