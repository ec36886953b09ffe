//! The initramfs of a kernel.

use super::{Finding, KernelCheck, Kind};
use crate::inspect::initramfs::{image_modules, listed_for_images};
use crate::kernel::Kernel;
use crate::kernel::initramfs::{self, Generator};
use crate::model::module_name::{module_name, normal};
use crate::model::remedy::Remedy;
use crate::session::Session;
use crate::tree::{Installed, InstalledFile};
use std::path::Path;

/// Whether the initramfs holds what it should, and not something older.
pub(super) fn check_image(
    session: &Session<'_>,
    check: &mut KernelCheck,
    installed: &[(Installed, Vec<InstalledFile>)],
    kernel: &Kernel,
    full: bool,
) {
    let target = check.target.clone();
    let Some(image) = initramfs::image(kernel, &session.settings.boot, session.system) else { return };
    let packed = fs_err::metadata(&image).and_then(|data| data.modified()).ok();
    let wanted = image_modules(session, &target, Path::new(""));
    let listed = listed_for_images(session.system);
    let is_wanted = |name: &str| {
        wanted.names.contains(name) || listed.iter().any(|(listed, _)| normal(listed) == normal(name))
    };
    let modules: Vec<(&Installed, &InstalledFile, String)> = installed
        .iter()
        .flat_map(|(installed, files)| {
            files.iter().map(move |file| (installed, file, module_name(&file.path)))
        })
        .collect();
    // To list an image takes longer than all the rest.
    if !full && !modules.iter().any(|(_, _, name)| is_wanted(name)) {
        return;
    }
    let Some(held) = initramfs::contents(session.system, &image) else {
        let wanted = modules.iter().filter(|(_, _, name)| is_wanted(name)).map(|(_, _, name)| name.as_str());
        check.unknown.push(format!(
            "cannot determine whether {} holds {}: no program can list it",
            image.display(),
            wanted.collect::<Vec<_>>().join(", ")
        ));
        return;
    };
    let remedy = Generator::find(kernel, session.system)
        .map(|generator| Remedy::MakeImage(initramfs::shown(&generator.words(&target.release, &image))));
    for (installed, file, name) in modules {
        let is_held = held.iter().any(|held| normal(held) == normal(&name));
        let newer = fs_err::metadata(&file.path).and_then(|data| data.modified()).ok() > packed;
        let (kind, why) = match (is_held, is_wanted(&name)) {
            (false, true) => (Kind::NotInImage, format!("{} does not hold it", image.display())),
            (true, _) if newer => {
                (Kind::OldInImage, format!("{} was packed before it was installed", image.display()))
            }
            _ => continue,
        };
        check.findings.push(Finding {
            kind,
            package: Some(installed.id().package.to_string()),
            module: Some(name),
            why,
            remedy: remedy.clone(),
        });
    }
}
