//! Decisions: pure functions from facts to plans, each yes and no with its reason. No I/O.

pub mod autoinstall;
pub mod dependents;
mod exclusive;
pub mod lifecycle;
pub mod request;

pub use exclusive::{Buildable, Exclusion, buildable, is_obsolete};
