//! One module of an installation: whether it takes its place, what it replaces, and what a former version leaves.

use crate::conf::Module;
use crate::inspect::owner::{InstalledPath, Owner, owner, recorded_owner};
use crate::inspect::provided::existing_module;
use crate::install::originals::{
    Restore, finish_removing_origins, keep_originals, remove_origins, restore_originals,
};
use crate::install::undo::Undo;
use crate::install::uninstall::{remove_module, set_aside};
use crate::install::weak_modules::{WeakChange, tell_weak_modules};
use crate::install::work::{Installation, describe};
use crate::kernel::Kernel;
use crate::kernel::module_file::{Compression, ModuleFile, compare_modules, read_module, strip_signature};
use crate::model::module_name::module_name;
use crate::model::{Error, Result};
use crate::plan::placement::{Refusal, Standing, refusal};
use crate::session::WriteSession;
use crate::system::digest::sha256;
use crate::system::files::{self, same_content};
use crate::tree::{Built, InstallRecord, InstalledFile};
use std::path::{Path, PathBuf};

/// What became of one module.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It is in its place.
    Ours(InstalledFile),
    /// The kernel's own stays, or the file of the version that is active now; with the reason.
    Refused { kept: Option<InstalledFile>, why: String },
}

/// Installs one module, unless what the kernel has is better.
pub(crate) fn install_module(
    session: &WriteSession<'_>,
    work: &Installation<'_>,
    module: &Module,
    file: &Path,
    undo: &mut Undo,
) -> Result<Placed> {
    let kernel = session.kernel(&work.id.target.release);
    let dir = kernel.dir.join(module.location.trim_start_matches('/'));
    let path = dir.join(file.file_name().unwrap_or_default());
    // A link to the built file has the same content, and would dangle when the build goes.
    let is_plain = path.symlink_metadata().is_ok_and(|data| data.is_file());
    if is_plain && !session.settings.symlink_modules && same_content(file, &path) {
        finish_removing_origins(session, work.id, &module.dest_name, &path)?;
        return Ok(Placed::Ours(describe(&path, file)?));
    }
    let recorded = work.former.iter().flat_map(|record| &record.files).find(|file| file.path == path);
    let suspect = InstalledPath { path: path.clone(), built: file.to_owned(), recorded: recorded.cloned() };
    let standing = owner(session.tree(), work.id, &kernel, &suspect, false);
    // Signed by its owner, or compressed in another way: it stays as it is.
    if standing == Owner::Changed && !work.force.force && is_same_image(&path, file) {
        finish_removing_origins(session, work.id, &module.dest_name, &path)?;
        let built = sha256(&fs_err::read(file)?);
        return Ok(Placed::Ours(InstalledFile { instead_of: Some(built), ..describe(&path, &path)? }));
    }
    let existing = existing_module(module, &kernel);
    // A vendor's installer first installs what it built, then hands it over in a tarball: no original of the kernel,
    // and not better than ours.
    let vendors = existing.as_ref().filter(|path| work.loaded && is_same_image(path, file));
    let others = existing.as_ref().and_then(|path| recorded_owner(session.tree(), work.id, path));
    let others = others.filter(|_| recorded.is_none() || matches!(standing, Owner::Package(_)));
    let compared = || standing_module(session, work, existing.as_deref(), others.is_some(), file);
    let (limit, release) = (work.conf.obsolete_by.as_deref(), &work.id.target.release);
    if let Some(path) = vendors {
        session.system.console.say(format!("{} is the same module and stays.", path.display()));
    } else if let Some(refusal) = refusal(&work.force, limit, release, compared)? {
        let why = match (&refusal, &existing) {
            (Refusal::Better(why), Some(existing)) => format!("{why} ({})", existing.display()),
            _ => refusal.to_string(),
        };
        let why = others.map_or(why.clone(), |other| format!("{why}, which {other} has installed"));
        // The file of an earlier version that stays is recorded again, else removal would not know that it is ours.
        let ours = |entry: &&InstalledFile| Some(&entry.path) == existing.as_ref();
        let kept = work.former.iter().flat_map(|record| &record.files).find(ours).cloned();
        let built = sha256(&fs_err::read(file)?);
        let kept = kept.map(|kept| InstalledFile { instead_of: Some(built), ..kept });
        return Ok(Placed::Refused { kept, why });
    }
    if let (Some(other), Some(path)) = (&others, &existing) {
        session.system.console.note(format!(
            "{} of {other} is replaced by that of {}; it comes back when {} is removed.",
            path.display(),
            work.id.package,
            work.id.package
        ));
    }
    let originals = if work.archive && vendors.is_none() {
        let is_ours = |owned: &&PathBuf| **owned != path || !matches!(standing, Owner::Package(_));
        let owned: Vec<PathBuf> = work.owned.iter().filter(is_ours).cloned().collect();
        keep_originals(session, work.id, module, &kernel, &owned, undo)?
    } else {
        Vec::new()
    };
    // It was put there by hand in the place of ours: its owner may want it back.
    if standing == Owner::Unknown && recorded.is_some() {
        set_aside(session, &path)?;
    }
    place(session, &dir, file, &path, undo)
        .map_err(|e| Error::InstallFailed { path: path.clone(), why: e.to_string() })?;
    drop_other_forms(session, work, &dir, &module.dest_name, &path, undo)?;
    // The old places are cleared last: two modules of one name do less harm than none.
    remove_origins(&originals, &path)?;
    Ok(Placed::Ours(describe(&path, file)?))
}

fn place(
    session: &WriteSession<'_>,
    dir: &Path,
    file: &Path,
    path: &Path,
    undo: &mut Undo,
) -> std::io::Result<()> {
    files::create_dirs(dir)?;
    undo.before_writing(path)?;
    if session.settings.symlink_modules {
        files::publish_link(file, path)
    } else {
        files::publish_copy(file, path, 0o644)
    }
}

/// What the kernel has of the name, compared with the new module.
fn standing_module(
    session: &WriteSession<'_>,
    work: &Installation<'_>,
    existing: Option<&Path>,
    is_others: bool,
    file: &Path,
) -> Result<Standing> {
    let Some(existing) = existing else { return Ok(Standing::Nothing) };
    let is_former = |file: &InstalledFile| file.path == existing;
    if work.makes_room && !is_others && work.former.iter().flat_map(|record| &record.files).any(is_former) {
        return Ok(Standing::Former);
    }
    match ModuleFile::read(existing) {
        Ok(kernels) => Ok(Standing::Other(compare_modules(&kernels, &ModuleFile::read(file)?))),
        Err(error) => {
            let console = &session.system.console;
            console.warn(format!("{} cannot be read, and is replaced: {error}", existing.display()));
            Ok(Standing::Unreadable)
        }
    }
}

/// A module of ours that stands beside the new one in another compression would be found in its place.
fn drop_other_forms(
    _session: &WriteSession<'_>,
    work: &Installation<'_>,
    dir: &Path,
    name: &str,
    ours: &Path,
    undo: &mut Undo,
) -> Result<()> {
    for compression in Compression::ALL {
        let other = dir.join(format!("{name}.ko{}", compression.suffix()));
        let is_ours = work.owned.contains(&other) || work.unrecorded;
        if other != ours && is_ours && other.symlink_metadata().is_ok() {
            undo.before_writing(&other)?;
            files::remove_file(&other)?;
        }
    }
    Ok(())
}

/// Takes away what the version that was active before had and the new one does not, and gives the kernel back
/// what that had replaced.
pub(crate) fn remove_superseded(
    session: &WriteSession<'_>,
    work: &Installation<'_>,
    built: &Built,
    new: &InstallRecord,
    kernel: &Kernel,
) -> Result<()> {
    let former = work.former.iter().flat_map(|record| &record.files);
    let superseded = former.filter(|file| new.files.iter().all(|ours| ours.path != file.path));
    tell_weak_modules(session, WeakChange::Removed, built, superseded.clone().map(|file| &file.path));
    for file in superseded {
        let stem = module_name(&file.path);
        let replaced = new.files.iter().any(|ours| module_name(&ours.path) == stem);
        let suspect = InstalledPath::recorded(file.clone(), PathBuf::new());
        remove_module(session, work.id, kernel, &suspect)?;
        if !replaced {
            let ours = [file.path.clone()];
            let restore = Restore { only: Some(&stem), ours: &ours };
            restore_originals(session, work.id, kernel, restore, Vec::new)?;
        }
        if let Some(dir) = file.path.parent() {
            files::remove_empty_dirs(dir, &kernel.dir);
        }
    }
    Ok(())
}

/// Whether two files hold the same module, with any signature and compression.
fn is_same_image(one: &Path, other: &Path) -> bool {
    let image = |path: &Path| read_module(path).ok().map(strip_signature);
    image(one).is_some_and(|content| image(other) == Some(content))
}
