//! What a tarball may hold. It decides on names, kinds, links and amounts before anything of them is written; it writes
//! nothing itself.
//!
//! A member has a relative path without `..`, is a file, a directory or a link, and a link leads to a place below the
//! directory that it will end up in. What is unpacked in all stays below [`MAX_BYTES`] and [`MAX_MEMBERS`].

use crate::system::dir;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// More than any package with the modules of many kernels: a kernel's whole source has 1.5 GB.
pub(crate) const MAX_BYTES: u64 = 4 << 30;
/// A kernel's whole source has 90 000 files.
pub(crate) const MAX_MEMBERS: u64 = 250_000;
/// What the headers of one member may take, with its long names.
pub(crate) const MAX_HEADERS: u64 = 1 << 20;
const MAX_DEPTH: usize = 64;
const MAX_PATH: usize = 4096;

/// What any tarball may unpack to, and how many times its own size a larger one may.
const ALWAYS: u64 = 256 << 20;
const MOST_TIMES: u64 = 100;

/// Counts what comes out of one tarball.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    members: u64,
    bytes: u64,
    limit: u64,
}

impl Amount {
    /// Nothing yet of a tarball of this size. Sources and modules are packed to a fifth; what is packed to a hundredth, and large,
    /// is meant to fill the disk.
    #[must_use]
    pub(crate) fn of_tarball(size: u64) -> Self {
        let limit = size.saturating_mul(MOST_TIMES).clamp(ALWAYS, MAX_BYTES);
        Self { members: 0, bytes: 0, limit }
    }

    /// Whether nothing has come out.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Counts a member of this size.
    ///
    /// # Errors
    /// It is one too many, or too large.
    pub(crate) fn add(&mut self, size: u64) -> Result<(), String> {
        self.members += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.members > MAX_MEMBERS {
            return Err(format!("it has more than {MAX_MEMBERS} members"));
        }
        if self.bytes > self.limit {
            return Err(format!("it unpacks to more than {} bytes", self.limit));
        }
        Ok(())
    }
}

/// The place of a member below the work directory; empty for the top itself.
///
/// # Errors
/// The path leads out, or nothing sensible is called like that.
pub(crate) fn member_path(raw: &[u8]) -> Result<PathBuf, String> {
    let shown = String::from_utf8_lossy(raw);
    if raw.len() > MAX_PATH || raw.contains(&0) {
        return Err("a member has an impossible name".into());
    }
    let mut place = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(raw)).components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            _ => return Err(format!("the member {shown:?} leads out of it")),
        }
    }
    if place.components().count() > MAX_DEPTH {
        return Err(format!("the member {shown:?} lies more than {MAX_DEPTH} directories deep"));
    }
    Ok(place)
}

/// Whether a symbolic link at `link`, relative to some top, stays below the top.
///
/// `..` may stand only at the start, where it walks up real directories: what walks up behind another link would
/// depend on where that one leads. So each step forward meets a directory, or a link that stays below the top too.
#[must_use]
pub(crate) fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count().saturating_sub(1);
    let mut forward = false;
    target.components().all(|part| match part {
        Component::ParentDir if forward || depth == 0 => false,
        Component::ParentDir => {
            depth -= 1;
            true
        }
        Component::Normal(_) => {
            forward = true;
            true
        }
        Component::CurDir => true,
        Component::RootDir | Component::Prefix(_) => false,
    }) && !target.as_os_str().is_empty()
}

/// The first symbolic link below `top` that leads out of it.
///
/// # Errors
/// A directory cannot be read.
pub(crate) fn link_leading_out(top: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in dir::read(&dir)? {
            let (path, kind) = (entry.path(), entry.file_type()?);
            let inner = path.strip_prefix(top).unwrap_or(&path);
            if kind.is_dir() {
                dirs.push(path);
            } else if kind.is_symlink() && !stays_inside(inner, &fs_err::read_link(&path)?) {
                return Ok(Some(inner.to_owned()));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("./a/b", Some("a/b"))]
    #[case("a/./b/", Some("a/b"))]
    #[case("./", Some(""))]
    #[case("/etc/passwd", None)]
    #[case("../x", None)]
    #[case("a/../b", None)]
    #[case("a\0b", None)]
    fn member_stays_below_the_top(#[case] raw: &str, #[case] expected: Option<&str>) {
        assert_eq!(member_path(raw.as_bytes()).ok().as_deref(), expected.map(Path::new));
    }

    #[test]
    fn a_member_is_not_deeper_than_any_source() {
        assert!(member_path("a/".repeat(64).as_bytes()).is_ok());
        assert!(member_path("a/".repeat(65).as_bytes()).is_err());
    }

    #[rstest]
    #[case("l", "x", true)]
    #[case("a/l", "../x/y", true)]
    #[case("a/l", "./../x", true)]
    #[case("l", "../x", false)]
    #[case("a/l", "../../x", false)]
    #[case("a/l", "/etc", false)]
    // Where d is a link to a directory further up, d/.. is above what it seems to be.
    #[case("a/b/l", "d/../x", false)]
    #[case("l", "", false)]
    fn a_link_stays_inside_or_is_refused(#[case] link: &str, #[case] target: &str, #[case] inside: bool) {
        assert_eq!(stays_inside(Path::new(link), Path::new(target)), inside);
    }

    #[test]
    fn amounts_have_limits() {
        let mut amount = Amount::of_tarball(u64::MAX);
        assert!(amount.add(MAX_BYTES).is_ok());
        assert!(amount.add(1).is_err());
        assert!(Amount { members: MAX_MEMBERS, bytes: 0, limit: MAX_BYTES }.add(0).is_err());
        assert!(amount.add(u64::MAX).is_err());
    }

    #[test]
    fn small_tarball_with_much_in_it_is_refused() {
        let mut bomb = Amount::of_tarball(3 << 20);
        assert!(bomb.add(3 << 30).is_err());
        let mut source = Amount::of_tarball(120 << 20);
        assert!(source.add(1500 << 20).is_ok());
        assert!(Amount::of_tarball(1).add(200 << 20).is_ok());
    }
}
