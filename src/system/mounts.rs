//! Mounts that only this process and its programs see: files that are shown where they will be one day.

use crate::system::{dir, files};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

const NONE: Option<&'static str> = None;

/// Leaves the mounts of the machine for a copy of them. What the calling thread, and the threads and programs that it starts
/// from here on, mount is seen by nobody else, and goes with the last of them.
///
/// # Errors
/// The kernel does not allow it: not root, or a container without the right to mount.
pub(crate) fn leave_machine() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?)
}

/// Shows what stands at `from` at `onto` as well. Both are directories, or both are files.
///
/// # Errors
/// One of them does not exist, or the kernel does not allow it.
pub(crate) fn show(from: &Path, onto: &Path) -> io::Result<()> {
    mount(Some(from), onto, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE).map_err(|errno| {
        io::Error::other(format!(
            "{} cannot be shown at {}: {}",
            from.display(),
            onto.display(),
            errno.desc()
        ))
    })
}

/// Adds entries to a directory without writing to it: each name with the file, directory or link that it stands for. An entry
/// that is there already is replaced. `scratch` is an empty directory, where nothing is left.
///
/// # Errors
/// The directory cannot be read, or the kernel does not allow the mounts.
pub(crate) fn add_entries(dir: &Path, entries: &[(OsString, PathBuf)], scratch: &Path) -> io::Result<()> {
    let fits = |(name, from): &(OsString, PathBuf)| {
        let real = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.is_dir());
        real(&dir.join(name)) && real(from)
    };
    if entries.iter().all(fits) {
        return entries.iter().try_for_each(|(name, from)| show(from, &dir.join(name)));
    }
    // A directory in memory takes its place, with all that it has.
    let (kind, options) = (Some("tmpfs"), Some("mode=755"));
    mount(kind, scratch, kind, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options)?;
    for entry in dir::read(dir)? {
        let name = entry.file_name();
        if !entries.iter().any(|(other, _)| *other == name) {
            show_entry(&entry.path(), &scratch.join(name))?;
        }
    }
    for (name, from) in entries {
        show_entry(from, &scratch.join(name))?;
    }
    Ok(mount(Some(scratch), dir, NONE, MsFlags::MS_MOVE, NONE)?)
}

fn show_entry(from: &Path, onto: &Path) -> io::Result<()> {
    let kind = from.symlink_metadata()?.file_type();
    if kind.is_symlink() {
        return files::make_link(&fs_err::read_link(from)?, onto);
    }
    if kind.is_dir() {
        files::create_dirs(onto)?;
    } else {
        files::create_file(onto)?;
    }
    show(from, onto)
}
