//! Killed at any moment, and started again.

use crate::world::{A, K, World, line, wait_until};
use rstest::rstest;
use std::time::Duration;

/// Kills a command after more and more milliseconds, until it ends by itself, and has each state repaired.
fn kill_at_every_moment(world: &World, args: &[&str], prepare: impl Fn(), check: impl Fn(u64)) {
    for moment in (0..400).step_by(3) {
        prepare();
        let mut running = world.start(args);
        std::thread::sleep(Duration::from_millis(moment));
        let over = running.is_over();
        running.kill_if_alive();
        // Its make may live a moment longer, as any child of a killed program.
        check(moment);
        if over {
            return;
        }
    }
}

#[rstest]
#[case(&["install", "m/1.0"])]
#[case(&["autoinstall"])]
#[ignore = "slow: make test-slow"]
fn killed_installation_is_completed_by_the_next(#[case] args: &[&str]) {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.package("m", "1.0");
    let before = world.names("/lib/modules");
    let installed = line("m/1.0", K, "installed (Original modules exist)");
    kill_at_every_moment(
        &world,
        args,
        || drop(world.ok(&["add", "m/1.0"])),
        |moment| {
            world.ok(&["status"]);
            let path = format!("/lib/modules/{K}/");
            let (ours, theirs) =
                (format!("{path}updates/dkms/m.ko"), format!("{path}kernel/drivers/misc/m.ko"));
            assert!(world.has(&ours) || world.has(&theirs), "{moment} ms: the kernel has neither module");
            world.ok(args);
            assert_eq!(world.status(), [installed.as_str()], "{moment} ms");
            world.ok(&["remove", "m/1.0", "--all"]);
            assert_eq!(world.names("/lib/modules"), before, "{moment} ms");
            assert!(world.tree().is_empty(), "{moment} ms: {:#?}", world.tree());
        },
    );
}

#[test]
fn killed_removal_is_completed_by_the_next() {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.package("m", "1.0");
    let before = world.names("/lib/modules");
    let args = ["remove", "m/1.0", "--all"];
    kill_at_every_moment(
        &world,
        &args,
        || drop(world.ok(&["install", "m/1.0"])),
        |moment| {
            world.ok(&["status"]);
            let again = world.dkms(&args);
            // 3: nothing was left to remove.
            assert!(matches!(again.code, Some(0 | 3)), "{moment} ms: {again:?}");
            assert_eq!(world.names("/lib/modules"), before, "{moment} ms");
            assert!(world.tree().is_empty(), "{moment} ms: {:#?}", world.tree());
        },
    );
}

#[test]
fn forced_rebuild_that_was_killed_leaves_module_installed() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    kill_at_every_moment(
        &world,
        &["build", "--force", "m/1.0"],
        || (),
        |moment| {
            assert_eq!(world.status(), [line("m/1.0", K, "installed")], "{moment} ms");
            let file = world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"));
            assert_eq!(std::fs::read(file).unwrap(), package.built("m"));
        },
    );
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn everything_half_written_goes_after_a_kill() {
    let world = World::new();
    world.package("m", "1.0");
    world.package("slow", "1.0").recipe("sleep 1000");
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.ok(&["install", "m/1.0"]);
    let running = world.start(&["build", "slow/1.0"]);
    wait_until("it builds", || world.has("/var/lib/dkms/.dkms-intents.json"));
    running.kill();
    let arch = &*A;
    let ours = [
        String::new(),
        "m/".to_owned(),
        "m/1.0/".to_owned(),
        format!("m/1.0/{K}/{arch}/"),
        format!("m/original_module/{K}/{arch}/"),
    ];
    let half_written = |dir: &str| format!("{dir}.dkms-aB3dE6");
    let ours = ours.map(|dir| half_written(&format!("/var/lib/dkms/{dir}")));
    let of_others =
        ["/usr/src/m-1.0/", "/var/lib/dkms/.hidden/", "/var/lib/dkms/m/1.0/build/"].map(half_written);
    for path in ours.iter().chain(&of_others) {
        world.write(path, "");
    }
    world.package("other", "1.0");
    world.ok(&["add", "other/1.0"]);
    let left: Vec<_> = ours.iter().filter(|path| world.has(path)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(of_others.iter().all(|path| world.has(path)));
}
