//! What the programs of every build see of the machine.

use crate::model::KernelRelease;
use crate::session::WriteSession;
use crate::system::sandbox::Outline;
use std::path::Path;

/// What a kbuild sees of the machine: the kernel that it is for, and not the keys.
pub(crate) fn kernel_outline(
    session: &WriteSession<'_>,
    release: &KernelRelease,
    key: Option<&Path>,
) -> Outline {
    let kernel = session.kernel(release);
    // The one that modules are signed with, and the one that a kernel of one's own is built with.
    let keys = key.map(Path::to_owned).into_iter().chain([kernel.build_dir.join("certs/signing_key.pem")]);
    // Out-of-tree objects: the directory of the kernel's own source is named in its makefiles.
    let source_of_kernel = [kernel.build_dir.join("source"), kernel.dir.join("source")];
    Outline::of(session.system)
        .hide(keys)
        .show([session.settings.install_tree.clone(), kernel.build_dir.clone()])
        .show(source_of_kernel)
}
