//! Which compiler a name means, and how it is known that it is still the same one.

use crate::table::Tables;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that a compiler starts (gcc(1), -print-prog-name).
const PARTS: [&str; 3] = ["cc1", "as", "ld"];

/// A compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// As PATH has it.
    pub path: PathBuf,
}

impl Compiler {
    /// The first program of this name in PATH that is not this one.
    #[must_use]
    pub fn find(name: &OsStr) -> Option<Self> {
        let own = fs::metadata("/proc/self/exe").or_else(|_| fs::metadata(std::env::current_exe()?)).ok()?;
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| {
            let Ok(data) = fs::metadata(path) else { return false };
            let is_own = data.ino() == own.ino() && data.dev() == own.dev();
            data.is_file() && data.permissions().mode() & 0o111 != 0 && !is_own
        });
        Some(Self { path: found? })
    }

    /// The compiler and its parts, as lines that are others when one of them is exchanged. `None` where that cannot be found
    /// out.
    #[must_use]
    pub fn identity(&self, tables: &Tables) -> Option<String> {
        if !self.path.is_absolute() {
            return None;
        }
        let real = fs::canonicalize(&self.path).ok()?;
        let driver = line(&real)?;
        let parts = tables.parts(&driver).or_else(|| {
            let parts = self.parts()?;
            tables.put_parts(&driver, &parts);
            Some(parts)
        })?;
        let mut identity = format!("{}\n{driver}", self.path.to_str()?);
        for part in parts.lines() {
            identity.push_str(&line(Path::new(part))?);
        }
        Some(identity)
    }

    /// The paths of the programs that it starts, a line each. A compiler names a part that it does not have as it was asked for:
    /// clang compiles and assembles by itself.
    fn parts(&self) -> Option<String> {
        let mut parts = String::new();
        for part in PARTS {
            let mut command = Command::new(&self.path);
            command.arg(format!("-print-prog-name={part}")).stdin(Stdio::null()).stderr(Stdio::null());
            let done = command.output().ok().filter(|done| done.status.success())?;
            let path = String::from_utf8(done.stdout).ok()?;
            let path = path.trim_end();
            let found = match path.contains('/') {
                true => Some(PathBuf::from(path)),
                false => Self::find(OsStr::new(path)).map(|found| found.path),
            };
            if let Some(path) = found.filter(|path| path.is_absolute()) {
                writeln!(parts, "{}", path.to_str()?).ok()?;
            }
        }
        Some(parts)
    }
}

/// A file, as a line that is another one when the file was exchanged.
fn line(path: &Path) -> Option<String> {
    let data = fs::metadata(path).ok()?;
    let (path, size, inode) = (path.to_str()?, data.size(), data.ino());
    Some(format!("{path} {size} {inode} {}.{:09}\n", data.mtime(), data.mtime_nsec()))
}
