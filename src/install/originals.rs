//! Modules of the kernel that ours replace: kept in the tree with the path they came from, and given back.
//!
//! An original gets its second name before ours gets its first, and loses its old place only after ours is there: at
//! no moment does the kernel have neither.

use crate::conf::Module;
use crate::inspect::installed::record_of;
use crate::install::undo::Undo;
use crate::kernel::Kernel;
use crate::model::module_name::{is_module_file, module_name, module_stem};
use crate::model::{BuildId, Result};
use crate::session::WriteSession;
use crate::system::dir;
use crate::system::files::{self, same_content};
use crate::tree::{Original, stored_originals};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which originals are given back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Restore<'a> {
    /// Those of one module, by its stem.
    pub only: Option<&'a str>,
    /// Files at their places that are ours, and may be replaced.
    pub ours: &'a [PathBuf],
}

/// Gives every module of that name a second place in the tree: the preferred one directly, others of the same
/// name under `collisions/` with their directory. What is stored already is never overwritten, and files of the
/// package itself (`owned`) are not originals.
pub(crate) fn keep_originals(
    session: &WriteSession<'_>,
    id: &BuildId,
    module: &Module,
    kernel: &Kernel,
    owned: &[PathBuf],
    undo: &mut Undo,
) -> Result<Vec<Original>> {
    let dir = session.tree().originals(id.name(), &id.target);
    let known = stored_originals(&dir);
    let mut originals = Vec::new();
    for origin in candidates(module, kernel).into_iter().filter(|path| !owned.contains(path)) {
        if let Some(stored) =
            known.iter().find(|original| original.origin == origin && original.stored.is_file())
        {
            originals.push(stored.clone());
            continue;
        }
        // Every dkms finds the preferred one directly in the directory.
        let direct = dir.join(origin.file_name().unwrap_or_default());
        let taken = originals.iter().any(|original: &Original| original.stored == direct)
            || direct.symlink_metadata().is_ok();
        let stored = if taken || !originals.is_empty() {
            dir.join("collisions").join(origin.strip_prefix(&kernel.dir).unwrap_or(&origin))
        } else {
            direct
        };
        let original = Original { origin, stored };
        undo.stored(std::slice::from_ref(&original));
        // Where it came from is known before it is there.
        if let Some(dir) = original.stored.parent() {
            files::create_dirs(dir)?;
        }
        let line = format!("{}\n", original.origin.display());
        files::publish_file(&original.origin_file(), line.as_bytes(), 0o644)?;
        files::keep_copy(&original.origin, &original.stored)?;
        originals.push(original);
    }
    Ok(originals)
}

/// Takes the originals away from their old places, now that ours is at `installed`.
pub(crate) fn remove_origins(originals: &[Original], installed: &Path) -> Result<()> {
    for original in originals.iter().filter(|original| original.origin != installed) {
        files::remove_file(&original.origin)?;
    }
    Ok(())
}

/// Takes away originals that are stored and still in their old places: a run was killed between the two steps.
pub(crate) fn finish_removing_origins(
    session: &WriteSession<'_>,
    id: &BuildId,
    name: &str,
    installed: &Path,
) -> Result<()> {
    let stored = stored_originals(&session.tree().originals(id.name(), &id.target));
    let of_module = |original: &&Original| module_name(&original.stored) == name;
    for original in stored.iter().filter(of_module) {
        if original.origin != installed && same_content(&original.stored, &original.origin) {
            files::remove_file(&original.origin)?;
        }
    }
    Ok(())
}

/// Gives the originals of a package back to a kernel; returns the paths that they have again. `locations` are the
/// directories that the dkms.conf names for modules: old versions stored no other place.
pub(crate) fn restore_originals(
    session: &WriteSession<'_>,
    id: &BuildId,
    kernel: &Kernel,
    restore: Restore<'_>,
    locations: impl FnOnce() -> Vec<(String, String)>,
) -> Result<Vec<PathBuf>> {
    let dir = session.tree().originals(id.name(), &id.target);
    let mut originals = stored_originals(&dir);
    let active = session.tree().active(id.name(), &id.target);
    let recorded = active.and_then(|installed| record_of(session, &installed)).map(|record| record.originals);
    // Another dkms may have deleted the .origin files; our own record still knows the places.
    for moved in recorded.unwrap_or_default() {
        if moved.stored.is_file() && originals.iter().all(|known| known.stored != moved.stored) {
            originals.push(Original { origin: moved.origin, stored: moved.stored });
        }
    }
    let unmarked = unmarked_originals(&dir, &originals);
    if !unmarked.is_empty() {
        originals.extend(places(unmarked, &locations(), kernel));
    }
    let mut restored = Vec::new();
    for original in originals {
        if restore.only.is_none_or(|stem| module_name(&original.stored) == stem) {
            restored.extend(restore_one(session, &original, kernel, restore.ours)?);
        }
    }
    Ok(restored)
}

fn restore_one(
    session: &WriteSession<'_>,
    original: &Original,
    kernel: &Kernel,
    ours: &[PathBuf],
) -> Result<Option<PathBuf>> {
    let Original { origin, stored } = original;
    // The .origin files are text in the tree: they do not decide where root writes outside of the kernel.
    if has_dots(origin) || !files::lies_below(origin, &kernel.dir) {
        session.system.console.warn(format!(
            "{} came from {}, which is not below {}; it stays where it is.",
            stored.display(),
            origin.display(),
            kernel.dir.display()
        ));
        return Ok(None);
    }
    if stored.is_file() {
        // The kernel was upgraded meanwhile and brought its module again: the newer one stays.
        let is_free = origin.symlink_metadata().is_err() || ours.contains(origin);
        if !is_free && !same_content(stored, origin) {
            session.system.console.warn(format!(
                "The kernel has a newer {}; the one that was replaced stays at {}.",
                origin.display(),
                stored.display()
            ));
            return Ok(None);
        }
        files::move_file(stored, origin)?;
        session.system.console.say(format!("Restoring original module {}", origin.display()));
        files::remove_file(&original.origin_file())?;
        return Ok(Some(origin.clone()));
    }
    // It is back already, or was never taken: a run was killed between the two steps.
    files::remove_file(&original.origin_file())?;
    let is_back = origin.symlink_metadata().is_ok() && !ours.contains(origin);
    Ok(is_back.then(|| origin.clone()))
}

/// Puts the originals of every package back beside ours, and keeps them stored too. Another dkms may not know how to give
/// them back: the packaged 3.0.10 deletes what is stored. Modules of ours still win, by depmod's search order.
///
/// # Errors
/// The first original that could not be put back; the others are.
pub(crate) fn hand_back(session: &WriteSession<'_>) -> Result<()> {
    let mut result = Ok(());
    for name in session.tree().scan(&session.settings.source_tree).names() {
        let dir = session.tree().name_dir(name).join("original_module");
        for original in stored_originals(&dir) {
            let belongs =
                original.origin.starts_with(&session.settings.install_tree) && !has_dots(&original.origin);
            if belongs && original.stored.is_file() && original.origin.symlink_metadata().is_err() {
                let kept = files::keep_copy(&original.stored, &original.origin);
                result = result.and(kept.map_err(crate::model::Error::from));
            }
        }
    }
    result
}

fn has_dots(path: &Path) -> bool {
    path.components().any(|part| part == std::path::Component::ParentDir)
}

fn real(dir: &Path) -> PathBuf {
    fs_err::canonicalize(dir).unwrap_or_else(|_| dir.to_owned())
}

/// The modules that ours would replace, the preferred one first.
fn candidates(module: &Module, kernel: &Kernel) -> Vec<PathBuf> {
    let name = &module.dest_name;
    let suffix = kernel.modules().compression_suffix();
    let fixed = ["extra", "updates", module.location.trim_start_matches('/')];
    let mut found: Vec<PathBuf> = Vec::new();
    let mut seen = Vec::new();
    let mut add = |path: PathBuf| {
        let Some(data) = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file) else { return };
        // Merged /usr and links between directories show one file under several paths.
        let file = (data.dev(), data.ino(), path.file_name().map(ToOwned::to_owned), path.parent().map(real));
        if !seen.contains(&file) {
            seen.push(file);
            found.push(path);
        }
    };
    for dir in fixed {
        add(kernel.dir.join(dir).join(format!("{name}.ko")));
        add(kernel.dir.join(dir).join(format!("{name}.ko{suffix}")));
    }
    kernel.modules().find(name).iter().cloned().for_each(add);
    found
}

/// Modules in the directory that no `.origin` file belongs to.
fn unmarked_originals(dir: &Path, marked: &[Original]) -> Vec<PathBuf> {
    let entries = dir::entries(dir).into_iter().map(|entry| entry.path());
    let is_module =
        |path: &PathBuf| path.file_name().is_some_and(|name| is_module_file(&name.to_string_lossy()));
    let mut found: Vec<PathBuf> = entries.filter(is_module).filter(|path| path.is_file()).collect();
    found.retain(|path| !marked.iter().any(|original| original.stored == *path));
    found
}

/// Where they go: to the place that the dkms.conf has for a module of that name.
fn places(stored: Vec<PathBuf>, locations: &[(String, String)], kernel: &Kernel) -> Vec<Original> {
    let place = |stored: PathBuf| {
        let name = stored.file_name()?.to_str()?.to_owned();
        let stem = module_stem(&name)?;
        let (_, location) = locations.iter().find(|(module, _)| module == stem)?;
        let origin = kernel.dir.join(location.trim_start_matches('/')).join(name);
        Some(Original { origin, stored })
    };
    stored.into_iter().filter_map(place).collect()
}
