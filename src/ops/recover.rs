//! Puts in order what an earlier run, that was killed or lost its power, left unfinished.

use crate::build::probes;
use crate::conf::Settings;
use crate::install::depmod::depmod;
use crate::install::install;
use crate::install::transaction::post_transaction;
use crate::install::uninstall::{RemoveCaller, uninstall};
use crate::install::work::InstallOptions;
use crate::kernel::Kernel;
use crate::model::{BuildId, KernelRelease, Result};
use crate::plan::request::Force;
use crate::session::WriteSession;
use crate::system::{System, files};
use crate::tree::{Entry, UNDO_DIR};

/// Opens a session for writing: takes the lock of the tree, and settles what an earlier holder left unfinished. Whatever is read
/// of the tree is read after this.
///
/// # Errors
/// The tree cannot be written, or its holder takes too long.
pub(crate) fn change<'a>(settings: &'a Settings, system: &'a System) -> Result<WriteSession<'a>> {
    let session = WriteSession::lock(settings, system)?;
    session.writer.sweep();
    recover(&session);
    Ok(session)
}

/// Builds are undone, installations and removals finished, and the kernels concerned indexed.
fn recover(session: &WriteSession<'_>) {
    let unfinished = session.writer.journal.unfinished().to_vec();
    if unfinished.is_empty() {
        return;
    }
    session.system.console.note("dkms: recovering from an earlier run that was interrupted.");
    // Builds first: an installation that is finished below must not find half of one. Removals come before installations, which may
    // use the same places.
    let order = |entry: &&Entry| match entry {
        Entry::Build { .. } => 0,
        Entry::Uninstall { .. } | Entry::Unbuild { .. } => 1,
        Entry::Install { .. } | Entry::Index { .. } => 2,
    };
    let mut sorted: Vec<&Entry> = unfinished.iter().collect();
    sorted.sort_by_key(order);
    for entry in sorted {
        report(session, settle(session, entry));
        if !matches!(entry, Entry::Index { .. }) {
            session.writer.journal.commit(entry);
        }
    }
    report(session, probes::sweep(session));
    for release in session.writer.journal.not_indexed() {
        // What depmod does not do today it may do tomorrow.
        report(session, index(session, &release));
    }
}

fn report(session: &WriteSession<'_>, result: Result<()>) {
    if let Err(error) = result {
        session.system.console.warn(format!("cannot recover from an earlier run: {error}"));
    }
}

fn index(session: &WriteSession<'_>, release: &KernelRelease) -> Result<()> {
    if session.kernel(release).exists() {
        depmod(session, release)?;
        post_transaction(session, release);
    } else {
        session.writer.journal.indexed(release);
    }
    Ok(())
}

fn settle(session: &WriteSession<'_>, entry: &Entry) -> Result<()> {
    let key = match entry {
        Entry::Index { .. } => return Ok(()),
        Entry::Build { build }
        | Entry::Install { build, .. }
        | Entry::Uninstall { build }
        | Entry::Unbuild { build } => build,
    };
    let Some(id) = key.id() else { return Ok(()) };
    let kernel = session.kernel(&id.target.release);
    match entry {
        Entry::Install { conf, force, version_override, safe_upgrade, .. } => {
            sweep(session, &id, &kernel)?;
            let Some(built) = session.tree().built(&id).filter(|_| kernel.exists()) else { return Ok(()) };
            let force = Force {
                force: *force,
                version_override: *version_override,
                safe_upgrade: *safe_upgrade,
                ..Force::default()
            };
            // A file given by -c may be gone; the package has its own.
            let conf = conf.as_deref().filter(|conf| conf.is_file());
            install(session, built, &InstallOptions { conf, force }).map(|_| ())
        }
        Entry::Uninstall { .. } | Entry::Unbuild { .. } => {
            sweep(session, &id, &kernel)?;
            if let Some(installed) = session.tree().installed(&id) {
                uninstall(session, installed, RemoveCaller::Command)?;
            }
            if let Some(built) = session.tree().built(&id) {
                session.writer.forget_installation(&built)?;
            }
            session.writer.forget_originals(id.name(), &id.target);
            if matches!(entry, Entry::Unbuild { .. }) {
                session.writer.discard_debris(&id)?;
            }
            Ok(())
        }
        Entry::Build { .. } | Entry::Index { .. } => session.writer.undo_build(&id),
    }
}

/// Deletes what was being written when the run ended.
fn sweep(session: &WriteSession<'_>, id: &BuildId, kernel: &Kernel) -> Result<()> {
    let out = session.tree().out_dir(id);
    files::remove_tree(&out.join(UNDO_DIR))?;
    let mut dirs =
        vec![out, session.tree().name_dir(id.name()), session.tree().originals(id.name(), &id.target)];
    // Temporary files can only be where an installation writes: the recorded places, and the usual ones.
    let built = session.tree().built(id).and_then(|built| built.record());
    let recorded =
        built.iter().flat_map(|record| record.modules.iter().map(|module| module.location.as_str()));
    dirs.extend(
        recorded
            .chain(["/updates/dkms", "/updates", "/extra"])
            .map(|location| kernel.dir.join(location.trim_start_matches('/'))),
    );
    let installed = session.tree().installed(id).and_then(|installed| installed.record());
    let files = installed.iter().flat_map(|record| &record.files);
    dirs.extend(files.filter_map(|file| file.path.parent()).map(std::path::Path::to_owned));
    let origins = session.tree().origins(id.name(), &id.target);
    dirs.extend(origins.iter().filter_map(|path| path.parent()).map(std::path::Path::to_owned));
    for dir in &dirs {
        files::remove_leftovers(dir);
    }
    Ok(())
}
