//! Every command that is printed with a problem is run in the state that it is printed for, and fixes it.

use crate::world::{Ended, K, World, elf, script};
use rstest::rstest;
use std::fs;

const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const MOK_LIST: &str = "/sys/firmware/efi/mok-variables/MokListRT";
const MOK_NEW: &str = "/sys/firmware/efi/efivars/MokNew-605dab50-e046-4300-abb6-3dd810dd8b23";
const NEW: &str = "6.2.0-1-amd64";
const SIGNING: &str = "mok_signing_key=/etc/keys/k.pem\nmok_certificate=/etc/keys/c.der\n";

/// A kernel with an index, depmod that makes one, and `m` installed.
fn installed() -> World {
    let world = World::new();
    indexed(&world, K);
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world
}

fn indexed(world: &World, kernel: &str) {
    world.kernel(kernel).config("CONFIG_CC_VERSION_TEXT=\"gcc 12\"\n");
    world.depmod_indexes();
}

fn signed(conf: &str) -> World {
    let world = World::without_kernel();
    world.kernel(K).headers().config("CONFIG_MODULE_SIG_HASH=\"sha256\"\n").sign_file();
    indexed(&world, K);
    world.kernel(K).config("CONFIG_MODULE_SIG_HASH=\"sha256\"\n");
    world.signing_keys("/etc/keys/k.pem", "/etc/keys/c.der");
    world.write("/etc/dkms/framework.conf", conf);
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
    world
}

/// One EFI_SIGNATURE_LIST with the certificate.
fn signature_list(world: &World) -> Vec<u8> {
    let der = fs::read(world.path("/etc/keys/c.der")).unwrap();
    let kind =
        [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];
    let number = |n: usize| (n as u32).to_le_bytes().to_vec();
    let entry = 16 + der.len();
    [kind.to_vec(), number(28 + entry), number(0), number(entry), vec![9; 16], der].concat()
}

/// The words before a command, which ends the line.
const WORDS: [&str; 19] = [
    "fix: ",
    "when that is fixed: ",
    "retry:  ",
    "To try again: ",
    "Build it again: ",
    "Build them first: ",
    "Try: ",
    "To repair: ",
    "Add it first: ",
    "holds now: ",
    "To load it: ",
    "with its modules: ",
    "To remove it: ",
    "To install it now: ",
    "To install all of them: ",
    "Install a version of it: ",
    "One package: ",
    "To undo: ",
    "To prevent that: ",
];

fn commands(text: &str) -> Vec<String> {
    let command = |line: &str| {
        let rest = WORDS.iter().find_map(|word| Some(line.split_once(word)?.1))?;
        Some(rest.split(", then").next().unwrap_or(rest).to_owned())
    };
    text.lines().filter_map(command).collect()
}

/// Runs the command that was printed; there is one.
fn follow(world: &World, ended: &Ended, expected: &str) {
    let commands = commands(&lines(ended));
    assert_eq!(commands.len(), 1, "{}", lines(ended));
    assert!(commands[0].starts_with(expected), "{commands:?}");
    world.shell(&commands[0]).exits(0);
}

/// Two versions, of which the newer one is installed.
fn two_versions() -> World {
    let world = installed();
    world.package("m", "2.0");
    world.ok(&["install", "m/2.0"]);
    world
}

fn lines(ended: &Ended) -> String {
    format!("{}\n{}", ended.stdout, ended.stderr)
}

/// Runs what `check` prints, and checks again.
fn run(world: &World, expected: &str) {
    let before = world.dkms(&["check"]);
    before.exits(1);
    let commands = commands(&lines(&before));
    assert!(commands.iter().any(|command| command.contains(expected)), "{commands:?}\n{}", before.stdout);
    for command in commands {
        world.shell(&command).exits(0);
    }
    world.ok(&["check"]).says("complete");
}

fn add(world: &World, name: &str) {
    world.package(name, "1.0");
    world.ok(&["add", &format!("{name}/1.0")]);
}

/// The states, by the kind of remedy that is printed for them.
const STATES: [(&str, fn()); 33] = [
    ("Enable", || {
        let world = installed();
        world.kernel(NEW).headers();
        indexed(&world, NEW);
        world.ok(&["disable", "m", "-k", NEW]);
        run(&world, "dkms enable m -k '6.2.0-1-amd64' && dkms install m/1.0 -k");
    }),
    ("Install", || {
        let world = installed();
        add(&world, "n");
        run(&world, "dkms install n/1.0 -k");
    }),
    ("Install", || {
        let world = installed();
        add(&world, "n");
        world.ok(&["build", "n/1.0"]);
        run(&world, "dkms install n/1.0 -k");
    }),
    ("Install", || {
        let world = installed();
        world.write("/usr/src/m-1.0/m.c", "int edited;");
        run(&world, "dkms install m/1.0 -k");
    }),
    ("TryAgain", || {
        let world = installed();
        world.write("/usr/src/m-1.0/recipe", "echo 'm.c:1: error: no' >&2; exit 2");
        world.dkms(&["autoinstall"]).exits(11);
        world.dkms(&["check"]).exits(1).says("it failed to build: m.c:1: error: no");
        world.write("/usr/src/m-1.0/recipe", "true");
        run(&world, "dkms install m/1.0 -k");
    }),
    ("Install", || {
        let world = signed("try_sign_modules=false\n");
        world.write(MOK_LIST, signature_list(&world));
        world.write("/etc/dkms/framework.conf", SIGNING);
        run(&world, "dkms install m/1.0 -k");
    }),
    ("InstallAfter", || {
        let world = installed();
        add(&world, "lib");
        world.package("user", "1.0").conf("BUILD_DEPENDS=lib");
        world.ok(&["add", "user/1.0"]);
        run(&world, "&& dkms install user/1.0");
    }),
    ("InstallAfter", || {
        let world = installed();
        world.package("lib", "1.0").conf("AUTOINSTALL=no");
        world.package("user", "1.0").conf("BUILD_DEPENDS=lib");
        for package in ["lib/1.0", "user/1.0"] {
            world.ok(&["add", package]);
        }
        run(&world, "dkms install lib/1.0");
    }),
    ("InstallAgain", || {
        let world = installed();
        // A module of another origin, which no trigger replaces.
        let other = elf::versioned("m", "9.9", "FFFF");
        fs::write(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko")), other).unwrap();
        run(&world, "dkms install --force m/1.0");
    }),
    ("Install", || {
        for damage in [Some("no module"), None] {
            let world = installed();
            let module = world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"));
            match damage {
                Some(content) => fs::write(&module, content).unwrap(),
                None => fs::remove_file(&module).unwrap(),
            }
            let found = world.dkms(&["check"]).stdout;
            assert_eq!(found.lines().filter(|line| line.contains("fix: ")).count(), 1, "{found}");
            run(&world, "dkms install m/1.0");
        }
    }),
    ("BuildAgain", || {
        let world = signed("try_sign_modules=false\n");
        world.write(MOK_LIST, signature_list(&world));
        world.write("/etc/dkms/framework.conf", SIGNING);
        // Another dkms leaves no record.
        let build = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}", *crate::world::A));
        fs::remove_file(build.join(".dkms-build.json")).unwrap();
        run(&world, "dkms build --force m/1.0");
    }),
    ("InstallHeaders", || {
        let world = installed();
        add(&world, "n");
        let build = world.path(format!("/lib/modules/{K}/build")).display().to_string();
        fs::rename(&build, format!("{build}.away")).unwrap();
        let hook = crate::world::hook("header-postinst");
        world.program(
            "apt",
            &format!("test \"$2\" = linux-headers-{K} && mv {build}.away {build} && {hook} {K}"),
        );
        run(&world, "apt install linux-headers-");
    }),
    ("Index", || {
        let world = installed();
        fs::write(world.path(format!("/lib/modules/{K}/modules.dep")), "").unwrap();
        run(&world, "depmod ");
    }),
    ("MakeImage", || {
        let world = installed();
        world.write("/etc/dkms/m.conf", "INITRAMFS=yes\n");
        world.ok(&["autoinstall"]);
        let image = world.path(format!("/boot/initrd.img-{K}"));
        fs::write(&image, "kernel/ext4.ko\n").unwrap();
        world.program("lsinitramfs", "cat \"$1\"");
        script(
            &world.path("/usr/sbin/update-initramfs"),
            &format!("echo updates/dkms/m.ko > {}", image.display()),
        );
        world
            .shell(&format!("ln -s {} ../bin/", world.path("/usr/sbin/update-initramfs").display()))
            .exits(0);
        run(&world, "update-initramfs -u -k");
    }),
    ("TrustCertificate", || {
        let world = signed(SIGNING);
        let trusted = world.scratch("trusted");
        fs::write(&trusted, signature_list(&world)).unwrap();
        let place = world.path(MOK_LIST);
        // The reboot that is asked for is in it.
        world.program(
            "mokutil",
            &format!(
                "mkdir -p {} && cp {} {}",
                place.parent().unwrap().display(),
                trusted.display(),
                place.display()
            ),
        );
        world
            .dkms(&["check"])
            .says("signed, but this machine does not trust the key yet (Secure Boot is on)");
        world.dkms(&["check"]).says(", then reboot and choose \"Enroll MOK\"");
        run(&world, "mokutil --import");
    }),
    ("ConfirmCertificate", || {
        let world = signed(SIGNING);
        let list = signature_list(&world);
        world.write(MOK_NEW, [vec![7, 0, 0, 0], list.clone()].concat());
        let ended = world.dkms(&["check"]);
        ended.exits(1).says("\n      reboot and choose \"Enroll MOK\"\n");
        assert!(commands(&ended.stdout).is_empty(), "nothing to run: {}", ended.stdout);
        world.write(MOK_LIST, list);
        world.ok(&["check"]).says("complete");
    }),
    ("InstallAfter", || {
        let world = installed();
        add(&world, "lib");
        world.package("user", "1.0").conf("BUILD_DEPENDS=lib");
        let ended = world.dkms(&["install", "user/1.0"]);
        ended.exits(13);
        follow(&world, &ended, "dkms install lib/1.0 -k");
        assert!(world.status().iter().any(|row| row.starts_with("user/1.0") && row.ends_with("installed")));
    }),
    ("Add", || {
        let world = installed();
        world.package("n", "1.0");
        let ended = world.dkms(&["mktarball", "n/1.0", "--source-only"]);
        ended.exits(3);
        follow(&world, &ended, "dkms add n/1.0");
        world.ok(&["mktarball", "n/1.0", "--source-only"]);
        // What is to go away needs not be added.
        for action in ["remove", "uninstall", "unbuild"] {
            world.package("o", "1.0");
            let ended = world.dkms(&[action, "o/1.0"]);
            assert!(commands(&lines(&ended)).is_empty(), "{}", lines(&ended));
        }
        // Nor can it be, without a source.
        let ended = world.dkms(&["mktarball", "none/1.0", "--source-only"]);
        assert!(commands(&lines(&ended)).is_empty(), "{}", lines(&ended));
    }),
    ("TakeOver", || {
        for action in ["add", "build", "install"] {
            let world = World::new();
            let dir = world.scratch("src");
            world.package_in(&dir, "m", "1.0");
            world.ok(&["add", dir.to_str().unwrap()]);
            fs::write(dir.join("m.c"), "int edited;").unwrap();
            let ended = world.dkms(&[action, dir.to_str().unwrap()]);
            ended.exits(3);
            follow(&world, &ended, "dkms ");
            assert_eq!(world.read("/usr/src/m-1.0/m.c"), "int edited;");
        }
    }),
    ("Build", || {
        let world = installed();
        add(&world, "n");
        let ended = world.dkms(&["mkbmdeb", "n/1.0", "-k", K]);
        follow(&world, &ended, "dkms build n/1.0 -k");
        assert!(world.status().iter().any(|row| row.starts_with("n/1.0") && row.ends_with("built")));
        world.dkms(&["mkbmdeb", "n/1.0", "-k", "9.9"]).complains("There is no kernel 9.9 here");
    }),
    ("Load", || {
        let world = installed();
        world.ok(&["mktarball", "m/1.0", "--source-only", "--archive", "m.tar.gz"]);
        let archive = world.path("/var/lib/dkms/m/1.0/tarball/m.tar.gz");
        let kept = world.scratch("m.tar.gz");
        fs::copy(archive, &kept).unwrap();
        world.ok(&["remove", "m/1.0", "--all"]);
        fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
        let ended = world.dkms(&["install", "--dry-run", kept.to_str().unwrap()]);
        follow(&world, &ended, "dkms ldtarball ");
        assert_eq!(world.status(), ["m/1.0: added"]);
    }),
    ("RepairTree", || {
        let world = installed();
        fs::remove_file(world.path(format!("/var/lib/dkms/m/kernel-{K}-{}", *crate::world::A))).unwrap();
        let ended = world.dkms(&["fsck"]);
        ended.exits(1);
        follow(&world, &ended, "dkms fsck --repair");
        world.ok(&["fsck"]);
    }),
    ("RemoveAll", || {
        let world = installed();
        fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
        let ended = world.dkms(&["build", "m/1.0", "--force"]);
        ended.exits(4);
        follow(&world, &ended, "dkms remove m/1.0 --all");
        assert!(world.status().is_empty());
    }),
    ("Uninstall", || {
        let world = installed();
        let ended = world.ok(&["disable", "m"]);
        follow(&world, &ended, "dkms uninstall m/1.0 -k");
        assert!(!world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
    }),
    ("InstallOn", || {
        let world = World::new();
        world.kernel(NEW).headers();
        add(&world, "m");
        world.ok(&["disable", "m"]);
        world.ok(&["autoinstall"]);
        let ended = world.ok(&["enable", "m"]);
        follow(&world, &ended, "dkms install m/1.0 -k");
        assert_eq!(world.status().iter().filter(|row| row.ends_with(": installed")).count(), 2);
        // Only where it was left alone, and is wanted.
        world.ok(&["remove", "m/1.0", "--all"]);
        world.package("m", "1.0").conf("BUILD_EXCLUSIVE_KERNEL=^6.2");
        world.ok(&["add", "m/1.0"]);
        world.ok(&["disable", "m", "-k", NEW]);
        follow(&world, &world.ok(&["enable", "m", "-k", NEW]), "dkms install m/1.0 -k 6.2.0-1-amd64");
        world.ok(&["uninstall", "m/1.0", "-k", NEW]);
        world.ok(&["disable", "m", "-k", K]);
        assert!(commands(&world.ok(&["enable", "m", "-k", K]).stdout).is_empty());
        world.ok(&["install", "m/1.0", "-k", NEW]);
        // There is nothing to do where it is installed.
        world.ok(&["disable", "m"]);
        assert!(commands(&world.ok(&["enable", "m"]).stdout).is_empty());
    }),
    ("InstallNewest", || {
        let world = installed();
        world.ok(&["uninstall", "m/1.0"]);
        let ended = world.dkms(&["rollback", "m"]);
        assert_ne!(ended.code, Some(0));
        follow(&world, &ended, "dkms install m");
        world.ok(&["check"]);
        let ended = world.dkms(&["autoinstall", "m/1.0"]);
        assert!(!commands(&lines(&ended)).is_empty(), "{}", lines(&ended));
    }),
    ("EnableRule", || {
        let world = two_versions();
        world.ok(&["disable", "m"]);
        let ended = world.dkms(&["enable", "m/2.0"]);
        ended.exits(3);
        follow(&world, &ended, "dkms enable m");
        world.dkms(&["enable", "m"]).exits(3);
    }),
    ("UndoRollback", || {
        let world = two_versions();
        let ended = world.ok(&["rollback", "m"]);
        follow(&world, &ended, "dkms enable m/2.0");
        assert!(world.status().iter().any(|row| row.starts_with("m/2.0") && row.ends_with("installed")));
    }),
    ("Extend", || {
        let world = fixed();
        world.with_fixed_modules("dkms install m/1.0").exits(6).complains("dkms help mksysext");
        let hook = world.with_fixed_modules(&format!("$kernel_postinst {K}"));
        assert_eq!(commands(&lines(&hook)), [run_fixed(&world)], "{}", lines(&hook));
    }),
    ("Extend", || {
        let world = fixed();
        world
            .kernel(K)
            .headers()
            .config("CONFIG_EROFS_FS=m\nCONFIG_MODULE_SIG_HASH=\"sha256\"\n")
            .sign_file();
        world.write("/etc/dkms/framework.conf", "try_sign_modules=false\n");
        run_fixed(&world);
        world.signing_keys("/etc/keys/k.pem", "/etc/keys/c.der");
        world.write("/etc/dkms/framework.conf", SIGNING);
        world.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
        world.write(MOK_LIST, signature_list(&world));
        run_fixed(&world);
    }),
    ("Extend", || {
        let world = fixed();
        world.with_fixed_modules("dkms check").exits(1);
        // Of the image, by an earlier build.
        world.package("m", "0.9");
        world.ok(&["install", "m/0.9"]);
        run_fixed(&world);
    }),
    ("Extend", || {
        let world = fixed();
        world.kernel(NEW).headers().config("CONFIG_EROFS_FS=m\n");
        world.write(&format!("/lib/modules/{NEW}/modules.dep"), "kernel/fs/ext4.ko:\n");
        let before = world.with_fixed_modules("dkms check");
        let printed = commands(&lines(before.exits(1)));
        assert_eq!(printed.len(), 2, "{}", lines(&before));
        world.with_fixed_modules(&printed.join(" && ")).exits(0);
        let after = world.with_fixed_modules("dkms check");
        after.exits(0).complains(&format!("{K}: a system ext")).complains(&format!("{NEW}: a system ext"));
    }),
    ("Extend", || {
        let world = fixed();
        run_fixed(&world);
        // Now the extension brings what is no longer right.
        world.write("/usr/src/m-1.0/m.ko.in", elf::versioned("m", "1.0", "NEW"));
        run_fixed(&world);
    }),
];

/// `m` is added; systemd-sysext(8) shows the image that is in its place.
fn fixed() -> World {
    let world = World::new();
    world.kernel(K).config("CONFIG_EROFS_FS=m\n");
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.write(&format!("/lib/modules/{K}/modules.dep"), "kernel/fs/ext4.ko:\n");
    let (root, image) = (world.root().display().to_string(), world.path("/var/lib/extensions/dkms.raw"));
    let image = image.display();
    world.program("mkfs.erofs", "for word; do image=$dir; dir=$word; done; tar -C \"$dir\" -cf \"$image\" .");
    world.program("systemd-sysext", &format!(
        "mount -o remount,bind,rw $modules && tar -C {root} --transform='s,^./usr/,./,' -xf {image} ./usr/lib/modules && mount -o remount,bind,ro $modules"
    ));
    world.tool_does("depmod", "if [ \"$2\" = -b ]; then cd \"$3/lib/modules/$4\" && find -L . -name '*.ko' -type f | sed 's,^./,,; s/$/:/' >modules.dep; fi");
    world
}

/// Runs what `check` prints where modules cannot be written, and checks again.
fn run_fixed(world: &World) -> String {
    let before = world.with_fixed_modules("dkms check");
    before.exits(1);
    let printed = commands(&lines(&before));
    assert!(printed.len() == 1 && printed[0].starts_with("dkms build "), "{}", lines(&before));
    let after = format!("{} && dkms check && dkms autoinstall && dkms check", printed[0]);
    let ended = world.with_fixed_modules(&after);
    ended.exits(0).says("complete, 1 package with 1 module").complains("a system extension brings m/1.0");
    printed[0].clone()
}

#[rstest]
fn printed_command_fixes_its_state(
    #[values(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
        28, 29, 30, 31, 32
    )]
    state: usize,
) {
    (STATES[state].1)();
}

/// There is nothing to run: the advice is to keep the kernel that works.
#[test]
fn excluded_kernel_is_named_with_one_to_keep() {
    let world = installed();
    world.kernel(NEW).headers();
    indexed(&world, NEW);
    world.write("/etc/dkms/m.conf", "BUILD_EXCLUSIVE_KERNEL_MAX=6.1.99\n");
    let ended = world.dkms(&["check"]);
    ended.exits(1).says(&format!("{NEW}  NOT READY (newest kernel)"));
    ended.says("works on the running kernel, will not exist on this one").says(&format!("keep booting {K}"));
    let json = world.dkms(&["check", "--format", "json"]);
    json.exits(1).says("\"lost\"").says("\"remedy\": null");
}

#[test]
fn every_kind_of_remedy_has_a_state() {
    let source = include_str!("../../src/model/remedy.rs");
    let body = source.split("pub(crate) enum Remedy {").nth(1).unwrap().split("\n}").next().unwrap();
    let kinds = body.lines().filter_map(|line| {
        let word: String = line.trim().chars().take_while(char::is_ascii_alphabetic).collect();
        (line.starts_with("    ") && line.trim().starts_with(|c: char| c.is_ascii_uppercase()))
            .then_some(word)
    });
    let kinds: Vec<String> = kinds.collect();
    assert!(kinds.len() >= 10, "{kinds:?}");
    let untested = kinds.iter().filter(|kind| !STATES.iter().any(|(known, _)| known == kind));
    assert_eq!(untested.collect::<Vec<_>>(), ["KeepKernel"], "which has a test of its own");
}

/// Errors and hooks print commands too.
#[rstest]
#[case::remembered(&["autoinstall"], "dkms install m/1.0")]
#[case::hook(&["kernel-postinst", K], "dkms install m/1.0")]
fn command_after_a_failure_tries_again(#[case] words: &[&str], #[case] expected: &str) {
    let world = installed();
    world.ok(&["remove", "m/1.0", "--all"]);
    world.write("/usr/src/m-1.0/recipe", "echo 'm.c:1: error: no' >&2; exit 2");
    world.ok(&["add", "m/1.0"]);
    let call = || match words {
        ["autoinstall"] => world.dkms(words),
        [hook, rest @ ..] => world.hook(hook, rest),
        [] => unreachable!(),
    };
    call();
    let ended = call();
    let command = commands(&lines(&ended)).into_iter().find(|command| command.contains(expected));
    let command = command.unwrap_or_else(|| panic!("{}", lines(&ended)));
    world.shell(&command).exits(10);
    fs::remove_file(world.path("/usr/src/m-1.0/recipe")).unwrap();
    world.shell(&command).exits(0);
    world.ok(&["check"]);
}

#[test]
fn command_for_build_without_its_module_makes_it() {
    let world = installed();
    world.ok(&["uninstall", "m/1.0"]);
    fs::remove_file(world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *crate::world::A))).unwrap();
    let ended = world.dkms(&["install", "m/1.0"]);
    for command in commands(&lines(&ended)) {
        world.shell(&command).exits(0);
    }
    world.ok(&["check"]).says("1 package");
}
