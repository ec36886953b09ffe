//! The action status: its lines are API.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

fn module(file: &str) -> String {
    format!("/var/lib/dkms/m/1.0/{K}/{}/module/{file}", *A)
}

/// Packages in every state for two kernels.
fn populated() -> World {
    let world = World::new();
    world.kernel("6.2").headers();
    for (name, version) in [("added", "1.0"), ("m", "10.0"), ("m", "9.0"), ("two", "1.0")] {
        world.package(name, version);
        world.ok(&["add", "-m", name, "-v", version]);
    }
    world.ok(&["build", "m/9.0"]);
    world.ok(&["install", "m/10.0"]);
    world.ok(&["build", "two/1.0", "-k", "6.2/x86", "-k", "6.2/y"]);
    world
}

#[test]
fn every_item_has_its_line_in_the_order_of_names() {
    assert_eq!(
        populated().status(),
        [
            "added/1.0: added".to_owned(),
            line("m/10.0", K, "installed"),
            line("m/9.0", K, "built"),
            "two/1.0, 6.2, x86: built".into(),
            "two/1.0, 6.2, y: built".into(),
        ]
    );
}

#[rstest]
#[case(&["m"], &["m/10.0, @: installed", "m/9.0, @: built"])]
#[case(&["-m", "m/9.0"], &["m/9.0, @: built"])]
#[case(&["m/9.0"], &["m/9.0, @: built"])]
#[case(&["-m", "m", "-v", "1*"], &["m/10.0, @: installed"])]
#[case(&["-m", "[mt]*", "-v", "1.?"], &["two/1.0, 6.2, x86: built", "two/1.0, 6.2, y: built"])]
#[case(&["two", "-k", "6.2"], &["two/1.0, 6.2, x86: built", "two/1.0, 6.2, y: built"])]
#[case(&["two", "-a", "y"], &["two/1.0, 6.2, y: built"])]
#[case(&["two", "-k", "6.2/y"], &["two/1.0, 6.2, y: built"])]
#[case(&["two", "-k", "6.9"], &["two/1.0: added"])]
#[case(&["two", "-k", "6.2", "-k", "6.9"], &["two/1.0, 6.2, x86: built", "two/1.0, 6.2, y: built", "two/1.0: added"])]
#[case(&["nobody"], &[])]
#[case(&["m/"], &["m/10.0, @: installed", "m/9.0, @: built"])]
#[case(&["-k", ""], &["added/1.0: added", "m/10.0, @: installed", "m/9.0, @: built", "two/1.0, 6.2, x86: built", "two/1.0, 6.2, y: built"])]
fn filters_are_wildcards_and_the_status_is_always_0(#[case] filter: &[&str], #[case] lines: &[&str]) {
    let world = populated();
    let at = format!("{K}, {}", *A);
    let lines: Vec<String> = lines.iter().map(|line| line.replace('@', &at)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.ok(&[&["status"], filter].concat()).prints(&lines);
}

#[test]
fn status_starts_no_program_writes_nothing_and_evaluates_no_conf() {
    let mut world = populated();
    for package in ["added-1.0", "m-10.0", "m-9.0", "two-1.0"] {
        let conf = format!("touch {}\necho noise\necho noise >&2\n", world.scratch("evaluated").display());
        world.write(&format!("/usr/src/{package}/dkms.conf"), conf);
    }
    let lines = world.status();
    let before = world.everything();
    world.set("PATH", "/nonexistent").set("TMPDIR", "/nonexistent");
    let ended = world.ok(&["status"]);
    ended.prints(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ended.stderr, "");
    assert!(!world.scratch("evaluated").exists());
    assert_eq!(world.everything(), before);
}

#[test]
fn a_difference_in_the_kernel_is_told() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let place = format!("/lib/modules/{K}/updates/dkms/m.ko");
    let different = line("m/1.0", K, "installed (Differences between built and installed modules)");
    world.write(&place, "other");
    assert_eq!(world.status(), [different.as_str()]);
    fs::remove_file(world.path(&place)).unwrap();
    assert_eq!(world.status(), [different.as_str()]);
}

#[test]
fn a_missing_built_module_is_told_and_nothing_behind_it() {
    let world = World::new();
    world.kernel(K).module("kernel/m.ko", "0.1", "X");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    fs::remove_file(world.path(module("m.ko"))).unwrap();
    let text = "installed (Original modules exist) (Built modules are missing in the kernel modules folder)";
    assert_eq!(world.status(), [line("m/1.0", K, text)]);
}

#[test]
fn a_tree_of_another_dkms_is_shown_as_it_is() {
    let world = World::new();
    let package = world.package("m", "1.0");
    let a = &*A;
    fs::create_dir_all(world.path("/var/lib/dkms/m/1.0")).unwrap();
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, world.path(at)).unwrap();
    link(world.path("/usr/src/m-1.0").to_str().unwrap(), "/var/lib/dkms/m/1.0/source");
    world.write(&module("m.ko"), package.built("m"));
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    link(&format!("1.0/{K}/{a}"), &format!("/var/lib/dkms/m/kernel-{K}-{a}"));
    world.write(&format!("/lib/modules/{K}/updates/dkms/m.ko"), package.built("m"));
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["install", "m/1.0"]).says("already installed");
}

#[test]
fn a_broken_package_has_its_line_and_an_error_of_its_own() {
    let world = World::new();
    world.package("m", "1.0");
    world.package("n", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["add", "n/1.0"]);
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    world.ok(&["status"]).prints(&["m/1.0: broken", "n/1.0: added"]).complains("\nError! m/1.0");
}

#[test]
fn what_is_no_package_is_not_shown() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    for path in ["file", "dir/", ".hidden/1.0/x", "m/original_module/x", "m/kernel-a-b/x", "x/1.0/build/x"] {
        world.write(&format!("/var/lib/dkms/{path}/keep"), "");
    }
    world.write("/var/lib/dkms/mok.key", "");
    world.ok(&["status"]).prints(&["m/1.0: added"]);
}

#[test]
fn a_tree_that_is_not_there_is_empty() {
    let world = World::new();
    fs::remove_dir_all(world.path("/var/lib/dkms")).unwrap();
    world.ok(&["status"]).prints(&[]);
    assert!(!world.has("/var/lib/dkms"));
}
