//! What the machine itself calls: its boot, kernel-install, and the image that is to be made again.

use crate::world::{Ended, K, World, elf, line, script, write};
use rstest::rstest;
use std::fs;

fn pending(recipe: &str) -> World {
    let world = World::new();
    world.package("m", "1.0").recipe(recipe);
    world.ok(&["add", "m/1.0"]);
    world
}

#[test]
fn boot_installs_and_loads_for_the_running_kernel() {
    let world = pending("");
    world.kernel("6.9").headers();
    world.program("systemd-inhibit", "echo \"$*\" >> @LOG@/inhibit");
    world.write("/sys/devices/pci0/modalias", "pci:v1\n");
    world.write("/lib/systemd/system/systemd-modules-load.service", "");
    world.hook("boot", &[]).exits(0).complains("Autoinstall on");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert_eq!(world.calls("modprobe"), ["-a -b -q pci:v1"]);
    assert_eq!(world.calls("systemctl"), ["restart systemd-modules-load.service"]);
    assert!(world.calls("inhibit")[0].starts_with("--what=shutdown:sleep --mode=block --who=dkms"));
    world.hook("boot", &[]).exits(0);
    assert_eq!(
        (world.calls("make").len(), world.calls("modprobe").len(), world.calls("inhibit").len()),
        (1, 1, 1)
    );
}

#[test]
fn boot_with_nothing_pending_is_silent() {
    let world = World::new();
    let ended = world.hook("boot", &[]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let before = (world.calls("make").len(), world.calls("depmod").len());
    let ended = world.hook("boot", &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!((world.calls("make").len(), world.calls("depmod").len()), before);
}

#[test]
fn failed_build_at_boot_fails_the_unit() {
    let world = pending("echo 'm.c:1: error: no' >&2; exit 1");
    world.package("good", "1.0");
    world.ok(&["add", "good/1.0"]);
    world.hook("boot", &[]).exits(1).complains("could not be built").complains("m.c:1: error: no");
    assert!(world.status().contains(&line("good/1.0", K, "installed")));
    world.write("/etc/dkms/no-autoinstall", "");
    world.hook("boot", &[]).exits(0);
}

/// kernel-install's call of our plugin, through its shim.
fn plugin(world: &World, args: &[&str]) -> Ended {
    world.hook("kernel-install", args)
}

#[test]
fn kernel_install_leaves_the_index_to_others() {
    let world = pending("");
    world.write("/usr/lib/kernel/install.d/50-depmod.install", "");
    fs::remove_file(world.path(format!("/lib/modules/{K}/modules.dep"))).unwrap();
    let entry = "/boot/entries/x";
    plugin(&world, &["add", K, entry, "/lib/modules/vmlinuz"]).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    let again = plugin(&world, &["add", K, entry, "/lib/modules/vmlinuz"]);
    assert_eq!((again.code, again.stderr.as_str(), world.calls("make").len()), (Some(0), "", 1));
    plugin(&world, &["remove", K, entry]).exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert_eq!(world.depmods(K), 0);
}

#[test]
fn without_systemds_plugin_the_index_is_ours() {
    let world = pending("");
    world.write("/usr/lib/kernel/install.d/50-depmod.install", "");
    fs::create_dir_all(world.path("/etc/kernel/install.d")).unwrap();
    std::os::unix::fs::symlink("/dev/null", world.path("/etc/kernel/install.d/50-depmod.install")).unwrap();
    plugin(&world, &["add", K, "/boot/x", "/vmlinuz"]).exits(0);
    assert_eq!(world.depmods(K), 1);
}

#[rstest]
#[case::a_package_fails(&["add", K, "/boot/x"])]
#[case::no_such_kernel(&["add", "9.9", "/boot/x"])]
#[case::no_kernel(&["add"])]
#[case::nothing(&[])]
#[case::a_path(&["add", "../..", "/boot/x"])]
#[case::another_command(&["inspect", K])]
#[case::remove_of_nothing(&["remove", "9.9", "/boot/x"])]
fn the_plugin_never_ends_the_chain(#[case] args: &[&str]) {
    let world = pending("exit 77");
    world.write("/etc/dkms/framework.conf", "on_failure=fail\n");
    plugin(&world, args).exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn plugin_shim_succeeds_without_the_program() {
    let shim = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/kernel-install/40-dkms.install");
    World::new().shell(&format!("{shim} add {K} /boot/x")).exits(0);
}

/// A machine whose headers come after its image was made; `held` is what lsinitramfs lists.
fn with_image(held: &str) -> World {
    let world = pending("");
    world.write(&format!("/boot/initrd.img-{K}"), "image");
    world.program("lsinitramfs", &format!("printf '{held}'"));
    let log = world.scratch("../log/update-initramfs");
    script(&world.path("/usr/sbin/update-initramfs"), &format!("echo \"$*\" >> {}", log.display()));
    world
}

const HEADERS: [(&str, &str); 2] =
    [("DPKG_MAINTSCRIPT_PACKAGE", "linux-headers"), ("DEB_MAINT_PARAMS", "configure")];

#[test]
fn image_with_an_older_module_is_remade_once() {
    let world =
        with_image("usr/lib/modules/x/kernel/fs/ext4.ko\nusr/lib/modules/x/kernel/drivers/misc/m.ko.xz\n");
    let ended = world.hook_with("header-postinst", &[K], &HEADERS);
    ended.exits(0).complains("m is in the image");
    assert_eq!(world.calls("update-initramfs"), ["-u"]);
    world.hook_with("header-postinst", &[K], &HEADERS).exits(0);
    assert_eq!(world.calls("update-initramfs").len(), 1, "nothing was new");
}

#[rstest]
#[case::listed_by_the_administrator("/etc/initramfs-tools/modules", "# own\next4\nm opt=1\n")]
#[case::wanted_by_the_package("/etc/dkms/m.conf", "INITRAMFS=yes\n")]
fn image_that_should_hold_module_is_made_again(#[case] file: &str, #[case] text: &str) {
    let world = with_image("");
    world.write(file, text);
    world.hook("header-postinst", &[K]).exits(0);
    assert_eq!(world.calls("update-initramfs"), [format!("-u -k {K}")]);
}

#[test]
fn unrelated_image_stays() {
    let world = with_image("usr/lib/modules/x/kernel/fs/ext4.ko\n");
    world.hook_with("header-postinst", &[K], &HEADERS).exits(0);
    assert!(world.calls("update-initramfs").is_empty());
}

#[rstest]
#[case::no_image("image")]
#[case::image_hook("hook")]
#[case::packing("packing")]
fn no_image_is_requested_where_one_follows(#[case] how: &str) {
    let world = with_image("lib/m.ko\n");
    let hook = if how == "hook" { "kernel-postinst" } else { "header-postinst" };
    if how == "image" {
        fs::remove_file(world.path(format!("/boot/initrd.img-{K}"))).unwrap();
    }
    let packing: &[(&str, &str)] = if how == "packing" { &[("DKMS_PACKING_INITRAMFS", "1")] } else { &[] };
    world.hook_with(hook, &[K], packing).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(world.calls("update-initramfs").is_empty());
}

#[test]
fn image_of_an_older_kernel_goes_by_name() {
    let world = with_image("lib/m.ko\n");
    world.write("/boot/initrd.img-6.9.0-1-amd64", "newer");
    world.hook_with("header-postinst", &[K], &HEADERS).exits(0);
    assert_eq!(world.calls("update-initramfs"), [format!("-u -k {K}")]);
}

#[test]
fn dracut_makes_the_image_or_reports_failure() {
    let world = with_image("lib/m.ko\n");
    fs::remove_file(world.path("/usr/sbin/update-initramfs")).unwrap();
    let log = world.scratch("../log/dracut");
    script(&world.path("/usr/bin/dracut"), &format!("echo \"$*\" >> {}; exit 3", log.display()));
    world.hook("header-postinst", &[K]).exits(0).complains("dracut").complains("is the old one");
    let image = world.path(format!("/boot/initrd.img-{K}"));
    assert_eq!(world.calls("dracut"), [format!("-q --force {} {K}", image.display())]);
}

#[test]
fn similar_module_name_keeps_the_image() {
    // A module whose name only begins like one of the image's.
    let world = with_image("lib/mm.ko\n");
    write(&world.path("/usr/src/m-1.0/m.ko.in"), &elf::versioned("m", "1.0", "S"));
    world.hook("header-postinst", &[K]).exits(0);
    assert!(world.calls("update-initramfs").is_empty());
}
