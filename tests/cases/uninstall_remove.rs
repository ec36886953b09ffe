//! The actions uninstall, unbuild and remove.

use crate::world::{A, K, World, elf, line};
use rstest::rstest;
use std::fs;

fn installed(file: &str) -> String {
    format!("/lib/modules/{K}/updates/dkms/{file}")
}

#[test]
fn uninstalling_leaves_build_and_no_trace_in_kernel() {
    let world = World::new();
    let before = world.names("/lib/modules");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["uninstall", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    assert_eq!(world.names("/lib/modules"), before);
    assert_eq!(world.depmods(K), 2);
    let listed = world.tree();
    world.ok(&["uninstall", "m/1.0"]).says("not installed");
    assert_eq!(world.tree(), listed);
    assert_eq!(world.depmods(K), 2);
}

#[test]
fn only_the_files_that_were_installed_go() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let neighbours = ["m.ko.bak", "m.kofoo", "mm.ko", "other.ko"];
    for name in neighbours {
        world.write(&installed(name), name);
    }
    world.ok(&["uninstall", "m/1.0"]);
    assert_eq!(world.names(&format!("/lib/modules/{K}/updates/dkms")), neighbours);
}

#[test]
fn a_changed_file_is_kept_with_a_message() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.write(&installed("m.ko"), "something else");
    world.ok(&["uninstall", "m/1.0"]).complains("Warning: ").complains("m.ko");
    assert_eq!(world.read(&installed("m.ko.changed")), "something else");
    assert!(!world.has(&installed("m.ko")));
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}

#[test]
fn unbuilding_goes_back_to_added() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["unbuild", "m/1.0"]);
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert!(!world.has(&format!("/var/lib/dkms/m/1.0/{K}")));
    assert!(!world.has(&installed("m.ko")));
    world.ok(&["unbuild", "m/1.0"]).says("not built");
}

#[test]
fn removing_without_kernels_is_for_the_running_one() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0", "-k", K, "-k", "6.2"]);
    world.ok(&["remove", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", "6.2", "installed")]);
    world.ok(&["remove", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", "6.2", "installed")]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
    assert!(world.has("/usr/src/m-1.0/dkms.conf"));
    assert_eq!((world.depmods(K), world.depmods("6.2")), (2, 2));
}

#[rstest]
#[case("uninstall")]
#[case("unbuild")]
#[case("remove")]
fn missing_package_is_3_and_broken_one_4(#[case] action: &str) {
    let world = World::new();
    let before = world.everything();
    world.dkms(&[action, "m/1.0"]).exits(3).complains("Error! ");
    world.dkms(&[action, "m/1.0", "--all"]).exits(3);
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("uninstall", &[])]
#[case("unbuild", &["--all"])]
#[case("remove", &["--all"])]
#[case("remove", &[])]
fn removal_needs_neither_conf_nor_source(#[case] action: &str, #[case] options: &[&str]) {
    for damage in ["source", "conf", "invalid", "headers"] {
        let world = World::new();
        let before = world.names("/lib/modules");
        world.package("m", "1.0");
        world.ok(&["install", "m/1.0"]);
        match damage {
            "source" => fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap(),
            "conf" => fs::remove_file(world.path("/usr/src/m-1.0/dkms.conf")).unwrap(),
            "headers" => fs::remove_dir_all(world.path(format!("/lib/modules/{K}/build"))).unwrap(),
            _ => drop(world.write("/usr/src/m-1.0/dkms.conf", "exit 3")),
        }
        world.ok(&[&[action, "m/1.0"], options].concat());
        let mut after = world.names("/lib/modules");
        if damage == "headers" {
            after = before.clone();
            assert!(!world.has(&installed("m.ko")));
        }
        assert_eq!(after, before, "{damage}");
        if action == "remove" {
            assert!(world.tree().is_empty(), "{damage}: {:#?}", world.tree());
        }
    }
}

#[rstest]
#[case("6.1-build")]
#[case("tarball")]
#[case("my-deb")]
#[case("x86.rpm")]
fn kernels_may_be_named_like_bookkeeping(#[case] release: &str) {
    let world = World::new();
    world.kernel(release).headers();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0", "-k", release]);
    assert_eq!(world.status(), [line("m/1.0", release, "installed")]);
    world.ok(&["remove", "m/1.0", "-k", K]);
    assert_eq!(world.status(), [line("m/1.0", release, "installed")]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
    assert!(!world.has(&format!("/lib/modules/{release}/updates")));
}

#[test]
fn one_version_goes_and_the_other_stays() {
    let world = World::new();
    world.package("m", "1.0");
    world.package("m", "2.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["build", "m/2.0"]);
    world.ok(&["remove", "m/2.0", "--all"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(world.has(&installed("m.ko")));
}

#[test]
fn failed_build_does_not_keep_package_in_tree() {
    let world = World::new();
    world.package("m", "1.0").recipe("exit 1");
    world.dkms(&["build", "m/1.0"]).exits(10);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn what_older_dkms_installed_is_taken_out_too() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let out = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}", *A));
    for record in [".dkms-build.json", ".dkms-install.json"] {
        fs::remove_file(out.join(record)).unwrap();
    }
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn original_without_its_place_stops_no_removal() {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let origin = format!("/var/lib/dkms/m/original_module/{K}/{}/m.ko.origin", *A);
    fs::remove_file(world.path(origin)).unwrap();
    world.ok(&["uninstall", "m/1.0"]);
    assert!(world.has(&format!("/lib/modules/{K}/kernel/drivers/misc/m.ko")), "{:#?}", world.tree());
}

#[test]
fn failing_depmod_is_reported_and_modules_are_gone() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.tool_does("depmod", "exit 1");
    world.ok(&["remove", "m/1.0", "--all"]).complains("Warning: ").complains("depmod");
    assert_eq!(world.tree(), [".dkms-intents.json"], "the kernel is still to be indexed");
    world.tool_does("depmod", "");
    let before = world.depmods(K);
    world.ok(&["autoinstall"]).complains("recovering from an earlier run");
    assert_eq!((world.depmods(K), world.tree()), (before + 1, Vec::new()));
}

#[test]
fn foreign_directories_stay_even_if_empty() {
    let world = World::new();
    world.package("m", "1.0");
    fs::create_dir_all(world.path(format!("/lib/modules/{K}/updates/theirs"))).unwrap();
    let before = world.names("/lib/modules");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(world.names("/lib/modules"), before);
}

#[rstest]
#[case("build")]
#[case("source")]
fn kernel_named_like_directory_of_ours_spoils_nothing(#[case] release: &str) {
    let world = World::new();
    world.kernel(release).headers();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let source = world.names("/usr/src");
    world.dkms(&["install", "m/1.0", "-k", release]);
    world.dkms(&["remove", "m/1.0", "-k", release]);
    assert_eq!(world.names("/usr/src"), source);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
    assert!(!world.has(&format!("/lib/modules/{release}/updates")));
}

#[test]
fn removal_keeps_the_kernels_own_unversioned_module() {
    let world = World::new();
    let own = format!("/lib/modules/{K}/kernel/drivers/misc/m.ko");
    let package = world.package("m", "1.0").module_of("m", "", "");
    world.ok(&["install", "m/1.0"]);
    // The packaged dkms leaves no records, and the kernel's own module in its place.
    for record in [".dkms-build.json", ".dkms-install.json"] {
        std::fs::remove_file(world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/{record}", *A))).unwrap();
    }
    let mut other = package.built("m");
    other.push(0);
    world.write(&own, &other);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")), "{:#?}", world.names("/lib/modules"));
    assert_eq!(std::fs::read(world.path(&own)).unwrap(), other);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

/// A kernel that has the module, at its own place or where ours goes.
fn replaced(origin: &str) -> World {
    let world = World::new();
    world.write("/etc/os-release", if origin.starts_with("extra") { "ID=fedora\n" } else { "ID=debian\n" });
    world.kernel(K).module(origin, "0.9", "OLD");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world
}

#[rstest]
#[case::elsewhere("kernel/drivers/misc/m.ko", "updates/dkms/m.ko", &["remove", "m/1.0", "--all"])]
#[case::uninstalled("kernel/drivers/misc/m.ko", "updates/dkms/m.ko", &["uninstall", "m/1.0"])]
#[case::in_the_place_of_the_original("extra/m.ko", "extra/m.ko", &["remove", "m/1.0", "--all"])]
#[case::kernel_removed("extra/m.ko", "extra/m.ko", &["kernel_prerm", "-k", K])]
fn a_changed_file_is_kept_aside(#[case] origin: &str, #[case] ours: &str, #[case] args: &[&str]) {
    let world = replaced(origin);
    let modules = format!("/lib/modules/{K}");
    let original = elf::versioned("m", "0.9", "OLD");
    let theirs = elf::versioned("m", "7", "THEIRS");
    world.write(&format!("{modules}/{ours}"), &theirs);
    let aside = format!("{modules}/{ours}.changed");
    world.dkms(args).exits(0).complains(&format!(
        "is not the file that was installed; it is kept as {}",
        world.path(&aside).display()
    ));
    assert_eq!(std::fs::read(world.path(&aside)).unwrap(), theirs);
    assert_eq!(std::fs::read(world.path(format!("{modules}/{origin}"))).unwrap(), original);
    assert!(origin == ours || !world.has(&format!("{modules}/{ours}")));
}

#[rstest]
#[case::a_module(elf::versioned("m", "7", "THEIRS"), true)]
#[case::damage(b"torn".to_vec(), false)]
fn changed_file_is_kept_aside(#[case] content: Vec<u8>, #[case] kept: bool) {
    let world = replaced("kernel/drivers/misc/m.ko");
    let ours = format!("/lib/modules/{K}/updates/dkms/m.ko");
    let whole = std::fs::read(world.path(&ours)).unwrap();
    for _ in 0..2 {
        world.write(&ours, &content);
        world.ok(&["install", "m/1.0", "--force"]);
        assert_eq!(std::fs::read(world.path(&ours)).unwrap(), whole);
        let aside = std::fs::read(world.path(format!("{ours}.changed"))).ok();
        assert_eq!(aside, kept.then(|| content.clone()));
        assert!(!world.has(&format!("{ours}.changed.1")), "the same is kept once");
    }
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.has(&format!("/lib/modules/{K}/kernel/drivers/misc/m.ko")));
}

#[test]
fn original_without_mark_returns_by_the_record() {
    let world = replaced("kernel/drivers/net/m.ko");
    let kept = format!("/var/lib/dkms/m/original_module/{K}/{}/m.ko", *A);
    std::fs::remove_file(world.path(format!("{kept}.origin"))).unwrap();
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.has(&format!("/lib/modules/{K}/kernel/drivers/net/m.ko")));
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}
