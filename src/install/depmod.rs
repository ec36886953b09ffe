//! depmod(8) for one release, once, after the last change.

use crate::model::{Error, KernelRelease, Result};
use crate::session::WriteSession;
use crate::system::dir;
use crate::system::files;
use crate::system::process::Output;
use std::path::{Path, PathBuf};

/// Indexes the modules of a release, unless it never was indexed or the user said not to.
///
/// # Errors
/// depmod is missing or fails.
pub(crate) fn depmod(session: &WriteSession<'_>, release: &KernelRelease) -> Result<()> {
    let kernel = session.kernel(release);
    // Of a run that was killed.
    files::remove_tree(&kernel.dir.join(KeptIndex::ASIDE))?;
    let step = session.system.console.step("depmod", "depmod");
    // Without an index the kernel is not set up yet: its own package indexes it, with our modules.
    if session.settings.no_depmod || !kernel.dir.join("modules.dep").is_file() {
        step.done();
        session.writer.journal.indexed(release);
        return Ok(());
    }
    let mut command = session.system.command("depmod").args(["-a", release.as_str()]);
    if !session.settings.default_install_tree {
        let Some(base) = base_dir(session) else {
            step.done();
            session.writer.journal.indexed(release);
            session.system.console.note(format!(
                "{} is no /lib/modules of any root, so depmod cannot index it.",
                session.settings.install_tree.display()
            ));
            return Ok(());
        };
        command = command.arg("-b").arg(base);
    }
    if let Some(map) = kernel.system_map() {
        command = command.arg("-F").arg(map);
    }
    let failed = |why: String| Error::DepmodFailed { release: release.clone(), why };
    // depmod writes in place and exits with 0 on a full disk, leaving an empty index: no driver would load.
    let kept = KeptIndex::from_dir(&kernel.dir);
    let outcome = command.stdout(Output::Null).stderr(Output::Capture).run().map_err(|e| {
        kept.put_back();
        failed(e.to_string())
    })?;
    let why = match outcome.status.success() {
        true if kept.is_lost() => "the index that it wrote is empty; is the disk full?".to_owned(),
        true => {
            step.done();
            // As long as the old index lies there, the kernel is not in order.
            if kept.forget() {
                session.writer.journal.indexed(release);
            }
            drop_empty_index(session, release)?;
            return Ok(());
        }
        false => format!("{}: {}", outcome.status, outcome.stderr_tail()),
    };
    step.failed(outcome.status);
    kept.put_back();
    Err(failed(why))
}

/// The root whose `/lib/modules` the install tree is.
fn base_dir(session: &WriteSession<'_>) -> Option<PathBuf> {
    let tree = &session.settings.install_tree;
    let lib = tree.parent().filter(|_| tree.ends_with("lib/modules"))?;
    lib.parent()
        .map(|base| if base.ends_with("usr") { base.parent().unwrap_or(base) } else { base }.to_owned())
}

/// An index of nothing is the leftover of a kernel that is gone.
fn drop_empty_index(session: &WriteSession<'_>, release: &KernelRelease) -> Result<()> {
    let dir = &session.kernel(release).dir;
    let is_empty = fs_err::metadata(dir.join("modules.dep")).is_ok_and(|data| data.len() == 0);
    if !is_empty {
        return Ok(());
    }
    const INDEXES: [&str; 6] = ["alias", "dep", "devname", "softdep", "symbols", "weakdep"];
    for entry in dir::read(dir)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(kind) = name.strip_prefix("modules.") else { continue };
        if INDEXES.contains(&kind) || kind.ends_with(".bin") {
            files::remove_file(&entry.path())?;
        }
    }
    files::remove_empty_dir(dir);
    Ok(())
}

/// The index of a kernel while depmod writes another one, which takes its names: a hard link to each file, for which no disk is
/// too full. Where links are not possible nothing is kept.
struct KeptIndex {
    files: Vec<(PathBuf, PathBuf)>,
    dir: PathBuf,
}

impl KeptIndex {
    const ASIDE: &str = ".dkms-index";

    fn from_dir(dir: &Path) -> Self {
        let aside = dir.join(Self::ASIDE);
        let names = dir::entries(dir).into_iter().map(|entry| entry.file_name());
        let names = names.filter(|name| name.to_string_lossy().starts_with("modules."));
        let pairs = names.map(|name| (dir.join(&name), aside.join(&name)));
        let files = pairs.filter(|(from, to)| from.is_file() && files::link(from, to).is_ok()).collect();
        Self { files, dir: aside }
    }

    /// Whether there was an index of something, and there is one of nothing now, although modules are there.
    fn is_lost(&self) -> bool {
        let length = |path: &Path| fs_err::metadata(path).map_or(0, |data| data.len());
        let dep = self.files.iter().find(|(path, _)| path.ends_with("modules.dep"));
        let has_modules = || {
            let top = self.dir.parent().unwrap_or(&self.dir);
            crate::kernel::ModuleIndex::scan(top).below(top).next().is_some()
        };
        dep.is_some_and(|(now, then)| length(now) == 0 && length(then) > 0) && has_modules()
    }

    fn put_back(&self) {
        for (path, kept) in &self.files {
            let _ = files::rename(kept, path);
        }
        self.forget();
    }

    /// Tells whether nothing of it is left.
    fn forget(&self) -> bool {
        files::remove_tree(&self.dir).is_ok()
    }
}
