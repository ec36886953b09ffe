//! The shared crate of the DKMS suite.

pub mod cli;
pub mod conf;
pub mod exec;
pub mod hook;
pub mod kernel;
pub mod model;
pub mod plan;
pub mod signing;
pub mod system;
pub mod tree;
