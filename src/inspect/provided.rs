//! Whether a kernel has the modules of a package already.

use crate::conf::{Module, PackageConf};
use crate::inspect::owner::recorded_owner;
use crate::kernel::Kernel;
use crate::kernel::module_file::{ModuleFile, compare_modules, find_module_file};
use crate::plan::{buildable, is_obsolete};
use crate::session::Session;
use crate::tree::Built;
use std::path::PathBuf;

/// Whether the kernel has every module of a build already, as good or better, so that an installation would refuse them all.
pub(crate) fn is_provided(session: &Session<'_>, built: &Built, conf: &PackageConf) -> bool {
    let id = built.id();
    let kernel = session.kernel(&id.target.release);
    let forced = session.system.path("/usr/share/dkms/modules_to_force_install").is_dir();
    if forced || session.tree().active(id.name(), &id.target).is_some() || built.record().is_none() {
        return false;
    }
    let obsolete = conf.obsolete_by.as_ref().is_some_and(|limit| is_obsolete(&id.target.release, limit));
    let wanted = buildable(conf, &id.target, kernel.config());
    let mut modules = conf.modules.iter().filter(|module| wanted.has(module.index)).peekable();
    let is_refused = |module: &Module| {
        let file = find_module_file(&built.modules(), &module.dest_name)?;
        let existing = existing_module(module, &kernel)?;
        // In our own place it is ours, and only the record of it is lost.
        let ours = kernel.dir.join(module.location.trim_start_matches('/')).join(file.file_name()?);
        if existing == ours && recorded_owner(session.tree(), id, &existing).is_none() {
            return None;
        }
        let (kernels, ours) = (ModuleFile::read(&existing).ok()?, ModuleFile::read(&file).ok()?);
        Some(!compare_modules(&kernels, &ours).is_install())
    };
    modules.peek().is_some() && modules.all(|module| obsolete || is_refused(module) == Some(true))
}

/// The kernel's module of that name: a regular file, plain or in the kernel's compression.
pub(crate) fn existing_module(module: &Module, kernel: &Kernel) -> Option<PathBuf> {
    let suffix = kernel.modules().compression_suffix();
    let fits = |found: &&PathBuf| {
        let name = found.file_name().unwrap_or_default().to_string_lossy();
        found.is_file() && (name.ends_with(".ko") || (!suffix.is_empty() && name.ends_with(suffix)))
    };
    kernel.modules().find(&module.dest_name).iter().find(fits).cloned()
}
