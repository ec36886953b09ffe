//! `--dry-run` and `why`: what would be done and why, with nothing done.

use crate::world::{K, World};
use rstest::rstest;

fn world() -> World {
    let world = World::new();
    for (name, conf) in [
        ("fresh", ""),
        ("stale", ""),
        ("old", "BUILD_EXCLUSIVE_KERNEL_MAX=5.0"),
        ("kept", ""),
        ("user", "BUILD_DEPENDS=fresh"),
    ] {
        world.package(name, "1.0").conf(conf);
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["install", "stale/1.0"]);
    world.ok(&["install", "kept/1.0"]);
    world.write("/usr/src/stale-1.0/m.c", "int edited;");
    world
}

#[rstest]
#[case::autoinstall(&["autoinstall", "--dry-run"], &[
    "would build and install fresh/1.0: it is not built",
    "would build and install user/1.0: it is not built, after fresh",
    "would rebuild and install stale/1.0: its source has changed",
    "would skip old/1.0: ",
    "would keep kept: 1.0 is installed and up to date",
])]
#[case::install(&["install", "stale/1.0", "--dry-run"], &["would build and install stale/1.0", "its source has changed"])]
#[case::install_kept(&["install", "kept/1.0", "--dry-run"], &["already installed"])]
#[case::build(&["--dry-run", "build", "fresh/1.0"], &["would build fresh/1.0"])]
#[case::uninstall(&["uninstall", "kept/1.0", "--dry-run"], &["would uninstall kept/1.0", "updates/dkms/kept.ko"])]
#[case::remove(&["remove", "kept/1.0", "--all", "--dry-run"], &[
    "would uninstall kept/1.0", "would delete the build of kept/1.0", "would delete kept/1.0 from the DKMS tree",
])]
#[case::why(&["why", "stale"], &["stale/1.0 is installed for kernel", "would rebuild and install stale/1.0: its source has changed"])]
#[case::why_skipped(&["why", "old/1.0"], &["would skip old/1.0: "])]
fn preview_reports_and_does_nothing(#[case] line: &[&str], #[case] said: &[&str]) {
    let world = world();
    let before = world.everything();
    let ended = world.ok(line);
    for text in said {
        ended.says(text);
    }
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case::packing(&["mktarball", "kept/1.0", "--dry-run"], 2)]
#[case::unknown(&["why", "nothing"], 3)]
#[case::without_package(&["why"], 1)]
#[case::removal_of_nothing(&["remove", "nothing/1.0", "--all", "--dry-run"], 3)]
fn preview_of_something_else_is_an_error(#[case] line: &[&str], #[case] code: i32) {
    let world = world();
    let before = world.everything();
    world.dkms(line).exits(code);
    assert_eq!(world.everything(), before);
}

#[test]
fn status_as_json_names_failures_and_staleness() {
    let world = world();
    world.write("/usr/src/fresh-1.0/recipe", "echo 'fresh.c:1: error: no' >&2; exit 2");
    world.dkms(&["autoinstall"]).exits(11);
    world.write("/usr/src/kept-1.0/m.c", "int edited;");
    let document: serde_json::Value =
        serde_json::from_str(&world.ok(&["status", "--format", "json"]).stdout).unwrap();
    let package = |name: &str| {
        let packages = document["packages"].as_array().unwrap();
        packages.iter().find(|package| package["name"] == name).unwrap().clone()
    };
    let failure = package("fresh")["failures"][0].clone();
    assert_eq!((failure["kernel"].as_str(), failure["code"].as_u64()), (Some(K), Some(10)));
    assert_eq!(failure["reason"], "fresh.c:1: error: no");
    let at = failure["at"].as_str().unwrap();
    assert!(at.len() == "2026-11-27T07:10:45+00:00".len() && at.contains('T'), "{at}");
    assert_eq!(package("kept")["builds"][0]["stale"], "its source has changed");
    assert_eq!(package("stale")["builds"][0]["stale"], serde_json::Value::Null);
}

#[rstest]
#[case::install("install")]
#[case::add("add")]
fn preview_of_a_directory_ends_as_the_action_would(#[case] action: &str) {
    let world = World::new();
    let dir = world.scratch("src");
    world.package_in(&dir, "m", "1.0");
    let dir = dir.to_str().unwrap();
    world.ok(&[action, dir, "--dry-run"]).says("would");
    world.ok(&["add", dir]);
    let shown = world.dkms(&[action, dir, "--dry-run"]);
    let done = world.dkms(&[action, dir]);
    assert_eq!((shown.code, &shown.stderr), (done.code, &done.stderr));
    shown.exits(3);
}
