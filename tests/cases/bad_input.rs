//! Wrong command lines, and broken machines.

use crate::world::{K, World, line};
use rstest::rstest;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

const BAD: [&str; 8] = ["..", ".", ".hidden", "a b", "a\tb", "a/b", "", "a\u{7}b"];

#[rstest]
#[case("add")]
#[case("build")]
#[case("install")]
#[case("uninstall")]
#[case("unbuild")]
#[case("remove")]
fn bad_names_are_refused_before_anything_happens(#[case] action: &str) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let before = world.everything();
    for bad in BAD {
        for args in [["-m", bad, "-v", "1.0"], ["-m", "m", "-v", bad]] {
            let ended = world.dkms(&[&[action], &args[..]].concat());
            assert_ne!(ended.code, Some(0), "{args:?}");
            ended.complains("Error! ");
        }
    }
    for bad in BAD {
        for args in [["-k", bad, "-a", "x"], ["-k", K, "-a", bad]] {
            // -k K/A is a pair.
            if args[1] == "a/b" {
                continue;
            }
            let ended = world.dkms(&[&[action, "m/1.0"], &args[..]].concat());
            assert_ne!(ended.code, Some(0), "{args:?}");
        }
    }
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("../../../../tmp/x/1.0")]
#[case("m/../../../x")]
#[case("/etc/passwd/1.0")]
#[case("/no/such/dir")]
fn a_path_is_no_package(#[case] word: &str) {
    let world = World::new();
    let before = world.everything();
    for action in ["add", "build", "remove"] {
        let ended = world.dkms(&[action, word]);
        assert_ne!(ended.code, Some(0));
    }
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("PACKAGE_NAME=../m")]
#[case("PACKAGE_NAME='a b'")]
#[case("PACKAGE_VERSION=..")]
#[case("PACKAGE_VERSION=1/2")]
fn a_directory_that_names_itself_badly_is_refused(#[case] conf: &str) {
    let world = World::new();
    let dir = world.scratch("work");
    world.package_in(&dir, "m", "1.0").conf(conf);
    let before = world.everything();
    world.dkms(&["add", dir.to_str().unwrap()]).exits(8).complains("Error! ");
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("DEST_MODULE_NAME[0]=../../../x")]
#[case("DEST_MODULE_LOCATION[0]=/kernel/../../../../escaped")]
#[case("BUILT_MODULE_LOCATION[0]=../../../..")]
fn conf_does_not_lead_out_of_the_trees(#[case] conf: &str) {
    let world = World::new();
    world.write("/etc/os-release", "ID=gentoo\n");
    world.package("m", "1.0").conf(conf);
    world.dkms(&["install", "m/1.0"]);
    let everything = world.everything();
    let strays: Vec<&String> = everything
        .keys()
        .filter(|name| name.ends_with(".ko") && !name.starts_with(&format!("lib/modules/{K}/")))
        .filter(|name| !name.starts_with("var/lib/dkms/m/1.0/"))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn special_file_as_conf_is_refused_at_once() {
    let world = World::new();
    world.package("m", "1.0").without("dkms.conf");
    let conf = world.path("/usr/src/m-1.0/dkms.conf");
    fs::create_dir(&conf).unwrap();
    world.dkms(&["add", "m/1.0"]).exits(4);
    fs::remove_dir(&conf).unwrap();
    nix::unistd::mkfifo(&conf, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let begin = Instant::now();
    world.dkms(&["add", "m/1.0"]).exits(4);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(world.tree().is_empty());
}

#[test]
fn a_conf_of_garbage_is_refused() {
    let world = World::new();
    let garbage: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    world.package("m", "1.0").file("dkms.conf", garbage);
    world.dkms(&["add", "m/1.0"]).exits(8);
    assert!(world.tree().is_empty());
}

#[test]
fn badly_behaved_conf_does_not_stop_us() {
    let world = World::new();
    world.package("m", "1.0").conf(
        "yes 2>/dev/null | head -c 200000\nyes | head -c 200000 >&2\nsleep 3 &\ntrap 'echo bye' EXIT\n: $(true)",
    );
    let begin = Instant::now();
    world.ok(&["-q", "add", "m/1.0"]);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    world.package("killer", "1.0").conf("kill -9 $$");
    let ended = world.dkms(&["add", "killer/1.0"]);
    assert_ne!(ended.code, Some(0));
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn a_source_that_vanished_makes_the_package_broken() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    fs::remove_dir_all(&package.dir).unwrap();
    for action in ["build", "install"] {
        world.dkms(&[action, "m/1.0", "--force"]).exits(4).complains("m/1.0 is broken!");
    }
    assert_eq!(world.status(), ["m/1.0: broken"]);
    world.package("m", "1.0");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn source_with_link_loops_is_copied_unchanged() {
    let world = World::new();
    let package = world
        .package("m", "1.0")
        .file("a b/c\nd", "odd")
        .recipe("test -L loop/self && test -f 'a b/c\nd' || exit 1");
    fs::create_dir(package.dir.join("loop")).unwrap();
    symlink("..", package.dir.join("loop/self")).unwrap();
    symlink("/nonexistent", package.dir.join("dangling")).unwrap();
    nix::unistd::mkfifo(&package.dir.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    world.ok(&["build", "m/1.0"]);
}

#[test]
fn a_tree_that_is_a_file_is_reported() {
    let world = World::new();
    world.package("m", "1.0");
    fs::remove_dir(world.path("/var/lib/dkms")).unwrap();
    world.write("/var/lib/dkms", "not a directory");
    let before = world.everything();
    world.dkms(&["add", "m/1.0"]).exits(1).complains("Error! ");
    world.dkms(&["autoinstall"]).exits(1);
    world.ok(&["status"]).prints(&[]);
    assert_eq!(world.everything(), before);
}

#[test]
fn who_may_not_write_is_reported_so() {
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    world.package("m", "1.0");
    let tree = world.path("/var/lib/dkms");
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o555)).unwrap();
    for action in ["add", "build", "install"] {
        world.dkms(&[action, "m/1.0"]).exits(1).complains("Error! ");
    }
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(world.tree().is_empty());
}

#[test]
fn a_closed_standard_output_is_no_error() {
    let world = World::new();
    world.package("m", "1.0");
    world.shell("dkms install m/1.0 >&- 2>&- </dev/null").exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.shell("dkms status >/dev/full").exits(0);
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let world = World::new();
    let before = world.everything();
    let ended = world.shell("dkms add \"$(printf 'm\\377/1.0')\"");
    assert_ne!(ended.code, Some(0));
    assert_eq!(world.everything(), before);
}

#[test]
fn missing_tools_are_named() {
    let mut world = World::new();
    world.package("m", "1.0");
    fs::remove_file(world.scratch("../bin/strip")).unwrap();
    let bin = world.scratch("../bin").display().to_string();
    let tools = world.scratch("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["bash", "sh", "find", "cp", "env", "true"] {
        let real = ["/usr/bin", "/bin"].iter().map(|dir| format!("{dir}/{tool}"));
        let real = real.into_iter().find(|path| fs::metadata(path).is_ok()).unwrap();
        symlink(real, tools.join(tool)).unwrap();
    }
    world.set("PATH", &format!("{bin}:{}", tools.display()));
    // Without strip the module keeps its debug information; without depmod nothing can be loaded.
    fs::remove_file(world.scratch("../bin/depmod")).unwrap();
    world.dkms(&["install", "m/1.0"]).exits(6).complains("strip").complains("depmod");
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}
