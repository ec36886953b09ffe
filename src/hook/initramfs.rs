//! What the image of a kernel must hold of ours: asked by the hook of initramfs-tools while it packs.
//!
//! Only reads: no lock is taken, nothing is built, and no regeneration is started.

use super::Hook;
use crate::conf::{Overrides, PackageConf, Settings, Strictness, View, read_package};
use crate::kernel::{Kernel, default_arch};
use crate::model::{BuildState, KernelRelease, Result, Target};
use crate::system::streams;
use crate::tree::{Package, Tree};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// `/usr/lib/dkms/initramfs-modules RELEASE`: prints the modules of the packages that say `INITRAMFS=yes`, one name a
/// line; a package that says so and is not installed for the kernel is told on standard error. Always 0: an image
/// without a module is better than none.
#[must_use]
pub fn initramfs_modules() -> ExitCode {
    streams::close_inputs();
    let mut hook = Hook::new("initramfs");
    let release = hook.arg(0).to_owned();
    match wanted(&mut hook, &release) {
        Ok(names) => names.iter().for_each(|name| hook.system.ui.say(name)),
        Err(error) => hook.error(&error.to_string()),
    }
    ExitCode::SUCCESS
}

fn wanted(hook: &mut Hook, release: &str) -> Result<BTreeSet<String>> {
    let release = KernelRelease::parse(release)?;
    let settings = Settings::load(Overrides::default(), &hook.system);
    let kernel = settings.kernel(&release);
    let target = Target::new(release, default_arch(&kernel.dir, &hook.system)?);
    let tree = Tree::at(&settings.dkms_tree);
    let snapshot = tree.scan(&settings.source_tree);
    let mut names = BTreeSet::new();
    for name in snapshot.names() {
        let versions = snapshot.versions(name);
        let installed = versions.iter().find(|package| package.state(&target) == Some(BuildState::Installed));
        let Some(package) = installed.or(versions.first()) else { continue };
        if !read_conf(hook, package, &kernel, &target, &settings).is_some_and(|conf| conf.in_initramfs()) {
            continue;
        }
        match tree.installed(&package.build_id(&target)).filter(|_| installed.is_some()) {
            Some(installed) => names.extend(installed.module_names()),
            None => hook.error(&format!(
                "{} belongs into the initramfs of kernel {target}, and is not installed for it.\nTry: dkms install {} -k {}/{}",
                package.id, package.id, target.release, target.arch
            )),
        }
    }
    Ok(names)
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
