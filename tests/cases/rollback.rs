//! Older versions: what steps in where a newer one does not build, and going back to one by hand.

use crate::preflight::{NEXT, machine, package};
use crate::world::{K, World, line};
use rstest::rstest;

const NEW: &str = "6.2.0-1-amd64";
const FAILS: &str = "echo 'm.c:3:1: error: no such thing'; exit 2";

/// Two versions of a package, of which the newer one does not build.
fn two_versions() -> World {
    let world = World::new();
    world.kernel(NEW).headers();
    world.package("m", "1.0");
    world.package("m", "2.0").recipe(FAILS);
    world.ok(&["add", "m/1.0"]);
    world.ok(&["add", "m/2.0"]);
    world
}

#[rstest]
#[case::autoinstall(&["dkms", "autoinstall"])]
#[case::hook(&["kernel-postinst", K])]
#[case::boot(&["boot"])]
fn older_version_steps_in_where_newer_one_fails(#[case] trigger: &[&str]) {
    let world = two_versions();
    let ended = world.pull(trigger);
    ended
        .exits(0)
        .complains(&format!("m/2.0 does not build for kernel {K}; m/1.0 is used there: m.c:3:1: error"));
    ended.is_silent_about("Hardware that depends on them");
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
    // Neither is tried again, until the source changes.
    let made = world.calls("make").len();
    world.pull(trigger).exits(0);
    assert_eq!(world.calls("make").len(), made);
    world.ok(&["why", "m"]).says("would not build m/2.0, m/1.0 is used: m.c:3:1: error");
    world.package("m", "2.0").recipe("true");
    world.pull(trigger).exits(0);
    assert!(world.status().contains(&line("m/2.0", K, "installed")), "{:?}", world.status());
}

#[test]
fn installed_older_version_stays() {
    let world = two_versions();
    world.ok(&["install", "m/1.0"]);
    world.ok(&["autoinstall"]).complains("m/1.0 is used there");
    assert!(world.status().contains(&line("m/1.0", K, "installed")));
    world
        .dkms(&["check", "-k", K])
        .complains("m/1.0 is used, because m/2.0 does not build: m.c:3:1: error")
        .is_silent_about("m/2.0  ");
}

#[test]
fn installed_newer_version_is_not_exchanged() {
    let world = two_versions();
    world.package("m", "2.0").recipe("true");
    world.ok(&["autoinstall"]);
    world.package("m", "2.0").recipe(FAILS);
    world.dkms(&["autoinstall"]).exits(11);
    assert!(world.status().contains(&line("m/2.0", K, "installed")), "{:?}", world.status());
    world.dkms(&["autoinstall"]).exits(11);
    assert!(world.status().contains(&line("m/2.0", K, "installed")));
}

#[test]
fn newest_is_the_failure_where_none_builds() {
    let world = two_versions();
    world.package("m", "1.0").recipe(FAILS);
    let ended = world.dkms(&["autoinstall"]);
    ended.exits(11).is_silent_about("is used there");
    assert_eq!(world.calls("make").len(), 2);
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(world.calls("make").len(), 2);
}

#[test]
fn dependents_are_built_with_the_older_version() {
    let world = two_versions();
    world.package("upon", "1.0").conf("BUILD_DEPENDS=\"m\"");
    world.ok(&["add", "upon/1.0"]);
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&line("upon/1.0", K, "installed")), "{:?}", world.status());
}

#[test]
fn version_without_autoinstall_does_not_step_in() {
    let world = two_versions();
    world.package("m", "1.0").conf("AUTOINSTALL=");
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(world.status(), ["m/1.0: added", "m/2.0: added"]);
}

#[test]
fn preflight_knows_what_steps_in() {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.package("m", "2.0").recipe(FAILS);
    world.ok(&["add", "m/2.0"]);
    world.ok(&["install", "m/1.0"]);
    let file = package(&world, NEXT, ".pkg.tar.gz");
    world.ok(&["preflight", &file]).says("m/1.0  builds (m/2.0 does not: m.c:3:1: error: no such thing)");
    // What is remembered is said again.
    let again = world.ok(&["preflight", &file, "--format", "json"]);
    again.says("\"instead_of\": {").says("\"version\": \"2.0\"");
}

#[rstest]
#[case::everywhere(&[], &[K, NEW])]
#[case::on_one_kernel(&["-k", NEW], &[NEW])]
fn rollback_takes_the_version_before_and_stays(#[case] options: &[&str], #[case] kernels: &[&str]) {
    let world = two_versions();
    world.package("m", "2.0").recipe("true");
    for kernel in [K, NEW] {
        world.ok(&["install", "m/2.0", "-k", kernel]);
    }
    let ended = world.ok(&[&["rollback", "m"], options].concat());
    for kernel in [K, NEW] {
        let rolled = kernels.contains(&kernel);
        let version = if rolled { "m/1.0" } else { "m/2.0" };
        assert!(
            world.status().contains(&line(version, kernel, "installed")),
            "{kernel}: {:?}",
            world.status()
        );
        assert_eq!(
            ended.stdout.contains(&format!("m/1.0 takes the place of m/2.0 on kernel {kernel}")),
            rolled
        );
        world.ok(&["autoinstall", "-k", kernel]);
        assert!(world.status().contains(&line(version, kernel, "installed")), "it stays");
    }
    world.ok(&["why", "m", "-k", NEW]).says("would keep m: 1.0 is installed");
    // What is newer is taken when it comes.
    world.package("m", "3.0");
    world.ok(&["add", "m/3.0"]);
    world.ok(&["autoinstall", "-k", NEW]);
    assert!(world.status().contains(&line("m/3.0", NEW, "installed")));
}

#[test]
fn enabling_ends_a_rollback() {
    let world = two_versions();
    world.package("m", "2.0").recipe("true");
    world.ok(&["install", "m/2.0"]);
    let ended = world.ok(&["rollback", "m"]);
    let command = ended.stdout.lines().find_map(|line| line.strip_prefix("To undo: ")).unwrap().to_owned();
    world.write("/etc/dkms/disabled", format!("{}m/2.0 5.* mine\n", world.read("/etc/dkms/disabled")));
    world.shell(&command).exits(0);
    assert!(world.read("/etc/dkms/disabled").ends_with("m/2.0 5.* mine\n"));
    assert!(world.status().contains(&line("m/2.0", K, "installed")));
}

#[test]
fn rollback_that_fails_changes_nothing() {
    let world = two_versions();
    world.package("m", "2.0").recipe("true");
    world.ok(&["install", "m/2.0"]);
    world.package("m", "1.0").recipe(FAILS);
    world.dkms(&["rollback", "m"]).exits(10);
    assert_eq!(world.status(), ["m/1.0: added".to_owned(), line("m/2.0", K, "installed")]);
    assert!(!world.has("/etc/dkms/disabled"));
}

#[rstest]
#[case::nothing(&["rollback"], 1, "rollback needs the name of a package")]
#[case::unknown(&["rollback", "n"], 3, "The module n is not located")]
#[case::with_version(&["rollback", "m/1.0"], 2, "dkms install PACKAGE/VERSION")]
#[case::not_installed(&["rollback", "m"], 3, "No kernel has m")]
#[case::not_for_kernel(&["rollback", "m", "-k", NEW], 3, "No version of m is installed for kernel")]
fn senseless_rollback_is_refused(#[case] line: &[&str], #[case] code: i32, #[case] text: &str) {
    let world = two_versions();
    world.dkms(line).exits(code).complains(text);
    world.ok(&["install", "m/1.0"]);
    world.dkms(&["rollback", "m"]).exits(3).complains("m has no version older than 1.0");
}
