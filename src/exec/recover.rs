//! Puts in order what an earlier run, that was killed or lost its power, left unfinished.

use super::Engine;
use super::install::{InstallOptions, UNDO};
use super::uninstall::RemoveCaller;
use crate::kernel::Kernel;
use crate::model::{BuildId, KernelRelease, Result};
use crate::plan::request::Force;
use crate::system::files;
use crate::tree::Intent;

impl Engine<'_> {
    /// Builds are undone, installations and removals finished, and the kernels concerned indexed.
    pub(super) fn recover(&self) {
        let unfinished = self.writer.unfinished().to_vec();
        if unfinished.is_empty() {
            return;
        }
        self.system.ui.note("dkms: an earlier run left work unfinished; it is put in order.");
        let order = |intent: &&Intent| match intent {
            Intent::Build { .. } => 0,
            Intent::Uninstall { .. } | Intent::Unbuild { .. } => 1,
            Intent::Install { .. } | Intent::Index { .. } => 2,
        };
        let mut sorted: Vec<&Intent> = unfinished.iter().collect();
        sorted.sort_by_key(order);
        for intent in sorted {
            self.told(self.settle(intent));
            if !matches!(intent, Intent::Index { .. }) {
                self.writer.ended(intent);
            }
        }
        for release in self.writer.not_indexed() {
            // What depmod does not do today it may do tomorrow.
            self.told(self.index(&release));
        }
    }

    fn told(&self, result: Result<()>) {
        if let Err(error) = result {
            self.system.ui.warn(format!("what an earlier run left could not be put in order: {error}"));
        }
    }

    fn index(&self, release: &KernelRelease) -> Result<()> {
        if self.kernel(release).exists() {
            self.depmod(release)?;
            self.post_transaction(release);
        } else {
            self.writer.indexed(release);
        }
        Ok(())
    }

    fn settle(&self, intent: &Intent) -> Result<()> {
        let key = match intent {
            Intent::Index { .. } => return Ok(()),
            Intent::Build { build }
            | Intent::Install { build, .. }
            | Intent::Uninstall { build }
            | Intent::Unbuild { build } => build,
        };
        let Some(id) = key.id() else { return Ok(()) };
        let kernel = self.kernel(&id.target.release);
        match intent {
            Intent::Install { conf, force, version_override, safe_upgrade, .. } => {
                self.sweep(&id, &kernel)?;
                let Some(built) = self.tree().built(&id).filter(|_| kernel.exists()) else { return Ok(()) };
                let force = Force {
                    force: *force,
                    version_override: *version_override,
                    safe_upgrade: *safe_upgrade,
                    ..Force::default()
                };
                let conf = conf.as_deref().filter(|conf| conf.is_file());
                self.install(built, &InstallOptions { conf, force }).map(|_| ())
            }
            Intent::Uninstall { .. } | Intent::Unbuild { .. } => {
                self.sweep(&id, &kernel)?;
                if let Some(installed) = self.tree().installed(&id) {
                    self.uninstall(installed, RemoveCaller::Command)?;
                }
                if let Some(built) = self.tree().built(&id) {
                    self.writer.forget_installation(&built)?;
                }
                self.writer.forget_originals(id.name(), &id.target);
                if matches!(intent, Intent::Unbuild { .. }) {
                    self.writer.discard_debris(&id)?;
                }
                Ok(())
            }
            Intent::Build { .. } | Intent::Index { .. } => self.writer.undo_build(&id),
        }
    }

    /// Deletes what was being written when the run ended.
    fn sweep(&self, id: &BuildId, kernel: &Kernel) -> Result<()> {
        let out = self.tree().out_dir(id);
        files::remove_tree(&out.join(UNDO))?;
        let mut dirs =
            vec![out, self.tree().name_dir(id.name()), self.tree().originals(id.name(), &id.target)];
        let built = self.tree().built(id).and_then(|built| built.record());
        let recorded =
            built.iter().flat_map(|record| record.modules.iter().map(|module| module.location.as_str()));
        dirs.extend(
            recorded
                .chain(["/updates/dkms", "/updates", "/extra"])
                .map(|location| kernel.dir.join(location.trim_start_matches('/'))),
        );
        let installed = self.tree().installed(id).and_then(|installed| installed.record());
        let files = installed.iter().flat_map(|record| &record.files);
        dirs.extend(files.filter_map(|file| file.path.parent()).map(std::path::Path::to_owned));
        let origins = self.tree().origins(id.name(), &id.target);
        dirs.extend(origins.iter().filter_map(|path| path.parent()).map(std::path::Path::to_owned));
        for dir in &dirs {
            files::remove_leftovers(dir);
        }
        Ok(())
    }
}
