//! One kernel module file: its compression, its modinfo, its appended signature, and which of two is the better one.
//!
//! Reads files, never writes them, and starts no program: everything is parsed from bytes in memory.

mod compare;
mod compression;
mod flaw;
mod info;
mod signature;

pub(crate) use compare::{RefuseReason, Verdict, compare_modules};
pub(crate) use compression::{Compression, decompress, read_module};
pub(crate) use flaw::{flaw, machine};
pub(crate) use info::{ModuleInfo, parse_module_info};
pub(crate) use signature::{has_signature, split_signature, strip_signature};

use crate::system::digest::sha256;
use std::io;
use std::path::{Path, PathBuf};

/// SHA-256 of an uncompressed module without its signatures, hexadecimal: what stays the same when it is signed.
#[must_use]
pub(crate) fn image_digest(content: Vec<u8>) -> String {
    sha256(&strip_signature(content))
}

/// A module as read from disk, uncompressed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ModuleFile {
    pub content: Vec<u8>,
    /// Empty when the content is not a module.
    pub info: ModuleInfo,
}

impl ModuleFile {
    #[must_use]
    pub(crate) fn new(content: Vec<u8>) -> Self {
        let info = parse_module_info(&content).unwrap_or_default();
        Self { content, info }
    }

    /// # Errors
    /// As [`read_module`]; a file that is not a module is not an error.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        read_module(path).map(Self::new)
    }
}

/// The file of a module in a build, in any compression.
#[must_use]
pub(crate) fn find_module_file(dir: &Path, name: &str) -> Option<PathBuf> {
    let forms = Compression::ALL
        .into_iter()
        .map(|compression| dir.join(format!("{name}.ko{}", compression.suffix())));
    forms.into_iter().find(|path| path.is_file())
}
