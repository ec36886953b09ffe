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
fn every_item_has_its_line_by_name() {
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
#[case(&["unknown"], &[])]
#[case(&["m/"], &["m/10.0, @: installed", "m/9.0, @: built"])]
#[case(&["-k", ""], &["added/1.0: added", "m/10.0, @: installed", "m/9.0, @: built", "two/1.0, 6.2, x86: built", "two/1.0, 6.2, y: built"])]
fn filters_are_wildcards_and_status_is_always_0(#[case] filter: &[&str], #[case] lines: &[&str]) {
    let world = populated();
    let at = format!("{K}, {}", *A);
    let lines: Vec<String> = lines.iter().map(|line| line.replace('@', &at)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.ok(&[&["status"], filter].concat()).prints(&lines);
}

#[test]
fn status_starts_and_writes_nothing() {
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
fn a_difference_in_the_kernel_is_reported() {
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
fn missing_built_module_is_shown() {
    let world = World::new();
    world.kernel(K).module("kernel/m.ko", "0.1", "X");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    fs::remove_file(world.path(module("m.ko"))).unwrap();
    let text = "installed (Original modules exist) (Built modules are missing in the kernel modules folder)";
    assert_eq!(world.status(), [line("m/1.0", K, text)]);
}

#[test]
fn tree_of_another_dkms_is_shown() {
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
fn broken_package_has_a_line_and_an_error() {
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

#[test]
fn scripts_for_dkms_2_get_its_lines() {
    let world = populated();
    world.kernel(K).module("kernel/drivers/misc/two.ko", "0.1", "X");
    world.ok(&["install", "two/1.0"]);
    fs::write(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko")), "changed").unwrap();
    fs::remove_file(world.path(module("m.ko").replace("m/1.0", "m/9.0"))).unwrap();
    let at = format!("{K}, {}", *A);
    world.ok(&["status", "--format", "legacy"]).prints(&[
        "added, 1.0: added",
        &format!("m, 10.0, {at}: installed (WARNING! Diff between built and installed module!)"),
        &format!("m, 9.0, {at}: built (WARNING! Missing some built modules!)"),
        &format!("two, 1.0, {at}: installed (original_module exists)"),
        "two, 1.0, 6.2, x86: built",
        "two, 1.0, 6.2, y: built",
    ]);
}

#[test]
fn json_tells_what_lines_have_no_room_for() {
    let world = populated();
    fs::remove_file(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"))).unwrap();
    world.package("bad", "1").recipe("exit 2");
    world.dkms(&["build", "bad/1"]).exits(10);
    fs::remove_dir_all(world.path("/usr/src/added-1.0")).unwrap();
    let ended = world.ok(&["status", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["schema"], 1);
    let packages = document["packages"].as_array().unwrap();
    let names: Vec<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["added", "bad", "m", "m", "two"]);
    let [added, bad, m] = [&packages[0], &packages[1], &packages[2]];
    assert_eq!(added["state"], "broken");
    assert!(added["reason"].as_str().unwrap().contains("/added/1.0/source"), "{added}");
    assert_eq!(bad["failure_log"], world.path("/var/lib/dkms/bad/1/build/make.log").to_str().unwrap());
    assert_eq!(bad["reason"], "the last build failed");
    let build = &m["builds"][0];
    let place = world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"));
    assert_eq!((build["kernel"].as_str(), build["state"].as_str()), (Some(K), Some("installed")));
    assert_eq!(build["reason"], format!("{} is missing", place.display()));
    assert!(build["log"].as_str().unwrap().ends_with("/log/make.log"));
    let module = &build["modules"][0];
    assert_eq!(module["installed"], place.to_str().unwrap());
    assert_eq!(module["installed_sha256"], serde_json::Value::Null);
    assert_eq!(module["sha256"].as_str().unwrap().len(), 64);
    assert_eq!((module["version"].as_str(), module["signer"].as_str()), (Some("10.0"), None));
    let two = &packages[4]["builds"];
    assert_eq!(
        (two.as_array().unwrap().len(), &two[1]["modules"][0]["installed"]),
        (2, &serde_json::Value::Null)
    );
}

#[test]
fn json_of_an_empty_tree_is_a_document() {
    let world = World::new();
    let nothing: serde_json::Value =
        serde_json::from_str(&world.ok(&["status", "--format=json"]).stdout).unwrap();
    assert_eq!(nothing, serde_json::json!({ "schema": 1, "packages": [] }));
    let ended = world.dkms(&["status", "--format", "yaml"]);
    ended.exits(2).complains("text, legacy, json").prints(&[]);
    world.dkms(&["conf", "--format", "legacy", "m/1"]).exits(2).complains("text, json");
}

/// Modules are compared by stat(2) where what is recorded tells.
#[rstest]
#[case::installed_file("echo changed >$installed", false)]
#[case::same_size("printf x | dd of=$installed bs=1 conv=notrunc status=none", false)]
#[case::same_time(
    "touch -r $installed t; printf x | dd of=$installed bs=1 conv=notrunc status=none; touch -r t $installed",
    false
)]
#[case::built_file(
    "cp -p $built t; printf x | dd of=t bs=1 conv=notrunc status=none; touch -r $built t; cat t >$built; touch -r t $built",
    false
)]
#[case::touched("touch $installed $built", true)]
fn change_of_an_installed_module_is_seen(#[case] change: &str, #[case] is_clean: bool) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let installed = world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"));
    let built = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A));
    let change =
        change.replace("$installed", installed.to_str().unwrap()).replace("$built", built.to_str().unwrap());
    world.shell(&change).exits(0);
    let expected = if is_clean { "" } else { " (Differences between built and installed modules)" };
    assert_eq!(world.status(), [format!("m/1.0, {K}, {}: installed{expected}", *A)]);
}
