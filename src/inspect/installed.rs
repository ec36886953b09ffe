//! What an installation has in its kernel, and whether that is as it should be.

use crate::conf::Strictness;
use crate::inspect::owner::{InstalledPath, is_same_module, owner};
use crate::kernel::Kernel;
use crate::kernel::module_file::{Compression, ModuleFile, image_digest, read_module};
use crate::model::BuildId;
use crate::model::module_name::module_name;
use crate::session::Session;
use crate::system::digest::sha256;
use crate::system::files::same_content;
use crate::tree::{Built, InstallRecord, Installed, InstalledFile, ModuleRecord};
use std::path::{Path, PathBuf};

/// The files that the installation wrote: as recorded, else where the modules of the build would have gone.
pub(crate) fn suspects(session: &Session<'_>, installed: &Installed, kernel: &Kernel) -> Vec<InstalledPath> {
    let built_files = installed.built().module_files();
    let built = |path: &Path| {
        let name = path.file_name();
        built_files.iter().find(|file| file.file_name() == name).cloned().unwrap_or_default()
    };
    if let Some(record) = record_of(session, installed) {
        let recorded = |file: InstalledFile| {
            let built = built(&file.path);
            InstalledPath::recorded(file, built)
        };
        return record.files.into_iter().map(recorded).collect();
    }
    let locations = conf_locations(session, installed.id());
    built_files.into_iter().filter_map(|file| derived_place(session, &file, &locations, kernel)).collect()
}

/// What an installation recorded, as far as it can be believed.
pub(crate) fn record_of(session: &Session<'_>, installed: &Installed) -> Option<InstallRecord> {
    let id = installed.id();
    let originals = session.tree().originals(id.name(), &id.target);
    installed.record().map(|record| record.within(&session.kernel(&id.target.release).dir, &originals))
}

/// Where another dkms put a module: the first place with a file that is the built one.
fn derived_place(
    session: &Session<'_>,
    file: &Path,
    locations: &[(String, String)],
    kernel: &Kernel,
) -> Option<InstalledPath> {
    let stem = module_name(file);
    places_of(session, &stem, locations, kernel)
        .into_iter()
        .flat_map(|dir| {
            let stem = stem.clone();
            Compression::ALL.into_iter().map(move |form| dir.join(format!("{stem}.ko{}", form.suffix())))
        })
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| InstalledPath { path, built: file.to_owned(), recorded: None })
        .find(is_built)
}

/// Directories where a module can be: the distribution's, then the one that its dkms.conf names, and without a conf
/// the usual ones.
pub(crate) fn places_of(
    session: &Session<'_>,
    stem: &str,
    locations: &[(String, String)],
    kernel: &Kernel,
) -> Vec<PathBuf> {
    let own = locations.iter().filter(|(name, _)| name == stem).map(|(_, location)| location.clone());
    let mut places: Vec<String> =
        session.settings.effective_location(session.system).into_iter().chain(own).collect();
    if locations.is_empty() {
        places.extend(["/updates/dkms", "/updates", "/extra"].map(str::to_owned));
    }
    places.iter().map(|location| kernel.dir.join(location.trim_start_matches('/'))).collect()
}

/// Each module of the dkms.conf with the directory that it names.
pub(crate) fn conf_locations(session: &Session<'_>, id: &BuildId) -> Vec<(String, String)> {
    let conf = session.own_conf(&id.package, &id.target, Strictness::Lenient);
    let modules = conf.map(|conf| conf.modules).unwrap_or_default();
    modules.into_iter().map(|module| (module.dest_name, module.conf_location)).collect()
}

/// Whether the files that a build holds are as they were made, or the same modules with another signature.
#[must_use]
pub(crate) fn is_whole(_session: &Session<'_>, built: &Built) -> bool {
    built.record().is_none_or(|record| record.modules.iter().all(|module| found(built, module).is_some()))
}

/// Whether a build's own files are where they were installed, and whole.
#[must_use]
pub(crate) fn is_intact(session: &Session<'_>, installed: &Installed) -> bool {
    let kernel = session.kernel(&installed.id().target.release);
    if let Some(record) = record_of(session, installed) {
        // A build that was made anew and is not installed yet shows by its content.
        let modules = installed.built().record().map(|build| build.modules).unwrap_or_default();
        let is_of_build = |file: &InstalledFile| {
            let stem = module_name(&file.path);
            let made = modules.iter().find(|module| module.name == stem && !module.sha256.is_empty());
            let then = file.instead_of.as_ref().unwrap_or(&file.sha256);
            made.is_none_or(|module| {
                *then == module.sha256 || found(installed.built(), module).as_ref() == Some(then)
            })
        };
        let suspects = suspects(session, installed, &kernel);
        let is_settled = |suspect: &InstalledPath| {
            owner(session.tree(), installed.id(), &kernel, suspect, false).is_settled()
        };
        return record.files.iter().all(is_of_build) && suspects.iter().all(is_settled);
    }
    let locations = conf_locations(session, installed.id());
    installed.built().module_files().iter().all(|file| {
        let stem = module_name(file);
        let name = file.file_name().unwrap_or_default();
        places_of(session, &stem, &locations, &kernel).iter().any(|dir| dir.join(name).exists())
            // A module that was not installed because the kernel's own is as good.
            || !kernel.modules().find(&stem).is_empty()
    })
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

/// Whether a file is what a build made: its content; or, signed by another, the same module in the same version.
fn is_built(suspect: &InstalledPath) -> bool {
    fs_err::read_link(&suspect.path).is_ok_and(|target| target == suspect.built)
        || same_content(&suspect.path, &suspect.built)
        || ModuleFile::read(&suspect.path).is_ok_and(|found| is_same_module(&found, &suspect.built))
}
