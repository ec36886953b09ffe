//! Carries signing out: makes a key pair, and signs one module file.
//!
//! What is signed, and with what, is decided in `signing`. A file that exists is never overwritten, except the module.

use crate::kernel::module_file::{has_signature, read_module, split_signature, strip_signature};
use crate::signing::{KeyPreparation, MissingKeys, SignatureFlaw, Signer, Unsupported, Verification, verify};
use crate::system::files;
use crate::system::process::{Command, Outcome, Output};
use std::fmt::Display;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;

/// A key that may sign modules and nothing else, after the kernel's Documentation/admin-guide/module-signing.rst.
const REQUEST: &str = "\
[req]
prompt = no
string_mask = utf8only
distinguished_name = name
x509_extensions = extensions
[name]
CN = DKMS module signing key
[extensions]
basicConstraints = critical,CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = codeSigning
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
";

/// Long enough for a slow machine without entropy; a program that asks a question gets no answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Makes the pair that signing has found missing, the distribution's way first. Returns warnings, one line each.
///
/// `start` gives programs their environment.
///
/// # Errors
/// There is no usable pair; modules stay unsigned.
pub(crate) fn make_keys(
    missing: &MissingKeys,
    start: &dyn Fn(&Path) -> Command,
) -> Result<Vec<String>, String> {
    let steps = missing.preparations.iter();
    let warnings: Vec<String> = steps.filter_map(|step| prepare(step, start).err()).collect();
    let made = match (missing.key.is_file(), missing.certificate.is_file()) {
        (true, true) => Ok(()),
        _ => generate_key(&missing.key, &missing.certificate, start),
    };
    made.map(|()| warnings.clone())
        .map_err(|e| warnings.iter().chain([&e]).cloned().collect::<Vec<_>>().join("; "))
}

fn prepare(preparation: &KeyPreparation, start: &dyn Fn(&Path) -> Command) -> Result<(), String> {
    let mut command = start(&preparation.program).args(&preparation.args).timeout(PATIENCE);
    for (name, value) in &preparation.env {
        command = command.env(name, value);
    }
    let title = format!("{} {}", preparation.program.display(), preparation.args.join(" "));
    succeed(&title, command)
}

/// Makes a self-signed certificate (DER, 0644) and its key (PEM without a password, 0600).
///
/// Both are written beside their final names and appear there complete, the key first; when either name is taken,
/// nothing is changed.
///
/// # Errors
/// A file exists, openssl is missing or fails, or a directory is not writable.
pub(crate) fn generate_key(
    key: &Path,
    certificate: &Path,
    start: &dyn Fn(&Path) -> Command,
) -> Result<(), String> {
    if let Some(taken) = [key, certificate].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(format!("{} exists and is not overwritten", taken.display()));
    }
    let (new_key, new_certificate) = (neighbour(key)?, neighbour(certificate)?);
    let mut request = neighbour(certificate)?;
    request.write_all(REQUEST.as_bytes()).map_err(about(request.path()))?;
    let command = start(Path::new("openssl"))
        .args(["req", "-new", "-x509", "-batch", "-newkey", "rsa:2048", "-nodes", "-sha256"])
        .args(["-days", "36500", "-outform", "DER"])
        .arg("-config")
        .arg(request.path())
        .arg("-keyout")
        .arg(new_key.path())
        .arg("-out")
        .arg(new_certificate.path())
        .timeout(PATIENCE);
    succeed("openssl req", command)?;
    publish(new_key, key, 0o600)?;
    publish(new_certificate, certificate, 0o644).inspect_err(|_| {
        // Made a moment ago by us, and worth nothing without its certificate.
        let _ = fs_err::remove_file(key);
    })
}

/// An empty file that only we may read, in the directory of `path`.
fn neighbour(path: &Path) -> Result<NamedTempFile, String> {
    let dir = path.parent().ok_or_else(|| format!("{}: no file name", path.display()))?;
    fs_err::create_dir_all(dir).map_err(|e| e.to_string())?;
    tempfile::Builder::new().prefix(".mok-").tempfile_in(dir).map_err(about(dir))
}

/// Gives a complete file its name, which must be free, and makes both last.
fn publish(file: NamedTempFile, path: &Path, mode: u32) -> Result<(), String> {
    // Reopened by name, should openssl have replaced the file in place of filling it.
    let written = fs_err::File::open(file.path()).map_err(|e| e.to_string())?;
    if written.metadata().map_err(|e| e.to_string())?.len() == 0 {
        return Err(format!("openssl left {} empty", path.display()));
    }
    written.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())?;
    written.sync_all().map_err(|e| e.to_string())?;
    file.persist_noclobber(path).map_err(|e| about(path)(e.error))?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs_err::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| e.to_string())
}

/// Signs an uncompressed module in place. A signature that it has already goes: the tool would put its own behind it.
///
/// `tool` starts the signer's tool with the environment and in the directory that it is to have: it may be a script of the
/// administrator. `KBUILD_SIGN_PIN` is there for keys that want one.
///
/// # Errors
/// What the tool said last; the module is then unsigned but sound.
fn sign_module(signer: &Signer, tool: Command, module: &Path) -> Result<(), String> {
    let text = |e: std::io::Error| e.to_string();
    let found = fs_err::read(module).map_err(text)?;
    let signed = has_signature(&found);
    let content = strip_signature(found);
    if signed {
        fs_err::write(module, &content).map_err(text)?;
    }
    let command = tool.args([&signer.hash, &signer.key]).arg(&signer.certificate).arg(module);
    succeed(&signer.tool.display().to_string(), command).inspect_err(|_| {
        // Half a signature is worse than none; should this fail too, the tool's words still say what happened.
        let _ = fs_err::write(module, &content);
    })
}

/// Why a module has no signature.
#[derive(Debug)]
pub(crate) struct Unsigned {
    pub why: String,
}

/// Signs an uncompressed module, has it stored by `store`, and looks at what was stored as the kernel will. Returns the
/// stored file, and why its signature could not be checked, if it could not.
///
/// # Errors
/// The module cannot be stored. Or it cannot be signed: it then has no signature, and nothing is stored.
pub(crate) fn sign_and_store(
    signer: &Signer,
    tool: Command,
    module: &Path,
    store: impl Fn() -> crate::model::Result<PathBuf>,
) -> crate::model::Result<Result<(PathBuf, Option<Unsupported>), Unsigned>> {
    if let Err(why) = sign_module(signer, tool, module) {
        return Ok(Err(Unsigned { why }));
    }
    let stored = store()?;
    match check_signature(signer, &stored) {
        Ok(Verification::Verified) => Ok(Ok((stored, None))),
        Ok(Verification::NotChecked(why)) => Ok(Ok((stored, Some(why)))),
        Err(why) => {
            files::remove_file(&stored)?;
            fs_err::write(module, strip_signature(fs_err::read(module)?))?;
            Ok(Err(Unsigned { why }))
        }
    }
}

/// Reads a module as it is stored, compressed or not, and checks its signature with the certificate.
///
/// # Errors
/// Why a kernel that trusts the certificate would not trust the module.
fn check_signature(signer: &Signer, module: &Path) -> Result<Verification, String> {
    let content = read_module(module).map_err(|e| e.to_string())?;
    let certificate = fs_err::read(&signer.certificate).map_err(|e| e.to_string())?;
    let (image, signature) = split_signature(&content).ok_or_else(|| SignatureFlaw::Missing.to_string())?;
    verify(image, signature, &certificate).map_err(|flaw| flaw.to_string())
}

fn succeed(title: &str, command: Command) -> Result<(), String> {
    let outcome = command.stderr(Output::Capture).run().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let program = title.split_whitespace().next().unwrap_or(title);
            format!("{program} is not installed")
        }
        _ => error.to_string(),
    })?;
    if outcome.status.success() { Ok(()) } else { Err(failure(title, &outcome)) }
}

fn failure(title: &str, outcome: &Outcome) -> String {
    match outcome.stderr_tail() {
        tail if tail.is_empty() => format!("{title}: {}", outcome.status),
        tail => format!("{title}: {}: {tail}", outcome.status),
    }
}

fn about<E: Display>(path: &Path) -> impl Fn(E) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::process::Input;

    struct MadeKeys {
        dir: tempfile::TempDir,
        key: PathBuf,
        certificate: PathBuf,
    }

    fn keys() -> MadeKeys {
        let dir = tempfile::tempdir().unwrap();
        let (key, certificate) = (dir.path().join("new/mok.key"), dir.path().join("new/mok.pub"));
        MadeKeys { dir, key, certificate }
    }

    impl MadeKeys {
        fn names(&self) -> Vec<String> {
            let entries = fs_err::read_dir(self.dir.path().join("new")).into_iter().flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        fn signer(&self, script: &str) -> Signer {
            let tool = self.program("sign-file", script);
            Signer {
                tool,
                hash: "sha256".into(),
                key: "pkcs11:a=b".into(),
                certificate: self.certificate.clone(),
            }
        }

        fn program(&self, name: &str, script: &str) -> PathBuf {
            let path = self.dir.path().join(name);
            // Written by another process: while any of ours had it open for writing, it could not be started.
            let write = Command::new("sh").args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(&path);
            let text = format!("#!/bin/sh\n{script}\n").into_bytes();
            assert!(write.stdin(Input::Bytes(text)).run().unwrap().status.success());
            path
        }
    }

    fn has_openssl() -> bool {
        Command::new("openssl").arg("version").run().is_ok_and(|outcome| outcome.status.success())
    }

    fn openssl(args: &[&str], file: &Path) -> String {
        let outcome = Command::new("openssl").args(args).arg("-in").arg(file);
        let outcome = outcome.stdout(Output::Capture).stderr(Output::Capture).run().unwrap();
        assert!(outcome.status.success(), "{}", outcome.stderr_tail());
        String::from_utf8(outcome.stdout).unwrap()
    }

    #[test]
    fn a_pair_is_made_as_kernels_want_it() {
        if !has_openssl() {
            return;
        }
        let made = keys();
        generate_key(&made.key, &made.certificate, &|program| Command::new(program)).unwrap();
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&made.key), mode(&made.certificate)), (0o600, 0o644));
        assert_eq!(made.names(), ["mok.key", "mok.pub"]);
        let text = openssl(&["x509", "-inform", "DER", "-noout", "-text"], &made.certificate);
        for part in [
            "CN = DKMS module signing key",
            "2048 bit",
            "sha256WithRSAEncryption",
            "Code Signing",
            "Version: 3",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let of_key = openssl(&["pkey", "-passin", "pass:", "-pubout"], &made.key);
        let of_certificate = openssl(&["x509", "-inform", "DER", "-noout", "-pubkey"], &made.certificate);
        assert_eq!(of_key, of_certificate);
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        for taken in ["mok.key", "mok.pub"] {
            let made = keys();
            fs_err::create_dir_all(made.dir.path().join("new")).unwrap();
            fs_err::write(made.dir.path().join("new").join(taken), "enrolled").unwrap();
            let error =
                generate_key(&made.key, &made.certificate, &|program| Command::new(program)).unwrap_err();
            assert!(error.contains(taken), "{error}");
            assert_eq!(made.names(), [taken]);
            assert_eq!(fs_err::read(made.dir.path().join("new").join(taken)).unwrap(), b"enrolled");
        }
    }

    #[test]
    fn a_name_taken_meanwhile_is_left_alone() {
        let made = keys();
        let mut file = neighbour(&made.key).unwrap();
        file.write_all(b"ours").unwrap();
        fs_err::write(&made.key, "theirs").unwrap();
        assert!(publish(file, &made.key, 0o600).is_err());
        assert_eq!(fs_err::read(&made.key).unwrap(), b"theirs");
        assert_eq!(made.names(), ["mok.key"]);
    }

    #[test]
    fn the_distribution_may_make_the_pair_itself() {
        let made = keys();
        let new = made.dir.path().join("new");
        let script = format!(
            "[ \"$1$SHIM_NOTRIGGER\" = --new-keyy ] || {{ echo no enrolment >&2; exit 1; }}; mkdir {0}; touch {0}/mok.key {0}/mok.pub",
            new.display()
        );
        let program = made.program("policy", &script);
        let step = |arg| KeyPreparation {
            program: program.clone(),
            args: vec![arg],
            env: vec![("SHIM_NOTRIGGER", "y")],
        };
        let missing = MissingKeys {
            key: made.key.clone(),
            certificate: made.certificate.clone(),
            preparations: vec![step("--new-key"), step("--enroll-key")],
        };
        let warnings = make_keys(&missing, &|program| Command::new(program)).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].ends_with("--enroll-key: exit status 1: no enrolment"), "{}", warnings[0]);
        assert_eq!(made.names(), ["mok.key", "mok.pub"]);
    }

    #[test]
    fn a_module_is_signed_once() {
        let made = keys();
        let module = made.dir.path().join("m.ko");
        fs_err::write(&module, "ELF").unwrap();
        let signer = made.signer(
            r#"[ "$1" = sha256 ] && [ "$2" = pkcs11:a=b ] || exit 1
               printf 'SIG\0\0\2\0\0\0\0\0\0\0\0\3~Module signature appended~\n' >> "$4""#,
        );
        let sign = |signer: &Signer| sign_module(signer, Command::new(&signer.tool), &module);
        sign(&signer).unwrap();
        let once = fs_err::read(&module).unwrap();
        assert!(has_signature(&once));
        sign(&signer).unwrap();
        assert_eq!(fs_err::read(&module).unwrap(), once);
    }

    #[test]
    fn a_failing_tool_is_quoted() {
        let made = keys();
        let module = made.dir.path().join("m.ko");
        fs_err::write(&module, "ELF").unwrap();
        let sign = |signer: &Signer| sign_module(signer, Command::new(&signer.tool), &module);
        let error = sign(&made.signer("echo half >> $4; echo bad key >&2; exit 3")).unwrap_err();
        assert!(error.ends_with("sign-file: exit status 3: bad key"), "{error}");
        assert_eq!(fs_err::read(&module).unwrap(), b"ELF");
        let gone = Signer { tool: made.dir.path().join("gone"), ..made.signer("") };
        assert!(sign(&gone).unwrap_err().contains("gone"));
    }
}
