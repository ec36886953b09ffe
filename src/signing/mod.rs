//! Whether the modules of one kernel are signed, with which tool, key and certificate.
//!
//! Reads the world and decides; it must not create or change a file, run a program, or print. What has to be made
//! first, keys, goes out as data for `build::sign`.

mod chroot;
mod enrolment;
mod keys;
mod pkcs7;
mod reason;
mod tool;
mod verify;
pub(crate) mod wanted;

pub(crate) use chroot::in_chroot;
pub(crate) use enrolment::{Enforcement, Enrolment, MachineTrust};
pub(crate) use keys::{KeyPair, KeyPreparation, Keys, MissingKeys, find_keys};
pub(crate) use reason::Reason;
pub(crate) use verify::{SignatureFlaw, Unsupported, Verification, identify, signer_name, verify};

pub(crate) use wanted::WantedSignature;

use crate::model::KernelRelease;
use crate::system::digest::sha256;
use crate::system::files;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What framework.conf says; an empty value is as good as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SigningSettings {
    pub sign_file: Option<String>,
    pub mok_signing_key: Option<String>,
    pub mok_certificate: Option<String>,
    pub try_sign_modules: Option<String>,
}

/// What is known about the machine and the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SigningFacts<'a> {
    /// In front of every fixed or configured path; `/` but for tests and images.
    pub root: &'a Path,
    /// The distribution id; only how it begins counts.
    pub family: &'a str,
    pub release: &'a KernelRelease,
    /// The kernel's directory in the install tree, with the root.
    pub modules_dir: &'a Path,
    /// The kernel's headers, with the root.
    pub kernel_dir: &'a Path,
    /// The kernel's configuration, where there is one.
    pub config_text: Option<&'a str>,
    pub env: &'a BTreeMap<String, String>,
    pub euid: u32,
}

impl SigningFacts<'_> {
    fn rooted(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        if path.starts_with(self.root) {
            return path.to_owned();
        }
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A value of the kernel configuration without its quotes.
    fn config(&self, name: &str) -> Option<&str> {
        let assigned = |line: &'_ str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        let line = self.config_text?.lines().find(|line| assigned(line))?;
        let value = line.split_once('=')?.1.trim().trim_matches('"');
        (!value.is_empty()).then_some(value)
    }

    /// A program of this name, as PATH has it.
    fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.env.get("PATH").map_or("/usr/sbin:/usr/bin:/sbin:/bin", String::as_str);
        files::find_in_path(path, name, |dir| self.rooted(dir))
    }
}

/// Everything that signing one module takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signer {
    pub tool: PathBuf,
    /// As the tool wants it: `sha256`.
    pub hash: String,
    /// A path, or a `pkcs11:` URI.
    pub key: String,
    pub certificate: PathBuf,
}

impl Signer {
    /// Tool, certificate and, where it is a file, key.
    #[must_use]
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let key = (!self.has_token()).then(|| PathBuf::from(&self.key));
        [self.tool.clone(), self.certificate.clone()].into_iter().chain(key).collect()
    }

    /// Whether the key is on a token.
    #[must_use]
    pub(crate) fn has_token(&self) -> bool {
        keys::is_token(&self.key)
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sign command: {}", self.tool.display())?;
        writeln!(f, "Signing key: {}", self.key)?;
        write!(f, "Public certificate (MOK): {}", self.certificate.display())
    }
}

/// Whether modules are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signing {
    On(Signer),
    /// Once the key and the certificate, neither of which exists, have been made.
    Generate {
        signer: Signer,
        missing: MissingKeys,
    },
    Off(Reason),
}

/// Decides for one kernel: the first thing that speaks against signing is the reason.
#[must_use]
pub(crate) fn decide(settings: &SigningSettings, facts: &SigningFacts) -> Signing {
    signer(settings, facts).unwrap_or_else(Signing::Off)
}

fn signer(settings: &SigningSettings, facts: &SigningFacts) -> Result<Signing, Reason> {
    match set(&settings.try_sign_modules) {
        Some("true") => {}
        Some("false") => return Err(Reason::SwitchedOff),
        _ if in_chroot(facts.root, facts.env, facts.euid) => return Err(Reason::InChroot),
        _ => {}
    }
    if facts.config_text.is_none() {
        return Err(Reason::NoConfig { release: facts.release.clone() });
    }
    let hash =
        facts.config("CONFIG_MODULE_SIG_HASH").ok_or(Reason::NoHash { release: facts.release.clone() })?;
    let tool = tool::find(set(&settings.sign_file), facts)?;
    let with = |pair: &KeyPair| Signer {
        tool,
        hash: hash.to_owned(),
        key: pair.key.clone(),
        certificate: pair.certificate.clone(),
    };
    Ok(match find_keys(settings, facts)? {
        Keys::Ready(pair) => Signing::On(with(&pair)),
        Keys::Missing(missing) => Signing::Generate { signer: with(&missing.pair()), missing },
    })
}

/// What tells certificates apart: SHA-256 of the DER form, hexadecimal; of the file's content where that is not a certificate
/// that we read.
#[must_use]
pub(crate) fn certificate_digest(content: &[u8]) -> String {
    match identify(content) {
        Ok(certificate) => sha256(&certificate.der),
        Err(_) => sha256(content),
    }
}

fn set(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rstest::rstest;
    use std::os::unix::fs::PermissionsExt;

    /// A machine in a directory, and what `decide` makes of it.
    pub(crate) struct World {
        pub dir: tempfile::TempDir,
        pub family: &'static str,
        pub config: Option<&'static str>,
        pub env: BTreeMap<String, String>,
        pub settings: SigningSettings,
        release: KernelRelease,
    }

    pub(crate) const CONFIG: &str = "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_HASH=\"sha256\"\n";
    pub(crate) const KERNEL: &str = "6.1.0-55-amd64";
    pub(crate) const BUILD_TOOL: &str = "/lib/modules/6.1.0-55-amd64/build/scripts/sign-file";

    impl World {
        pub(crate) fn new(family: &'static str) -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
                family,
                config: Some(CONFIG),
                env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
                settings: SigningSettings::default(),
                release: KernelRelease::new(KERNEL).unwrap(),
            }
        }

        pub(crate) fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path.trim_start_matches('/'))
        }

        pub(crate) fn text(&self, path: &str) -> String {
            self.path(path).display().to_string()
        }

        pub(crate) fn file(self, path: &str, content: &str) -> Self {
            let file = self.path(path);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, content).unwrap();
            self
        }

        pub(crate) fn program(self, path: &str) -> Self {
            let world = self.file(path, "#!/bin/sh\n");
            fs_err::set_permissions(world.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
            world
        }

        pub(crate) fn with_facts<T>(&self, use_them: impl FnOnce(&SigningFacts) -> T) -> T {
            let modules_dir = self.path("/lib/modules").join(KERNEL);
            use_them(&SigningFacts {
                root: self.dir.path(),
                family: self.family,
                release: &self.release,
                modules_dir: &modules_dir,
                kernel_dir: &modules_dir.join("build"),
                config_text: self.config,
                env: &self.env,
                euid: 0,
            })
        }

        pub(crate) fn trust(&self) -> MachineTrust {
            MachineTrust::from_root(self.dir.path())
        }

        pub(crate) fn decide(&self) -> Signing {
            self.with_facts(|facts| decide(&self.settings, facts))
        }
    }

    fn ready() -> World {
        let world = World::new("fedora").program(BUILD_TOOL);
        world.file("/var/lib/dkms/mok.key", "").file("/var/lib/dkms/mok.pub", "")
    }

    #[test]
    fn a_complete_machine_signs() {
        let world = ready();
        let expected = Signer {
            tool: world.path(BUILD_TOOL),
            hash: "sha256".to_owned(),
            key: world.text("/var/lib/dkms/mok.key"),
            certificate: world.path("/var/lib/dkms/mok.pub"),
        };
        assert_eq!(world.decide(), Signing::On(expected));
    }

    #[rstest]
    #[case(Some("false"), false, Some(Reason::SwitchedOff))]
    #[case(Some("true"), true, None)]
    #[case(Some("not_in_chroot"), true, Some(Reason::InChroot))]
    #[case(Some("yes"), true, Some(Reason::InChroot))]
    #[case(Some(""), true, Some(Reason::InChroot))]
    #[case(None, true, Some(Reason::InChroot))]
    #[case(None, false, None)]
    fn the_switch_and_the_chroot_come_first(
        #[case] switch: Option<&str>,
        #[case] chroot: bool,
        #[case] expected: Option<Reason>,
    ) {
        let mut world = ready();
        world.settings.try_sign_modules = switch.map(str::to_owned);
        if chroot {
            world = world.file("/proc/1/mountinfo", "1").file("/proc/self/mountinfo", "2");
        }
        match (world.decide(), expected) {
            (Signing::On(_), None) => {}
            (Signing::Off(reason), Some(expected)) => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case(None, "configuration of kernel 6.1.0-55-amd64 was not found")]
    #[case(Some("CONFIG_MODULES=y\n"), "CONFIG_MODULE_SIG_HASH")]
    #[case(Some("# CONFIG_MODULE_SIG_HASH is not set\n"), "CONFIG_MODULE_SIG_HASH")]
    #[case(Some("CONFIG_MODULE_SIG_HASH=\"\"\n"), "CONFIG_MODULE_SIG_HASH")]
    fn kernel_without_a_hash_gets_no_signatures(#[case] config: Option<&'static str>, #[case] words: &str) {
        let world = World { config, ..ready() };
        let Signing::Off(reason) = world.decide() else { panic!("signed") };
        assert!(reason.to_string().contains(words), "{reason}");
        assert!(!reason.is_problem());
    }

    #[test]
    fn missing_keys_are_made_first() {
        let world = World::new("debian").program(BUILD_TOOL);
        let Signing::Generate { signer, missing } = world.decide() else { panic!("not to be made") };
        assert_eq!(signer.key, missing.key.display().to_string());
        assert_eq!(signer.certificate, missing.certificate);
        assert!(missing.preparations.is_empty());
    }
}
