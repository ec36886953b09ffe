//! syslog(3): what a trigger set off and how it ended, for those who look afterwards.

use super::System;
use crate::model::text::shown;
use syslog::{Facility, Formatter3164, LoggerBackend};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    Error,
}

/// The log of one program. Where no syslog listens, lines are dropped.
pub(crate) struct Syslog {
    logger: Option<syslog::Logger<LoggerBackend, Formatter3164>>,
}

impl std::fmt::Debug for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syslog").field("listens", &self.logger.is_some()).finish()
    }
}

impl Syslog {
    /// The log under the identifier `program`. A rooted run speaks to the log below its root.
    #[must_use]
    pub(crate) fn open(program: &str, system: &System) -> Self {
        let formatter = Formatter3164 {
            facility: Facility::LOG_DAEMON,
            hostname: None,
            process: program.to_owned(),
            pid: std::process::id(),
        };
        let logger = match system.is_rooted() {
            true => syslog::unix_custom(formatter, system.path("/dev/log")).ok(),
            false => syslog::unix(formatter).ok(),
        };
        if let Some(LoggerBackend::Unix(socket)) = logger.as_ref().map(|logger| &logger.backend) {
            // A log that hangs must not hang the installation of a kernel: lines are dropped then.
            let _ = socket.set_write_timeout(Some(std::time::Duration::from_millis(200)));
        }
        Self { logger }
    }

    pub(crate) fn write(&mut self, severity: Severity, text: &str) {
        let Some(logger) = &mut self.logger else { return };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let line = &*shown(line);
            let written = match severity {
                Severity::Info => logger.info(line),
                Severity::Error => logger.err(line),
            };
            if written.is_err() {
                self.logger = None;
                return;
            }
        }
    }
}
