//! SIGINT, SIGTERM and SIGHUP while the lock is held: the programs that run for us are ended, what was under way is taken
//! back or finished, and the process ends with 128 and the signal's number. A second signal ends it at once.
//!
//! The signals are caught, not blocked: a handler does not outlive execve(2), a mask does, and programs that we start
//! must be able to end.

use crate::system::dir;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

static RECEIVED: AtomicI32 = AtomicI32::new(0);
/// The pipe's end that wakes the thread up which ends our programs.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// How long programs have to end by themselves.
const GRACE: Duration = Duration::from_secs(3);
const WATCHED: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signal that wants us to end, if one came.
#[must_use]
pub(crate) fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// No signal is blocked from here on, whatever the caller had blocked: what we start inherits the mask.
pub(crate) fn unblock() {
    let _ = SigSet::empty().thread_set_mask();
}

/// From now on these signals are noted. What the caller ignores, as nohup(1) does, stays ignored.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok((reader, writer)) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC) else { return };
        let mut reader = std::fs::File::from(reader);
        WAKE.store(writer.as_raw_fd(), Ordering::SeqCst);
        // The handler writes to it until the process ends.
        let _ = writer.into_raw_fd();
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
        for signal in WATCHED.into_iter().filter(|signal| !is_ignored(*signal)) {
            set_action(signal, &action);
        }
        std::thread::spawn(move || {
            while reader.read_exact(&mut [0]).is_ok() {
                end_programs();
            }
        });
    });
}

/// The handler: only what signal-safety(7) allows.
#[allow(unsafe_code)]
extern "C" fn note(signal: libc::c_int) {
    if RECEIVED.swap(signal, Ordering::SeqCst) != 0 {
        // SAFETY: both are async-signal-safe. The second signal ends us as it would end a program that catches nothing.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    // SAFETY: write(2) is async-signal-safe; the descriptor is a pipe of ours that is never closed.
    unsafe {
        libc::write(WAKE.load(Ordering::SeqCst), [0_u8].as_ptr().cast(), 1);
    }
}

#[allow(unsafe_code)]
fn set_action(signal: Signal, action: &SigAction) {
    // SAFETY: `note` is async-signal-safe.
    let _ = unsafe { sigaction(signal, action) };
}

#[allow(unsafe_code)]
fn is_ignored(signal: Signal) -> bool {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler of ours is set, before or after: the disposition is only looked at.
    unsafe {
        let Ok(before) = sigaction(signal, &default) else { return true };
        let ignored = matches!(before.handler(), SigHandler::SigIgn);
        if ignored {
            let _ = sigaction(signal, &before);
        }
        ignored
    }
}

fn end_programs() {
    let running = descendants();
    end(&running, Signal::SIGTERM);
    std::thread::spawn(move || {
        std::thread::sleep(GRACE);
        end(&running, Signal::SIGKILL);
    });
}

/// A process, and when it was started: its number may be another's later.
type Process = (i32, String);

fn end(processes: &[Process], signal: Signal) {
    let now = started();
    for (pid, start) in processes {
        if now.get(pid).is_some_and(|(_, found)| found == start) {
            let _ = kill(Pid::from_raw(*pid), signal);
        }
    }
}

/// Every process that we started, and theirs (proc(5), /proc/pid/stat).
fn descendants() -> Vec<Process> {
    let all = started();
    let mut family: HashSet<i32> = HashSet::from([i32::try_from(std::process::id()).unwrap_or_default()]);
    let mut found = Vec::new();
    loop {
        let next: Vec<i32> = all
            .iter()
            .filter(|(pid, (parent, _))| family.contains(parent) && !family.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if next.is_empty() {
            return found;
        }
        for pid in next {
            family.insert(pid);
            found.push((pid, all[&pid].1.clone()));
        }
    }
}

/// Parent and start time of every process.
fn started() -> HashMap<i32, (i32, String)> {
    let entries = dir::entries("/proc").into_iter();
    let read = |entry: fs_err::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs_err::read_to_string(entry.path().join("stat")).ok()?;
        // The command in field 2 may hold blanks and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some((pid, (fields.get(1)?.parse().ok()?, (*fields.get(19)?).to_owned())))
    };
    entries.filter_map(read).collect()
}
