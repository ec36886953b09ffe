//! SIGINT, SIGTERM and SIGHUP while the lock is held: the programs that run for us are ended, what was under way is taken
//! back or finished, and the process ends with 128 and the signal's number. A second signal ends it at once.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::unistd::Pid;
use std::collections::{HashMap, HashSet};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

static RECEIVED: AtomicI32 = AtomicI32::new(0);
/// How long programs have to end by themselves.
const GRACE: Duration = Duration::from_secs(3);

/// The signal that wants us to end, if one came.
#[must_use]
pub fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// From now on these signals are waited for by a thread of their own. What the caller ignores, as nohup(1) does, stays
/// ignored.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            if !is_ignored(signal) {
                set.add(signal);
            }
        }
        // Programs that are started get an empty mask: std sees to that.
        if set.thread_block().is_ok() {
            std::thread::spawn(move || wait(&set));
        }
    });
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

fn wait(set: &SigSet) {
    while let Ok(signal) = set.wait() {
        if RECEIVED.swap(signal as i32, Ordering::SeqCst) != 0 {
            let _ = set.thread_unblock();
            let _ = raise(signal);
        }
        let running = descendants();
        end(&running, Signal::SIGTERM);
        std::thread::spawn(move || {
            std::thread::sleep(GRACE);
            end(&running, Signal::SIGKILL);
        });
    }
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
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    let read = |entry: fs_err::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs_err::read_to_string(entry.path().join("stat")).ok()?;
        // The command in field 2 may hold blanks and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some((pid, (fields.get(1)?.parse().ok()?, (*fields.get(19)?).to_owned())))
    };
    entries.filter_map(read).collect()
}
