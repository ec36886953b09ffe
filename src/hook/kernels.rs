//! For which kernels a driver package is built when it is installed.

use crate::conf::Settings;
use crate::kernel::with_headers;
use crate::model::{KernelRelease, compare_versions};
use crate::system::System;
use crate::system::dir;
use std::cmp::Ordering;

/// The kernels, oldest first.
///
/// All that have headers, where configured so. Else the running one and the newest. In a chroot, whose kernel is not
/// the running one: all, or on an upgrade the newest.
#[must_use]
pub(crate) fn choose(settings: &Settings, system: &System, upgrade: bool) -> Vec<KernelRelease> {
    let all = with_headers(&settings.install_tree);
    if settings.autoinstall_all_kernels {
        return all;
    }
    let exists = |release: &KernelRelease| settings.install_tree.join(release.as_str()).is_dir();
    let newest = newest(settings, system).filter(|release| exists(release));
    match system.host.running.clone().filter(|running| exists(running)) {
        Some(running) => {
            let other = newest.filter(|newest| *newest != running);
            std::iter::once(running).chain(other).collect()
        }
        None if upgrade && newest.is_some() => newest.into_iter().collect(),
        None => all,
    }
}

/// The newest kernel that has a configuration in /boot, if it is not older than the running one.
fn newest(settings: &Settings, system: &System) -> Option<KernelRelease> {
    let entries = dir::entries(&settings.boot).into_iter();
    let releases = entries.filter_map(|entry| {
        let name = entry.file_name();
        KernelRelease::new(name.to_str()?.strip_prefix("config-")?).ok()
    });
    let releases = releases.filter(|release| !release.as_str().contains("BOOT"));
    let by_abi =
        |a: &KernelRelease, b: &KernelRelease| compare_versions(abi(a), abi(b)).then_with(|| a.cmp(b));
    let newest = releases.max_by(by_abi)?;
    let running = system.host.running.as_ref();
    let not_older =
        running.is_none_or(|running| compare_versions(abi(&newest), abi(running)) != Ordering::Less);
    not_older.then_some(newest)
}

/// `6.1.0-55` of `6.1.0-55-amd64`.
fn abi(release: &KernelRelease) -> &str {
    let text = release.as_str();
    match text.match_indices('-').nth(1) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
