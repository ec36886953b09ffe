//! What the image of a kernel holds, and what of ours it must hold. Only reads.

use crate::conf::InInitramfs;
use crate::inspect::known_conf::known_conf;
use crate::kernel::Kernel;
use crate::model::module_name::{module_name, normal};
use crate::model::remedy::Remedy;
use crate::model::{BuildState, PackageName, Target};
use crate::session::Session;
use crate::system::System;
use crate::system::dir;
use crate::tree::{Installed, Package, Snapshot, Tree};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What belongs into an image.
#[derive(Debug, Default)]
pub(crate) struct ImageModules {
    pub names: BTreeSet<String>,
    /// Packages that belong into it and are not installed, and those whose files cannot be read.
    pub problems: Vec<String>,
}

/// The modules that belong into the image of a kernel: those of packages that say INITRAMFS=yes, and those that stand for
/// modules of the kernel which the image would have. `image` is what it holds so far, unpacked.
#[must_use]
pub(crate) fn image_modules(session: &Session<'_>, target: &Target, image: &Path) -> ImageModules {
    let kernel = session.kernel(&target.release);
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let mut found = ImageModules::default();
    for name in snapshot.names() {
        let Some(package) = serving(&snapshot, name, target) else { continue };
        let conf = match known_conf(session, &package.build_id(target)) {
            Ok(conf) => conf,
            Err(error) => {
                let id = &package.id;
                found
                    .problems
                    .push(format!("Cannot determine whether {id} belongs in the initramfs: {error}"));
                continue;
            }
        };
        let installed = session.tree().installed(&package.build_id(target));
        match (conf.in_initramfs(), installed) {
            (InInitramfs::Yes, Some(installed)) => found.names.extend(installed.module_names()),
            (InInitramfs::Yes, None) => found.problems.push(format!(
                "{} belongs into the initramfs of kernel {target}, and is not installed for it.\nTry: {}",
                package.id,
                Remedy::Install { package: package.id.clone(), target: target.clone() }
            )),
            (InInitramfs::Auto, Some(installed)) => {
                found.names.extend(successors(session.tree(), &installed, &kernel, image));
            }
            _ => {}
        }
    }
    found
}

/// The version of a package that is installed, else the highest one.
fn serving<'a>(snapshot: &'a Snapshot, name: &PackageName, target: &Target) -> Option<&'a Package> {
    let versions = snapshot.versions(name);
    let installed = versions.iter().find(|package| package.state(target) == Some(BuildState::Installed));
    installed.or(versions.first()).copied()
}

/// Modules that stand for some of the kernel's own which an image would have: packers take directories of modules, in
/// which the original, being kept in the DKMS tree, is not found any more. It would have been taken where most of its
/// neighbours are.
fn successors(tree: &Tree, installed: &Installed, kernel: &Kernel, image: &Path) -> Vec<String> {
    let in_image = |path: &Path| {
        let below = path.strip_prefix(&kernel.dir).unwrap_or(path);
        let place = |top: &str| image.join(top).join(kernel.release.as_str()).join(below);
        place("usr/lib/modules").is_file() || place("lib/modules").is_file()
    };
    let id = installed.id();
    let origins = tree.origins(id.name(), &id.target);
    let would_be_taken = |name: &String| {
        let origin = origins.iter().find(|path| normal(&module_name(path)) == normal(name));
        origin.is_some_and(|origin| {
            let neighbours = neighbours(origin, kernel);
            let taken = neighbours.iter().filter(|path| in_image(path)).count();
            2 * taken > neighbours.len()
        })
    };
    if image.as_os_str().is_empty() {
        return Vec::new();
    }
    installed.module_names().into_iter().filter(would_be_taken).collect()
}

/// The modules of the nearest directory above a place that has any, but not of all of `kernel/drivers`.
fn neighbours(origin: &Path, kernel: &Kernel) -> Vec<PathBuf> {
    let top = kernel.dir.join("kernel");
    let mut dir = origin.parent();
    while let Some(here) =
        dir.filter(|dir| dir.starts_with(&top) && **dir != top && **dir != top.join("drivers"))
    {
        let found: Vec<PathBuf> =
            kernel.modules().below(here).filter(|path| *path != origin).cloned().collect();
        if !found.is_empty() {
            return found;
        }
        dir = here.parent();
    }
    Vec::new()
}

/// The modules that the administrator lists for images, each with the file.
#[must_use]
pub(crate) fn listed_for_images(system: &System) -> Vec<(String, PathBuf)> {
    let below = |dir: &str| {
        let entries = dir::entries(system.path(dir)).into_iter();
        let mut files: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        files.sort();
        files
    };
    let words = |file: &Path| fs_err::read_to_string(file).unwrap_or_default();
    let mut names = Vec::new();
    let one_a_line = std::iter::once(system.path("/etc/initramfs-tools/modules"))
        .chain(below("/usr/share/initramfs-tools/modules.d"))
        .chain(below("/etc/initramfs-tools/modules.d"));
    for file in one_a_line {
        let text = words(&file);
        let first = text.lines().filter_map(|line| line.split_whitespace().next());
        names.extend(first.filter(|word| !word.starts_with('#')).map(|word| (word.to_owned(), file.clone())));
    }
    let dracut = std::iter::once(system.path("/etc/dracut.conf")).chain(below("/etc/dracut.conf.d"));
    for file in dracut.filter(|file| file.is_file()) {
        for line in words(&file).lines() {
            let Some((directive, value)) = line.trim().split_once("+=") else { continue };
            if ["drivers", "add_drivers", "force_drivers"].contains(&directive.trim()) {
                let value = value.trim_matches(['"', '\'']);
                names.extend(value.split_whitespace().map(|word| (word.to_owned(), file.clone())));
            }
        }
    }
    names
}
