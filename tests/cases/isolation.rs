//! What is wrong with one package, or with one place of the machine, concerns nothing else.

use crate::world::{A, Ended, K, World, elf, line};
use rstest::rstest;
use std::fs;

/// Runs a shell line in a mount namespace of its own, where it can make places full or read-only.
fn apart(world: &World, script: &str) -> Ended {
    let namespace = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
    let dkms = env!("CARGO_BIN_EXE_dkms");
    world.shell(&format!(
        "unshare {namespace} sh -c 'root=\"{}\"; modules=$root/lib/modules/{K}; dkms={dkms}; {script}'",
        world.root().display()
    ))
}

#[test]
fn each_flaw_of_a_package_is_its_own() {
    let world = World::new();
    world.package("a-good", "1.0");
    world.package("bad-conf", "1.0");
    world.package("gone", "1.0");
    world.package("pre-build", "1.0").conf("PRE_BUILD=no.sh").script("no.sh", "exit 3");
    world.package("pre-install", "1.0").conf("PRE_INSTALL=no.sh").script("no.sh", "exit 3");
    world.package("post-install", "1.0").conf("POST_INSTALL=no.sh").script("no.sh", "exit 3");
    world.package("compiler", "1.0").recipe("echo 'x.c:1: error: no' >&2; exit 2");
    world.package("killed", "1.0").recipe("kill -9 $$");
    world.package("z-good", "1.0");
    let names = [
        "a-good",
        "bad-conf",
        "gone",
        "pre-build",
        "pre-install",
        "post-install",
        "compiler",
        "killed",
        "z-good",
    ];
    names.iter().for_each(|name| drop(world.ok(&["add", &format!("{name}/1.0")])));
    world.write(
        "/usr/src/bad-conf-1.0/dkms.conf",
        "PACKAGE_NAME=bad-conf\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME[0]=m\nAUTOINSTALL=yes\n",
    );
    fs::remove_dir_all(world.path("/usr/src/gone-1.0")).unwrap();
    let ended = world.dkms(&["autoinstall"]);
    ended.exits(11);
    for name in ["bad-conf", "gone", "pre-build", "pre-install", "compiler", "killed"] {
        ended.complains(&format!("{name}/1.0"));
    }
    let status = world.status();
    for name in ["a-good", "post-install", "z-good"] {
        assert!(status.contains(&line(&format!("{name}/1.0"), K, "installed")), "{name}: {status:#?}");
    }
    assert_eq!(status.iter().filter(|row| row.contains(": installed")).count(), 3, "{status:#?}");
}

#[rstest]
#[case::full(
    "mount -t tmpfs -o size=8k none $modules/kernel/m; head -c 8192 /dev/zero >$modules/kernel/m/full",
    "No space left"
)]
#[case::read_only("mount -t tmpfs -o ro none $modules/kernel/m", "Read-only file system")]
fn unwritable_place_fails_its_package_only(#[case] mount: &str, #[case] why: &str) {
    let world = World::new();
    world.write("/etc/os-release", "ID=unknown\n");
    world.kernel(K).module("kernel/net/m.ko", "0.9", "OLD");
    fs::create_dir_all(world.path(format!("/lib/modules/{K}/kernel/m"))).unwrap();
    world.package("m", "1.0").conf("DEST_MODULE_LOCATION[0]=/kernel/m");
    world.package("other", "1.0").conf("DEST_MODULE_LOCATION[0]=/extra");
    for name in ["m", "other"] {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let ended = apart(&world, &format!("{mount}; $dkms autoinstall"));
    ended.exits(11).complains(why).complains("/kernel/m/m.ko").complains("m/1.0");
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("other/1.0", K, "installed")]);
    let own = world.path(format!("/lib/modules/{K}/kernel/net/m.ko"));
    assert_eq!(fs::read(own).unwrap(), elf::versioned("m", "0.9", "OLD"), "the kernel's own is where it was");
    // Where there is room again, the next run needs no word from anybody.
    world.ok(&["autoinstall"]);
    assert!(world.status()[0].starts_with(&line("m/1.0", K, "installed")), "{:?}", world.status());
}

#[test]
fn read_only_kernel_leaves_others_alone() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("m", "1.0");
    world.package("n", "1.0");
    for name in ["m", "n"] {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let freeze = format!(
        "mount --bind $root/lib/modules/{K} $root/lib/modules/{K}; mount -o remount,ro,bind $root/lib/modules/{K}"
    );
    let ended = apart(
        &world,
        &format!("{freeze}; $dkms autoinstall -k {K}; code=$?; $dkms autoinstall -k 6.2 && exit $code"),
    );
    ended.exits(11).complains("Read-only file system").complains("m/1.0").complains("n/1.0");
    let status = world.status();
    for name in ["m/1.0", "n/1.0"] {
        assert!(
            status.contains(&line(name, K, "built")) && status.contains(&line(name, "6.2", "installed")),
            "{status:#?}"
        );
    }
    world.ok(&["autoinstall", "-k", K]);
    assert_eq!(world.calls("make").len(), 4, "what was built is built");
}

#[test]
fn full_tree_loses_nothing() {
    let world = World::new();
    world.package("small", "1.0");
    world.ok(&["install", "small/1.0"]);
    world.package("big", "1.0").recipe("head -c 9000000 /dev/zero >fill || exit 1");
    world.ok(&["add", "big/1.0"]);
    let before = world.tree();
    let fill = "mkdir $root/full; mount -t tmpfs -o size=4m none $root/full; cp -a $root/var/lib/dkms/. $root/full; mount --bind $root/full $root/var/lib/dkms";
    let ended = apart(
        &world,
        &format!(
            "{fill}; $dkms autoinstall; code=$?; cat $root/var/lib/dkms/big/1.0/build/make.log >&2; find $root/var/lib/dkms -name fill; $dkms status >&2; $dkms uninstall small/1.0 && $dkms remove small/1.0 --all && exit $code"
        ),
    );
    ended.exits(11).complains("No space left").complains("big/1.0").complains(&line(
        "small/1.0",
        K,
        "installed",
    ));
    assert!(!ended.stdout.contains("/fill"), "{}", ended.stdout);
    assert_eq!(world.tree(), before, "the place that was full is another one");
    assert!(world.has(&format!("/var/lib/dkms/small/1.0/{K}/{}/module/small.ko", *A)));
    // A build that ran out of room is not remembered as one that fails.
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&line("big/1.0", K, "installed")));
}

/// As few inodes as a tree can have: with each number more the command comes a step further.
#[test]
fn add_that_runs_out_of_inodes_leaves_nothing() {
    let world = World::new();
    world.package("m", "1.0");
    let mut failed = 0;
    for inodes in 2..40 {
        let mount = format!(
            "mount -t tmpfs -o nr_inodes={inodes},mode=755 none $root/var/lib/dkms; cd $root/var/lib/dkms"
        );
        let after = "find . -mindepth 1 ! -name .lock; echo ---; $dkms status; $dkms autoinstall >&2";
        let ended = apart(&world, &format!("{mount}; $dkms add m/1.0 >&2; code=$?; {after}; exit $code"));
        let (left, status) = ended.stdout.split_once("---").unwrap();
        if ended.code == Some(0) {
            assert!(status.contains("m/1.0: added"), "{ended:?}");
            break;
        }
        failed += 1;
        assert_eq!((left.trim(), status.trim()), ("", ""), "{ended:?}");
        ended.complains("No space left").is_silent_about("broken").is_silent_about("unfinished");
    }
    assert!((1..38).contains(&failed), "it failed, and then did not: {failed}");
}

#[rstest]
#[case::uninstall("uninstall m/1.0")]
#[case::remove("remove m/1.0 --all")]
#[case::unbuild("unbuild m/1.0 --all")]
fn refused_removal_is_not_carried_out_later(#[case] command: &str) {
    let world = World::new();
    world.package("m", "1.0");
    world.package("n", "1.0");
    world.ok(&["install", "m/1.0"]);
    let before = (world.status(), world.names(&format!("/lib/modules/{K}")), world.depmods(K));
    let freeze =
        "mount --bind $root/lib/modules $root/lib/modules; mount -o remount,ro,bind $root/lib/modules";
    let ended = apart(&world, &format!("{freeze}; $dkms {command}"));
    assert_ne!(ended.code, Some(0));
    ended.complains("Read-only file system").is_silent_about("run as root");
    world.ok(&["add", "n/1.0"]).is_silent_about("unfinished");
    world.ok(&["remove", "n/1.0", "--all"]).is_silent_about("unfinished");
    assert_eq!((world.status(), world.names(&format!("/lib/modules/{K}")), world.depmods(K)), before);
}

/// What the caller's shell or machine lacks is not a fault of the package: the next caller's try is a new one.
#[rstest]
#[case::no_compiler("rm $bin/kernel-cc", "kernel-cc m.c")]
#[case::file_size("ulimit -f 1", "head -c 9000000 /dev/zero >fill")]
#[case::processes("true", "echo 'sh: 1: Cannot fork: Resource temporarily unavailable'; exit 2")]
fn failure_that_the_caller_caused_is_not_remembered(#[case] limit: &str, #[case] recipe: &str) {
    let world = World::new();
    world.package("m", "1.0").recipe(&format!("{recipe} || exit 2"));
    world.program("kernel-cc", "exit 0");
    world.ok(&["add", "m/1.0"]);
    let bin = world.scratch("../bin");
    let ended = apart(&world, &format!("bin={}; {limit}; $dkms autoinstall", bin.display()));
    ended.exits(11).is_silent_about("will not retry it automatically");
    let made = world.calls("make").len();
    world.program("kernel-cc", "exit 0");
    world.dkms(&["autoinstall"]).is_silent_about("will not retry it automatically");
    assert_eq!(world.calls("make").len(), made + 1);
}

/// Skipped, a PRE_BUILD would leave a module that was compiled from something else.
#[rstest]
#[case::pre_build("PRE_BUILD", "/var/lib/dkms", 126, "added")]
#[case::post_build("POST_BUILD", "/var/lib/dkms", 126, "added")]
#[case::pre_install("PRE_INSTALL", "/usr/src", 101, "built")]
#[case::post_install("POST_INSTALL", "/usr/src", 0, "installed")]
fn script_on_a_noexec_mount_fails_with_reason(
    #[case] script: &str,
    #[case] place: &str,
    #[case] code: i32,
    #[case] state: &str,
) {
    let world = World::new();
    world.package("m", "1.0").conf(&format!("{script}=do.sh")).script("do.sh", "exit 0");
    let place = format!("$root{place}");
    let mount = format!("mount --bind {place} {place}; mount -o remount,bind,noexec {place}");
    let ended = apart(&world, &format!("{mount}; $dkms install m/1.0"));
    ended.exits(code).complains(&format!("{script} cannot run")).complains("mounted noexec");
    let wanted = match state {
        "added" => "m/1.0: added".to_owned(),
        state => line("m/1.0", K, state),
    };
    assert_eq!(world.status(), [wanted]);
    // Where the mount is another one it runs, and no failure is remembered.
    world.ok(&["autoinstall"]).is_silent_about("will not retry it automatically");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn a_script_without_x_bit_is_skipped() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("PRE_BUILD=do.sh")
        .file("do.sh", "#!/bin/sh\ntouch \"$DKMS_SCRATCH/done\"\n");
    let ended = world.ok(&["build", "m/1.0"]);
    let remedy = ended.stderr.split("To have it run: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    world.shell(&remedy).exits(0);
    world.ok(&["build", "m/1.0", "--force"]);
    assert!(world.scratch("done").exists());
}

#[rstest]
#[case("/var/lib/dkms", "add m/1.0")]
#[case("/var/lib/dkms", "install m/1.0")]
#[case("/usr/src", "add $root/../home/driver")]
fn a_read_only_place_is_called_that(#[case] place: &str, #[case] command: &str) {
    let world = World::new();
    world.package("m", "1.0");
    world.package_in(&world.scratch("driver"), "n", "1.0");
    let place = format!("$root{place}");
    let mount = format!("mount --bind {place} {place}; mount -o remount,bind,ro {place}");
    let ended = apart(&world, &format!("{mount}; $dkms {command}"));
    ended.complains("the file system is read-only").is_silent_about(" root");
    assert_ne!(ended.code, Some(0));
}
