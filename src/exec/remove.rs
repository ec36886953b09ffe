//! The actions uninstall, unbuild and remove: one package, some kernels, one depmod for each.

use super::uninstall::RemoveCaller;
use super::{Engine, Failures};
use crate::model::{BuildId, Error, KernelRelease, PackageId, Result, Target};
use crate::plan::request::Targets;
use crate::tree::{Intent, Key};

/// The action `uninstall`.
///
/// # Errors
/// The package is not in the tree, or a file could not be removed.
pub fn uninstall_all(engine: &Engine<'_>, package: &PackageId, targets: &Targets) -> Result<()> {
    let targets = engine.removal_targets(package, targets)?;
    engine
        .each_kernel(&targets, |target| engine.uninstall_if_installed(package, target, RemoveCaller::Command))
}

/// The action `unbuild`.
///
/// # Errors
/// The package is not in the tree, or a file could not be removed.
pub fn unbuild_all(engine: &Engine<'_>, package: &PackageId, targets: &Targets) -> Result<()> {
    let targets = engine.removal_targets(package, targets)?;
    engine.each_kernel(&targets, |target| engine.unbuild(package, target, RemoveCaller::Command))
}

/// The action `remove`. A version with builds for other kernels stays in the tree; the source tree is not touched. With
/// `safe_upgrade` one that was added in the same transaction of rpm stays as it is, once.
///
/// # Errors
/// The package is not in the tree, or a file could not be removed.
pub fn remove_all(
    engine: &Engine<'_>,
    package: &PackageId,
    targets: &Targets,
    safe_upgrade: bool,
) -> Result<()> {
    if *targets == Targets::AllBuilt {
        engine.gather_remains(package)?;
    }
    let targets =
        engine.removal_targets(package, targets).inspect_err(|_| engine.writer.tidy(&package.name))?;
    engine.writer.clean_staging(package)?;
    if safe_upgrade && engine.writer.take_upgrade_mark(package, &engine.system.moment())? {
        engine.system.ui.warn(format!(
            "{package} is not removed: with --rpm_safe_upgrade it was added in the same transaction of rpm."
        ));
        return Ok(());
    }
    engine.each_kernel(&targets, |target| engine.unbuild(package, target, RemoveCaller::Command))?;
    if engine.writer.forget(package)? {
        engine.system.ui.say(format!("Deleting module {package} completely from the DKMS tree."));
    }
    Ok(())
}

/// Takes a package out of the tree because it is about to come again. Kernels in `coming` are indexed by whoever
/// installs it for them; the others here.
///
/// # Errors
/// A file could not be removed.
pub fn clear_for_upgrade(
    engine: &Engine<'_>,
    package: &PackageId,
    coming: &[KernelRelease],
) -> Result<Vec<KernelRelease>> {
    let Ok(targets) = engine.removal_targets(package, &Targets::AllBuilt) else { return Ok(Vec::new()) };
    engine.writer.clean_staging(package)?;
    let mut later = Vec::new();
    for target in &targets {
        let changed = engine.unbuild(package, target, RemoveCaller::Command)?;
        if changed && coming.contains(&target.release) {
            later.push(target.release.clone());
        } else if changed {
            engine.index_after_removal(&target.release);
        }
    }
    engine.writer.forget(package)?;
    Ok(later)
}

impl Engine<'_> {
    /// The kernels that a removal is for.
    fn removal_targets(&self, package: &PackageId, targets: &Targets) -> Result<Vec<Target>> {
        let found = self.tree().package(package.clone(), &self.settings.source_tree);
        let found = found.ok_or_else(|| Error::NotInTree(package.clone()))?;
        Ok(match targets {
            Targets::These(targets) => targets.clone(),
            Targets::AllBuilt => found.builds.into_iter().map(|build| build.target).collect(),
        })
    }

    /// Whether modules of a kernel changed and it was not indexed since: a change that failed before it took anything away leaves
    /// nothing to be done.
    fn owes_index(&self, release: &KernelRelease) -> bool {
        self.writer.not_indexed().contains(release)
    }

    /// Runs `change` for each target; where it changed something the kernel is indexed, once, whatever failed.
    fn each_kernel(&self, targets: &[Target], mut change: impl FnMut(&Target) -> Result<bool>) -> Result<()> {
        let mut failures = Failures::default();
        let mut changed: Vec<&KernelRelease> = Vec::new();
        for target in targets {
            let result = change(target);
            let has_changed =
                result.as_ref().map_or_else(|_| self.owes_index(&target.release), |changed| *changed);
            if has_changed && !changed.contains(&&target.release) {
                changed.push(&target.release);
            }
            failures.note(self, result);
        }
        for release in changed {
            self.index_after_removal(release);
        }
        failures.result()
    }

    /// A kernel whose modules are gone must not list them; that depmod failed changes nothing about their being gone.
    pub fn index_after_removal(&self, release: &KernelRelease) {
        if let Err(error) = self.depmod(release) {
            self.system.ui.warn(error.to_string().lines().next().unwrap_or_default());
        }
        self.post_transaction(release);
    }

    /// Tells whether the kernel's modules changed.
    fn uninstall_if_installed(
        &self,
        package: &PackageId,
        target: &Target,
        caller: RemoveCaller,
    ) -> Result<bool> {
        let id = BuildId::new(package.clone(), target.clone());
        match self.tree().installed(&id) {
            Some(installed) => self.uninstall(installed, caller).map(|_| true),
            None => {
                self.system
                    .ui
                    .say(format!("Module {package} is not installed for kernel {target}. Skipping..."));
                Ok(false)
            }
        }
    }

    pub(super) fn unbuild(&self, package: &PackageId, target: &Target, caller: RemoveCaller) -> Result<bool> {
        let id = BuildId::new(package.clone(), target.clone());
        let under_way = self.writer.intend(Intent::Unbuild { build: Key::of(&id) })?;
        let uninstalled = self.uninstall_if_installed(package, target, caller);
        if uninstalled.is_err() && !self.owes_index(&target.release) {
            return uninstalled;
        }
        let result = uninstalled.and_then(|changed| self.discard_build(&id).map(|()| changed));
        if result.is_err() {
            under_way.leave();
        }
        result
    }

    fn discard_build(&self, id: &BuildId) -> Result<()> {
        let BuildId { package, target } = id;
        self.writer.forget_failure(id)?;
        match self.tree().built(id) {
            Some(built) => self.writer.discard(built)?,
            None => {
                self.writer.discard_debris(id)?;
                self.system.ui.say(format!("Module {package} is not built for kernel {target}. Skipping..."));
            }
        }
        Ok(())
    }
}
