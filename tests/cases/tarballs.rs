//! The actions mktarball and ldtarball, and tarballs given to add, build, install and common.postinst.

mod by_hand;
mod hostile;

use crate::world::{A, K, World, elf, line, write};
use by_hand::{Tar, put};
use rstest::rstest;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

const CONF: &str = "PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=m\n\
                    DEST_MODULE_LOCATION=/kernel/drivers/misc\nAUTOINSTALL=yes\n";
const OTHER: &str = "6.2.0-1-amd64";

fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let plain: Vec<u8> = match path.extension().and_then(|end| end.to_str()) {
        Some("gz" | "tgz") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
            plain
        }
        Some("xz") => {
            let mut plain = Vec::new();
            liblzma::read::XzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
            plain
        }
        Some("zst") => zstd::decode_all(bytes.as_slice()).unwrap(),
        _ => bytes,
    };
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(plain.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        members.insert(name, content);
    }
    members
}

fn tarball(world: &World, name: &str) -> PathBuf {
    world.path("/var/lib/dkms/m/1.0/tarball").join(name)
}

/// A world with m/1.0 built for two kernels.
fn built() -> World {
    let world = World::new();
    world.kernel(OTHER).headers();
    world.package("m", "1.0").file(".hidden", "h").file("sub/x.h", "x");
    world.ok(&["build", "m/1.0", "-k", K, "-k", OTHER]);
    world
}

#[test]
fn tarball_carries_source_and_builds_elsewhere() {
    let world = built();
    world.write(&format!("/var/lib/dkms/m/1.0/{K}/{}/.dep_x", *A), "2.0\n");
    let ended = world.ok(&["mktarball", "m/1.0"]);
    let name = format!("m-1.0-kernel{K}-{0}-kernel{OTHER}-{0}.dkms.tar.gz", *A);
    let path = tarball(&world, &name);
    ended.says(&format!("Tarball location: {}\n", path.display()));
    let members = unpacked(&path);
    assert!(members.keys().all(|member| member.starts_with("./")), "{members:#?}");
    assert!(!members.keys().any(|member| member.contains("/.dkms-")), "{members:#?}");
    for member in [
        "./dkms_main_tree/",
        "./dkms_source_tree/",
        "./dkms_source_tree/.hidden",
        "./dkms_source_tree/sub/x.h",
    ] {
        assert!(members.contains_key(member), "{member}");
    }

    let other = World::new();
    let carried = put(&other, "carried", &fs::read(&path).unwrap());
    other.ok(&["ldtarball", &carried]).says("Loading tarball for m-1.0").says("Creating symlink");
    assert_eq!(other.status(), [line("m/1.0", K, "built"), line("m/1.0", OTHER, "built")]);
    assert_eq!(other.read("/usr/src/m-1.0/.hidden"), "h");
    assert_eq!(other.read(&format!("/var/lib/dkms/m/1.0/{K}/{}/.dep_x", *A)), "2.0\n");
    for release in [K, OTHER] {
        let module = format!("/var/lib/dkms/m/1.0/{release}/{}/module/m.ko", *A);
        assert_eq!(other.read(&module), world.read(&module));
    }
    other.ok(&["install", "m/1.0"]);
    assert_eq!(other.status()[0], line("m/1.0", K, "installed"));
    assert!(other.calls("make").is_empty(), "what was loaded is not built again");
    other.ok(&["remove", "m/1.0", "--all"]);
    assert!(other.tree().is_empty());
}

#[test]
fn each_build_has_its_own_modules() {
    let world = World::new();
    let archive = Tar::source().build(K, b"one").build(OTHER, b"two").write(&world);
    world.ok(&["ldtarball", &archive]);
    let module = |release: &str| world.read(&format!("/var/lib/dkms/m/1.0/{release}/{}/module/m.ko", *A));
    assert_eq!((module(K), module(OTHER)), ("one".into(), "two".into()));
}

#[test]
fn the_same_package_gives_the_same_tarball() {
    let world = built();
    world.ok(&["mktarball", "m/1.0", "--archive", "a.tar.gz"]);
    world.ok(&["mktarball", "m/1.0", "--archive", "b.tar.gz"]);
    assert_eq!(
        fs::read(tarball(&world, "a.tar.gz")).unwrap(),
        fs::read(tarball(&world, "b.tar.gz")).unwrap()
    );
}

#[test]
fn the_source_alone_needs_no_build() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["mktarball", "m/1.0", "--source-only"]);
    let path = tarball(&world, "m-1.0-source-only.dkms.tar.gz");
    let members = unpacked(&path);
    assert_eq!(members.keys().filter(|member| member.starts_with("./dkms_main_tree")).count(), 1);
    let other = World::new();
    other.ok(&["ldtarball", "--archive", &put(&other, "x", &fs::read(path).unwrap())]);
    assert_eq!(other.status(), ["m/1.0: added"]);
    other.ok(&["install", "m/1.0"]);
}

#[test]
fn binaries_alone_make_a_package_without_source() {
    let world = built();
    world.ok(&["mktarball", "m/1.0", "--binaries-only", "-k", K]);
    let path = tarball(&world, &format!("m-1.0-kernel{K}-{}.dkms.tar.gz", *A));
    let members = unpacked(&path);
    assert_eq!(members["./dkms_binaries_only/PACKAGE_NAME"], b"m\n");
    assert_eq!(members["./dkms_binaries_only/PACKAGE_VERSION"], b"1.0\n");
    assert!(!members.keys().any(|member| member.starts_with("./dkms_source_tree")));

    let other = World::new();
    let archive = put(&other, "x", &fs::read(path).unwrap());
    other.ok(&["ldtarball", &archive]);
    assert_eq!(other.status(), [line("m/1.0", K, "built")]);
    assert_eq!(other.names("/var/lib/dkms/m/1.0/source"), ["dkms.conf"]);
    assert!(!other.has("/usr/src/m-1.0"));
    other.ok(&["install", "m/1.0"]);
    other.dkms(&["ldtarball", &archive]).exits(8);
    other.ok(&["ldtarball", "--force", &archive]);
    assert_eq!(other.status(), [line("m/1.0", K, "installed")]);
    other.ok(&["remove", "m/1.0", "--all"]);
    assert!(other.tree().is_empty());
}

#[test]
fn binaries_are_joined_with_source_that_is_there() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["ldtarball", &Tar::binaries().build(K, b"one").write(&world)]);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    assert!(world.path("/var/lib/dkms/m/1.0/source").is_symlink());
}

#[test]
fn a_source_takes_the_place_of_binaries_alone() {
    let world = World::new();
    world.ok(&["ldtarball", &Tar::binaries().write(&world)]);
    assert_eq!(world.status(), ["m/1.0: added"]);
    world.ok(&["ldtarball", "--force", &Tar::source().write(&world)]);
    assert!(world.path("/var/lib/dkms/m/1.0/source").is_symlink());
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn installers_tarball_is_laid_over_its_source() {
    let world = World::new();
    world.write("/usr/src/m-1.0/extra", "kept").write("/usr/src/m-1.0/m.c", "old");
    let tar = Tar::default()
        .file("dkms_source_tree/dkms.conf", CONF.as_bytes())
        .file("dkms_source_tree/m.c", b"new")
        .file("dkms_main_tree/dkms_dbversion", b"2.0.0")
        .file(&format!("dkms_main_tree/{K}/{}/log/make.log", *A), b"log");
    let build = tar.file(&format!("dkms_main_tree/{K}/{}/module/m.ko", *A), b"binary");
    world.ok(&["ldtarball", &put(&world, "noext", &build.bytes())]);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    assert_eq!(world.read("/usr/src/m-1.0/extra"), "kept");
    assert_eq!(world.read("/usr/src/m-1.0/m.c"), "new");
    assert!(!world.has("/var/lib/dkms/m/1.0/dkms_dbversion"));
}

#[test]
fn module_preinstalled_by_an_installer_is_accepted() {
    let world = World::new();
    let module = elf::versioned("m", "1.0", "SRC");
    let theirs = format!("/lib/modules/{K}/kernel/drivers/video/m.ko");
    world.write(&theirs, &module);
    let tar = Tar::source().build(K, &module);
    world.ok(&["ldtarball", &put(&world, "noext", &tar.bytes())]);
    let ended = world.ok(&["install", "--no-depmod", "-m", "m", "-v", "1.0", "-k", K]);
    ended.says("kernel/drivers/video/m.ko is the same module and stays.");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
    world.ok(&["remove", "--no-depmod", "-m", "m", "-v", "1.0", "--all"]);
    assert_eq!(fs::read(world.path(theirs)).unwrap(), module);
    assert!(!world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
}

#[test]
fn equal_kernel_module_keeps_a_loaded_one_out() {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/video/m.ko", "1.0", "SRC");
    let other = [elf::versioned("m", "1.0", "SRC"), b"other build".to_vec()].concat();
    let tar = Tar::source().build(K, &other);
    world.ok(&["ldtarball", &put(&world, "noext", &tar.bytes())]);
    world.dkms(&["install", "m/1.0"]).exits(6);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}

#[rstest]
#[case("x.tar.gz", &[0x1f, 0x8b])]
#[case("x.tgz", &[0x1f, 0x8b])]
#[case("x.tar.xz", &[0xfd, b'7'])]
#[case("x.tar.zst", &[0x28, 0xb5])]
#[case("x.tar", b"./dkms")]
fn name_chooses_compression_and_the_content_tells_it(#[case] name: &str, #[case] magic: &[u8]) {
    let world = built();
    world.ok(&["mktarball", "m/1.0", "--archive", name]);
    let bytes = fs::read(tarball(&world, name)).unwrap();
    assert!(bytes.starts_with(magic));
    let other = World::new();
    other.ok(&["ldtarball", &put(&other, "anything", &bytes)]);
    assert_eq!(other.status().len(), 2);
}

#[test]
fn an_archive_with_a_directory_goes_there() {
    let world = built();
    let path = world.scratch("new/dir/x.tar.gz");
    world.ok(&["mktarball", "m/1.0", "--archive", path.to_str().unwrap()]).says(path.to_str().unwrap());
    assert!(path.is_file());
    world.ok(&["mktarball", "m/1.0", "--archive", "./here.tar"]);
    assert!(world.scratch("here.tar").is_file());
    write(&world.scratch("old.tar"), b"old");
    world.ok(&["mktarball", "m/1.0", "old.tar"]);
    assert!(tarball(&world, "old.tar").is_file());
}

#[test]
fn long_list_of_kernels_is_not_in_name() {
    let world = World::new();
    world.package("m", "1.0");
    for n in 0..9 {
        let release = format!("6.{n}.0-1-with-a-long-name");
        world.kernel(&release).headers();
        world.ok(&["build", "m/1.0", "-k", &release]);
    }
    world.ok(&["mktarball", "m/1.0", "--all"]);
    assert!(tarball(&world, "m-1.0-manykernels.dkms.tar.gz").is_file());
}

#[test]
fn long_names_and_links_survive() {
    let world = World::new();
    let deep = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    let package = world.package("m", "1.0").file(&deep, "deep");
    std::os::unix::fs::symlink(&deep, package.dir.join("link")).unwrap();
    world.ok(&["add", "m/1.0"]);
    world.ok(&["mktarball", "m/1.0", "--source-only", "--archive", "x.tar.gz"]);
    let other = World::new();
    let archive = put(&other, "x", &fs::read(tarball(&world, "x.tar.gz")).unwrap());
    other.ok(&["ldtarball", &archive]);
    assert_eq!(other.read(&format!("/usr/src/m-1.0/{deep}")), "deep");
    assert_eq!(other.read("/usr/src/m-1.0/link"), "deep");
    let listing = other.shell(&format!("tar tzf '{archive}'"));
    listing.exits(0).says(&format!("./dkms_source_tree/{deep}\n"));
}

#[test]
fn what_cannot_be_archived_is_reported() {
    let world = World::new();
    world.kernel(OTHER).headers();
    world.package("m", "1.0");
    world.dkms(&["mktarball"]).exits(1);
    world.dkms(&["mktarball", "m/1.0"]).exits(3);
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["mktarball", "m/1.0"]).exits(6);
    world.dkms(&["mktarball", "m/1.0", "--all"]).exits(6);
    world.ok(&["build", "m/1.0"]);
    world.dkms(&["mktarball", "m/1.0", "-k", K, "-k", OTHER]).exits(6).complains(OTHER);
    world.dkms(&["mktarball", "m/1.0", "--source-only", "--binaries-only"]).exits(8);
    world.ok(&["mktarball", "m/1.0", "-k", K, "-k", K, "--archive", "once.tar"]);
    let module = format!("./dkms_main_tree/{K}/{}/module/m.ko", *A);
    let listing = world.shell(&format!("tar tf '{}'", tarball(&world, "once.tar").display()));
    assert_eq!(listing.stdout.lines().filter(|member| *member == module).count(), 1);
    fs::remove_file(tarball(&world, "once.tar")).unwrap();
    write(&world.scratch("file"), b"");
    let below = world.scratch("file/x.tar.gz").display().to_string();
    world.dkms(&["mktarball", "m/1.0", "--archive", &below]).exits(9);
    world.dkms(&["mktarball", "m/1.0", "--archive", "x.tar.bz2"]).exits(6);
    assert!(world.names("/var/lib/dkms/m/1.0/tarball").is_empty());
    world.package("m", "1.0").whole_conf("PACKAGE_NAME=m\n");
    world.dkms(&["mktarball", "m/1.0", "-k", OTHER]).exits(8);
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    world.dkms(&["mktarball", "m/1.0"]).exits(4);
}

#[test]
fn a_source_without_a_tree_is_added() {
    let world = World::new();
    let tar = Tar::default().file("pkg/README", b"").file("pkg/src/dkms.conf", CONF.as_bytes());
    let archive = tar.file("pkg/src/m.ko.in", b"x").write(&world);
    world.ok(&["ldtarball", &archive]);
    assert_eq!(world.names("/usr/src"), ["m-1.0/", "m-1.0/dkms.conf", "m-1.0/m.ko.in"]);
    world.dkms(&["ldtarball", &archive]).exits(3);
    world.dkms(&["add", &archive]).exits(3);
    world.ok(&["ldtarball", "--force", &archive]);
}

#[test]
fn source_at_the_top_is_readable_by_all() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let archive = Tar::default().dir("./").file("dkms.conf", CONF.as_bytes()).file("m.c", b"").write(&world);
    world.ok(&["ldtarball", &archive]);
    let mode = fs::metadata(world.path("/usr/src/m-1.0")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn link_that_leads_out_is_archived_with_warning() {
    let world = World::new();
    let package = world.package("m", "1.0");
    std::os::unix::fs::symlink("/usr/include", package.dir.join("include")).unwrap();
    world.ok(&["add", "m/1.0"]);
    world.ok(&["mktarball", "m/1.0", "--source-only"]).complains("source/include leads out");
}

#[test]
fn add_build_and_install_take_a_tarball() {
    for (action, state) in [("build", "built"), ("install", "installed")] {
        let world = World::new();
        world.kernel(OTHER).headers();
        let archive = Tar::source().build(K, b"binary").write(&world);
        write(&world.scratch("recipe"), b"");
        world.ok(&["add", &archive]);
        assert_eq!(world.status(), [line("m/1.0", K, "built")]);
        world.dkms(&[action, &archive]).exits(8);
        world.ok(&["remove", "m/1.0", "--all"]);
        fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
        let source = Tar::source()
            .file("./dkms_source_tree/m.ko.in", &elf::versioned("m", "1.0", "MADE"))
            .build(K, b"binary")
            .write(&world);
        world.ok(&[action, &source, "-k", K, "-k", OTHER]);
        assert_eq!(world.status(), [line("m/1.0", K, state), line("m/1.0", OTHER, state)]);
        assert_eq!(world.calls("make").len(), 1);
    }
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    let archive = Tar::source().build(K, b"loaded").write(&world);
    let before = world.everything();
    world.dkms(&["ldtarball", &archive]).exits(8).complains("--force");
    assert_eq!(world.everything(), before);
    world.ok(&["install", "m/1.0"]);
    world.ok(&["ldtarball", "--force", &archive]);
    let module = format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A);
    assert_eq!(world.read(&module), "loaded");
    assert!(world.status()[0].starts_with(&line("m/1.0", K, "installed")));
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
}

#[test]
fn a_build_that_stands_there_is_left_alone() {
    let world = World::new();
    let module = format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A);
    world.write(&module, "old");
    world.ok(&["ldtarball", &Tar::source().build(K, b"new").write(&world)]).complains("already exists");
    assert_eq!(world.read(&module), "old");
}

#[test]
fn post_add_runs_after_loading() {
    let world = World::new();
    let conf = format!("{CONF}POST_ADD=\"post.sh\"\n");
    let script = b"#!/bin/sh\nexit 33\n";
    let tar = Tar::default().dir("dkms_main_tree/").file("dkms_source_tree/dkms.conf", conf.as_bytes());
    let tar = tar.member(b'0', "dkms_source_tree/post.sh", "", 0o755, script.len() as u64, script);
    world.dkms(&["ldtarball", &tar.build(K, b"x").write(&world)]).exits(33);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}

#[test]
fn rpm_package_goes_to_rpm_then_autoinstall() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let rpm = put(&world, "x.rpm", b"");
    world.program("rpm", "echo \"$*\" >> @LOG@/rpm; exec dkms status");
    world.ok(&["ldtarball", &rpm]).says("Autoinstall on");
    assert_eq!(world.calls("rpm"), [format!("-Uvh {rpm}")]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.program("rpm", "exit 1");
    world.dkms(&["install", &rpm]).exits(9);
}

#[test]
fn common_postinst_loads_tarball_and_installs_without_compiling() {
    let world = World::new();
    world.kernel(OTHER).headers();
    let module = crate::world::elf::versioned("m", "1.0", "S");
    world.write("/usr/share/m/m-1.0.dkms.tar.gz", Tar::binaries().build(K, &module).bytes());
    world.write("/etc/dkms/framework.conf", "autoinstall_all_kernels=yes\n");
    world.hook("common-postinst", &["m", "1.0", "/usr/share/m", &A, ""]).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(world.calls("make").is_empty());
    let again = world.hook("common-postinst", &["m", "1.0", "/usr/share/m"]);
    again.exits(0).complains("binaries-only");
}

#[test]
fn common_postinst_explains_tarball_that_it_cannot_load() {
    let world = World::new();
    world.write("/usr/share/m/m-1.0.dkms.tar.gz", "nonsense");
    world.hook("common-postinst", &["m", "1.0", "/usr/share/m"]).exits(2).complains("m-1.0.dkms.tar.gz");
    world.write("/usr/share/m/m-2.0.dkms.tar.gz", Tar::source().bytes());
    world.hook("common-postinst", &["m", "2.0", "/usr/share/m"]).exits(2).complains("m/1.0");
}
