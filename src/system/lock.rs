//! The lock that orders state changes: one holder for one DKMS tree, named to the next one.
//!
//! It is a flock(2) on `<tree>/.lock`, so it dies with its process. The file is root's alone (mode 0600): a process that can open
//! it can hold it for ever. It tells which process holds it: by pid, start time, pid namespace and boot, because the same
//! pid means another process in another container. A run that was started by the holder itself (by a script or a
//! dkms.conf) does not wait for it: it works under its ancestor's lock, and takes one of its own against the holder's other
//! children. A holder that ends takes its name away: a name without its process is that of one that was killed.

use super::ancestors::{Ancestor, ancestors};
use super::{System, files};
use crate::model::text::shown_in_line;
use crate::model::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

const NAME: &str = ".lock";
/// Suffix of the lock for runs started below a holder.
const BELOW: &str = ".nested";
const MODE: u32 = 0o600;

/// What the holder of a lock does, in a few words; `None` where that is not known.
pub(crate) type Work<'a> = dyn Fn() -> Option<String> + Sync + 'a;

/// How often a line that says for what this run waits is brought up to date.
const INTERVAL: Duration = Duration::from_secs(1);

/// The right to change the tree, until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Flock<File>,
    nested: bool,
    /// A holder was killed, and its leftovers are not removed yet.
    follows_kill: AtomicBool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.follows_kill() {
            let _ = self.held.set_len(0);
        }
    }
}

impl Lock {
    /// Takes the lock of `tree`, which is created if missing; waits for its holder, and says so, with what `work` says that the
    /// holder does. `system.patience` limits the wait.
    ///
    /// # Errors
    /// The tree cannot be created or written, or its holder takes too long.
    pub(crate) fn take(tree: &Path, system: &System, work: &Work<'_>) -> Result<Self> {
        Self::take_named(tree, NAME, system, work)
    }

    /// Takes the lock if it is free; `None` if it is not, or cannot be opened.
    #[must_use]
    pub(crate) fn try_take(tree: &Path) -> Option<Self> {
        let path = tree.join(NAME);
        let held = Flock::lock(open(&path).ok()?, FlockArg::LockExclusiveNonblock).ok()?;
        is_at(&held, &path).then(|| Self::with_holder(held, false))
    }

    /// Writes into the file who holds it.
    fn with_holder(mut held: Flock<File>, nested: bool) -> Self {
        let follows_kill = held.metadata().is_ok_and(|data| data.len() > 0);
        let command = std::env::args().collect::<Vec<_>>().join(" ").replace('\n', " ");
        let me = Ancestor::read(std::process::id()).map(|process| process.start).unwrap_or_default();
        let text = format!("{}\n{command}\n{me}\n{}\n", std::process::id(), machine());
        // Written over the name of a killed holder, never after emptying the file: the mark must survive a second kill.
        if held.rewind().and_then(|()| held.write_all(text.as_bytes())).is_ok() && follows_kill {
            let _ = held.set_len(text.len() as u64);
        }
        Self { held, nested, follows_kill: AtomicBool::new(follows_kill) }
    }

    /// Whether a holder of this lock was killed, and [`Lock::settled`] was not called since.
    #[must_use]
    pub(crate) fn follows_kill(&self) -> bool {
        self.follows_kill.load(Ordering::Relaxed)
    }

    /// What killed holders left has been dealt with.
    pub(crate) fn settled(&self) {
        self.follows_kill.store(false, Ordering::Relaxed);
    }

    /// Takes over from runs below an earlier holder that were killed; tells whether none of them works any more.
    #[must_use]
    pub(crate) fn outlives_nested(&self, tree: &Path) -> bool {
        let take = |path: PathBuf| Flock::lock(open(&path).ok()?, FlockArg::LockExclusiveNonblock).ok();
        let Some(ended) = locks_below(tree).map(take).collect::<Option<Vec<_>>>() else { return false };
        for held in ended.iter().filter(|held| held.metadata().is_ok_and(|data| data.len() > 0)) {
            self.follows_kill.store(true, Ordering::Relaxed);
            let _ = held.set_len(0);
        }
        true
    }

    /// Whether this run works below a holder of the tree's lock.
    #[must_use]
    pub(crate) fn is_nested(&self) -> bool {
        self.nested
    }

    /// Runs below one holder are ordered among themselves by a lock of their own.
    fn take_named(tree: &Path, name: &str, system: &System, work: &Work<'_>) -> Result<Self> {
        files::create_dirs(tree)
            .map_err(|error| Error::NotWritable { path: tree.to_owned(), why: error.to_string() })?;
        let path = tree.join(name);
        let (mut deadline, mut unnamed) = (None, 0);
        loop {
            let file = open(&path)
                .map_err(|error| Error::NotWritable { path: tree.to_owned(), why: error.to_string() })?;
            let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                // Deleted while it was opened: the next one would not see this lock.
                Ok(held) if !is_at(&held, &path) => continue,
                Ok(held) => return Ok(Self::with_holder(held, name != NAME)),
                Err((file, Errno::EWOULDBLOCK)) => file,
                Err((_, e)) => return Err(Error::Locked { path, why: e.desc().into() }),
            };
            let holder = Holder::read(&mut file);
            // A new holder writes its name a moment later, and one that ends removes it a moment before.
            if holder.pid.is_none() && unnamed < 100 {
                unnamed += 1;
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            if holder.is_ancestor() {
                return Self::take_named(tree, &format!("{name}{BELOW}"), system, work);
            }
            let first = deadline.is_none();
            let deadline =
                *deadline.get_or_insert_with(|| system.patience.map(|patience| Instant::now() + patience));
            if first {
                let work = work().map(|work| format!(" ({work})")).unwrap_or_default();
                let line = format!("Waiting for {holder} to finish with {}{work}...", tree.display());
                system.console.note(line);
            }
            match deadline {
                // A person can interrupt this; the kernel wakes us up at once when the lock is free.
                None => match wait_for(file, &holder, system, work) {
                    Ok(held) if is_at(&held, &path) => {
                        return Ok(Self::with_holder(held, name != NAME));
                    }
                    Ok(_) => {}
                    Err((_, e)) => return Err(Error::Locked { path, why: e.desc().into() }),
                },
                Some(end) if Instant::now() >= end => {
                    let waited = system.patience.unwrap_or_default().as_secs();
                    return Err(Error::Locked {
                        path,
                        why: format!("{holder} still holds it after {waited} seconds"),
                    });
                }
                // flock(2) has no timeout: where the wait is limited, the lock is tried again and again.
                Some(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

/// Waits without end; a terminal shows what for.
fn wait_for(
    file: File,
    holder: &Holder,
    system: &System,
    work: &Work<'_>,
) -> std::result::Result<Flock<File>, (File, Errno)> {
    let console = &system.console;
    if !console.terminal().is_live {
        return Flock::lock(file, FlockArg::LockExclusive);
    }
    let (done, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let work = work().map(|work| format!(": {work}")).unwrap_or_default();
                console.show_line(Some(format!("Waiting for {holder}{work}")));
            }
            console.show_line(None);
        });
        let result = Flock::lock(file, FlockArg::LockExclusive);
        drop(done);
        result
    })
}

/// Opens the lock's file, and makes sure that other users cannot.
fn open(path: &Path) -> std::io::Result<File> {
    use fs_err::os::unix::fs::OpenOptionsExt;
    let mut options = fs_err::OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?.into_parts().0;
    if file.metadata()?.mode() & 0o777 != MODE {
        // As an earlier version made it.
        files::set_mode(path, MODE)?;
    }
    Ok(file)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// The boot and the pid namespace in which a pid means something.
fn machine() -> String {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs_err::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

/// The files of the locks that runs below a holder have taken.
fn locks_below(tree: &Path) -> impl Iterator<Item = PathBuf> {
    let below = |path: &PathBuf| {
        let mut path = path.clone();
        path.as_mut_os_string().push(BELOW);
        Some(path)
    };
    let all = std::iter::successors(below(&tree.join(NAME)), below);
    all.take_while(|path| path.symlink_metadata().is_ok())
}

/// Whether any process holds the lock of `tree` now; without a lock file there is no holder.
#[must_use]
pub(crate) fn is_held(tree: &Path) -> bool {
    holder(&tree.join(NAME)).is_some()
}

/// Whether a run below a holder works: it may outlive the holder.
#[must_use]
pub(crate) fn is_held_below(tree: &Path) -> bool {
    locks_below(tree).any(|path| holder(&path).is_some())
}

/// The same, and the process is not this one.
#[must_use]
pub(crate) fn is_held_by_another(tree: &Path) -> bool {
    holder(&tree.join(NAME)).is_some_and(|holder| !holder.is_this_process())
}

fn holder(path: &Path) -> Option<Holder> {
    let file = fs_err::File::open(path).ok()?;
    match Flock::lock(file.into_parts().0, FlockArg::LockSharedNonblock) {
        Ok(_) => None,
        Err((mut file, _)) => Some(Holder::read(&mut file)),
    }
}

/// Whether a run that holds the lock of `tree` has started this one.
#[must_use]
pub(crate) fn is_held_by_ancestor(tree: &Path) -> bool {
    holder(&tree.join(NAME)).is_some_and(|holder| holder.is_ancestor())
}

/// Who holds the lock, as the file says.
#[derive(Debug, Default)]
struct Holder {
    pid: Option<u32>,
    command: String,
    start: String,
    machine: String,
}

impl Holder {
    fn read(file: &mut File) -> Self {
        let mut text = String::new();
        let _ = file.rewind();
        let _ = file.take(1 << 16).read_to_string(&mut text);
        let mut lines = text.lines().map(str::to_owned);
        // A line without its end is still being written.
        let is_complete = text.ends_with('\n');
        Self {
            pid: lines.next().filter(|_| is_complete).and_then(|line| line.trim().parse().ok()),
            command: lines.next().unwrap_or_default(),
            start: lines.next().unwrap_or_default(),
            machine: lines.next().unwrap_or_default(),
        }
    }

    fn is(&self, process: &Ancestor) -> bool {
        self.pid == Some(process.pid) && self.start == process.start && self.machine == machine()
    }

    fn is_ancestor(&self) -> bool {
        ancestors().any(|process| self.is(&process))
    }

    fn is_this_process(&self) -> bool {
        Ancestor::read(std::process::id()).is_some_and(|process| self.is(&process))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_known_when_it_is_complete() {
        let mut file = tempfile::tempfile().unwrap();
        for (text, known) in [("", false), ("4711", false), ("\ndkms build m/1\n", true)] {
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(Holder::read(&mut file).pid.is_some(), known, "{text}");
        }
        assert_eq!(Holder::read(&mut file).to_string(), "process 4711 (dkms build m/1)");
    }

    #[test]
    fn name_of_a_killed_holder_is_a_mark_until_settled() {
        let dir = tempfile::tempdir().unwrap();
        let take = || Lock::try_take(dir.path()).unwrap();
        assert!(!take().follows_kill());
        assert!(!take().follows_kill(), "who ended well leaves no mark");
        std::fs::write(dir.path().join(NAME), "1\ndkms\n").unwrap();
        assert!(take().follows_kill());
        assert!(take().follows_kill(), "it was not settled");
        take().settled();
        assert!(!take().follows_kill());
    }

    #[test]
    fn run_below_a_killed_holder_counts_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{NAME}{BELOW}"));
        std::fs::write(&path, "1\ndkms\n").unwrap();
        let lock = Lock::try_take(dir.path()).unwrap();
        let below = Flock::lock(open(&path).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
        assert!(is_held_below(dir.path()) && !lock.outlives_nested(dir.path()) && !lock.follows_kill());
        drop(below);
        assert!(!is_held_below(dir.path()) && lock.outlives_nested(dir.path()) && lock.follows_kill());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn same_pid_elsewhere_is_another_process() {
        let me = Ancestor::read(std::os::unix::process::parent_id()).unwrap();
        let holder =
            Holder { pid: Some(me.pid), start: me.start, machine: machine(), command: String::new() };
        assert!(holder.is_ancestor());
        let restarted =
            Holder { start: "1".into(), machine: machine(), pid: holder.pid, command: String::new() };
        assert!(!restarted.is_ancestor());
        let elsewhere = Holder { machine: "boot pid:[1]".into(), ..holder };
        assert!(!elsewhere.is_ancestor());
    }

    #[test]
    fn file_of_the_lock_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "").unwrap();
        files::set_mode(&dir.path().join(NAME), 0o644).unwrap();
        open(&dir.path().join(NAME)).unwrap();
        assert_eq!(dir.path().join(NAME).metadata().unwrap().mode() & 0o777, 0o600);
    }
}
