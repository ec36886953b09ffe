//! Headers often arrive after the image of a kernel, whose initramfs was packed without what could not be built yet. Then
//! it is asked for once more: once, and only if a module that it holds or should hold is new.

use super::Hook;
use crate::conf::{InInitramfs, Settings, Strictness, View, read_package};
use crate::inspect::initramfs::{image_contents, listed_for_images};
use crate::kernel::default_arch;
use crate::model::{BuildId, KernelRelease, PackageId, Target, compare_versions};
use crate::system::System;
use crate::system::dir;
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
    let image = hook.system.path("/boot").join(format!("initrd.img-{release}"));
    if installed.is_empty() || !image.is_file() || hook.system.variable(PACKING).is_some() {
        return;
    }
    let Some(reason) = reason(&hook.system, &release, &image, installed, settings) else { return };
    let Some(words) = generator(&hook.system, &release, &image) else { return };
    let shown = shown(&words);
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
        "{shown} failed ({why}); the initramfs of kernel {release} is the old one.\nWhen the cause is mended: update-initramfs -u -k {release}"
    ));
}

/// Why the image is out of date, if it is.
fn reason(
    system: &System,
    release: &KernelRelease,
    image: &Path,
    installed: &[PackageId],
    settings: &Settings,
) -> Option<String> {
    let kernel = settings.kernel(release);
    let target = Target::new(release.clone(), default_arch(&kernel.dir, system).ok()?);
    let tree = Tree::at(&settings.dkms_tree);
    let mut modules = Vec::new();
    for id in installed {
        let view = View { package: Some(id), kernel: &kernel, arch: &target.arch };
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
    let held = image_contents(system, image);
    // What the machine was started with belongs into the next kernel's image too.
    let running = system.host.running.as_ref().filter(|running| *running != release);
    let of_running = running.map(|running| image.with_file_name(format!("initrd.img-{running}")));
    let of_running = of_running.filter(|image| image.is_file());
    let held_by_running = of_running.map(|image| image_contents(system, &image)).unwrap_or_default();
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

/// How this machine makes an image: the program and its arguments.
fn generator(system: &System, release: &KernelRelease, image: &Path) -> Option<Vec<String>> {
    let program = |name: &str| {
        let paths = ["/usr/sbin", "/sbin", "/usr/bin"].map(|dir| system.path(dir).join(name));
        paths.into_iter().find(|path| path.is_file()).map(|path| path.display().to_string())
    };
    let with = |program: String, args: &[&str]| {
        std::iter::once(program).chain(args.iter().map(|arg| (*arg).to_owned())).collect()
    };
    if let Some(program) = program("update-initramfs") {
        // In this form, and only in this one, dpkg runs it once at the end of everything, for the newest kernel.
        let deferred = system.variable("DPKG_MAINTSCRIPT_PACKAGE").is_some() && is_newest(system, release);
        return Some(match deferred {
            true => with(program, &["-u"]),
            false => with(program, &["-u", "-k", release.as_str()]),
        });
    }
    let image = image.to_str()?;
    program("dracut").map(|program| with(program, &["-q", "--force", image, release.as_str()]))
}

/// A command as people type it.
fn shown(words: &[String]) -> String {
    let name = Path::new(&words[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
    std::iter::once(name.as_str()).chain(words[1..].iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// The same in a unit of its own, where systemd runs; see systemd-run(1).
fn beside_the_boot(words: Vec<String>, release: &KernelRelease, system: &System) -> Vec<String> {
    if !system.path("/run/systemd/system").is_dir() || system.program("systemd-run").is_none() {
        return words;
    }
    let unit = format!("--unit=dkms-initramfs-{release}");
    let inhibit = ["systemd-inhibit", "--what=shutdown:sleep", "--mode=block", "--who=dkms"];
    let run = ["systemd-run", "--quiet", "--no-block", "--collect", unit.as_str()];
    let why = "--why=An initramfs is being made";
    run.into_iter().chain(inhibit).chain([why]).map(str::to_owned).chain(words).collect()
}

/// Whether no image is of a newer kernel.
fn is_newest(system: &System, release: &KernelRelease) -> bool {
    let entries = dir::entries(system.path("/boot")).into_iter();
    let newer = |name: &str| {
        let other = name.strip_prefix("initrd.img-").filter(|rest| !rest.ends_with(".bak"));
        other.is_some_and(|other| compare_versions(other, release.as_str()).is_gt())
    };
    !entries.into_iter().any(|entry| newer(&entry.file_name().to_string_lossy()))
}
