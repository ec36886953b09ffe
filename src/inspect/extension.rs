//! What a system extension (systemd-sysext(8)) laid over the modules of a kernel.

use crate::session::Session;
use crate::system::files::same_content;
use crate::tree::Built;
use std::path::PathBuf;

/// The extension that commands name.
pub(crate) const EXTENSION: &str = "/var/lib/extensions/dkms.raw";

/// Whether an extension brought every module of a build, as it is now.
pub(crate) fn is_in_extension(session: &Session<'_>, built: &Built) -> bool {
    let kernel = session.kernel(&built.id().target.release);
    let modules = kernel.extension_modules();
    if modules.is_empty() {
        return false;
    }
    let is_there = |file: &PathBuf| {
        modules.iter().any(|place| place.file_name() == file.file_name() && same_content(place, file))
    };
    let files = built.module_files();
    !files.is_empty() && files.iter().all(is_there)
}
