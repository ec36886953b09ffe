//! The action add.

use crate::world::{K, World, elf, write};
use rstest::rstest;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn adding_links_source_and_makes_empty_build_directory() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    assert_eq!(world.tree(), ["m/", "m/1.0/", "m/1.0/build/", "m/1.0/source -> /usr/src/m-1.0"]);
    assert!(world.path("/var/lib/dkms/m/1.0/source").read_link().unwrap().is_absolute());
}

#[test]
fn adding_twice_is_refused_whatever_is_forced() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let before = world.everything();
    world.dkms(&["add", "m/1.0"]).exits(3).complains("Error! DKMS tree already contains: m/1.0");
    world.dkms(&["add", "--force", "m/1.0"]).exits(3);
    world.dkms(&["add", world.path("/usr/src/m-1.0").to_str().unwrap()]).exits(3);
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("")]
#[case("/")]
#[case("/dkms.conf")]
fn directory_elsewhere_is_copied_into_the_source_tree(#[case] behind: &str) {
    let world = World::new();
    let dir = world.scratch("work");
    world.package_in(&dir, "m", "1.0").file(".hidden", "h").file("sub/x.h", "x");
    world.ok(&["add", &format!("{}{behind}", dir.display())]);
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert_eq!(
        world.names("/usr/src"),
        [
            "m-1.0/",
            "m-1.0/.hidden",
            "m-1.0/Makefile",
            "m-1.0/dkms.conf",
            "m-1.0/m.ko.in",
            "m-1.0/sub/",
            "m-1.0/sub/x.h"
        ]
    );
}

#[test]
fn a_relative_directory_is_a_source_tree_too() {
    let world = World::new();
    world.package_in(&world.scratch("work"), "m", "1.0");
    world.ok(&["add", "./work"]);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn added_directory_is_not_copied_again() {
    let world = World::new();
    world.package("m", "1.0").file("who", "old");
    world.ok(&["add", "m/1.0"]);
    let dir = world.scratch("work");
    world.package_in(&dir, "m", "1.0").file("who", "new");
    world.dkms(&["add", dir.to_str().unwrap()]).exits(3);
    assert_eq!(world.read("/usr/src/m-1.0/who"), "old");
}

#[test]
fn directory_replaces_an_older_source_only_by_force() {
    let world = World::new();
    world.package("m", "1.0").file("extra", "kept").file("who", "old");
    let dir = world.scratch("work");
    world.package_in(&dir, "m", "1.0").file("who", "new");
    world.ok(&["add", dir.to_str().unwrap()]);
    assert_eq!(world.read("/usr/src/m-1.0/who"), "new");
    assert_eq!(world.read("/usr/src/m-1.0/extra"), "kept");
    world.ok(&["remove", "m/1.0", "--all"]);
    world.ok(&["add", "--force", dir.to_str().unwrap()]);
    assert!(!world.has("/usr/src/m-1.0/extra"));
    assert_eq!(world.names("/usr/src").iter().filter(|name| !name.starts_with("m-1.0")).count(), 0);
}

#[test]
fn forcing_source_tree_itself_does_not_delete_it() {
    let world = World::new();
    world.package("m", "1.0");
    let before = world.names("/usr/src");
    world.ok(&["add", "--force", world.path("/usr/src/m-1.0").to_str().unwrap()]);
    assert_eq!(world.names("/usr/src"), before);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn a_dangling_source_link_is_replaced() {
    let world = World::new();
    world.package("m", "1.0");
    fs::create_dir_all(world.path("/var/lib/dkms/m/1.0")).unwrap();
    symlink("/nowhere", world.path("/var/lib/dkms/m/1.0/source")).unwrap();
    assert_eq!(world.status(), ["m/1.0: broken"]);
    world.ok(&["add", "m/1.0"]);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn a_missing_source_link_is_made_again() {
    let world = World::new();
    world.package("m", "1.0");
    fs::create_dir_all(world.path("/var/lib/dkms/m/1.0")).unwrap();
    assert_eq!(world.status(), ["m/1.0: broken"]);
    world.ok(&["add", "m/1.0"]);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn a_source_that_is_not_there_is_refused() {
    let world = World::new();
    let before = world.everything();
    world.dkms(&["add", "m/1.0"]).exits(2).complains("Error! Could not find module source directory.");
    assert_eq!(world.everything(), before);
}

#[test]
fn a_source_without_a_conf_is_refused() {
    let world = World::new();
    world.write("/usr/src/m-1.0/m.c", "");
    let before = world.everything();
    world.dkms(&["add", "m/1.0"]).exits(4).complains("Error! Could not locate dkms.conf file.");
    assert_eq!(world.everything(), before);
}

#[test]
fn conf_of_another_identity_is_reported() {
    let world = World::new();
    world.package("m", "1.0").conf("PACKAGE_VERSION=2.0");
    world.ok(&["add", "m/1.0"]).complains("Warning: ");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn conf_elsewhere_is_read_in_place_of_packages() {
    let world = World::new();
    world.package("m", "1.0").whole_conf("");
    world.dkms(&["add", "m/1.0"]).exits(8);
    let conf = world.scratch("other.conf");
    write(&conf, b"PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nDEST_MODULE_LOCATION=/extra\n");
    world.ok(&["add", "m/1.0", "-c", conf.to_str().unwrap()]);
    world.dkms(&["build", "m/1.0", "-c", "/no/such/file"]).exits(4);
}

#[test]
fn file_ending_in_dkms_conf_is_no_source() {
    let world = World::new();
    let dir = world.scratch("work");
    world.package_in(&dir, "m", "1.0").file("x-dkms.conf", "");
    let before = world.everything();
    let ended = world.dkms(&["add", dir.join("x-dkms.conf").to_str().unwrap()]);
    assert_ne!(ended.code, Some(0));
    assert_eq!(world.everything(), before);
}

#[test]
fn post_add_status_is_that_of_the_command() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("POST_ADD=\"hello.sh 'a b' c\"")
        .script("hello.sh", "pwd > where; printf '%s\\n' \"$@\" > words; exit 33");
    world.dkms(&["add", "m/1.0"]).exits(33);
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert_eq!(world.read("/usr/src/m-1.0/words"), "'a\nb'\nc\n");
}

#[test]
fn post_add_of_implied_add_is_only_reported() {
    let world = World::new();
    world.package("m", "1.0").conf("POST_ADD=fail.sh").script("fail.sh", "exit 33");
    world.ok(&["build", "m/1.0"]).complains("Warning: ").complains("POST_ADD");
}

#[test]
fn install_takes_a_directory_as_add_does() {
    let world = World::new();
    let dir = world.scratch("work");
    world.package_in(&dir, "m", "1.0");
    world.kernel("6.2").headers();
    world.ok(&["install", dir.to_str().unwrap(), "-k", K, "-k", "6.2"]);
    assert_eq!(world.status().len(), 2);
    // Callers take 3 for "added already".
    world.dkms(&["install", dir.to_str().unwrap()]).exits(3);
    assert_eq!(world.status().len(), 2);
}

#[test]
fn tree_modes_ignore_the_callers_mask() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.package("m", "1.0");
    world.shell("umask 077; dkms install m/1.0").exits(0);
    let mode = |path: &str| fs::metadata(world.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("/var/lib/dkms/m/1.0"), 0o755);
    assert_eq!(mode(&format!("/lib/modules/{K}/updates/dkms")), 0o755);
    assert_eq!(mode(&format!("/lib/modules/{K}/updates/dkms/m.ko")), 0o644);
}

#[rstest]
#[case(".")]
#[case("./")]
#[case("../home")]
fn directory_without_conf_is_named(#[case] word: &str) {
    let world = World::new();
    for action in ["add", "build", "install"] {
        world.dkms(&[action, word]).exits(9).complains("does not contain a dkms.conf file");
    }
}

#[rstest]
#[case("m", "@PKGVER@", "PACKAGE_VERSION")]
#[case("m", "#MODULE_VERSION#", "PACKAGE_VERSION")]
#[case("m", "@@VERSION@@", "PACKAGE_VERSION")]
#[case("@NAME@", "1.0", "PACKAGE_NAME")]
fn placeholder_in_a_conf_is_refused(#[case] name: &str, #[case] version: &str, #[case] directive: &str) {
    let world = World::new();
    let dir = world.scratch("driver");
    world.package_in(&dir, "m", "1.0").whole_conf(&format!(
        "PACKAGE_NAME=\"{name}\"\nPACKAGE_VERSION=\"{version}\"\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n"
    ));
    world.dkms(&["add", dir.to_str().unwrap()]).exits(8).complains(&format!("{directive} is a placeholder"));
    assert!(world.tree().is_empty());
}

#[test]
fn placeholder_goes_on_where_caller_names_the_version() {
    let world = World::new();
    world.package("m", "1.0").whole_conf(
        "PACKAGE_NAME=m\nPACKAGE_VERSION=\"#MODULES_VERSION#\"\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n",
    );
    let ended = world.ok(&["install", "-m", "m", "-v", "1.0"]);
    let warnings = ended.stderr.matches("#MODULES_VERSION#").count();
    ended.check(warnings == 1, "one warning");
}

#[test]
fn remedy_for_broken_package_takes_its_modules_out() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    std::fs::remove_dir_all(&package.dir).unwrap();
    let ended = world.dkms(&["build", "m/1.0"]);
    ended.exits(4).complains("dkms remove m/1.0 --all");
    world.shell("dkms remove m/1.0 --all").exits(0);
    assert!(world.tree().is_empty() && !world.has(&format!("/lib/modules/{}/updates", crate::world::K)));
}

/// A driver's author edits, and installs what the directory holds now.
#[rstest]
#[case::a_copy_of_it_is_added("home/driver")]
#[case::it_is_the_source_itself("root/usr/src/m-1.0")]
fn forced_install_takes_over_a_directory(#[case] place: &str) {
    let world = World::new();
    let dir = world.scratch("..").join(place);
    world.package_in(&dir, "m", "1.0").file("gone.c", "");
    let here = |command: &str| world.shell(&format!("cd {} && dkms {command}", dir.display()));
    here("install .").exits(0);
    let (installed, makes) =
        (world.path(format!("/lib/modules/{K}/updates/dkms/m.ko")), || world.calls("make").len());
    let made = makes();
    fs::remove_file(dir.join("gone.c")).unwrap();
    fs::write(dir.join("m.ko.in"), elf::versioned("m", "1.0", "EDITED")).unwrap();
    here("install .").exits(3);
    here("install . --force").exits(0);
    assert_eq!(fs::read(&installed).unwrap(), elf::versioned("m", "1.0", "EDITED"));
    assert!(!world.has("/usr/src/m-1.0/gone.c"));
    assert_eq!(makes(), made + 1);
    here("install . --force").exits(0);
    assert_eq!(makes(), made + 1, "nothing has changed since");
    fs::write(dir.join("m.ko.in"), elf::versioned("m", "1.0", "AGAIN")).unwrap();
    here("build . --force").exits(0);
    here("install m/1.0 --force").exits(0);
    assert_eq!(fs::read(&installed).unwrap(), elf::versioned("m", "1.0", "AGAIN"));
    world.ok(&["autoinstall"]);
    assert_eq!(makes(), made + 2);
}

#[test]
fn directory_with_bad_conf_does_not_replace_source() {
    let world = World::new();
    let dir = world.scratch("driver");
    world.package_in(&dir, "m", "1.0");
    let here = |command: &str| world.shell(&format!("cd {} && dkms {command}", dir.display()));
    here("install .").exits(0);
    fs::write(dir.join("dkms.conf"), "PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME[1]=m\n")
        .unwrap();
    let before = world.everything();
    here("install . --force").exits(8);
    let after = world.everything();
    assert!(before.keys().eq(after.keys()));
    assert_eq!(before.get("/usr/src/m-1.0/dkms.conf"), after.get("/usr/src/m-1.0/dkms.conf"));
    assert_eq!(world.status(), [crate::world::line("m/1.0", K, "installed")]);
}
