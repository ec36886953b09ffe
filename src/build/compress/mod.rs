//! Compresses a built module the way its kernel's own modules are, in process.
//!
//! Makes bytes of bytes: reading and storing files is the caller's. The same content and settings always give the
//! same bytes, on every machine, and in a form that a kernel unpacks by itself.

pub(crate) mod options;

pub(crate) use options::{CompressOptions, GzipSettings, XzSettings, ZstdSettings};

use crate::kernel::module_file::Compression;
use liblzma::stream::{Check, Filters, Stream};
use std::io::{self, Write};
use zstd::zstd_safe::CParameter;

/// Compresses `content`.
///
/// # Errors
/// The settings do not go together, or memory ran out.
pub(crate) fn compress(
    content: &[u8],
    compression: Compression,
    options: &CompressOptions,
) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(content.to_vec()),
        Compression::Gzip => gzip(content, &options.gzip),
        Compression::Xz => xz(content, &options.xz),
        Compression::Zstd => zstd_frame(content, &options.zstd),
    }
}

/// Without name and time, which would differ from build to build.
fn gzip(content: &[u8], settings: &GzipSettings) -> io::Result<Vec<u8>> {
    let level = flate2::Compression::new(settings.level);
    let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), level);
    encoder.write_all(content)?;
    encoder.finish()
}

/// In one thread: how xz splits its work among threads would show in the result.
fn xz(content: &[u8], settings: &XzSettings) -> io::Result<Vec<u8>> {
    let lzma = settings.lzma_options().ok_or(io::ErrorKind::InvalidInput)?;
    let mut filters = Filters::new();
    for filter in &settings.filters {
        filter.add_to(&mut filters);
    }
    filters.lzma2(&lzma);
    let check = settings.check.unwrap_or(Check::Crc32);
    let stream = Stream::new_stream_encoder(&filters, check)?;
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(content)?;
    encoder.finish()
}

/// With the size in the frame, from which a kernel learns how much memory it needs. There is always at least one
/// worker, because the result does not depend on their number but on whether there are any.
fn zstd_frame(content: &[u8], settings: &ZstdSettings) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(settings.level())?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    compressor.set_parameter(CParameter::ChecksumFlag(settings.checksum))?;
    compressor.set_parameter(CParameter::NbWorkers(settings.workers()))?;
    if let Some(log) = settings.window_log {
        compressor.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
        compressor.set_parameter(CParameter::WindowLog(log))?;
    }
    compressor.compress(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::module_file::decompress;
    use crate::system::process::{Command, Input, Output};
    use rstest::rstest;

    /// Compressible, but not trivially so, and larger than one piece of work of any compressor.
    fn content(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(|| [next() & 7, 0x48, 0x89, next()]).take(length / 4).flatten().collect()
    }

    fn options(kind: Compression, text: &str) -> CompressOptions {
        let of = |wanted| if kind == wanted { text } else { "" };
        let (options, ignored) =
            CompressOptions::parse(of(Compression::Gzip), of(Compression::Xz), of(Compression::Zstd));
        assert_eq!(ignored, Vec::<String>::new());
        options
    }

    fn tool(kind: Compression) -> &'static str {
        match kind {
            Compression::None => "cat",
            Compression::Gzip => "gzip",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        }
    }

    /// What the command of the same name makes of it, where it is installed.
    fn by_command(kind: Compression, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let command = Command::new(tool(kind)).args(args).stdin(Input::Bytes(input.to_vec()));
        let outcome = command.stdout(Output::Capture).run().ok()?;
        assert!(outcome.status.success(), "{} {args:?}", tool(kind));
        Some(outcome.stdout)
    }

    #[rstest]
    #[case(Compression::None, "")]
    #[case(Compression::Gzip, "")]
    #[case(Compression::Gzip, "-1")]
    #[case(Compression::Gzip, "-9n --quiet")]
    #[case(Compression::Xz, "--check=crc32 --lzma2=dict=1MiB")]
    #[case(Compression::Xz, "-0")]
    #[case(Compression::Xz, "-2e -T0 --check=none")]
    #[case(Compression::Xz, "--x86 --lzma2=preset=1,dict=64KiB,lc=4,pb=0,nice=32,mf=hc4,mode=fast")]
    #[case(Compression::Zstd, "-q --rm -T0")]
    #[case(Compression::Zstd, "-19 --long=24 --no-check")]
    #[case(Compression::Zstd, "--fast=3")]
    fn content_survives_and_the_commands_agree(#[case] kind: Compression, #[case] text: &str) {
        let plain = content(100_000);
        let packed = compress(&plain, kind, &options(kind, text)).unwrap();
        assert_eq!(Compression::of_content(&packed), kind);
        assert_eq!(decompress(packed.clone(), 1 << 20).unwrap(), plain);
        if kind != Compression::None {
            assert!(packed.len() < plain.len());
            if let Some(unpacked) = by_command(kind, &["-dc"], &packed) {
                assert!(unpacked == plain);
            }
        }
    }

    #[rstest]
    #[case("", 1)]
    #[case("--check=crc32 --lzma2=dict=1MiB", 1)]
    #[case("-C none", 0)]
    #[case("--check=crc64", 4)]
    #[case("--check=sha256", 10)]
    fn an_xz_file_has_the_check_that_a_kernel_knows_unless_told_otherwise(
        #[case] text: &str,
        #[case] check: u8,
    ) {
        let packed = compress(b"module", Compression::Xz, &options(Compression::Xz, text)).unwrap();
        assert_eq!(packed[7], check, "the stream flags of the xz file format");
    }

    #[test]
    fn a_zstd_frame_tells_its_size_whatever_the_number_of_workers() {
        let plain = content(5 << 20);
        let packed = |text| compress(&plain, Compression::Zstd, &options(Compression::Zstd, text)).unwrap();
        let one = packed("--fast -T1");
        assert!(one == packed("--fast -T3") && one == packed("--fast -T0") && one == packed("--fast"));
        let size = zstd::zstd_safe::get_frame_content_size(&one).unwrap();
        assert_eq!(size, Some(plain.len() as u64));
    }

    #[test]
    fn a_gzip_file_has_no_name_and_no_time() {
        let packed = compress(b"module", Compression::Gzip, &CompressOptions::default()).unwrap();
        assert_eq!(packed[3..8], [0; 5], "flags and mtime of RFC 1952");
    }

    #[test]
    fn an_empty_module_and_impossible_settings_are_no_panic() {
        for kind in Compression::ALL {
            let packed = compress(b"", kind, &CompressOptions::default()).unwrap();
            assert_eq!(decompress(packed, 10).unwrap(), b"");
        }
        let impossible = options(Compression::Xz, "--lzma2=lc=4,lp=4");
        assert!(compress(b"module", Compression::Xz, &impossible).is_err());
    }
}
