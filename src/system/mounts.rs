//! Mounts that only this process and its programs see: files that are shown where they will be one day.

use crate::system::{dir, files};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

const NONE: Option<&'static str> = None;

/// Leaves the mounts of the machine for a copy of them. What the calling thread, and the threads and programs that it starts
/// from here on, mount is seen by no other, and goes with the last of them.
///
/// # Errors
/// The kernel does not allow it: not root, or a container without the right to mount.
pub(crate) fn leave_machine() -> io::Result<()> {
    let left = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE));
    left.map_err(|errno| io::Error::other(errno.desc()))
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
/// that is there already is replaced. `scratch` is an empty directory to mount on; nothing is mounted there afterwards, so
/// that its deletion does not reach what was shown in it.
///
/// # Errors
/// The directory cannot be read, two entries have one name, or the kernel does not allow the mounts.
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
    let filled = fill(scratch, dir, entries);
    let moved = filled.and_then(|()| Ok(mount(Some(scratch), dir, NONE, MsFlags::MS_MOVE, NONE)?));
    if moved.is_err() {
        // With everything that is mounted below it.
        umount2(scratch, MntFlags::MNT_DETACH)?;
    }
    moved
}

fn fill(place: &Path, dir: &Path, entries: &[(OsString, PathBuf)]) -> io::Result<()> {
    for entry in dir::read(dir)? {
        let name = entry.file_name();
        if !entries.iter().any(|(other, _)| *other == name) {
            match show_entry(&entry.path(), &place.join(name)) {
                // Other programs work there.
                Err(_) if entry.path().symlink_metadata().is_err() => {}
                other => other?,
            }
        }
    }
    entries.iter().try_for_each(|(name, from)| show_entry(from, &place.join(name)))
}

fn show_entry(from: &Path, onto: &Path) -> io::Result<()> {
    if onto.symlink_metadata().is_ok() {
        return Err(io::Error::other(format!("{} comes twice", onto.display())));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// In a thread, which leaves the machine for itself alone.
    fn apart(work: impl FnOnce() + Send + 'static) {
        if nix::unistd::geteuid().is_root() {
            let done = std::thread::spawn(move || match leave_machine() {
                Ok(()) => work(),
                // In a container root may not.
                Err(error) => assert!(error.to_string().contains("not permitted"), "{error}"),
            });
            done.join().unwrap();
        }
    }

    struct Place {
        top: tempfile::TempDir,
        dir: PathBuf,
        scratch: PathBuf,
    }

    fn place() -> Place {
        let top = tempfile::tempdir().unwrap();
        let [dir, scratch] = ["dir", "scratch"].map(|name| top.path().join(name));
        std::fs::create_dir_all(dir.join("old")).unwrap();
        std::fs::write(dir.join("old/precious"), "1").unwrap();
        std::fs::create_dir_all(top.path().join("new")).unwrap();
        std::fs::create_dir(&scratch).unwrap();
        Place { top, dir, scratch }
    }

    #[test]
    fn added_entries_are_seen_here_alone() {
        apart(|| {
            let Place { top, dir, scratch } = place();
            add_entries(&dir, &[("new".into(), top.path().join("new"))], &scratch).unwrap();
            assert!(dir.join("new").is_dir() && dir.join("old/precious").is_file());
            umount2(&dir, MntFlags::MNT_DETACH).unwrap();
            assert!(!dir.join("new").exists() && dir.join("old/precious").is_file());
        });
    }

    #[rstest]
    #[case::missing(&["nowhere"])]
    #[case::twice(&["new", "new"])]
    fn failure_leaves_nothing_mounted(#[case] from: &'static [&'static str]) {
        apart(move || {
            let Place { top, dir, scratch } = place();
            let entries: Vec<_> = from.iter().map(|name| ("new".into(), top.path().join(name))).collect();
            assert!(add_entries(&dir, &entries, &scratch).is_err());
            assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
            files::remove_tree(&scratch).unwrap();
            assert!(dir.join("old/precious").is_file());
        });
    }
}
