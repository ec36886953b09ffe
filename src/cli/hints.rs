//! What helps with an error, where this machine has to be asked for it.

use super::action::Action;
use super::args::Arguments;
use crate::conf::Settings;
use crate::inspect::check::Kernels;
use crate::kernel::{header_package, with_headers};
use crate::model::remedy::Remedy;
use crate::model::similar::most_similar;
use crate::model::text::quote;
use crate::model::{
    BuildId, Error, KernelRelease, PackageId, PackageName, PackagingProblem, compare_versions,
};
use crate::system::System;
use crate::tree::{Snapshot, Tree};

/// One line, for below an error.
pub(super) fn hint(error: &Error, args: &Arguments, settings: &Settings, system: &System) -> Option<String> {
    match error {
        Error::Reported(error) => hint(error, args, settings, system),
        Error::HeadersMissing { release, kernel_exists, .. } => {
            headers(release, *kernel_exists, settings, system)
        }
        Error::KernelMissing { path } => {
            kernels(&path.file_name().unwrap_or_default().to_string_lossy(), settings, system)
        }
        Error::SourceMissing { path } => {
            let dir = path.file_name().unwrap_or_default().to_string_lossy();
            let name = dir.rsplit_once('-').and_then(|(name, _)| PackageName::new(name).ok())?;
            packages(name.as_str(), settings)
        }
        Error::NotInTree(id) => adding(id, args, settings),
        Error::NameNotInTree(name) => packages(name.as_str(), settings),
        Error::AlreadyAdded(_) => directory(args),
        Error::DependencyMissing { build, missing } => dependencies(build, missing, settings),
        Error::Packaging { problem: PackagingProblem::NotBuilt { target: Some(target), .. }, .. } => {
            unknown(&target.release, settings, system)
        }
        _ => None,
    }
}

/// Where the headers of a kernel come from, or which of the given names is wrong.
fn headers(
    release: &KernelRelease,
    kernel_exists: bool,
    settings: &Settings,
    system: &System,
) -> Option<String> {
    if let Some(given) = settings.kernel_source_dir.as_deref().filter(|path| !path.is_dir()) {
        return Some(format!("The path {} does not exist.", given.display()));
    }
    if !kernel_exists {
        return kernels(release.as_str(), settings, system);
    }
    Some(match header_package::install_command(&settings.kernel(release), system) {
        Some(command) => format!("To install them: {command}"),
        None => "If they are elsewhere, say where with --kernelsourcedir.".to_owned(),
    })
}

/// A package has to be added before it is built; what is to be taken away never was there.
fn adding(id: &PackageId, args: &Arguments, settings: &Settings) -> Option<String> {
    let takes_away = matches!(args.action, Some(Action::Remove | Action::Uninstall | Action::Unbuild));
    let source = settings.source_tree.join(id.source_dir_name());
    if !takes_away && source.join("dkms.conf").is_file() {
        return Some(format!("Add it first: {}", Remedy::Add(id.clone())));
    }
    packages(id.name.as_str(), settings)
}

/// The packages that another one needs, where they are registered.
fn dependencies(build: &BuildId, missing: &[String], settings: &Settings) -> Option<String> {
    let snapshot = Tree::at(&settings.dkms_tree).scan(&settings.source_tree);
    let newest = |name: &String| {
        let name = PackageName::new(name).ok()?;
        snapshot.versions(&name).first().map(|package| package.id.clone())
    };
    let first = missing.iter().map(newest).collect::<Option<Vec<_>>>()?;
    let (package, target) = (build.package.clone(), build.target.clone());
    Some(format!("To install all of them: {}", Remedy::InstallAfter { first, package, target }))
}

/// What takes the content of a directory over, for the author of a package that is added already.
fn directory(args: &Arguments) -> Option<String> {
    let dir = quote(args.source_dir.as_deref()?);
    // add never replaces what is there.
    let action = if args.action == Some(Action::Install) { "install" } else { "build" };
    let remedy = Remedy::TakeOver { action, dir: dir.clone() };
    Some(format!("To take over what {dir} holds now: {remedy}"))
}

/// The versions of a package that there are, where another was named; or a package with a similar name.
fn packages(name: &str, settings: &Settings) -> Option<String> {
    let snapshot = Tree::at(&settings.dkms_tree).scan(&settings.source_tree);
    let versions = PackageName::new(name).map(|name| snapshot.versions(&name)).unwrap_or_default();
    let known: Vec<String> = versions.iter().map(|package| package.id.to_string()).collect();
    if known.is_empty() {
        similar(name, &snapshot)
    } else {
        Some(format!("Registered: {}", known.join(", ")))
    }
}

/// The package that a mistyped name was probably meant for.
fn similar(name: &str, snapshot: &Snapshot) -> Option<String> {
    let similar = most_similar(name, snapshot.names().iter().map(|known| known.as_str()))?;
    Some(format!("Did you mean {similar}?"))
}

/// The kernels that there are, where one was named that is not.
fn kernels(release: &str, settings: &Settings, system: &System) -> Option<String> {
    let running = system.host.running.as_ref();
    if running.is_some_and(|running| running.as_str() == release) {
        let dir = settings.install_tree.join(release);
        return Some(format!("The running kernel has no directory {}.", dir.display()));
    }
    // Also those that have only their headers here.
    let mut kernels = Kernels::read(settings, system).all;
    kernels.extend(with_headers(&settings.install_tree));
    kernels.sort_by(|a, b| compare_versions(a.as_str(), b.as_str()));
    kernels.dedup();
    if kernels.is_empty() {
        return None;
    }
    let shown = |known: &KernelRelease| {
        let mark = if running == Some(known) { " (running)" } else { "" };
        format!("{known}{mark}")
    };
    let all = kernels.iter().map(shown).collect::<Vec<_>>().join(", ");
    let similar = most_similar(release, kernels.iter().map(KernelRelease::as_str));
    let meant = similar.map(|similar| format!(" Did you mean {similar}?")).unwrap_or_default();
    Some(format!("There is no kernel {release} here; the kernels are {all}.{meant}"))
}

/// The same for a kernel that was asked about.
fn unknown(release: &KernelRelease, settings: &Settings, system: &System) -> Option<String> {
    let is_unknown = !settings.kernel(release).exists();
    is_unknown.then(|| kernels(release.as_str(), settings, system)).flatten()
}

/// Says which kernels there are, where one was asked about that is not.
pub(super) fn hint_unknown(release: &KernelRelease, settings: &Settings, system: &System) {
    unknown(release, settings, system).iter().for_each(|hint| system.console.note(hint));
}

/// Says which package may have been meant.
pub(super) fn hint_packages(name: &str, settings: &Settings, system: &System) {
    packages(name, settings).iter().for_each(|hint| system.console.note(hint));
}

/// The same where a rule was made for one that is not registered.
pub(super) fn hint_unregistered(name: &str, settings: &Settings, system: &System) {
    let snapshot = Tree::at(&settings.dkms_tree).scan(&settings.source_tree);
    if !snapshot.names().iter().any(|known| known.as_str() == name) {
        similar(name, &snapshot).iter().for_each(|hint| system.console.note(hint));
    }
}
