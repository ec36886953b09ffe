//! Writes a module into a build, compressed as the kernel's own.

use crate::build::compress::{compress, in_process};
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
        let console = &session.system.console;
        let packed = compress(&content, compression, &session.settings.compressors, dir, session.system)
            .or_else(|error| {
                console.warn(format!("{name}: default compression is used, because {error}"));
                in_process(&content, compression)
            });
        match packed {
            Ok(packed) => {
                let path = dir.join(format!("{name}{suffix}"));
                files::stage_file(&path, &packed, 0o644)?;
                return Ok(path);
            }
            Err(error) => {
                console.warn(format!("{name} could not be compressed and stays as it is: {error}"));
            }
        }
    }
    files::stage_file(&plain, &content, 0o644)?;
    Ok(plain)
}
