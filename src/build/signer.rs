//! The signer of a kernel's modules: decided once in a run, with its key made where there is none.

use crate::build::sign;
use crate::conf::Settings;
use crate::inspect::signature::signing_facts;
use crate::model::{Error, KernelRelease, Result};
use crate::session::WriteSession;
use crate::signing::{self, Enrolment, Keys, MachineTrust, Reason, Signer, Signing, SigningFacts};
use crate::system::System;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// How the modules of a kernel are signed; `None` if they are not, which is said once and is not an error.
///
/// # Errors
/// Signatures are required, and cannot be made.
pub(crate) fn signer(session: &WriteSession<'_>, release: &KernelRelease) -> Result<Option<Signer>, String> {
    let mut signers = session.signers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = signers.get(release) {
        return known.clone();
    }
    let signer = decide_signer(session, release);
    signers.insert(release.clone(), signer.clone());
    signer
}

fn decide_signer(session: &WriteSession<'_>, release: &KernelRelease) -> Result<Option<Signer>, String> {
    let kernel = session.kernel(release);
    let settings = session.settings.signing(release, session.system);
    let console = &session.system.console;
    let facts = signing_facts(&kernel, session.system);
    // Making the key may also import it.
    let mut trust_now = None;
    let refused = |why: String| if session.settings.require_signature { Err(why) } else { Ok(None) };
    let signer = match signing::decide(&settings, &facts) {
        Signing::On(signer) => signer,
        Signing::Generate { .. } if session.settings.ahead_of_kernel => {
            console.detail("There is no signing key yet; modules are signed when they are installed.");
            return Ok(None);
        }
        Signing::Generate { signer, missing } => {
            match sign::make_keys(&missing, &|program| session.system.command(program)) {
                Ok(warnings) => {
                    warnings.iter().for_each(|line| console.warn(line));
                    trust_now = Some(MachineTrust::from_root(&session.system.root));
                    signer
                }
                Err(why) => {
                    console.warn(format!("Modules are not signed: {why}"));
                    tell_enforcement(session, &facts);
                    return refused(why);
                }
            }
        }
        Signing::Off(reason) if reason != Reason::InChroot => {
            let warn_or_say =
                |line: String| if reason.is_problem() { console.warn(line) } else { console.detail(line) };
            warn_or_say(reason.to_string());
            tell_enforcement(session, &facts);
            // What is required is required of who switched it off, too.
            let must_sign = reason.is_problem() || reason == Reason::SwitchedOff;
            return if must_sign { refused(reason.to_string()) } else { Ok(None) };
        }
        Signing::Off(reason) => {
            console.detail(reason.to_string());
            return Ok(None);
        }
    };
    console.detail(signer.to_string());
    if !session.enrolment_reported.swap(true, Ordering::Relaxed) {
        let machine = trust_now.as_ref().unwrap_or(&session.trust);
        tell_enrolment(&signer.certificate, &facts, machine, session.system);
    }
    Ok(Some(signer))
}

fn tell_enforcement(session: &WriteSession<'_>, facts: &SigningFacts) {
    if let Some(why) = session.trust.enforcement(facts) {
        session.system.console.warn(format!("{why}: the kernel will refuse modules that are not signed."));
    }
}

/// Says what is to be done where the machine would refuse everything that is signed with a certificate.
fn tell_enrolment(certificate: &Path, facts: &SigningFacts, machine: &MachineTrust, system: &System) {
    let Some(why) = machine.enforcement(facts) else { return };
    let enrolment =
        fs_err::read(certificate).map_err(|e| e.to_string()).and_then(|content| machine.enrolment(&content));
    let shown = certificate.display();
    match enrolment {
        Ok(Enrolment::Enrolled) => {}
        Ok(Enrolment::Pending) => system.console.warn(format!(
            "{why}, and the enrolment of {shown} is not complete.\nConfirm it at the next boot (Enroll MOK); until then the kernel refuses modules that are signed with it."
        )),
        Ok(Enrolment::Missing) => system.console.warn(format!(
            "{why}, and the certificate that modules are signed with is not enrolled: the kernel will refuse them.\nEnrol it once, with a password of your choice, and confirm it at the next boot (Enroll MOK):\n    mokutil --import {shown}"
        )),
        Err(error) => system.console.warn(format!("{why}, and {shown} cannot be used: {error}")),
    }
}

/// The action `generate_mok`: the pair that modules are signed with exists afterwards.
///
/// # Errors
/// It could not be made.
pub(crate) fn generate_mok(release: &KernelRelease, settings: &Settings, system: &System) -> Result<()> {
    let kernel = settings.kernel(release);
    let failed = |why: String| Error::SigningKey { why };
    let keys = signing::find_keys(&settings.signing(release, system), &signing_facts(&kernel, system))
        .map_err(|reason| failed(reason.to_string()))?;
    let pair = match keys {
        Keys::Ready(pair) => pair,
        Keys::Missing(missing) => {
            let warnings = sign::make_keys(&missing, &|program| system.command(program)).map_err(failed)?;
            warnings.iter().for_each(|line| system.console.warn(line));
            missing.pair()
        }
    };
    system.console.say(format!(
        "Signing key: {}\nPublic certificate (MOK): {}",
        pair.key,
        pair.certificate.display()
    ));
    tell_enrolment(
        &pair.certificate,
        &signing_facts(&kernel, system),
        &MachineTrust::from_root(&system.root),
        system,
    );
    Ok(())
}
