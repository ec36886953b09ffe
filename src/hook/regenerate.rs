//! Headers often arrive after the image of a kernel, whose initramfs was packed without what could not be built yet. Then
//! it is asked for once more: once, and only if a module that it holds or should hold is new.

use super::Hook;
use crate::conf::{EvalContext, InInitramfs, Settings, Strictness, read_package};
use crate::inspect::initramfs::listed_for_images;
use crate::kernel::Kernel;
use crate::kernel::initramfs::{self, Generator, releases_with_image};
use crate::model::{BuildId, KernelRelease, PackageId, compare_versions};
use crate::ops::inhibit::INHIBIT;
use crate::system::System;
use crate::system::process::Output;
use crate::tree::Tree;
use std::path::Path;

/// Set while an image is packed: no other one is asked for then.
pub(crate) const PACKING: &str = "DKMS_PACKING_INITRAMFS";

/// When an image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Now: the caller waits.
    Now,
    /// Beside the boot, which does not wait for it; the machine does not shut down before it is done.
    Beside,
}

/// Asks for a new image of a kernel if one of these packages, just installed, belongs into it.
pub(crate) fn ask(hook: &mut Hook, release: &str, installed: &[PackageId], when: When, settings: &Settings) {
    let Ok(release) = KernelRelease::parse(release) else { return };
    // An image that is being packed gets the modules anyway.
    if installed.is_empty() || hook.system.variable(PACKING).is_some() {
        return;
    }
    let kernel = settings.kernel(&release);
    let Some(image) = initramfs::image(&kernel, &settings.boot, &hook.system) else { return };
    let Some(reason) = reason(&hook.system, &kernel, &image, installed, settings) else { return };
    let Some(generator) = Generator::find(&kernel, &hook.system) else { return };
    let by_hand = generator.words(&release, &image);
    // A trigger makes one image at the end of the transaction, however many packages ask for it.
    let words = deferred(&generator, &release, settings, &hook.system).unwrap_or_else(|| by_hand.clone());
    let shown = initramfs::shown(&words);
    hook.note(&format!("{reason}, so the initramfs of kernel {release} is made again: {shown}"));
    let words = match when {
        When::Beside => beside_the_boot(words, &release, &hook.system),
        When::Now => words,
    };
    let command = hook.system.command(&words[0]).args(&words[1..]);
    let why = match command.stdout(Output::Inherit).stderr(Output::Inherit).run() {
        Ok(outcome) if outcome.status.success() => return,
        Ok(outcome) => outcome.status.to_string(),
        Err(error) => error.to_string(),
    };
    hook.error(&format!(
        "{shown} failed ({why}); the initramfs of kernel {release} is the old one.\nWhen the cause is fixed: {}",
        initramfs::shown(&by_hand)
    ));
}

/// Why the image is out of date, if it is.
fn reason(
    system: &System,
    kernel: &Kernel,
    image: &Path,
    installed: &[PackageId],
    settings: &Settings,
) -> Option<String> {
    let target = settings.usual_target(&kernel.release, system).ok()?;
    let tree = Tree::at(&settings.dkms_tree);
    let mut modules = Vec::new();
    for id in installed {
        let view = EvalContext { package: Some(id), kernel, arch: &target.arch };
        let conf = tree.source(id).join("dkms.conf");
        if read_package(&conf, view, Strictness::Lenient, settings, system)
            .is_ok_and(|conf| conf.in_initramfs() == InInitramfs::Yes)
        {
            return Some(format!("{id} says INITRAMFS=yes"));
        }
        let build = BuildId::new(id.clone(), target.clone());
        modules.extend(tree.installed(&build).map(|installed| installed.module_names()).unwrap_or_default());
    }
    let wanted = listed_for_images(system);
    let held = initramfs::contents(system, image).unwrap_or_default();
    // What the machine was started with belongs into the next kernel's image too.
    let running = system.host.running.as_ref().filter(|running| **running != kernel.release);
    let of_running = running
        .and_then(|running| initramfs::image(&settings.kernel(running), &settings.boot, system))
        .and_then(|image| initramfs::contents(system, &image));
    let held_by_running = of_running.unwrap_or_default();
    modules.iter().find_map(|module| {
        let same = |name: &String| name.replace('-', "_") == module.replace('-', "_");
        if let Some((_, file)) = wanted.iter().find(|(name, _)| same(name)) {
            return Some(format!("{module} is listed in {}", file.display()));
        }
        if held.iter().any(same) {
            return Some(format!("{module} is in the image"));
        }
        held_by_running.iter().any(same).then(|| format!("{module} is in the image of the running kernel"))
    })
}

/// The command in the form, and only in this one, that dpkg runs once at the end of everything, for the newest kernel.
fn deferred(
    generator: &Generator,
    release: &KernelRelease,
    settings: &Settings,
    system: &System,
) -> Option<Vec<String>> {
    match generator {
        Generator::UpdateInitramfs(program)
            if system.variable("DPKG_MAINTSCRIPT_PACKAGE").is_some() && is_newest(settings, release) =>
        {
            Some(vec![program.display().to_string(), "-u".to_owned()])
        }
        Generator::UpdateInitramfs(_) | Generator::Mkinitcpio { .. } | Generator::Dracut(_) => None,
    }
}

/// The same in a unit of its own, where systemd runs; see systemd-run(1).
fn beside_the_boot(words: Vec<String>, release: &KernelRelease, system: &System) -> Vec<String> {
    if !system.path("/run/systemd/system").is_dir() || system.program("systemd-run").is_none() {
        return words;
    }
    let unit = format!("--unit=dkms-initramfs-{release}");
    let run = ["systemd-run", "--quiet", "--no-block", "--collect", unit.as_str()];
    let why = "--why=An initramfs is being made";
    run.into_iter().chain(INHIBIT).chain([why]).map(str::to_owned).chain(words).collect()
}

/// Whether no image is of a newer kernel.
fn is_newest(settings: &Settings, release: &KernelRelease) -> bool {
    !releases_with_image(&settings.boot).any(|other| compare_versions(&other, release.as_str()).is_gt())
}
