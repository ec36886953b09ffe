//! Builds again what was built against a package that has just been replaced.

use super::Engine;
use super::build::BuildOptions;
use super::install::InstallOptions;
use crate::conf::Strictness;
use crate::model::{BuildId, PackageId, PackageName, Result, SourceState, Target};
use crate::plan::dependents::{Dependency, Dependent, plan_rebuilds};
use crate::plan::request::Force;
use crate::tree::{Built, Package};

impl Engine<'_> {
    /// Brings builds for a target up to what is installed for it now; what was installed is installed again, without
    /// depmod. A failure is told, and is nobody else's: the old result stays.
    pub(super) fn rebuild_dependents(&self, target: &Target) {
        let ui = &self.system.ui;
        for rebuild in plan_rebuilds(self.dependents(target)) {
            let id = rebuild.id;
            ui.say(format!("{id} is built again for kernel {target}: {}.", rebuild.why));
            if let Err(error) = self.rebuild(&BuildId::new(id.clone(), target.clone())) {
                self.tell(&error);
                ui.warn(format!("{id} for kernel {target} is what it was before, although {}.", rebuild.why));
            }
        }
    }

    /// Builds for the target whose packages want to be built again with their dependencies.
    fn dependents(&self, target: &Target) -> Vec<Dependent> {
        let snapshot = self.tree().scan(&self.settings.source_tree);
        snapshot.packages.iter().filter_map(|package| self.dependent(package, target)).collect()
    }

    fn dependent(&self, package: &Package, target: &Target) -> Option<Dependent> {
        let built = self.tree().built(&package.build_id(target))?;
        // Only binaries: there is nothing to build again. And our own builds have recorded whether they care.
        let cares = built.record().is_none_or(|record| record.depends_rebuild);
        if package.source == SourceState::BinariesOnly || !cares {
            return None;
        }
        let path = self.tree().source(&package.id).join("dkms.conf");
        let conf = match self.conf(&package.id, &path, target, Strictness::Lenient) {
            Ok(conf) => conf,
            Err(error) => {
                let id = &package.id;
                self.system.ui.warn(format!("Nobody can tell whether {id} must be built again: {error}"));
                return None;
            }
        };
        let depends = if conf.depends_rebuild.is_yes() { conf.depends } else { Vec::new() };
        let depends = depends.into_iter().filter_map(|name| self.dependency(&built, &name, target));
        Some(Dependent { id: package.id.clone(), depends: depends.collect() })
    }

    fn dependency(&self, built: &Built, name: &str, target: &Target) -> Option<Dependency> {
        let name = PackageName::new(name).ok()?;
        let installed = self.tree().active(&name, target);
        let exports_changed = built.record().and_then(|record| record.inputs).is_some_and(|inputs| {
            let exports = installed.as_ref().map(|installed| installed.built().exports());
            inputs.dependencies.get(name.as_str()).is_some_and(|then| exports.is_some_and(|now| now != *then))
        });
        let installed = installed.map(|installed| installed.id().package.version.to_string());
        Some(Dependency {
            name: name.to_string(),
            recorded: built.dependency(&name),
            installed,
            exports_changed,
        })
    }

    fn rebuild(&self, id: &BuildId) -> Result<()> {
        let installed = self.tree().installed(id);
        let added = self.added(&id.package)?;
        let built = self.build(&added, id, BuildOptions::default())?;
        let Some(installed) = installed else { return Ok(()) };
        // Its own former modules are of the same version; only without a record they cannot be told from others.
        let version_override = installed.record().is_none();
        let options = InstallOptions { conf: None, force: Force { version_override, ..Force::default() } };
        let result = self.install(built.clone(), &options);
        if result.is_err() {
            // The kernel still has the old modules: the next installation tries again.
            self.writer.forget_dependencies(&built)?;
        }
        result.map(|_| ())
    }

    /// The versions of the packages that a build finds installed.
    pub(super) fn installed_dependencies(&self, names: &[String], target: &Target) -> Vec<PackageId> {
        let names = names.iter().filter_map(|name| PackageName::new(name).ok());
        let active = names.filter_map(|name| self.tree().active(&name, target));
        active.map(|installed| installed.id().package.clone()).collect()
    }
}
