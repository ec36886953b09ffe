//! Which key and certificate sign modules, and what must be done before they exist.
//!
//! An existing file is never to be replaced: an enrolled key that is lost takes a visit to the machine's console.

use super::{Reason, SigningFacts, SigningSettings, set};
use std::path::{Path, PathBuf};

const POLICY_TOOL: &str = "update-secureboot-policy";

/// A key and its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyPair {
    /// A path, or a `pkcs11:` URI.
    pub key: String,
    pub certificate: PathBuf,
}

/// A pair of which neither file exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MissingKeys {
    pub key: PathBuf,
    pub certificate: PathBuf,
    /// To be run in order before the pair is made; may already make it.
    pub preparations: Vec<KeyPreparation>,
}

impl MissingKeys {
    #[must_use]
    pub(crate) fn pair(&self) -> KeyPair {
        KeyPair { key: self.key.to_string_lossy().into_owned(), certificate: self.certificate.clone() }
    }
}

/// A program of the distribution that takes part in making keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyPreparation {
    pub program: PathBuf,
    pub args: Vec<&'static str>,
    pub env: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    Ready(KeyPair),
    Missing(MissingKeys),
}

/// Where a pair was found, which decides what may be done when it is missing.
enum Origin {
    Ours,
    Shim,
    /// The kernel's build: its key is made with the kernel only.
    Kernel,
}

/// Finds the pair, without asking whether anything will be signed with it.
///
/// # Errors
/// There is none, and none may be made.
pub(crate) fn find_keys(settings: &SigningSettings, facts: &SigningFacts) -> Result<Keys, Reason> {
    let (pair, origin) = locate(settings, facts);
    let certificate_exists = exists(&pair.certificate)?;
    if is_token(&pair.key) {
        let KeyPair { key, certificate } = pair.clone();
        let missing = Reason::CertificateMissing { key, certificate };
        return if certificate_exists { Ok(Keys::Ready(pair)) } else { Err(missing) };
    }
    let (key, certificate) = (PathBuf::from(&pair.key), pair.certificate.clone());
    match (exists(&key)?, certificate_exists) {
        (true, true) => Ok(Keys::Ready(pair)),
        (true, false) => Err(Reason::HalfPair { present: key, missing: certificate }),
        (false, true) => Err(Reason::HalfPair { present: certificate, missing: key }),
        (false, false) if matches!(origin, Origin::Kernel) || key == certificate => {
            Err(Reason::KeyMissing { key })
        }
        (false, false) => {
            let preparations = preparations(&origin, facts)?;
            Ok(Keys::Missing(MissingKeys { key, certificate, preparations }))
        }
    }
}

fn locate(settings: &SigningSettings, facts: &SigningFacts) -> (KeyPair, Origin) {
    let configured = set(&settings.mok_certificate).map(|path| facts.rooted(path));
    let or_default = |path: Option<PathBuf>| path.unwrap_or_else(|| facts.rooted("/var/lib/dkms/mok.pub"));
    if let Some(key) = set(&settings.mok_signing_key) {
        return (KeyPair { key: rooted_key(key, facts), certificate: or_default(configured) }, Origin::Ours);
    }
    if facts.family.starts_with("ubuntu") {
        let file = |name| facts.rooted("/var/lib/shim-signed/mok").join(name);
        let key = file("MOK.priv").to_string_lossy().into_owned();
        return (KeyPair { key, certificate: file("MOK.der") }, Origin::Shim);
    }
    if let Some(found) = of_gentoo(facts, configured.as_deref()) {
        return found;
    }
    let key = rooted_key("/var/lib/dkms/mok.key", facts);
    (KeyPair { key, certificate: or_default(configured) }, Origin::Ours)
}

/// Portage's own settings, else the key that the kernel was built with; a file may hold both key and certificate.
fn of_gentoo(facts: &SigningFacts, certificate: Option<&Path>) -> Option<(KeyPair, Origin)> {
    if !facts.family.starts_with("gentoo") {
        return None;
    }
    let portage = fs_err::read_to_string(facts.rooted("/etc/portage/make.conf")).unwrap_or_default();
    let value = |name: &str| {
        let of_env = facts.env.get(name).filter(|value| !value.is_empty());
        of_env.cloned().or_else(|| assignment(&portage, name))
    };
    let (key, origin) = match value("MODULES_SIGN_KEY") {
        Some(key) => (rooted_key(&key, facts), Origin::Ours),
        None => (kernel_key(facts.config("CONFIG_MODULE_SIG_KEY")?, facts), Origin::Kernel),
    };
    let own = || value("MODULES_SIGN_CERT").map(|path| facts.rooted(path));
    let beside = || if is_token(&key) { facts.rooted("/var/lib/dkms/mok.pub") } else { PathBuf::from(&key) };
    let certificate = match origin {
        Origin::Kernel => beside(),
        _ => own().or_else(|| certificate.map(Path::to_owned)).unwrap_or_else(beside),
    };
    Some((KeyPair { key, certificate }, origin))
}

/// The last assignment of a variable in a shell file of plain assignments.
fn assignment(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let value = line.strip_prefix(name)?.strip_prefix('=')?.trim_end();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split_once(quote));
        let plain = || value.split([' ', '\t', '#']).next().unwrap_or_default();
        Some(quoted.map_or_else(plain, |(value, _)| value).to_owned())
    };
    text.lines().filter_map(value).next_back().filter(|value| !value.is_empty())
}

fn kernel_key(key: &str, facts: &SigningFacts) -> String {
    if is_token(key) || key.starts_with('/') {
        return rooted_key(key, facts);
    }
    facts.kernel_dir.join(key).to_string_lossy().into_owned()
}

fn rooted_key(key: &str, facts: &SigningFacts) -> String {
    if is_token(key) { key.to_owned() } else { facts.rooted(key).to_string_lossy().into_owned() }
}

pub(crate) fn is_token(key: &str) -> bool {
    key.starts_with("pkcs11:")
}

/// Whether a file is there. Not being allowed to look is not the same as nothing being there.
fn exists(path: &Path) -> Result<bool, Reason> {
    let unreadable = |why: String| Reason::Unreadable { path: path.to_owned(), why };
    match path.metadata() {
        Ok(data) if data.is_file() => Ok(true),
        Ok(_) => Err(unreadable("not a file".to_owned())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(unreadable(e.to_string())),
    }
}

/// Ubuntu's tool makes the pair where its own boot chain looks for it, then asks for the enrolment.
fn preparations(origin: &Origin, facts: &SigningFacts) -> Result<Vec<KeyPreparation>, Reason> {
    if !matches!(origin, Origin::Shim) {
        return Ok(Vec::new());
    }
    let program = facts.program(POLICY_TOOL).ok_or(Reason::PolicyToolMissing { tool: POLICY_TOOL })?;
    let step = |arg| KeyPreparation {
        program: program.clone(),
        args: vec![arg],
        env: vec![("SHIM_NOTRIGGER", "y")],
    };
    Ok(vec![step("--new-key"), step("--enroll-key")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::tests::World;
    use rstest::rstest;

    fn keys(world: &World) -> Result<Keys, Reason> {
        world.with_facts(|facts| find_keys(&world.settings, facts))
    }

    fn ready(world: &World, key: &str, certificate: &str) -> Result<Keys, Reason> {
        Ok(Keys::Ready(KeyPair { key: world.text(key), certificate: world.path(certificate) }))
    }

    const OURS: (&str, &str) = ("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    const SHIM: (&str, &str) = ("/var/lib/shim-signed/mok/MOK.priv", "/var/lib/shim-signed/mok/MOK.der");

    #[rstest]
    #[case("debian", None, None, OURS)]
    #[case("debian", None, Some("/k/c"), (OURS.0, "/k/c"))]
    #[case("debian", Some("/k/k"), None, ("/k/k", OURS.1))]
    #[case("ubuntu", None, None, SHIM)]
    #[case("ubuntu", Some("/k/k"), Some("/k/c"), ("/k/k", "/k/c"))]
    #[case("gentoo", None, None, OURS)]
    #[case("gentoo", Some("/k/k"), Some("/k/c"), ("/k/k", "/k/c"))]
    fn a_pair_is_used_or_refused_or_made(
        #[case] family: &'static str,
        #[case] key: Option<&str>,
        #[case] certificate: Option<&str>,
        #[case] expected: (&str, &str),
    ) {
        let world = || {
            let mut world = World::new(family).program("/usr/bin/update-secureboot-policy");
            world.settings.mok_signing_key = key.map(str::to_owned);
            world.settings.mok_certificate = certificate.map(str::to_owned);
            world
        };
        let both = world().file(expected.0, "").file(expected.1, "");
        assert_eq!(keys(&both), ready(&both, expected.0, expected.1));
        for (present, missing) in [expected, (expected.1, expected.0)] {
            let half = world().file(present, "");
            let reason = Reason::HalfPair { present: half.path(present), missing: half.path(missing) };
            assert!(reason.is_problem());
            assert_eq!(keys(&half), Err(reason));
        }
        let none = world();
        let Ok(Keys::Missing(missing)) = keys(&none) else { panic!("not to be made") };
        assert_eq!(missing.key, none.path(expected.0));
        assert_eq!(missing.certificate, none.path(expected.1));
    }

    #[test]
    fn ubuntu_makes_its_keys_with_its_own_tool() {
        let world = World::new("ubuntu");
        assert_eq!(keys(&world), Err(Reason::PolicyToolMissing { tool: POLICY_TOOL }));
        let world = world.program("/usr/bin/update-secureboot-policy");
        let Ok(Keys::Missing(missing)) = keys(&world) else { panic!("not to be made") };
        let args: Vec<_> = missing.preparations.iter().flat_map(|step| step.args.clone()).collect();
        assert_eq!(args, ["--new-key", "--enroll-key"]);
        assert_eq!(missing.preparations[0].env, [("SHIM_NOTRIGGER", "y")]);
    }

    #[test]
    fn key_on_a_token_needs_its_certificate_only() {
        let mut world = World::new("debian");
        world.settings.mok_signing_key = Some("pkcs11:token=t;object=o".to_owned());
        assert!(matches!(keys(&world), Err(Reason::CertificateMissing { .. })));
        let world = world.file(OURS.1, "");
        let pair = KeyPair { key: "pkcs11:token=t;object=o".to_owned(), certificate: world.path(OURS.1) };
        assert_eq!(keys(&world), Ok(Keys::Ready(pair)));
    }

    #[rstest]
    #[case::environment(&[("MODULES_SIGN_KEY", "/e/k"), ("MODULES_SIGN_CERT", "/e/c")], "MODULES_SIGN_KEY=/p/k", "/e/k", "/e/c")]
    #[case::portage(&[], "MODULES_SIGN_KEY=\"/p/k\" # x\n export MODULES_SIGN_CERT='/p/c'", "/p/k", "/p/c")]
    #[case::both_in_one(&[], "MODULES_SIGN_KEY=/a\nMODULES_SIGN_KEY=/p/pem # last", "/p/pem", "/p/pem")]
    #[case::of_the_kernel(&[], "USE=x\n#MODULES_SIGN_KEY=/p/k", KERNEL_KEY, KERNEL_KEY)]
    fn gentoo_has_settings_of_its_own(
        #[case] env: &[(&str, &str)],
        #[case] portage: &str,
        #[case] key: &str,
        #[case] certificate: &str,
    ) {
        let mut world = World::new("gentoo").file("/etc/portage/make.conf", portage);
        world.config = Some("CONFIG_MODULE_SIG_KEY=\"certs/signing_key.pem\"\n");
        world.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let world = world.file(key, "").file(certificate, "");
        assert_eq!(keys(&world), ready(&world, key, certificate));
    }

    const KERNEL_KEY: &str = "/lib/modules/6.1.0-55-amd64/build/certs/signing_key.pem";

    #[test]
    fn the_key_of_a_kernel_is_never_made() {
        let mut world = World::new("gentoo");
        world.config = Some("CONFIG_MODULE_SIG_KEY=\"certs/signing_key.pem\"\n");
        assert_eq!(keys(&world), Err(Reason::KeyMissing { key: world.path(KERNEL_KEY) }));
    }

    #[test]
    fn what_cannot_be_examined_is_not_missing() {
        let world = World::new("debian").file("/var/lib/dkms/mok.key/x", "");
        assert!(matches!(keys(&world), Err(Reason::Unreadable { .. })));
        let world = World::new("debian").file("/var/lib/dkms", "");
        assert!(matches!(keys(&world), Err(Reason::Unreadable { .. })));
    }
}
