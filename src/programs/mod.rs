//! Runs the programs of packages, other than their builds, and keeps records true about what those change.

pub(crate) mod environment;
pub(crate) mod log;
pub(crate) mod records;
pub(crate) mod scripts;
