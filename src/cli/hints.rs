//! What helps with an error, where this machine has to be asked for it.

use super::action::Action;
use super::args::Arguments;
use crate::conf::Settings;
use crate::inspect::check::Kernels;
use crate::kernel::{header_package, with_headers};
use crate::model::remedy::Remedy;
use crate::model::similar::most_similar;
use crate::model::{
    BuildId, Error, KernelRelease, PackageId, PackageName, PackagingProblem, compare_versions,
};
use crate::system::System;
use crate::system::process::quote;
use crate::tree::Tree;

/// Lines below an error.
pub(super) fn hint(error: &Error, args: &Arguments, settings: &Settings, system: &System) {
    match error {
        Error::Reported(error) => hint(error, args, settings, system),
        Error::HeadersMissing { release, kernel_exists, .. } => {
            hint_headers(release, *kernel_exists, settings, system);
        }
        Error::KernelMissing { path } => {
            hint_kernels(&path.file_name().unwrap_or_default().to_string_lossy(), settings, system);
        }
        Error::SourceMissing { path } => {
            let dir = path.file_name().unwrap_or_default().to_string_lossy();
            let name = dir.rsplit_once('-').and_then(|(name, _)| PackageName::new(name).ok());
            name.iter().for_each(|name| hint_packages(name.as_str(), settings, system));
        }
        Error::NotInTree(id) => hint_adding(id, args, settings, system),
        Error::NameNotInTree(name) => hint_packages(name.as_str(), settings, system),
        Error::AlreadyAdded(_) => hint_directory(args, system),
        Error::DependencyMissing { build, missing } => hint_dependencies(build, missing, settings, system),
        Error::Packaging { problem: PackagingProblem::NotBuilt { target: Some(target), .. }, .. } => {
            hint_unknown(&target.release, settings, system);
        }
        _ => {}
    }
}

/// Where the headers of a kernel come from, or which of the given names is wrong.
fn hint_headers(release: &KernelRelease, kernel_exists: bool, settings: &Settings, system: &System) {
    if let Some(given) = settings.kernel_source_dir.as_deref().filter(|path| !path.is_dir()) {
        return system.console.note(format!("The path {} does not exist.", given.display()));
    }
    if !kernel_exists {
        return hint_kernels(release.as_str(), settings, system);
    }
    system.console.note(match header_package::install_command(&settings.kernel(release), system) {
        Some(command) => format!("To install them: {command}"),
        None => "If they are elsewhere, say where with --kernelsourcedir.".to_owned(),
    });
}

/// A package has to be added before it is built; what is to be taken away never was there.
fn hint_adding(id: &PackageId, args: &Arguments, settings: &Settings, system: &System) {
    let takes_away = matches!(args.action, Some(Action::Remove | Action::Uninstall | Action::Unbuild));
    let source = settings.source_tree.join(id.source_dir_name());
    if !takes_away && source.join("dkms.conf").is_file() {
        return system.console.note(format!("Add it first: {}", Remedy::Add(id.clone())));
    }
    hint_packages(id.name.as_str(), settings, system);
}

/// The packages that another one needs, where they are registered.
fn hint_dependencies(build: &BuildId, missing: &[String], settings: &Settings, system: &System) {
    let snapshot = Tree::at(&settings.dkms_tree).scan(&settings.source_tree);
    let newest = |name: &String| {
        let name = PackageName::new(name).ok()?;
        snapshot.versions(&name).first().map(|package| package.id.clone())
    };
    if let Some(first) = missing.iter().map(newest).collect::<Option<Vec<_>>>() {
        let (package, target) = (build.package.clone(), build.target.clone());
        let remedy = Remedy::InstallAfter { first, package, target };
        system.console.note(format!("To install both: {remedy}"));
    }
}

/// What takes the content of a directory over, for the author of a package that is added already.
fn hint_directory(args: &Arguments, system: &System) {
    let Some(dir) = &args.source_dir else { return };
    // add never replaces what is there.
    let action = if args.action == Some(Action::Install) { "install" } else { "build" };
    let dir = quote(dir);
    let remedy = Remedy::TakeOver { action, dir: dir.clone() };
    system.console.note(format!("To take over what {dir} holds now: {remedy}"));
}

/// The versions of a package that there are, where another was named; or a package with a similar name.
pub(super) fn hint_packages(name: &str, settings: &Settings, system: &System) {
    let snapshot = Tree::at(&settings.dkms_tree).scan(&settings.source_tree);
    let names = snapshot.names();
    let versions = names.iter().find(|known| known.as_str() == name).map(|known| snapshot.versions(known));
    if let Some(versions) = versions {
        let known: Vec<String> = versions.iter().map(|package| package.id.to_string()).collect();
        system.console.note(format!("Registered: {}", known.join(", ")));
    } else if let Some(similar) = most_similar(name, names.iter().map(|known| known.as_str())) {
        system.console.note(format!("Did you mean {similar}?"));
    }
}

/// The kernels that there are, where one was named that is not.
pub(super) fn hint_kernels(release: &str, settings: &Settings, system: &System) {
    let running = system.host.running.as_ref();
    if running.is_some_and(|running| running.as_str() == release) {
        let dir = settings.install_tree.join(release);
        return system.console.note(format!("The running kernel has no directory {}.", dir.display()));
    }
    // Also those that have only their headers here.
    let mut kernels = Kernels::read(settings, system).all;
    kernels.extend(with_headers(&settings.install_tree));
    kernels.sort_by(|a, b| compare_versions(a.as_str(), b.as_str()));
    kernels.dedup();
    let shown = |known: &KernelRelease| {
        let mark = if running == Some(known) { " (running)" } else { "" };
        format!("{known}{mark}")
    };
    if kernels.is_empty() {
        return;
    }
    let all = kernels.iter().map(shown).collect::<Vec<_>>().join(", ");
    let similar = most_similar(release, kernels.iter().map(KernelRelease::as_str));
    let meant = similar.map(|similar| format!(" Did you mean {similar}?")).unwrap_or_default();
    system.console.note(format!("There is no kernel {release} here; the kernels are {all}.{meant}"));
}

/// The same for a kernel that was asked about.
pub(super) fn hint_unknown(release: &KernelRelease, settings: &Settings, system: &System) {
    if !settings.kernel(release).exists() {
        hint_kernels(release.as_str(), settings, system);
    }
}

/// A package with a similar name, where a rule was made for one that is not registered.
pub(super) fn hint_unregistered(name: &str, settings: &Settings, system: &System) {
    let snapshot = Tree::at(&settings.dkms_tree).scan(&settings.source_tree);
    if !snapshot.names().iter().any(|known| known.as_str() == name) {
        hint_packages(name, settings, system);
    }
}
