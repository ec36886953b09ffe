//! What waits for the headers of a kernel is noted, and taken up by the next run that sees them.

use crate::world::{K, World, line};
use rstest::rstest;
use std::fs;

const NEW: &str = "6.9";
const MARK: &str = "/var/lib/dkms/.dkms-pending.json";

/// A kernel came without its headers.
fn waiting() -> World {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.kernel(NEW);
    world
        .hook("kernel-postinst", &[NEW, "/boot/vmlinuz-6.9"])
        .exits(0)
        .complains("no headers for kernel 6.9");
    assert!(world.read(MARK).contains("\"m/1.0\""), "{}", world.read(MARK));
    world
}

/// The headers come, and no hook runs for them.
#[rstest]
#[case::boot("boot", &[])]
#[case::headers_of_another_kernel("header-postinst", &[K])]
#[case::its_own("header-postinst", &[NEW])]
fn next_who_sees_the_headers_takes_it_up(#[case] hook: &str, #[case] args: &[&str]) {
    let world = waiting();
    // It stays as long as they are missing, and is not said again by those who come for another kernel.
    world.hook(hook, args).exits(0);
    assert!(world.has(MARK));
    world.kernel(NEW).headers();
    let ended = world.hook(hook, args);
    ended.exits(0);
    if args != [NEW] {
        ended.complains("the headers of kernel 6.9, missing since 20").complains("are there now: m/1.0");
    }
    assert!(world.status().contains(&line("m/1.0", NEW, "installed")), "{:#?}", world.status());
    assert!(!world.has(MARK));
    let before = world.calls("make").len();
    let again = world.hook(hook, args);
    again.exits(0);
    assert_eq!((again.stderr.as_str(), world.calls("make").len()), ("", before));
}

#[test]
fn boot_remakes_images_of_kernels_with_new_headers() {
    let with_image = || {
        let world = waiting();
        world.write("/etc/dkms/m.conf", "INITRAMFS=yes\n");
        world.write("/boot/initrd.img-6.9", "old");
        world.kernel(NEW).headers();
        let log = world.scratch("image");
        let script = format!("echo \"$*\" >> {}", log.display());
        crate::world::script(&world.path("/usr/sbin/update-initramfs"), &script);
        world
    };
    let world = with_image();
    world.hook("boot", &[]).exits(0).complains("m/1.0 says INITRAMFS=yes");
    assert_eq!(fs::read_to_string(world.scratch("image")).unwrap(), "-u -k 6.9\n");

    // Where systemd runs, the boot does not wait for the image.
    let world = with_image();
    world.write("/run/systemd/system/x", "");
    world.program("systemd-run", "echo \"$*\" >> @LOG@/beside");
    world.hook("boot", &[]).exits(0).complains("is made again: update-initramfs -u -k 6.9");
    let call = &world.calls("beside")[0];
    assert!(
        call.starts_with("--quiet --no-block --collect --unit=dkms-initramfs-6.9 systemd-inhibit"),
        "{call}"
    );
    assert!(call.ends_with("/usr/sbin/update-initramfs -u -k 6.9"), "{call}");
    assert!(!world.scratch("image").exists());

    let world = waiting();
    world.ok(&["install", "m/1.0"]);
    world.write("/usr/src/m-1.0/recipe", "echo 'm.c:1: error: no' >&2; exit 2\n");
    world.kernel(NEW).headers();
    world.hook("boot", &[]).exits(1).complains("could not be built").complains("for kernel 6.9");
}

#[test]
fn what_goes_waits_no_longer() {
    let world = waiting();
    world.package("n", "1.0");
    world.ok(&["add", "n/1.0"]);
    world.dkms(&["autoinstall", "-k", NEW]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(
        world.read(MARK).contains("n/1.0") && !world.read(MARK).contains("m/1.0"),
        "{}",
        world.read(MARK)
    );
    world.ok(&["remove", "n/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());

    let world = waiting();
    world.hook("kernel-prerm", &[NEW]).exits(0);
    assert!(!world.has(MARK));
}

#[test]
fn check_shows_the_waiting_time_fsck_forgets() {
    let world = waiting();
    world.dkms(&["check", "-k", NEW]).exits(1).says("it waits for the headers of kernel 6.9 since 20");
    world.dkms(&["fsck"]).exits(0);
    fs::remove_dir_all(world.path("/lib/modules/6.9")).unwrap();
    world.dkms(&["fsck"]).exits(1).says("wait for the headers of kernel 6.9").says("which is gone");
    world.dkms(&["fsck", "--repair"]).exits(0).says("forgotten");
    assert!(!world.has(MARK));
    world.write(MARK, "[");
    world.dkms(&["fsck"]).exits(1).says(".dkms-pending.json");
    world.dkms(&["fsck", "--repair"]).exits(0);
    world.dkms(&["fsck"]).exits(0);
}
