//! One kernel module file: its compression, its modinfo, its appended signature, and which of two is the better one.
//!
//! Reads files, never writes them, and starts no program: everything is parsed from bytes in memory.

mod compare;
mod compression;
mod flaw;
mod info;
mod signature;

pub use compare::{InstallReason, RefuseReason, Verdict, compare_modules};
pub use compression::{Compression, decompress, read_module};
pub use flaw::{Flaw, flaw, machine};
pub use info::{InfoError, ModuleInfo, parse_module_info};
pub use signature::{has_signature, split_signature, strip_signature};

use crate::system::digest::sha256;
use std::io;
use std::path::Path;

/// SHA-256 of an uncompressed module without its signatures, hexadecimal: what stays the same when it is signed.
#[must_use]
pub fn image_digest(content: Vec<u8>) -> String {
    sha256(&strip_signature(content))
}

/// A module as read from disk, uncompressed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleFile {
    pub content: Vec<u8>,
    /// Empty when the content is no module.
    pub info: ModuleInfo,
}

impl ModuleFile {
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        let info = parse_module_info(&content).unwrap_or_default();
        Self { content, info }
    }

    /// # Errors
    /// As [`read_module`]; a file that is no module is no error.
    pub fn read(path: &Path) -> io::Result<Self> {
        read_module(path).map(Self::new)
    }
}
