//! Tarballs that want more than to be a package, and damaged ones.

use super::CONF;
use super::by_hand::{Tar, put};
use crate::world::{A, Ended, K, World};
use rstest::rstest;
use std::fs;

/// Loads what must be refused, and finds everything as it was.
fn refused(world: &World, archive: &str, code: i32) -> Ended {
    let before = world.everything();
    let ended = world.dkms(&["ldtarball", archive]);
    ended.exits(code).complains("Error! ");
    assert_eq!(world.everything(), before, "something was written");
    assert_eq!(fs::read_dir(world.scratch("../tmp")).unwrap().count(), 0, "the work directory is left");
    ended
}

#[test]
fn unpacked_files_have_no_special_bits() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new();
    let tar = Tar::source().member(b'0', "./dkms_source_tree/tool", "", 0o6777, 1, b"x");
    world.ok(&["ldtarball", &tar.write(&world)]);
    let data = fs::metadata(world.path("/usr/src/m-1.0/tool")).unwrap();
    assert_eq!((data.mode() & 0o7777, data.mtime()), (0o755, 1_000_000_000));
    assert_eq!(data.uid(), fs::metadata(world.root()).unwrap().uid());
}

#[test]
fn records_in_a_tarball_are_not_believed() {
    let world = World::new();
    let record = br#"{"format":1,"files":[{"path":"/etc/passwd","size":1,"sha256":""}]}"#;
    let tar = Tar::source().build(K, b"x");
    let tar = tar.file(&format!("./dkms_main_tree/{K}/{}/.dkms-install.json", *A), record);
    world.ok(&["ldtarball", &tar.write(&world)]);
    assert!(!world.tree().iter().any(|name| name.contains(".dkms-")));
}

#[test]
fn hard_links_and_inner_links_are_kept() {
    let world = World::new();
    let tar = Tar::source().member(b'1', "./dkms_source_tree/hard", "./dkms_source_tree/m.c", 0o644, 0, b"");
    let tar = tar.link("./dkms_source_tree/sub/soft", "../m.c");
    world.ok(&["ldtarball", &tar.write(&world)]);
    assert_eq!(world.read("/usr/src/m-1.0/hard"), "int x;");
    assert_eq!(world.read("/usr/src/m-1.0/sub/soft"), "int x;");
}

#[rstest]
#[case::absolute(Tar::source().file("/tmp/evil", b"x"))]
#[case::upward(Tar::source().file("./dkms_source_tree/../../evil", b"x"))]
#[case::upward_only(Tar::source().dir(".."))]
#[case::link_out(Tar::source().link("./dkms_source_tree/l", "../../../etc/passwd"))]
#[case::link_absolute(Tar::source().link("./dkms_source_tree/l", "/etc/passwd"))]
#[case::link_out_of_its_part(Tar::source().link("./dkms_source_tree/l", "../dkms_main_tree"))]
#[case::link_walks_back(
    Tar::source().link("./dkms_source_tree/a/b/d", "../..").link("./dkms_source_tree/a/b/l", "d/../../x")
)]
#[case::through_a_link(
    Tar::source().dir("./dkms_source_tree/s").link("./dkms_source_tree/l", "s").file("./dkms_source_tree/l/x", b"x")
)]
#[case::hard_link_out(Tar::source().member(b'1', "./dkms_source_tree/h", "/etc/passwd", 0o644, 0, b""))]
#[case::hard_link_up(Tar::source().member(b'1', "./dkms_source_tree/h", "../../etc/passwd", 0o644, 0, b""))]
#[case::hard_link_to_nothing(Tar::source().member(b'1', "./dkms_source_tree/h", "none", 0o644, 0, b""))]
#[case::hard_link_to_a_link(
    Tar::source().link("./dkms_source_tree/l", "m.c").member(b'1', "./h", "./dkms_source_tree/l", 0o644, 0, b"")
)]
#[case::character_device(Tar::source().member(b'3', "./dkms_source_tree/dev", "", 0o666, 0, b""))]
#[case::block_device(Tar::source().member(b'4', "./dkms_source_tree/dev", "", 0o666, 0, b""))]
#[case::fifo(Tar::source().member(b'6', "./dkms_source_tree/pipe", "", 0o666, 0, b""))]
#[case::size_bomb(Tar::source().member(b'0', "./dkms_source_tree/big", "", 0o644, 5 << 30, b"x"))]
#[case::name_bomb(Tar::source().member(b'L', "././@LongLink", "", 0o644, 2 << 20, &vec![b'a'; 2 << 20]))]
#[case::cut(Tar::source().member(b'0', "./dkms_source_tree/cut", "", 0o644, 4096, b"x"))]
#[case::pax_sparse(
    Tar::source().file("./dkms_source_tree/a", b"x").member(b'x', "./PaxHeaders/s", "", 0o644, 22, b"22 GNU.sparse.major=1\n").file("./dkms_source_tree/s", b"x")
)]
#[case::file_for_a_directory(Tar::source().file("./dkms_source_tree", b"x"))]
#[case::build_in_the_source(Tar::source().build("source", b"x"))]
#[case::build_with_a_blank(Tar::source().build("6.1 x", b"x"))]
#[case::link_out_of_a_build(
    Tar::source().build(K, b"x").link(&format!("./dkms_main_tree/{K}/{}/module/l", *A), "../../../../x")
)]
#[case::no_package(Tar::default().build(K, b"x").file("./dkms_source_tree/m.c", b""))]
fn hostile_tarballs_are_refused_before_writing(#[case] tar: Tar) {
    let world = World::new();
    refused(&world, &tar.write(&world), 7);
}

#[test]
fn link_out_of_a_plain_source_is_refused() {
    let world = World::new();
    let tar = Tar::default().file("a/b/dkms.conf", CONF.as_bytes()).link("a/b/l", "../../x");
    refused(&world, &tar.write(&world), 7);
}

#[test]
fn a_truncated_compressed_tarball_is_refused() {
    let world = World::new();
    // Content that does not shrink, so that the cut is in the middle of it.
    let mut noise: u32 = 1;
    let next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    let content: Vec<u8> = std::iter::repeat_with(next).take(50_000).collect();
    let plain = Tar::source().file("./dkms_source_tree/x", &content).bytes();
    let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
    refused(&world, &put(&world, "x.tar.zst", &packed[..packed.len() - 9000]), 7);
}

#[test]
fn archive_without_package_has_its_code() {
    let world = World::new();
    refused(&world, "/nowhere", 2).complains("/nowhere does not exist");
    world.dkms(&["ldtarball"]).exits(2).complains("No tarball was given");
    world.dkms(&["ldtarball", "--archive=/nowhere"]).exits(2).complains("/nowhere");
    refused(&world, &put(&world, "text", b"root:x:0:0\n"), 3);
    refused(&world, &put(&world, "empty", b""), 3);
    refused(&world, &Tar::default().file("a/m.c", b"").write(&world), 3);
    let bad = Tar::default().dir("dkms_main_tree/").file("dkms_source_tree/dkms.conf", b"PACKAGE_NAME=m\n");
    refused(&world, &bad.write(&world), 8);
    refused(&world, &put(&world, "x.tar.bz2", b"BZh91AY&SY"), 7).complains("bzip2");
}
