//! What is known of every package before autoinstall decides. Reads no dkms.conf of a package that is installed.

use crate::inspect::extension::built_in_extension;
use crate::inspect::inputs::{remembered_failure, staleness};
use crate::inspect::installed::{is_intact, is_whole};
use crate::inspect::known_conf::known_conf;
use crate::inspect::provided::is_provided;
use crate::inspect::signature::pending_signature;
use crate::kernel::WeakLinks;
use crate::model::{BuildState, Error, SourceState, Target};
use crate::plan::autoinstall::{Candidate, Facts, Stale, Version};
use crate::plan::buildable;
use crate::plan::request::Force;
use crate::session::Session;
use crate::system::System;
use crate::tree::{Build, Package, Snapshot};

/// Whether the administrator switched autoinstall off.
#[must_use]
pub(crate) fn is_switched_off(system: &System) -> bool {
    system.path("/etc/dkms/no-autoinstall").exists()
}

/// Reads what the decision needs, and no dkms.conf of a package that is installed.
pub(crate) fn gather(session: &Session<'_>, snapshot: &Snapshot, target: &Target, force: &Force) -> Facts {
    let mut facts = Facts::default();
    if force.overrides_memory() {
        session.read_confs_anew();
    }
    let weak = match session.system.host.distribution.family.has_weak_modules() {
        true => WeakLinks::scan(&session.settings.install_tree),
        false => WeakLinks::default(),
    };
    for name in snapshot.names() {
        if snapshot.is_installed(name, target) {
            facts.installed.insert(name.clone());
        }
        let mut candidate = Candidate { name: name.clone(), versions: Vec::new() };
        let mut versions = snapshot.versions(name);
        let is_replaced = |package: &Package| session.tree().is_replaced(&package.id);
        if versions.len() > 1 && is_replaced(versions[0]) {
            // What the package manager brought comes first, also where that is the lower version.
            let own = versions.iter().position(|package| !is_replaced(package)).unwrap_or_default();
            versions[..=own].rotate_right(1);
        }
        let mut is_unwanted = false;
        for package in versions {
            // What does not want a kernel says more than an older version knows. What is in use stays.
            let is_installed = package.state(target) == Some(BuildState::Installed);
            if is_unwanted && !is_installed && is_replaced(package) {
                continue;
            }
            let version = version_facts(session, package, target, &weak, force);
            let settled = Candidate::is_settled_by(&version);
            is_unwanted |= version.is_unwanted();
            candidate.versions.push((package.id.clone(), version));
            if settled {
                break;
            }
        }
        facts.candidates.push(candidate);
    }
    facts
}

/// Whether the kernel uses, by weak links, what is installed for another one.
fn is_weak(session: &Session<'_>, package: &Package, target: &Target, weak: &WeakLinks) -> bool {
    let lends = |build: &&Build| build.state == BuildState::Installed && build.target.arch == target.arch;
    !weak.is_empty()
        && package.builds.iter().filter(lends).any(|build| {
            let files =
                session.tree().built(&package.build_id(&build.target)).map(|built| built.module_files());
            let dir = &session.kernel(&build.target.release).dir;
            weak.users(dir, &files.unwrap_or_default()).contains(&target.release)
        })
}

fn version_facts(
    session: &Session<'_>,
    package: &Package,
    target: &Target,
    weak: &WeakLinks,
    force: &Force,
) -> Version {
    let id = package.build_id(target);
    if let Some(why) = session.disabling(&package.id, target) {
        let is_used = session.tree().installed(&id).is_some() || built_in_extension(session, &id).is_some();
        return Version::Disabled { why, is_installed: is_used };
    }
    if let Some(built) = built_in_extension(session, &id).filter(|built| is_whole(session, built)) {
        return match staleness(session, &built) {
            Some(why) => stale_version(session, package, target, why, true, force),
            None => Version::Extended,
        };
    }
    if let Some(installed) = session.tree().installed(&id) {
        let intact = is_intact(session, &installed);
        let damaged = !intact && !is_whole(session, installed.built());
        let stale = damaged.then_some(Stale::Damaged).or_else(|| staleness(session, installed.built()));
        if let Some(why) = stale {
            return stale_version(session, package, target, why, intact, force);
        }
        let unsigned = pending_signature(session, installed.built()).filter(|_| intact);
        return match unsigned.filter(|_| wants_itself_installed(session, package, target)) {
            Some(why) => Version::Unsigned(why),
            None => Version::Installed { intact },
        };
    }
    if is_weak(session, package, target, weak) {
        return Version::Weak;
    }
    let source = session.tree().source(&package.id);
    if package.source == SourceState::Broken {
        return Version::Broken(Error::Broken { package: package.id.clone(), source });
    }
    let conf = match known_conf(session, &package.build_id(target)) {
        Ok(conf) => conf,
        Err(error) => return Version::Unusable(error),
    };
    let built = session.tree().built(&id);
    let built = built.filter(|built| is_whole(session, built) && staleness(session, built).is_none());
    if let Some(error) = remembered_failure(session, &id)
        .filter(|_| conf.autoinstall.is_yes() && built.is_none() && !force.overrides_memory())
    {
        return Version::Failed(error);
    }
    let may_be_provided = conf.autoinstall.is_yes() && force.is_plain();
    if built.as_ref().is_some_and(|built| may_be_provided && is_provided(session, built, &conf)) {
        return Version::Provided;
    }
    let built = built.is_some();
    let can_be_made = built || package.source == SourceState::Added;
    let kernel = session.kernel(&target.release);
    Version::Known {
        built,
        autoinstall: conf.autoinstall.is_yes() && can_be_made,
        exclusion: buildable(&conf, target, kernel.config()).package,
        depends: conf.depends,
    }
}

/// Whether autoinstall concerns an installed package: without its source, or with an unusable dkms.conf, it does not.
fn wants_itself_installed(session: &Session<'_>, package: &Package, target: &Target) -> bool {
    let conf = known_conf(session, &package.build_id(target));
    conf.is_ok_and(|conf| conf.autoinstall.is_yes())
}

/// An installed version that is not as it should be: built again where that is possible and wanted.
fn stale_version(
    session: &Session<'_>,
    package: &Package,
    target: &Target,
    why: Stale,
    intact: bool,
    force: &Force,
) -> Version {
    let id = package.build_id(target);
    let conf = match known_conf(session, &package.build_id(target)) {
        Ok(conf) => conf,
        Err(_) if package.source != SourceState::Added => return Version::Installed { intact },
        Err(error) => return Version::Unusable(error),
    };
    let kernel = session.kernel(&target.release);
    let unwanted = !conf.autoinstall.is_yes() || buildable(&conf, target, kernel.config()).package.is_some();
    if unwanted || package.source != SourceState::Added {
        return Version::Installed { intact };
    }
    match remembered_failure(session, &id).filter(|_| !force.overrides_memory()) {
        Some(error) => Version::Unusable(error),
        None => Version::Stale { why, depends: conf.depends },
    }
}
