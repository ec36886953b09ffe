//! A kernel below /lib/modules.

use super::{World, elf, script, write};
use std::fs;
use std::path::PathBuf;

/// `HASH KEY CERTIFICATE MODULE`: appends a CMS signature and the trailer that tells how long it is.
pub const SIGN: &str = r#"
openssl cms -sign -binary -noattr -nocerts -outform DER -md "$1" -inkey "$2" -signer "$3" -in "$4" -out "$4.sig" || exit 1
size=$(wc -c < "$4.sig")
{
    cat "$4.sig"
    printf '\0\0\2\0\0\0\0\0\0\0'
    printf "\\$(printf %03o $((size / 256)))\\$(printf %03o $((size % 256)))"
    printf '~Module signature appended~\n'
} >> "$4"
rm "$4.sig"
"#;

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

    /// A tool that signs as the kernel's does, but with openssl; notes its calls under its name.
    pub fn sign_file(self) -> Self {
        let log = self.world.scratch("../log/sign-file");
        self.sign_tool(&format!("echo \"$*\" >> {}\n{SIGN}", log.display()))
    }

    /// A tool in its place that does something else.
    pub fn sign_tool(self, body: &str) -> Self {
        let tool = self.dir.join("build/scripts/sign-file");
        fs::create_dir_all(tool.parent().unwrap()).unwrap();
        script(&tool, body);
        self
    }
}
