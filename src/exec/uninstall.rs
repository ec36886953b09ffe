//! Takes the modules of one build away from its kernel, and gives back what they replaced. Works from the record; the
//! dkms.conf is asked only in trees that others wrote.

use super::environment::Environment;
use super::install::module_stem;
use super::originals::Restore;
use super::weak_modules::Change;
use super::{Engine, Reader};
use crate::conf::{Script, Strictness};
use crate::inspect::{Owner, Suspect, built_file, is_same_module, kept_by_others, owner};
use crate::kernel::Kernel;
use crate::kernel::module_file::{Compression, ModuleFile, image_digest, read_module};
use crate::model::{BuildId, Result};
use crate::system::digest::sha256;
use crate::system::files::{self, same_content};
use crate::tree::{
    Built, InstallRecord, Installed, InstalledFile, Intent, Key, ModuleRecord, Original, stored_originals,
};
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// Which variables POST_REMOVE gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveCaller {
    Command,
    /// kernel_preinst and kernel_prerm export the package.
    Kernel,
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
        let is_new = self.writer.intend_index(&id.target.release)?;
        let under_way = self.writer.intend(Intent::Uninstall { build: Key::of(&id) })?;
        let progress = Progress::default();
        let built = match self.take_files_out(installed, &kernel, &progress) {
            Ok(built) => built,
            // Half of it is done: the next run does the other half.
            Err(error) if progress.has_changed() => {
                under_way.leave();
                return Err(error);
            }
            // Nothing is done, so nothing is owed.
            Err(error) => {
                drop(under_way);
                if is_new {
                    self.writer.indexed(&id.target.release);
                }
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

    fn take_files_out(&self, installed: Installed, kernel: &Kernel, progress: &Progress) -> Result<Built> {
        let id = installed.id().clone();
        let suspects = self.suspects(&installed, kernel);
        let found: Vec<(PathBuf, Owner)> = suspects
            .iter()
            .map(|suspect| (suspect.path.clone(), owner(self.tree(), &id, kernel, suspect, false)))
            .collect();
        let present = found.iter().filter(|(_, owner)| owner.is_ours()).map(|(path, _)| path);
        self.tell_weak_modules(Change::Removed, installed.built(), present);
        // What is no module of ours goes out of the way before an original comes back to its place.
        for (path, owner) in found.iter().filter(|(_, owner)| is_in_the_way(owner)) {
            self.take_away(path, owner, progress)?;
        }
        let (theirs, ours): (Vec<_>, Vec<_>) =
            found.iter().partition(|(_, owner)| matches!(owner, Owner::Package(_) | Owner::Kernel));
        let paths: Vec<PathBuf> = ours.iter().map(|(path, _)| path.clone()).collect();
        let covered: Vec<PathBuf> = theirs.iter().map(|(path, _)| path.clone()).collect();
        self.leave_to_others(&installed, &suspects, &covered, progress)?;
        let restore = Restore { only: None, ours: &paths };
        let kept = || stored_originals(&self.tree().originals(id.name(), &id.target)).len();
        let before = kept();
        let restored = self.restore_originals(&id, kernel, restore, || self.conf_locations(&id));
        progress.changed_if(kept() != before);
        let restored = restored?;
        for (path, owner) in found.iter().filter(|(path, _)| !restored.contains(path)) {
            if !is_in_the_way(owner) {
                self.take_away(path, owner, progress)?;
            }
        }
        for dir in found.iter().filter_map(|(path, _)| path.parent()) {
            files::remove_empty_dirs(dir, &kernel.dir);
        }
        let built = self.writer.deactivate(installed)?;
        self.writer.forget_originals(id.name(), &id.target);
        Ok(built)
    }

    /// Packages whose modules replaced ours keep ours as originals, and lose these copies. Where theirs stand now (`covered`),
    /// they get the originals that ours had replaced: when they go in their turn, the kernel has its own module back.
    fn leave_to_others(
        &self,
        installed: &Installed,
        suspects: &[Suspect],
        covered: &[PathBuf],
        progress: &Progress,
    ) -> Result<()> {
        let id = installed.id();
        let paths: Vec<PathBuf> = suspects.iter().map(|suspect| suspect.path.clone()).collect();
        let is_our_copy = |kept: &Original| {
            let built = built_file(installed, &kept.origin);
            ModuleFile::read(&kept.stored).is_ok_and(|found| is_same_module(&found, &built))
        };
        for (other, kept) in kept_by_others(self.tree(), id, &paths) {
            if !is_our_copy(&kept) {
                continue;
            }
            progress.changed();
            files::remove_file(&kept.stored)?;
            files::remove_file(&kept.origin_file())?;
            if covered.contains(&kept.origin) {
                self.hand_originals_on(id, other.id(), &module_stem(&kept.stored))?;
            }
            self.writer.renew_originals(&other)?;
        }
        Ok(())
    }

    /// Moves what is kept for one package and module to another package's originals.
    fn hand_originals_on(&self, from: &BuildId, to: &BuildId, module: &str) -> Result<()> {
        let from = self.tree().originals(from.name(), &from.target);
        let to = self.tree().originals(to.name(), &to.target);
        let own = stored_originals(&from);
        for original in own.iter().filter(|original| module_stem(&original.stored) == module) {
            let Ok(below) = original.stored.strip_prefix(&from) else { continue };
            let moved = Original { origin: original.origin.clone(), stored: to.join(below) };
            if let Some(dir) = moved.stored.parent() {
                files::create_dirs(dir)?;
            }
            let line = format!("{}\n", moved.origin.display());
            files::publish_file(&moved.origin_file(), line.as_bytes(), 0o644)?;
            files::move_file(&original.stored, &moved.stored)?;
            files::remove_file(&original.origin_file())?;
        }
        Ok(())
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

    pub(super) fn remove_module(&self, id: &BuildId, kernel: &Kernel, suspect: &Suspect) -> Result<()> {
        let owner = owner(self.tree(), id, kernel, suspect, false);
        self.take_away(&suspect.path, &owner, &Progress::default())
    }

    fn take_away(&self, path: &Path, owner: &Owner, progress: &Progress) -> Result<()> {
        match owner {
            Owner::Nothing => self.system.ui.note(format!("{} was gone already.", path.display())),
            Owner::Recorded | Owner::Changed => {
                files::remove_file(path)?;
                progress.changed();
                self.system.ui.say(format!("Deleted {}", path.display()));
            }
            Owner::Unknown | Owner::Damaged(_) => {
                self.set_aside(path)?;
                files::remove_file(path)?;
                progress.changed();
            }
            Owner::Package(_) | Owner::Kernel => {
                self.system.ui.say(format!("{} stays: it is {owner}.", path.display()));
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
        if let Some(record) = self.record_of(installed) {
            let recorded = |file: InstalledFile| {
                let built = built(&file.path);
                Suspect::recorded(file, built)
            };
            return record.files.into_iter().map(recorded).collect();
        }
        let locations = self.conf_locations(installed.id());
        built_files.into_iter().filter_map(|file| self.derived_place(&file, &locations, kernel)).collect()
    }

    /// What an installation recorded, as far as it can be believed.
    pub(super) fn record_of(&self, installed: &Installed) -> Option<InstallRecord> {
        let id = installed.id();
        let originals = self.tree().originals(id.name(), &id.target);
        installed.record().map(|record| record.within(&self.kernel(&id.target.release).dir, &originals))
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
            .map(|path| Suspect { path, built: file.to_owned(), recorded: None })
            .find(is_built)
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

    /// Whether the files that a build holds are as they were made, or the same modules with another signature.
    #[must_use]
    pub fn is_whole(&self, built: &Built) -> bool {
        built.record().is_none_or(|record| record.modules.iter().all(|module| found(built, module).is_some()))
    }

    /// Whether a build's own files are where they were installed, and whole.
    #[must_use]
    pub fn is_intact(&self, installed: &Installed) -> bool {
        let kernel = self.kernel(&installed.id().target.release);
        if let Some(record) = self.record_of(installed) {
            // A build that was made anew and is not installed yet shows by its content.
            let modules = installed.built().record().map(|build| build.modules).unwrap_or_default();
            let is_of_build = |file: &InstalledFile| {
                let stem = module_stem(&file.path);
                let made = modules.iter().find(|module| module.name == stem && !module.sha256.is_empty());
                let then = file.instead_of.as_ref().unwrap_or(&file.sha256);
                made.is_none_or(|module| {
                    *then == module.sha256 || found(installed.built(), module).as_ref() == Some(then)
                })
            };
            let suspects = self.suspects(installed, &kernel);
            let is_settled =
                |suspect: &Suspect| owner(self.tree(), installed.id(), &kernel, suspect, false).is_settled();
            return record.files.iter().all(is_of_build) && suspects.iter().all(is_settled);
        }
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

/// What has been done so far of something that the next run would have to finish.
#[derive(Debug, Default)]
pub(super) struct Progress(Cell<bool>);

impl Progress {
    fn changed(&self) {
        self.0.set(true);
    }

    fn changed_if(&self, changed: bool) {
        self.0.set(self.0.get() || changed);
    }

    fn has_changed(&self) -> bool {
        self.0.get()
    }
}

/// SHA-256 of a module that a build holds, if it is as it was made, or the same module with another signature.
fn found(built: &Built, module: &ModuleRecord) -> Option<String> {
    let path = built.modules().join(&module.file);
    let digest = sha256(&fs_err::read(&path).ok()?);
    let is_same = module.sha256.is_empty()
        || digest == module.sha256
        || (!module.image.is_empty()
            && read_module(&path).is_ok_and(|content| image_digest(content) == module.image));
    is_same.then_some(digest)
}

fn is_in_the_way(owner: &Owner) -> bool {
    matches!(owner, Owner::Unknown | Owner::Damaged(_))
}

/// Whether a file is what a build made: its content; or, signed by another, the same module in the same version.
fn is_built(suspect: &Suspect) -> bool {
    fs_err::read_link(&suspect.path).is_ok_and(|target| target == suspect.built)
        || same_content(&suspect.path, &suspect.built)
        || ModuleFile::read(&suspect.path).is_ok_and(|found| is_same_module(&found, &suspect.built))
}
