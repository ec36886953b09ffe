//! Puts in order what is inconsistent, without losing a module that works.

use super::{Disorder, OURS};
use crate::exec::Engine;
use crate::exec::install::{InstallOptions, module_stem};
use crate::exec::originals::Restore;
use crate::exec::uninstall::RemoveCaller;
use crate::model::{
    Arch, BuildId, Error, KernelRelease, PackageId, PackageName, PackageVersion, Result, Target,
};
use crate::system::files;
use crate::tree::{InstallRecord, InstalledFile, stored_originals};
use std::collections::BTreeSet;
use std::path::Path;

impl Engine<'_> {
    /// Puts everything in order that can be; tells what was done. What one repair brings to light is repaired too.
    ///
    /// # Errors
    /// Something is still inconsistent.
    pub fn repair(&self) -> Result<usize> {
        let mut repaired = BTreeSet::new();
        for _ in 0..5 {
            let found: Vec<Disorder> =
                self.disorders(true).into_iter().filter(|disorder| !repaired.contains(disorder)).collect();
            if found.is_empty() {
                break;
            }
            for disorder in found {
                match self.repair_one(&disorder) {
                    Ok(done) => self.system.ui.say(format!("{disorder}\n    {done}")),
                    Err(error) => {
                        self.system.ui.say(disorder.to_string());
                        self.tell(&error);
                    }
                }
                repaired.insert(disorder);
            }
        }
        for release in self.writer.not_indexed() {
            self.index_after_removal(&release);
        }
        let left = self.disorders(true);
        if left.is_empty() { Ok(repaired.len()) } else { Err(Error::Inconsistent { left: left.len() }) }
    }

    fn repair_one(&self, disorder: &Disorder) -> Result<String> {
        Ok(match disorder {
            Disorder::Unfinished(_) => "was put in order".to_owned(),
            Disorder::Temporary(path) => {
                files::remove_tree(path)?;
                if let Some(dir) = path.parent() {
                    files::remove_empty_dir(dir);
                }
                "deleted".to_owned()
            }
            Disorder::Record(path) => {
                files::remove_file(path)?;
                "deleted; what it said is derived from the tree".to_owned()
            }
            Disorder::Link(path) => {
                files::remove_file(path)?;
                "deleted".to_owned()
            }
            Disorder::Source { id, builds, .. } => self.repair_source(id, *builds)?,
            Disorder::KernelGone { id, target } => {
                self.unbuild(id, target, RemoveCaller::Command)?;
                self.drop_stored(&id.name, target)?;
                "taken out of the tree".to_owned()
            }
            Disorder::Pending { target } => {
                self.writer.forget_pending(&target.release)?;
                "forgotten".to_owned()
            }
            Disorder::NoLink { id, target, .. } => {
                let id = BuildId::new(id.clone(), target.clone());
                let built = self.tree().built(&id).ok_or_else(|| Error::NotInTree(id.package.clone()))?;
                self.install(built, &InstallOptions::default())?;
                "installed".to_owned()
            }
            Disorder::Original { name, target, .. } if self.tree().active(name, target).is_some() => {
                "is replaced again".to_owned()
            }
            Disorder::Original { name, target, .. } => {
                let kernel = self.kernel(&target.release);
                if kernel.exists() {
                    self.writer.intend_index(&target.release)?;
                    let version = PackageVersion::new("0").map_err(|_| Error::EmptyTarget)?;
                    let id = BuildId::new(PackageId::new(name.clone(), version), target.clone());
                    self.restore_originals(&id, &kernel, Restore::default(), Vec::new)?;
                }
                self.drop_stored(name, target)?;
                "given back to its kernel".to_owned()
            }
            Disorder::OriginalLost { id, moved } => {
                if let Some(installed) = self.tree().installed(id) {
                    self.writer.forget_original(&installed, moved)?;
                    self.writer.forget_originals(id.name(), &id.target);
                }
                format!("forgotten; the kernel's package brings {} again", moved.origin.display())
            }
            Disorder::Unclaimed { target, file } => {
                if let Ok(release) = KernelRelease::new(target) {
                    self.writer.intend_index(&release)?;
                }
                let mut aside = file.clone().into_os_string();
                aside.push(".unclaimed");
                files::rename(file, Path::new(&aside))?;
                format!("set aside as {}", Path::new(&aside).display())
            }
        })
    }

    /// Before a package is removed with everything: what lost its link or its build counts as installed again, or is taken
    /// out of the kernel here, so that nothing stays behind.
    ///
    /// # Errors
    /// The tree or the kernel's directory cannot be written.
    pub(in crate::exec) fn gather_remains(&self, id: &PackageId) -> Result<()> {
        let package = self.tree().package(id.clone(), &self.settings.source_tree);
        for build in package.iter().flat_map(|package| &package.builds) {
            let Some(built) = self.tree().built(&BuildId::new(id.clone(), build.target.clone())) else {
                continue;
            };
            let kernel = self.kernel(&build.target.release);
            if self.tree().active(&id.name, &build.target).is_none()
                && let Some(file) = self.file_of_idle(&built, &kernel)
            {
                let dir = file.parent().unwrap_or(&kernel.dir);
                let files = built.module_files().into_iter().filter_map(|module| {
                    let path = dir.join(module.file_name()?);
                    Some(InstalledFile::of(&path, &fs_err::read(&path).ok()?))
                });
                let record = InstallRecord::new(
                    files.collect(),
                    stored_originals(&self.tree().originals(&id.name, &build.target)),
                );
                self.writer.activate(built, &record)?;
            }
        }
        for link in self.tree().broken_links() {
            let text = fs_err::read_link(&link).unwrap_or_default();
            let parts: Vec<&str> = text.iter().filter_map(|part| part.to_str()).collect();
            let (&[version, release, arch], true) =
                (parts.as_slice(), link.starts_with(self.tree().name_dir(&id.name)))
            else {
                continue;
            };
            let (Ok(release), Ok(arch)) = (KernelRelease::new(release), Arch::new(arch)) else { continue };
            if version == id.version.as_str() {
                self.take_out_lost(&BuildId::new(id.clone(), Target::new(release, arch)))?;
                files::remove_file(&link)?;
            }
        }
        Ok(())
    }

    /// The modules of a build that is gone, as far as the dkms.conf names them.
    fn take_out_lost(&self, id: &BuildId) -> Result<()> {
        let kernel = self.kernel(&id.target.release);
        if !kernel.exists() {
            return self.drop_stored(id.name(), &id.target);
        }
        self.writer.intend_index(&id.target.release)?;
        for (name, _) in self.conf_locations(id) {
            for suffix in ["", ".gz", ".xz", ".zst"] {
                let path = kernel.dir.join(OURS).join(format!("{name}.ko{suffix}"));
                if path.is_file() {
                    files::remove_file(&path)?;
                    self.system.ui.say(format!("Deleted {}", path.display()));
                }
            }
        }
        files::remove_empty_dirs(&kernel.dir.join(OURS), &kernel.dir);
        self.restore_originals(id, &kernel, Restore::default(), Vec::new)?;
        self.drop_stored(id.name(), &id.target)?;
        self.index_after_removal(&id.target.release);
        Ok(())
    }

    /// What a kernel could not be given back, because it has a newer one or is gone, is of no use to anybody.
    fn drop_stored(&self, name: &PackageName, target: &Target) -> Result<()> {
        let dir = self.tree().originals(name, target);
        if !self.kernel(&target.release).exists() {
            files::remove_tree(&dir)?;
        }
        for original in stored_originals(&dir) {
            if original.origin.is_file() {
                files::remove_file(&original.stored)?;
                files::remove_file(&original.origin_file())?;
            }
        }
        self.writer.forget_originals(name, target);
        self.writer.tidy(name);
        Ok(())
    }

    fn repair_source(&self, id: &PackageId, builds: usize) -> Result<String> {
        let dir = self.source_dir(id);
        if dir.join("dkms.conf").is_file() {
            self.writer.register(id, &dir)?;
            return Ok(format!("leads to {} again", dir.display()));
        }
        if builds == 0 {
            self.writer.clean_staging(id)?;
            self.writer.forget(id)?;
            return Ok("removed from the tree".to_owned());
        }
        // The modules that are there go on to work; nobody can build others.
        let package = self.tree().package(id.clone(), &self.settings.source_tree);
        let targets = package.map(|package| package.builds).unwrap_or_default();
        let mut modules: BTreeSet<(String, String)> = BTreeSet::new();
        for build in targets {
            let Some(built) = self.tree().built(&BuildId::new(id.clone(), build.target)) else { continue };
            match built.record() {
                Some(record) => {
                    modules
                        .extend(record.modules.into_iter().map(|module| (module.name, module.conf_location)));
                }
                None => modules
                    .extend(built.module_files().iter().map(|file| (module_stem(file), format!("/{OURS}")))),
            }
        }
        let mut conf = format!("PACKAGE_NAME=\"{}\"\nPACKAGE_VERSION=\"{}\"\n", id.name, id.version);
        for (index, (name, location)) in modules.iter().enumerate() {
            conf += &format!(
                "BUILT_MODULE_NAME[{index}]=\"{name}\"\nDEST_MODULE_LOCATION[{index}]=\"{location}\"\n"
            );
        }
        let place = files::private_dir(&self.settings.tmp_location, "dkms-fsck.")?;
        let file = place.path().join("dkms.conf");
        files::stage_file(&file, conf.as_bytes(), 0o644)?;
        self.writer.register_binaries(id, &file)?;
        Ok("kept with what is built; it cannot be built for other kernels".to_owned())
    }
}
