//! Takes the modules of one build away from its kernel, and gives back what they replaced. Works from the record; the
//! dkms.conf is asked only in trees that others wrote.

use crate::conf::{Script, Strictness};
use crate::inspect::installed::{conf_locations, suspects};
use crate::inspect::owner::{InstalledPath, Owner, built_file, is_same_module, kept_by_others, owner};
use crate::install::originals::{Restore, restore_originals};
use crate::install::weak_modules::{WeakChange, tell_weak_modules};
use crate::kernel::Kernel;
use crate::kernel::module_file::ModuleFile;
use crate::model::module_name::module_name;
use crate::model::{BuildId, Result};
use crate::programs::scripts::run_post_script;
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::system::files::{self, same_content};
use crate::tree::{Built, Entry, Installed, Key, Original, stored_originals};
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// Which variables POST_REMOVE gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemoveCaller {
    Command,
    /// kernel_preinst and kernel_prerm export the package.
    Kernel,
}

/// Uninstalls a build. Does not run depmod.
///
/// # Errors
/// A file cannot be removed or restored; the build then still counts as installed.
pub(crate) fn uninstall(
    session: &WriteSession<'_>,
    installed: Installed,
    caller: RemoveCaller,
) -> Result<Built> {
    let id = installed.id().clone();
    let kernel = session.kernel(&id.target.release);
    session.system.console.say(format!("Module {} for kernel {}:", id.package, id.target));
    let post_remove = post_remove(session, &installed);
    let is_new = session.writer.journal.begin_index(&id.target.release)?;
    let under_way = session.writer.journal.begin(Entry::Uninstall { build: Key::from_build(&id) })?;
    let progress = Progress::default();
    let built = match take_files_out(session, installed, &kernel, &progress) {
        Ok(built) => built,
        // Half of it is done: the next run does the other half.
        Err(error) if progress.has_changed() => {
            under_way.keep();
            return Err(error);
        }
        // Nothing is done, so nothing is owed.
        Err(error) => {
            drop(under_way);
            if is_new {
                session.writer.journal.indexed(&id.target.release);
            }
            return Err(error);
        }
    };
    if let Some(line) = post_remove {
        let environment = ProgramEnvironment::of_package(&id);
        let environment = (caller == RemoveCaller::Kernel).then_some(&environment);
        run_post_script(session, &id.package, Script::PostRemove, &line, environment);
    }
    Ok(built)
}

fn take_files_out(
    session: &WriteSession<'_>,
    installed: Installed,
    kernel: &Kernel,
    progress: &Progress,
) -> Result<Built> {
    let id = installed.id().clone();
    let suspects = suspects(session, &installed, kernel);
    let found: Vec<(PathBuf, Owner)> = suspects
        .iter()
        .map(|suspect| (suspect.path.clone(), owner(session.tree(), &id, kernel, suspect, false)))
        .collect();
    let present = found.iter().filter(|(_, owner)| owner.is_ours()).map(|(path, _)| path);
    tell_weak_modules(session, WeakChange::Removed, installed.built(), present);
    // What is not a module of ours goes out of the way before an original comes back to its place.
    for (path, owner) in found.iter().filter(|(_, owner)| is_in_the_way(owner)) {
        take_away(session, path, owner, progress)?;
    }
    let (theirs, ours): (Vec<_>, Vec<_>) =
        found.iter().partition(|(_, owner)| matches!(owner, Owner::Package(_) | Owner::Kernel));
    let paths: Vec<PathBuf> = ours.iter().map(|(path, _)| path.clone()).collect();
    let covered: Vec<PathBuf> = theirs.iter().map(|(path, _)| path.clone()).collect();
    leave_to_others(session, &installed, &suspects, &covered, progress)?;
    let restore = Restore { only: None, ours: &paths };
    let kept = || stored_originals(&session.tree().originals(id.name(), &id.target)).len();
    let before = kept();
    let restored = restore_originals(session, &id, kernel, restore, || conf_locations(session, &id));
    progress.changed_if(kept() != before);
    let restored = restored?;
    for (path, owner) in found.iter().filter(|(path, _)| !restored.contains(path)) {
        if !is_in_the_way(owner) {
            take_away(session, path, owner, progress)?;
        }
    }
    for dir in found.iter().filter_map(|(path, _)| path.parent()) {
        files::remove_empty_dirs(dir, &kernel.dir);
    }
    let built = session.writer.deactivate(installed)?;
    session.writer.forget_originals(id.name(), &id.target);
    Ok(built)
}

/// Packages whose modules replaced ours keep ours as originals, and lose these copies. Where theirs stand now (`covered`),
/// they get the originals that ours had replaced: when they go in their turn, the kernel has its own module back.
fn leave_to_others(
    session: &WriteSession<'_>,
    installed: &Installed,
    suspects: &[InstalledPath],
    covered: &[PathBuf],
    progress: &Progress,
) -> Result<()> {
    let id = installed.id();
    let paths: Vec<PathBuf> = suspects.iter().map(|suspect| suspect.path.clone()).collect();
    let is_our_copy = |kept: &Original| {
        let built = built_file(installed, &kept.origin);
        ModuleFile::read(&kept.stored).is_ok_and(|found| is_same_module(&found, &built))
    };
    for (other, kept) in kept_by_others(session.tree(), id, &paths) {
        if !is_our_copy(&kept) {
            continue;
        }
        progress.changed();
        files::remove_file(&kept.stored)?;
        files::remove_file(&kept.origin_file())?;
        if covered.contains(&kept.origin) {
            hand_originals_on(session, id, other.id(), &module_name(&kept.stored))?;
        }
        session.writer.renew_originals(&other)?;
    }
    Ok(())
}

/// Moves what is kept for one package and module to another package's originals.
fn hand_originals_on(session: &WriteSession<'_>, from: &BuildId, to: &BuildId, module: &str) -> Result<()> {
    let from = session.tree().originals(from.name(), &from.target);
    let to = session.tree().originals(to.name(), &to.target);
    let own = stored_originals(&from);
    for original in own.iter().filter(|original| module_name(&original.stored) == module) {
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
fn post_remove(session: &WriteSession<'_>, installed: &Installed) -> Option<String> {
    if let Some(record) = installed.built().record() {
        return record.post_remove;
    }
    let id = installed.id();
    let conf = session.own_conf(&id.package, &id.target, Strictness::Lenient).ok()?;
    conf.script(Script::PostRemove).map(str::to_owned)
}

pub(crate) fn remove_module(
    session: &WriteSession<'_>,
    id: &BuildId,
    kernel: &Kernel,
    suspect: &InstalledPath,
) -> Result<()> {
    let owner = owner(session.tree(), id, kernel, suspect, false);
    take_away(session, &suspect.path, &owner, &Progress::default())
}

fn take_away(session: &WriteSession<'_>, path: &Path, owner: &Owner, progress: &Progress) -> Result<()> {
    match owner {
        Owner::Nothing => session.system.console.note(format!("{} was gone already.", path.display())),
        Owner::Recorded | Owner::Changed => {
            files::remove_file(path)?;
            progress.changed();
            session.system.console.say(format!("Deleted {}", path.display()));
        }
        Owner::Unknown | Owner::Damaged(_) => {
            set_aside(session, path)?;
            files::remove_file(path)?;
            progress.changed();
        }
        Owner::Package(_) | Owner::Kernel => {
            session.system.console.say(format!("{} stays: it is {owner}.", path.display()));
        }
    }
    Ok(())
}

/// Keeps a foreign file found in the place of a module of ours, under a name that no kernel looks for.
pub(crate) fn set_aside(session: &WriteSession<'_>, path: &Path) -> Result<()> {
    let numbers = std::iter::once(String::new()).chain((1..).map(|number| format!(".{number}")));
    let names = numbers.map(|number| PathBuf::from(format!("{}.changed{number}", path.display())));
    let mut free = names.filter(|aside| aside.symlink_metadata().is_err() || same_content(path, aside));
    let Some(aside) = free.next() else { return Ok(()) };
    files::keep_copy(path, &aside)?;
    session.system.console.warn(format!(
        "{} is not the file that was installed; it is kept as {}. Delete it if nothing needs it.",
        path.display(),
        aside.display()
    ));
    Ok(())
}

/// What has been done so far of something that the next run would have to finish.
#[derive(Debug, Default)]
pub(crate) struct Progress(Cell<bool>);

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

fn is_in_the_way(owner: &Owner) -> bool {
    matches!(owner, Owner::Unknown | Owner::Damaged(_))
}
