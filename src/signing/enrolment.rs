//! Whether the machine refuses modules without a trusted signature, and whether it trusts a certificate.
//!
//! Reads what the firmware and the kernel show: the variables of UEFI and shim (`MokListRT`, `MokSBStateRT`; the file
//! layouts are those of the kernel's Documentation/filesystems/efivarfs.rst and of `EFI_SIGNATURE_LIST` in the UEFI
//! specification, 32.4.1), `sig_enforce` and `/proc/keys`.

use super::verify::CertificateIdentity;
use super::{SigningFacts, identify};
use crate::system::digest::sha256;
use crate::system::efi;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SHIM: &str = "605dab50-e046-4300-abb6-3dd810dd8b23";
const DATABASE: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
/// EFI_CERT_X509_GUID as it stands in memory.
const X509: [u8; 16] =
    [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];

/// Who demands signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enforcement {
    SecureBoot,
    /// `module.sig_enforce`, on the command line or in the kernel's configuration.
    SigEnforce,
    /// kernel_lockdown(7).
    Lockdown,
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecureBoot => "Secure Boot is on",
            Self::SigEnforce => "The kernel enforces module signatures (sig_enforce)",
            Self::Lockdown => "The kernel is locked down",
        })
    }
}

/// How far a certificate is from being trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enrolment {
    Enrolled,
    /// It was imported, and must be confirmed at the next boot.
    Pending,
    Missing,
}

/// What the machine demands of modules, and the certificates that it trusts. Each is read once, when it is asked for.
#[derive(Debug)]
pub(crate) struct MachineTrust {
    /// In front of every path.
    root: PathBuf,
    demands: OnceLock<Demands>,
    certificates: OnceLock<Certificates>,
}

#[derive(Debug)]
struct Demands {
    secure_boot: bool,
    sig_enforce: bool,
    lockdown: bool,
}

#[derive(Debug)]
struct Certificates {
    /// Lists of the firmware and of shim.
    trusted: [Vec<u8>; 3],
    /// What shim asks about at the next boot.
    imported: Vec<u8>,
    /// `/proc/keys`.
    keyrings: String,
}

impl MachineTrust {
    #[must_use]
    pub(crate) fn from_root(root: &Path) -> Self {
        Self { root: root.to_owned(), demands: OnceLock::new(), certificates: OnceLock::new() }
    }

    /// Why an unsigned module, or one signed by a stranger, would be refused on this machine; `None` if it would not.
    #[must_use]
    pub(crate) fn enforcement(&self, facts: &SigningFacts) -> Option<Enforcement> {
        let demands = self.demands.get_or_init(|| Demands::read(&self.root));
        let forced = || demands.sig_enforce || facts.config("CONFIG_MODULE_SIG_FORCE") == Some("y");
        match () {
            () if demands.secure_boot => Some(Enforcement::SecureBoot),
            () if forced() => Some(Enforcement::SigEnforce),
            () if demands.lockdown => Some(Enforcement::Lockdown),
            () => None,
        }
    }

    fn certificates(&self) -> &Certificates {
        self.certificates.get_or_init(|| Certificates::read(&self.root))
    }

    /// Whether the machine trusts a certificate, given as the content of its file.
    ///
    /// # Errors
    /// It is not a certificate.
    pub(crate) fn enrolment(&self, certificate: &[u8]) -> Result<Enrolment, String> {
        let certificate = identify(certificate)?;
        let known = self.certificates();
        let holds = |list: &[u8]| x509_entries(list).any(|der| der == certificate.der);
        let is_trusted =
            || known.trusted.iter().any(|list| holds(list)) || is_in_a_keyring(&known.keyrings, &certificate);
        Ok(match () {
            () if is_trusted() => Enrolment::Enrolled,
            () if holds(&known.imported) => Enrolment::Pending,
            () => Enrolment::Missing,
        })
    }

    /// The certificates that firmware and shim trust, each by its [`super::certificate_digest`].
    #[must_use]
    pub(crate) fn trusted_certificates(&self) -> Vec<String> {
        let lists = self.certificates().trusted.iter();
        lists.flat_map(|list| x509_entries(list).map(sha256).collect::<Vec<_>>()).collect()
    }
}

impl Demands {
    fn read(root: &Path) -> Self {
        let is_on = |name: &str, vendor: &str| variable(root, name, vendor).last().copied() == Some(1);
        let running = fs_err::read(root.join("sys/module/module/parameters/sig_enforce"));
        // `none [integrity] confidentiality`
        let lockdown = fs_err::read_to_string(root.join("sys/kernel/security/lockdown")).unwrap_or_default();
        Self {
            secure_boot: is_on("SecureBoot", GLOBAL) && !is_on("MokSBStateRT", SHIM),
            sig_enforce: running.is_ok_and(|text| text.starts_with(b"Y") || text.starts_with(b"1")),
            lockdown: lockdown.contains('[') && !lockdown.contains("[none]"),
        }
    }
}

impl Certificates {
    fn read(root: &Path) -> Self {
        let mok = fs_err::read(root.join("sys/firmware/efi/mok-variables/MokListRT")).unwrap_or_default();
        Self {
            trusted: [mok, variable(root, "MokListRT", SHIM), variable(root, "db", DATABASE)],
            imported: variable(root, "MokNew", SHIM),
            keyrings: fs_err::read_to_string(root.join("proc/keys")).unwrap_or_default(),
        }
    }
}

/// Empty if there is none.
fn variable(root: &Path, name: &str, vendor: &str) -> Vec<u8> {
    efi::variable(root, name, vendor).unwrap_or_default()
}

/// The kernel's keys are listed with the certificate's subject and key identifier.
fn is_in_a_keyring(keys: &str, certificate: &CertificateIdentity) -> bool {
    let name = format!(": {}: X509.", certificate.key_id);
    keys.lines().any(|line| line.contains("asymmetri") && line.contains(&name))
}

/// The certificates of a sequence of EFI_SIGNATURE_LIST; what does not fit ends it.
fn x509_entries(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    const HEADER: usize = 28;
    const OWNER: usize = 16;
    let mut entries = Vec::new();
    while rest.len() >= HEADER {
        let number = |at: usize| {
            let bytes = rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
        };
        let (size, header, entry) = (number(16), number(20), number(24));
        let Some((list, following)) = rest.split_at_checked(size).filter(|_| size >= HEADER) else { break };
        let body = list.get(HEADER.saturating_add(header)..).unwrap_or_default();
        if list.starts_with(&X509) && entry > OWNER {
            entries.extend(body.chunks_exact(entry).map(|entry| &entry[OWNER..]));
        }
        rest = following;
    }
    entries.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::tests::World;
    use rstest::rstest;

    /// A certificate that openssl made, without an identifier of its own.
    fn certificate() -> Vec<u8> {
        use crate::system::process::{Command, Output};
        let dir = tempfile::tempdir().unwrap();
        let args =
            "req -new -x509 -batch -newkey rsa:2048 -nodes -subj /CN=tester -outform DER -out c -keyout k";
        let outcome =
            Command::new("openssl").args(args.split(' ')).dir(dir.path()).stderr(Output::Capture).run();
        assert!(outcome.unwrap().status.success());
        std::fs::read(dir.path().join("c")).unwrap()
    }

    fn list(kind: [u8; 16], entries: &[&[u8]]) -> Vec<u8> {
        let entry = 16 + entries[0].len();
        let number = |n: usize| (n as u32).to_le_bytes();
        let header = [number(28 + entry * entries.len()), number(0), number(entry)].concat();
        let body: Vec<u8> = entries.iter().flat_map(|der| [vec![7; 16], der.to_vec()].concat()).collect();
        [kind.to_vec(), header, body].concat()
    }

    fn efi(name: &str, vendor: &str, content: &[u8], world: &World) {
        let path = world.path(&format!("/sys/firmware/efi/efivars/{name}-{vendor}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, [&[6, 0, 0, 0], content].concat()).unwrap();
    }

    #[rstest]
    #[case(&[], None)]
    #[case(&[("SecureBoot", GLOBAL, 0)], None)]
    #[case(&[("SecureBoot", GLOBAL, 1)], Some(Enforcement::SecureBoot))]
    #[case(&[("SecureBoot", GLOBAL, 1), ("MokSBStateRT", SHIM, 0)], Some(Enforcement::SecureBoot))]
    #[case(&[("SecureBoot", GLOBAL, 1), ("MokSBStateRT", SHIM, 1)], None)]
    fn secure_boot_counts_unless_shim_ignores_it(
        #[case] variables: &[(&str, &str, u8)],
        #[case] expected: Option<Enforcement>,
    ) {
        let world = World::new("debian");
        for (name, vendor, value) in variables {
            efi(name, vendor, &[*value], &world);
        }
        assert_eq!(world.with_facts(|facts| world.trust().enforcement(facts)), expected);
    }

    #[rstest]
    #[case("Y\n", "", Some(Enforcement::SigEnforce))]
    #[case("N\n", "", None)]
    #[case("N\n", "CONFIG_MODULE_SIG_FORCE=y\n", Some(Enforcement::SigEnforce))]
    fn a_kernel_may_demand_signatures_itself(
        #[case] parameter: &str,
        #[case] config: &'static str,
        #[case] expected: Option<Enforcement>,
    ) {
        let mut world = World::new("debian");
        world.config = Some(config);
        let world = world.file("/sys/module/module/parameters/sig_enforce", parameter);
        assert_eq!(world.with_facts(|facts| world.trust().enforcement(facts)), expected);
    }

    #[rstest]
    #[case("MokListRT", SHIM, Enrolment::Enrolled)]
    #[case("db", DATABASE, Enrolment::Enrolled)]
    #[case("MokNew", SHIM, Enrolment::Pending)]
    #[case("Other", SHIM, Enrolment::Missing)]
    fn the_lists_of_the_firmware_are_searched(
        #[case] name: &str,
        #[case] vendor: &str,
        #[case] expected: Enrolment,
    ) {
        let (world, certificate) = (World::new("debian"), certificate());
        let hashes = list([1; 16], &[&[3; 32], &[4; 32]]);
        let others = list(X509, &[&[5; 40]]);
        efi(name, vendor, &[hashes, others, list(X509, &[&certificate])].concat(), &world);
        assert_eq!(world.trust().enrolment(&certificate), Ok(expected));
    }

    #[test]
    fn the_keyrings_of_the_kernel_are_searched() {
        let certificate = certificate();
        let id = identify(&certificate).unwrap().key_id;
        let line = format!("1c5e I------ 1 perm 1f030000 0 0 asymmetri tester: {id}: X509.rsa 11223344 []\n");
        let world = World::new("debian").file("/proc/keys", &line);
        assert_eq!(world.trust().enrolment(&certificate), Ok(Enrolment::Enrolled));
        let world = World::new("debian").file("/proc/keys", &line.replace(&id, "00"));
        assert_eq!(world.trust().enrolment(&certificate), Ok(Enrolment::Missing));
    }

    #[test]
    fn list_that_does_not_fit_ends_the_search() {
        let whole = [list(X509, &[&[5; 40], &[6; 40]]), list(X509, &[&[7; 4]])].concat();
        assert_eq!(x509_entries(&whole).count(), 3);
        for end in 0..whole.len() {
            assert!(x509_entries(&whole[..end]).count() < 3);
        }
        for at in 16..28 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = whole.clone();
                broken[at] = value;
                let _ = x509_entries(&broken).count();
            }
        }
    }
}
