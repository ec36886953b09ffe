//! How module files are compressed: by name, by content, and back to the plain module.
//!
//! Compressing is `build::compress`; this part only reads.

use std::io::{self, Read};
use std::path::Path;

/// No module is larger; what claims to be is refused rather than unpacked.
const LIMIT: u64 = 1 << 30;

/// The compression of a module file, the one that a kernel tree prefers last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Gzip, Self::Xz, Self::Zstd];

    /// What stands behind `.ko` in a file name.
    #[must_use]
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }

    /// By the end of a file name.
    #[must_use]
    pub(crate) fn from_file_name(name: &str) -> Self {
        let fits = |kind: &Self| *kind != Self::None && name.ends_with(kind.suffix());
        Self::ALL.into_iter().find(fits).unwrap_or_default()
    }

    /// By the first bytes of a file.
    #[must_use]
    pub(crate) fn of_content(content: &[u8]) -> Self {
        let kinds: [(&[u8], Self); 3] = [
            (&[0x1f, 0x8b], Self::Gzip),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Self::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Self::Zstd),
        ];
        kinds.into_iter().find(|(magic, _)| content.starts_with(magic)).map_or(Self::None, |(_, kind)| kind)
    }
}

/// The plain content of a module file, whatever its name says.
///
/// # Errors
/// Unreadable, damaged, or larger than 1 GiB; the text names the file.
pub(crate) fn read_module(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs_err::File::open(path)?;
    bounded(file, LIMIT)
        .and_then(|content| decompress(content, LIMIT))
        .map_err(|e| io::Error::new(e.kind(), format!("failed to read module `{}`: {e}", path.display())))
}

/// Unpacks what is compressed by its content, and passes on what is not.
///
/// # Errors
/// Damaged, or larger than `limit` bytes.
pub(crate) fn decompress(content: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    match Compression::of_content(&content) {
        Compression::None => Ok(content),
        Compression::Gzip => bounded(flate2::read::MultiGzDecoder::new(content.as_slice()), limit),
        Compression::Xz => bounded(liblzma::read::XzDecoder::new_multi_decoder(content.as_slice()), limit),
        Compression::Zstd => bounded(zstd::stream::read::Decoder::new(content.as_slice())?, limit),
    }
}

fn bounded(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::io::Write;

    const PLAIN: &[u8] = b"\x7fELF and more";

    fn packed(kind: Compression) -> Vec<u8> {
        match kind {
            Compression::None => PLAIN.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(PLAIN).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(PLAIN).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::stream::encode_all(PLAIN, 1).unwrap(),
        }
    }

    #[rstest]
    #[case("a.ko", Compression::None)]
    #[case("a.ko.gz", Compression::Gzip)]
    #[case("a.ko.xz", Compression::Xz)]
    #[case("a.ko.zst", Compression::Zstd)]
    #[case("gz", Compression::None)]
    #[case("", Compression::None)]
    fn a_name_tells_the_compression(#[case] name: &str, #[case] expected: Compression) {
        assert_eq!(Compression::from_file_name(name), expected);
        assert!(name.ends_with(expected.suffix()));
    }

    #[rstest]
    #[case(Compression::None)]
    #[case(Compression::Gzip)]
    #[case(Compression::Xz)]
    #[case(Compression::Zstd)]
    fn content_decides_how_a_module_is_read(#[case] kind: Compression) {
        let content = packed(kind);
        assert_eq!(Compression::of_content(&content), kind);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.ko");
        fs_err::write(&path, &content).unwrap();
        assert_eq!(read_module(&path).unwrap(), PLAIN);
    }

    #[rstest]
    #[case(Compression::Gzip)]
    #[case(Compression::Xz)]
    #[case(Compression::Zstd)]
    fn damage_and_excess_are_errors(#[case] kind: Compression) {
        let content = packed(kind);
        assert!(decompress(content[..content.len() - 3].to_vec(), LIMIT).is_err());
        assert!(decompress(content.clone(), PLAIN.len() as u64 - 1).is_err());
        assert!(decompress(content, PLAIN.len() as u64).is_ok());
    }

    #[test]
    fn an_unreadable_module_is_named() {
        let error = read_module(Path::new("/no/such/m.ko")).unwrap_err();
        assert!(error.to_string().contains("/no/such/m.ko"), "{error}");
    }
}
