//! mksysext: an image for systemd-sysext(8). The programs that make it are stand-ins which pack the same files with tar(1);
//! tests/system boots a real one.

use crate::world::{A, K, World};
use rstest::rstest;
use std::fs;

const OTHER: &str = "6.2.0-1-amd64";
const EROFS: &str = "for word; do image=$dir; dir=$word; done; tar -C \"$dir\" -cf \"$image\" .";
const SQUASHFS: &str = "tar -C \"$1\" -cf \"$2\" .";
/// depmod(8) of a directory that is not the machine's.
const DEPMOD: &str = "if [ \"$2\" = -b ]; then cd \"$3/lib/modules/$4\" && find -L . -name '*.ko*' -type f | sort >modules.dep; fi";

/// `m` and both versions of `n` are built, `waits` is not, and the kernel has a module of its own.
fn machine() -> World {
    let world = World::new();
    world.write("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    world.write(&format!("/lib/modules/{K}/modules.dep"), "kernel/fs/ext4.ko:\n");
    for (name, version) in [("m", "1.0"), ("n", "1.0"), ("n", "2.0"), ("waits", "1.0")] {
        world.package(name, version);
        world.ok(&["add", &format!("{name}/{version}")]);
    }
    for package in ["m/1.0", "n/1.0", "n/2.0"] {
        world.ok(&["build", package]);
    }
    world.program("mkfs.erofs", EROFS);
    world.tool_does("depmod", DEPMOD);
    world
}

/// What is in the image: its files, and what one of them says.
struct Image<'w> {
    world: &'w World,
    name: String,
}

impl<'w> Image<'w> {
    fn new(world: &'w World, name: &str) -> Self {
        Self { world, name: name.to_owned() }
    }

    fn files(&self) -> Vec<String> {
        let ended = self.world.shell(&format!("tar -tf {} | grep -v '/$' | sort", self.name));
        ended.exits(0);
        ended.stdout.lines().map(|line| line.trim_start_matches("./").to_owned()).collect()
    }

    fn text(&self, file: &str) -> String {
        let ended = self.world.shell(&format!("tar -xOf {} ./{file}", self.name));
        ended.exits(0);
        ended.stdout.clone()
    }
}

fn modules(kernel: &str, files: &[&str]) -> Vec<String> {
    files.iter().map(|file| format!("usr/lib/modules/{kernel}/{file}")).collect()
}

#[test]
fn image_has_modules_index_and_names_of_machine() {
    let world = machine();
    let ended = world.ok(&["mksysext"]);
    let place = world.scratch("dkms.raw").display().to_string();
    ended.says("m/1.0, n/2.0").says(&format!("System extension: {place}"));
    ended
        .says(&format!("To use it: install -Dm644 -t /var/lib/extensions {place} && systemd-sysext refresh"));
    let image = Image::new(&world, "dkms.raw");
    let release = "usr/lib/extension-release.d/extension-release.dkms";
    let units = ["dkms-sysext.service", "multi-user.target.d/10-dkms-sysext.conf"];
    let mut wanted = modules(K, &[".dkms-sysext", "modules.dep", "updates/dkms/m.ko", "updates/dkms/n.ko"]);
    wanted.extend(units.map(|unit| format!("usr/lib/systemd/system/{unit}")));
    wanted.push(release.to_owned());
    wanted.sort();
    assert_eq!(image.files(), wanted);
    let dep = image.text(&format!("usr/lib/modules/{K}/modules.dep"));
    assert_eq!(dep, "./kernel/fs/ext4.ko\n./updates/dkms/m.ko\n./updates/dkms/n.ko\n");
    let identity = "ID=debian\nVERSION_ID=12\nARCHITECTURE=x86-64\nEXTENSION_RELOAD_MANAGER=1\n";
    let arch = match A.as_str() {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        "ppc64le" => "ppc64-le",
        other => other,
    };
    assert_eq!(image.text(release), identity.replace("x86-64", arch));
    let built = fs::read(world.path(format!("/var/lib/dkms/n/2.0/{K}/{}/module/n.ko", *A))).unwrap();
    let packed = image.text(&format!("usr/lib/modules/{K}/updates/dkms/n.ko"));
    assert_eq!(packed, String::from_utf8_lossy(&built));
    assert!(!world.has(&format!("/lib/modules/{K}/updates")), "the kernel is as it was");
}

#[test]
fn same_builds_make_same_image() {
    let world = machine();
    let listed = |name: &str| {
        let dir = world.scratch(name).display().to_string();
        fs::create_dir(&dir).unwrap();
        world.ok(&["mksysext", "--archive", &format!("{dir}/dkms.raw")]);
        world.shell(&format!("tar --utc --full-time -tvf {dir}/dkms.raw | sort -k 6")).stdout
    };
    let (first, second) = (listed("a"), listed("b"));
    assert_eq!(first, second);
    assert!(first.lines().all(|line| line.contains(" 2000-01-01 00:00:00 ")), "{first}");
}

/// systemd-sysext(8) lays the image over /usr, so the next one is made on a machine that shows this one.
fn extended(world: &World) {
    world.ok(&["mksysext"]);
    let root = world.root().display().to_string();
    world.shell(&format!("tar -C {root} -xf dkms.raw && cp -r {root}/usr/lib/modules {root}/lib/")).exits(0);
}

#[test]
fn earlier_image_is_not_taken_for_kernel() {
    let world = machine();
    extended(&world);
    world.with_fixed_modules("dkms remove m/1.0 --all").exits(0);
    assert!(world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
    world.ok(&["mksysext"]);
    let dep = Image::new(&world, "dkms.raw").text(&format!("usr/lib/modules/{K}/modules.dep"));
    assert_eq!(dep, "./kernel/fs/ext4.ko\n./updates/dkms/n.ko\n");
}

#[test]
fn what_extension_brings_is_not_ours_to_change() {
    let world = machine();
    world.write(&format!("/lib/modules/{K}/modules.dep"), "");
    extended(&world);
    let status = world.status();
    let unchanged = |line: &str| {
        let ended = world.with_fixed_modules(line);
        assert_eq!(world.status(), status, "{line}");
        ended
    };
    unchanged("dkms fsck").exits(0);
    unchanged("dkms install n/2.0").exits(0).says("already installed");
    unchanged("dkms uninstall n/2.0 --all").exits(0);
    // The index is another one.
    world.write(&format!("/lib/modules/{K}/modules.dep"), "kernel/fs/ext4.ko:\n");
    unchanged("dkms check").exits(1).says("modules.dep does not know it").says("dkms mksysext");
}

#[test]
fn damaged_build_stays_out_until_it_is_built() {
    let world = machine();
    world.ok(&["build", "waits/1.0"]);
    let module = format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A);
    let whole = world.read(&module);
    world.write(&module, "");
    follow(&world, "The build of m/1.0 is damaged, and not in the image.");
    assert!(!in_image(&world, "/m.ko"));
    assert_eq!(world.read(&module), whole);
    assert_eq!(world.ok(&["mksysext"]).stderr, "");
    assert!(in_image(&world, "/m.ko"));
}

#[test]
fn kernels_without_usable_builds_are_passed_over() {
    let world = machine();
    world.kernel(OTHER).headers();
    world.write(&format!("/lib/modules/{OTHER}/modules.dep"), "");
    world.ok(&["build", "m/1.0", "-k", OTHER]);
    world.ok(&["disable", "m", "-k", OTHER]);
    world.ok(&["mksysext"]).says(K).is_silent_about(&format!("{OTHER} ({}): ", *A));
    world.dkms(&["mksysext", "-k", OTHER]).exits(6);
}

#[test]
fn index_has_what_links_lead_to() {
    let world = machine();
    world.kernel(OTHER).module("extra/lent.ko", "1", "LENT").module("more/far.ko", "1", "FAR");
    let dir = world.path(format!("/lib/modules/{K}"));
    fs::create_dir_all(dir.join("weak-updates")).unwrap();
    for (target, link) in [
        (format!("../../{OTHER}/extra/lent.ko"), "weak-updates/lent.ko"),
        (format!("../../{OTHER}/extra/gone.ko"), "weak-updates/gone.ko"),
        (format!("../{OTHER}/more"), "more"),
        ("..".to_owned(), "weak-updates/up"),
        (format!("../{OTHER}/more"), "updates"),
    ] {
        std::os::unix::fs::symlink(target, dir.join(link)).unwrap();
    }
    world.ok(&["mksysext", "-k", K]);
    let dep = Image::new(&world, "dkms.raw").text(&format!("usr/lib/modules/{K}/modules.dep"));
    let own =
        ["kernel/fs/ext4.ko", "more/far.ko", "updates/dkms/m.ko", "updates/dkms/n.ko", "updates/far.ko"];
    let wanted: String =
        own.iter().chain(&["weak-updates/lent.ko"]).map(|file| format!("./{file}\n")).collect();
    assert_eq!(dep, wanted);
    assert!(!world.has(&format!("/lib/modules/{OTHER}/more/dkms")), "nothing is written behind the links");
}

#[rstest]
#[case::newest(&[], "n/2.0")]
#[case::newest_is_disabled(&["disable", "n/2.0"], "n/1.0")]
#[case::installed(&["install", "n/1.0"], "n/2.0")]
#[case::all_are_disabled(&["disable", "n"], "")]
fn version_is_that_of_autoinstall(#[case] change: &[&str], #[case] version: &str) {
    let world = machine();
    if !change.is_empty() {
        world.ok(change);
    }
    let ended = world.ok(&["mksysext"]);
    match version {
        // Names of temporary directories may end in any letter.
        "" => ended.is_silent_about(" n/"),
        version => ended.says(version),
    };
}

#[test]
fn packages_by_hand_are_in_image() {
    let world = machine();
    world.package("hand", "1.0").conf("AUTOINSTALL=no");
    world.ok(&["build", "hand/1.0"]);
    world.ok(&["mksysext"]).says("hand/1.0");
}

/// Makes an image, which warns of one build with these words, and runs the command that it prints.
fn follow(world: &World, words: &str) {
    let ended = world.ok(&["mksysext"]);
    ended.complains(words);
    let commands: Vec<&str> =
        ended.stderr.lines().filter_map(|line| line.strip_prefix("Build it first: ")).collect();
    assert_eq!(commands.len(), 1, "{}", ended.stderr);
    world.shell(commands[0]).exits(0);
}

fn in_image(world: &World, file: &str) -> bool {
    Image::new(world, "dkms.raw").files().iter().any(|path| path.ends_with(file))
}

#[test]
fn missing_and_stale_builds_are_named() {
    let world = machine();
    follow(&world, "waits/1.0 is not in the image: it is not built for");
    world.write("/usr/src/m-1.0/m.ko.in", crate::world::elf::versioned("m", "1.0", "NEW"));
    follow(&world, "m/1.0 is in the image as it was built, but its source has changed");
    assert_eq!(world.ok(&["mksysext"]).stderr, "");
}

/// What worked is not lost with the next image.
#[test]
fn build_before_trouble_stays_in_image() {
    let world = machine();
    extended(&world);
    world.ok(&["disable", "n"]);
    world.package("m", "1.0").recipe("echo 'm.c:1: error: no' >&2; exit 2");
    world.dkms(&["build", "m/1.0"]).exits(10);
    let ended = world.ok(&["mksysext"]);
    ended.says("m/1.0, n/2.0").complains("m/1.0 is in the image as it was built, but its source has changed");
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    world.ok(&["mksysext"]).says("m/1.0, n/2.0");
    assert!(in_image(&world, "/m.ko") && in_image(&world, "/n.ko"));
}

#[test]
fn several_kernels_go_into_one_image() {
    let world = machine();
    world.kernel(OTHER).headers();
    world.write(&format!("/lib/modules/{OTHER}/modules.dep"), "");
    world.ok(&["build", "m/1.0", "-k", OTHER]);
    world.ok(&["mksysext"]);
    let files = Image::new(&world, "dkms.raw").files();
    for (kernel, module) in [(K, "m"), (K, "n"), (OTHER, "m")] {
        let file = format!("usr/lib/modules/{kernel}/updates/dkms/{module}.ko");
        assert!(files.contains(&file), "{file}: {files:#?}");
    }
    world.ok(&["mksysext", "-k", OTHER]);
    let files = Image::new(&world, "dkms.raw").files();
    assert!(files.iter().all(|file| !file.contains(K)), "{files:#?}");
}

#[rstest]
#[case::erofs("CONFIG_EROFS_FS=m\nCONFIG_SQUASHFS=m\n", "mkfs.erofs")]
#[case::compressed("CONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_ZIP=y\n", "-zlz4hc")]
#[case::squashfs("CONFIG_SQUASHFS=y\n", "mksquashfs")]
fn kernel_can_read_image(#[case] config: &str, #[case] used: &str) {
    let world = machine();
    for (program, body) in [("mkfs.erofs", EROFS), ("mksquashfs", SQUASHFS)] {
        world.program(program, &format!("echo \"@NAME@ $*\" >>@LOG@/images; {body}"));
    }
    world.kernel(K).config(config);
    world.ok(&["mksysext", "-k", K]);
    let calls = world.calls("images");
    assert!(calls.len() == 1 && calls[0].contains(used), "{calls:?}");
    assert!(!Image::new(&world, "dkms.raw").files().is_empty());
}

#[rstest]
#[case::name(&["--archive", "x.img"], 8, "ends in .raw")]
#[case::no_name(&["--archive", ".raw"], 8, "ends in .raw")]
#[case::place(&["--archive", "/no/such/place/x.raw"], 9, "there is no such directory")]
#[case::directory(&["--archive", "dir.raw"], 9, "it is a directory")]
#[case::architectures(&["-k", K, "-k", K, "-a", "one", "-a", "two"], 2, "one image has one architecture")]
#[case::package(&["m/1.0"], 2, "mksysext takes every package")]
#[case::not_built(&["-k", OTHER], 6, "no package is built for kernel 6.2.0-1-amd64")]
fn refusals_are_plain(#[case] args: &[&str], #[case] code: i32, #[case] words: &str) {
    let world = machine();
    world.kernel(OTHER).headers();
    fs::create_dir(world.scratch("dir.raw")).unwrap();
    world.dkms(&[&["mksysext"], args].concat()).exits(code).complains(words);
    assert!(!world.scratch("dkms.raw").exists() && !world.scratch("x.img").exists());
}

#[test]
fn two_packages_with_same_module_are_refused() {
    let world = machine();
    world.package("twin", "1.0").conf("DEST_MODULE_NAME=m");
    world.ok(&["build", "twin/1.0"]);
    let ended = world.dkms(&["mksysext"]);
    ended.exits(7).complains("m/1.0 and twin/1.0 both have the module updates/dkms/m.ko");
    assert!(!world.scratch("dkms.raw").exists());
}

#[test]
fn other_architectures_stay_out() {
    let world = machine();
    world.ok(&["build", "m/1.0", "-k", &format!("{K}/i686")]);
    let ended = world.ok(&["mksysext"]);
    ended.says(&format!("{K} ({})", *A)).is_silent_about("i686");
}

#[test]
fn failures_leave_no_image() {
    let world = machine();
    let ready = world.path("/var/lib/extensions");
    fs::create_dir_all(&ready).unwrap();
    let archive = ready.join("dkms.raw").display().to_string();
    let make = |code: i32| {
        let ended = world.dkms(&["mksysext", "--archive", &archive]);
        ended.exits(code);
        ended
    };
    world.tool_does("depmod", "echo depmod is unwell >&2; exit 1");
    make(7).complains("depmod is unwell");
    world.tool_does("depmod", DEPMOD);
    world.program("mkfs.erofs", "echo no space >&2; exit 1");
    make(7).complains("no space");
    fs::remove_file(world.root().parent().unwrap().join("bin/mkfs.erofs")).unwrap();
    world.kernel(K).config("CONFIG_EROFS_FS=m\n");
    if world.shell("command -v mkfs.erofs").code != Some(0) {
        make(2).complains("Install the package erofs-utils.");
    }
    world.kernel(K).config("CONFIG_X=y\n");
    make(7).complains("neither erofs nor squashfs");
    fs::remove_file(world.path(format!("/lib/modules/{K}/modules.dep"))).unwrap();
    assert_eq!(world.dkms(&["mksysext", "-k", K]).code, Some(6));
    assert!(fs::read_dir(&ready).unwrap().next().is_none());
    assert!(fs::read_dir(world.scratch("../tmp")).unwrap().next().is_none(), "nothing is left in TMPDIR");
    world.write(&format!("/lib/modules/{K}/modules.dep"), "");
    world.kernel(K).config("CONFIG_EROFS_FS=m\n");
    world.program("mkfs.erofs", EROFS);
    make(0).says("To use it: systemd-sysext refresh");
}

#[rstest]
#[case::enforcing("SELINUX=enforcing\nSELINUXTYPE=targeted\n", "targeted", true)]
#[case::permissive("# SELINUX=disabled\nSELINUX=permissive\nSELINUXTYPE=default \n", "default", true)]
#[case::off("SELINUX=disabled\nSELINUXTYPE=default\n", "default", false)]
#[case::no_policy("SELINUX=enforcing\nSELINUXTYPE=default\n", "other", false)]
fn files_are_labelled_as_policy_wants(#[case] config: &str, #[case] policy: &str, #[case] labelled: bool) {
    let world = machine();
    world.write("/etc/selinux/config", config);
    let contexts = format!("/etc/selinux/{policy}/contexts/files/file_contexts");
    world.write(&contexts, "");
    let ended = world.dkms(&["mksysext"]);
    assert_eq!(ended.code == Some(0), !labelled, "{}", ended.stderr);
    if labelled {
        ended.complains("Install the package policycoreutils");
    }
    world.program("setfiles", "echo \"$1 $2 $4\" >$3/usr/label; test \"$3\" = \"$5\"");
    world.ok(&["mksysext"]);
    let image = Image::new(&world, "dkms.raw");
    let label = image.files().contains(&"usr/label".to_owned()).then(|| image.text("usr/label"));
    assert_eq!(label, labelled.then(|| format!("-F -r {}\n", world.path(contexts).display())));
}
