//! The actions uninstall, unbuild and remove: one package, some kernels, one depmod for each.

use crate::install::transaction::index_after_removal;
use crate::install::uninstall::{RemoveCaller, uninstall};
use crate::model::{BuildId, Error, KernelRelease, PackageId, Result, Target};
use crate::ops::Failures;
use crate::ops::kept::drop_package;
use crate::ops::remains::gather_remains;
use crate::ops::replaced::{
    follow_removal, forget_superseded, forget_use, forget_use_of, keep_replaced, retire,
};
use crate::ops::stand_in::{install_built, stand_in_everywhere};
use crate::plan::request::Targets;
use crate::session::WriteSession;
use crate::system::package_script::{PackageScript, package_script};
use crate::tree::{Entry, Key};

/// The action `uninstall`.
///
/// # Errors
/// The package is not in the tree, or a file could not be removed.
pub(crate) fn uninstall_all(
    session: &WriteSession<'_>,
    package: &PackageId,
    targets: &Targets,
) -> Result<()> {
    let targets = removal_targets(session, package, targets)?;
    forget_use_by_hand(session, package, &targets, package_script());
    each_kernel(session, &targets, |target| {
        uninstall_if_installed(session, package, target, RemoveCaller::Command)
    })
}

/// What a person takes away does not come back.
fn forget_use_by_hand(
    session: &WriteSession<'_>,
    package: &PackageId,
    targets: &[Target],
    script: Option<PackageScript>,
) {
    if session.system.is_by_hand() && script.is_none() {
        targets.iter().for_each(|target| {
            forget_use_of(session, &BuildId::new(package.clone(), target.clone()));
        });
    }
}

/// The action `unbuild`.
///
/// # Errors
/// The package is not in the tree, or a file could not be removed.
pub(crate) fn unbuild_all(session: &WriteSession<'_>, package: &PackageId, targets: &Targets) -> Result<()> {
    let targets = removal_targets(session, package, targets)?;
    forget_use_by_hand(session, package, &targets, package_script());
    each_kernel(session, &targets, |target| unbuild(session, package, target, RemoveCaller::Command))
}

/// The action `remove`. A version with builds for other kernels stays in the tree; the source tree is not touched. With
/// `safe_upgrade` one that was added in the same transaction of rpm stays as it is, once.
///
/// # Errors
/// The package is not in the tree, or a file could not be removed.
pub(crate) fn remove_all(
    session: &WriteSession<'_>,
    package: &PackageId,
    targets: &Targets,
    safe_upgrade: bool,
) -> Result<()> {
    if *targets == Targets::AllBuilt {
        gather_remains(session, package)?;
    }
    let script = package_script();
    let targets = match removal_targets(session, package, targets) {
        Ok(targets) => targets,
        Err(error) => {
            session.writer.tidy(&package.name);
            // Its package's own version was removed by hand before. What stepped in for it goes all the same.
            if script == Some(PackageScript::Removal) {
                if let Some(older) = follow_removal(session, package, script) {
                    remove_all(session, &older, &Targets::AllBuilt, false)?;
                }
            }
            return Err(error);
        }
    };
    session.writer.clean_staging(package)?;
    if safe_upgrade && session.writer.take_upgrade_mark(package, &session.system.moment())? {
        session.system.console.warn(format!(
            "{package} is not removed: with --rpm_safe_upgrade it was added in the same transaction of rpm."
        ));
        return Ok(());
    }
    forget_use_by_hand(session, package, &targets, script);
    let is_replaced = session.tree().is_replaced(package);
    if let Some(script) = script.filter(|script| *script != PackageScript::Removal) {
        keep_replaced(session, package, script != PackageScript::InFavour);
    }
    each_kernel(session, &targets, |target| unbuild(session, package, target, RemoveCaller::Command))?;
    drop_package(session, package);
    if !session.writer.forget(package)? {
        return Ok(());
    }
    session.system.console.say(format!("Deleting module {package} completely from the DKMS tree."));
    // One at a time: its own removal is followed by the next one's.
    if let Some(older) = follow_removal(session, package, script) {
        return remove_all(session, &older, &Targets::AllBuilt, false);
    }
    if script == Some(PackageScript::InFavour) {
        forget_use(session, &package.name);
    }
    // rpm removes the old version when the new one is there, whether that works or not.
    if script == Some(PackageScript::Cleanup) && !is_replaced {
        let registered = session.tree().versions_of(&package.name, &session.settings.source_tree);
        let own: Vec<_> =
            registered.into_iter().filter(|other| !session.tree().is_replaced(&other.id)).collect();
        own.iter().for_each(|own| install_built(session, own));
        stand_in_everywhere(session, &package.name, own.first().map(|own| &own.id));
        forget_superseded(session, [&package.name]);
        retire(session, true);
    }
    Ok(())
}

/// Takes a package out of the tree because it is about to come again. Kernels in `coming` are indexed by the caller that
/// installs it for them; the others here.
///
/// # Errors
/// A file could not be removed.
pub(crate) fn clear_for_upgrade(
    session: &WriteSession<'_>,
    package: &PackageId,
    coming: &[KernelRelease],
) -> Result<Vec<KernelRelease>> {
    let Ok(targets) = removal_targets(session, package, &Targets::AllBuilt) else { return Ok(Vec::new()) };
    keep_replaced(session, package, true);
    session.writer.clean_staging(package)?;
    let mut later = Vec::new();
    for target in &targets {
        let changed = unbuild(session, package, target, RemoveCaller::Command)?;
        if changed && coming.contains(&target.release) {
            later.push(target.release.clone());
        } else if changed {
            index_after_removal(session, &target.release);
        }
    }
    session.writer.forget(package)?;
    Ok(later)
}

/// The kernels that a removal is for.
fn removal_targets(
    session: &WriteSession<'_>,
    package: &PackageId,
    targets: &Targets,
) -> Result<Vec<Target>> {
    let found = session.tree().package(package.clone(), &session.settings.source_tree);
    let found = found.ok_or_else(|| Error::NotInTree(package.clone()))?;
    Ok(match targets {
        Targets::These(targets) => targets.clone(),
        Targets::AllBuilt => found.builds.into_iter().map(|build| build.target).collect(),
    })
}

/// Whether modules of a kernel changed and it was not indexed since: a change that failed before it took anything away leaves
/// nothing to be done.
fn owes_index(session: &WriteSession<'_>, release: &KernelRelease) -> bool {
    session.writer.journal.not_indexed().contains(release)
}

/// Runs `change` for each target; where it changed something the kernel is indexed, once, whatever failed.
fn each_kernel(
    session: &WriteSession<'_>,
    targets: &[Target],
    mut change: impl FnMut(&Target) -> Result<bool>,
) -> Result<()> {
    let mut failures = Failures::default();
    let mut changed: Vec<&KernelRelease> = Vec::new();
    for target in targets {
        let result = change(target);
        let has_changed =
            result.as_ref().map_or_else(|_| owes_index(session, &target.release), |changed| *changed);
        if has_changed && !changed.contains(&&target.release) {
            changed.push(&target.release);
        }
        failures.note(session, result);
    }
    for release in changed {
        index_after_removal(session, release);
    }
    failures.result()
}

/// Tells whether the kernel's modules changed.
fn uninstall_if_installed(
    session: &WriteSession<'_>,
    package: &PackageId,
    target: &Target,
    caller: RemoveCaller,
) -> Result<bool> {
    let id = BuildId::new(package.clone(), target.clone());
    match session.tree().installed(&id) {
        Some(installed) => uninstall(session, installed, caller).map(|_| true),
        None => {
            session
                .system
                .console
                .say(format!("Module {package} is not installed for kernel {target}. Skipping..."));
            Ok(false)
        }
    }
}

pub(crate) fn unbuild(
    session: &WriteSession<'_>,
    package: &PackageId,
    target: &Target,
    caller: RemoveCaller,
) -> Result<bool> {
    let id = BuildId::new(package.clone(), target.clone());
    let under_way = session.writer.journal.begin(Entry::Unbuild { build: Key::from_build(&id) })?;
    let uninstalled = uninstall_if_installed(session, package, target, caller);
    if uninstalled.is_err() && !owes_index(session, &target.release) {
        return uninstalled;
    }
    let result = uninstalled.and_then(|changed| discard_build(session, &id).map(|()| changed));
    if result.is_err() {
        under_way.keep();
    }
    result
}

fn discard_build(session: &WriteSession<'_>, id: &BuildId) -> Result<()> {
    let BuildId { package, target } = id;
    session.writer.forget_failure(id)?;
    match session.tree().built(id) {
        Some(built) => session.writer.discard(built)?,
        None => {
            session.writer.discard_debris(id)?;
            session
                .system
                .console
                .say(format!("Module {package} is not built for kernel {target}. Skipping..."));
        }
    }
    Ok(())
}
