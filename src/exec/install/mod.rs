//! Installs the modules of one build: each file complete under its name before anything older goes, all of them or none.

mod module;
mod undo;

use module::Placed;
pub(super) use module::module_stem;
pub use undo::Undo;

use super::Engine;
use super::environment::Environment;
use super::weak_modules::Change;
use crate::conf::{Module, PackageConf, Script, Strictness};
use crate::kernel::module_file::Compression;
use crate::model::{BuildId, Error, Result};
use crate::plan::buildable;
use crate::plan::request::Force;
use crate::tree::{Built, InstallRecord, Installed, InstalledFile, Intent, Key, stored_originals};
use std::path::{Path, PathBuf};

/// Where replaced files wait until an installation is complete.
pub(super) const UNDO: &str = ".dkms-undo";

/// How an installation is meant.
#[derive(Debug, Clone, Default)]
pub struct InstallOptions<'a> {
    /// Read in place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    pub force: Force,
}

/// What one installation works with.
struct Installation<'a> {
    id: &'a BuildId,
    force: Force,
    conf: &'a PackageConf,
    /// Whether originals are moved aside: not where another dkms installed the version that is active now, for then
    /// nobody can tell its files from the kernel's.
    archive: bool,
    /// The active version was installed by another dkms.
    unrecorded: bool,
    /// The build was made elsewhere: it came in a tarball, or another dkms made it.
    loaded: bool,
    /// The active version is this one: it was built again.
    rebuilt: bool,
    /// What the active version has in the kernel.
    former: Option<InstallRecord>,
    /// Files of this package, which are no originals.
    owned: Vec<PathBuf>,
}

impl Engine<'_> {
    /// Installs a build and makes it the active one. Does not run depmod.
    ///
    /// # Errors
    /// The kernel is not there, PRE_INSTALL fails, a module is missing, cannot be written, or none was installed.
    pub fn install(&self, built: Built, options: &InstallOptions<'_>) -> Result<Installed> {
        let id = built.id().clone();
        let force = self.forced(&id, &options.force);
        let kernel = self.kernel(&id.target.release);
        if !kernel.exists() {
            return Err(Error::KernelMissing { path: kernel.dir.clone() });
        }
        let own_conf = self.tree().source(&id.package).join("dkms.conf");
        let conf =
            self.conf(&id.package, options.conf.unwrap_or(&own_conf), &id.target, Strictness::Strict)?;
        let modules = self.modules_to_install(&built, &conf)?;
        let environment = self.install_environment(&id);
        self.pre_install(&id, &conf, &force, &environment)?;
        let intent = Intent::Install {
            build: Key::of(&id),
            conf: options.conf.map(Path::to_owned),
            force: force.force,
            version_override: force.version_override,
            safe_upgrade: force.safe_upgrade,
        };
        let is_new = self.writer.intend_index(&id.target.release)?;
        let under_way = self.writer.intend(intent)?;
        let work = self.installation(&built, &id, force, &conf);
        let mut undo = Undo::new(built.dir().join(UNDO), &kernel.dir, &self.tree().name_dir(id.name()));
        let placed = self.place_all(&work, &modules, &mut undo).and_then(|(files, kept)| {
            let originals = stored_originals(&self.tree().originals(id.name(), &id.target));
            let record = InstallRecord::new([files, kept].concat(), originals);
            Ok((self.writer.activate(built, &record)?, record))
        });
        let (installed, record) = match placed {
            Ok(placed) => placed,
            Err(error) => {
                // Everything is as it was: there is nothing to finish and nothing to index.
                if undo.take_back() && is_new {
                    self.writer.indexed(&id.target.release);
                }
                return Err(error);
            }
        };
        undo.keep();
        if installed.built().dir().join(UNDO).symlink_metadata().is_ok() {
            under_way.leave();
        }
        self.remove_superseded(&work, installed.built(), &record, &kernel)?;
        let placed = record.files.iter().map(|file| &file.path);
        self.tell_weak_modules(Change::Added, installed.built(), placed);
        if let Some(line) = conf.script(Script::PostInstall) {
            self.run_post_script(&id.package, Script::PostInstall, line, Some(&environment));
            self.record_what_stands(&installed, record)?;
        }
        Ok(installed)
    }

    /// Puts every module in its place; returns what stands there now, and what stays instead of modules that were refused.
    fn place_all(
        &self,
        work: &Installation<'_>,
        modules: &[(Module, PathBuf)],
        undo: &mut Undo,
    ) -> Result<(Vec<InstalledFile>, Vec<InstalledFile>)> {
        let (mut ours, mut kept, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (module, file) in modules {
            match self.install_module(work, module, file, undo)? {
                Placed::Ours(file) => ours.push(file),
                Placed::Refused { kept: file, why } => {
                    kept.extend(file);
                    refused.push((module.dest_name.clone(), why));
                }
            }
        }
        self.go_on()?;
        if !modules.is_empty() && ours.is_empty() {
            return Err(Error::NothingInstalled { build: work.id.clone(), refused });
        }
        for (module, why) in refused {
            self.system.ui.note(format!(
                "Module {module} of {} is not installed for kernel {}: {why}. You may override by specifying --force.",
                work.id.package, work.id.target
            ));
        }
        Ok((ours, kept))
    }

    /// The package's own script had the last word: what it made of the files is what was installed.
    fn record_what_stands(&self, installed: &Installed, mut record: InstallRecord) -> Result<()> {
        let mut changed = false;
        for file in record.files.iter_mut().filter(|file| !file.is_unchanged(false) && file.path.is_file()) {
            let built = file.instead_of.take().unwrap_or_else(|| file.sha256.clone());
            *file = InstalledFile { instead_of: Some(built), ..describe(&file.path, &file.path)? };
            changed = true;
        }
        if changed { self.writer.renew_installation(installed, &record) } else { Ok(()) }
    }

    fn installation<'a>(
        &self,
        built: &Built,
        id: &'a BuildId,
        force: Force,
        conf: &'a PackageConf,
    ) -> Installation<'a> {
        let loaded = built.record().is_none();
        let previous = self.tree().active(id.name(), &id.target);
        let former = previous.as_ref().and_then(|previous| self.record_of(previous));
        let unrecorded = previous.is_some() && former.is_none();
        let rebuilt = previous.as_ref().is_some_and(|installed| installed.id() == id);
        let owned = self.tree().installed_files(id.name(), &id.target);
        Installation { id, force, conf, archive: !unrecorded, unrecorded, loaded, rebuilt, former, owned }
    }

    fn pre_install(&self, id: &BuildId, conf: &PackageConf, force: &Force, env: &Environment) -> Result<()> {
        let Some(line) = conf.script(Script::PreInstall) else { return Ok(()) };
        let code = match self.run_script(&id.package, Script::PreInstall, line, Some(env)) {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => status.code(),
            Err(error @ Error::Interrupted { .. }) => return Err(error),
            Err(error) => {
                self.system.ui.warn(error.to_string());
                127
            }
        };
        let error = Error::PreInstallFailed { status: code };
        if force.force || force.safe_upgrade {
            self.system.ui.warn(format!("{error}\nIt is forced, so the installation goes on."));
            return Ok(());
        }
        Err(error)
    }

    /// The modules that the kernel can have, each with its built file.
    fn modules_to_install(&self, built: &Built, conf: &PackageConf) -> Result<Vec<(Module, PathBuf)>> {
        let target = &built.id().target;
        let kernel = self.kernel(&target.release);
        let buildable = buildable(conf, target, kernel.config());
        let dir = built.modules();
        conf.modules
            .iter()
            .filter(|module| buildable.has(module.index))
            .map(|module| match find_module_file(&dir, &module.dest_name) {
                Some(file) => Ok((module.clone(), file)),
                None => {
                    let path = dir.join(format!("{}.ko", module.dest_name));
                    Err(Error::BuiltModuleMissing { build: built.id().clone(), path })
                }
            })
            .collect()
    }

    /// Words in the files of `/usr/share/dkms/modules_to_force_install` force a package's installation.
    fn forced(&self, id: &BuildId, given: &Force) -> Force {
        let dir = self.system.path("/usr/share/dkms/modules_to_force_install");
        let mut force = given.clone();
        let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
        let text: String = entries.filter_map(|entry| fs_err::read_to_string(entry.path()).ok()).collect();
        let override_word = format!("{}_version-override", id.name());
        let word = text.split_whitespace().find(|word| *word == id.name().as_str() || *word == override_word);
        match word {
            Some(word) if word == override_word => force.version_override = true,
            Some(_) => force.force = true,
            None => return force,
        }
        self.system.ui.say(format!("Forcing installation of {}", id.package));
        force
    }
}

/// The file of a module in a build, in any compression.
#[must_use]
pub(super) fn find_module_file(dir: &Path, name: &str) -> Option<PathBuf> {
    let forms = Compression::ALL
        .into_iter()
        .map(|compression| dir.join(format!("{name}.ko{}", compression.suffix())));
    forms.into_iter().find(|path| path.is_file())
}

fn describe(path: &Path, source: &Path) -> Result<InstalledFile> {
    Ok(InstalledFile::of(path, &fs_err::read(source)?))
}
