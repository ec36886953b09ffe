//! The action build.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

fn out(file: &str) -> String {
    format!("/var/lib/dkms/m/1.0/{K}/{}/{file}", *A)
}

#[test]
fn build_leaves_only_its_result_and_log() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    let listed: Vec<String> = world.tree().into_iter().filter(|name| !name.contains("/.dkms-")).collect();
    let a = &*A;
    assert_eq!(
        listed,
        [
            "m/".to_owned(),
            "m/1.0/".into(),
            format!("m/1.0/{K}/"),
            format!("m/1.0/{K}/{a}/"),
            format!("m/1.0/{K}/{a}/log/"),
            format!("m/1.0/{K}/{a}/log/make.log"),
            format!("m/1.0/{K}/{a}/module/"),
            format!("m/1.0/{K}/{a}/module/m.ko"),
            "m/1.0/source -> /usr/src/m-1.0".into(),
        ]
    );
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}

#[test]
fn build_directory_exists_only_while_it_is_used() {
    let world = World::new();
    world.package("m", "1.0").recipe("pwd > \"$DKMS_SCRATCH/where\"; ls ../ > \"$DKMS_SCRATCH/beside\"");
    world.ok(&["build", "m/1.0"]);
    let where_ = std::fs::read_to_string(world.scratch("where")).unwrap();
    assert_eq!(where_.trim_end(), world.path("/var/lib/dkms/m/1.0/build").to_str().unwrap());
    let beside = std::fs::read_to_string(world.scratch("beside")).unwrap();
    assert_eq!(beside, format!("{K}\nbuild\nsource\n"));
    assert!(!world.has("/var/lib/dkms/m/1.0/build"));
}

#[test]
fn second_build_is_skipped_with_a_hint() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    let before = world.everything();
    let text = format!(
        "Module m/1.0 already built for kernel {K} ({}), skip. You may override by specifying --force.",
        *A
    );
    world.ok(&["build", "m/1.0"]).prints(&[&text]);
    assert_eq!(world.calls("make").len(), 1);
    assert_eq!(world.everything(), before);
    world.ok(&["build", "--force", "m/1.0"]);
    assert_eq!(world.calls("make").len(), 2);
}

#[test]
fn failing_make_exits_with_10_and_its_log() {
    let world = World::new();
    world.package("m", "1.0").recipe("echo 'm.c:1:2: error: no such thing' >&2; exit 2");
    let log = world.path("/var/lib/dkms/m/1.0/build/make.log");
    world
        .dkms(&["build", "m/1.0"])
        .exits(10)
        .complains(&format!("\nError! Bad return status for module build on kernel: {K} ({})\n", *A))
        .complains(&format!("Consult {} for more information.\n", log.display()))
        .complains("m.c:1:2: error: no such thing");
    let text = world.read("/var/lib/dkms/m/1.0/build/make.log");
    assert!(text.contains("error: no such thing") && text.contains("# exit code: 2\n"), "{text}");
    assert!(world.has("/var/lib/dkms/m/1.0/build/dkms.conf"));
    assert!(!world.has(&format!("/var/lib/dkms/m/1.0/{K}")));
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn build_after_failed_one_starts_from_clean_copy() {
    let world = World::new();
    let package = world.package("m", "1.0").recipe("touch debris; exit 2");
    world.dkms(&["build", "m/1.0"]).exits(10);
    package.recipe("test ! -e debris || exit 3");
    world.ok(&["build", "m/1.0"]);
    assert!(!world.has("/var/lib/dkms/m/1.0/build"));
}

#[test]
fn log_of_build_has_its_well_known_form() {
    let world = World::new();
    world.package("m", "1.0").recipe("echo compiling").file("make.log", "shipped by accident\n");
    world.ok(&["build", "m/1.0", "-j", "3"]);
    let log = world.read(&out("log/make.log"));
    let lines: Vec<&str> = log.lines().collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(lines[0], format!("DKMS (dkms-{version}) make.log for m/1.0 for kernel {K} ({})", *A));
    assert_ne!(lines[1], "");
    assert_eq!(&lines[2..4], ["", "Building module(s)"]);
    assert!(lines[4].starts_with("# command: make -j3 KERNELRELEASE="), "{log}");
    assert_eq!(&lines[5..8], ["compiling", "", "# exit code: 0"]);
    assert!(lines[8].starts_with("# elapsed time: 00:00:0"), "{log}");
    assert_eq!(lines[9], "-".repeat(64));
    assert_eq!(lines.len(), 10, "{log}");
}

#[rstest]
#[case("", "-j3 KERNELRELEASE=@K -C @L/build M=@BUILD")]
#[case("MAKE='make all'", "-j3 KERNELRELEASE=@K all")]
#[case("MAKE=\"'make' all\"", "all")]
#[case(
    "MAKE='make -C $kernel_source_dir M=$dkms_tree/$module/$module_version/build'",
    "-j3 KERNELRELEASE=@K -C @L/build M=@BUILD"
)]
#[case("MAKE[0]='make zero'\nMAKE[1]='make one'\nMAKE_MATCH[1]='^6\\.'", "-j3 KERNELRELEASE=@K one")]
#[case("MAKE[0]='make zero'\nMAKE[1]='make one'\nMAKE_MATCH[1]='^5\\.'", "-j3 KERNELRELEASE=@K zero")]
#[case("MAKE[0]='make zero'\nMAKE_MATCH[0]='^5'", "-j3 KERNELRELEASE=@K -C @L/build M=@BUILD")]
#[case("MAKE[0]='make zero'\nMAKE[7]='make seven'\nMAKE_MATCH[7]='^6'", "-j3 KERNELRELEASE=@K seven")]
#[case("MAKE[0]='make zero'\nMAKE[1]='make one'\nMAKE_MATCH[1]='('", "-j3 KERNELRELEASE=@K zero")]
#[case("MAKE='cd . && make deep'", "deep")]
fn make_is_called_as_the_conf_says(#[case] conf: &str, #[case] expected: &str) {
    let world = World::new();
    world.package("m", "1.0").conf(conf);
    world.ok(&["build", "m/1.0", "-j", "3"]);
    let expected = expected
        .replace("@K", K)
        .replace("@L", &world.path(format!("/lib/modules/{K}")).display().to_string())
        .replace("@BUILD", &world.path("/var/lib/dkms/m/1.0/build").display().to_string());
    assert_eq!(world.calls("make"), [expected]);
}

#[test]
fn command_beginning_like_make_is_left_alone() {
    let world = World::new();
    world.program("makeit", "echo \"makeit $*\" >> @LOG@/make; cp m.ko.in m.ko");
    world.package("m", "1.0").conf("MAKE='makeit all'");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(world.calls("make"), ["makeit all"]);
}

#[rstest]
#[case(&["-j", "0"], "-j ")]
#[case(&["-j", "7"], "-j7 ")]
#[case(&[], "-j5 ")]
fn jobs_come_from_command_line_or_environment(#[case] options: &[&str], #[case] expected: &str) {
    let mut world = World::new();
    world.set("parallel_jobs", "5");
    world.package("m", "1.0");
    world.ok(&[&["build", "m/1.0"], options].concat());
    assert!(world.calls("make")[0].starts_with(expected), "{:?}", world.calls("make"));
}

#[test]
fn what_outer_make_leaks_does_not_reach_build() {
    let mut world = World::new();
    for name in ["CC", "CFLAGS", "LDFLAGS", "MAKEFLAGS", "ARCH", "KBUILD_OUTPUT", "sub_make_done"] {
        world.set(name, "leaked");
    }
    world.set("MAKELEVEL", "1").set("KBUILD_SIGN_PIN", "secret");
    world.package("m", "1.0").recipe("env > \"$DKMS_SCRATCH/env\"");
    world.ok(&["build", "m/1.0"]);
    let env = std::fs::read_to_string(world.scratch("env")).unwrap();
    assert!(!env.contains("leaked"), "{env}");
    for expected in ["module=m", "module_version=1.0", &format!("kernelver={K}"), &format!("arch={}", *A)] {
        assert!(env.lines().any(|line| line == expected), "{expected} in {env}");
    }
    assert!(!env.contains("secret"), "the password of the signing key is not for builds: {env}");
}

#[test]
fn patches_are_applied_in_order_where_they_match() {
    let world = World::new();
    let patch = |from: &str, to: &str| format!("--- a/who\n+++ b/who\n@@ -1 +1 @@\n-{from}\n+{to}\n");
    world
        .package("m", "1.0")
        .file("who", "one\n")
        .file("patches/1.patch", patch("one", "two"))
        .file("patches/2.patch", patch("two", "three"))
        .file("patches/no.patch", patch("three", "four"))
        .conf(
            "PATCH[0]=1.patch\nPATCH[1]=no.patch\nPATCH_MATCH[1]='^5'\nPATCH[5]=2.patch\nPATCH_MATCH[5]='^6'",
        )
        .recipe("cp who \"$DKMS_SCRATCH\"");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(std::fs::read_to_string(world.scratch("who")).unwrap(), "three\n");
    assert_eq!(world.read("/usr/src/m-1.0/who"), "one\n");
}

#[test]
fn the_administrators_patches_lie_over_the_packages() {
    let world = World::new();
    let patch = |to: &str| format!("--- a/who\n+++ b/who\n@@ -1 +1 @@\n-one\n+{to}\n");
    world
        .package("m", "1.0")
        .file("who", "one\n")
        .file("patches/1.patch", patch("package"))
        .conf("PATCH[0]=1.patch")
        .recipe("cp who \"$DKMS_SCRATCH\"");
    world.write("/etc/dkms/m/patches/1.patch", patch("administrator"));
    world.ok(&["build", "m/1.0"]);
    assert_eq!(std::fs::read_to_string(world.scratch("who")).unwrap(), "administrator\n");
}

#[rstest]
#[case("PATCH[0]=missing.patch", 5)]
#[case("PATCH[0]=../out.patch", 5)]
#[case("PATCH[0]=bad.patch", 6)]
#[case("PRE_BUILD=fail.sh", 42)]
#[case("POST_BUILD=fail.sh", 42)]
#[case("BUILT_MODULE_NAME[0]=other", 7)]
#[case("BUILT_MODULE_LOCATION[0]=sub", 7)]
#[case("MAKE='false'", 10)]
#[case("MAKE='kill -9 $$'", 10)]
fn failed_build_leaves_its_directory_only(#[case] conf: &str, #[case] code: i32) {
    let world = World::new();
    world
        .package("m", "1.0")
        .file("patches/bad.patch", "--- a/who\n+++ b/who\n@@ -1 +1 @@\n-x\n+y\n")
        .file("who", "one\n")
        .script("fail.sh", "echo said by the script; exit 42")
        .conf(conf);
    world.dkms(&["build", "m/1.0"]).exits(code).complains("Error! ");
    assert!(world.has("/var/lib/dkms/m/1.0/build/make.log"));
    assert!(!world.has(&format!("/var/lib/dkms/m/1.0/{K}")), "{:#?}", world.tree());
    assert_eq!(world.status(), ["m/1.0: added"]);
    if conf.contains("fail.sh") {
        assert!(world.read("/var/lib/dkms/m/1.0/build/make.log").contains("said by the script"));
    }
}

#[test]
fn forced_build_that_fails_keeps_the_old_result() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let log = world.read(&out("log/make.log"));
    for conf in ["MAKE=false", "MAKE=\nPOST_BUILD=fail.sh"] {
        world.package("m", "1.0").conf(conf).script("fail.sh", "exit 9");
        let ended = world.dkms(&["build", "--force", "m/1.0"]);
        assert_ne!(ended.code, Some(0));
        assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
        assert_eq!(world.read(&out("log/make.log")), log);
        assert_eq!(std::fs::read(world.path(out("module/m.ko"))).unwrap(), package.built("m"));
    }
    world.package("m", "1.0");
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

#[test]
fn scripts_get_their_words_like_a_shell() {
    let world = World::new();
    let note =
        "pwd >> \"$DKMS_SCRATCH/notes\"; echo \"$0|$1|$2|$kernelver|$module\" >> \"$DKMS_SCRATCH/notes\"";
    world
        .package("m", "1.0")
        .conf("PRE_BUILD='pre.sh '\\''a b'\\'' $kernelver'\nPOST_BUILD=post.sh")
        .script("pre.sh", note)
        .script("post.sh", "test -d \"../$kernelver/$arch/module\" || exit 1");
    world.ok(&["build", "m/1.0"]);
    let build = world.path("/var/lib/dkms/m/1.0/build").display().to_string();
    let notes = std::fs::read_to_string(world.scratch("notes")).unwrap();
    assert_eq!(notes, format!("{build}\n{build}/pre.sh|a b|{K}|{K}|m\n"));
}

#[test]
fn the_administrators_script_replaces_the_packages() {
    let world = World::new();
    world.package("m", "1.0").conf("PRE_BUILD=pre.sh").script("pre.sh", "exit 1");
    crate::world::script(&world.path("/etc/dkms/m/pre.sh"), "pwd > \"$DKMS_SCRATCH/where\"");
    world.ok(&["build", "m/1.0"]);
    let where_ = std::fs::read_to_string(world.scratch("where")).unwrap();
    assert_eq!(where_.trim_end(), world.path("/etc/dkms/m").to_str().unwrap());
}

#[test]
fn a_script_that_cannot_run_is_a_warning() {
    let world = World::new();
    world.package("m", "1.0").conf("PRE_BUILD=missing.sh\nPOST_BUILD=plain.txt").file("plain.txt", "");
    world.ok(&["build", "m/1.0"]).complains("missing.sh").complains("plain.txt");
}

#[test]
fn headers_are_asked_for_before_anything_is_made() {
    let world = World::new();
    world.kernel("6.2");
    world.package("m", "1.0");
    world.dkms(&["build", "m/1.0", "-k", "6.2"]).exits(21).complains("Error! ").complains("6.2");
    world.dkms(&["build", "m/1.0", "-k", "6.3"]).exits(21);
    world.dkms(&["install", "m/1.0", "-k", "6.3"]).exits(21);
    assert_eq!(world.status(), ["m/1.0: added"]);
    let dir = world.scratch("headers");
    std::fs::create_dir_all(dir.join("include")).unwrap();
    world.ok(&["build", "m/1.0", "-k", "6.2", "--kernelsourcedir", dir.to_str().unwrap()]);
    assert!(world.calls("make")[0].contains(&format!("-C {} ", dir.display())));
}

#[test]
fn source_with_nothing_but_a_conf_is_refused() {
    let world = World::new();
    world.package("m", "1.0").without("Makefile").without("m.ko.in");
    world.dkms(&["build", "m/1.0"]).exits(8);
}

#[rstest]
#[case("BUILD_EXCLUSIVE_KERNEL='^5\\.'")]
#[case("BUILD_EXCLUSIVE_ARCH='^vax$'")]
#[case("BUILD_EXCLUSIVE_KERNEL_MIN=6.1.0-2")]
#[case("BUILD_EXCLUSIVE_KERNEL_MAX=6.1")]
#[case("BUILD_EXCLUSIVE_CONFIG='CONFIG_A !CONFIG_B'")]
#[case("BUILD_EXCLUSIVE_CONFIG=CONFIG_STRING")]
#[case("OBSOLETE_BY=6.0")]
fn excluded_package_exits_with_77_and_a_warning(#[case] conf: &str) {
    let world = World::new();
    world.kernel(K).config("CONFIG_A=y\nCONFIG_B=m\nCONFIG_STRING=\"y\"\n");
    world.package("m", "1.0").conf(conf);
    for options in [&["build"][..], &["build", "--force"], &["install"]] {
        let ended = world.dkms(&[options, &["m/1.0"]].concat());
        ended.exits(77).complains("Warning: ").is_silent_about("Error! ");
    }
    assert!(world.calls("make").is_empty());
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn excluded_module_leaves_its_siblings() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra\nBUILD_EXCLUSIVE_KERNEL[1]='^5'");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(!world.has(&out("module/n.ko")));
    world.ok(&["uninstall", "m/1.0"]).is_silent_about("n.ko");
}

#[test]
fn exclusion_is_checked_before_headers() {
    let world = World::new();
    world.package("m", "1.0").conf("BUILD_EXCLUSIVE_KERNEL='^5'");
    world.dkms(&["build", "m/1.0", "-k", "6.9"]).exits(77);
}

#[test]
fn dependencies_must_be_installed_not_only_built() {
    let world = World::new();
    world.package("a", "1.0");
    world.package("b", "1.0");
    world.package("m", "1.0").conf("BUILD_DEPENDS=\"a b\"");
    world.dkms(&["build", "m/1.0"]).exits(13).complains("a b");
    world.ok(&["install", "a/1.0"]);
    world.ok(&["build", "b/1.0"]);
    let ended = world.dkms(&["build", "m/1.0"]);
    ended.exits(13).complains("BUILD_DEPENDS: b.");
    world.ok(&["build", "--force", "m/1.0"]).complains("Warning: ");
    world.ok(&["unbuild", "m/1.0"]);
    world.ok(&["install", "b/1.0"]);
    world.ok(&["build", "m/1.0"]);
}

#[test]
fn all_kernels_are_tried_first_failure_counts() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("m", "1.0").recipe("case $kernelver in 6.1*) exit 1;; esac");
    world
        .dkms(&["build", "m/1.0", "-k", "6.9", "-k", K, "-k", "6.2"])
        .exits(21)
        .complains("Bad return status");
    assert_eq!(world.status(), [line("m/1.0", "6.2", "built")]);
}

#[test]
fn modules_are_stored_stripped_with_their_symbols() {
    let world = World::new();
    world
        .package("m", "1.0")
        .module("sub/n")
        .conf("DEST_MODULE_NAME[0]=mm\nBUILT_MODULE_NAME[1]=n\nBUILT_MODULE_LOCATION[1]=sub\nDEST_MODULE_LOCATION[1]=/updates\nSTRIP[1]=no")
        .recipe("echo 0x0 sym > Module.symvers");
    world.ok(&["build", "m/1.0"]);
    for file in ["module/mm.ko", "module/n.ko", "module/Module.symvers"] {
        assert!(world.has(&out(file)), "{file}");
    }
    assert_eq!(world.calls("strip").len(), 1);
    assert!(world.calls("strip")[0].starts_with("-g ") && world.calls("strip")[0].ends_with("/m.ko"));
}

#[rstest]
#[case::options_of_xz("-9", "")]
#[case::options_that_no_xz_knows("--nonsense", "m.ko: default compression is used")]
fn configured_compressor_is_run(#[case] options: &str, #[case] warning: &str) {
    let world = World::new();
    world.kernel(K).headers().compressed("xz");
    world.write("/etc/dkms/framework.conf", format!("compress_xz_opts=\"{options}\"\n"));
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]).complains(warning);
    let dir = format!("/var/lib/dkms/m/1.0/{K}/{}/module", *A);
    assert_eq!(world.names(&dir), ["m.ko.xz"]);
}

#[rstest]
#[case("gz")]
#[case("xz")]
#[case("zst")]
fn modules_are_compressed_as_the_kernels_own(#[case] form: &str) {
    let world = World::without_kernel();
    world.kernel(K).headers().compressed(form);
    world.kernel("6.2").headers();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0", "-k", K, "-k", "6.2"]);
    let file = world.path(format!("/lib/modules/{K}/updates/dkms/m.ko.{form}"));
    let packed = std::fs::read(file).unwrap();
    assert_eq!(unpacked(&packed, form), package.built("m"));
    // What one kernel has does not reach the next.
    assert!(world.has("/lib/modules/6.2/updates/dkms/m.ko"));
    world.ok(&["uninstall", "m/1.0", "--all"]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

fn unpacked(packed: &[u8], form: &str) -> Vec<u8> {
    use std::io::Read;
    let mut content = Vec::new();
    match form {
        "gz" => flate2::read::GzDecoder::new(packed).read_to_end(&mut content).unwrap(),
        "xz" => liblzma::read::XzDecoder::new(packed).read_to_end(&mut content).unwrap(),
        _ => zstd::Decoder::new(packed).unwrap().read_to_end(&mut content).unwrap(),
    };
    content
}

#[test]
fn a_package_without_modules_builds_and_installs() {
    let world = World::new();
    world.package("m", "1.0").whole_conf("PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nAUTOINSTALL=yes\n");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn debris_in_place_of_build_is_no_obstacle() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.write(&out("log/make.log"), "interrupted");
    world.write(&format!("/var/lib/dkms/m/1.0/{K}/.tmp_{}_abc/build/x", *A), "");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    world.ok(&["remove", "m/1.0"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn debris_does_not_keep_a_package_in_tree() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.write("/var/lib/dkms/m/1.0/6.2/x/log/make.log", "interrupted");
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[rstest]
#[case::wide("CONFIG_X86_64=y\n", "x86_64")]
#[case::narrow("CONFIG_X86_32=y\n", "i686")]
fn setarch_does_not_change_what_the_kernel_is(#[case] config: &str, #[case] arch: &str) {
    let mut world = World::without_kernel();
    world.kernel(K).headers().config(config);
    world.package("m", "1.0");
    world.set("DKMS_UNAME_M", "i686");
    world.ok(&["build", "m/1.0"]);
    assert!(world.has(&format!("/var/lib/dkms/m/1.0/{K}/{arch}/module/m.ko")));
}

#[test]
fn script_without_x_bit_is_named_with_chmod() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let ran = world.path("/ran");
    world.package("m", "1.0").conf("PRE_BUILD=pre.sh");
    world.write("/usr/src/m-1.0/pre.sh", format!("#!/bin/sh\ntouch {}\n", ran.display()));
    let script = world.path("/usr/src/m-1.0/pre.sh");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let built = world.ok(&["build", "m/1.0"]);
    assert!(!ran.exists());
    let command = built.stderr.lines().find_map(|line| line.split_once("To have it run: ")).unwrap().1;
    world.shell(command).exits(0);
    world.ok(&["build", "--force", "m/1.0"]);
    assert!(ran.exists());
    world.write("/etc/dkms/m.conf", "PRE_BUILD=nothing.sh\n");
    assert!(world.ok(&["build", "--force", "m/1.0"]).stderr.contains("The file does not exist"));
}

/// Side by side with others, a package's own number of jobs is left to the jobserver; alone it is the author's.
#[rstest]
#[case::several("'make' -j4 all", "# command: 'make' all\n")]
#[case::as_many_as_processors("'make' -j$(nproc) all", "# command: 'make' all\n")]
#[case::one("'make' -j1 all", "# command: 'make' -j1 all\n")]
fn own_number_of_jobs_is_shared_with_other_builds(#[case] line: &str, #[case] expected: &str) {
    let world = World::new();
    for name in ["a", "b"] {
        world.package(name, "1.0").conf(&format!("MAKE[0]=\"{line}\"")).recipe("echo flags=$MAKEFLAGS");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall", "-j", "2"]);
    let log = world.read(&format!("/var/lib/dkms/a/1.0/{K}/{}/log/make.log", *A));
    assert!(log.contains(expected) && log.contains("--jobserver"), "{log}");
    let status = world.ok(&["status", "--format", "json"]).stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert!(status["packages"][0]["builds"][0]["cpu_ms"].is_u64(), "{status}");
    world.ok(&["build", "a/1.0", "--force"]);
    let log = world.read(&format!("/var/lib/dkms/a/1.0/{K}/{}/log/make.log", *A));
    assert!(log.contains("# command: 'make' -j"), "{log}");
}
