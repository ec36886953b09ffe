//! Trees that are broken, each by commands, kills and deletions as they happen; what check, fsck and remove say of them
//! before, and that all is well after.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

const GONE: &str = "5.10.0-9-amd64";

fn machine() -> World {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.depmod_indexes();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world
}

fn out(file: &str) -> String {
    format!("/var/lib/dkms/m/1.0/{K}/{}/{file}", *A)
}

fn link() -> String {
    format!("/var/lib/dkms/m/kernel-{K}-{}", *A)
}

fn delete(world: &World, path: &str) {
    let path = world.path(path);
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// The source was deleted by hand, or by a package that did not call `dkms remove`.
fn source_deleted(world: &World) {
    delete(world, "/usr/src/m-1.0");
}

/// The same before anything was built.
fn source_deleted_before_a_build(world: &World) {
    world.package("n", "1.0");
    world.ok(&["add", "n/1.0"]);
    delete(world, "/usr/src/n-1.0");
}

/// The link to the source was lost, and the source is there.
fn source_link_dangles(world: &World) {
    delete(world, "/var/lib/dkms/m/1.0/source");
    std::os::unix::fs::symlink("/nowhere", world.path("/var/lib/dkms/m/1.0/source")).unwrap();
}

/// The build was deleted to save space.
fn build_deleted(world: &World) {
    delete(world, &format!("/var/lib/dkms/m/1.0/{K}"));
}

/// The active link was lost, as old versions did when they were interrupted.
fn link_deleted(world: &World) {
    delete(world, &link());
}

/// A kernel was deleted without its package's scripts.
fn kernel_deleted(world: &World) {
    world.kernel(GONE).headers();
    world.ok(&["install", "m/1.0", "-k", GONE]);
    delete(world, &format!("/lib/modules/{GONE}"));
}

/// The whole package was deleted from the tree, with what it kept.
fn package_deleted(world: &World) {
    delete(world, "/var/lib/dkms/m");
}

/// All but the originals.
fn only_originals_left(world: &World) {
    delete(world, "/var/lib/dkms/m/1.0");
    delete(world, &link());
    delete(world, &format!("/lib/modules/{K}/updates/dkms/m.ko"));
}

/// Records were written while the disk was full.
fn records_cut(world: &World) {
    for record in [".dkms-build.json", ".dkms-install.json"] {
        world.write(&out(record), "{\"format\":1,");
    }
}

/// Killed while it built.
fn killed_in_a_build(world: &World) {
    world.package("slow", "1.0").recipe(": > \"$DKMS_SCRATCH/begun\"; sleep 2");
    world.ok(&["add", "slow/1.0"]);
    let running = world.start(&["build", "slow/1.0"]);
    crate::world::wait_until("the build begins", || world.scratch("begun").exists());
    running.kill();
    fs::write(world.path("/usr/src/slow-1.0/recipe"), "").unwrap();
}

/// What writers that were killed leave.
fn temporary_files(world: &World) {
    world.write("/var/lib/dkms/m/.dkms-abc123", "");
    world.write(&out(".dkms-XYZ789"), "");
    world.write(&format!("/lib/modules/{K}/updates/dkms/.dkms-q1w2e3"), "");
    world.write(&format!("/var/lib/dkms/m/1.0/{K}/.tmp_{}_aBcDeF/build/m.ko", *A), "");
}

/// A module that was copied there by hand.
fn stranger(world: &World) {
    world.write(&format!("/lib/modules/{K}/updates/dkms/stranger.ko"), "whose?");
}

/// The kernel was removed while no hook of ours was there: its directory stays for our module.
fn kernel_hollow(world: &World) {
    world.kernel(GONE).headers();
    world.ok(&["install", "m/1.0", "-k", GONE]);
    for name in ["kernel", "build"] {
        delete(world, &format!("/lib/modules/{GONE}/{name}"));
    }
}

/// What we keep for the kernel was deleted.
fn original_deleted(world: &World) {
    delete(world, &format!("/var/lib/dkms/m/original_module/{K}/{}/m.ko", *A));
}

struct Broken {
    make: fn(&World),
    /// Part of what fsck says, and whether check finds the machine incomplete.
    fsck: &'static str,
    check: i32,
    /// What status says after the repair.
    status: &'static [&'static str],
}

const INSTALLED: &str = "m/1.0 installed";
const WITH_ORIGINAL: &str = "m/1.0 installed (Original modules exist)";

const SOURCE: Broken = Broken {
    make: source_deleted,
    fsck: "has no source any more, and 1 builds",
    check: 0,
    status: &[WITH_ORIGINAL],
};
const SOURCE_NO_BUILD: Broken = Broken {
    make: source_deleted_before_a_build,
    fsck: "n/1.0 has no source any more, and no build",
    check: 1,
    status: &[WITH_ORIGINAL],
};
const SOURCE_LINK: Broken =
    Broken { make: source_link_dangles, fsck: "has no source any more", check: 0, status: &[WITH_ORIGINAL] };
const BUILD: Broken =
    Broken { make: build_deleted, fsck: "this link leads to no build", check: 1, status: &["m/1.0: added"] };
const LINK: Broken =
    Broken { make: link_deleted, fsck: "but not recorded as installed", check: 1, status: &[WITH_ORIGINAL] };
const KERNEL: Broken =
    Broken { make: kernel_deleted, fsck: "which is gone", check: 0, status: &[WITH_ORIGINAL] };
const PACKAGE: Broken =
    Broken { make: package_deleted, fsck: "no package has this module", check: 0, status: &[] };
const ORIGINALS: Broken =
    Broken { make: only_originals_left, fsck: "nothing replaces this module", check: 0, status: &[] };
const RECORDS: Broken =
    Broken { make: records_cut, fsck: "this record cannot be read", check: 0, status: &[WITH_ORIGINAL] };
const KILLED: Broken = Broken {
    make: killed_in_a_build,
    fsck: "a run was interrupted",
    check: 1,
    status: &[WITH_ORIGINAL, "slow/1.0: added"],
};
const TEMPORARY: Broken = Broken {
    make: temporary_files,
    fsck: "left by a process that is dead",
    check: 0,
    status: &[WITH_ORIGINAL],
};
const STRANGER: Broken =
    Broken { make: stranger, fsck: "no package has this module", check: 0, status: &[WITH_ORIGINAL] };

const KERNEL_HOLLOW: Broken =
    Broken { make: kernel_hollow, fsck: "which is gone", check: 0, status: &[WITH_ORIGINAL] };
const ORIGINAL_LOST: Broken =
    Broken { make: original_deleted, fsck: "that m/1.0 replaced is gone", check: 0, status: &[INSTALLED] };

#[rstest]
#[case::original_lost(&ORIGINAL_LOST)]
#[case::kernel_hollow(&KERNEL_HOLLOW)]
#[case::source(&SOURCE)]
#[case::source_without_build(&SOURCE_NO_BUILD)]
#[case::source_link(&SOURCE_LINK)]
#[case::build(&BUILD)]
#[case::link(&LINK)]
#[case::kernel(&KERNEL)]
#[case::package(&PACKAGE)]
#[case::originals(&ORIGINALS)]
#[case::records(&RECORDS)]
#[case::killed(&KILLED)]
#[case::temporary(&TEMPORARY)]
#[case::stranger(&STRANGER)]
fn fsck_repairs_what_it_finds(#[case] broken: &Broken) {
    let world = machine();
    world.ok(&["fsck"]).prints(&[&format!("{} is consistent.", world.path("/var/lib/dkms").display())]);
    (broken.make)(&world);
    let before = world.everything();
    world.dkms(&["fsck"]).exits(1).says(broken.fsck).complains("dkms fsck --repair");
    world.dkms(&["check", "-k", K]).exits(broken.check);
    assert_eq!(world.everything(), before, "looking changes nothing");
    world.ok(&["fsck", "--repair"]);
    world.ok(&["fsck"]);
    world.ok(&["fsck", "--repair"]).is_silent_about("repaired");
    let wanted: Vec<String> = broken
        .status
        .iter()
        .map(|text| match text.split_once(" installed") {
            Some((package, rest)) => line(package, K, &format!("installed{rest}")),
            None => (*text).to_owned(),
        })
        .collect();
    assert_eq!(world.status(), wanted);
    // The kernel has the module, ours or its own.
    let ours = world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko"));
    let own = world.has(&format!("/lib/modules/{K}/kernel/drivers/misc/m.ko"));
    let lost_with_the_package = broken.fsck == PACKAGE.fsck && broken.status.is_empty();
    assert!(ours || own || lost_with_the_package, "the kernel lacks the module");
}

#[rstest]
#[case::source(&SOURCE)]
#[case::source_link(&SOURCE_LINK)]
#[case::build(&BUILD)]
#[case::link(&LINK)]
#[case::kernel(&KERNEL)]
#[case::records(&RECORDS)]
#[case::temporary(&TEMPORARY)]
fn remove_leaves_nothing_of_it_behind(#[case] broken: &Broken) {
    let world = machine();
    (broken.make)(&world);
    world.ok(&["remove", "m/1.0", "--all", "--force"]);
    assert_eq!(world.tree(), Vec::<String>::new());
    let modules: Vec<String> =
        world.names("/lib/modules").into_iter().filter(|name| name.ends_with("m.ko")).collect();
    assert_eq!(modules, [format!("{K}/kernel/drivers/misc/m.ko")], "the kernel has its own module again");
}
