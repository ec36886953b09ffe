//! Writes a module into a build, compressed as the kernel's own.

use crate::build::compress::compress;
use crate::build::compress::options::CompressOptions;
use crate::kernel::module_file::Compression;
use crate::model::Result;
use crate::session::WriteSession;
use crate::system::files;
use std::path::{Path, PathBuf};

/// Writes a module under its installed name, compressed as `suffix` says; uncompressed if that fails.
pub(crate) fn store(
    session: &WriteSession<'_>,
    built: &Path,
    dir: &Path,
    stem: &str,
    suffix: &str,
) -> Result<PathBuf> {
    let compression = Compression::from_file_name(&format!("x.ko{suffix}"));
    let name = format!("{stem}.ko");
    let plain = dir.join(&name);
    let content = fs_err::read(built)?;
    if compression != Compression::None {
        match compress(&content, compression, &compress_options(session)) {
            Ok(packed) => {
                let path = dir.join(format!("{name}{suffix}"));
                files::stage_file(&path, &packed, 0o644)?;
                return Ok(path);
            }
            Err(error) => {
                let console = &session.system.console;
                console.warn(format!("{name} could not be compressed and stays as it is: {error}"));
            }
        }
    }
    files::stage_file(&plain, &content, 0o644)?;
    Ok(plain)
}

fn compress_options(session: &WriteSession<'_>) -> CompressOptions {
    let compressors = &session.settings.compressors;
    let text = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
    let (options, ignored) = CompressOptions::parse(
        &text(&compressors.gzip, ""),
        &text(&compressors.xz, "--check=crc32 --lzma2=dict=1MiB"),
        &text(&compressors.zstd, "-q --rm -T0"),
    );
    if !ignored.is_empty() {
        session
            .system
            .console
            .warn(format!("framework.conf: compressor options without effect: {}", ignored.join(" ")));
    }
    options
}
