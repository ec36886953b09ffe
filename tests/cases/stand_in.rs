//! A kernel that has no version of a package after an upgrade keeps the build that it used.

use crate::replaced::{
    FAILS, NEW, ONLY_ON_FIRST, STORE, come, configure, go, kept, machine, maintainer_script, upgrade,
};
use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

const UNWANTED: &str = "BUILD_EXCLUSIVE_KERNEL=\"^5\\\\..*\"";

/// What does not want a kernel leaves it to the version before as well, and nothing is tried at each run.
#[rstest]
#[case::directive(UNWANTED)]
#[case::script("PRE_BUILD=no.sh")]
fn version_before_stays_where_new_one_is_unwanted(#[case] conf: &str) {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.package("m", "2.0").conf(conf).script("no.sh", "exit 77");
    let ended = configure(&world, "2.0");
    ended.exits(0).complains("m/1.0, which it replaced, stays in use there");
    let expected = [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()];
    assert_eq!(world.status(), expected);
    world.ok(&["autoinstall"]);
    // What has a reason not to want a kernel says more than the version before knows: only what was in use stays.
    world.kernel(NEW).headers();
    for _ in 0..2 {
        world.ok(&["autoinstall", "-k", NEW]).is_silent_about("registered again");
        assert_eq!(world.status(), expected);
    }
    world.ok(&["check", "-k", K]);
}

/// It would only be a name in the list.
#[test]
fn version_that_is_unwanted_too_stays_where_it_is() {
    let world = machine();
    world.write("/etc/dkms/m-1.0.conf", "BUILD_EXCLUSIVE_KERNEL=\"^6\\.1\\..*\"\n");
    upgrade(&world, "1.0", "2.0", ONLY_ON_FIRST).exits(0);
    world.kernel(NEW).headers();
    for _ in 0..2 {
        world.dkms(&["autoinstall", "-k", NEW]).exits(11).is_silent_about("registered again");
        assert_eq!(world.status(), [line("m/2.0", K, "installed")]);
    }
}

/// Works on one kernel in its new version only, and on another one in none.
#[test]
fn failure_of_old_version_is_not_tried_again() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", ONLY_ON_FIRST).exits(0);
    let source = world.path(format!("{STORE}/m/1.0/source/recipe"));
    fs::write(source, FAILS).unwrap();
    world.kernel(NEW).headers();
    world.dkms(&["autoinstall", "-k", NEW]).exits(11);
    let made = world.calls("make").len();
    world.dkms(&["autoinstall", "-k", NEW]).exits(11).is_silent_about("registered again");
    world.ok(&["autoinstall", "-k", K]);
    world.dkms(&["autoinstall", "-k", NEW]).exits(11);
    assert_eq!(world.calls("make").len(), made);
}

/// Who goes back to an older version has a driver in any case, and the older one as soon as it works.
#[rstest]
#[case::older("2.0", "1.0")]
#[case::candidate("1.0", "1.0~rc1")]
fn version_before_stays_where_downgrade_fails(#[case] from: &str, #[case] to: &str) {
    let world = World::new();
    world.depmod_indexes();
    come(&world, from, "true").exits(0);
    upgrade(&world, from, to, FAILS).exits(0).complains("stays in use there");
    let status = world.status();
    assert!(status.contains(&line(&format!("m/{from}"), K, "installed")), "{status:?}");
    world.ok(&["autoinstall"]).is_silent_about("Building");
    assert_eq!(world.status(), status);
    // On a kernel that comes now the older one is tried first.
    world.kernel(NEW).headers();
    world.write(&format!("/usr/src/m-{to}/recipe"), "true");
    world.ok(&["autoinstall", "-k", NEW]);
    assert!(world.status().contains(&line(&format!("m/{to}"), NEW, "installed")), "{:?}", world.status());
    upgrade(&world, to, to, "true").exits(0);
    assert!(world.status().contains(&line(&format!("m/{to}"), K, "installed")), "{:?}", world.status());
}

/// Whatever keeps the new version from working, the kernel keeps the build that it had, and nothing is compiled for that.
#[rstest]
#[case::no_headers("", "rm -r $DKMS_ROOT/lib/modules/*/build")]
#[case::waits_for_another("BUILD_DEPENDS[0]=spl", "true")]
#[case::needs_one_that_fails("BUILD_DEPENDS[0]=fails", "true")]
#[case::disabled("", "dkms disable m/2.0")]
#[case::invalid("DEST_MODULE_LOCATION[1]=/none", "true")]
#[case::no_make("MAKE=no-such-program", "true")]
fn kernel_keeps_its_build_whatever_the_reason(#[case] conf: &str, #[case] change: &str) {
    let world = machine();
    world.package("fails", "1.0").recipe(FAILS);
    world.ok(&["add", "fails/1.0"]);
    go(&world, "1.0", "upgrade").exits(0);
    world.shell(change).exits(0);
    world.package("m", "2.0").recipe("true").conf(conf);
    let made = || world.calls("make").into_iter().filter(|call| call.contains("/m/1.0/")).count();
    configure(&world, "2.0").complains("stays in use");
    let installed = line("m/1.0", K, "installed");
    assert!(world.status().contains(&installed), "{:?}", world.status());
    for _ in 0..2 {
        world.dkms(&["autoinstall"]).is_silent_about("on m will not work");
        assert!(world.status().contains(&installed), "{:?}", world.status());
    }
    assert_eq!(made(), 1);
}

/// As a script may do it: it tries the new version in autoinstall alone.
#[test]
fn autoinstall_keeps_the_build_in_use_as_well() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.package("m", "2.0");
    world.ok(&["add", "m/2.0"]);
    fs::remove_dir_all(world.path(format!("/lib/modules/{K}/build"))).unwrap();
    world.dkms(&["autoinstall"]).complains("m/1.0, which it replaced, stays in use there");
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
}

#[test]
fn build_in_use_needs_not_be_current() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    // With another compiler or other headers it could not be built again.
    fs::write(world.path(format!("{STORE}/m/1.0/source/recipe")), FAILS).unwrap();
    come(&world, "2.0", FAILS).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
}

#[test]
fn revision_that_fails_leaves_build_of_the_one_before() {
    let world = machine();
    let ended = upgrade(&world, "1.0", "1.0", FAILS);
    ended.exits(0).complains("m/1.0 stays in use").is_silent_about("will not work");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    let ended = world.dkms(&["autoinstall"]);
    ended
        .exits(11)
        .complains(&format!("Kernel {K} keeps an earlier build of m."))
        .is_silent_about("will not work");
    upgrade(&world, "1.0", "2.0", FAILS).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
}

/// Each fails on the new kernel but the oldest one.
#[test]
fn versions_are_tried_until_one_builds() {
    let world = machine();
    world.write("/etc/dkms/framework.conf", "keep_versions=2\n");
    upgrade(&world, "1.0", "2.0", ONLY_ON_FIRST).exits(0);
    upgrade(&world, "2.0", "3.0", ONLY_ON_FIRST).exits(0);
    world.kernel(NEW).headers();
    world
        .ok(&["autoinstall", "-k", NEW])
        .complains("m/3.0 does not build for kernel 6.2.0-1-amd64; m/1.0 is used there");
    assert!(world.status().contains(&line("m/1.0", NEW, "installed")), "{:?}", world.status());
}

/// A driver went into the kernel, and the last version says so.
#[rstest]
#[case::unwanted("true", "BUILD_EXCLUSIVE_KERNEL=\"^6\\.1\\..*\"")]
#[case::fails(ONLY_ON_FIRST, "")]
fn kernel_with_driver_of_its_own_is_left_alone(#[case] recipe: &str, #[case] conf: &str) {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.package("m", "2.0").recipe(recipe).conf(conf);
    configure(&world, "2.0").exits(0);
    world.kernel(NEW).headers().module("kernel/drivers/misc/m.ko", "9.0", "THEIRS");
    world.dkms(&["autoinstall", "-k", NEW]);
    let made = world.calls("make").len();
    for _ in 0..2 {
        world.dkms(&["autoinstall", "-k", NEW]).is_silent_about("registered again");
        world.ok(&["autoinstall"]);
    }
    assert_eq!(world.calls("make").len(), made);
}

/// Two upgrades come while it is not booted, and only what it used before works there.
#[test]
fn kernel_that_waits_has_its_version_kept() {
    let world = machine();
    world.kernel(NEW).headers();
    world.ok(&["autoinstall", "-k", NEW]);
    for (from, to) in [("1.0", "2.0"), ("2.0", "3.0")] {
        go(&world, from, "upgrade").exits(0);
        world.package("m", to).recipe(ONLY_ON_FIRST);
        maintainer_script(&world, "postinst", "configure", &format!("dkms install m/{to} -k {K}")).exits(0);
    }
    assert_eq!(kept(&world), ["1.0", "2.0"]);
    world.ok(&["autoinstall", "-k", NEW]).complains("m/1.0 is used there");
    assert!(world.status().contains(&line("m/1.0", NEW, "installed")), "{:?}", world.status());
}

/// What a person says of a kernel counts more than what was there.
#[rstest]
#[case::excluded("echo 'BUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"' > $DKMS_ROOT/etc/dkms/m.conf")]
#[case::disabled("dkms disable m")]
fn nothing_stands_in_against_a_persons_word(#[case] word: &str) {
    let world = machine();
    world.shell(word).exits(0);
    upgrade(&world, "1.0", "2.0", "true").is_silent_about("stays in use");
    for _ in 0..2 {
        world.ok(&["autoinstall"]).is_silent_about("registered again");
        assert_eq!(world.status(), ["m/2.0: added"]);
    }
}

/// The new version worked, so that the old one is not what the kernel used last.
#[rstest]
#[case::disabled("dkms disable m/2.0 && dkms uninstall m/2.0")]
#[case::excluded(
    "dkms uninstall m/2.0; echo 'BUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"' > $DKMS_ROOT/etc/dkms/m-2.0.conf"
)]
fn version_that_was_done_with_does_not_stand_in(#[case] word: &str) {
    let world = machine();
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    world.shell(word).exits(0);
    world.ok(&["autoinstall"]).is_silent_about("registered again");
    assert_eq!(world.status(), [line("m/2.0", K, "built")]);
}

#[rstest]
#[case::remove("dkms remove m/1.0 -k 6.1.0-1-amd64")]
#[case::uninstall("dkms uninstall m/1.0")]
#[case::unbuild("dkms unbuild m/1.0")]
fn what_a_person_takes_away_does_not_come_back(#[case] command: &str) {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.package("m", "2.0").conf(UNWANTED);
    configure(&world, "2.0").exits(0);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
    world.shell(command).exits(0);
    world.ok(&["autoinstall"]);
    world.hook("boot", &[]);
    assert!(!world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
}

/// What stands in comes back when the trial is over.
#[test]
fn trial_by_hand_ends_where_it_began() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.package("m", "2.0").conf(UNWANTED);
    configure(&world, "2.0").exits(0);
    world.package("m", "3.0");
    world.ok(&["install", "m/3.0"]);
    world.ok(&["remove", "m/3.0", "--all"]);
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
}

/// An upgrade does not build for every kernel.
#[test]
fn kernels_that_wait_keep_what_they_have() {
    let world = machine();
    let waits = "5.10.0-1-amd64";
    for kernel in [waits, NEW] {
        world.kernel(kernel).headers();
        world.ok(&["autoinstall", "-k", kernel]);
    }
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    assert!(world.status().contains(&line("m/1.0", waits, "installed")), "{:?}", world.status());
    for kernel in [waits, NEW] {
        world.ok(&["autoinstall", "-k", kernel]);
    }
    let expected = [waits, K, NEW].map(|kernel| line("m/2.0", kernel, "installed"));
    assert_eq!(world.status(), expected);
}

/// No build of the new version is remembered as failed, so each run tries it again, and nothing else.
#[test]
fn failure_that_may_pass_brings_nothing_back() {
    let world = machine();
    let killed = "[ $kernelver = 6.1.0-1-amd64 ] || kill -9 $$";
    upgrade(&world, "1.0", "2.0", killed).exits(0);
    world.kernel(NEW).headers();
    for _ in 0..2 {
        world.dkms(&["autoinstall", "-k", NEW]).exits(11).is_silent_about("registered again");
    }
}

#[rstest]
#[case::no_headers("", "rm -r $DKMS_ROOT/lib/modules/*/build")]
#[case::waits_for_another("BUILD_DEPENDS[0]=spl", "true")]
fn check_knows_that_a_build_stands_in(#[case] conf: &str, #[case] change: &str) {
    let world = machine();
    world.write("/etc/dkms/framework.conf", "boot_default=keep-complete\n");
    go(&world, "1.0", "upgrade").exits(0);
    world.shell(change).exits(0);
    world.package("m", "2.0").conf(conf);
    configure(&world, "2.0");
    let checked = world.dkms(&["check", "--format", "json"]).stdout;
    assert!(checked.contains("\"stale\"") && !checked.contains("\"missing\""), "{checked}");
}

#[test]
fn kernel_that_got_the_driver_itself_keeps_its_own() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.kernel(K).module("kernel/drivers/misc/m.ko", "9.0", "THEIRS");
    world.package("m", "2.0").conf(UNWANTED);
    configure(&world, "2.0").exits(0);
    for _ in 0..2 {
        world.ok(&["autoinstall"]).is_silent_about("Error!").is_silent_about("registered again");
    }
    assert_eq!(world.status(), ["m/2.0: added"]);
}

#[test]
fn build_that_was_damaged_does_not_stand_in() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.write(&format!("{STORE}/m/1.0/{K}/{}/module/m.ko", *A), "garbage");
    come(&world, "2.0", FAILS).exits(0);
    let module = fs::read(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko")));
    assert!(module.is_ok_and(|module| module != b"garbage"), "it was compiled");
}
