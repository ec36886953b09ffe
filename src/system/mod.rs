//! The one context: paths, host facts, the environment snapshot, programs, files, the lock and the mouth.
//!
//! Everything that touches the machine goes through here; nothing above reads a global.

pub mod files;
pub mod lock;
pub mod process;
