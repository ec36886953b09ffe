//! Which compiler this program stands for, and how it is known that it is still the same one.

use crate::table::Tables;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that a compiler starts (gcc(1), -print-prog-name).
const PARTS: [&str; 3] = ["cc1", "as", "ld"];
/// Beside this program: links of the same names to the compilers.
const COMPILERS: &str = ".compilers";

/// The last line of a copy: this, the compiler's path, its size and its time of change.
const MARK: &str = "dkms-cc: ";

/// A compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// As PATH has it.
    pub path: PathBuf,
}

impl Compiler {
    /// The one that dkms has put this program before. What PATH is now, and under which name this program was called, does
    /// not matter: a build may have changed either.
    #[must_use]
    pub fn behind_this_name() -> Option<Self> {
        let own = std::env::current_exe().ok()?;
        let path = fs::read_link(own.parent()?.join(COMPILERS).join(own.file_name()?)).ok();
        Some(Self { path: path.or_else(|| marked(&own))? })
    }

    /// The compiler and its parts, as lines that are others when one of them is exchanged. `None` where that cannot be found
    /// out.
    #[must_use]
    pub fn identity(&self, tables: &Tables) -> Option<String> {
        let driver = line(&fs::canonicalize(&self.path).ok()?)?;
        let parts = tables.parts(&driver).or_else(|| {
            let parts = self.parts()?;
            tables.put_parts(&driver, &parts);
            Some(parts)
        })?;
        let mut identity = format!("{}\n{driver}", self.path.to_str()?);
        for part in parts.lines() {
            // One without a directory is what PATH has now, if it has it: clang compiles and assembles by itself.
            let found = if part.contains('/') { Some(PathBuf::from(part)) } else { in_path(part) };
            match found {
                Some(path) => identity.push_str(&line(&path)?),
                None => identity.push('\n'),
            }
        }
        Some(identity)
    }

    /// The programs that it starts, a line each, as it names them.
    fn parts(&self) -> Option<String> {
        let mut parts = String::new();
        for part in PARTS {
            let mut command = Command::new(&self.path);
            command.arg(format!("-print-prog-name={part}")).stdin(Stdio::null()).stderr(Stdio::null());
            let done = command.output().ok().filter(|done| done.status.success())?;
            let path = String::from_utf8(done.stdout).ok()?;
            writeln!(parts, "{}", path.trim_end()).ok()?;
        }
        Some(parts)
    }
}

/// The compiler that a copy says at its end that it stands for: for one that a build has copied elsewhere.
fn marked(own: &Path) -> Option<PathBuf> {
    let content = fs::read(own).ok()?;
    let line = content.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    let path = std::str::from_utf8(line).ok()?.strip_prefix(MARK)?.rsplitn(3, ' ').nth(2)?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(is_program)
}

/// A file, as a line that is another one when the file was exchanged.
fn line(path: &Path) -> Option<String> {
    let data = fs::metadata(path).ok()?;
    let (path, size, inode) = (path.to_str()?, data.size(), data.ino());
    Some(format!("{path} {size} {inode} {}.{:09}\n", data.mtime(), data.mtime_nsec()))
}
