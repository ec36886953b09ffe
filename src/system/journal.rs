//! The journal of systemd, for entries that have a meaning of their own: a message id, under which the catalogue explains them,
//! and fields to search by.
//!
//! Source: systemd, "Native Journal Protocol"; sd_journal_print(3), systemd.journal-fields(7), catalogue files in
//! `packaging/systemd/dkms.catalog`.

use super::System;
use crate::model::text::shown_in_line;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Packages are missing for a kernel.
pub(crate) const DRIVERS_MISSING: &str = "5d0e1ab3c7f24c0f8a6b9d42e7c31f58";
/// A kernel that lacked packages has them.
pub(crate) const DRIVERS_COMPLETE: &str = "b8a96f1d03c54ab79e1f5d2c8407be63";
/// The next kernel would lack packages that the running one has.
pub(crate) const KERNEL_WOULD_LACK: &str = "3f6c0de29a8b4f17b5d4e8a1c0927d6e";

/// syslog(3)'s priorities, as the journal has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    Error,
    Notice,
}

impl Priority {
    fn number(self) -> &'static str {
        match self {
            Self::Error => "3",
            Self::Notice => "5",
        }
    }
}

/// Sends one entry. Without a journal, or with one that hangs, nothing is said: syslog has the line, too.
pub(crate) fn send(
    system: &System,
    id: &str,
    priority: Priority,
    message: &str,
    fields: &[(&'static str, &str)],
) {
    let socket = system.path("/run/systemd/journal/socket");
    let Ok(datagram) = UnixDatagram::unbound() else { return };
    let _ = datagram.set_write_timeout(Some(Duration::from_millis(200)));
    let own = [
        ("MESSAGE_ID", id),
        ("PRIORITY", priority.number()),
        ("SYSLOG_IDENTIFIER", "dkms"),
        ("MESSAGE", message),
    ];
    // A line's end in a value would need the protocol's binary form.
    let line = |(name, value): &(&str, &str)| format!("{name}={}\n", shown_in_line(value));
    let entry: String = own.iter().chain(fields).map(line).collect();
    let _ = datagram.send_to(entry.as_bytes(), socket);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_explains_each_message() {
        let catalogue = include_str!("../../packaging/systemd/dkms.catalog");
        for id in [DRIVERS_MISSING, DRIVERS_COMPLETE, KERNEL_WOULD_LACK] {
            assert!(catalogue.contains(&format!("-- {id}\nSubject: ")), "{id}");
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        let fields = catalogue.split('@').skip(1).step_by(2);
        assert!(fields.into_iter().all(|field| ["DKMS_KERNEL", "DKMS_PACKAGES"].contains(&field)));
    }
}
