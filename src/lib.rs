//! The shared crate of the DKMS suite.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests prepare files as they like"))]

pub mod cli;
pub mod conf;
pub mod exec;
pub mod kernel;
pub mod model;
pub mod plan;
pub mod signing;
pub mod system;
pub mod tree;

/// The version that callers compare.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
