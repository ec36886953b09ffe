//! D-29 to D-56.

use crate::world::{A, K, World, line};
use std::fs;

fn place(file: &str) -> String {
    format!("/lib/modules/{K}/updates/dkms/{file}")
}

fn installed() -> World {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world
}

#[test]
fn d29_exactly_the_installed_files_go() {
    let world = installed();
    for name in ["m.ko.bak", "m.kofoo"] {
        world.write(&place(name), "theirs");
    }
    world.ok(&["uninstall", "m/1.0"]);
    assert!(!world.has(&place("m.ko")) && world.has(&place("m.ko.bak")) && world.has(&place("m.kofoo")));
    world.ok(&["install", "m/1.0"]);
    world.write(&place("m.ko"), "changed by hand");
    world.ok(&["uninstall", "m/1.0"]).complains("Warning: ");
    assert_eq!(world.read(&place("m.ko.changed")), "changed by hand");
}

#[test]
fn d30_undocumented_variables_change_nothing() {
    let mut world = World::new();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    for name in ["kernel_version_list", "archive_location", "tarball_ext", "module", "dkms_tree", "kernelver"]
    {
        world.set(name, "surprise");
    }
    world.ok(&["mktarball", "m/1.0"]);
    let name = format!("m-1.0-kernel{K}-{}.dkms.tar.gz", *A);
    assert_eq!(world.names("/var/lib/dkms/m/1.0/tarball"), [name]);
}

#[test]
fn d31_transaction_command_runs_once_for_each_kernel() {
    let world = World::new();
    world.kernel("6.2.0").headers();
    let log = world.scratch("ran");
    let line = format!("post_transaction='echo $kernelver >> {}'\n", log.display());
    world.write("/etc/dkms/framework.conf", line);
    world.package("m", "1.0");
    let ran = || fs::read_to_string(&log).unwrap_or_default();
    world.ok(&["add", "m/1.0"]);
    world.ok(&["autoinstall"]);
    assert_eq!(ran(), format!("{K}\n"));
    world.ok(&["install", "m/1.0"]);
    world.ok(&["autoinstall"]);
    assert_eq!(ran(), format!("{K}\n"), "nothing had changed");
    world.ok(&["install", "m/1.0", "-k", "6.2.0"]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(ran().lines().skip(1).collect::<Vec<_>>(), ["6.2.0", K, "6.2.0"]);
    world.ok(&["add", "m/1.0"]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(ran().lines().count(), 4, "an unbuilt package changes no kernel");
}

#[test]
fn d32_genuine_rhel_shows_weak_modules() {
    let world = World::new();
    world.write("/etc/os-release", "ID=rhel\nID_LIKE=fedora\n");
    let log = world.scratch("weak");
    crate::world::script(
        &world.path("/usr/sbin/weak-modules"),
        &format!("echo \"$*\" >> {}; cat >/dev/null", log.display()),
    );
    world.kernel("6.2.0");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0", "-a", &A]);
    assert_eq!(fs::read_to_string(log).unwrap(), "--no-initramfs --add-modules\n");
    let dir = world.path("/lib/modules/6.2.0/weak-updates");
    fs::create_dir_all(&dir).unwrap();
    let module = world.path(format!("/lib/modules/{K}/extra/m.ko"));
    std::os::unix::fs::symlink(module, dir.join("m.ko")).unwrap();
    let weak = format!("m, 1.0, 6.2.0, {}: installed-weak from {K}", *A);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), weak]);
}

#[test]
fn d33_long_runs_of_digits_are_numbers() {
    let world = World::new();
    for version in ["999", "1000", "20240101"] {
        world.package("m", version);
        world.ok(&["add", &format!("m/{version}")]);
    }
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&line("m/20240101", K, "installed")), "{:?}", world.status());
}

#[test]
fn d34_an_unknown_distribution_is_no_error() {
    let world = installed();
    world.write("/etc/os-release", "ID=debian\nID_LIKE=\n");
    world.package("n", "1.0");
    world.ok(&["install", "n/1.0"]);
    assert!(world.has(&place("n.ko")));
    fs::remove_file(world.path("/etc/os-release")).unwrap();
    world.ok(&["--version"]);
    world.ok(&["--help"]);
    world.ok(&["status", "m"]).prints(&[&line("m/1.0", K, "installed")]);
}

#[test]
fn d35_half_a_pair_of_keys_is_never_replaced() {
    for (present, missing) in [("mok.key", "mok.pub"), ("mok.pub", "mok.key")] {
        let world = World::new();
        world.write(&format!("/var/lib/dkms/{present}"), "enrolled");
        let ended = world.dkms(&["generate_mok"]);
        ended.exits(1).complains(present).complains(missing);
        assert_eq!(world.read(&format!("/var/lib/dkms/{present}")), "enrolled");
        assert!(!world.has(&format!("/var/lib/dkms/{missing}")));
    }
    let world = World::new();
    world.ok(&["generate_mok"]);
    let mode = |path: &str| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(world.path(path)).unwrap().permissions())
    };
    assert_eq!(
        (mode("/var/lib/dkms/mok.key") & 0o777, mode("/var/lib/dkms/mok.pub") & 0o777),
        (0o600, 0o644)
    );
}

#[test]
fn d36_module_that_cannot_be_signed_is_reported() {
    let world = World::without_kernel();
    world
        .kernel(K)
        .headers()
        .config("CONFIG_MODULE_SIG_HASH=sha256\n")
        .sign_tool("echo no token >&2; exit 1");
    world.signing_keys("/k", "/c");
    let conf = "mok_signing_key=/k\nmok_certificate=/c\ntry_sign_modules=true\n";
    world.write("/etc/dkms/framework.conf", conf);
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]).complains("stays unsigned").complains("no token");
    world.write("/etc/dkms/framework.conf", format!("{conf}require_signature=yes\n"));
    world.dkms(&["build", "--force", "m/1.0"]).exits(7).complains("no token");
}

#[test]
fn d37_failing_match_is_reported_and_builds_once() {
    let world = World::new();
    world.kernel("6.2.0").headers();
    world.package("a", "1.0").recipe("case \"$*\" in *6.2.0*) exit 1 ;; esac");
    world.package("b", "1.0");
    for id in ["a/1.0", "b/1.0"] {
        world.ok(&["install", id]);
    }
    let before = world.calls("make").len();
    world.dkms(&["match", "-k", "6.2.0", "--templatekernel", K]).exits(10);
    assert_eq!(world.calls("make").len(), before + 2);
    assert!(world.status().contains(&line("b/1.0", "6.2.0", "installed")));
}

#[test]
fn d38_a_file_from_another_system_is_read_whole() {
    let world = World::new();
    let conf = world.package("m", "1.0");
    let text = world.read("/usr/src/m-1.0/dkms.conf").replace('\n', "\r\n");
    conf.whole_conf(&format!("{text}if true; then\r\n  MAKE=\"make crlf\"\r\nfi\r\n"));
    world.ok(&["build", "m/1.0"]).is_silent_about("$'\\r'");
    assert!(world.calls("make")[0].ends_with("crlf"), "{:?}", world.calls("make"));
}

#[test]
fn d39_obsolete_by_compares_release_and_then_the_abi() {
    for (limit, obsolete) in
        [("6.1.0-1", true), ("6.1.0-2", false), ("6.1.0", true), ("6.0.9-9", true), ("6.2.0-0", false)]
    {
        let world = World::new();
        world.package("m", "1.0").conf(&format!("OBSOLETE_BY={limit}"));
        world.dkms(&["install", "m/1.0"]);
        assert_eq!(world.has(&place("m.ko")), !obsolete, "{limit}");
    }
}

#[test]
fn d40_package_without_modules_is_excluded_like_any_other() {
    let world = World::new();
    let conf = "PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nBUILD_EXCLUSIVE_KERNEL=^9\n";
    world.package("m", "1.0").whole_conf(conf);
    world.dkms(&["build", "m/1.0"]).exits(77);
}

#[test]
fn d41_conf_that_excludes_is_named_as_it_is() {
    let world = World::new();
    world.package("m", "1.0").conf("BUILD_EXCLUSIVE_KERNEL=^9");
    let ended = world.dkms(&["build", "m/1.0"]);
    let path = ended.stderr.split_whitespace().find(|word| word.ends_with("dkms.conf")).unwrap();
    assert!(std::path::Path::new(path).is_file(), "{path}");
}

#[test]
fn d42_tarball_without_kernels_holds_all() {
    let world = World::new();
    world.kernel("6.2.0").headers();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["mktarball", "m/1.0"]).exits(6);
    world.dkms(&["mktarball", "m/1.0", "--all"]).exits(6);
    world.ok(&["mktarball", "m/1.0", "--source-only"]).is_silent_about("//");
    world.ok(&["build", "m/1.0", "-k", K, "-k", "6.2.0"]);
    world.ok(&["mktarball", "m/1.0"]).is_silent_about("//");
    let name = format!("m-1.0-kernel{K}-{0}-kernel6.2.0-{0}.dkms.tar.gz", *A);
    assert!(world.has(&format!("/var/lib/dkms/m/1.0/tarball/{name}")));
}

#[test]
fn d43_a_template_kernel_may_have_an_architecture() {
    let world = installed();
    world.kernel("6.2.0").headers();
    world.ok(&["match", "-k", "6.2.0", "--templatekernel", &format!("{K}/{}", *A)]);
    assert!(world.status().contains(&line("m/1.0", "6.2.0", "installed")));
}

#[test]
fn d44_file_that_only_ends_like_conf_is_none() {
    let world = World::new();
    world.package_in(&world.scratch("d"), "m", "1.0");
    fs::copy(world.scratch("d/dkms.conf"), world.scratch("d/x-dkms.conf")).unwrap();
    let ended = world.dkms(&["add", world.scratch("d/x-dkms.conf").to_str().unwrap()]);
    ended.exits(3).complains("does not contain a dkms.conf");
    world.ok(&["add", world.scratch("d/dkms.conf").to_str().unwrap()]);
}

#[test]
fn d45_deleted_module_is_installed_again() {
    for action in [&["autoinstall"][..], &["install", "m/1.0"]] {
        let world = installed();
        let makes = world.calls("make").len();
        fs::remove_file(world.path(place("m.ko"))).unwrap();
        world.ok(action);
        assert!(world.has(&place("m.ko")), "{action:?}");
        assert_eq!(world.calls("make").len(), makes);
    }
}

#[test]
fn d46_half_a_build_is_debris() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let debris = format!("/var/lib/dkms/m/1.0/{K}/{}/log/make.log", *A);
    world.write(&debris, "");
    world.ok(&["build", "m/1.0"]);
    world.ok(&["unbuild", "m/1.0"]);
    world.write(&debris, "");
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:?}", world.tree());
}

#[test]
fn d47_failing_scripts_are_named_with_their_status() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("POST_INSTALL=fails\nPOST_REMOVE=plain")
        .script("fails", "exit 9")
        .file("plain", "#!/bin/sh\n");
    world.ok(&["install", "m/1.0"]).complains("POST_INSTALL").complains("9");
    world.ok(&["uninstall", "m/1.0"]).complains("POST_REMOVE").complains("not executable");
}

#[test]
fn d48_modules_that_were_never_built_are_not_missed() {
    let world = World::new();
    let conf = "BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra\nBUILD_EXCLUSIVE_KERNEL[1]=^9";
    world.package("m", "1.0").conf(conf);
    world.ok(&["install", "m/1.0"]);
    world.ok(&["uninstall", "m/1.0"]).is_silent_about("not found").is_silent_about("n.ko");
}

#[test]
fn d49_conf_option_is_for_its_package_only() {
    let world = World::new();
    world.package("dependent", "1.0").conf("BUILD_DEPENDS=m\nBUILD_DEPENDS_REBUILD=yes\nMAKE='make own'");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["install", "dependent/1.0"]);
    let given = world.scratch("given.conf");
    let text = world.read("/usr/src/m-1.0/dkms.conf").replace("1.0", "2.0");
    fs::write(&given, format!("{text}MAKE='make given'\n")).unwrap();
    world.package("m", "2.0");
    let before = world.calls("make").len();
    world.ok(&["install", "m/2.0", "-c", given.to_str().unwrap()]);
    let calls = world.calls("make").split_off(before);
    let ends = |end: &str| calls.iter().filter(|call| call.ends_with(end)).count();
    assert_eq!((ends("given"), ends("own")), (1, 1), "{calls:?}");
}

#[test]
fn d50_common_postinst_honours_the_configuration() {
    let world = World::new();
    world.package("no", "1.0").conf("AUTOINSTALL=no");
    world.hook("common-postinst", &["no", "1.0"]).exits(0);
    assert_eq!(world.status(), ["no/1.0: added"]);
    world.write("/etc/dkms/framework.conf", "dkms_tree=/elsewhere\n");
    fs::create_dir_all(world.path("/elsewhere")).unwrap();
    world.package("m", "1.0").conf("AUTOINSTALL=no");
    world.write("/etc/dkms/m.conf", "AUTOINSTALL=yes\n");
    world.hook("common-postinst", &["m", "1.0"]).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(world.has("/elsewhere/m"));
    let gone = world.hook("common-postinst", &["gone", "1.0"]);
    assert_ne!(gone.code, Some(0));
}

#[test]
fn d51_element_0_restricts_every_module() {
    let world = World::new();
    let two = "BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra\n";
    world.package("m", "1.0").module("n").conf(&format!("{two}BUILD_EXCLUSIVE_KERNEL[0]=^9"));
    world.dkms(&["build", "m/1.0"]).exits(77);
    world.package("k", "1.0").module("n").conf(&format!("{two}BUILD_EXCLUSIVE_KERNEL[1]=^9"));
    world.ok(&["build", "k/1.0"]);
    let module = format!("/var/lib/dkms/k/1.0/{K}/{}/module", *A);
    assert_eq!(world.names(&module), ["k.ko"]);
}

#[test]
fn d52_a_deprecated_directive_is_reported_once() {
    let world = World::new();
    world.package("m", "1.0").conf("CLEAN=\"make clean\"\nREMAKE_INITRD=yes");
    world.write("/etc/dkms/m.conf", "STRIP=no\n").write("/etc/dkms/m-1.0.conf", "STRIP=no\n");
    let ended = world.ok(&["install", "m/1.0"]);
    for directive in ["CLEAN", "REMAKE_INITRD"] {
        let lines =
            ended.stderr.lines().filter(|line| line.contains("Deprecated") && line.contains(directive));
        assert_eq!(lines.count(), 1, "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("/etc/dkms"), "{}", ended.stderr);
}

#[test]
fn d53_a_log_starts_empty() {
    let world = World::new();
    world.package("m", "1.0").file("make.log", "from the source\n");
    world.ok(&["build", "m/1.0"]);
    let log = world.read(&format!("/var/lib/dkms/m/1.0/{K}/{}/log/make.log", *A));
    assert!(log.starts_with("DKMS (dkms-") && !log.contains("from the source"), "{log}");
}

#[test]
fn d54_reading_needs_no_place_for_temporary_files() {
    let mut world = installed();
    world.write(
        "/usr/src/m-1.0/dkms.conf",
        format!("{}x=$(echo shell)\n", world.read("/usr/src/m-1.0/dkms.conf")),
    );
    world.set("TMPDIR", "/nonexistent");
    world.ok(&["status"]).prints(&[&line("m/1.0", K, "installed")]);
    world.ok(&["build", "--force", "m/1.0"]);
}

#[test]
fn d55_where_modules_went_is_remembered() {
    let mut world = World::new();
    world.set("ADDON_MODULES_DIR", "addon");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let module = format!("/lib/modules/{K}/addon/m.ko");
    assert!(world.has(&module));
    world.set("ADDON_MODULES_DIR", "");
    world.ok(&["uninstall", "m/1.0"]);
    assert!(!world.has(&module));
}

#[test]
fn d56_build_that_failed_is_tried_again_on_request() {
    let world = World::new();
    let package = world.package("m", "1.0").recipe("exit 1");
    world.dkms(&["install", "m/1.0"]).exits(10);
    let package = package.recipe("true");
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["unbuild", "m/1.0"]);
    drop(package.recipe("exit 1"));
    world.dkms(&["build", "m/1.0"]).exits(10);
    let makes = world.calls("make").len();
    world.dkms(&["build", "m/1.0"]).exits(10);
    assert_eq!(world.calls("make").len(), makes + 1, "an explicit request is always carried out");
}
