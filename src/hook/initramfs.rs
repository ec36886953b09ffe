//! Before the image of a kernel is packed it gets what is due, and while it is packed we are asked what it must hold.
//!
//! No regeneration is started from here: post_transaction, which many use for that, is left out.

use super::due::{Outcome, install_due};
use super::{Hook, run};
use crate::conf::{InInitramfs, Overrides, PackageConf, Settings, Strictness, View, read_package};
use crate::kernel::{Kernel, default_arch};
use crate::model::{BuildState, KernelRelease, Result, Target};
use crate::system::journal::Severity;
use crate::system::{lock, streams};
use crate::tree::{Installed, Package, Snapshot, Tree};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Set while an image is packed: nobody then asks for another one.
pub(super) const PACKING: &str = "DKMS_PACKING_INITRAMFS";

/// `/usr/lib/dkms/initramfs RELEASE`: called before the modules of an image are selected; builds and installs what is due
/// for the kernel, or says that the image will lack it. Always 0: an image without a module is better than none.
#[must_use]
pub fn initramfs() -> ExitCode {
    run("initramfs", |hook| {
        (hook.repeats, hook.is_packer) = (true, true);
        hook.system.hide_callers_variables();
        let release = hook.arg(0).to_owned();
        let overrides = Overrides { no_post_transaction: true, ..Overrides::default() };
        let settings = Settings::load(overrides, &hook.system);
        if lock::is_held_by_ancestor(&settings.dkms_tree) {
            hook.journal.write(Severity::Info, "packed by a run of dkms, which knows what it installs");
        } else if release.is_empty() || !settings.install_tree.join(&release).is_dir() {
            hook.journal
                .write(Severity::Info, &format!("kernel {release:?} has no modules; nothing is done"));
        } else {
            let Outcome { missing, .. } = install_due(hook, &release, &settings);
            if !missing.is_empty() {
                hook.error(&format!(
                    "The initramfs of kernel {release} is packed without {}.",
                    missing.join(", ")
                ));
            }
        }
        0
    })
}

/// `/usr/lib/dkms/initramfs-modules RELEASE [DIRECTORY]`: prints the modules that belong into the image, one name a line.
/// DIRECTORY is what the image holds so far. A package that belongs into it and is not installed for the kernel is told
/// on standard error. Always 0. Only reads.
#[must_use]
pub fn initramfs_modules() -> ExitCode {
    streams::close_inputs();
    let mut hook = Hook::new("initramfs-modules");
    let (release, image) = (hook.arg(0).to_owned(), PathBuf::from(hook.arg(1)));
    match wanted(&mut hook, &release, &image) {
        Ok(names) => names.iter().for_each(|name| hook.system.ui.say(name)),
        Err(error) => hook.error(&error.to_string()),
    }
    ExitCode::SUCCESS
}

fn wanted(hook: &mut Hook, release: &str, image: &Path) -> Result<BTreeSet<String>> {
    let release = KernelRelease::parse(release)?;
    let settings = Settings::load(Overrides::default(), &hook.system);
    let kernel = settings.kernel(&release);
    let target = Target::new(release, default_arch(&kernel.dir, &hook.system)?);
    let tree = Tree::at(&settings.dkms_tree);
    let snapshot = tree.scan(&settings.source_tree);
    let mut names = BTreeSet::new();
    for name in snapshot.names() {
        let Some(package) = serving(&snapshot, name, &target) else { continue };
        let Some(conf) = read_conf(hook, package, &kernel, &target, &settings) else { continue };
        let installed = tree.installed(&package.build_id(&target));
        match (conf.in_initramfs(), installed) {
            (InInitramfs::Yes, Some(installed)) => names.extend(installed.module_names()),
            (InInitramfs::Yes, None) => hook.error(&format!(
                "{} belongs into the initramfs of kernel {target}, and is not installed for it.\nTry: dkms install {} -k {}/{}",
                package.id, package.id, target.release, target.arch
            )),
            (InInitramfs::Auto, Some(installed)) => {
                names.extend(successors(&tree, &installed, &kernel, image));
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The version of a package that is installed, else the highest one.
fn serving<'a>(
    snapshot: &'a Snapshot,
    name: &crate::model::PackageName,
    target: &Target,
) -> Option<&'a Package> {
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
        let origin = origins.iter().find(|path| stem(path) == normal(name));
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

fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    normal(name.split_once(".ko").map_or(&*name, |(stem, _)| stem))
}

/// Module names are the same with `-` and `_`.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The conf of a package; one that cannot be read is told.
fn read_conf(
    hook: &mut Hook,
    package: &Package,
    kernel: &Kernel,
    target: &Target,
    settings: &Settings,
) -> Option<PackageConf> {
    let path = Tree::at(&settings.dkms_tree).source(&package.id).join("dkms.conf");
    let view = View { package: Some(&package.id), kernel, arch: &target.arch };
    match read_package(&path, view, Strictness::Lenient, settings, &hook.system) {
        Ok(conf) => Some(conf),
        Err(error) => {
            hook.error(&format!(
                "Nobody can tell whether {} belongs into the initramfs: {error}",
                package.id
            ));
            None
        }
    }
}
