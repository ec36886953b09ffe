//! Who besides this process can change what is about to be read or run with its rights.

use crate::system::dir;
use crate::system::fingerprint::NOT_SOURCE;
use nix::unistd::{Gid, Group, Uid, User};
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Who can change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Owner(u32),
    Group(u32),
    Everyone,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(uid) => match User::from_uid(Uid::from_raw(*uid)) {
                Ok(Some(user)) => write!(f, "user {}", user.name),
                _ => write!(f, "the user with id {uid}"),
            },
            Self::Group(gid) => match Group::from_gid(Gid::from_raw(*gid)) {
                Ok(Some(group)) => write!(f, "group {}", group.name),
                _ => write!(f, "the group with id {gid}"),
            },
            Self::Everyone => f.write_str("every user"),
        }
    }
}

/// A file that another user can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exposure {
    pub path: PathBuf,
    pub who: Who,
}

/// What other users can change of `paths` and everything below them, in the order of the walk. What does not exist is no
/// exposure. Links are judged by where they lead only for `paths` themselves.
#[must_use]
pub(crate) fn exposures(paths: &[PathBuf], euid: u32) -> Vec<Exposure> {
    let mut found = Vec::new();
    for path in paths {
        let Ok(data) = fs_err::metadata(path) else { continue };
        let path = fs_err::canonicalize(path).unwrap_or_else(|_| path.clone());
        judge(&path, &data, euid, &mut found);
        if data.is_dir() {
            walk(&path, euid, &mut found);
        }
    }
    found
}

fn walk(dir: &Path, euid: u32, found: &mut Vec<Exposure>) {
    let entries = dir::entries(dir).into_iter();
    for entry in entries.filter(|entry| NOT_SOURCE.iter().all(|name| entry.file_name() != *name)) {
        let Ok(data) = entry.metadata() else { continue };
        judge(&entry.path(), &data, euid, found);
        if data.is_dir() {
            walk(&entry.path(), euid, found);
        }
    }
}

fn judge(path: &Path, data: &Metadata, euid: u32, found: &mut Vec<Exposure>) {
    found.extend(who(data, euid).map(|who| Exposure { path: path.to_owned(), who }));
}

fn who(data: &Metadata, euid: u32) -> Option<Who> {
    const ROOT: u32 = 0;
    match () {
        () if data.uid() != ROOT && data.uid() != euid => Some(Who::Owner(data.uid())),
        // The mode of a link means nothing.
        () if data.is_symlink() => None,
        () if data.mode() & 0o002 != 0 => Some(Who::Everyone),
        () if data.mode() & 0o020 != 0 && data.gid() != ROOT => Some(Who::Group(data.gid())),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::files::set_mode;

    #[test]
    fn files_that_others_can_change_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs_err::canonicalize(dir.path()).unwrap().join("m-1.0");
        fs_err::create_dir_all(top.join("sub")).unwrap();
        for name in ["dkms.conf", "sub/open.c", "sub/fine.c"] {
            fs_err::write(top.join(name), "").unwrap();
            set_mode(&top.join(name), 0o644).unwrap();
        }
        let euid = nix::unistd::geteuid().as_raw();
        let paths = [top.clone(), top.join("missing")];
        assert_eq!(exposures(&paths, euid), []);
        set_mode(&top.join("sub/open.c"), 0o666).unwrap();
        let open = Exposure { path: top.join("sub/open.c"), who: Who::Everyone };
        assert_eq!(exposures(&paths, euid), std::slice::from_ref(&open));
        if euid == 0 {
            std::os::unix::fs::chown(top.join("dkms.conf"), Some(12345), None).unwrap();
            let found = exposures(&paths, euid);
            assert_eq!(found.len(), 2);
            assert!(found.contains(&Exposure { path: top.join("dkms.conf"), who: Who::Owner(12345) }));
            assert_eq!(
                found.iter().find(|found| **found != open).unwrap().who.to_string(),
                "the user with id 12345"
            );
        }
    }

    #[test]
    fn link_counts_by_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("link")).unwrap();
        assert_eq!(exposures(&[dir.path().to_owned()], nix::unistd::geteuid().as_raw()), []);
    }
}
