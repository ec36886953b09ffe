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
    world.hook("kernel-postinst", &[K]).exits(0);
    assert_eq!(times_read(&world), 0);
}

#[rstest]
#[case::install(&["install", "m/1.0"])]
#[case::why(&["why", "m"])]
#[case::force(&["autoinstall", "--force"])]
fn what_a_person_asks_for_is_read_anew(#[case] line: &[&str]) {
    let world = world();
    world.dkms(line);
    assert!(times_read(&world) > 0);
}

/// A variable of one person's shell does not decide for others.
#[test]
fn variables_of_the_caller_count() {
    let mut world = World::new();
    world.package("m", "1.0").conf("AUTOINSTALL=$( [ -n \"$SKIP\" ] && echo no || echo yes)");
    world.ok(&["add", "m/1.0"]);
    world.set("SKIP", "1");
    world.ok(&["autoinstall"]);
    world.ok(&["build", "m/1.0"]);
    assert!(!world.status().iter().any(|row| row.ends_with("installed")));
    world.set("SKIP", "");
    world.ok(&["autoinstall"]);
    assert!(world.status().iter().any(|row| row.ends_with("installed")), "{:?}", world.status());
}

#[test]
fn linked_dkms_conf_counts_by_its_content() {
    let world = world();
    let conf = world.path("/usr/src/m-1.0/dkms.conf");
    let elsewhere = world.path("/etc/elsewhere.conf");
    fs::rename(&conf, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &conf).unwrap();
    world.ok(&["autoinstall"]);
    assert!(world.status().iter().all(|row| !row.ends_with("installed")));
    let text = fs::read_to_string(&elsewhere).unwrap().replace("BUILD_EXCLUSIVE_KERNEL=^5", "");
    fs::write(&elsewhere, text).unwrap();
    world.ok(&["autoinstall"]);
    assert!(world.status().iter().any(|row| row.ends_with("installed")), "{:?}", world.status());
}

#[test]
fn edit_during_an_evaluation_is_not_lost() {
    let world = World::new();
    world.write("/etc/dkms/framework.conf.d/10-open.conf", "build_isolation=off\n");
    // The file changes itself while it is read for the first time.
    let edit = "if [ ! -e $DKMS_SCRATCH/edited ]; then touch $DKMS_SCRATCH/edited; sed -i s/=^5// $source_tree/m-1.0/dkms.conf; fi\n";
    world.package("m", "1.0").conf("BUILD_EXCLUSIVE_KERNEL=^5").conf(edit);
    let conf = world.path("/usr/src/m-1.0/dkms.conf");
    let text = fs::read_to_string(&conf).unwrap();
    world.ok(&["add", "m/1.0"]);
    fs::remove_file(world.scratch("edited")).unwrap();
    fs::write(&conf, text).unwrap();
    world.ok(&["autoinstall"]);
    world.ok(&["autoinstall"]);
    assert!(world.status().iter().any(|row| row.ends_with("installed")), "{:?}", world.status());
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

#[test]
fn broken_record_is_found_and_repaired() {
    let world = world();
    let record = format!("/var/lib/dkms/m/1.0/.dkms-conf-{K}-{}.json", *A);
    world.write(&record, "{");
    world.dkms(&["fsck"]).exits(1).says("this record cannot be read");
    world.ok(&["fsck", "--repair"]);
    assert!(!world.has(&record));
}
