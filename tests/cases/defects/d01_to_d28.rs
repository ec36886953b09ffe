//! D-1 to D-28.

use crate::world::{A, K, World, line};
use std::fs;

const OTHER: &str = "6.2.0-1-amd64";

fn two_kernels() -> World {
    let world = World::new();
    world.kernel(OTHER).headers();
    world
}

fn out(package: &str, release: &str) -> String {
    format!("/var/lib/dkms/{package}/{release}/{}", *A)
}

#[test]
fn d01_an_unknown_action_is_a_failure() {
    let world = World::new();
    world.dkms(&["mkkmp", "m/1.0"]).exits(2);
    world.dkms(&["mkdeb", "m/1.0"]).exits(3);
    world.dkms(&["frobnicate"]).exits(2).says("Usage:");
    world.dkms(&[]).exits(2).says("Usage:");
}

#[test]
fn d02_removing_a_kernels_modules_indexes_it_once_afterwards() {
    let world = World::new();
    for name in ["a", "b"] {
        world.package(name, "1.0");
        world.ok(&["install", &format!("{name}/1.0")]);
    }
    let before = world.depmods(K);
    world.ok(&["kernel_prerm", "-k", K]);
    assert_eq!(world.depmods(K), before + 1);
}

#[test]
fn d03_a_failing_depmod_takes_the_installation_back() {
    let world = World::new();
    world.package("m", "1.0");
    world.tool_does("depmod", "exit 1");
    world.dkms(&["install", "m/1.0"]).exits(6);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

#[test]
fn d04_builds_for_two_kernels_do_not_meet() {
    let world = two_kernels();
    world.package("m", "1.0").recipe("echo $$ > mine; sleep 0.2; test \"$(cat mine)\" = $$");
    world.ok(&["add", "m/1.0"]);
    let runs = [K, OTHER].map(|release| world.start(&["build", "m/1.0", "-k", release]));
    for run in runs {
        run.wait().exits(0);
    }
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("m/1.0", OTHER, "built")]);
}

#[test]
fn d05_status_runs_no_conf_and_prints_whole_lines() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let conf = world.path("/usr/src/m-1.0/dkms.conf");
    let ran = world.scratch("ran");
    fs::write(&conf, format!("touch {}\necho noise >&2\n", ran.display())).unwrap();
    let ended = world.ok(&["status"]);
    assert_eq!((ended.stdout, ended.stderr), (line("m/1.0", K, "installed") + "\n", String::new()));
    fs::remove_file(conf).unwrap();
    world.ok(&["status"]).prints(&[&line("m/1.0", K, "installed")]);
    assert!(!ran.exists());
}

#[test]
fn d06_each_kernel_has_its_own_compression() {
    let world = two_kernels();
    world.kernel(OTHER).compressed("xz");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0", "-k", OTHER, "-k", K]);
    let places =
        [(OTHER, "m.ko.xz"), (K, "m.ko")].map(|(k, file)| format!("/lib/modules/{k}/updates/dkms/{file}"));
    assert!(places.iter().all(|place| world.has(place)), "{:#?}", world.names("/lib/modules"));
    world.ok(&["uninstall", "m/1.0", "--all"]).is_silent_about("not found");
    assert!(!places.iter().any(|place| world.has(place)));
}

#[test]
fn d07_empty_directories_of_others_stay() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let theirs = format!("/lib/modules/{K}/build/include/generated");
    fs::create_dir_all(world.path(&theirs)).unwrap();
    world.ok(&["kernel_prerm", "-k", K]);
    assert!(world.has(&theirs));
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

#[test]
fn d08_every_original_of_a_name_comes_back() {
    let world = World::new();
    let places = ["extra/m.ko", "updates/m.ko", "kernel/drivers/misc/m.ko"];
    for (number, place) in places.iter().enumerate() {
        world.kernel(K).module(place, "0.1", &format!("S{number}"));
    }
    let path = |place: &str| world.path(format!("/lib/modules/{K}/{place}"));
    let before = places.map(|place| fs::read(path(place)).unwrap());
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let stored = world.names(&format!("/var/lib/dkms/m/original_module/{K}/{}", *A));
    assert!(stored.contains(&"m.ko".to_owned()) && stored.contains(&"m.ko.origin".to_owned()), "{stored:?}");
    assert_eq!(
        stored.iter().filter(|name| name.starts_with("collisions/") && name.ends_with("m.ko")).count(),
        2
    );
    assert!(places.iter().all(|place| !path(place).exists()));
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(places.map(|place| fs::read(path(place)).unwrap()), before);
}

#[test]
fn d09_any_failing_kernel_is_the_status() {
    let world = two_kernels();
    world.package("m", "1.0");
    let ended = world.dkms(&["build", "m/1.0", "-k", "9.9", "-k", K, "-k", OTHER]);
    ended.exits(21);
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("m/1.0", OTHER, "built")]);
}

#[test]
fn d10_a_directory_is_built_for_several_kernels() {
    let world = two_kernels();
    let dir = world.scratch("src");
    world.package_in(&dir, "m", "1.0");
    world.ok(&["build", dir.to_str().unwrap(), "-k", K, "-k", OTHER]);
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("m/1.0", OTHER, "built")]);
}

#[test]
fn d11_package_that_is_added_already_keeps_its_source() {
    let world = World::new();
    world.package("m", "1.0").file("x", "old");
    world.ok(&["add", "m/1.0"]);
    let dir = world.scratch("src");
    world.package_in(&dir, "m", "1.0").file("x", "new");
    world.dkms(&["add", dir.to_str().unwrap()]).exits(3);
    assert_eq!(world.read("/usr/src/m-1.0/x"), "old");
}

#[test]
fn d12_forcing_the_source_itself_does_not_delete_it() {
    let world = World::new();
    world.package("m", "1.0").file("x", "kept");
    world.ok(&["add", "--force", world.path("/usr/src/m-1.0").to_str().unwrap()]);
    assert_eq!(world.read("/usr/src/m-1.0/x"), "kept");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn d13_a_dangling_source_link_is_replaced() {
    let world = World::new();
    world.package("m", "1.0");
    fs::create_dir_all(world.path("/var/lib/dkms/m/1.0")).unwrap();
    std::os::unix::fs::symlink("/gone", world.path("/var/lib/dkms/m/1.0/source")).unwrap();
    world.ok(&["add", "m/1.0"]);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn d14_a_conf_of_another_identity_is_warned_about() {
    let world = World::new();
    world.package("m", "1.0").conf("PACKAGE_VERSION=9");
    world
        .ok(&["add", "m/1.0"])
        .complains("Warning: ")
        .complains("PACKAGE_VERSION says 9, you asked for 1.0; using 1.0");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn d15_forced_build_that_fails_leaves_the_installed_one() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    package.recipe("exit 1");
    world.dkms(&["build", "--force", "m/1.0"]).exits(10);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:?}", world.tree());
}

#[test]
fn d16_failing_post_build_fails_with_its_log() {
    let world = World::new();
    world.package("m", "1.0").conf("POST_BUILD=s").script("s", "echo told; exit 5");
    world.dkms(&["build", "m/1.0"]).exits(5);
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert!(world.read("/var/lib/dkms/m/1.0/build/make.log").contains("told"));
}

#[test]
fn d17_dependencies_are_split_at_blanks_by_build_too() {
    let world = World::new();
    for name in ["a", "b"] {
        world.package(name, "1.0");
        world.ok(&["install", &format!("{name}/1.0")]);
    }
    world.package("m", "1.0").conf("BUILD_DEPENDS=\"a b\"");
    world.ok(&["build", "m/1.0"]);
}

#[test]
fn d18_the_installed_version_of_a_dependency_counts() {
    let world = World::new();
    world.package("d", "1.0");
    world.ok(&["install", "d/1.0"]);
    let dependent = world.package("m", "1.0").conf("BUILD_DEPENDS=d\nBUILD_DEPENDS_REBUILD=yes");
    world.ok(&["build", "m/1.0"]);
    world.package("d", "2.0");
    world.ok(&["add", "d/2.0"]);
    world.package("x", "1.0");
    let makes = world.calls("make").len();
    world.ok(&["install", "x/1.0"]);
    assert_eq!(
        world.calls("make").len(),
        makes + 1,
        "a version that is only added is no reason to build again"
    );
    assert_eq!(world.read(&format!("{}/.dep_d", out("m/1.0", K))).trim(), "1.0");
    dependent.recipe("exit 1");
    world.ok(&["install", "d/2.0"]).complains("m/1.0");
    assert!(world.status().contains(&line("m/1.0", K, "built")), "{:?}", world.status());
}

#[test]
fn d19_one_invalid_conf_concerns_its_package_only() {
    let world = World::new();
    world.package("bad", "1.0");
    world.package("good", "1.0");
    for name in ["bad", "good"] {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.write("/usr/src/bad-1.0/dkms.conf", "PACKAGE_NAME=bad\n");
    world.dkms(&["autoinstall"]).exits(11).says("failed for module(s) bad(8)");
    assert!(world.status().contains(&line("good/1.0", K, "installed")));
    world.package("third", "1.0");
    world.ok(&["install", "third/1.0"]);
}

#[test]
fn d20_where_nothing_matches_make_is_the_usual_one() {
    let world = World::new();
    world.package("first", "1.0").conf("MAKE='make from-first'");
    world.package("second", "1.0").conf("MAKE='make never'\nMAKE_MATCH=^9");
    for name in ["first", "second"] {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall"]);
    let calls = world.calls("make");
    let usual = |call: &&String| call.contains(" -C ") && call.contains("M=");
    assert_eq!(calls.iter().filter(|call| call.contains("from-first")).count(), 1, "{calls:?}");
    assert_eq!(calls.iter().filter(usual).count(), 1, "{calls:?}");
}

#[test]
fn d21_command_beginning_like_make_is_kept() {
    let world = World::new();
    world.program("makeit", "echo \"$*\" >> @LOG@/makeit; cp m.ko.in m.ko");
    world.package("m", "1.0").conf("MAKE=\"makeit all\"");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(world.calls("makeit"), ["all"]);
}

#[test]
fn d22_elements_behind_a_gap_count() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("MAKE[5]=\"make five\"\nMAKE_MATCH[5]=^6\nPATCH[7]=seven.patch")
        .file("patches/seven.patch", "--- /dev/null\n+++ b/patched\n@@ -0,0 +1 @@\n+yes\n")
        .recipe("test -f patched");
    world.ok(&["build", "m/1.0"]);
    assert!(world.calls("make")[0].ends_with("five"));
}

#[test]
fn d23_value_read_twice_is_never_a_wildcard() {
    let world = World::new();
    let conf = "x='a b'\nMAKE='make M=$kernelver  /etc/* '\nPOST_ADD=\"s X=\\\"a b\\\"\"\n";
    world.package("m", "1.0").conf(conf);
    let ended = world.ok(&["add", "m/1.0"]);
    assert_eq!(ended.stderr.matches("the value of POST_ADD is lost").count(), 1, "{}", ended.stderr);
    world.ok(&["build", "m/1.0"]);
    assert!(world.calls("make")[0].contains(&format!("M={K}")));
    world.ok(&["conf", "m/1.0"]).says("/etc/*").is_silent_about("os-release");
}

#[test]
fn d24_a_tree_by_another_name_is_recognised() {
    let world = World::new();
    world.package("m", "1.0");
    let link = world.scratch("link");
    std::os::unix::fs::symlink(world.path("/var/lib/dkms"), &link).unwrap();
    let tree = format!("{}/", link.display());
    world.ok(&["install", "m/1.0", "--dkmstree", &tree]);
    world.ok(&["status", "--dkmstree", &tree]).prints(&[&line("m/1.0", K, "installed")]);
    world.ok(&["status", "--dkmstree", "./link"]).prints(&[&line("m/1.0", K, "installed")]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn d25_a_kernel_may_have_any_name() {
    let world = World::new();
    world.package("m", "1.0");
    for release in ["6.1-mybuild", "next-tarball"] {
        world.kernel(release).headers();
        world.ok(&["build", "m/1.0", "-k", release]);
    }
    world.ok(&["build", "m/1.0"]);
    world.ok(&["remove", "m/1.0", "-k", K]);
    assert_eq!(
        world.status(),
        [line("m/1.0", "6.1-mybuild", "built"), line("m/1.0", "next-tarball", "built")]
    );
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:?}", world.tree());
}

/// m/1.0, built differently for two kernels, as a tarball; then gone from the tree.
fn packed(options: &[&str]) -> (World, String) {
    let world = two_kernels();
    world.package("m", "1.0").recipe("case \"$*\" in *6.2*) echo second >> m.ko.in ;; esac");
    world.ok(&["build", "m/1.0", "-k", K, "-k", OTHER]);
    let tar = world.scratch("m.tar").to_str().unwrap().to_owned();
    world.ok(&[&["mktarball", "m/1.0", "--archive", &tar], options].concat());
    (world, tar)
}

#[test]
fn d26_every_kernel_of_a_tarball_is_loaded() {
    let (world, tar) = packed(&[]);
    let built = |release| fs::read(world.path(format!("{}/module/m.ko", out("m/1.0", release)))).unwrap();
    let before = [built(K), built(OTHER)];
    assert_ne!(before[0], before[1]);
    world.ok(&["remove", "m/1.0", "--all"]);
    world.ok(&["ldtarball", &tar]);
    assert_eq!([built(K), built(OTHER)], before);
    world.ok(&["ldtarball", "--force", &tar]);
    assert_eq!([built(K), built(OTHER)], before);
}

#[test]
fn d27_loaded_tarball_is_a_success() {
    let (world, tar) = packed(&["--binaries-only"]);
    world.ok(&["ldtarball", "--force", &tar]);
    world.ok(&["remove", "m/1.0", "--all"]);
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    world.ok(&["ldtarball", &tar]);
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("m/1.0", OTHER, "built")]);
}

#[test]
fn d28_removal_needs_neither_conf_nor_source() {
    let world = World::new();
    for (name, conf) in [("a", Some("PACKAGE_NAME=")), ("b", None)] {
        let id = format!("{name}/1.0");
        world.package(name, "1.0");
        world.ok(&["install", &id]);
        match conf {
            Some(text) => drop(world.write(&format!("/usr/src/{name}-1.0/dkms.conf"), text)),
            None => fs::remove_dir_all(world.path(format!("/usr/src/{name}-1.0"))).unwrap(),
        }
        world.ok(&["uninstall", &id]);
        assert!(!world.has(&format!("/lib/modules/{K}/updates/dkms/{name}.ko")));
        world.ok(&["remove", &id, "--all"]);
    }
    assert!(world.tree().is_empty(), "{:?}", world.tree());
}
