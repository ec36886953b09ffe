//! Puts in order what is inconsistent, without losing a module that works.

use crate::inspect::fsck::{Inconsistency, OURS, inconsistencies};
use crate::install::install;
use crate::install::originals::{Restore, restore_originals};
use crate::install::transaction::index_after_removal;
use crate::install::uninstall::RemoveCaller;
use crate::install::work::InstallOptions;
use crate::model::module_name::module_name;
use crate::model::{BuildId, Error, KernelRelease, PackageId, PackageVersion, Result};
use crate::ops::remains::drop_stored;
use crate::ops::remove::unbuild;
use crate::session::WriteSession;
use crate::system::files;
use std::collections::BTreeSet;
use std::path::Path;

/// Puts everything in order that can be; tells what was done. What one repair brings to light is repaired too.
///
/// # Errors
/// Something is still inconsistent.
pub(crate) fn repair(session: &WriteSession<'_>) -> Result<usize> {
    let mut repaired = BTreeSet::new();
    for _ in 0..5 {
        let found: Vec<Inconsistency> = inconsistencies(session, true)
            .into_iter()
            .filter(|inconsistency| !repaired.contains(inconsistency))
            .collect();
        if found.is_empty() {
            break;
        }
        for inconsistency in found {
            match repair_one(session, &inconsistency) {
                Ok(done) => session.system.console.say(format!("{inconsistency}\n    {done}")),
                Err(error) => {
                    session.system.console.say(inconsistency.to_string());
                    session.tell(&error);
                }
            }
            repaired.insert(inconsistency);
        }
    }
    for release in session.writer.journal.not_indexed() {
        index_after_removal(session, &release);
    }
    let left = inconsistencies(session, true);
    if left.is_empty() {
        Ok(repaired.len())
    } else {
        Err(Error::Inconsistent { tree: session.tree().root().to_owned(), left: left.len() })
    }
}

fn repair_one(session: &WriteSession<'_>, inconsistency: &Inconsistency) -> Result<String> {
    Ok(match inconsistency {
        Inconsistency::Unfinished(_) => "was put in order".to_owned(),
        Inconsistency::Temporary(path) => {
            files::remove_tree(path)?;
            if let Some(dir) = path.parent() {
                files::remove_empty_dir(dir);
            }
            "deleted".to_owned()
        }
        Inconsistency::Record(path) => {
            files::remove_file(path)?;
            "deleted; what it said is derived from the tree".to_owned()
        }
        Inconsistency::Link(path) => {
            files::remove_file(path)?;
            "deleted".to_owned()
        }
        Inconsistency::Source { id, builds, .. } => repair_source(session, id, *builds)?,
        Inconsistency::KernelGone { id, target } => {
            unbuild(session, id, target, RemoveCaller::Command)?;
            drop_stored(session, &id.name, target)?;
            "taken out of the tree".to_owned()
        }
        Inconsistency::Pending { target } => {
            session.writer.forget_pending(&target.release)?;
            "forgotten".to_owned()
        }
        Inconsistency::NoLink { id, target, .. } => {
            let id = BuildId::new(id.clone(), target.clone());
            let built = session.tree().built(&id).ok_or_else(|| Error::NotInTree(id.package.clone()))?;
            install(session, built, &InstallOptions::default())?;
            "installed".to_owned()
        }
        Inconsistency::Original { name, target, .. } if session.tree().active(name, target).is_some() => {
            "is replaced again".to_owned()
        }
        Inconsistency::Original { name, target, .. } => {
            let kernel = session.kernel(&target.release);
            if kernel.exists() {
                session.writer.journal.begin_index(&target.release)?;
                let version = PackageVersion::new("0").map_err(|_| Error::EmptyTarget)?;
                let id = BuildId::new(PackageId::new(name.clone(), version), target.clone());
                restore_originals(session, &id, &kernel, Restore::default(), Vec::new)?;
            }
            drop_stored(session, name, target)?;
            "given back to its kernel".to_owned()
        }
        Inconsistency::OriginalLost { id, moved } => {
            if let Some(installed) = session.tree().installed(id) {
                session.writer.forget_original(&installed, moved)?;
                session.writer.forget_originals(id.name(), &id.target);
            }
            format!("forgotten; the kernel's package brings {} again", moved.origin.display())
        }
        Inconsistency::Unclaimed { target, file } => {
            if let Ok(release) = KernelRelease::new(target) {
                session.writer.journal.begin_index(&release)?;
            }
            let mut aside = file.clone().into_os_string();
            aside.push(".unclaimed");
            files::rename(file, Path::new(&aside))?;
            format!("set aside as {}", Path::new(&aside).display())
        }
    })
}

fn repair_source(session: &WriteSession<'_>, id: &PackageId, builds: usize) -> Result<String> {
    let dir = session.source_dir(id);
    if dir.join("dkms.conf").is_file() {
        session.writer.register(id, &dir)?;
        return Ok(format!("leads to {} again", dir.display()));
    }
    if builds == 0 {
        session.writer.clean_staging(id)?;
        session.writer.forget(id)?;
        return Ok("removed from the tree".to_owned());
    }
    // The installed modules go on working; no others can be built.
    let package = session.tree().package(id.clone(), &session.settings.source_tree);
    let targets = package.map(|package| package.builds).unwrap_or_default();
    let mut modules: BTreeSet<(String, String)> = BTreeSet::new();
    for build in targets {
        let Some(built) = session.tree().built(&BuildId::new(id.clone(), build.target)) else { continue };
        match built.record() {
            Some(record) => {
                modules.extend(record.modules.into_iter().map(|module| (module.name, module.conf_location)));
            }
            None => modules
                .extend(built.module_files().iter().map(|file| (module_name(file), format!("/{OURS}")))),
        }
    }
    let mut conf = format!("PACKAGE_NAME=\"{}\"\nPACKAGE_VERSION=\"{}\"\n", id.name, id.version);
    for (index, (name, location)) in modules.iter().enumerate() {
        conf +=
            &format!("BUILT_MODULE_NAME[{index}]=\"{name}\"\nDEST_MODULE_LOCATION[{index}]=\"{location}\"\n");
    }
    let place = files::private_dir(&session.settings.tmp_location, "dkms-fsck.")?;
    let file = place.path().join("dkms.conf");
    files::stage_file(&file, conf.as_bytes(), 0o644)?;
    session.writer.register_binaries(id, &file)?;
    Ok("kept with what is built; it cannot be built for other kernels".to_owned())
}
