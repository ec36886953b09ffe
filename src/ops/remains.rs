//! What a package has in a kernel without a build that stands for it: gathered before it is removed or repaired.

use crate::inspect::fsck::{OURS, file_of_idle};
use crate::inspect::installed::conf_locations;
use crate::install::originals::{Restore, restore_originals};
use crate::install::transaction::index_after_removal;
use crate::model::{Arch, BuildId, KernelRelease, PackageId, PackageName, Result, Target};
use crate::session::WriteSession;
use crate::system::files;
use crate::tree::{InstallRecord, InstalledFile, stored_originals};

/// Before a package is removed with everything: what lost its link or its build counts as installed again, or is taken
/// out of the kernel here, so that nothing stays behind.
///
/// # Errors
/// The tree or the kernel's directory cannot be written.
pub(crate) fn gather_remains(session: &WriteSession<'_>, id: &PackageId) -> Result<()> {
    let package = session.tree().package(id.clone(), &session.settings.source_tree);
    for build in package.iter().flat_map(|package| &package.builds) {
        let Some(built) = session.tree().built(&BuildId::new(id.clone(), build.target.clone())) else {
            continue;
        };
        let kernel = session.kernel(&build.target.release);
        if session.tree().active(&id.name, &build.target).is_none() {
            if let Some(file) = file_of_idle(session, &built, &kernel) {
                let dir = file.parent().unwrap_or(&kernel.dir);
                let files = built.module_files().into_iter().filter_map(|module| {
                    let path = dir.join(module.file_name()?);
                    Some(InstalledFile::from_content(&path, &fs_err::read(&path).ok()?))
                });
                let record = InstallRecord::new(
                    files.collect(),
                    stored_originals(&session.tree().originals(&id.name, &build.target)),
                );
                session.writer.activate(built, &record)?;
            }
        }
    }
    for link in session.tree().broken_links() {
        let text = fs_err::read_link(&link).unwrap_or_default();
        let parts: Vec<&str> = text.iter().filter_map(|part| part.to_str()).collect();
        let (&[version, release, arch], true) =
            (parts.as_slice(), link.starts_with(session.tree().name_dir(&id.name)))
        else {
            continue;
        };
        let (Ok(release), Ok(arch)) = (KernelRelease::new(release), Arch::new(arch)) else { continue };
        if version == id.version.as_str() {
            take_out_lost(session, &BuildId::new(id.clone(), Target::new(release, arch)))?;
            files::remove_file(&link)?;
        }
    }
    Ok(())
}

/// The modules of a build that is gone, as far as the dkms.conf names them.
fn take_out_lost(session: &WriteSession<'_>, id: &BuildId) -> Result<()> {
    let kernel = session.kernel(&id.target.release);
    if !kernel.exists() {
        return drop_stored(session, id.name(), &id.target);
    }
    session.writer.journal.begin_index(&id.target.release)?;
    for (name, _) in conf_locations(session, id) {
        for suffix in ["", ".gz", ".xz", ".zst"] {
            let path = kernel.dir.join(OURS).join(format!("{name}.ko{suffix}"));
            if path.is_file() {
                files::remove_file(&path)?;
                session.system.console.say(format!("Deleted {}", path.display()));
            }
        }
    }
    files::remove_empty_dirs(&kernel.dir.join(OURS), &kernel.dir);
    restore_originals(session, id, &kernel, Restore::default(), Vec::new)?;
    drop_stored(session, id.name(), &id.target)?;
    index_after_removal(session, &id.target.release);
    Ok(())
}

/// What a kernel could not be given back, because it has a newer one or is gone, is of no use to anybody.
pub(crate) fn drop_stored(session: &WriteSession<'_>, name: &PackageName, target: &Target) -> Result<()> {
    let dir = session.tree().originals(name, target);
    if !session.kernel(&target.release).exists() {
        files::remove_tree(&dir)?;
    }
    for original in stored_originals(&dir) {
        if original.origin.is_file() {
            files::remove_file(&original.stored)?;
            files::remove_file(&original.origin_file())?;
        }
    }
    session.writer.forget_originals(name, target);
    session.writer.tidy(name);
    Ok(())
}
