//! A kernel below /lib/modules.

use super::{World, elf, script, write};
use std::fs;
use std::path::PathBuf;

/// What `compressed` can make.
pub fn pack(content: &[u8], suffix: &str) -> Vec<u8> {
    match suffix {
        ".gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut encoder, content).unwrap();
            encoder.finish().unwrap()
        }
        ".xz" => {
            let mut packed = Vec::new();
            let mut encoder = liblzma::read::XzEncoder::new(content, 1);
            std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
            packed
        }
        ".zst" => zstd::encode_all(content, 1).unwrap(),
        _ => content.to_vec(),
    }
}

/// Builds a kernel step by step; every step is on disk at once.
#[derive(Debug)]
pub struct Kernel<'a> {
    world: &'a World,
    dir: PathBuf,
}

impl<'a> Kernel<'a> {
    /// The kernel's module directory, with an index and one module of its own.
    pub(super) fn new(world: &'a World, release: &str) -> Self {
        let dir = world.path("/lib/modules").join(release);
        let kernel = Self { world, dir };
        write(&kernel.dir.join("modules.dep"), b"kernel/fs/ext4.ko:\n");
        kernel.module("kernel/fs/ext4.ko", "", "E4")
    }

    pub fn headers(self) -> Self {
        fs::create_dir_all(self.dir.join("build/include")).unwrap();
        self
    }

    /// The kernel's configuration, line by line.
    pub fn config(self, lines: &str) -> Self {
        write(&self.dir.join("build/include/config/auto.conf"), lines.as_bytes());
        self
    }

    /// All modules of this kernel are compressed: `gz`, `xz` or `zst`.
    pub fn compressed(self, form: &str) -> Self {
        let suffix = format!(".{form}");
        let plain = self.dir.join("kernel/fs/ext4.ko");
        let content = fs::read(&plain).unwrap();
        fs::remove_file(&plain).unwrap();
        write(&self.dir.join(format!("kernel/fs/ext4.ko{suffix}")), &pack(&content, &suffix));
        self
    }

    /// One of the kernel's own modules.
    pub fn module(self, path: &str, version: &str, srcversion: &str) -> Self {
        let name = path.rsplit('/').next().unwrap();
        let (stem, suffix) = name.split_once(".ko").unwrap();
        write(&self.dir.join(path), &pack(&elf::versioned(stem, version, srcversion), suffix));
        self
    }

    /// A tool that signs by appending a line; notes its calls under its name.
    pub fn sign_file(self) -> Self {
        let tool = self.dir.join("build/scripts/sign-file");
        let log = self.world.scratch("../log/sign-file");
        let body =
            format!("echo \"$*\" >> {}\nprintf '~Module signature appended~\\n' >> \"$4\"", log.display());
        fs::create_dir_all(tool.parent().unwrap()).unwrap();
        script(&tool, &body);
        self
    }
}
