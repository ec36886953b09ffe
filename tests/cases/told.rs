//! How people learn of what happened while they were not watching: the message of the day, and the system's log.

use crate::world::{K, World};
use rstest::rstest;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const MOTD: &str = "/run/motd.d/dkms";

/// A package that does not build, and a machine with /run.
fn failing() -> World {
    let world = World::new();
    fs::create_dir_all(world.path("/run")).unwrap();
    for name in ["m", "n"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.write("/usr/src/m-1.0/recipe", "echo 'm.c:1: error: no' >&2; exit 2");
    world
}

#[rstest]
#[case::kernel(&["kernel-postinst", K])]
#[case::headers(&["header-postinst", K])]
#[case::boot(&["boot"])]
fn failure_of_a_hook_is_shown_at_login(#[case] hook: &[&str]) {
    let world = failing();
    world.hook(hook[0], &hook[1..]);
    let text = world.read(MOTD);
    assert_eq!(text, format!("dkms: drivers are missing for kernel {K}: m/1.0 (see: dkms check -k {K})\n"));
}

#[rstest]
#[case::installed_by_hand(&["install", "m/1.0"])]
#[case::autoinstall(&["autoinstall"])]
#[case::removed(&["remove", "m/1.0", "--all"])]
fn notice_goes_when_its_cause_is_gone(#[case] line: &[&str]) {
    let world = failing();
    world.hook("kernel-postinst", &[K]);
    world.dkms(&["install", "m/1.0"]).exits(10);
    assert!(world.has(MOTD), "it is still missing");
    world.write("/usr/src/m-1.0/recipe", "true");
    world.ok(line);
    assert!(!world.has(MOTD), "{}", world.read(MOTD));
}

#[test]
fn notice_goes_at_the_next_hook_that_succeeds() {
    let world = failing();
    world.hook("kernel-postinst", &[K]);
    world.write("/usr/src/m-1.0/recipe", "true");
    world.hook("header-postinst", &[K]).exits(0);
    assert!(!world.has(MOTD));
}

#[test]
fn machine_without_run_has_no_notice() {
    let world = failing();
    fs::remove_dir_all(world.path("/run")).unwrap();
    world.hook("kernel-postinst", &[K]);
    assert!(!world.has("/run"));
}

#[rstest]
#[case::success(&["install", "n/1.0"], "install n/1.0 by alice (sudo): exit status 0 after ")]
#[case::failure(&["install", "m/1.0"], "install m/1.0 by alice (sudo): exit status 10 after ")]
#[case::removal(&["remove", "n/1.0", "--all"], "remove n/1.0 by alice (sudo): exit status 0 after ")]
fn action_by_hand_is_logged(#[case] line: &[&str], #[case] expected: &str) {
    let mut world = failing();
    world.set("SUDO_USER", "alice");
    fs::create_dir_all(world.path("/dev")).unwrap();
    let socket = UnixDatagram::bind(world.path("/dev/log")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    world.dkms(line);
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(said.contains(expected), "{said}");
}

#[test]
fn looking_is_not_logged() {
    let world = failing();
    fs::create_dir_all(world.path("/dev")).unwrap();
    let socket = UnixDatagram::bind(world.path("/dev/log")).unwrap();
    socket.set_nonblocking(true).unwrap();
    for line in [&["status"][..], &["check"], &["install", "n/1.0", "--dry-run"], &["why", "n"]] {
        world.dkms(line);
    }
    assert!(socket.recv(&mut [0; 16]).is_err());
}
