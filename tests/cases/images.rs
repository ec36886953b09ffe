//! What the packer of an initramfs asks us, and what we leave to another dkms.

use crate::world::{K, World, line};
use rstest::rstest;

#[rstest]
#[case("INITRAMFS=yes\n", "m\n")]
#[case("INITRAMFS=YES\n", "m\n")]
#[case("INITRAMFS=no\n", "")]
#[case("INITRAMFS=auto\n", "")]
#[case("", "")]
fn modules_go_into_image_where_administrator_says_so(#[case] conf: &str, #[case] names: &str) {
    let world = World::new();
    world.kernel(K).compressed("xz");
    world.package("m", "1.0");
    world.package("other", "1.0");
    world.write("/etc/dkms/m.conf", conf);
    world.ok(&["install", "m/1.0"]);
    world.ok(&["install", "other/1.0"]);
    let before = world.everything();
    let ended = world.hook("initramfs-modules", &[K]);
    ended.exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (names, ""));
    assert_eq!(world.everything(), before);
}

#[test]
fn uninstalled_module_of_the_image_is_reported() {
    let world = World::new();
    world.package("m", "1.0").conf("INITRAMFS=yes");
    world.ok(&["add", "m/1.0"]);
    let ended = world.hook("initramfs-modules", &[K]);
    ended.exits(0).complains("m/1.0 belongs into the initramfs").complains("dkms install m/1.0 -k");
    assert_eq!(ended.stdout, "");
}

#[rstest]
#[case(&[])]
#[case(&["../x"])]
#[case(&["9.9"])]
fn release_that_is_none_makes_no_image_fail(#[case] args: &[&str]) {
    let world = World::new();
    let ended = world.hook("initramfs-modules", args);
    ended.exits(0);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_wrong_word_is_refused() {
    let world = World::new();
    world.package("m", "1.0").conf("INITRAMFS=maybe");
    world.dkms(&["add", "m/1.0"]).exits(8).complains("INITRAMFS");
}

#[test]
fn hand_back_puts_originals_beside_ours() {
    let world = World::new();
    let own = format!("/lib/modules/{K}/kernel/m.ko");
    world.kernel(K).module("kernel/m.ko", "0.1", "OLD");
    let bytes = std::fs::read(world.path(&own)).unwrap();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert!(!world.has(&own));
    world.hook("hand-back", &[]).exits(0);
    assert_eq!(std::fs::read(world.path(&own)).unwrap(), bytes);
    // And ours can have it back.
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(std::fs::read(world.path(&own)).unwrap(), bytes);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

/// A kernel with three network drivers, of which `m` is replaced by the package's.
fn replaced() -> World {
    let world = World::new();
    let kernel = world.kernel(K);
    let kernel = kernel.module("kernel/drivers/net/wifi/m.ko", "0.1", "OLD");
    kernel.module("kernel/drivers/net/e1.ko", "", "A").module("kernel/drivers/net/e2.ko", "", "B");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert!(!world.has(&format!("/lib/modules/{K}/kernel/drivers/net/wifi/m.ko")));
    world
}

#[rstest]
#[case::as_its_neighbours("", &["net/e1.ko", "net/e2.ko"], "m\n")]
#[case::most_of_them("", &["net/e1.ko"], "")]
#[case::none("", &["../fs/ext4.ko"], "")]
#[case::refused("INITRAMFS=no", &["net/e1.ko", "net/e2.ko"], "")]
#[case::demanded("INITRAMFS=yes", &[], "m\n")]
fn replacement_goes_where_the_original_went(
    #[case] conf: &str,
    #[case] held: &[&str],
    #[case] names: &str,
    #[values("usr/lib/modules", "lib/modules")] top: &str,
) {
    let world = replaced();
    world.write("/etc/dkms/m.conf", conf);
    let image = world.scratch("image");
    for file in held {
        crate::world::write(&image.join(top).join(K).join("kernel/drivers").join(file), b"");
    }
    let ended = world.hook("initramfs-modules", &[K, image.to_str().unwrap()]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (names, ""));
}

#[test]
fn pending_modules_are_built_before_the_image() {
    let world = World::new();
    world.package("m", "1.0").recipe("env > \"$DKMS_SCRATCH/seen\"");
    world.ok(&["add", "m/1.0"]);
    world.write("/etc/dkms/framework.conf", "post_transaction=\"touch $DKMS_SCRATCH/packed\"\n");
    let theirs = [("MODULES", "most"), ("version", "1"), ("COMPRESS", "zstd"), ("LC_TIME", "C")];
    world.hook_with("initramfs", &[K], &theirs).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(!world.scratch("packed").exists());
    let seen = std::fs::read_to_string(world.scratch("seen")).unwrap();
    assert!(seen.contains("LC_TIME=C"), "{seen}");
    assert!(!["MODULES=most", "COMPRESS=", "\nversion="].iter().any(|text| seen.contains(text)), "{seen}");
    world.hook("initramfs", &[K]).exits(0);
    assert_eq!(world.calls("make").len(), 1);
}

#[rstest]
#[case::failing("exit 2", true)]
#[case::headers_missing("", false)]
fn image_without_a_module_is_packed_and_reported(#[case] recipe: &str, #[case] headers: bool) {
    let world = World::new();
    world.package("m", "1.0").recipe(recipe);
    world.ok(&["add", "m/1.0"]);
    if !headers {
        std::fs::remove_dir_all(world.path(format!("/lib/modules/{K}/build"))).unwrap();
    }
    for _ in 0..2 {
        world
            .hook("initramfs", &[K])
            .exits(0)
            .complains(&format!("The initramfs of kernel {K} is packed without m/1.0."));
    }
    assert_eq!(world.calls("make").len(), usize::from(headers), "what failed is not tried for every image");
}

#[rstest]
#[case(&[])]
#[case(&["9.9"])]
#[case(&["../x"])]
fn no_kernel_no_work(#[case] args: &[&str]) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let ended = world.hook("initramfs", args);
    ended.exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn image_packed_by_our_run_builds_nothing() {
    let world = World::new();
    world.package("other", "1.0");
    world.ok(&["add", "other/1.0"]);
    let hook = crate::world::hook("initramfs");
    world.package("m", "1.0").conf("POST_INSTALL=post.sh").script("post.sh", &format!("{hook} {K}"));
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "other/1.0: added".into()]);
}

/// Sources what mkinitramfs sources before it selects modules.
#[rstest]
#[case(K)]
#[case(&format!("/lib/modules/{K}"))]
#[case(&format!("/lib/modules/{K}/"))]
fn mkinitramfs_is_understood_however_it_names_the_kernel(#[case] argument: &str) {
    let world = World::new();
    let conf = include_str!("../../initramfs-tools/conf-hook");
    let program = world.scratch("initramfs");
    crate::world::script(&program, "echo \"$* $DKMS_PACKING_INITRAMFS\"");
    let conf = conf.replace("/usr/lib/dkms/initramfs", &program.display().to_string());
    std::fs::write(world.scratch("conf"), conf).unwrap();
    let ended = world.shell(&format!(
        "set -e; set -- {argument}; . \"$DKMS_SCRATCH/conf\"; echo \"$DKMS_PACKING_INITRAMFS\""
    ));
    assert_eq!(ended.stdout, format!("{K} yes\nyes\n"));
}

/// What mkinitcpio offers to install hooks, as far as ours uses it.
#[test]
fn mkinitcpio_gets_the_modules_after_they_are_built() {
    let world = World::new();
    let hook = include_str!("../../packaging/mkinitcpio/dkms");
    for (name, body) in [("initramfs", "echo built $*"), ("initramfs-modules", "echo m1; echo m2")] {
        crate::world::script(&world.scratch(name), body);
    }
    let dir = world.scratch("").display().to_string();
    std::fs::write(world.scratch("hook"), hook.replace("/usr/lib/dkms/", &dir)).unwrap();
    let harness = format!(
        "add_module() {{ echo \"add $1\"; }}; KERNELVERSION={K}; BUILDROOT=/tmp/root; . \"$DKMS_SCRATCH/hook\"; build; help >/dev/null"
    );
    std::fs::write(world.scratch("harness"), harness).unwrap();
    let ended = world.shell("bash -eu \"$DKMS_SCRATCH/harness\"");
    ended.exits(0);
    assert_eq!(ended.stdout, format!("built {K}\nadd m1\nadd m2\n"));
    let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/mkinitcpio/dkms.conf");
    let order = world.shell(&format!("bash -c 'HOOKS=(base udev); . {conf}; echo ${{HOOKS[@]}}'"));
    assert_eq!(order.stdout, "dkms base udev\n");
}

#[test]
fn every_hook_logs_its_caller_and_end() {
    let world = World::new();
    world.package("m", "1.0");
    world.package("bad", "1.0").recipe("exit 2");
    world.package("never", "1.0").conf("BUILD_EXCLUSIVE_KERNEL=^9");
    for package in ["m", "bad", "never"] {
        world.ok(&["add", &format!("{package}/1.0")]);
    }
    std::fs::create_dir_all(world.path("/dev")).unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(world.path("/dev/log")).unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    });
    let said = || {
        let mut text = String::new();
        while let Ok(line) = lines.recv_timeout(std::time::Duration::from_secs(30)) {
            text.push_str(&line);
            text.push('\n');
            if line.contains("ends with status") {
                break;
            }
        }
        text
    };
    world.hook_with("kernel-postinst", &[K, "/boot/x"], &[("DEB_MAINT_PARAMS", "configure")]).exits(0);
    let text = said();
    for part in [
        "dkms-kernel-postinst",
        &format!("{K} /boot/x"),
        "DEB_MAINT_PARAMS=configure",
        "never/1.0 is left out",
        "installed now",
        "could not be built",
        "bad/1.0",
        "ends with status 0",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for (hook, args) in [
        ("boot", &[][..]),
        ("kernel-preinst", &[K]),
        ("header-postinst", &[K]),
        ("initramfs", &[K]),
        ("kernel-install", &["add", K]),
        ("kernel-prerm", &[K]),
        ("dkms-autoinstaller", &["start"]),
        ("common-postinst", &["m", "1.0"]),
    ] {
        world.hook(hook, args);
        let text = said();
        let name = match hook {
            "dkms-autoinstaller" => "dkms-autoinstaller".to_owned(),
            hook => format!("dkms-{hook}"),
        };
        assert!(
            text.contains(&name) && text.contains("called with") && text.contains("ends with status"),
            "{hook}: {text}"
        );
    }
}

#[test]
fn a_log_without_a_reader_stops_no_kernel() {
    let world = World::new();
    world.package("m", "1.0").recipe("for i in 1 2 3 4 5 6 7 8 9; do echo \"error: $i\"; done; exit 2");
    world.ok(&["add", "m/1.0"]);
    std::fs::create_dir_all(world.path("/dev")).unwrap();
    let _socket = std::os::unix::net::UnixDatagram::bind(world.path("/dev/log")).unwrap();
    for _ in 0..3 {
        world.hook("kernel-postinst", &[K]).exits(0).complains("could not be built");
    }
}
