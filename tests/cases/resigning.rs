//! Signing is an input of what is built: where the key or the settings change, modules are signed, and not compiled.

use crate::world::{A, K, World, elf, line, write};
use rstest::rstest;
use std::fs;
use std::path::PathBuf;

const OFF: &str = "try_sign_modules=false\n";
const FIRST: &str =
    "try_sign_modules=true\nmok_signing_key=/etc/keys/k.pem\nmok_certificate=/etc/keys/c.der\n";
const SECOND: &str =
    "try_sign_modules=true\nmok_signing_key=/etc/keys/k2.pem\nmok_certificate=/etc/keys/c2.der\n";
const UNSIGNED: &str = "its modules are not signed, although signing is on";
const OTHER: &str = "its modules are signed with another certificate than the configured one";
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const MOK_LIST: &str = "/sys/firmware/efi/mok-variables/MokListRT";

/// `m` is installed for a kernel that can have signatures, with what `conf` says of them.
fn installed(conf: &str, form: Option<&str>) -> World {
    let world = prepared(conf, form);
    world.ok(&["install", "m/1.0"]);
    world
}

fn prepared(conf: &str, form: Option<&str>) -> World {
    let world = World::without_kernel();
    let kernel = world.kernel(K).headers().config("CONFIG_MODULE_SIG_HASH=\"sha256\"\n").sign_file();
    if let Some(form) = form {
        kernel.compressed(form);
    }
    world.signing_keys("/etc/keys/k.pem", "/etc/keys/c.der");
    let dir = world.path(format!("/lib/modules/{K}")).display().to_string();
    world.tool_does(
        "depmod",
        &format!("cd {dir} && find updates kernel -name '*.ko*' | sed 's/$/:/' > .new; mv .new modules.dep"),
    );
    second_key(&world, "/etc/keys/k2.pem", "/etc/keys/c2.der");
    settings(&world, conf);
    world.package("m", "1.0");
    world
}

fn settings(world: &World, conf: &str) {
    world.write("/etc/dkms/framework.conf", conf);
}

fn second_key(world: &World, key: &str, certificate: &str) {
    let [key, certificate] = [key, certificate].map(|path| world.path(path).display().to_string());
    let request = "openssl req -new -x509 -batch -newkey rsa:2048 -nodes -subj /CN=second -outform DER";
    world.shell(&format!("{request} -out {certificate} -keyout {key} 2>/dev/null")).exits(0);
}

fn place(world: &World, suffix: &str) -> PathBuf {
    world.path(format!("/lib/modules/{K}/updates/dkms/m.ko{suffix}"))
}

fn makes(world: &World) -> usize {
    world.calls("make").len()
}

/// Who signed the installed module, as the command tells it.
fn signer(world: &World) -> Option<String> {
    let text = world.ok(&["status", "--format", "json"]).stdout;
    let line = text.lines().find(|line| line.contains("\"signer\""))?;
    let value = line.split(':').nth(1)?.trim().trim_matches([',', '"']);
    (value != "null").then(|| value.to_owned())
}

fn run(world: &World, caller: &str) -> crate::world::Ended {
    let ended = match caller {
        "autoinstall" => world.ok(&["autoinstall"]),
        "hook" => world.hook("kernel-postinst", &[K]),
        "boot" => world.hook("boot", &[]),
        _ => world.ok(&["install", "m/1.0"]),
    };
    ended.exits(0);
    ended
}

#[rstest]
#[case::switched_on(OFF, FIRST, UNSIGNED, "cases")]
#[case::another_key(FIRST, SECOND, OTHER, "second")]
fn what_is_signed_otherwise_is_signed_again_only(
    #[case] before: &str,
    #[case] after: &str,
    #[case] why: &str,
    #[case] name: &str,
    #[values((None, "autoinstall"), (Some("xz"), "hook"), (None, "boot"), (Some("xz"), "install"))] how: (
        Option<&str>,
        &str,
    ),
) {
    let (form, caller) = how;
    let world = installed(before, form);
    let suffix = form.map(|form| format!(".{form}")).unwrap_or_default();
    world.ok(&["check"]).says("complete");
    settings(&world, after);
    let remedy = format!("dkms install m/1.0 -k {K}/{}", *A);
    world.dkms(&["check"]).exits(1).says(why).says(&remedy);
    let (made, indexed) = (makes(&world), world.depmods(K));
    run(&world, caller).complains(why);
    assert_eq!((makes(&world), world.depmods(K)), (made, indexed + 1));
    assert_eq!(signer(&world).as_deref(), Some(name));
    let built = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko{suffix}", *A));
    assert_eq!(fs::read(place(&world, &suffix)).unwrap(), fs::read(built).unwrap());
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["check"]).says("complete");
    let signed = world.calls("sign-file").len();
    for caller in ["autoinstall", "hook", "boot", "install"] {
        run(&world, caller).is_silent_about("signed");
    }
    assert_eq!((world.calls("sign-file").len(), world.depmods(K)), (signed, indexed + 1));
    assert!(world.names(&format!("/var/lib/dkms/m/1.0/{K}")).iter().all(|name| !name.starts_with(".tmp")));
}

#[test]
fn what_is_only_built_is_signed_at_installation() {
    let world = prepared(OFF, None);
    world.ok(&["build", "m/1.0"]);
    settings(&world, FIRST);
    let made = makes(&world);
    world.ok(&["install", "m/1.0"]);
    assert_eq!((signer(&world).as_deref(), makes(&world)), (Some("cases"), made));
}

#[test]
fn where_headers_are_incomplete_tool_of_settings_signs() {
    let world = installed(OFF, None);
    let headers = world.path(format!("/lib/modules/{K}/build"));
    let tool = world.path("/usr/local/sbin/sign");
    fs::create_dir_all(tool.parent().unwrap()).unwrap();
    fs::rename(headers.join("scripts/sign-file"), &tool).unwrap();
    fs::rename(headers.join("include/config/auto.conf"), headers.join(".config")).unwrap();
    fs::remove_dir_all(headers.join("include")).unwrap();
    settings(&world, &format!("{FIRST}sign_file=/usr/local/sbin/sign\n"));
    run(&world, "autoinstall").complains(UNSIGNED);
    assert_eq!(signer(&world).as_deref(), Some("cases"));
}

/// Signed by hand in the tree, by the package's own script, or in the kernel's directory: dkms has no part in it.
#[rstest]
#[case::in_the_tree("tree")]
#[case::by_its_script("script")]
#[case::where_it_is_installed("kernel")]
fn a_signature_that_another_made_stays(#[case] by: &str) {
    let world = prepared(if by == "script" { FIRST } else { OFF }, None);
    let [key, certificate] =
        ["/etc/keys/k2.pem", "/etc/keys/c2.der"].map(|path| world.path(path).display().to_string());
    let tool = world.path(format!("/lib/modules/{K}/build/scripts/sign-file"));
    let sign = |file: &str| format!("{} sha256 {key} {certificate} {file}", tool.display());
    if by == "script" {
        let out = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A));
        let strip = format!("cp {}/usr/src/m-1.0/m.ko.in {}", world.root().display(), out.display());
        world
            .package("m", "1.0")
            .conf("POST_BUILD=post.sh")
            .script("post.sh", &format!("{strip} && {}", sign(&out.display().to_string())));
    }
    world.ok(&["install", "m/1.0"]);
    match by {
        "tree" => {
            let built = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A));
            world.shell(&sign(&built.display().to_string())).exits(0);
        }
        "kernel" => {
            world.shell(&sign(&place(&world, "").display().to_string())).exits(0);
        }
        _ => {}
    }
    let before = fs::read(place(&world, "")).unwrap();
    settings(&world, if by == "script" { OFF } else { FIRST });
    run(&world, "autoinstall");
    settings(&world, FIRST);
    for caller in ["autoinstall", "hook", "boot", "install"] {
        run(&world, caller);
        match by {
            // The installation brings what the tree has, once.
            "tree" => assert_eq!(signer(&world).as_deref(), Some("second"), "{caller}"),
            _ => assert_eq!(fs::read(place(&world, "")).unwrap(), before, "{caller}"),
        }
    }
    let indexed = world.depmods(K);
    run(&world, "autoinstall");
    assert_eq!(world.depmods(K), indexed);
    world.ok(&["check"]).says("complete");
}

#[test]
fn what_cannot_be_signed_waits_for_another_tool() {
    let world = installed(OFF, None);
    let before = fs::read(place(&world, "")).unwrap();
    settings(&world, FIRST);
    world.kernel(K).sign_tool("echo broken >&2; exit 1");
    run(&world, "autoinstall").complains("could not be signed and stays as it is").complains("broken");
    assert_eq!(fs::read(place(&world, "")).unwrap(), before);
    run(&world, "autoinstall").is_silent_about("broken");
    world.kernel(K).sign_file();
    run(&world, "autoinstall").complains(UNSIGNED);
    assert_eq!(signer(&world).as_deref(), Some("cases"));
}

#[test]
fn unsigned_build_is_signed_by_another_tool() {
    let world = prepared(FIRST, None);
    world.kernel(K).sign_tool("exit 1");
    world.ok(&["install", "m/1.0"]).complains("stays unsigned");
    run(&world, "autoinstall").is_silent_about("signed");
    world.kernel(K).sign_file();
    run(&world, "autoinstall").complains(UNSIGNED);
    assert_eq!(signer(&world).as_deref(), Some("cases"));
}

#[test]
fn failure_to_replace_a_signature_leaves_old_one() {
    let world = installed(FIRST, None);
    settings(&world, SECOND);
    world.kernel(K).sign_tool("exit 1");
    run(&world, "autoinstall").complains("could not be signed and stays as it is");
    assert_eq!(signer(&world).as_deref(), Some("cases"));
}

#[test]
fn token_that_was_not_there_is_tried_again() {
    let world = installed(OFF, None);
    settings(&world, &FIRST.replace("/etc/keys/k.pem", "'pkcs11:object=mok'"));
    let key = world.path("/etc/keys/k.pem").display().to_string();
    let token = world.scratch("token");
    let real = world.path(format!("/lib/modules/{K}/build/scripts/sign-file"));
    let moved = world.scratch("real");
    fs::rename(&real, &moved).unwrap();
    let tool = format!("[ -e {} ] && exec {} $1 {key} $3 $4", token.display(), moved.display());
    world.kernel(K).sign_tool(&tool);
    run(&world, "autoinstall").complains("could not be signed");
    fs::write(token, "").unwrap();
    run(&world, "autoinstall").complains(UNSIGNED);
    assert_eq!(signer(&world).as_deref(), Some("cases"));
}

#[test]
fn required_signature_that_cannot_be_made_fails() {
    let world = installed(OFF, None);
    let before = fs::read(place(&world, "")).unwrap();
    settings(&world, &format!("{FIRST}require_signature=yes\n"));
    world.kernel(K).sign_tool("exit 1");
    world.dkms(&["autoinstall"]).exits(11).complains("require_signature");
    assert_eq!(fs::read(place(&world, "")).unwrap(), before, "what is there stays");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

/// The machine may trust the key that is lost, and it cannot trust one that is only now made.
#[test]
fn lost_key_is_not_replaced_by_new_one() {
    let world = installed(FIRST, None);
    let before = fs::read(place(&world, "")).unwrap();
    for file in ["k.pem", "c.der"] {
        fs::remove_file(world.path(format!("/etc/keys/{file}"))).unwrap();
    }
    run(&world, "autoinstall");
    assert_eq!(fs::read(place(&world, "")).unwrap(), before);
    assert!(!world.has("/etc/keys/k.pem"), "no key is made for nothing");
}

#[test]
fn key_is_made_when_openssl_comes_later() {
    let world = installed(OFF, None);
    settings(&world, "try_sign_modules=true\n");
    run(&world, "autoinstall").complains(UNSIGNED);
    assert_eq!(signer(&world).as_deref(), Some("DKMS module signing key"));
    assert!(world.has("/var/lib/dkms/mok.pub"));
}

/// One EFI_SIGNATURE_LIST with one certificate.
fn signature_list(der: &[u8]) -> Vec<u8> {
    let kind =
        [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];
    let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes().to_vec();
    let entry = 16 + der.len();
    [kind.to_vec(), number(28 + entry), number(0), number(entry), vec![9; 16], der.to_vec()].concat()
}

#[test]
fn with_secure_boot_trusted_signatures_stay_until_enrolment() {
    let world = installed(FIRST, None);
    let [first, second] =
        ["c.der", "c2.der"].map(|name| fs::read(world.path(format!("/etc/keys/{name}"))).unwrap());
    world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
    write(&world.path(MOK_LIST), &signature_list(&first));
    settings(&world, SECOND);
    run(&world, "autoinstall");
    assert_eq!(signer(&world).as_deref(), Some("cases"), "the kernel would refuse the other");
    write(&world.path(MOK_LIST), &[signature_list(&first), signature_list(&second)].concat());
    run(&world, "boot").complains(OTHER);
    assert_eq!(signer(&world).as_deref(), Some("second"));
}

#[test]
fn same_certificate_in_another_form_is_the_same() {
    let world = installed(FIRST, None);
    let [der, pem] =
        ["c.der", "c.pem"].map(|name| world.path(format!("/etc/keys/{name}")).display().to_string());
    world.shell(&format!("openssl x509 -inform DER -in {der} -out {pem}")).exits(0);
    settings(&world, &FIRST.replace("c.der", "c.pem"));
    run(&world, "autoinstall").is_silent_about("signed");
    assert_eq!(world.calls("sign-file").len(), 1);
}

#[test]
fn package_without_autoinstall_is_signed_by_hand() {
    let world = prepared(OFF, None);
    let conf = world.read("/usr/src/m-1.0/dkms.conf").replace("AUTOINSTALL=yes", "");
    world.write("/usr/src/m-1.0/dkms.conf", conf);
    world.ok(&["install", "m/1.0"]);
    settings(&world, FIRST);
    run(&world, "autoinstall");
    assert_eq!(signer(&world), None);
    run(&world, "install").complains(UNSIGNED);
    assert_eq!(signer(&world).as_deref(), Some("cases"));
}

#[test]
fn module_from_a_tarball_keeps_its_signature() {
    let world = installed(OFF, None);
    world.ok(&["mktarball", "m/1.0", "--archive", &world.scratch("m.tar.gz").display().to_string()]);
    world.ok(&["remove", "m/1.0", "--all"]);
    settings(&world, FIRST);
    world.ok(&["ldtarball", &world.scratch("m.tar.gz").display().to_string()]);
    world.ok(&["install", "m/1.0"]);
    run(&world, "autoinstall");
    assert_eq!(fs::read(place(&world, "")).unwrap(), elf::versioned("m", "1.0", "SRCm1.0"));
}

/// As debian-installer and image builders do: the machine starts outside of the chroot with what was built in it.
#[rstest]
#[case::nothing_refuses_it(false)]
#[case::secure_boot(true)]
fn what_was_built_in_a_chroot_is_signed(#[case] enforced: bool) {
    let world = prepared(&FIRST.replace("try_sign_modules=true\n", ""), None);
    world.write("/proc/1/mountinfo", "of the machine");
    world.write("/proc/self/mountinfo", "of the chroot");
    world.ok(&["install", "m/1.0"]);
    fs::remove_dir_all(world.path("/proc")).unwrap();
    assert_eq!(signer(&world), None);
    if enforced {
        world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
    }
    let ended = run(&world, "boot");
    assert_eq!(signer(&world).as_deref(), enforced.then_some("cases"));
    if !enforced {
        ended.is_silent_about("signed");
        world.ok(&["check"]).says("complete");
    }
}

/// Two modules, and links into the tree in the place of copies: the tool refuses one of the two.
#[test]
fn each_module_of_package_is_signed_for_itself() {
    let world = prepared(&format!("{OFF}symlink_modules=yes\n"), Some("zst"));
    let conf = "BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/kernel/drivers/misc";
    world.package("m", "1.0").conf(conf).module("n");
    world.ok(&["install", "m/1.0"]);
    let real = world.path(format!("/lib/modules/{K}/build/scripts/sign-file"));
    let moved = world.scratch("real");
    fs::rename(&real, &moved).unwrap();
    world.kernel(K).sign_tool(&format!("case $4 in *n.ko) exit 1;; esac; exec {} \"$@\"", moved.display()));
    settings(&world, &format!("{FIRST}symlink_modules=yes\n"));
    run(&world, "autoinstall").complains("n.ko.zst: ").complains("could not be signed and stays as it is");
    assert_eq!(signer(&world).as_deref(), Some("cases"));
    let n = world.path(format!("/lib/modules/{K}/updates/dkms/n.ko.zst"));
    assert!(n.is_symlink() && n.is_file() && place(&world, ".zst").is_symlink());
    let (indexed, made) = (world.depmods(K), makes(&world));
    for caller in ["autoinstall", "hook", "boot", "install"] {
        run(&world, caller).is_silent_about("signed");
    }
    assert_eq!((world.depmods(K), makes(&world)), (indexed, made));
    world.kernel(K).sign_tool(&format!("exec {} \"$@\"", moved.display()));
    run(&world, "autoinstall").complains(UNSIGNED);
    let text = world.ok(&["status", "--format", "json"]).stdout;
    assert_eq!(text.matches("\"signer\": \"cases\"").count(), 2, "{text}");
    world.ok(&["uninstall", "m/1.0"]);
    assert!(!n.is_symlink());
}
