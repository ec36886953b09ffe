//! Decisions: pure functions from facts to plans, each yes and no with its reason. No I/O.

pub(crate) mod autoinstall;
pub(crate) mod boot_default;
pub(crate) mod dependents;
mod exclusive;
pub(crate) mod lifecycle;
pub(crate) mod order;
pub(crate) mod placement;
pub(crate) mod preflight;
pub(crate) mod refusal;
pub(crate) mod request;

pub(crate) use exclusive::{Buildable, Exclusion, buildable, is_obsolete};
