//! The program of pacman's hooks, with paths on standard input as pacman gives them.

use crate::world::{Ended, K, World, line};

const OTHER: &str = "6.1.0-2-arch";

fn arch() -> World {
    let world = World::new();
    world.write("/etc/os-release", "ID=arch\n");
    world.kernel(OTHER).headers();
    world
}

fn alpm(world: &World, action: &str, paths: &[&str]) -> Ended {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/arch/dkms-alpm");
    let lines: String = paths.iter().map(|path| format!("{path}\\n")).collect();
    world.shell(&format!("printf '{lines}' | bash {script} {action}"))
}

fn installed(world: &World, package: &str, kernels: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = kernels.iter().map(|kernel| line(package, kernel, "installed")).collect();
    lines.sort();
    assert_eq!(world.status(), lines);
    lines
}

#[test]
fn new_source_is_installed_for_every_kernel() {
    let world = arch();
    world.package("hello", "1.0");
    world.write("/lib/modules/5.10.0-1-arch/modules.dep", "");
    alpm(&world, "install", &["usr/src/hello-1.0/dkms.conf"]).exits(0);
    installed(&world, "hello/1.0", &[K, OTHER]);
    assert_eq!((world.depmods(K), world.depmods(OTHER)), (1, 1));
    alpm(&world, "install", &["usr/src/hello-1.0/dkms.conf"]).exits(0).is_silent_about("Error!");
    assert_eq!((world.depmods(K), world.depmods(OTHER)), (1, 1));
}

#[test]
fn kernel_that_comes_gets_what_is_there_once() {
    let world = arch();
    world.package("hello", "1.0");
    world.ok(&["add", "hello/1.0"]);
    let paths = [
        "usr/lib/modules/6.1.0-2-arch/build/include/",
        "usr/lib/modules/6.1.0-2-arch/modules.order",
        "usr/lib/modules/9.9.9-1-arch/modules.order",
    ];
    alpm(&world, "install", &paths).exits(0);
    installed(&world, "hello/1.0", &[OTHER]);
    assert_eq!((world.calls("make").len(), world.depmods(OTHER)), (1, 1));
}

#[test]
fn removed_source_takes_its_modules_along() {
    let world = arch();
    // Where the name ends and the version begins is known from the tree, not from the directory's name.
    world.package("hello-a", "1-0");
    world.package("other", "1.0");
    world.ok(&["install", "hello-a/1-0", "-k", K, "-k", OTHER]);
    world.ok(&["install", "other/1.0"]);
    alpm(&world, "remove", &["usr/src/hello-a-1-0/dkms.conf"]).exits(0);
    installed(&world, "other/1.0", &[K]);
    assert!(!world.has(&format!("/lib/modules/{OTHER}/updates/dkms/hello-a.ko")));
    alpm(&world, "remove", &["usr/src/hello-a-1-0/dkms.conf", "usr/src/unknown-1/dkms.conf"]).exits(0);
}

#[test]
fn removed_kernel_takes_its_modules_not_the_packages() {
    let world = arch();
    world.package("hello", "1.0");
    world.ok(&["install", "hello/1.0", "-k", K, "-k", OTHER]);
    let before = world.depmods(OTHER);
    alpm(&world, "remove", &["usr/lib/modules/6.1.0-2-arch/modules.order"]).exits(0);
    installed(&world, "hello/1.0", &[K]);
    assert!(!world.has(&format!("/lib/modules/{OTHER}/updates/dkms/hello.ko")));
    assert_eq!(world.depmods(OTHER), before, "the index of a kernel that goes is not needed");
}

#[test]
fn upgrade_of_driver_ends_with_new_version_alone() {
    let world = arch();
    world.package("hello", "1.0");
    alpm(&world, "install", &["usr/src/hello-1.0/dkms.conf"]).exits(0);
    alpm(&world, "remove", &["usr/src/hello-1.0/dkms.conf"]).exits(0);
    std::fs::remove_dir_all(world.path("/usr/src/hello-1.0")).unwrap();
    world.package("hello", "2.0");
    alpm(&world, "install", &["usr/src/hello-2.0/dkms.conf"]).exits(0);
    installed(&world, "hello/2.0", &[K, OTHER]);
}

#[test]
fn what_fails_is_reported_and_keeps_nothing_else() {
    let world = arch();
    world.package("good", "1.0");
    world.package("bad", "1.0").recipe("exit 2");
    let ended = alpm(&world, "install", &["usr/src/bad-1.0/dkms.conf", "usr/src/good-1.0/dkms.conf"]);
    ended.exits(1).complains("Bad return status for module build");
    let status = world.status();
    assert!(status.contains(&line("good/1.0", K, "installed")), "{status:?}");
    assert!(status.contains(&line("good/1.0", OTHER, "installed")), "{status:?}");
}

#[test]
fn other_words_and_paths_do_nothing() {
    let world = arch();
    let before = world.everything();
    alpm(&world, "upgrade", &["usr/src/hello-1.0/dkms.conf"]).exits(2).complains("Usage");
    alpm(&world, "install", &[]).exits(0);
    alpm(&world, "install", &["usr/lib/firmware/x", "etc/passwd"]).exits(0);
    alpm(&world, "remove", &["usr/lib/firmware/x"]).exits(0);
    assert_eq!(world.everything(), before);
}
