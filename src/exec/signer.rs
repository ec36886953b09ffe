//! The signer of a kernel's modules: decided once in a run, with its key made where there is none.

use super::{Engine, sign};
use crate::conf::Settings;
use crate::kernel::Kernel;
use crate::model::{Error, KernelRelease, Result};
use crate::signing::{self, Keys, Signer, Signing, SigningFacts};
use crate::system::System;
use std::sync::PoisonError;

impl Engine<'_> {
    /// Who signs the modules of a kernel; `None` if nobody, which is told once and is no error.
    pub(super) fn signer(&self, release: &KernelRelease) -> Option<Signer> {
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = signers.get(release) {
            return known.clone();
        }
        let signer = self.decide_signer(release);
        signers.insert(release.clone(), signer.clone());
        signer
    }

    fn decide_signer(&self, release: &KernelRelease) -> Option<Signer> {
        let kernel = self.kernel(release);
        let settings = self.settings.signing(release, self.system);
        let ui = &self.system.ui;
        let signer = match signing::decide(&settings, &facts(&kernel, self.system)) {
            Signing::On(signer) => signer,
            Signing::Generate { signer, missing } => match sign::make_keys(&missing) {
                Ok(warnings) => {
                    warnings.iter().for_each(|line| ui.warn(line));
                    signer
                }
                Err(why) => {
                    ui.warn(format!("Modules are not signed: {why}"));
                    return None;
                }
            },
            Signing::Off(reason) if reason.is_problem() => {
                ui.warn(reason.to_string());
                return None;
            }
            Signing::Off(reason) => {
                ui.say(reason.to_string());
                return None;
            }
        };
        ui.say(signer.to_string());
        Some(signer)
    }
}

fn facts<'a>(kernel: &'a Kernel, system: &'a System) -> SigningFacts<'a> {
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

/// The action `generate_mok`: the pair that modules are signed with exists afterwards.
///
/// # Errors
/// It could not be made.
pub fn generate_mok(release: &KernelRelease, settings: &Settings, system: &System) -> Result<()> {
    let kernel = settings.kernel(release);
    let failed = |why: String| Error::SigningKey { why };
    let keys = signing::find_keys(&settings.signing(release, system), &facts(&kernel, system))
        .map_err(|reason| failed(reason.to_string()))?;
    let pair = match keys {
        Keys::Ready(pair) => pair,
        Keys::Missing(missing) => {
            let warnings = sign::make_keys(&missing).map_err(failed)?;
            warnings.iter().for_each(|line| system.ui.warn(line));
            missing.pair()
        }
    };
    system.ui.say(format!(
        "Signing key: {}\nPublic certificate (MOK): {}",
        pair.key,
        pair.certificate.display()
    ));
    Ok(())
}
