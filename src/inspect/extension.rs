//! What a system extension (systemd-sysext(8)) laid over the modules of a kernel.

use crate::kernel::Kernel;
use crate::session::Session;
use crate::system::files::same_content;
use crate::tree::Built;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules of an extension that mksysext made, beside their index: one a line, from the kernel's directory on.
pub(crate) const EXTENSION_LIST: &str = ".dkms-sysext";
/// The extension that commands name.
pub(crate) const EXTENSION: &str = "/var/lib/extensions/dkms.raw";

/// The modules that an extension brought to a kernel.
pub(crate) fn extension_modules(kernel: &Kernel) -> BTreeSet<PathBuf> {
    let list = fs_err::read_to_string(kernel.dir.join(EXTENSION_LIST)).unwrap_or_default();
    list.lines().map(|place| kernel.dir.join(Path::new(place))).collect()
}

/// Whether an extension brought every module of a build, as it is now.
pub(crate) fn is_in_extension(session: &Session<'_>, built: &Built) -> bool {
    let modules = extension_modules(&session.kernel(&built.id().target.release));
    let is_there = |file: &PathBuf| {
        let named = modules.iter().find(|place| place.file_name() == file.file_name());
        named.is_some_and(|place| same_content(place, file))
    };
    let files = built.module_files();
    !modules.is_empty() && !files.is_empty() && files.iter().all(is_there)
}
