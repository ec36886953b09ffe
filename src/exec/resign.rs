//! Signs what is built already, where the key or the settings have changed since: no compiler runs for that.

use super::build::store;
use super::environment::Environment;
use super::sign::{self, Unsigned};
use super::signer::signing_facts;
use super::{Engine, Reader};
use crate::kernel::is_available;
use crate::kernel::module_file::{Compression, read_module};
use crate::model::{Error, KernelRelease, Result};
use crate::plan::autoinstall::SignatureDue;
use crate::signing::{self, Enrolment, Signer, Signing, SigningFacts};
use crate::system::digest::sha256;
use crate::system::files;
use crate::system::fingerprint::{Comparison, Fingerprint};
use crate::tree::{BuildRecord, Built, Intent, Key, ModuleRecord, Signature};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// How the modules of a kernel are signed now.
#[derive(Debug)]
pub(super) enum Wanted {
    /// With the key of this certificate; signatures with the certificates of `keeps` stay. Both are named by
    /// [`signing::certificate_digest`].
    Certificate { digest: String, files: Vec<PathBuf>, keeps: Vec<String> },
    /// With a key that is yet to be made.
    NewKey,
    /// They are left as they are.
    Nothing,
}

impl Wanted {
    /// Whether a module is to be signed that has `signature`, the work of a build of ours.
    fn is_due(&self, signature: Option<&Signature>) -> Option<SignatureDue> {
        match (self, signature?) {
            (Self::Certificate { .. } | Self::NewKey, Signature::None) => Some(SignatureDue::Missing),
            (Self::Certificate { digest, keeps, .. }, Signature::Certificate(then)) => {
                (digest != then && !keeps.contains(then)).then_some(SignatureDue::OtherCertificate)
            }
            // A key that is lost may be one that the machine trusts; nobody knows the new one.
            (Self::NewKey, Signature::Certificate(_)) | (Self::Nothing, _) => None,
        }
    }
}

impl Reader<'_> {
    /// Why the modules of a build are to be signed, if they are. Those that were signed by another than dkms are not.
    pub(super) fn signature_due(&self, built: &Built) -> Option<SignatureDue> {
        let record = built.record()?;
        if record.modules.iter().all(|module| module.signature.is_none()) {
            return None;
        }
        let wanted = self.wanted_signature(&built.id().target.release);
        if cannot_sign(&record, &wanted) {
            return None;
        }
        record.modules.iter().find_map(|module| wanted.is_due(module.signature.as_ref()))
    }

    fn wanted_signature(&self, release: &KernelRelease) -> Arc<Wanted> {
        let mut known = self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(release.clone()).or_insert_with(|| Arc::new(self.decide_signature(release))))
    }

    fn decide_signature(&self, release: &KernelRelease) -> Wanted {
        let kernel = self.kernel(release);
        let facts = signing_facts(&kernel, self.system);
        match signing::decide(&self.settings.signing(release, self.system), &facts) {
            Signing::On(signer) => match fs_err::read(&signer.certificate) {
                Ok(content) => Wanted::Certificate {
                    digest: signing::certificate_digest(&content),
                    files: signer.files(),
                    keeps: trusted_instead(&content, &facts),
                },
                Err(_) => Wanted::Nothing,
            },
            Signing::Generate { missing, .. } => {
                let can_be_made = !missing.preparations.is_empty() || is_available("openssl", self.system);
                if can_be_made { Wanted::NewKey } else { Wanted::Nothing }
            }
            Signing::Off(_) => Wanted::Nothing,
        }
    }
}

/// Certificates whose signatures are worth more than those of a new one: where the machine
/// refuses what it does not trust, it trusts them, and the new one not yet.
fn trusted_instead(certificate: &[u8], facts: &SigningFacts) -> Vec<String> {
    if signing::enforcement(facts).is_none()
        || signing::enrolment(facts.root, certificate) == Ok(Enrolment::Enrolled)
    {
        return Vec::new();
    }
    signing::trusted_certificates(facts.root)
}

/// Whether signing failed before with what would be used now.
fn cannot_sign(record: &BuildRecord, wanted: &Wanted) -> bool {
    let (Some(then), Wanted::Certificate { files, .. }) = (&record.cannot_sign, wanted) else { return false };
    then.compare(files).is_ok_and(|now| now != Comparison::Different)
}

/// What could not sign, to be remembered. What is on a token is not: the token may be put in.
pub(super) fn note_failure(signer: &Signer) -> Option<Fingerprint> {
    if signer.has_token() {
        return None;
    }
    Fingerprint::take(&signer.files()).ok()
}

/// What is recorded of a module that was signed.
pub(super) fn signature_by(signer: &Signer) -> Option<Signature> {
    let certificate = fs_err::read(&signer.certificate).ok()?;
    Some(Signature::Certificate(signing::certificate_digest(&certificate)))
}

impl Engine<'_> {
    /// Signs the modules of a build that are to be signed, in a copy that takes the place of the build when it is complete.
    ///
    /// What cannot be signed stays as it is, with a warning.
    ///
    /// # Errors
    /// The tree cannot be written; or a signature is required, and cannot be made.
    pub(super) fn sign_if_due(&self, built: Built) -> Result<Built> {
        let Some(why) = self.signature_due(&built) else { return Ok(built) };
        let id = built.id().clone();
        let signer =
            self.signer(&id.target.release).map_err(|why| Error::NotSigned { build: id.clone(), why })?;
        let Some(signer) = signer else { return Ok(built) };
        self.system.ui.note(format!("{id} is signed: {why}."));
        let under_way = self.writer.intend(Intent::Build { build: Key::of(&id) })?;
        let stage = self.writer.stage(&id)?;
        let signed = self.sign_copy(&built, &signer, &stage);
        if let Err(error) = files::remove_tree(&stage) {
            self.system.ui.warn(format!("{id}: {error}"));
            under_way.leave();
        }
        signed
    }

    fn sign_copy(&self, built: &Built, signer: &Signer, stage: &Path) -> Result<Built> {
        let id = built.id();
        let Some(mut record) = built.record() else { return Ok(built.clone()) };
        let wanted = self.wanted_signature(&id.target.release);
        let (out, work) = (stage.join("out"), stage.join("modules"));
        files::copy_tree(built.dir(), &out)?;
        files::create_dirs(&work)?;
        let environment = self.build_environment(id, &self.toolchain(&id.target.release))?;
        let (mut signed, mut failed) = (false, false);
        for module in &mut record.modules {
            if wanted.is_due(module.signature.as_ref()).is_none() {
                continue;
            }
            match self.sign_stored(module, &out.join("module"), &work, (signer, &environment))? {
                Some(Ok(())) => signed = true,
                // Signed by hand since: that is not ours to replace, now or later.
                None => module.signature = None,
                Some(Err(why)) => {
                    let why = format!("{}: {why}", module.file);
                    if self.settings.require_signature {
                        return Err(Error::NotSigned { build: id.clone(), why });
                    }
                    self.system.ui.warn(format!("{id} could not be signed and stays as it is: {why}"));
                    failed = true;
                }
            }
        }
        self.go_on()?;
        record.cannot_sign = failed.then(|| note_failure(signer)).flatten();
        if !signed {
            self.writer.amend(built, &record)?;
            return Ok(built.clone());
        }
        files::remove_file(&out.join(BuildRecord::FILE))?;
        record.stage(&out)?;
        let (built, _replaced) = self.writer.publish(id, &out)?;
        Ok(built)
    }

    /// Signs one module in the copy of a build; `None` if it is not as the build made it. On a failure it is as it was.
    fn sign_stored(
        &self,
        module: &mut ModuleRecord,
        dir: &Path,
        work: &Path,
        (signer, environment): (&Signer, &Environment),
    ) -> Result<Option<Result<(), String>>> {
        let path = dir.join(&module.file);
        let content = fs_err::read(&path)?;
        if sha256(&content) != module.sha256 {
            return Ok(None);
        }
        let copy = work.join(format!("{}.ko", module.name));
        files::stage_file(&copy, &read_module(&path)?, 0o644)?;
        files::remove_file(&path)?;
        let suffix = Compression::from_file_name(&module.file).suffix();
        let tool = environment.apply(self.system.command(&signer.tool)).dir(work);
        let stored =
            sign::sign_and_store(signer, tool, &copy, || store(self, &copy, dir, &module.name, suffix))?;
        Ok(Some(match stored {
            Ok((file, unchecked)) => {
                if let Some(why) = unchecked {
                    let name = &module.file;
                    self.system.ui.note(format!("{name}: the signature is not checked: {why}."));
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
}
