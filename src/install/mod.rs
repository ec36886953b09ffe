//! Installs the modules of one build: each file complete under its name before anything older goes, all of them or none.

pub(crate) mod depmod;
pub(crate) mod module;
pub(crate) mod originals;
pub(crate) mod transaction;
pub(crate) mod undo;
pub(crate) mod uninstall;
pub(crate) mod weak_modules;
pub(crate) mod work;

use crate::conf::{Module, PackageConf, Script, Strictness};
use crate::install::module::{install_module, remove_superseded};
use crate::install::weak_modules::{WeakChange, tell_weak_modules};
use crate::install::work::{InstallOptions, Installation, describe, installation};
use crate::kernel::module_file::find_module_file;
use crate::model::{BuildId, Error, Result};
use crate::plan::buildable;
use crate::plan::placement::forced_by_words;
use crate::plan::request::Force;
use crate::programs::environment::install_environment;
use crate::programs::scripts::{run_post_script, run_script};
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::system::dir;
use crate::tree::{Built, Entry, InstallRecord, Installed, InstalledFile, Key, UNDO_DIR, stored_originals};
use module::Placed;
use std::path::{Path, PathBuf};

pub(crate) use undo::Undo;

/// Installs a build and makes it the active one. Does not run depmod.
///
/// # Errors
/// The kernel is not there, PRE_INSTALL fails, a module is missing, cannot be written, or none was installed.
pub(crate) fn install(
    session: &WriteSession<'_>,
    built: Built,
    options: &InstallOptions<'_>,
) -> Result<Installed> {
    let id = built.id().clone();
    let force = forced(session, &id, &options.force);
    let kernel = session.kernel(&id.target.release);
    if !kernel.exists() {
        return Err(Error::KernelMissing { path: kernel.dir.clone() });
    }
    // A module of the kernel that is not seen would not be put aside.
    kernel.modules().whole()?;
    let own_conf = session.tree().conf_path(&id.package);
    let conf =
        session.conf(&id.package, options.conf.unwrap_or(&own_conf), &id.target, Strictness::Strict)?;
    let modules = modules_to_install(session, &built, &conf)?;
    let environment = install_environment(session, &id);
    // Before the journal: a script that refuses has changed nothing that would have to be finished.
    pre_install(session, &id, &conf, &force, &environment)?;
    let entry = Entry::Install {
        build: Key::from_build(&id),
        conf: options.conf.map(Path::to_owned),
        force: force.force,
        version_override: force.version_override,
        safe_upgrade: force.safe_upgrade,
    };
    // The index is noted first: whatever is killed from here on, the next run indexes the kernel.
    let is_new = session.writer.journal.begin_index(&id.target.release)?;
    let under_way = session.writer.journal.begin(entry)?;
    let work = installation(session, &built, &id, force, &conf);
    let mut undo = Undo::new(built.dir().join(UNDO_DIR), &kernel.dir, &session.tree().name_dir(id.name()));
    let placed = place_all(session, &work, &modules, &mut undo).and_then(|(files, kept)| {
        let originals = stored_originals(&session.tree().originals(id.name(), &id.target));
        let record = InstallRecord::new([files, kept].concat(), originals);
        Ok((session.writer.activate(built, &record)?, record))
    });
    let (installed, record) = match placed {
        Ok(placed) => placed,
        Err(error) => {
            // Everything is as it was: there is nothing to finish and nothing to index.
            if undo.take_back() && is_new {
                session.writer.journal.indexed(&id.target.release);
            }
            return Err(error);
        }
    };
    // From here on the installation is complete; a crash is finished forward, not taken back.
    undo.keep();
    // What could not be cleaned up is left to the next holder of the lock.
    if installed.built().dir().join(UNDO_DIR).symlink_metadata().is_ok() {
        under_way.keep();
    }
    // Only now that the new modules stand: at no moment is the kernel without the driver.
    remove_superseded(session, &work, installed.built(), &record, &kernel)?;
    let placed = record.files.iter().map(|file| &file.path);
    tell_weak_modules(session, WeakChange::Added, installed.built(), placed);
    if let Some(line) = conf.script(Script::PostInstall) {
        run_post_script(session, &id.package, Script::PostInstall, line, Some(&environment));
        record_what_stands(session, &installed, record)?;
    }
    Ok(installed)
}

/// Puts every module in its place; returns what stands there now, and what stays instead of modules that were refused.
fn place_all(
    session: &WriteSession<'_>,
    work: &Installation<'_>,
    modules: &[(Module, PathBuf)],
    undo: &mut Undo,
) -> Result<(Vec<InstalledFile>, Vec<InstalledFile>)> {
    let (mut ours, mut kept, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (module, file) in modules {
        match install_module(session, work, module, file, undo)? {
            Placed::Ours(file) => ours.push(file),
            Placed::Refused { kept: file, why } => {
                kept.extend(file);
                refused.push((module.dest_name.clone(), why));
            }
        }
    }
    session.go_on()?;
    if !modules.is_empty() && ours.is_empty() {
        return Err(Error::NothingInstalled { build: work.id.clone(), refused });
    }
    for (module, why) in refused {
        session.system.console.note(format!(
            "Module {module} of {} is not installed for kernel {}: {why}. You may override by specifying --force.",
            work.id.package, work.id.target
        ));
    }
    Ok((ours, kept))
}

/// The package's own script had the last word: what it made of the files is what was installed.
fn record_what_stands(
    session: &WriteSession<'_>,
    installed: &Installed,
    mut record: InstallRecord,
) -> Result<()> {
    let mut changed = false;
    for file in record.files.iter_mut().filter(|file| !file.is_unchanged(false) && file.path.is_file()) {
        let built = file.instead_of.take().unwrap_or_else(|| file.sha256.clone());
        *file = InstalledFile { instead_of: Some(built), ..describe(&file.path, &file.path)? };
        changed = true;
    }
    if changed { session.writer.renew_installation(installed, &record) } else { Ok(()) }
}

fn pre_install(
    session: &WriteSession<'_>,
    id: &BuildId,
    conf: &PackageConf,
    force: &Force,
    env: &ProgramEnvironment,
) -> Result<()> {
    let Some(line) = conf.script(Script::PreInstall) else { return Ok(()) };
    let code = match run_script(session, &id.package, Script::PreInstall, line, Some(env)) {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.code(),
        Err(error @ Error::Interrupted { .. }) => return Err(error),
        Err(error) => {
            session.system.console.warn(error.to_string());
            127
        }
    };
    let error = Error::PreInstallFailed { status: code };
    if force.force || force.safe_upgrade {
        session.system.console.warn(format!("{error}\nIt is forced, so the installation goes on."));
        return Ok(());
    }
    Err(error)
}

/// The modules that the kernel can have, each with its built file.
fn modules_to_install(
    session: &WriteSession<'_>,
    built: &Built,
    conf: &PackageConf,
) -> Result<Vec<(Module, PathBuf)>> {
    let target = &built.id().target;
    let kernel = session.kernel(&target.release);
    let buildable = buildable(conf, target, kernel.config());
    let dir = built.modules();
    conf.modules
        .iter()
        .filter(|module| buildable.has(module.index))
        .map(|module| match find_module_file(&dir, &module.dest_name) {
            Some(file) => Ok((module.clone(), file)),
            None => {
                let path = dir.join(format!("{}.ko", module.dest_name));
                Err(Error::BuiltModuleMissing { build: built.id().clone(), path })
            }
        })
        .collect()
}

/// Words in the files of `/usr/share/dkms/modules_to_force_install` force a package's installation.
fn forced(session: &WriteSession<'_>, id: &BuildId, asked: &Force) -> Force {
    let dir = session.system.path("/usr/share/dkms/modules_to_force_install");
    let texts = dir::entries(dir).into_iter().filter_map(|entry| fs_err::read_to_string(entry.path()).ok());
    let Some(force) = forced_by_words(id.name(), &texts.collect::<String>(), asked) else {
        return asked.clone();
    };
    session.system.console.say(format!("Forcing installation of {}", id.package));
    force
}
