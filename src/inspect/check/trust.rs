//! Whether the kernel accepts the modules, where it demands signatures.

use super::{Finding, Kind};
use crate::inspect::signature::{pending_signature, signing_facts};
use crate::kernel::Kernel;
use crate::kernel::module_file::{read_module, split_signature};
use crate::model::remedy::Remedy;
use crate::session::Session;
use crate::signing::{self, Enforcement, Enrolment, Keys};
use crate::tree::Built;
use std::path::{Path, PathBuf};

/// What the machine demands, and how far it trusts the certificate that dkms signs with.
pub(super) struct Trust {
    demands: Enforcement,
    certificate: Option<(PathBuf, Vec<u8>, Enrolment)>,
}

impl Trust {
    /// `None` where the machine loads any module.
    pub(super) fn read(session: &Session<'_>, kernel: &Kernel) -> Option<Self> {
        let facts = signing_facts(kernel, session.system);
        let demands = session.trust.enforcement(&facts)?;
        let settings = session.settings.signing(&kernel.release, session.system);
        let certificate = match signing::find_keys(&settings, &facts) {
            Ok(Keys::Ready(pair)) => fs_err::read(&pair.certificate).ok().and_then(|content| {
                let enrolment = session.trust.enrolment(&content).ok()?;
                Some((pair.certificate, content, enrolment))
            }),
            Ok(Keys::Missing(_)) | Err(_) => None,
        };
        Some(Self { demands, certificate })
    }

    /// Why the kernel would refuse the modules of a package. A certificate that is not ours is left to the kernel.
    pub(super) fn flaw<'f>(
        &self,
        session: &Session<'_>,
        built: &Built,
        files: impl IntoIterator<Item = &'f Path>,
    ) -> Option<Finding> {
        files.into_iter().find_map(|file| {
            let content = read_module(file).ok()?;
            let (kind, why, remedy) = match split_signature(&content) {
                None => self.unsigned(session, built),
                Some((image, signature)) => self.untrusted(image, signature)?,
            };
            let package = Some(built.id().package.to_string());
            Some(Finding { kind, package, module: None, why, remedy })
        })
    }

    fn unsigned(&self, session: &Session<'_>, built: &Built) -> (Kind, String, Option<Remedy>) {
        let (package, target) = (built.id().package.clone(), built.id().target.clone());
        let why = format!("not signed, and the kernel will refuse it ({})", self.demands);
        let remedy = if pending_signature(session, built).is_some() {
            Some(Remedy::Install { package, target })
        } else if self.certificate.is_some() {
            Some(Remedy::BuildAgain { package, target })
        } else {
            None
        };
        (Kind::Unsigned, why, remedy)
    }

    fn untrusted(&self, image: &[u8], signature: &[u8]) -> Option<(Kind, String, Option<Remedy>)> {
        let (path, content, enrolment) = self.certificate.as_ref()?;
        signing::verify(image, signature, content).ok()?;
        let why = format!("signed, but this machine does not trust the key yet ({})", self.demands);
        let remedy = match enrolment {
            Enrolment::Enrolled => return None,
            Enrolment::Pending => Remedy::ConfirmCertificate,
            Enrolment::Missing => Remedy::TrustCertificate(path.clone()),
        };
        Some((Kind::Untrusted, why, Some(remedy)))
    }
}
