//! Which kernels can be booted, and what one of them will not have that the running one has.

use super::{Finding, KernelCheck, Kind};
use crate::conf::{DISABLED_FILE, Settings};
use crate::inspect::known_conf::known_conf;
use crate::kernel::boot_loader::BootLoader;
use crate::model::remedy::Remedy;
use crate::model::{BuildId, KernelRelease, PackageName, compare_versions};
use crate::plan::autoinstall::Plan;
use crate::session::Session;
use crate::system::{System, dir};
use crate::tree::Snapshot;

/// The kernels of a machine that matter to people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kernels {
    /// Every one that can be booted, oldest first.
    pub all: Vec<KernelRelease>,
    pub running: Option<KernelRelease>,
    /// What the boot loader starts next, where its files say it.
    pub next: Option<KernelRelease>,
}

impl Kernels {
    #[must_use]
    pub(crate) fn read(settings: &Settings, system: &System) -> Self {
        let is_bootable = |release: &KernelRelease| {
            let dir = settings.install_tree.join(release.as_str());
            let image = settings.boot.join(format!("vmlinuz-{release}"));
            image.is_file() || dir.join("vmlinuz").is_file() || dir.join("kernel").is_dir()
        };
        let entries = dir::entries(&settings.install_tree);
        let releases =
            entries.iter().filter_map(|entry| KernelRelease::new(entry.file_name().to_str()?).ok());
        let mut all: Vec<KernelRelease> = releases.filter(is_bootable).collect();
        all.sort_by(|a, b| compare_versions(a.as_str(), b.as_str()));
        let known = |release: &KernelRelease| all.contains(release);
        let loader = BootLoader::read(&settings.boot, &system.path("/"));
        let next = loader.and_then(|loader| KernelRelease::new(&loader.next()?).ok());
        let (running, next) = (system.host.running.clone().filter(known), next.filter(known));
        Self { all, running, next }
    }

    #[must_use]
    pub(crate) fn newest(&self) -> Option<&KernelRelease> {
        self.all.last()
    }

    /// The running one, the one that boots next, and the newest.
    #[must_use]
    pub(crate) fn of_interest(&self) -> Vec<KernelRelease> {
        let candidates = self.running.iter().chain(&self.next).chain(self.newest());
        let mut found: Vec<KernelRelease> = Vec::new();
        for release in candidates {
            if !found.contains(release) {
                found.push(release.clone());
            }
        }
        found
    }
}

/// Names packages that the running kernel has and a later one will not have.
pub(super) fn check_lost(
    session: &Session<'_>,
    check: &mut KernelCheck,
    snapshot: &Snapshot,
    plan: &Plan,
    kernels: &Kernels,
) {
    let Some(running) = kernels.running.as_ref() else { return };
    let is_later =
        compare_versions(check.target.release.as_str(), running.as_str()).is_gt() || check.boots_next;
    if check.target.release == *running || !is_later {
        return;
    }
    let Ok(now) = session.settings.usual_target(running, session.system) else { return };
    for name in snapshot.names() {
        let Some(installed) = session.tree().active(name, &now) else { continue };
        let has_it = session.tree().active(name, &check.target).is_some()
            || plan.satisfied.iter().any(|(satisfied, _)| satisfied == name);
        let mut told = check.findings.iter_mut().filter(|finding| {
            finding.package.as_deref().is_some_and(|package| package.split('/').next() == Some(name.as_str()))
        });
        if let Some(finding) = told.next() {
            if !has_it {
                finding.why = lost(&finding.why);
                finding.remedy.get_or_insert_with(|| Remedy::KeepKernel(running.clone()));
            }
            continue;
        }
        if has_it {
            continue;
        }
        let id = installed.id().package.clone();
        if let Some((_, why)) = plan.disabled.iter().find(|(disabled, _)| disabled.name == *name) {
            let package = Some(id.to_string());
            // What stands in another file is not ours to take away.
            let in_list = why.file == session.system.path(DISABLED_FILE);
            let remedy = in_list.then(|| Remedy::Enable {
                rule: why.package.clone(),
                kernels: why.kernels.clone(),
                package: id.clone(),
                target: check.target.clone(),
            });
            let why = lost(why);
            check.findings.push(Finding { kind: Kind::Disabled, package, module: None, why, remedy });
            continue;
        }
        let (why, remedy) = match refused(plan, name) {
            Some(why) => (why, Remedy::KeepKernel(running.clone())),
            None => {
                let conf = known_conf(session, &BuildId::new(id.clone(), check.target.clone()));
                let wanted = conf.is_ok_and(|conf| conf.autoinstall.is_yes());
                let why = match wanted {
                    true => "it is not installed there",
                    false => "its dkms.conf does not say AUTOINSTALL=yes",
                };
                (why.to_owned(), Remedy::Install { package: id.clone(), target: check.target.clone() })
            }
        };
        let why = lost(why);
        let package = Some(id.to_string());
        check.findings.push(Finding { kind: Kind::Lost, package, module: None, why, remedy: Some(remedy) });
    }
}

/// What it means that the running kernel has a package, and this one will not.
fn lost(why: impl std::fmt::Display) -> String {
    format!("works on the running kernel, will not exist on this one ({why})")
}

/// Why every version of a package refuses the kernel.
fn refused(plan: &Plan, name: &PackageName) -> Option<String> {
    let skipped = plan.skipped.iter().find(|(id, _)| id.name == *name).map(|(_, why)| why.to_string());
    let declined = || plan.declined.iter().find(|(id, _)| id.name == *name).map(|(_, why)| why.in_one_line());
    skipped.or_else(declined)
}
