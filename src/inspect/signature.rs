//! How a kernel's modules are signed now, and which builds are signed otherwise.

use crate::kernel::Kernel;
use crate::model::KernelRelease;
use crate::plan::autoinstall::PendingSignature;
use crate::session::Session;
use crate::signing::wanted::WantedSignature;
use crate::signing::{self, Enrolment, MachineTrust, Reason, Signing, SigningFacts};
use crate::system::System;
use crate::system::fingerprint::Comparison;
use crate::tree::{BuildRecord, Built, Signature};
use std::sync::{Arc, PoisonError};

/// Why the modules of a build are to be signed, if they are. Those that were signed by another than dkms are not.
pub(crate) fn pending_signature(session: &Session<'_>, built: &Built) -> Option<PendingSignature> {
    let record = built.record()?;
    if record.modules.iter().all(|module| module.signature.is_none()) {
        return None;
    }
    let wanted = wanted_signature(session, &built.id().target.release);
    if cannot_sign(&record, &wanted) {
        return None;
    }
    record.modules.iter().find_map(|module| is_pending(&wanted, module.signature.as_ref()))
}

pub(crate) fn wanted_signature(session: &Session<'_>, release: &KernelRelease) -> Arc<WantedSignature> {
    let mut known = session.signatures.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(known.entry(release.clone()).or_insert_with(|| Arc::new(decide_signature(session, release))))
}

fn decide_signature(session: &Session<'_>, release: &KernelRelease) -> WantedSignature {
    let kernel = session.kernel(release);
    let facts = signing_facts(&kernel, session.system);
    let enforced = session.trust.enforcement(&facts).is_some();
    match signing::decide(&session.settings.signing(release, session.system), &facts) {
        Signing::On(signer) => match fs_err::read(&signer.certificate) {
            Ok(content) => WantedSignature::Certificate {
                digest: signing::certificate_digest(&content),
                files: signer.files(),
                keeps: trusted_instead(&content, &facts, &session.trust),
                enforced,
            },
            Err(_) => WantedSignature::Nothing,
        },
        Signing::Generate { missing, .. } => {
            let can_be_made = !missing.preparations.is_empty() || session.system.program("openssl").is_some();
            if can_be_made { WantedSignature::NewKey { enforced } } else { WantedSignature::Nothing }
        }
        Signing::Off(_) => WantedSignature::Nothing,
    }
}

/// Certificates whose signatures are worth more than those of a new one: where the machine
/// refuses what it does not trust, it trusts them, and the new one not yet.
fn trusted_instead(certificate: &[u8], facts: &SigningFacts, machine: &MachineTrust) -> Vec<String> {
    if machine.enforcement(facts).is_none() || machine.enrolment(certificate) == Ok(Enrolment::Enrolled) {
        return Vec::new();
    }
    machine.trusted_certificates()
}

/// Whether signing failed before with what would be used now.
fn cannot_sign(record: &BuildRecord, wanted: &WantedSignature) -> bool {
    let (Some(then), WantedSignature::Certificate { files, .. }) = (&record.cannot_sign, wanted) else {
        return false;
    };
    then.compare(files).is_ok_and(|now| now != Comparison::Different)
}

pub(crate) fn signing_facts<'a>(kernel: &'a Kernel, system: &'a System) -> SigningFacts<'a> {
    SigningFacts {
        root: &system.root,
        family: system.host.distribution.family.id(),
        release: &kernel.release,
        modules_dir: &kernel.dir,
        kernel_dir: &kernel.build_dir,
        config_text: kernel.config().map(crate::kernel::KernelConfig::text),
        env: &system.env,
        euid: system.host.euid,
    }
}

/// Whether a module is to be signed that has `signature`, the work of a build of ours.
pub(crate) fn is_pending(
    wanted: &WantedSignature,
    signature: Option<&Signature>,
) -> Option<PendingSignature> {
    match (wanted, signature?) {
        (WantedSignature::Certificate { .. } | WantedSignature::NewKey { .. }, Signature::None) => {
            Some(PendingSignature::Missing)
        }
        // Every installer and image builder works in a chroot: what it built is good unless the machine refuses it.
        (
            WantedSignature::Certificate { enforced, .. } | WantedSignature::NewKey { enforced },
            Signature::NoneInChroot,
        ) => enforced.then_some(PendingSignature::Missing),
        (WantedSignature::Certificate { digest, keeps, .. }, Signature::Certificate(then)) => {
            (digest != then && !keeps.contains(then)).then_some(PendingSignature::OtherCertificate)
        }
        // A key that is lost may be one that the machine trusts, and it cannot trust the new one yet.
        (WantedSignature::NewKey { .. }, Signature::Certificate(_)) | (WantedSignature::Nothing, _) => None,
    }
}

/// What is recorded of a module that is stored unsigned.
pub(crate) fn unsigned(session: &Session<'_>, release: &KernelRelease) -> Signature {
    let kernel = session.kernel(release);
    let facts = signing_facts(&kernel, session.system);
    match signing::decide(&session.settings.signing(release, session.system), &facts) {
        Signing::Off(Reason::InChroot) => Signature::NoneInChroot,
        _ => Signature::None,
    }
}
