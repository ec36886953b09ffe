//! The action rollback: an older version takes the place of the installed one, and stays.

use crate::conf::with_rule;
use crate::model::remedy::Remedy;
use crate::model::{
    BuildId, BuildState, Error, PackageId, PackageName, Result, SourceState, Target, compare_versions,
};
use crate::ops::Failures;
use crate::ops::disable::{read, write};
use crate::ops::lifecycle::install_all;
use crate::ops::replaced::{bring_back, usable};
use crate::plan::request::{Force, Job};
use crate::session::WriteSession;

/// Goes back on each kernel, or on those that have the package. What fails leaves the installed version as it is.
///
/// # Errors
/// No kernel has the package, there is no older version, or one does not build.
pub(crate) fn rollback(package: &PackageName, targets: &[Target], session: &WriteSession<'_>) -> Result<()> {
    if !session.tree().name_dir(package).is_dir() {
        return Err(Error::NameNotInTree(package.clone()));
    }
    let having = kernels_with(package, session);
    let targets = if targets.is_empty() { having } else { targets.to_vec() };
    if targets.is_empty() {
        return Err(nothing(format!(
            "No kernel has {package}.\nInstall a version of it: {}",
            Remedy::InstallNewest(package.clone())
        )));
    }
    let mut failures = Failures::default();
    for target in &targets {
        session.go_on()?;
        failures.note(session, go_back(package, target, session));
    }
    failures.result()
}

fn nothing(text: String) -> Error {
    Error::Usage { code: 3, text }
}

fn kernels_with(package: &PackageName, session: &WriteSession<'_>) -> Vec<Target> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let builds = snapshot.versions(package).into_iter().flat_map(|package| package.builds.clone());
    let installed = builds.filter(|build| build.state == BuildState::Installed);
    let mut targets: Vec<Target> = installed.map(|build| build.target).collect();
    targets.sort();
    targets.dedup();
    targets
}

fn go_back(package: &PackageName, target: &Target, session: &WriteSession<'_>) -> Result<()> {
    let Some(installed) = session.tree().active(package, target) else {
        return Err(nothing(format!("No version of {package} is installed for kernel {target}.")));
    };
    let from = installed.id().package.clone();
    let registered = older(&from, target, session);
    let is_older = |id: &PackageId| compare_versions(id.version.as_str(), from.version.as_str()).is_lt();
    let replaced = usable(session, package, target).find(is_older);
    let is_newer = |id: &PackageId| {
        registered
            .as_ref()
            .is_none_or(|to| compare_versions(id.version.as_str(), to.version.as_str()).is_gt())
    };
    let to = match replaced.filter(is_newer) {
        Some(id) => Some(bring_back(session, &id)?.id().clone()),
        None => registered,
    };
    let Some(to) = to else {
        return Err(nothing(format!(
            "{package} has no version older than {} that could be installed for kernel {target}.",
            from.version
        )));
    };
    // What is in place is newer, on purpose.
    let force = Force { version_override: true, ..Force::default() };
    let job = Job::of_package(to.clone(), target.clone(), force);
    // First the rule: a run that is killed in between must not bring back what is left.
    let before = read(session)?;
    let reason = format!("rolled back to {}", to.version);
    write(&with_rule(&before, &from.to_string(), target.release.as_str(), &reason), session)?;
    if let Err(error) = install_all(session, &job) {
        write(&before, session)?;
        return Err(error);
    }
    let undo = Remedy::UndoRollback { from: from.clone(), target: target.clone() };
    session
        .system
        .console
        .say(format!("{to} takes the place of {from} on kernel {target}.\nTo undo: {undo}"));
    Ok(())
}

/// The newest older version that is built for the kernel or can be.
fn older(from: &PackageId, target: &Target, session: &WriteSession<'_>) -> Option<PackageId> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let is_older = |id: &PackageId| compare_versions(id.version.as_str(), from.version.as_str()).is_lt();
    let found = snapshot.versions(&from.name).into_iter().find(|package| {
        let built = session.tree().built(&BuildId::new(package.id.clone(), target.clone()));
        let can_be_made = built.is_some() || package.source == SourceState::Added;
        is_older(&package.id) && can_be_made && session.disabling(&package.id, target).is_none()
    });
    found.map(|package| package.id.clone())
}
