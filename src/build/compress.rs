//! Compresses a built module the way its kernel's own modules are: in process and the same on every machine, or, where
//! framework.conf has options, by the compressor that understands them.

use crate::conf::Compressors;
use crate::kernel::module_file::{Compression, decompress};
use crate::system::process::Output;
use crate::system::{System, files};
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use std::io::{self, Write};
use std::path::Path;
use zstd::zstd_safe::CParameter;

/// What a kernel's own decoder can hold.
const XZ_DICTIONARY: u32 = 1 << 20;
const XZ_PRESET: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Compresses `content`; a compressor works in a directory of its own below `work`.
///
/// # Errors
/// The compressor is missing, failed, or made something else of it; or memory ran out.
pub(crate) fn compress(
    content: &[u8],
    compression: Compression,
    options: &Compressors,
    work: &Path,
    system: &System,
) -> io::Result<Vec<u8>> {
    // What stands first is a default: the options of framework.conf are stronger.
    let (program, defaults, options) = match compression {
        Compression::None => return Ok(content.to_vec()),
        Compression::Gzip => ("gzip", "-n", &options.gzip),
        // Without this xz takes CRC64, which no kernel can check.
        Compression::Xz => ("xz", "--check=crc32", &options.xz),
        Compression::Zstd => ("zstd", "-q", &options.zstd),
    };
    match options {
        Some(options) => {
            let line = format!("{program} {defaults} {options}");
            by_program(content, &line, compression, work, system)
        }
        None => in_process(content, compression),
    }
}

/// Compresses with the settings that every kernel can unpack.
pub(crate) fn in_process(content: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(content.to_vec()),
        Compression::Gzip => gzip(content),
        Compression::Xz => xz(content),
        Compression::Zstd => zstd_frame(content),
    }
}

/// Runs a compressor, given with its options, on a file of its own.
fn by_program(
    content: &[u8],
    line: &str,
    compression: Compression,
    work: &Path,
    system: &System,
) -> io::Result<Vec<u8>> {
    let dir = files::private_dir(work, ".compress-")?;
    let file = dir.path().join("module.ko");
    files::stage_file(&file, content, 0o644)?;
    let mut words = line.split_ascii_whitespace();
    let command = system.command(words.next().unwrap_or_default()).args(words).arg("-f").arg(&file);
    let outcome = command.stdout(Output::Null).stderr(Output::Capture).run()?;
    if !outcome.status.success() {
        return Err(io::Error::other(format!("{line}: {}", outcome.stderr_tail())));
    }
    let packed = fs_err::read(dir.path().join(format!("module.ko{}", compression.suffix())))?;
    // Options can make an archive that only user space unpacks; the kernel would refuse it at boot.
    let unpacked = decompress(packed.clone(), content.len() as u64)?;
    if unpacked != content {
        return Err(io::Error::other(format!("{line}: the result does not unpack to the module")));
    }
    Ok(packed)
}

/// Without name and time, which would differ from build to build.
fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::default());
    encoder.write_all(content)?;
    encoder.finish()
}

/// In one thread: how xz splits its work among threads would show in the result.
fn xz(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut lzma = LzmaOptions::new_preset(XZ_PRESET)?;
    lzma.dict_size(XZ_DICTIONARY);
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&lzma), Check::Crc32)?;
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(content)?;
    encoder.finish()
}

/// With the size in the frame, from which a kernel learns how much memory it needs. There is always at least one
/// worker, because the result does not depend on their number but on whether there are any.
fn zstd_frame(content: &[u8]) -> io::Result<Vec<u8>> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    compressor.set_parameter(CParameter::NbWorkers(u32::try_from(workers).unwrap_or(1).min(64)))?;
    compressor.compress(content)
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn with(kind: Compression, text: &str) -> Compressors {
        let of = |wanted| (kind == wanted).then(|| text.to_owned());
        Compressors { gzip: of(Compression::Gzip), xz: of(Compression::Xz), zstd: of(Compression::Zstd) }
    }

    #[rstest]
    #[case(Compression::None, None)]
    #[case(Compression::Gzip, None)]
    #[case(Compression::Gzip, Some("-9n --quiet"))]
    #[case(Compression::Xz, None)]
    #[case(Compression::Xz, Some("-2e -T0 --check=none"))]
    #[case(Compression::Xz, Some("--x86 --lzma2=preset=1,dict=64KiB,lc=4,pb=0,nice=32,mf=hc4,mode=fast"))]
    #[case(Compression::Zstd, None)]
    #[case(Compression::Zstd, Some("-q --rm -T0"))]
    #[case(Compression::Zstd, Some("-19 --long=24 --no-check"))]
    fn content_survives(#[case] kind: Compression, #[case] options: Option<&str>) {
        let (plain, work) = (content(100_000), tempfile::tempdir().unwrap());
        let options = options.map(|text| with(kind, text)).unwrap_or_default();
        let packed = compress(&plain, kind, &options, work.path(), &System::capture()).unwrap();
        assert_eq!(Compression::of_content(&packed), kind);
        assert!(kind == Compression::None || packed.len() < plain.len());
        assert_eq!(decompress(packed, 1 << 20).unwrap(), plain);
        assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 0);
    }

    #[rstest]
    #[case::default(None, 1)]
    #[case::options_without_check(Some("-9"), 1)]
    #[case::another_check(Some("--check=crc64"), 4)]
    fn xz_check_is_one_that_kernels_know(#[case] options: Option<&str>, #[case] check: u8) {
        let work = tempfile::tempdir().unwrap();
        let options = options.map(|text| with(Compression::Xz, text)).unwrap_or_default();
        let packed = compress(b"module", Compression::Xz, &options, work.path(), &System::capture()).unwrap();
        assert_eq!(packed[7], check, "the stream flags of the xz file format");
    }

    #[test]
    fn zstd_frame_holds_its_size() {
        let plain = content(5 << 20);
        let packed = in_process(&plain, Compression::Zstd).unwrap();
        let size = zstd::zstd_safe::get_frame_content_size(&packed).unwrap();
        assert_eq!(size, Some(plain.len() as u64));
    }

    #[rstest]
    #[case::default(None)]
    #[case::options(Some("-9"))]
    fn gzip_file_has_no_name_and_no_time(#[case] options: Option<&str>) {
        let work = tempfile::tempdir().unwrap();
        let options = options.map(|text| with(Compression::Gzip, text)).unwrap_or_default();
        let packed =
            compress(b"module", Compression::Gzip, &options, work.path(), &System::capture()).unwrap();
        assert_eq!(packed[3..8], [0; 5], "flags and mtime of RFC 1952");
    }

    #[test]
    fn empty_module_is_compressed() {
        for kind in Compression::ALL {
            assert_eq!(decompress(in_process(b"", kind).unwrap(), 10).unwrap(), b"");
        }
    }

    #[test]
    fn impossible_options_are_an_error_with_their_reason() {
        let work = tempfile::tempdir().unwrap();
        let options = with(Compression::Xz, "--lzma2=lc=4,lp=4");
        let error =
            compress(b"module", Compression::Xz, &options, work.path(), &System::capture()).unwrap_err();
        assert!(error.to_string().contains("lc"), "{error}");
    }
}
