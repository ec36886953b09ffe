//! What a person or a hook asks for, from the lock to the report: each action once, from the rooms below.

pub(crate) mod add;
pub(crate) mod autoinstall;
mod boot_default;
mod dependents;
pub(crate) mod disable;
mod finish;
pub(crate) mod history;
pub(crate) mod inhibit;
mod kept;
pub(crate) mod kernel;
pub(crate) mod lifecycle;
pub(crate) mod notice;
pub(crate) mod preflight;
mod recover;
mod remains;
pub(crate) mod remove;
pub(crate) mod repair;
pub(crate) mod replaced;
pub(crate) mod report;
pub(crate) mod rollback;
pub(crate) mod schedule;
pub(crate) mod stand_in;

pub(crate) use recover::change;

use crate::model::{Error, Result};
use crate::session::WriteSession;

/// Collects the failures of work that goes on after them: each is printed at once, and the first one is the result.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Option<Error>,
}

impl Failures {
    pub(crate) fn note<T>(&mut self, session: &WriteSession<'_>, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                session.tell(&error);
                self.first.get_or_insert(error);
            })
            .ok()
    }

    pub(crate) fn result(self) -> Result<()> {
        self.first.map_or(Ok(()), |error| Err(Error::Reported(Box::new(error))))
    }
}
