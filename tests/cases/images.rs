//! What the packer of an initramfs asks us, and what we leave to another dkms.

use crate::world::{K, World};
use rstest::rstest;

#[rstest]
#[case("INITRAMFS=yes\n", "m\n")]
#[case("INITRAMFS=YES\n", "m\n")]
#[case("INITRAMFS=no\n", "")]
#[case("INITRAMFS=auto\n", "")]
#[case("", "")]
fn modules_go_into_the_image_where_the_administrator_says_so(#[case] conf: &str, #[case] names: &str) {
    let world = World::new();
    world.kernel(K).compressed("xz");
    world.package("m", "1.0");
    world.package("other", "1.0");
    world.write("/etc/dkms/m.conf", conf);
    world.ok(&["install", "m/1.0"]);
    world.ok(&["install", "other/1.0"]);
    let before = world.everything();
    let ended = world.hook("initramfs-modules", &[K]);
    ended.exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (names, ""));
    assert_eq!(world.everything(), before);
}

#[test]
fn what_belongs_into_the_image_and_is_not_installed_is_told() {
    let world = World::new();
    world.package("m", "1.0").conf("INITRAMFS=yes");
    world.ok(&["add", "m/1.0"]);
    let ended = world.hook("initramfs-modules", &[K]);
    ended.exits(0).complains("m/1.0 belongs into the initramfs").complains("dkms install m/1.0 -k");
    assert_eq!(ended.stdout, "");
}

#[rstest]
#[case(&[])]
#[case(&["../x"])]
#[case(&["9.9"])]
fn a_release_that_is_none_makes_no_image_fail(#[case] args: &[&str]) {
    let world = World::new();
    let ended = world.hook("initramfs-modules", args);
    ended.exits(0);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_wrong_word_is_refused() {
    let world = World::new();
    world.package("m", "1.0").conf("INITRAMFS=maybe");
    world.dkms(&["add", "m/1.0"]).exits(8).complains("INITRAMFS");
}

#[test]
fn originals_stand_beside_ours_when_another_dkms_takes_over() {
    let world = World::new();
    let own = format!("/lib/modules/{K}/kernel/m.ko");
    world.kernel(K).module("kernel/m.ko", "0.1", "OLD");
    let bytes = std::fs::read(world.path(&own)).unwrap();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert!(!world.has(&own));
    world.hook("hand-back", &[]).exits(0);
    assert_eq!(std::fs::read(world.path(&own)).unwrap(), bytes);
    // And ours can have it back.
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(std::fs::read(world.path(&own)).unwrap(), bytes);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}
