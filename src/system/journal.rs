//! syslog(3): what a trigger set off and how it ended, for those who look afterwards.

use super::System;
use syslog::{Facility, Formatter3164, LoggerBackend};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

/// The log of one program. Where no syslog listens, lines are dropped.
pub struct Journal {
    logger: Option<syslog::Logger<LoggerBackend, Formatter3164>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("listens", &self.logger.is_some()).finish()
    }
}

impl Journal {
    /// The log under the identifier `program`. A rooted run has no business in the machine's log.
    #[must_use]
    pub fn open(program: &str, system: &System) -> Self {
        let formatter = Formatter3164 {
            facility: Facility::LOG_DAEMON,
            hostname: None,
            process: program.to_owned(),
            pid: std::process::id(),
        };
        let logger = if system.is_rooted() { None } else { syslog::unix(formatter).ok() };
        Self { logger }
    }

    pub fn write(&mut self, severity: Severity, text: &str) {
        let Some(logger) = &mut self.logger else { return };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let _ = match severity {
                Severity::Info => logger.info(line),
                Severity::Warning => logger.warning(line),
                Severity::Error => logger.err(line),
            };
        }
    }
}
