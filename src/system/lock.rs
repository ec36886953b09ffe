//! The lock that orders state changes: one holder for one DKMS tree, named to whoever waits.
//!
//! It is a flock(2) on `<tree>/.lock`, so it dies with its process. The file holds the pid and the command of the
//! holder. A run that was started by the holder itself (by a script or a dkms.conf) does not wait for it: it works under
//! its ancestor's lock, and takes one of its own against the holder's other children.

use super::ancestors::ancestors;
use super::{System, files};
use crate::model::text::shown_in_line;
use crate::model::{Error, Result};
use nix::fcntl::{Flock, FlockArg};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The right to change the tree, until dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<std::fs::File>,
    nested: bool,
}

impl Lock {
    /// Takes the lock of `tree`, which is created if missing; waits for its holder, and says so.
    ///
    /// # Errors
    /// The tree cannot be created or written.
    pub fn take(tree: &Path, system: &System) -> Result<Self> {
        Self::take_named(tree, ".lock", system)
    }

    /// Whether this run works below a holder of the tree's lock.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.nested
    }

    /// Runs below one holder are ordered among themselves by a lock of their own.
    fn take_named(tree: &Path, name: &str, system: &System) -> Result<Self> {
        let not_writable =
            |error: std::io::Error| Error::NotWritable { path: tree.to_owned(), why: error.to_string() };
        files::create_dirs(tree).map_err(not_writable)?;
        let path = tree.join(name);
        let mut options = fs_err::OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(not_writable)?;
        let file = file.into_parts().0;
        let held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => held,
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let holder = Holder::read_when_written(&mut file);
                if holder.pid.is_some_and(is_ancestor) {
                    return Self::take_named(tree, &format!("{name}.nested"), system);
                }
                system.ui.note(format!("Waiting for {holder} to finish with {}...", tree.display()));
                Flock::lock(file, FlockArg::LockExclusive)
                    .map_err(|(_, e)| Error::Locked { path: path.clone(), why: e.desc().into() })?
            }
            Err((_, e)) => return Err(Error::Locked { path, why: e.desc().into() }),
        };
        let mut lock = held;
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        let _ = lock.set_len(0);
        let _ = lock.rewind();
        let _ = writeln!(lock, "{}\n{command}", std::process::id());
        Ok(Self { _held: lock, nested: name != ".lock" })
    }
}

/// Whether any process holds the lock of `tree` now; without a lock file nobody does.
#[must_use]
pub fn is_held(tree: &Path) -> bool {
    holder(tree).is_some()
}

/// The same, and the process is not this one.
#[must_use]
pub fn is_held_by_another(tree: &Path) -> bool {
    holder(tree).is_some_and(|holder| holder.pid != Some(std::process::id()))
}

fn holder(tree: &Path) -> Option<Holder> {
    let file = fs_err::File::open(tree.join(".lock")).ok()?;
    match Flock::lock(file.into_parts().0, FlockArg::LockSharedNonblock) {
        Ok(_) => None,
        Err((mut file, _)) => Some(Holder::read(&mut file)),
    }
}

/// Whether a run that holds the lock of `tree` has started this one.
#[must_use]
pub fn is_held_by_ancestor(tree: &Path) -> bool {
    holder(tree).is_some_and(|holder| holder.pid.is_some_and(is_ancestor))
}

/// Who holds the lock, as the file says.
#[derive(Debug, Default)]
struct Holder {
    pid: Option<u32>,
    command: String,
}

impl Holder {
    /// Who has just taken the lock writes its name a moment later.
    fn read_when_written(file: &mut std::fs::File) -> Self {
        for _ in 0..100 {
            let holder = Self::read(file);
            if holder.pid.is_some() {
                return holder;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self::default()
    }

    fn read(file: &mut std::fs::File) -> Self {
        let mut text = String::new();
        let _ = file.rewind();
        let _ = file.read_to_string(&mut text);
        let mut lines = text.lines();
        Self {
            pid: lines.next().and_then(|line| line.trim().parse().ok()),
            command: lines.next().unwrap_or_default().to_owned(),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} ({})", shown_in_line(&self.command)),
            None => f.write_str("another dkms process"),
        }
    }
}

fn is_ancestor(pid: u32) -> bool {
    ancestors().any(|process| process.pid == pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_named_that_writes_its_name_late() {
        let file = tempfile::tempfile().unwrap();
        let mut late = file.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(40));
            late.write_all(b"4711\ndkms build m/1\n").unwrap();
        });
        let mut reader = fs_err::OpenOptions::new()
            .read(true)
            .open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)))
            .unwrap()
            .into_parts()
            .0;
        assert_eq!(Holder::read(&mut reader).pid, None);
        assert_eq!(Holder::read_when_written(&mut reader).to_string(), "process 4711 (dkms build m/1)");
        writer.join().unwrap();
        file.set_len(0).unwrap();
    }
}
