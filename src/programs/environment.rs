//! The variables that programs find: of a build, and of an installation, which finds those of its build.

use crate::kernel::{Toolchain, vmlinux};
use crate::model::{BuildId, KernelRelease, Result};
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use std::sync::PoisonError;

pub(crate) fn toolchain(session: &WriteSession<'_>, release: &KernelRelease) -> Toolchain {
    let kernel = session.kernel(release);
    let clang = vmlinux::is_built_by_clang(&kernel.build_dir.join("vmlinux"));
    Toolchain::from_kernel(&kernel, clang, session.system)
}

/// The variables of a build's programs.
///
/// # Errors
/// `build_environment` of framework.conf cannot be read.
pub(crate) fn build_environment(
    session: &WriteSession<'_>,
    id: &BuildId,
    toolchain: &Toolchain,
) -> Result<ProgramEnvironment> {
    let mut environment = environment_of(session, id);
    toolchain.environment().for_each(|(name, value)| environment.export(name, value));
    // English messages: the first error is found in them, and people can search for it.
    environment.speak_english(session.system);
    if let Some(file) = &session.settings.build_environment {
        environment.source(file, session.system)?;
    }
    Ok(environment)
}

/// The variables of the package's programs outside of a build.
pub(crate) fn environment_of(session: &WriteSession<'_>, id: &BuildId) -> ProgramEnvironment {
    let kernel = session.kernel(&id.target.release);
    ProgramEnvironment::from_build(id, &kernel, session.settings, session.tree().root())
}

/// The variables for the programs of an installation: those of the build, if it was made in this run.
pub(crate) fn install_environment(session: &WriteSession<'_>, id: &BuildId) -> ProgramEnvironment {
    let environments = session.environments.lock().unwrap_or_else(PoisonError::into_inner);
    environments.get(id).cloned().unwrap_or_else(|| environment_of(session, id))
}
