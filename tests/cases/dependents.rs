//! BUILD_DEPENDS_REBUILD: what is built against a package follows the version that is installed.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

const FOLLOWS: &str = "BUILD_DEPENDS=lib\nBUILD_DEPENDS_REBUILD=yes";

fn record(package: &str) -> String {
    format!("/var/lib/dkms/{package}/{K}/{}/.dep_lib", *A)
}

fn makes(world: &World, package: &str) -> usize {
    let text = fs::read_to_string(world.scratch("order")).unwrap_or_default();
    text.lines().filter(|line| *line == package).count()
}

/// `lib` in two versions, of which the first is installed, and `user` that follows it.
fn world(conf: &str) -> World {
    let world = World::new();
    for version in ["1.0", "2.0"] {
        world.package("lib", version);
    }
    world.package("user", "1.0").conf(conf).recipe("echo $module >> \"$DKMS_SCRATCH/order\"");
    world.ok(&["install", "lib/1.0"]);
    world
}

#[test]
fn build_records_installed_version_and_not_highest_one() {
    let world = world(FOLLOWS);
    world.ok(&["add", "lib/2.0"]);
    world.ok(&["build", "user/1.0"]);
    assert_eq!(world.read(&record("user/1.0")), "1.0\n");
    // Nothing changes for it with another package.
    world.package("other", "1.0");
    world.ok(&["install", "other/1.0"]);
    assert_eq!(makes(&world, "user"), 1);
}

#[rstest]
#[case::forced(&["build", "--force", "user/1.0"], FOLLOWS)]
#[case::unwanted(&["build", "user/1.0"], "BUILD_DEPENDS=lib")]
fn a_build_without_dependents_records_nothing(#[case] args: &[&str], #[case] conf: &str) {
    let world = world(conf);
    world.ok(args);
    assert!(!world.has(&record("user/1.0")));
}

#[rstest]
#[case("build", "built")]
#[case("install", "installed")]
fn dependent_is_built_again_and_keeps_its_state(#[case] action: &str, #[case] state: &str) {
    let world = world(FOLLOWS);
    world.ok(&[action, "user/1.0"]);
    // The source of the dependent is the same: so are its modules' version and hash; its content is not.
    let source = world.path("/usr/src/user-1.0/user.ko.in");
    let changed = [fs::read(&source).unwrap(), b"built with lib 2".to_vec()].concat();
    fs::write(&source, &changed).unwrap();
    let depmods = world.depmods(K);
    world.ok(&["install", "lib/2.0"]).says("user/1.0 is built again").says("lib/1.0, and 2.0 is installed");
    assert_eq!(world.depmods(K), depmods + 1);
    assert_eq!(world.read(&record("user/1.0")), "2.0\n");
    assert!(world.status().contains(&line("user/1.0", K, state)), "{:#?}", world.status());
    let file = world.path(format!("/lib/modules/{K}/updates/dkms/user.ko"));
    assert_eq!(fs::read(file).ok(), (state == "installed").then_some(changed));
    world.ok(&["install", "--force", "lib/1.0"]);
    assert_eq!(makes(&world, "user"), 2);
    world.ok(&["remove", "user/1.0", "--all"]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates/dkms/user.ko")));
}

#[test]
fn a_missing_record_counts_as_another_version_once() {
    let world = world(FOLLOWS);
    world.ok(&["install", "user/1.0"]);
    fs::remove_file(world.path(record("user/1.0"))).unwrap();
    for name in ["x", "y"] {
        world.package(name, "1.0");
        world.ok(&["install", &format!("{name}/1.0")]);
        assert_eq!(makes(&world, "user"), 2);
    }
}

#[test]
fn autoinstall_rebuilds_dependents_in_order() {
    let world = world(FOLLOWS);
    let note = "echo $module >> \"$DKMS_SCRATCH/order\"";
    world.package("a", "1.0").conf("BUILD_DEPENDS=\"lib user\"\nBUILD_DEPENDS_REBUILD=yes").recipe(note);
    world.ok(&["install", "user/1.0"]);
    world.ok(&["install", "a/1.0"]);
    world.ok(&["install", "lib/2.0"]);
    world.package("lib", "3.0");
    world.ok(&["add", "lib/3.0"]);
    let depmods = world.depmods(K);
    world.ok(&["autoinstall"]).says("a/1.0 is built again").says("user/1.0 is built again");
    assert_eq!(world.depmods(K), depmods + 1);
    assert_eq!(fs::read_to_string(world.scratch("order")).unwrap(), "user\na\nuser\na\nuser\na\n");
    assert!(world.status().contains(&line("a/1.0", K, "installed")), "{:#?}", world.status());
}

#[test]
fn a_dependent_that_fails_stays_as_it_is() {
    let world = world(FOLLOWS);
    world.ok(&["install", "user/1.0"]);
    let file = format!("/lib/modules/{K}/updates/dkms/user.ko");
    let before = fs::read(world.path(&file)).unwrap();
    world.package("user", "1.0").conf(FOLLOWS).recipe("exit 1");
    world.ok(&["install", "lib/2.0"]).complains("Error! ").complains("user/1.0");
    assert_eq!(fs::read(world.path(&file)).unwrap(), before);
    assert_eq!(world.read(&record("user/1.0")), "1.0\n");
    let expected = ["lib/1.0: built", "lib/2.0: installed", "user/1.0: installed"];
    let expected = expected.map(|text| {
        let (package, state) = text.split_once(": ").unwrap();
        line(package, K, state)
    });
    assert_eq!(world.status(), expected);
}

#[test]
fn failed_dependent_is_tried_at_the_next_installation() {
    let world = world(FOLLOWS);
    world.ok(&["install", "user/1.0"]);
    world.package("user", "1.0").conf(&format!("{FOLLOWS}\nPRE_INSTALL=no.sh")).script("no.sh", "exit 1");
    world.ok(&["install", "lib/2.0"]).complains("user/1.0");
    assert!(!world.has(&record("user/1.0")));
    world.package("user", "1.0").conf(FOLLOWS);
    world.package("other", "1.0");
    world.ok(&["install", "other/1.0"]).says("user/1.0 is built again");
    assert_eq!(world.read(&record("user/1.0")), "2.0\n");
}

#[test]
fn unreadable_conf_of_another_package_is_a_warning() {
    let world = world(FOLLOWS);
    world.ok(&["install", "user/1.0"]);
    world.package("user", "1.0").whole_conf("nonsense\n");
    world.ok(&["install", "lib/2.0"]).complains("Warning: ").complains("user/1.0");
    assert!(world.status().contains(&line("lib/2.0", K, "installed")));
}
