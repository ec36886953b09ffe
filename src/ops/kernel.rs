//! A kernel comes again or goes: its modules are taken out of the tree. Actions kernel_preinst and kernel_prerm.

use crate::conf::Strictness;
use crate::install::transaction::index_after_removal;
use crate::install::uninstall::RemoveCaller;
use crate::model::{Arch, Error, KernelRelease, PackageId, Result, Target};
use crate::ops::remove::unbuild;
use crate::session::WriteSession;

/// The action `kernel_prerm`: every build for the kernel goes, of one architecture or of all.
///
/// # Errors
/// Some package could not be removed; the others are.
pub(crate) fn kernel_prerm(
    session: &WriteSession<'_>,
    release: &KernelRelease,
    arch: Option<&Arch>,
) -> Result<()> {
    for package in session.tree().scan(&session.settings.source_tree).packages {
        session.writer.forget_kernel(&package.id, release)?;
    }
    session.writer.forget_pending(release)?;
    unbuild_kernel(session, release, arch, |_, _| true)
}

/// The action `kernel_preinst`: builds that autoinstall will make again go.
///
/// # Errors
/// Some package could not be removed; the others are.
pub(crate) fn kernel_preinst(
    session: &WriteSession<'_>,
    release: &KernelRelease,
    arch: Option<&Arch>,
) -> Result<()> {
    unbuild_kernel(session, release, arch, |id, target| {
        match session.own_conf(id, target, Strictness::Lenient) {
            Ok(conf) => conf.autoinstall.is_yes(),
            Err(error) => {
                session.system.console.warn(format!("{id} stays as it is: {error}"));
                false
            }
        }
    })
}

fn unbuild_kernel(
    session: &WriteSession<'_>,
    release: &KernelRelease,
    arch: Option<&Arch>,
    wanted: impl Fn(&PackageId, &Target) -> bool,
) -> Result<()> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let mut failed = Vec::new();
    let mut changed = false;
    let mut of_target = None;
    for package in &snapshot.packages {
        for build in &package.builds {
            let target = &build.target;
            let is_meant = target.release == *release && arch.is_none_or(|arch| *arch == target.arch);
            if !is_meant || !wanted(&package.id, target) {
                continue;
            }
            of_target.get_or_insert_with(|| target.clone());
            session.system.console.note(format!("dkms: removing: {} ({target})", package.id));
            match unbuild(session, &package.id, target, RemoveCaller::Kernel) {
                Ok(was_installed) => changed |= was_installed,
                Err(error) => {
                    changed = true;
                    session.tell(&error);
                    failed.push((package.id.clone(), error));
                }
            }
        }
    }
    if changed {
        index_after_removal(session, release);
    }
    of_target
        .filter(|_| !failed.is_empty())
        .map_or(Ok(()), |target| Err(Error::KernelRemovalFailed { target, failed }))
}
