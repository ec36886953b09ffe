//! Signing: the key, whether a kernel can check the result, and the warnings of an enforcing machine.

use crate::world::{A, K, World, elf, write};
use rstest::rstest;
use std::fs;

const CONF: &str =
    "mok_signing_key=/etc/keys/k.pem\nmok_certificate=/etc/keys/c.der\ntry_sign_modules=true\n";
const HASH: &str = "CONFIG_MODULE_SIG_HASH=\"sha512\"\n";
const MAGIC: &str = "~Module signature appended~\n";

/// A machine whose kernel wants signatures and has the tool for them; one package, whose module is `m`.
fn world(form: Option<&str>) -> World {
    let world = World::without_kernel();
    let kernel = world.kernel(K).headers().config(HASH).sign_file();
    if let Some(form) = form {
        kernel.compressed(form);
    }
    world.signing_keys("/etc/keys/k.pem", "/etc/keys/c.der");
    world.write("/etc/dkms/framework.conf", CONF);
    world.package("m", "1.0");
    world
}

fn module(suffix: &str) -> String {
    format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko{suffix}", *A)
}

#[test]
fn modules_are_signed_with_the_configured_key() {
    let world = world(None);
    let built = world.ok(&["build", "m/1.0"]);
    assert!(!built.stderr.contains("Warning"), "{}", built.stderr);
    let [key, certificate] = ["k.pem", "c.der"].map(|name| world.path(format!("/etc/keys/{name}")));
    let calls = world.calls("sign-file");
    assert!(
        calls[0].starts_with(&format!("sha512 {} {} ", key.display(), certificate.display())),
        "{calls:?}"
    );
    assert_eq!(calls.len(), 1);
    assert!(world.read(&module("")).ends_with(MAGIC));
}

#[rstest]
#[case("gz")]
#[case("xz")]
#[case("zst")]
fn what_is_compressed_is_signed_and_verified(#[case] form: &str) {
    let world = world(Some(form));
    let built = world.ok(&["build", "m/1.0"]);
    assert!(!built.stderr.contains("Warning"), "{}", built.stderr);
    assert!(world.has(&module(&format!(".{form}"))));
    let status = world.ok(&["status", "--format", "json"]).stdout;
    assert!(status.contains("\"signer\": \"cases\""), "{status}");
}

#[rstest]
#[case::no_signature("exit 0", "no signature is appended")]
#[case::garbage(
    "printf 'SIG\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0\\0\\3~Module signature appended~\\n' >> \"$4\"",
    "cannot be read"
)]
#[case::fails("echo half >> \"$4\"; echo no such key >&2; exit 3", "no such key")]
fn unverifiable_result_is_stored_unsigned(#[case] tool: &str, #[case] words: &str) {
    let world = world(None);
    world.kernel(K).sign_tool(tool);
    let built = world.ok(&["build", "m/1.0"]);
    assert!(built.stderr.contains("m.ko could not be signed and stays unsigned"), "{}", built.stderr);
    assert!(built.stderr.contains(words), "{}", built.stderr);
    assert_eq!(fs::read(world.path(module(""))).unwrap(), elf::versioned("m", "1.0", "SRCm1.0"));
}

#[test]
fn a_signature_of_another_certificate_is_noticed() {
    let world = world(None);
    // openssl refuses a key that is not the certificate's; this tool takes another pair altogether.
    let dir = world.scratch("other");
    fs::create_dir_all(&dir).unwrap();
    let other = format!("{0}/k {0}/c", dir.display());
    let request = "openssl req -new -x509 -batch -newkey rsa:2048 -nodes -subj /CN=stranger";
    world.shell(&format!("cd {} && {request} -outform DER -out c -keyout k", dir.display())).exits(0);
    world.kernel(K).sign_file();
    let tool = world.path(format!("/lib/modules/{K}/build/scripts/sign-file"));
    let real = tool.with_file_name("real");
    fs::rename(&tool, &real).unwrap();
    world.kernel(K).sign_tool(&format!("exec {} \"$1\" {other} \"$4\"", real.display()));
    let built = world.ok(&["build", "m/1.0"]);
    assert!(
        built.stderr.contains("signed by \"stranger\", which is not the certificate's \"cases\""),
        "{}",
        built.stderr
    );
    assert!(!world.read(&module("")).ends_with(MAGIC));
}

#[rstest]
#[case::tool_fails("exit 3", "m.ko: ", true)]
#[case::no_signature("exit 0", "no signature is appended", true)]
#[case::no_certificate("exit 0", "exists but", false)]
fn unsigned_module_fails_where_signatures_are_required(
    #[case] tool: &str,
    #[case] words: &str,
    #[case] certificate: bool,
) {
    let world = world(None);
    world.write("/etc/dkms/framework.conf", format!("{CONF}require_signature=yes\n"));
    world.kernel(K).sign_tool(tool);
    if !certificate {
        fs::remove_file(world.path("/etc/keys/c.der")).unwrap();
    }
    let ended = world.dkms(&["install", "m/1.0"]);
    ended.exits(7);
    assert!(ended.stderr.contains("m/1.0 cannot be signed for kernel"), "{}", ended.stderr);
    assert!(ended.stderr.contains(words) && ended.stderr.contains("require_signature"), "{}", ended.stderr);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const MOK_NEW: &str = "/sys/firmware/efi/efivars/MokNew-605dab50-e046-4300-abb6-3dd810dd8b23";
const MOK_LIST: &str = "/sys/firmware/efi/mok-variables/MokListRT";

/// One EFI_SIGNATURE_LIST with one certificate.
fn signature_list(der: &[u8]) -> Vec<u8> {
    let kind =
        [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];
    let number = |n: usize| (n as u32).to_le_bytes().to_vec();
    let entry = 16 + der.len();
    [kind.to_vec(), number(28 + entry), number(0), number(entry), vec![9; 16], der.to_vec()].concat()
}

#[test]
fn secure_boot_names_the_enrolment_command_once() {
    let world = world(None);
    world.package("n", "1.0");
    world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
    let command = format!("mokutil --import {}\n", world.path("/etc/keys/c.der").display());
    for name in ["m", "n"] {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let ended = world.ok(&["autoinstall"]);
    assert_eq!(ended.stderr.matches(&command).count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("Secure Boot is on"), "{}", ended.stderr);
    let made = world.ok(&["generate_mok"]);
    assert_eq!(made.stderr.matches(&command).count(), 1, "{}", made.stderr);
}

#[test]
fn pending_certificate_is_reported_enrolled_one_is_not() {
    let world = world(None);
    world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
    let certificate = fs::read(world.path("/etc/keys/c.der")).unwrap();
    write(&world.path(MOK_NEW), &[vec![7, 0, 0, 0], signature_list(&certificate)].concat());
    let pending = world.ok(&["generate_mok"]).stderr;
    assert!(pending.contains("Confirm it at the next boot") && !pending.contains("mokutil"), "{pending}");
    write(&world.path(MOK_LIST), &signature_list(&certificate));
    let built = world.ok(&["build", "m/1.0"]).stderr;
    assert!(!built.contains("Secure Boot"), "{built}");
}

#[test]
fn secure_boot_announces_unsigned_modules_as_refused() {
    let world = world(None);
    world.write("/etc/dkms/framework.conf", "try_sign_modules=false\n");
    let quiet = world.ok(&["build", "m/1.0"]).stderr;
    assert!(!quiet.contains("refuse"), "{quiet}");
    world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
    let warned = world.ok(&["build", "--force", "m/1.0"]).stderr;
    assert!(
        warned.contains("Secure Boot is on: the kernel will refuse modules that are not signed."),
        "{warned}"
    );
}

#[test]
fn the_pin_of_a_token_reaches_the_tool() {
    let mut world = world(None);
    world.kernel(K).sign_tool("echo \"$KBUILD_SIGN_PIN for $2\" >&2; exit 1");
    world.write(
        "/etc/dkms/framework.conf",
        CONF.replace("/etc/keys/k.pem", "'pkcs11:object=mok;type=private'"),
    );
    world.set("KBUILD_SIGN_PIN", "1234");
    world.ok(&["build", "m/1.0"]).complains("1234 for pkcs11:object=mok;type=private");
}

#[test]
fn required_signature_holds_where_signing_is_switched_off() {
    let world = world(None);
    world.write("/etc/dkms/framework.conf", format!("{CONF}require_signature=yes\ntry_sign_modules=false\n"));
    world.dkms(&["install", "m/1.0"]).exits(7).complains("require_signature");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn missing_openssl_is_named_with_the_consequence() {
    let mut world = World::new();
    world.kernel(K).config("CONFIG_MODULE_SIG_HASH=\"sha256\"\n").sign_file();
    world.set("try_sign_modules", "true");
    world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
    world.package("m", "1.0");
    // Everything that the build needs, and no openssl.
    let bin = world.scratch("bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["bash", "sh", "env", "cp", "find", "true", "rm", "strip"] {
        let real = ["/usr/bin", "/bin"]
            .iter()
            .map(|dir| std::path::Path::new(dir).join(name))
            .find(|path| path.exists());
        std::os::unix::fs::symlink(real.unwrap(), bin.join(name)).unwrap();
    }
    let fakes = world.scratch("../bin").display().to_string();
    world.set("PATH", &format!("{fakes}:{}", bin.display()));
    let ended = world.dkms(&["install", "m/1.0"]);
    ended
        .complains("Modules are not signed: openssl is not installed")
        .complains("will refuse modules that are not signed");
}

/// Kernels accept elliptic curves; dkms does not verify them, and neither calls them verified nor throws them away.
#[test]
fn elliptic_curve_signature_is_kept_unverified() {
    let world = world(None);
    let dir = world.path("/etc/keys").display().to_string();
    let request = "openssl req -new -x509 -batch -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes -subj /CN=curve";
    world.shell(&format!("cd {dir} && {request} -outform DER -out c.der -keyout k.pem 2>/dev/null")).exits(0);
    let built = world.ok(&["build", "m/1.0"]);
    built.complains("m.ko: the signature is not checked").is_silent_about("unsigned");
    assert!(world.ok(&["status", "--format", "json"]).stdout.contains("\"signer\": \"curve\""));
    assert!(world.read(&module("")).ends_with(MAGIC));
    world.ok(&["install", "m/1.0"]);
    world.ok(&["autoinstall"]).is_silent_about("signed");
}
