//! --rpm_safe_upgrade: rpm adds the new package before it removes the old one, which may be of the same version.

use crate::world::{K, World, line};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rstest::rstest;
use std::fs;

const MARK: &str = "/var/lib/dkms/m/1.0/.dkms-rpm-upgrade.json";

fn add(world: &World, id: &str, code: i32) {
    world.dkms(&["add", "--rpm_safe_upgrade", id]).exits(code);
}

#[test]
fn removal_after_adding_the_version_is_skipped_once() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let before = world.everything();
    add(&world, "m/1.0", 3);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    let remove = ["remove", "--rpm_safe_upgrade", "m/1.0", "--all"];
    world.ok(&remove).complains("Warning: ").complains("not removed");
    assert_eq!(world.everything(), before);
    world.ok(&remove).is_silent_about("not removed");
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn another_version_is_removed() {
    let world = World::new();
    for version in ["1.0", "2.0"] {
        world.package("m", version);
    }
    world.ok(&["install", "m/1.0"]);
    add(&world, "m/2.0", 0);
    world.ok(&["remove", "--rpm_safe_upgrade", "m/1.0", "--all"]);
    assert_eq!(world.status(), ["m/2.0: added"]);
    // The new package can be built, installed and packed as ever.
    world.ok(&["install", "--rpm_safe_upgrade", "m/2.0"]);
    assert_eq!(world.status(), [line("m/2.0", K, "installed")]);
}

#[test]
fn a_removal_without_the_option_is_meant() {
    let world = World::new();
    world.package("m", "1.0");
    add(&world, "m/1.0", 0);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn an_addition_that_fails_leaves_nothing() {
    let world = World::new();
    add(&world, "m/1.0", 2);
    world.package("m", "1.0").whole_conf("nonsense\n");
    add(&world, "m/1.0", 8);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[rstest]
#[case::an_hour_later("seconds")]
#[case::after_a_boot("boot")]
#[case::damaged("damaged")]
fn an_old_mark_is_none(#[case] how: &str) {
    let world = World::new();
    world.package("m", "1.0");
    add(&world, "m/1.0", 0);
    let mark: serde_json::Value = serde_json::from_str(&world.read(MARK)).unwrap();
    let mut old = mark.clone();
    match how {
        "seconds" => old["seconds"] = (mark["seconds"].as_u64().unwrap() - 3700).into(),
        "boot" => old["boot"] = "another".into(),
        _ => old = serde_json::Value::Null,
    }
    world.write(MARK, old.to_string());
    world.ok(&["remove", "--rpm_safe_upgrade", "m/1.0", "--all"]).is_silent_about("not removed");
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

/// As rpm does for the time of a transaction.
fn lock_rpm(world: &World, kind: i32) -> fs::File {
    const LOCK: &str = "/var/lib/rpm/.rpm.lock";
    world.write(LOCK, "");
    let file = fs::File::options().write(true).open(world.path(LOCK)).unwrap();
    let l_type = libc::c_short::try_from(kind).unwrap();
    let lock = libc::flock { l_type, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(&file, FcntlArg::F_SETLK(&lock)).unwrap();
    file
}

#[rstest]
#[case::under_way(true)]
#[case::over(false)]
fn the_transaction_of_rpm_decides(#[case] same: bool) {
    let world = World::new();
    world.package("m", "1.0");
    let transaction = lock_rpm(&world, libc::F_WRLCK);
    add(&world, "m/1.0", 0);
    let _later = if same { transaction } else { lock_rpm(&world, libc::F_UNLCK) };
    world.ok(&["remove", "--rpm_safe_upgrade", "m/1.0", "--all"]);
    assert_eq!(!world.tree().is_empty(), same, "{:#?}", world.tree());
}
