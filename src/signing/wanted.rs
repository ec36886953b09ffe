//! What modules are to be signed with, to be compared with what they are signed with.

use std::path::PathBuf;

/// How the modules of a kernel are signed now.
#[derive(Debug)]
pub(crate) enum WantedSignature {
    /// With the key of this certificate; signatures with the certificates of `keeps` stay. Both are named by
    /// [`super::certificate_digest`]. `enforced`: the machine refuses modules that are not signed.
    Certificate { digest: String, files: Vec<PathBuf>, keeps: Vec<String>, enforced: bool },
    /// With a key that is yet to be made.
    NewKey { enforced: bool },
    /// They are left as they are.
    Nothing,
}
