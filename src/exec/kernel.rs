//! A kernel comes again or goes: its modules are taken out of the tree. Actions kernel_preinst and kernel_prerm.

use super::Engine;
use super::uninstall::RemoveCaller;
use crate::conf::Strictness;
use crate::model::{Arch, Error, KernelRelease, PackageId, Result, Target};

/// The action `kernel_prerm`: every build for the kernel goes, of one architecture or of all.
///
/// # Errors
/// Some package could not be removed; the others are.
pub fn kernel_prerm(engine: &Engine<'_>, release: &KernelRelease, arch: Option<&Arch>) -> Result<()> {
    for package in engine.tree().scan(&engine.settings.source_tree).packages {
        engine.writer.forget_failures(&package.id, release)?;
    }
    engine.writer.forget_pending(release)?;
    unbuild_kernel(engine, release, arch, |_, _| true)
}

/// The action `kernel_preinst`: builds that autoinstall will make again go.
///
/// # Errors
/// Some package could not be removed; the others are.
pub fn kernel_preinst(engine: &Engine<'_>, release: &KernelRelease, arch: Option<&Arch>) -> Result<()> {
    unbuild_kernel(engine, release, arch, |id, target| {
        let path = engine.tree().source(id).join("dkms.conf");
        match engine.conf(id, &path, target, Strictness::Lenient) {
            Ok(conf) => conf.autoinstall.is_yes(),
            Err(error) => {
                engine.system.ui.warn(format!("{id} stays as it is: {error}"));
                false
            }
        }
    })
}

fn unbuild_kernel(
    engine: &Engine<'_>,
    release: &KernelRelease,
    arch: Option<&Arch>,
    wanted: impl Fn(&PackageId, &Target) -> bool,
) -> Result<()> {
    let snapshot = engine.tree().scan(&engine.settings.source_tree);
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
            engine.system.ui.note(format!("dkms: removing: {} ({target})", package.id));
            match engine.unbuild(&package.id, target, RemoveCaller::Kernel) {
                Ok(was_installed) => changed |= was_installed,
                Err(error) => {
                    changed = true;
                    engine.tell(&error);
                    failed.push((package.id.clone(), error));
                }
            }
        }
    }
    if changed {
        engine.index_after_removal(release);
    }
    match of_target {
        Some(target) if !failed.is_empty() => Err(Error::KernelRemovalFailed { target, failed }),
        _ => Ok(()),
    }
}
