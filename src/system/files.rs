//! The only module that writes files.
//!
//! What becomes visible under a final name is complete and on disk: [`publish_file`] and [`publish_dir`] write a
//! temporary neighbour, sync it, rename it and sync the directory. A reader sees the old state or the new one.

#![allow(clippy::disallowed_methods)]

use crate::system::dir;
use fs_err::os::unix::fs::{OpenOptionsExt, symlink};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use xattr::FileExt as _;

/// How the names of temporary neighbours begin; [`RANDOM`] characters follow.
pub(crate) const TEMPORARY: &str = ".dkms-";
const RANDOM: usize = 6;

/// Makes a directory and its parents, mode 0755.
pub(crate) fn create_dirs(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|e| io::Error::new(e.kind(), format!("cannot create the directory {}: {e}", path.display())))
}

/// Waits until the entries of a directory are on disk.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    fs_err::File::open(path)?.sync_all()
}

/// Writes `content` under its final name: complete, synced, mode `mode`.
///
/// The temporary file is a hidden neighbour, made exclusively, and goes away if anything fails.
pub(crate) fn publish_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    publish_with(path, mode, |file| file.write_all(content).map_err(|e| named(path, e)))
}

/// Copies a regular file to its final name, like [`publish_file`], with the given mode.
pub(crate) fn publish_copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    let mut source = fs_err::File::open(from)?;
    publish_with(to, mode, |file| io::copy(source.file_mut(), file).map(|_| ()).map_err(|e| named(to, e)))
}

/// Copies a regular file to its final name with everything that it is: content, mode, owner, times and extended
/// attributes, as far as the file system of the copy has them.
fn publish_twin(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = fs_err::File::open(from)?;
    let data = source.metadata()?;
    publish_with(to, data.mode() & 0o7777, |file| {
        io::copy(source.file_mut(), file).map_err(|e| named(to, e))?;
        // Who is not root keeps its own files; elsewhere not every attribute is possible.
        let _ = std::os::unix::fs::fchown(&*file, Some(data.uid()), Some(data.gid()));
        for name in source.file().list_xattr().into_iter().flatten() {
            if let Ok(Some(value)) = source.file().get_xattr(&name) {
                let _ = file.set_xattr(&name, &value);
            }
        }
        let times = std::fs::FileTimes::new().set_accessed(data.accessed()?).set_modified(data.modified()?);
        file.set_times(times)
    })
}

/// Lets `fill` write a temporary neighbour, then gives it its final name, like [`publish_file`].
pub(crate) fn publish_with<E: From<io::Error>>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut std::fs::File) -> Result<(), E>,
) -> Result<(), E> {
    let dir = parent(path)?;
    let mut temporary = temporary_in(dir)?;
    fill(temporary.as_file_mut())?;
    temporary.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    temporary.as_file().sync_all().map_err(|e| named(path, e))?;
    temporary.persist(path).map_err(|e| named(path, e.error))?;
    Ok(sync_dir(dir)?)
}

/// Writes a file anew in one step, like [`publish_file`], without waiting for the disk: what a power failure may take.
pub(crate) fn replace_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut temporary = temporary_in(parent(path)?)?;
    temporary.write_all(content).map_err(|e| named(path, e))?;
    temporary.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    temporary.persist(path).map(|_| ()).map_err(|e| named(path, e.error))
}

/// Writes a file in a staged directory: [`publish_dir`] syncs it with all others before it gets its name.
pub(crate) fn stage_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = create_file(path)?;
    file.write_all(content).map_err(|e| named(path, e))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Adds to the end of a file, which is made if missing. A link of that name is not followed.
pub(crate) fn append(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.append(true).create(true).mode(mode).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.write_all(content)
}

/// Makes `link` a symbolic link with exactly this target text, replacing a link or file of that name.
pub(crate) fn publish_link(target: &Path, link: &Path) -> io::Result<()> {
    let dir = parent(link)?;
    let mut builder = tempfile::Builder::new();
    let neighbour = builder
        .prefix(TEMPORARY)
        .rand_bytes(RANDOM)
        .make_in(dir, |path| symlink(target, path))
        .map_err(|e| named(dir, e))?;
    neighbour.persist(link).map_err(|e| named(link, e.error))?;
    sync_dir(dir)
}

/// Moves a finished directory to its final name. A directory that stands there is exchanged, and returned as the path
/// where it now is (the place that `staged` had).
pub(crate) fn publish_dir(staged: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    use nix::fcntl::{RenameFlags, renameat2};
    sync_tree(staged)?;
    let replaced = if path.symlink_metadata().is_ok() {
        match renameat2(AT_FDCWD, staged, AT_FDCWD, path, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => Some(staged.to_owned()),
            Err(_) => Some(exchange_in_steps(staged, path)?),
        }
    } else {
        fs_err::rename(staged, path)?;
        None
    };
    if let Err(error) = sync_dir(parent(path)?) {
        // What is not known to be on disk is not published.
        match &replaced {
            Some(old) => drop(exchange_in_steps(old, path)),
            None => drop(fs_err::rename(path, staged)),
        }
        return Err(error);
    }
    Ok(replaced)
}

/// For file systems that cannot exchange two names, and overlays ([`move_dir`]). Between the two steps the name is missing.
fn exchange_in_steps(staged: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut aside = staged.as_os_str().to_owned();
    aside.push(".old");
    let aside = PathBuf::from(aside);
    move_dir(path, &aside)?;
    if let Err(error) = fs_err::rename(staged, path) {
        fs_err::rename(&aside, path)?;
        return Err(error);
    }
    Ok(aside)
}

/// Gives a directory another name. An overlay does not rename what its lower layer has, as the layers of container images do: there it
/// is copied, and deleted.
pub(crate) fn move_dir(from: &Path, to: &Path) -> io::Result<()> {
    if std::fs::rename(from, to).is_err() {
        copy_tree(from, to)?;
        remove_tree(from)?;
    }
    Ok(())
}

fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in dir::read(dir)? {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            fs_err::File::open(entry.path())?.sync_all()?;
        }
    }
    sync_dir(dir)
}

/// Moves a file to another place of the same file system, or copies it and deletes the source where that is another
/// one; the directory of the target is made.
pub(crate) fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    create_dirs(parent(to)?)?;
    match std::fs::rename(from, to) {
        // rename(2) does nothing, and succeeds, where both names are links to one file.
        Ok(()) => remove_file(from)?,
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            publish_twin(from, to)?;
            fs_err::remove_file(from)?;
        }
        Err(e) => return Err(named(from, e)),
    }
    sync_dir(parent(to)?)
}

/// Gives a file a second place without touching the first: a hard link, or a copy on another file system.
pub(crate) fn keep_copy(from: &Path, to: &Path) -> io::Result<()> {
    create_dirs(parent(to)?)?;
    remove_file(to)?;
    if std::fs::hard_link(from, to).is_err() {
        publish_twin(from, to)?;
    }
    sync_dir(parent(to)?)
}

/// What the two ends of a file hold: all of it where that is at most 8 MiB, else the first and the last 4 MiB. However large a
/// log is, this is what looking at it costs.
pub(crate) fn read_ends(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    const END: u64 = 4 << 20;
    let mut file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= 2 * END {
        file.take(2 * END).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    Read::by_ref(&mut file).take(END).read_to_end(&mut bytes)?;
    bytes.push(b'\n');
    file.seek(SeekFrom::Start(length - END))?;
    file.take(END).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Gives a file a second name; the directory of that is made.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    create_dirs(parent(to)?)?;
    std::fs::hard_link(from, to).map_err(|e| named(to, e))
}

/// A new directory with a unique name, mode 0755.
pub(crate) fn temporary_dir(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    temporary_dir_with(parent, prefix, 0o755)
}

/// The same, and other users cannot enter it before it gets its final mode.
pub(crate) fn closed_temporary_dir(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    temporary_dir_with(parent, prefix, 0o700)
}

fn temporary_dir_with(parent: &Path, prefix: &str, mode: u32) -> io::Result<PathBuf> {
    create_dirs(parent)?;
    let dir = tempfile::Builder::new()
        .prefix(prefix)
        .rand_bytes(6)
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempdir_in(parent)
        .map_err(|e| named(parent, e))?;
    Ok(dir.keep())
}

/// A new directory that only we can enter, for content that was not checked yet; it goes with its value. The place for
/// such directories is the administrator's: one that is not there is not made.
pub(crate) fn private_dir(parent: &Path, prefix: &str) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).rand_bytes(6).permissions(std::fs::Permissions::from_mode(0o700));
    builder.tempdir_in(parent).map_err(|e| named(parent, e))
}

/// Writes a new file from a reader, with this mode and time of change (seconds); returns how much it was.
pub(crate) fn write_new(
    path: &Path,
    content: &mut dyn io::Read,
    mode: u32,
    modified: u64,
) -> io::Result<u64> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?.into_parts().0;
    let written = io::copy(content, &mut file).map_err(|e| named(path, e))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    // A time that the file system cannot hold is no reason to stop.
    let _ = std::time::UNIX_EPOCH
        .checked_add(std::time::Duration::from_secs(modified))
        .map(|time| file.set_modified(time));
    Ok(written)
}

/// Makes a new symbolic link.
pub(crate) fn make_link(target: &Path, link: &Path) -> io::Result<()> {
    symlink(target, link)
}

/// Deletes a file or link; that it is gone already is fine.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    ignore_missing(fs_err::remove_file(path))
}

/// Deletes a directory with its content; that it is gone already is fine. Links are not followed.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(data) if data.is_dir() => match ignore_missing(fs_err::remove_dir_all(path)) {
            Ok(()) => Ok(()),
            // Deeper than there may be open files.
            Err(_) => remove_deep(path),
        },
        Ok(_) => remove_file(path),
        Err(_) => Ok(()),
    }
}

/// Deletes a directory of any depth: what lies two levels below it is moved up, until there is nothing.
fn remove_deep(path: &Path) -> io::Result<()> {
    let mut moved: u64 = 0;
    loop {
        let mut found = dir::read(path)?;
        if found.is_empty() {
            return ignore_missing(fs_err::remove_dir(path));
        }
        for entry in found.drain(..) {
            if !entry.file_type()?.is_dir() {
                remove_file(&entry.path())?;
                continue;
            }
            for inner in dir::read(&entry.path())? {
                if inner.file_type()?.is_dir() {
                    let place = loop {
                        moved += 1;
                        let place = path.join(format!("{TEMPORARY}{moved}"));
                        if place.symlink_metadata().is_err() {
                            break place;
                        }
                    };
                    fs_err::rename(inner.path(), place)?;
                } else {
                    remove_file(&inner.path())?;
                }
            }
            ignore_missing(fs_err::remove_dir(entry.path()))?;
        }
    }
}

/// Deletes a directory if it is empty; tells whether it is gone.
pub(crate) fn remove_empty_dir(path: &Path) -> bool {
    std::fs::remove_dir(path).is_ok()
}

/// Deletes what writers that were killed left in a directory under temporary names. For the holder of the lock, in
/// directories where no other process writes.
pub(crate) fn remove_leftovers(dir: &Path) {
    for path in leftovers(dir) {
        let _ = remove_tree(&path);
    }
}

/// What stands in a directory under temporary names.
#[must_use]
pub(crate) fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let entries = dir::entries(dir).into_iter();
    let temporary = entries.filter(|entry| is_temporary(&entry.file_name().to_string_lossy()));
    temporary.map(|entry| entry.path()).collect()
}

fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY)
        .is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Deletes `dir` and then its parents while they are empty, up to but without `top`. One that is gone already, by a run
/// that was killed before it came to the parents, does not end this.
pub(crate) fn remove_empty_dirs(dir: &Path, top: &Path) {
    let mut current = dir;
    let is_gone = |dir: &Path| remove_empty_dir(dir) || dir.symlink_metadata().is_err();
    while current != top && current.starts_with(top) && is_gone(current) {
        match current.parent() {
            Some(parent) => current = parent,
            None => return,
        }
    }
}

/// Creates a new file in the place of whatever has that name. A link is replaced, not followed.
pub(crate) fn create_file(path: &Path) -> io::Result<std::fs::File> {
    remove_file(path)?;
    let mut options = fs_err::OpenOptions::new();
    // At its end: programs that we start write into the same file, and may cut it.
    Ok(options.append(true).create_new(true).mode(0o644).open(path)?.into_parts().0)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs_err::rename(from, to)
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Copies what is in the directory `from` into `to`, which is made if missing. The copy belongs to this process: other users cannot
/// write it, and it has no special mode bits, whatever `from` has. Times are kept, links stay links, files of the same
/// name are replaced, others stay.
///
/// The owner of `from` may change it meanwhile: every entry is opened without following links, and judged by what was opened.
///
/// # Errors
/// Something cannot be read or written.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let options = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = openat(AT_FDCWD, from, options, Mode::empty()).map_err(|e| named(from, e.into()))?;
    copy_dir(dir, from, to)
}

/// `from` is the name of what `dir` has open, for messages.
fn copy_dir(dir: OwnedFd, from: &Path, to: &Path) -> io::Result<()> {
    let dir = std::fs::File::from(dir);
    let data = dir.metadata().map_err(|e| named(from, e))?;
    create_dirs(to)?;
    let entries = dir.try_clone().map_err(|e| named(from, e))?;
    let mut entries = Dir::from_fd(entries.into()).map_err(|e| named(from, e.into()))?;
    for entry in entries.iter() {
        let entry = entry.map_err(|e| named(from, e.into()))?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            copy_entry(&dir, name, &from.join(name), &to.join(name))?;
        }
    }
    keep_attributes(to, &data)
}

fn copy_entry(dir: &std::fs::File, name: &OsStr, from: &Path, to: &Path) -> io::Result<()> {
    // Opening a pipe or a device must neither wait nor do anything.
    let options =
        OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened = match openat(dir, name, options, Mode::empty()) {
        Ok(opened) => std::fs::File::from(opened),
        Err(Errno::ELOOP) => {
            let target = readlinkat(dir, name).map_err(|e| named(from, e.into()))?;
            return replace_by_link(Path::new(&target), to);
        }
        // A socket, or a device without a driver.
        Err(Errno::ENXIO | Errno::ENODEV) => return Ok(()),
        Err(error) => return Err(named(from, error.into())),
    };
    let data = opened.metadata().map_err(|e| named(from, e))?;
    // A link in the way is replaced, never followed: it may lead anywhere.
    if to.symlink_metadata().is_ok_and(|there| there.is_symlink() || !data.is_dir()) {
        remove_file(to)?;
    }
    match () {
        () if data.is_dir() => copy_dir(opened.into(), from, to),
        () if data.is_file() => copy_file(opened, from, to),
        // Pipes and devices have no business in a source tree.
        () => Ok(()),
    }
}

fn replace_by_link(target: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        remove_file(to)?;
    }
    symlink(target, to)
}

fn copy_file(mut source: std::fs::File, from: &Path, to: &Path) -> io::Result<()> {
    let data = source.metadata().map_err(|e| named(from, e))?;
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(to)?.into_parts().0;
    io::copy(&mut source, &mut file).map_err(|e| named(to, e))?;
    file.set_times(times(&data)?).map_err(|e| named(to, e))?;
    file.set_permissions(std::fs::Permissions::from_mode(tame(data.mode()))).map_err(|e| named(to, e))
}

/// Whether the file system of a directory has no room for one more log: less than 1 MiB, or no more than a few files.
pub(crate) fn is_full(dir: &Path) -> bool {
    const ROOM: u64 = 1 << 20;
    const FILES: u64 = 16;
    nix::sys::statvfs::statvfs(dir).is_ok_and(|data| {
        let room = wide(data.blocks_available()).saturating_mul(wide(data.fragment_size()));
        // Where inodes are made as needed, their number is 0.
        room < ROOM || (data.files() > 0 && wide(data.files_available()) < FILES)
    })
}

/// What has 32 bits on some architectures and 64 on others.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Whether a file system starts no programs (mount(8), noexec).
#[must_use]
pub(crate) fn forbids_programs(dir: &Path) -> bool {
    let flags = nix::sys::statvfs::statvfs(dir).map(|data| data.flags());
    flags.is_ok_and(|flags| flags.contains(nix::sys::statvfs::FsFlags::ST_NOEXEC))
}

/// Whether a directory lies on a file system that is mounted read-only.
#[must_use]
pub(crate) fn is_read_only(dir: &Path) -> bool {
    let flags = nix::sys::statvfs::statvfs(dir).map(|data| data.flags());
    flags.is_ok_and(|flags| flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY))
}

/// Whether this process may write a file of this size (setrlimit(2), RLIMIT_FSIZE): a larger one would end it.
#[must_use]
pub(crate) fn is_within_limit(size: usize) -> bool {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE);
    limit.is_ok_and(|(soft, _)| size as u64 <= wide(soft))
}

/// Leaves of a file that is larger than any that people read the two ends that [`read_ends`] returns.
///
/// # Errors
/// It cannot be read or written.
pub(crate) fn shorten(path: &Path) -> io::Result<()> {
    const LARGEST: u64 = 64 << 20;
    if fs_err::metadata(path)?.len() <= LARGEST {
        return Ok(());
    }
    publish_file(path, &read_ends(path)?, 0o644)
}

/// A mode that lets only the owner write and has no special bits.
pub(super) fn tame(mode: u32) -> u32 {
    mode & 0o755
}

fn keep_attributes(dir: &Path, data: &std::fs::Metadata) -> io::Result<()> {
    set_mode(dir, tame(data.mode()) | 0o700)?;
    std::fs::File::open(dir).and_then(|opened| opened.set_times(times(data)?)).map_err(|e| named(dir, e))
}

fn times(data: &std::fs::Metadata) -> io::Result<std::fs::FileTimes> {
    Ok(std::fs::FileTimes::new().set_accessed(data.accessed()?).set_modified(data.modified()?))
}

/// Makes everything at and below `path` independent of who made it and when: directories and what can be executed have mode
/// 0755, other files 0644, and all were changed `seconds` after 1970. Files of other owners become ours by being copies.
pub(crate) fn normalise(path: &Path, seconds: i64) -> io::Result<()> {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    use nix::sys::time::TimeSpec;
    let data = fs_err::symlink_metadata(path)?;
    if data.is_dir() {
        for entry in dir::read(path)? {
            normalise(&entry.path(), seconds)?;
        }
    }
    if !data.is_symlink() {
        let runs = data.is_dir() || data.mode() & 0o111 != 0;
        set_mode(path, if runs { 0o755 } else { 0o644 })?;
    }
    let time = TimeSpec::from_duration(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)
        .map_err(|e| named(path, e.into()))
}

/// Says that a file was changed at this time.
pub(crate) fn set_time(path: &Path, modified: std::time::SystemTime) -> io::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(path).map_err(|e| named(path, e))?;
    file.set_modified(modified).map_err(|e| named(path, e))
}

/// How many bytes the files below a directory have; what cannot be read counts as nothing. `path` itself may be a link.
#[must_use]
pub(crate) fn size_below(path: &Path) -> u64 {
    let size = |entry: fs_err::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size_below(&entry.path()),
        Ok(data) if data.is_file() => data.len(),
        _ => 0,
    };
    super::dir::entries(path).into_iter().map(size).sum()
}

/// Whether a program can be started from this file.
#[must_use]
pub(crate) fn is_executable(path: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// The first executable file of a name in the directories of a search path; each is looked for where `place` has it.
#[must_use]
pub(crate) fn find_in_path(path: &str, name: &str, place: impl Fn(&Path) -> PathBuf) -> Option<PathBuf> {
    let dirs = path.split(':').filter(|dir| dir.starts_with('/'));
    dirs.map(|dir| place(Path::new(dir)).join(name)).find(|file| is_executable(file))
}

/// Whether this process could create entries in the directory, or in the nearest existing one above it.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    use nix::unistd::{AccessFlags, access};
    let existing = path.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    access(existing, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
}

/// Whether a path leads below `top`, however either is spelled.
#[must_use]
pub(crate) fn lies_below(path: &Path, top: &Path) -> bool {
    let real = |path: &Path| {
        let existing = path.ancestors().find(|part| part.exists())?;
        let rest = path.strip_prefix(existing).ok()?;
        Some(fs_err::canonicalize(existing).ok()?.join(rest))
    };
    path.starts_with(top)
        || matches!((real(path), real(top)), (Some(path), Some(top)) if path.starts_with(&top))
}

/// Whether two names are of one file.
#[must_use]
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let file = |path: &Path| fs_err::metadata(path).ok().map(|data| (data.dev(), data.ino()));
    file(a).is_some_and(|found| file(b) == Some(found))
}

/// Whether two files hold the same bytes.
#[must_use]
pub(crate) fn same_content(a: &Path, b: &Path) -> bool {
    let size =
        |path: &Path| fs_err::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|data| data.size());
    match (size(a), size(b)) {
        (Some(x), Some(y)) if x == y => {
            matches!((fs_err::read(a), fs_err::read(b)), (Ok(a), Ok(b)) if a == b)
        }
        _ => false,
    }
}

fn temporary_in(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(TEMPORARY).rand_bytes(RANDOM).tempfile_in(dir).map_err(|e| named(dir, e))
}

fn parent(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(dir) if dir.as_os_str() != OsStr::new("") => Ok(dir),
        _ => Err(io::Error::other(format!("{} has no directory", path.display()))),
    }
}

pub(super) fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_with_both_names_loses_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, "x").unwrap();
        keep_copy(&from, &to).unwrap();
        move_file(&from, &to).unwrap();
        assert!(!from.exists() && to.exists());
    }

    #[test]
    fn only_names_of_temporary_neighbours_are_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".dkms-aB3dE6", ".dkms-build.json", ".dkms-install.json", ".dkms-", "dkms-aB3dE6"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        remove_leftovers(dir.path());
        assert!(!dir.path().join(".dkms-aB3dE6").exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn published_file_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        publish_file(&file, b"old", 0o600).unwrap();
        publish_file(&file, b"new", 0o644).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn published_directory_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let (staged, path) = (dir.path().join("staged"), dir.path().join("final"));
        for (place, name) in [(&path, "old"), (&staged, "new")] {
            create_dirs(place).unwrap();
            std::fs::write(place.join(name), "").unwrap();
        }
        assert_eq!(publish_dir(&staged, &path).unwrap(), Some(staged.clone()));
        assert!(path.join("new").exists() && staged.join("old").exists());
    }

    #[test]
    fn copied_tree_keeps_modes_times_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        create_dirs(&from.join("sub")).unwrap();
        std::fs::write(from.join(".hidden"), "x").unwrap();
        set_mode(&from.join(".hidden"), 0o750).unwrap();
        symlink("nowhere", from.join("sub/link")).unwrap();
        copy_tree(&from, &to).unwrap();
        let (a, b) = (from.join(".hidden").metadata().unwrap(), to.join(".hidden").metadata().unwrap());
        assert_eq!((a.mode(), a.mtime(), a.mtime_nsec()), (b.mode(), b.mtime(), b.mtime_nsec()));
        assert_eq!(std::fs::read_link(to.join("sub/link")).unwrap(), Path::new("nowhere"));
    }

    #[test]
    fn copied_tree_has_no_special_bits() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        create_dirs(&from.join("open")).unwrap();
        for (name, mode) in [("setuid", 0o6755), ("loose", 0o666), ("sticky", 0o1777), ("open/inner", 0o4711)]
        {
            std::fs::write(from.join(name), "x").unwrap();
            set_mode(&from.join(name), mode).unwrap();
        }
        set_mode(&from.join("open"), 0o2777).unwrap();
        copy_tree(&from, &to).unwrap();
        let mode = |name: &str| to.join(name).metadata().unwrap().mode() & 0o7777;
        let names = ["setuid", "loose", "sticky", "open", "open/inner"];
        assert_eq!(names.map(mode), [0o755, 0o644, 0o755, 0o755, 0o711]);
    }

    #[test]
    fn copied_tree_leaves_pipes_and_sockets_out() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        create_dirs(&from).unwrap();
        nix::unistd::mkfifo(&from.join("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
        std::fs::write(from.join("file"), "x").unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(std::fs::read_dir(&to).unwrap().count(), 1);
    }

    #[test]
    fn created_file_replaces_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, log) = (dir.path().join("secret"), dir.path().join("make.log"));
        std::fs::write(&secret, "kept").unwrap();
        symlink(&secret, &log).unwrap();
        create_file(&log).unwrap().write_all(b"log").unwrap();
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "kept");
    }

    #[test]
    fn only_empty_directories_below_the_top_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        create_dirs(&dir.path().join("a/b/c")).unwrap();
        std::fs::write(dir.path().join("a/keep"), "").unwrap();
        remove_empty_dirs(&dir.path().join("a/b/c"), dir.path());
        assert!(dir.path().join("a/keep").exists() && !dir.path().join("a/b").exists());
    }

    #[test]
    fn a_twin_has_everything_that_the_file_has() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("sub/to"));
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(&from, "content").unwrap();
        std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o640)).unwrap();
        let supported = xattr::set(&from, "user.note", b"kept").is_ok();
        let file = std::fs::File::options().write(true).open(&from).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        file.set_times(std::fs::FileTimes::new().set_modified(long_ago)).unwrap();
        publish_twin(&from, &to).unwrap();
        let data = std::fs::metadata(&to).unwrap();
        assert_eq!((std::fs::read(&to).unwrap(), data.mode() & 0o7777), (b"content".to_vec(), 0o640));
        assert_eq!(data.modified().unwrap(), long_ago);
        if supported {
            assert_eq!(xattr::get(&to, "user.note").unwrap().as_deref(), Some(&b"kept"[..]));
        }
    }
}
