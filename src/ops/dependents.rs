//! Builds again what was built against a package that has just been replaced.

use crate::build::build;
use crate::build::preparation::BuildOptions;
use crate::conf::Strictness;
use crate::install::install;
use crate::install::work::InstallOptions;
use crate::model::{AttemptResult, BuildId, PackageName, Result, SourceState, Target};
use crate::ops::history::attempt;
use crate::plan::dependents::{Dependency, Dependent, plan_rebuilds};
use crate::plan::request::Force;
use crate::session::WriteSession;
use crate::tree::{Built, Package};

/// Brings builds for a target up to what is installed for it now; what was installed is installed again, without
/// depmod. A failure is printed, and concerns only its package: the old result stays.
pub(crate) fn rebuild_dependents(session: &WriteSession<'_>, target: &Target) {
    let console = &session.system.console;
    for planned in plan_rebuilds(dependents(session, target)) {
        let id = planned.id;
        console.say(format!("{id} is built again for kernel {target}: {}.", planned.why));
        let id_for_target = BuildId::new(id.clone(), target.clone());
        // What was only built is built again, and not installed.
        let success = match session.tree().installed(&id_for_target) {
            Some(_) => AttemptResult::Installed,
            None => AttemptResult::Built,
        };
        let work = || rebuild(session, &id_for_target);
        if let Err(error) = attempt(session, &id_for_target, success, work) {
            session.tell(&error);
            console.warn(format!("{id} for kernel {target} was not rebuilt although {}.", planned.why));
        }
    }
}

/// Builds for the target whose packages want to be built again with their dependencies.
fn dependents(session: &WriteSession<'_>, target: &Target) -> Vec<Dependent> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    snapshot.packages.iter().filter_map(|package| dependent(session, package, target)).collect()
}

fn dependent(session: &WriteSession<'_>, package: &Package, target: &Target) -> Option<Dependent> {
    let built = session.tree().built(&package.build_id(target))?;
    if session.disabling(&package.id, target).is_some() {
        return None;
    }
    // Only binaries: there is nothing to build again. And our own builds have recorded whether they care.
    let cares = built.record().is_none_or(|record| record.depends_rebuild);
    if package.source == SourceState::BinariesOnly || !cares {
        return None;
    }
    let conf = match session.own_conf(&package.id, target, Strictness::Lenient) {
        Ok(conf) => conf,
        Err(error) => {
            let id = &package.id;
            session.system.console.warn(format!("Cannot determine whether {id} needs a rebuild: {error}"));
            return None;
        }
    };
    let depends = if conf.depends_rebuild.is_yes() { conf.depends } else { Vec::new() };
    let depends = depends.into_iter().filter_map(|name| dependency(session, &built, &name, target));
    Some(Dependent { id: package.id.clone(), depends: depends.collect() })
}

fn dependency(session: &WriteSession<'_>, built: &Built, name: &str, target: &Target) -> Option<Dependency> {
    let name = PackageName::new(name).ok()?;
    let installed = session.tree().active(&name, target);
    let exports_changed = built.record().and_then(|record| record.inputs).is_some_and(|inputs| {
        let exports = installed.as_ref().map(|installed| installed.built().exports());
        inputs.dependencies.get(name.as_str()).is_some_and(|then| exports.is_some_and(|now| now != *then))
    });
    let installed = installed.map(|installed| installed.id().package.version.to_string());
    Some(Dependency { name: name.to_string(), recorded: built.dependency(&name), installed, exports_changed })
}

fn rebuild(session: &WriteSession<'_>, id: &BuildId) -> Result<()> {
    let installed = session.tree().installed(id);
    let added = session.added(&id.package)?;
    let built = build(session, &added, id, BuildOptions::default())?;
    let Some(installed) = installed else { return Ok(()) };
    // Its own former modules are of the same version; without a record they cannot be distinguished from others.
    let version_override = installed.record().is_none();
    let options = InstallOptions { conf: None, force: Force { version_override, ..Force::default() } };
    let result = install(session, built.clone(), &options);
    if result.is_err() {
        // The kernel still has the old modules: the next installation tries again.
        session.writer.forget_dependencies(&built)?;
    }
    result.map(|_| ())
}
