//! What a dkms.conf said that needs bash is remembered for those who only look.

use crate::world::{A, K, World};
use rstest::rstest;
use std::fs;

/// A package that bash has to read, does not want the kernel, and tells when it is evaluated.
fn world() -> World {
    let world = World::new();
    world.write("/etc/dkms/framework.conf.d/10-open.conf", "build_isolation=off\n");
    world.kernel(K).config("CONFIG_OLD=y\n");
    fs::write(world.path(format!("/lib/modules/{K}/build/Module.symvers")), "old\n").unwrap();
    let counts = "echo read >>$DKMS_SCRATCH/read; case $kernelver in *) ;; esac\n";
    world.package("m", "1.0").conf(counts).conf("BUILD_EXCLUSIVE_KERNEL=^5");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["autoinstall"]);
    forget(&world);
    world
}

fn forget(world: &World) {
    let _ = fs::remove_file(world.scratch("read"));
}

fn times_read(world: &World) -> usize {
    fs::read_to_string(world.scratch("read")).unwrap_or_default().lines().count()
}

#[test]
fn looks_do_not_evaluate_it_again() {
    let world = world();
    world.ok(&["autoinstall"]);
    world.dkms(&["check"]);
    world.dkms(&["why", "m"]);
    world.hook("kernel-postinst", &[K]).exits(0);
    assert_eq!(times_read(&world), 0);
    // What a person asks for is read anew.
    world.dkms(&["install", "m/1.0"]).exits(77);
    assert!(times_read(&world) > 0);
}

#[rstest]
#[case::conf("echo '# new' >>$DKMS_ROOT/usr/src/m-1.0/dkms.conf")]
#[case::source("echo new >$DKMS_ROOT/usr/src/m-1.0/version")]
#[case::overrides("echo NO_WEAK_MODULES=yes >$DKMS_ROOT/etc/dkms/m.conf")]
#[case::kernel("echo new >>$DKMS_ROOT/lib/modules/$K/build/Module.symvers")]
#[case::settings("echo tmp_location=/var/tmp >>$DKMS_ROOT/etc/dkms/framework.conf")]
#[case::next_day("sed -i 's/\"at\": *[0-9]*/\"at\":1/' $record")]
#[case::future("sed -i 's/\"at\": *[0-9]*/\"at\":99999999999/' $record")]
#[case::broken("echo broken >$record")]
fn change_of_what_it_was_read_from_counts(#[case] change: &str) {
    let world = world();
    let record = world.path(format!("/var/lib/dkms/m/1.0/.dkms-conf-{K}-{}.json", *A));
    assert!(record.is_file());
    world.shell(&format!("K={K} record={}; {change}", record.display())).exits(0);
    world.dkms(&["autoinstall"]);
    assert!(times_read(&world) > 0);
    forget(&world);
    world.dkms(&["autoinstall"]);
    assert_eq!(times_read(&world), 0);
}

#[test]
fn failed_and_installed_packages_are_remembered_as_well() {
    let world = World::new();
    world.write("/etc/dkms/framework.conf.d/10-open.conf", "build_isolation=off\n");
    let counts = "echo read >>$DKMS_SCRATCH/read; case $kernelver in *) ;; esac\n";
    world.package("good", "1.0").conf(counts);
    world.package("bad", "1.0").conf(counts).recipe("exit 2");
    for id in ["good/1.0", "bad/1.0"] {
        world.ok(&["add", id]);
    }
    world.dkms(&["autoinstall"]).exits(11);
    forget(&world);
    world.dkms(&["autoinstall"]).exits(11);
    world.hook("kernel-postinst", &[K]);
    world.dkms(&["check"]).exits(1);
    assert_eq!(times_read(&world), 0);
}

#[test]
fn directive_of_the_command_line_reads_anew() {
    let world = world();
    world.dkms(&["autoinstall", "--directive", "BUILD_EXCLUSIVE_KERNEL="]);
    assert!(times_read(&world) > 0);
    assert!(world.status().iter().any(|row| row.ends_with(": installed")), "{:?}", world.status());
}

#[test]
fn removed_kernel_takes_it_along() {
    let world = world();
    let record = format!("/var/lib/dkms/m/1.0/.dkms-conf-{K}-{}.json", *A);
    assert!(world.has(&record));
    world.hook("kernel-prerm", &[K]);
    assert!(!world.has(&record), "{:?}", world.tree());
    world.ok(&["fsck"]);
}
