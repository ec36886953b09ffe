//! What failed while no person was watching: the message of the day, which pam_motd(8) shows from /run/motd.d and the user unit
//! dkms-notify.service on a desktop, and an entry in the journal.

use crate::conf::{Disabled, EvalContext, Settings};
use crate::model::{KernelRelease, PackageId, PackageName, Target};
use crate::plan::preflight::Forecast;
use crate::system::journal::{self, Priority};
use crate::system::{System, files};
use crate::tree::Tree;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The packages that each kernel lacks.
type Notices = BTreeMap<String, Vec<String>>;

const FILE: &str = "/run/motd.d/dkms";
const FORESEEN: &str = "/run/motd.d/dkms-preflight";
const START: &str = "dkms: drivers are missing for kernel ";

/// Notes which packages a kernel lacks; with none, what was noted for it goes.
pub(crate) fn note(target: &Target, missing: &[String], settings: &Settings, system: &System) {
    let before = read(system);
    let mut notices = before.clone();
    notices.insert(target.release.to_string(), missing.to_vec());
    publish(&before, &current(notices, settings, system), system);
    forget_foreseen(settings, system);
}

/// Adds a package that could not be installed to what its kernel lacks.
pub(crate) fn note_failed(failed: &[(Target, PackageId)], settings: &Settings, system: &System) {
    let before = read(system);
    let mut notices = before.clone();
    for (target, id) in failed {
        let missing = notices.entry(target.release.to_string()).or_default();
        missing.retain(|noted| noted.split('/').next() != Some(id.name.as_str()));
        missing.push(id.to_string());
    }
    publish(&before, &current(notices, settings, system), system);
}

/// Drops what is not missing any more.
pub(crate) fn refresh(settings: &Settings, system: &System) {
    forget_foreseen(settings, system);
    if path(system).is_file() {
        let before = read(system);
        publish(&before, &current(before.clone(), settings, system), system);
    }
}

/// A kernel that is about to come, and what it would lack.
pub(crate) type Missed<'a> = (&'a KernelRelease, Vec<&'a Forecast>);

/// Tells at login what the next kernels would lack, and whether they were held for that; what was said before goes.
pub(crate) fn publish_forecast(missed: &[Missed<'_>], held: bool, system: &System) {
    let line = |(release, packages): &Missed<'_>| {
        let packages: Vec<String> = packages.iter().map(|forecast| forecast.package.to_string()).collect();
        let packages = packages.join(", ");
        let text = match held {
            true => format!("kernel {release} was not installed, because it would lack {packages}"),
            false => format!("the next kernel {release} would lack {packages}"),
        };
        let fields = [("DKMS_KERNEL", release.as_str()), ("DKMS_PACKAGES", packages.as_str())];
        journal::send(system, journal::KERNEL_WOULD_LACK, Priority::Error, &text, &fields);
        format!("dkms: {text} (see: dkms preflight --next)\n")
    };
    write_message(FORESEEN, &missed.iter().map(line).collect::<String>(), system);
}

/// What was foreseen of a kernel that has come is history.
fn forget_foreseen(settings: &Settings, system: &System) {
    let text = fs_err::read_to_string(system.path(FORESEEN)).unwrap_or_default();
    let has_come = |line: &str| {
        let release = line.split(" kernel ").nth(1).and_then(|rest| rest.split(' ').next());
        let release = release.and_then(|text| KernelRelease::new(text).ok());
        release.is_some_and(|release| settings.kernel(&release).exists())
    };
    let stays: String = text.lines().filter(|line| !has_come(line)).map(|line| format!("{line}\n")).collect();
    if stays != text {
        write_message(FORESEEN, &stays, system);
    }
}

/// Writes the message, and into the journal what is new in it and what is gone from it.
fn publish(before: &Notices, after: &Notices, system: &System) {
    for (release, packages) in
        after.iter().filter(|(release, packages)| before.get(*release) != Some(packages))
    {
        let packages = packages.join(", ");
        let text = format!("Drivers are missing for kernel {release}: {packages}");
        let fields = [("DKMS_KERNEL", release.as_str()), ("DKMS_PACKAGES", &packages)];
        journal::send(system, journal::DRIVERS_MISSING, Priority::Error, &text, &fields);
    }
    for release in before.keys().filter(|release| !after.contains_key(*release)) {
        let text = format!("No driver that failed is missing any more for kernel {release}");
        journal::send(
            system,
            journal::DRIVERS_COMPLETE,
            Priority::Notice,
            &text,
            &[("DKMS_KERNEL", release)],
        );
    }
    write(after, system);
}

fn path(system: &System) -> PathBuf {
    system.path(FILE)
}

/// What the message says now.
fn read(system: &System) -> Notices {
    let text = fs_err::read_to_string(path(system)).unwrap_or_default();
    let notice = |line: &str| {
        let (release, packages) = line.strip_prefix(START)?.split_once(": ")?;
        let packages = packages.split(" (").next()?.split(", ").map(str::to_owned).collect();
        Some((release.to_owned(), packages))
    };
    text.lines().filter_map(notice).collect()
}

/// What is still missing: the package is registered, the kernel is there, and does not have it.
fn current(notices: Notices, settings: &Settings, system: &System) -> Notices {
    if notices.values().all(Vec::is_empty) {
        return Notices::default();
    }
    let (tree, disabled) = (Tree::at(&settings.dkms_tree), Disabled::read(system));
    let registered = tree.scan(&settings.source_tree);
    let is_missing = |release: &str, package: &str| {
        let name = PackageName::new(package.split('/').next().unwrap_or_default()).ok()?;
        let kernel = settings.kernel(&KernelRelease::new(release).ok()?);
        let target = settings.usual_target(&kernel.release, system).ok()?;
        let is_known = tree.name_dir(&name).is_dir() && kernel.exists();
        let is_wanted = registered.versions(&name).iter().any(|package| {
            let view = EvalContext { package: Some(&package.id), kernel: &kernel, arch: &target.arch };
            disabled.on(&package.id, view, settings, system).is_none()
        });
        Some(is_known && is_wanted && tree.active(&name, &target).is_none())
    };
    let still = |(release, packages): (String, Vec<String>)| {
        let packages: Vec<String> =
            packages.into_iter().filter(|package| is_missing(&release, package) == Some(true)).collect();
        (!packages.is_empty()).then_some((release, packages))
    };
    notices.into_iter().filter_map(still).collect()
}

fn write(notices: &Notices, system: &System) {
    let line = |(release, packages): (&String, &Vec<String>)| {
        format!("{START}{release}: {} (see: dkms check -k {release})\n", packages.join(", "))
    };
    write_message(FILE, &notices.iter().map(line).collect::<String>(), system);
}

/// Failures are ignored: a machine without /run, or one that is not ours to write, has no message of the day.
fn write_message(file: &str, text: &str, system: &System) {
    let path = system.path(file);
    if text.is_empty() {
        let _ = files::remove_file(&path);
    } else if system.path("/run").is_dir() && files::create_dirs(&system.path("/run/motd.d")).is_ok() {
        let _ = files::publish_file(&path, text.as_bytes(), 0o644);
    }
}
