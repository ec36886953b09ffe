//! Takes the modules of one build away from its kernel, and gives back what they replaced. Works from the record; the
//! dkms.conf is asked only in trees that others wrote.

use super::environment::Environment;
use super::install::module_stem;
use super::originals::Restore;
use super::weak_modules::Change;
use super::{Engine, Reader};
use crate::conf::{Script, Strictness};
use crate::kernel::Kernel;
use crate::kernel::module_file::{Compression, ModuleFile, strip_signature};
use crate::model::{BuildId, Result};
use crate::system::digest::sha256;
use crate::system::files::{self, same_content};
use crate::tree::{Built, Installed, InstalledFile, Intent, Key, ModuleRecord};
use std::path::{Path, PathBuf};

/// Which variables POST_REMOVE gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveCaller {
    Command,
    /// kernel_preinst and kernel_prerm export the package.
    Kernel,
}

/// A file that may be one of ours.
#[derive(Debug)]
pub(super) struct Suspect {
    path: PathBuf,
    built: PathBuf,
    sha256: Option<String>,
}

impl Suspect {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file that our record names.
    pub(super) fn recorded(file: InstalledFile, built: PathBuf) -> Self {
        Self { path: file.path, built, sha256: Some(file.sha256) }
    }
}

impl Engine<'_> {
    /// Uninstalls a build. Does not run depmod.
    ///
    /// # Errors
    /// A file cannot be removed or restored; the build then still counts as installed.
    pub fn uninstall(&self, installed: Installed, caller: RemoveCaller) -> Result<Built> {
        let id = installed.id().clone();
        let kernel = self.kernel(&id.target.release);
        self.system.ui.say(format!("Module {} for kernel {}:", id.package, id.target));
        let post_remove = self.post_remove(&installed);
        self.writer.intend_index(&id.target.release)?;
        let under_way = self.writer.intend(Intent::Uninstall { build: Key::of(&id) })?;
        let built = match self.take_files_out(installed, &kernel) {
            Ok(built) => built,
            Err(error) => {
                // Half of it is done: the next run does the other half.
                under_way.leave();
                return Err(error);
            }
        };
        if let Some(line) = post_remove {
            let environment = Environment::of_package(&id);
            let environment = (caller == RemoveCaller::Kernel).then_some(&environment);
            self.run_post_script(&id.package, Script::PostRemove, &line, environment);
        }
        Ok(built)
    }

    fn take_files_out(&self, installed: Installed, kernel: &Kernel) -> Result<Built> {
        let id = installed.id().clone();
        let suspects = self.suspects(&installed, kernel);
        let ours: Vec<PathBuf> = suspects.iter().map(|suspect| suspect.path.clone()).collect();
        let found: Vec<(PathBuf, Found)> =
            suspects.iter().map(|suspect| (suspect.path.clone(), Found::at(suspect))).collect();
        let present = found.iter().filter(|(_, found)| *found == Found::Ours).map(|(path, _)| path);
        self.tell_weak_modules(Change::Removed, installed.built(), present);
        for (path, found) in found.iter().filter(|(_, found)| *found == Found::Another) {
            self.take_away(path, *found)?;
        }
        let restore = Restore { only: None, ours: &ours };
        let restored = self.restore_originals(&id, kernel, restore, || self.conf_locations(&id))?;
        let mut dirs = Vec::new();
        for (path, found) in found.iter().filter(|(path, _)| !restored.contains(path)) {
            if *found != Found::Another {
                self.take_away(path, *found)?;
            }
            dirs.extend(path.parent().map(Path::to_owned));
        }
        for dir in dirs {
            files::remove_empty_dirs(&dir, &kernel.dir);
        }
        let built = self.writer.deactivate(installed)?;
        self.writer.forget_originals(id.name(), &id.target);
        Ok(built)
    }

    /// POST_REMOVE as recorded, or as the conf of a package that others built says.
    fn post_remove(&self, installed: &Installed) -> Option<String> {
        if let Some(record) = installed.built().record() {
            return record.post_remove;
        }
        let id = installed.id();
        let path = self.tree().source(&id.package).join("dkms.conf");
        let conf = self.conf(&id.package, &path, &id.target, Strictness::Lenient).ok()?;
        conf.script(Script::PostRemove).map(str::to_owned)
    }

    pub(super) fn remove_module(&self, suspect: &Suspect) -> Result<()> {
        self.take_away(&suspect.path, Found::at(suspect))
    }

    fn take_away(&self, path: &Path, found: Found) -> Result<()> {
        match found {
            Found::Nothing => self.system.ui.note(format!("{} was gone already.", path.display())),
            Found::Ours => {
                files::remove_file(path)?;
                self.system.ui.say(format!("Deleted {}", path.display()));
            }
            Found::Another => {
                self.set_aside(path)?;
                files::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Keeps what somebody put in the place of a module of ours, under a name that no kernel looks for.
    pub(super) fn set_aside(&self, path: &Path) -> Result<()> {
        let numbers = std::iter::once(String::new()).chain((1..).map(|number| format!(".{number}")));
        let names = numbers.map(|number| PathBuf::from(format!("{}.changed{number}", path.display())));
        let mut free = names.filter(|aside| aside.symlink_metadata().is_err() || same_content(path, aside));
        let Some(aside) = free.next() else { return Ok(()) };
        files::keep_copy(path, &aside)?;
        self.system.ui.warn(format!(
            "{} is not the file that was installed; it is kept as {}. Delete it if nothing needs it.",
            path.display(),
            aside.display()
        ));
        Ok(())
    }
}

impl Reader<'_> {
    /// The files that the installation wrote: as recorded, else where the modules of the build would have gone.
    pub(super) fn suspects(&self, installed: &Installed, kernel: &Kernel) -> Vec<Suspect> {
        let built_files = installed.built().module_files();
        let built = |path: &Path| {
            let name = path.file_name();
            built_files.iter().find(|file| file.file_name() == name).cloned().unwrap_or_default()
        };
        if let Some(record) = installed.record() {
            let recorded = |file: InstalledFile| Suspect {
                built: built(&file.path),
                ..Suspect::recorded(file, PathBuf::new())
            };
            return record.files.into_iter().map(recorded).collect();
        }
        let locations = self.conf_locations(installed.id());
        built_files.into_iter().filter_map(|file| self.derived_place(&file, &locations, kernel)).collect()
    }

    /// Where another dkms put a module: the first place with a file that is the built one.
    fn derived_place(&self, file: &Path, locations: &[(String, String)], kernel: &Kernel) -> Option<Suspect> {
        let stem = module_stem(file);
        self.places_of(&stem, locations, kernel)
            .into_iter()
            .flat_map(|dir| {
                let stem = stem.clone();
                Compression::ALL.into_iter().map(move |form| dir.join(format!("{stem}.ko{}", form.suffix())))
            })
            .filter(|path| path.symlink_metadata().is_ok())
            .map(|path| Suspect { path, built: file.to_owned(), sha256: None })
            .find(is_ours)
    }

    /// Directories where a module can be: the distribution's, then the one that its dkms.conf names, and without a conf
    /// the usual ones.
    pub(super) fn places_of(
        &self,
        stem: &str,
        locations: &[(String, String)],
        kernel: &Kernel,
    ) -> Vec<PathBuf> {
        let own = locations.iter().filter(|(name, _)| name == stem).map(|(_, location)| location.clone());
        let mut places: Vec<String> =
            self.settings.effective_location(self.system).into_iter().chain(own).collect();
        if locations.is_empty() {
            places.extend(["/updates/dkms", "/updates", "/extra"].map(str::to_owned));
        }
        places.iter().map(|location| kernel.dir.join(location.trim_start_matches('/'))).collect()
    }

    /// Each module of the dkms.conf with the directory that it names.
    pub(super) fn conf_locations(&self, id: &BuildId) -> Vec<(String, String)> {
        let path = self.tree().source(&id.package).join("dkms.conf");
        let conf = self.conf(&id.package, &path, &id.target, Strictness::Lenient);
        let modules = conf.map(|conf| conf.modules).unwrap_or_default();
        modules.into_iter().map(|module| (module.dest_name, module.conf_location)).collect()
    }

    /// Whether the files that a build holds are as they were made.
    #[must_use]
    pub fn is_whole(&self, built: &Built) -> bool {
        let is_made = |module: &ModuleRecord| {
            let content = fs_err::read(built.modules().join(&module.file));
            content.is_ok_and(|content| module.sha256.is_empty() || sha256(&content) == module.sha256)
        };
        built.record().is_none_or(|record| record.modules.iter().all(is_made))
    }

    /// Whether a build's own files are where they were installed, and whole.
    #[must_use]
    pub fn is_intact(&self, installed: &Installed) -> bool {
        if let Some(record) = installed.record() {
            // A build that was made anew and is not installed yet shows by its content.
            let modules = installed.built().record().map(|build| build.modules).unwrap_or_default();
            let is_of_build = |file: &InstalledFile| {
                let stem = module_stem(&file.path);
                let made = modules.iter().find(|module| module.name == stem && !module.sha256.is_empty());
                made.is_none_or(|module| *file.instead_of.as_ref().unwrap_or(&file.sha256) == module.sha256)
            };
            return record.files.iter().all(|file| file.is_unchanged(false) && is_of_build(file));
        }
        let kernel = self.kernel(&installed.id().target.release);
        let locations = self.conf_locations(installed.id());
        installed.built().module_files().iter().all(|file| {
            let stem = module_stem(file);
            let name = file.file_name().unwrap_or_default();
            self.places_of(&stem, &locations, &kernel).iter().any(|dir| dir.join(name).exists())
                // A module that was not installed because the kernel's own is as good.
                || !kernel.modules().find(&stem).is_empty()
        })
    }
}

/// What stands where a file of ours was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Ours,
    /// Somebody put it in the place of ours.
    Another,
}

impl Found {
    fn at(suspect: &Suspect) -> Self {
        match suspect.path.symlink_metadata() {
            Err(_) => Self::Nothing,
            Ok(_) if is_ours(suspect) => Self::Ours,
            Ok(_) => Self::Another,
        }
    }
}

/// Whether somebody put another file in the place of ours.
pub(super) fn is_changed(suspect: &Suspect) -> bool {
    Found::at(suspect) == Found::Another
}

/// The recorded content; or that of the built file; or, signed by somebody else, the same module in the same version.
fn is_ours(suspect: &Suspect) -> bool {
    if fs_err::read_link(&suspect.path).is_ok_and(|target| target == suspect.built) {
        return true;
    }
    let Ok(content) = fs_err::read(&suspect.path) else { return false };
    if suspect.sha256.as_deref() == Some(sha256(&content).as_str())
        || same_content(&suspect.path, &suspect.built)
    {
        return true;
    }
    let (Ok(found), Ok(built)) = (ModuleFile::read(&suspect.path), ModuleFile::read(&suspect.built)) else {
        return false;
    };
    let identity =
        |file: &ModuleFile| (file.info.version_word().to_owned(), file.info.source_id().to_owned());
    if identity(&found) != (String::new(), String::new()) {
        return identity(&found) == identity(&built);
    }
    strip_signature(found.content) == strip_signature(built.content)
}
