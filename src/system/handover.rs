//! Directories in which programs of another user work: given away, taken back, and read without trust in what is there.

use crate::system::dir;
use crate::system::files::{named, remove_file, set_mode, tame};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// User and group of this process.
#[must_use]
pub(crate) fn own_ids() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// Gives a file or directory, not what a link leads to, to a user and a group.
pub(crate) fn set_owner(path: &Path, (user, group): (u32, u32)) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(user), Some(group)).map_err(|e| named(path, e))
}

/// Takes what `user` owns below a directory, and the directory, for this process: files and directories lose special bits and
/// what others may write. What is no file, directory or link is deleted. No program of the user may run any more.
///
/// # Errors
/// Something cannot be read or changed.
pub(crate) fn take_over(path: &Path, user: u32) -> io::Result<()> {
    let data = fs_err::symlink_metadata(path)?;
    let kind = data.file_type();
    if !kind.is_file() && !kind.is_dir() && !kind.is_symlink() {
        return remove_file(path);
    }
    if data.uid() == user {
        set_owner(path, own_ids())?;
        if !kind.is_symlink() {
            let enter = if kind.is_dir() { 0o700 } else { 0o400 };
            set_mode(path, tame(data.mode()) | enter)?;
        }
    }
    if kind.is_dir() {
        dir::read(path)?.iter().try_for_each(|entry| take_over(&entry.path(), user))?;
    }
    Ok(())
}

/// Gives a directory with everything below it to a user and a group. Links are not followed: a directory is given away after
/// what is in it, so that its new owner, who may run at this moment, changes nothing on the way.
///
/// # Errors
/// Something cannot be read or changed.
pub(crate) fn give_tree(path: &Path, owner: (u32, u32)) -> io::Result<()> {
    if fs_err::symlink_metadata(path)?.is_dir() {
        dir::read(path)?.iter().try_for_each(|entry| give_tree(&entry.path(), owner))?;
    }
    set_owner(path, owner)
}

/// The first path below a directory that is neither a regular file nor a directory.
///
/// # Errors
/// Something cannot be read.
pub(crate) fn find_irregular(dir: &Path) -> io::Result<Option<PathBuf>> {
    for entry in dir::read(dir)? {
        let kind = entry.file_type()?;
        let found = match () {
            () if kind.is_dir() => find_irregular(&entry.path())?,
            () if kind.is_file() => None,
            () => Some(entry.path()),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The content of a regular file below a directory; no part of its name is a link. `None` where there is no such file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read_below(dir: &Path, name: &Path) -> io::Result<Option<Vec<u8>>> {
    /// Twice the largest module with its debug information.
    const LARGEST: u64 = 1 << 30;
    let top = openat(AT_FDCWD, dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let top = top.map_err(|e| named(dir, e.into()))?;
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let opened = match openat2(&top, name, OpenHow::new().flags(flags).resolve(resolve)) {
        // Linux before 5.6. Nothing runs that could put a link into the way.
        Err(Errno::ENOSYS) => openat(&top, name, flags, Mode::empty()),
        other => other,
    };
    let mut file = match opened {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV | Errno::ENXIO) => return Ok(None),
        Err(error) => return Err(named(&dir.join(name), error.into())),
    };
    let data = file.metadata()?;
    if !data.is_file() {
        return Ok(None);
    }
    if data.len() > LARGEST {
        let why =
            format!("it has {} MiB, and no module is larger than {} MiB", data.len() >> 20, LARGEST >> 20);
        return Err(named(&dir.join(name), io::Error::other(why)));
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(|e| named(&dir.join(name), e))?;
    Ok(Some(content))
}
