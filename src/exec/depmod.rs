//! depmod(8) for one release, once, after the last change.

use super::Engine;
use crate::model::{Error, KernelRelease, Result};
use crate::system::files;
use crate::system::process::Output;
use std::path::PathBuf;

impl Engine<'_> {
    /// Indexes the modules of a release, unless nobody has indexed it before or the user said not to.
    ///
    /// # Errors
    /// depmod is missing or fails.
    pub fn depmod(&self, release: &KernelRelease) -> Result<()> {
        let kernel = self.kernel(release);
        let step = self.system.ui.step("depmod", "depmod");
        if self.settings.no_depmod || !kernel.dir.join("modules.dep").is_file() {
            step.done();
            self.writer.indexed(release);
            return Ok(());
        }
        let mut command = self.system.command("depmod").args(["-a", release.as_str()]);
        if !self.settings.default_install_tree {
            let Some(base) = self.base_dir() else {
                step.done();
                self.writer.indexed(release);
                self.system.ui.note(format!(
                    "{} is no /lib/modules of any root, so depmod cannot index it.",
                    self.settings.install_tree.display()
                ));
                return Ok(());
            };
            command = command.arg("-b").arg(base);
        }
        if let Some(map) = kernel.system_map() {
            command = command.arg("-F").arg(map);
        }
        let failed = |why: String| Error::DepmodFailed { release: release.clone(), why };
        let outcome =
            command.stdout(Output::Null).stderr(Output::Capture).run().map_err(|e| failed(e.to_string()))?;
        if outcome.status.success() {
            step.done();
            self.writer.indexed(release);
            self.drop_empty_index(release)?;
            return Ok(());
        }
        step.failed(outcome.status);
        Err(failed(format!("{}: {}", outcome.status, outcome.stderr_tail())))
    }

    /// The root whose `/lib/modules` the install tree is.
    fn base_dir(&self) -> Option<PathBuf> {
        let tree = &self.settings.install_tree;
        let lib = tree.parent().filter(|_| tree.ends_with("lib/modules"))?;
        lib.parent()
            .map(|base| if base.ends_with("usr") { base.parent().unwrap_or(base) } else { base }.to_owned())
    }

    /// An index of nothing is the leftover of a kernel that is gone.
    fn drop_empty_index(&self, release: &KernelRelease) -> Result<()> {
        let dir = &self.kernel(release).dir;
        let is_empty = fs_err::metadata(dir.join("modules.dep")).is_ok_and(|data| data.len() == 0);
        if !is_empty {
            return Ok(());
        }
        const INDEXES: [&str; 6] = ["alias", "dep", "devname", "softdep", "symbols", "weakdep"];
        for entry in fs_err::read_dir(dir)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(kind) = name.strip_prefix("modules.") else { continue };
            if INDEXES.contains(&kind) || kind.ends_with(".bin") {
                files::remove_file(&entry.path())?;
            }
        }
        files::remove_empty_dir(dir);
        Ok(())
    }
}
