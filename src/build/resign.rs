//! Signs what is built already, where the key or the settings have changed since: no compiler runs for that.

use crate::build::sign::{self, Unsigned};
use crate::build::signer::signer;
use crate::build::store::store;
use crate::inspect::signature::{is_pending, pending_signature, wanted_signature};
use crate::kernel::module_file::{Compression, read_module};
use crate::model::{Error, Result};
use crate::programs::environment::{build_environment, toolchain};
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::signing::{self, Signer};
use crate::system::digest::sha256;
use crate::system::files;
use crate::system::fingerprint::Fingerprint;
use crate::tree::{BuildRecord, Built, Entry, Key, ModuleRecord, Signature};
use std::path::Path;

/// What could not sign, to be remembered. What is on a token is not: the token may be put in.
pub(crate) fn note_failure(signer: &Signer) -> Option<Fingerprint> {
    if signer.has_token() {
        return None;
    }
    Fingerprint::take(&signer.files()).ok()
}

/// What is recorded of a module that was signed.
pub(crate) fn signature_by(signer: &Signer) -> Option<Signature> {
    let certificate = fs_err::read(&signer.certificate).ok()?;
    Some(Signature::Certificate(signing::certificate_digest(&certificate)))
}

/// Signs the modules of a build that are to be signed, in a copy that takes the place of the build when it is complete.
///
/// What cannot be signed stays as it is, with a warning.
///
/// # Errors
/// The tree cannot be written; or a signature is required, and cannot be made.
pub(crate) fn sign_if_pending(session: &WriteSession<'_>, built: Built) -> Result<Built> {
    let Some(why) = pending_signature(session, &built) else { return Ok(built) };
    let id = built.id().clone();
    let signer =
        signer(session, &id.target.release).map_err(|why| Error::NotSigned { build: id.clone(), why })?;
    let Some(signer) = signer else { return Ok(built) };
    session.system.console.note(format!("{id}: signing its modules, without compiling: {why}."));
    let under_way = session.writer.journal.begin(Entry::Build { build: Key::from_build(&id) })?;
    // Never in place: a kernel may load the module at any moment, and a power failure may come at any moment.
    let stage = session.writer.stage(&id)?;
    let signed = sign_copy(session, &built, &signer, &stage);
    if let Err(error) = files::remove_tree(&stage) {
        session.system.console.warn(format!("{id}: {error}"));
        under_way.keep();
    }
    signed
}

fn sign_copy(session: &WriteSession<'_>, built: &Built, signer: &Signer, stage: &Path) -> Result<Built> {
    let id = built.id();
    let Some(mut record) = built.record() else { return Ok(built.clone()) };
    let wanted = wanted_signature(session, &id.target.release);
    let (out, work) = (stage.join("out"), stage.join("modules"));
    files::copy_tree(built.dir(), &out)?;
    files::create_dirs(&work)?;
    let environment = build_environment(session, id, &toolchain(session, &id.target.release))?;
    let (mut signed, mut failed) = (false, false);
    for module in &mut record.modules {
        if is_pending(&wanted, module.signature.as_ref()).is_none() {
            continue;
        }
        match sign_stored(session, module, &out.join("module"), &work, (signer, &environment))? {
            Some(Ok(())) => signed = true,
            // Signed by hand since: that is not ours to replace, now or later.
            None => module.signature = None,
            Some(Err(why)) => {
                let why = format!("{}: {why}", module.file);
                if session.settings.require_signature {
                    return Err(Error::NotSigned { build: id.clone(), why });
                }
                session.system.console.warn(format!("{id} could not be signed and stays as it is: {why}"));
                failed = true;
            }
        }
    }
    session.go_on()?;
    record.cannot_sign = failed.then(|| note_failure(signer)).flatten();
    if !signed {
        session.writer.amend(built, &record)?;
        return Ok(built.clone());
    }
    // The copy has the old record under its name; a new one is staged, not written through it.
    files::remove_file(&out.join(BuildRecord::FILE))?;
    record.stage(&out)?;
    let (built, _replaced) = session.writer.publish(id, &out)?;
    Ok(built)
}

/// Signs one module in the copy of a build; `None` if it is not as the build made it. On a failure it is as it was.
fn sign_stored(
    session: &WriteSession<'_>,
    module: &mut ModuleRecord,
    dir: &Path,
    work: &Path,
    (signer, environment): (&Signer, &ProgramEnvironment),
) -> Result<Option<Result<(), String>>> {
    let path = dir.join(&module.file);
    let content = fs_err::read(&path)?;
    // It was signed or packed by hand since the build, and stays as it is.
    if sha256(&content) != module.sha256 {
        return Ok(None);
    }
    let copy = work.join(format!("{}.ko", module.name));
    files::stage_file(&copy, &read_module(&path)?, 0o644)?;
    files::remove_file(&path)?;
    let suffix = Compression::from_file_name(&module.file).suffix();
    let tool = environment.apply(session.system.command(&signer.tool)).dir(work);
    let stored =
        sign::sign_and_store(signer, tool, &copy, || store(session, &copy, dir, &module.name, suffix))?;
    Ok(Some(match stored {
        Ok((file, unchecked)) => {
            if let Some(why) = unchecked {
                let name = &module.file;
                session.system.console.note(format!("{name}: the signature is not checked: {why}."));
            }
            module.file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            module.sha256 = sha256(&fs_err::read(&file)?);
            module.signature = signature_by(signer);
            Ok(())
        }
        Err(Unsigned { why }) => {
            files::stage_file(&path, &content, 0o644)?;
            Err(why)
        }
    }))
}
