//! The digest that stands for a file's content.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The digest as `sha256sum` prints it.
#[must_use]
pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
