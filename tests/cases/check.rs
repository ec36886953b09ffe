//! `check`: whether the next boot is complete. `fsck` is in `broken_trees`.

use crate::world::{A, K, World, script};
use rstest::rstest;
use std::fs;

/// A kernel with an index, and depmod that makes one.
fn machine() -> World {
    let world = World::new();
    world.kernel(K).config("CONFIG_CC_VERSION_TEXT=\"gcc 12\"\n");
    let dir = world.path(format!("/lib/modules/{K}")).display().to_string();
    let index =
        "find updates kernel -name '*.ko' 2>/dev/null | sort -r | sed 's/$/:/' > .new; mv .new modules.dep";
    world.tool_does("depmod", &format!("cd {dir} && {index}"));
    world
}

fn installed() -> World {
    let world = machine();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world
}

fn ours(world: &World) -> std::path::PathBuf {
    world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"))
}

#[test]
fn complete_kernel_has_one_line() {
    let world = installed();
    let before = world.everything();
    world
        .ok(&["check"])
        .prints(&[&format!("{K}  complete, 1 package with 1 module (running kernel; newest kernel)")]);
    world.ok(&["check", "--full", "-k", K]);
    assert_eq!(world.everything(), before);
    let empty = machine();
    empty
        .ok(&["check"])
        .prints(&[&format!("{K}  complete, no package is installed (running kernel; newest kernel)")]);
}

#[rstest]
#[case::added("added", "it is not built")]
#[case::built("built", "it is built, and not installed")]
#[case::no_headers("no-headers", "it waits for the headers of kernel")]
#[case::failed("failed", "it failed to build: oh.c:1: error: no")]
#[case::dependency("dependency", "needs unknown")]
#[case::gone("gone", "m.ko is gone")]
#[case::changed("changed", "is not the file that was installed")]
#[case::flipped("flipped", "is not the file that was installed")]
#[case::stale("stale", "its source has changed")]
#[case::index("index", "modules.dep does not know it")]
#[case::other("other", "modprobe would load")]
#[case::no_index("no-index", "has no modules.dep")]
#[case::conf("conf", "DEST_MODULE_LOCATION")]
fn what_is_wrong_is_named_with_its_fix(#[case] state: &str, #[case] why: &str) {
    let world = installed();
    let dep = world.path(format!("/lib/modules/{K}/modules.dep"));
    match state {
        "added" | "built" | "no-headers" | "failed" | "dependency" | "conf" => {
            world.package("n", "1.0");
            world.ok(&["add", "n/1.0"]);
        }
        "gone" => fs::remove_file(ours(&world)).unwrap(),
        "changed" => fs::write(ours(&world), "other").unwrap(),
        "flipped" => {
            let mut content = fs::read(ours(&world)).unwrap();
            content[20] ^= 1;
            fs::write(ours(&world), content).unwrap();
        }
        "stale" => {
            world.write("/usr/src/m-1.0/m.c", "int i;");
        }
        "index" => fs::write(&dep, "kernel/fs/ext4.ko:\n").unwrap(),
        "other" => fs::write(&dep, "kernel/m.ko:\nupdates/dkms/m.ko:\n").unwrap(),
        "no-index" => fs::remove_file(&dep).unwrap(),
        _ => unreachable!(),
    }
    match state {
        "built" => drop(world.ok(&["build", "n/1.0"])),
        "no-headers" => fs::remove_dir_all(world.path(format!("/lib/modules/{K}/build"))).unwrap(),
        "failed" => {
            world.write("/usr/src/n-1.0/recipe", "echo 'oh.c:1: error: no' >&2; exit 2\n");
            world.dkms(&["autoinstall"]).exits(11);
        }
        "dependency" => {
            world.write("/etc/dkms/n.conf", "BUILD_DEPENDS=unknown\n");
        }
        "conf" => {
            world.write("/etc/dkms/n.conf", "DEST_MODULE_LOCATION[0]=\n");
        }
        _ => {}
    }
    let full = if state == "flipped" { &["check", "--full"][..] } else { &["check"] };
    let ended = world.dkms(full);
    ended.exits(1).says(&format!("{K}  NOT READY (running kernel; newest kernel)"));
    ended.says(why);
    ended.says(match state {
        "index" | "other" | "no-index" => "fix: depmod ",
        "no-headers" => "fix: apt install linux-headers-",
        // Files that people have to change, or packages that they have to get.
        "conf" | "dependency" => "",
        "failed" => "when that is fixed: dkms install",
        _ => "fix: dkms install",
    });
    let json = world.dkms(&["check", "--format", "json", if full.len() > 1 { "--full" } else { "--quiet" }]);
    json.exits(1);
    if state != "flipped" {
        return;
    }
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["complete"], false);
    assert_eq!(document["kernels"][0]["kernel"], K);
    assert_eq!(document["kernels"][0]["findings"][0]["kind"], "damaged");
    assert_eq!(document["kernels"][0]["findings"][0]["package"], "m/1.0");
}

#[test]
fn unwanted_packages_are_not_missing() {
    let world = installed();
    world.package("by-hand", "1.0").conf("AUTOINSTALL=no");
    world.package("never", "1.0").conf("BUILD_EXCLUSIVE_KERNEL=^9");
    for package in ["by-hand/1.0", "never/1.0"] {
        world.ok(&["add", package]);
    }
    world.ok(&["check"]);
}

#[test]
fn running_and_newest_kernel_are_the_default() {
    let world = installed();
    for kernel in ["5.10.0-1-amd64", "6.2.0-1-amd64"] {
        world.kernel(kernel).headers();
    }
    let named = |args: &[&str]| -> Vec<String> {
        let ended = world.dkms(args);
        let lines = ended.stdout.lines().filter(|line| !line.starts_with(' '));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&["check"]), [K, "6.2.0-1-amd64"]);
    assert_eq!(named(&["check", "--all-kernels"]), ["5.10.0-1-amd64", K, "6.2.0-1-amd64"]);
    assert_eq!(named(&["check", "-k", "5.10.0-1-amd64"]), ["5.10.0-1-amd64"]);
    world.dkms(&["check", "-k", "9.9"]).exits(1).says("does not exist");
    world.dkms(&["check", "--format", "xml"]).exits(2);
}

#[rstest]
#[case::lacks_it("", false, "does not hold it")]
#[case::older("lib/m.ko", true, "was packed before it was installed")]
#[case::holds_it("lib/m.ko", false, "")]
fn initramfs_is_looked_into_where_module_belongs_there(
    #[case] held: &str,
    #[case] is_older: bool,
    #[case] why: &str,
) {
    let world = installed();
    world.program("lsinitramfs", &format!("echo x >> @LOG@/lsinitramfs; echo '{held}'"));
    script(&world.path("/usr/sbin/update-initramfs"), "");
    let image = world.path(format!("/boot/initrd.img-{K}"));
    fs::write(&image, "image").unwrap();
    if is_older {
        let times = fs::File::options().write(true).open(&image).unwrap();
        times.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    world.ok(&["check"]);
    assert!(world.calls("lsinitramfs").is_empty(), "listing takes long");
    world.write("/etc/dkms/m.conf", "INITRAMFS=yes\n");
    world.ok(&["autoinstall"]);
    if !is_older {
        fs::write(&image, "image").unwrap();
    }
    let ended = world.dkms(&["check"]);
    if why.is_empty() {
        ended.exits(0);
    } else {
        ended.exits(1).says(why).says(&format!("update-initramfs -u -k {K}"));
    }
}

#[rstest]
#[case::debian("/usr/sbin/update-initramfs", &format!("initrd.img-{K}"), "update-initramfs -u -k {K}")]
#[case::fedora("/usr/bin/dracut", &format!("initramfs-{K}.img"), "dracut -q --force {image} {K}")]
#[case::opensuse("/usr/bin/dracut", &format!("initrd-{K}"), "dracut -q --force {image} {K}")]
#[case::arch("/usr/bin/mkinitcpio", "initramfs-linux-lts.img", "mkinitcpio -p linux-lts")]
#[case::boot_loader_entries("/usr/bin/dracut", &format!("abc/{K}/initrd"), "dracut -q --force {image} {K}")]
#[case::nothing_makes_images("/usr/bin/other", &format!("initrd.img-{K}"), "")]
fn command_for_image_is_that_of_this_machine(
    #[case] program: &str,
    #[case] image: &str,
    #[case] command: &str,
) {
    let world = installed();
    script(&world.path(program), "");
    world.write(&format!("/lib/modules/{K}/pkgbase"), "linux-lts\n");
    world.write("/etc/mkinitcpio.d/linux-lts.preset", "");
    world.write("/etc/machine-id", "abc\n");
    world.program("lsinitrd", "echo kernel/other.ko");
    world.write(&format!("/boot/{image}"), "image");
    world.write("/etc/dkms/m.conf", "INITRAMFS=yes\n");
    world.ok(&["autoinstall"]);
    let image = world.path(format!("/boot/{image}")).display().to_string();
    let ended = world.dkms(&["check"]);
    ended.exits(1).says("does not hold it").says(&command.replace("{K}", K).replace("{image}", &image));
}

#[test]
fn image_that_cannot_be_listed_is_unknown() {
    let world = installed();
    for program in ["lsinitramfs", "lsinitrd", "lsinitcpio"] {
        world.program(program, "exit 1");
    }
    world.write(&format!("/boot/initrd.img-{K}"), "image");
    world.write("/etc/dkms/m.conf", "INITRAMFS=yes\n");
    world.ok(&["autoinstall"]);
    let ended = world.ok(&["check"]);
    ended.complains("cannot determine whether").complains("holds m: no program can list it").says("complete");
    world.ok(&["check", "--format", "json"]).says("cannot determine whether");
}

#[test]
fn unsigned_module_is_wrong_where_kernel_refuses_it() {
    let world = installed();
    world.ok(&["check"]);
    world.write("/sys/module/module/parameters/sig_enforce", "Y\n");
    world.dkms(&["check"]).exits(1).says("not signed");
}

#[test]
fn package_of_another_dkms_is_looked_at_too() {
    let world = installed();
    for record in [".dkms-install.json", ".dkms-build.json"] {
        fs::remove_file(world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/{record}", *A))).unwrap();
    }
    world.ok(&["check"]).says("1 package with 1 module");
    fs::remove_file(ours(&world)).unwrap();
    world.dkms(&["check"]).exits(1);
}

#[test]
fn check_needs_neither_lock_nor_root() {
    let world = installed();
    let lock = fs::File::options().write(true).open(world.path("/var/lib/dkms/.lock")).unwrap();
    let _held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).unwrap();
    world.ok(&["check"]);
    world.ok(&["fsck"]);
}

const NEW: &str = "6.2.0-1-amd64";

/// `m` is installed for the running kernel, and a newer one is there.
fn with_newer_kernel() -> World {
    let world = installed();
    world.kernel(NEW).headers();
    world
}

#[rstest]
#[case::excluded("BUILD_EXCLUSIVE_KERNEL_MAX=6.1.99", "keep booting")]
#[case::by_hand("AUTOINSTALL=no", "fix: dkms install m/1.0 -k 6.2.0-1-amd64")]
fn driver_lost_with_the_next_kernel_is_named(#[case] conf: &str, #[case] advice: &str) {
    let world = machine();
    world.write("/etc/dkms/m.conf", format!("{conf}\n"));
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.kernel(NEW).headers();
    let ended = world.dkms(&["check"]);
    ended.exits(1).says("works on the running kernel, will not exist on this one").says(advice);
    world.ok(&["check", "-k", K]).is_silent_about("will not exist");
}

#[test]
fn driver_that_the_kernel_has_is_not_lost() {
    let world = with_newer_kernel();
    world.kernel(NEW).module("kernel/drivers/m.ko", "9.9", "KERNEL");
    world.dkms(&["autoinstall", "-k", NEW]).exits(0);
    world.dkms(&["check", "-k", NEW]).is_silent_about("will not exist");
}

#[test]
fn kernel_that_boots_next_is_marked() {
    let world = with_newer_kernel();
    world.kernel("6.1.5-1-amd64").headers();
    world.write(
        "/boot/grub/grub.cfg",
        "set default=\"0\"\nmenuentry 'Linux' {\n\tlinux /boot/vmlinuz-6.1.5-1-amd64 ro\n}\n",
    );
    let ended = world.dkms(&["check"]);
    ended.says("6.1.5-1-amd64  NOT READY (boots next)").says(&format!("{NEW}  NOT READY (newest kernel)"));
    world.dkms(&["check", "--format", "json"]).says("\"boots_next\": true");
}

#[rstest]
#[case::wrong(&["check", "n"], 1, "n/1.0  it is not built")]
#[case::right(&["check", "m/1.0"], 0, "complete, 1 package with 1 module")]
#[case::unknown(&["check", "nothing"], 3, "nothing is not located in the DKMS tree")]
#[case::unknown_version(&["check", "m/9"], 3, "is not located in the DKMS tree")]
fn one_package_is_looked_at(#[case] line: &[&str], #[case] code: i32, #[case] said: &str) {
    let world = installed();
    world.package("n", "1.0");
    world.ok(&["add", "n/1.0"]);
    let ended = world.dkms(line);
    ended.exits(code);
    assert!(ended.stdout.contains(said) || ended.stderr.contains(said), "{}{}", ended.stdout, ended.stderr);
    ended.is_silent_about(if code == 0 { "n/1.0" } else { "m/1.0  " });
}

#[test]
fn fsck_takes_no_package() {
    installed().dkms(&["fsck", "m/1.0"]).exits(2).complains("looks at the whole tree");
}

#[test]
fn tree_that_cannot_be_read_is_not_complete() {
    let world = installed();
    let tree = world.path("/var/lib/dkms").display().to_string();
    fs::rename(&tree, format!("{tree}.away")).unwrap();
    fs::write(&tree, "no directory").unwrap();
    world.dkms(&["check"]).exits(1).says("NOT READY").says("/var/lib/dkms");
}

#[test]
fn locked_down_kernel_refuses_unsigned_modules() {
    let world = installed();
    world.write("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    world.ok(&["check"]);
    world.write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    world.dkms(&["check"]).exits(1).says("not signed").says("The kernel is locked down");
}

#[test]
fn disabled_package_is_named_with_the_reason() {
    let world = World::new();
    world.kernel(NEW).headers();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.write("/etc/dkms/no-autoinstall", "");
    let off = "it is not built; /etc/dkms/no-autoinstall switches automatic installation off";
    world.dkms(&["check", "-k", NEW]).exits(1).says(off).says("fix: dkms install m/1.0");
    world.package("n", "1.0").conf("AUTOINSTALL=no");
    world.ok(&["install", "n/1.0"]);
    let why = "n/1.0  works on the running kernel, will not exist on this one (its dkms.conf does not say AUTOINSTALL=yes)";
    world.dkms(&["check", "-k", NEW]).exits(1).says(why).says("fix: dkms install n/1.0");
}

#[test]
fn package_without_source_says_what_to_do() {
    let world = machine();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    let source = world.path("/var/lib/dkms/m/1.0/source");
    let ended = world.dkms(&["check"]);
    ended.says(&format!("its source is missing: {}", source.display()));
    // What is named helps.
    ended.says("dkms remove m/1.0 --all");
    world.ok(&["remove", "m/1.0", "--all"]);
    world.ok(&["check"]);
}
