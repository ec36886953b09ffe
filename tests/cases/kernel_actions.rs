//! The actions kernel_preinst, kernel_postinst and kernel_prerm.

use crate::world::{K, World, line};
use rstest::rstest;
use std::fs;

#[test]
fn kernel_postinst_is_autoinstall_for_the_given_kernel() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["kernel_postinst", "-k", "6.2"]).says("Autoinstall on 6.2 succeeded for module(s) m.");
    assert_eq!(world.status(), [line("m/1.0", "6.2", "installed")]);
    world.package("bad", "1.0").recipe("exit 1");
    world.ok(&["add", "bad/1.0"]);
    world.dkms(&["kernel_postinst", "-k", "6.2"]).exits(11);
    world.dkms(&["kernel_postinst", "-k", "6.3"]).exits(21);
}

#[rstest]
#[case("kernel_preinst")]
#[case("kernel_prerm")]
fn removal_with_nothing_built_changes_nothing(#[case] action: &str) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    fs::create_dir_all(world.path("/lib/modules/6.9/empty")).unwrap();
    let before = world.everything();
    for release in [K, "6.9", "6.10"] {
        let ended = world.ok(&[action, "-k", release]);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn kernel_prerm_removes_every_build_and_indexes_once() {
    let world = World::new();
    world.package("a", "1.0").conf("AUTOINSTALL=");
    world.package("b", "1.0");
    world.package("c", "1.0");
    world.ok(&["install", "a/1.0"]);
    world.ok(&["install", "b/1.0"]);
    world.ok(&["build", "c/1.0"]);
    fs::remove_file(world.path("/usr/src/b-1.0/dkms.conf")).unwrap();
    world.ok(&["kernel_prerm", "-k", K]).complains("a/1.0").complains("b/1.0").complains("c/1.0");
    assert_eq!(world.status(), ["a/1.0: added", "b/1.0: added", "c/1.0: added"]);
    assert_eq!(world.depmods(K), 3);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

#[test]
fn kernel_preinst_leaves_unreadable_and_manual_packages() {
    let world = World::new();
    world.package("auto", "1.0");
    world.package("bad", "1.0");
    world.package("hand", "1.0").conf("AUTOINSTALL=no");
    for name in ["auto", "bad", "hand"] {
        world.ok(&["install", &format!("{name}/1.0")]);
    }
    world.package("bad", "1.0").whole_conf("nonsense");
    world.ok(&["kernel_preinst", "-k", K]).complains("bad/1.0");
    assert_eq!(
        world.status(),
        ["auto/1.0: added".into(), line("bad/1.0", K, "installed"), line("hand/1.0", K, "installed")]
    );
}

#[test]
fn package_that_cannot_be_removed_is_14() {
    let world = World::new();
    for name in ["a", "m", "z"] {
        world.package(name, "1.0");
        world.ok(&["install", &format!("{name}/1.0")]);
    }
    block_removal(&world);
    world.dkms(&["kernel_prerm", "-k", K]).exits(14).complains("m/1.0(");
    let status = world.status();
    assert!(status.contains(&"a/1.0: added".to_owned()), "{status:#?}");
    assert!(status.contains(&"z/1.0: added".to_owned()), "{status:#?}");
}

/// The original of `m` has to go back to a place whose directory is a file now.
fn block_removal(world: &World) {
    let stored = format!("/var/lib/dkms/m/original_module/{K}/{}/m.ko", *crate::world::A);
    world.write(&stored, "original");
    world.write(&format!("/lib/modules/{K}/blocked"), "a file");
    let origin = world.path(format!("/lib/modules/{K}/blocked/m.ko"));
    world.write(&format!("{stored}.origin"), format!("{}\n", origin.display()));
}

#[test]
fn scripts_at_kernel_removal_know_the_package() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("POST_REMOVE=note.sh")
        .script("note.sh", "echo \"$module $module_version [$kernelver]\" > \"$DKMS_SCRATCH/notes\"");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["kernel_prerm", "-k", K]);
    assert_eq!(fs::read_to_string(world.scratch("notes")).unwrap(), "m 1.0 []\n");
}
