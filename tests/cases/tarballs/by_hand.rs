//! Tarballs member by member, as no tool would make them.

use super::CONF;
use crate::world::{A, World, write};

/// A tarball made by hand, member by member; the names are taken as they are.
#[derive(Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    pub fn member(mut self, kind: u8, name: &str, link: &str, mode: u32, size: u64, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.member(b'0', name, "", 0o644, content.len() as u64, content)
    }

    pub fn dir(self, name: &str) -> Self {
        self.member(b'5', name, "", 0o755, 0, b"")
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.member(b'2', name, target, 0o777, 0, b"")
    }

    /// The package m/1.0 with its source.
    pub fn source() -> Self {
        Self::default()
            .dir("./dkms_main_tree/")
            .file("./dkms_source_tree/dkms.conf", CONF.as_bytes())
            .file("./dkms_source_tree/m.c", b"int x;")
    }

    /// The package m/1.0 without its source.
    pub fn binaries() -> Self {
        Self::default().dir("./dkms_main_tree/").file("./dkms_binaries_only/dkms.conf", CONF.as_bytes())
    }

    pub fn build(self, release: &str, content: &[u8]) -> Self {
        self.file(&format!("./dkms_main_tree/{release}/{}/module/m.ko", *A), content)
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    pub fn write(self, world: &World) -> String {
        put(world, "hand.tar", &self.bytes())
    }
}

pub fn put(world: &World, name: &str, content: &[u8]) -> String {
    let path = world.scratch(name);
    write(&path, content);
    path.display().to_string()
}
