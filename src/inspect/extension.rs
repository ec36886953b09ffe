//! What a system extension (systemd-sysext(8)) laid over the modules of a kernel, and the commands for a kernel that only an
//! extension can bring modules to.

use crate::conf::Settings;
use crate::model::remedy::Remedy;
use crate::model::{BuildId, KernelRelease};
use crate::session::Session;
use crate::system::System;
use crate::system::files::{is_read_only, same_content};
use crate::tree::Built;
use std::path::PathBuf;

/// Where systemd-sysext(8) looks for images, the one of the machine's administrator first.
pub(crate) const EXTENSION_DIRS: [&str; 3] = ["/var/lib/extensions", "/etc/extensions", "/run/extensions"];
/// The extension that commands name, in the first of them.
const NAME: &str = "dkms.raw";

/// A build, if an extension brought every module of it as it is now.
pub(crate) fn built_in_extension(session: &Session<'_>, id: &BuildId) -> Option<Built> {
    let kernel = session.kernel(&id.target.release);
    let modules = kernel.extension_modules();
    if modules.is_empty() {
        return None;
    }
    let built = session.tree().built(id)?;
    let is_there = |file: &PathBuf| {
        modules.iter().any(|place| place.file_name() == file.file_name() && same_content(place, file))
    };
    let files = built.module_files();
    (!files.is_empty() && files.iter().all(is_there)).then_some(built)
}

/// A command as it works for a kernel: by an extension where its modules cannot be written, and none where the tree cannot be
/// written either.
pub(crate) fn remedy_for(
    remedy: Remedy,
    release: &KernelRelease,
    settings: &Settings,
    system: &System,
) -> Option<Remedy> {
    if !is_read_only(&settings.install_tree.join(release.as_str())) {
        return Some(remedy);
    }
    let image = || system.path(EXTENSION_DIRS[0]).join(NAME);
    let image = (!is_read_only(&settings.dkms_tree)).then(image);
    remedy.by_extension(image.as_deref())
}
