//! When something happens, and in which transaction of rpm: what ties two scriptlets of one transaction together.

use super::System;
use super::ancestors::{Ancestor, ancestors};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longer than this after each other, two scriptlets whose transactions are unknown have none in common.
const LONGEST_TRANSACTION: u64 = 3600;

/// A point in time on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RpmTransaction {
    /// The kernel's identifier of this boot; empty where it tells none.
    boot: String,
    /// Since 1970.
    seconds: u64,
    /// Who holds rpm's lock, or else which program that installs packages called us, if rpm is at work.
    transaction: Option<String>,
}

impl RpmTransaction {
    /// Whether both can be in one transaction: under one holder of rpm's lock, or, where it has no holder, in the same
    /// hour.
    #[must_use]
    pub(crate) fn shares_transaction_with(&self, later: &Self) -> bool {
        let soon =
            later.seconds.checked_sub(self.seconds).is_some_and(|passed| passed <= LONGEST_TRANSACTION);
        self.boot == later.boot
            && self.transaction == later.transaction
            && (soon || self.transaction.is_some())
    }
}

impl System {
    #[must_use]
    pub(crate) fn moment(&self) -> RpmTransaction {
        let boot = fs_err::read_to_string(self.path("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
        let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let locks = ["/usr/lib/sysimage/rpm/.rpm.lock", "/var/lib/rpm/.rpm.lock"];
        let transaction = locks.iter().find_map(|lock| holder(&self.path(lock))).or_else(installer);
        RpmTransaction { boot: boot.trim().to_owned(), seconds: passed.as_secs(), transaction }
    }
}

/// The process that holds a lock of fcntl(2) on a file, and when it started, so that a pid that came again is another.
fn holder(path: &Path) -> Option<String> {
    let file = fs_err::File::open(path).ok()?;
    // These are 16 bits wide wherever Linux runs.
    #[allow(clippy::cast_possible_truncation)]
    let (l_type, l_whence) = (libc::F_WRLCK as libc::c_short, libc::SEEK_SET as libc::c_short);
    let mut lock = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file.file(), FcntlArg::F_GETLK(&mut lock)).ok()?;
    if i32::from(lock.l_type) == libc::F_UNLCK {
        return None;
    }
    let start = u32::try_from(lock.l_pid)
        .ok()
        .and_then(Ancestor::read)
        .map(|process| process.start)
        .unwrap_or_default();
    Some(format!("{} {start}", lock.l_pid))
}

/// The nearest program above us that installs rpm packages, and when it started. Where its database is, only it knows.
fn installer() -> Option<String> {
    const INSTALLERS: [&str; 7] = ["rpm", "dnf", "dnf5", "yum", "zypper", "microdnf", "tdnf"];
    let installer = ancestors().find(|process| INSTALLERS.contains(&process.command.as_str()))?;
    Some(format!("{} {}", installer.pid, installer.start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn moment(boot: &str, seconds: u64, transaction: &str) -> RpmTransaction {
        let transaction = (!transaction.is_empty()).then(|| transaction.to_owned());
        RpmTransaction { boot: boot.into(), seconds, transaction }
    }

    #[rstest]
    #[case::soon(moment("b", 1000, ""), true)]
    #[case::an_hour_later(moment("b", 4600, ""), true)]
    #[case::too_late(moment("b", 4601, ""), false)]
    #[case::before(moment("b", 999, ""), false)]
    #[case::after_a_boot(moment("c", 1000, ""), false)]
    #[case::in_a_later_transaction(moment("b", 1000, "7 1"), false)]
    fn without_a_transaction_time_decides(#[case] later: RpmTransaction, #[case] shared: bool) {
        assert_eq!(moment("b", 1000, "").shares_transaction_with(&later), shared);
    }

    #[rstest]
    #[case::the_same(moment("b", 1000, "7 1"), true)]
    #[case::a_long_one(moment("b", 9000, "7 1"), true)]
    #[case::a_pid_that_came_again(moment("b", 1000, "7 2"), false)]
    #[case::it_is_over(moment("b", 1000, ""), false)]
    #[case::after_a_boot(moment("c", 1000, "7 1"), false)]
    fn a_transaction_decides_whatever_the_time(#[case] later: RpmTransaction, #[case] shared: bool) {
        assert_eq!(moment("b", 1000, "7 1").shares_transaction_with(&later), shared);
    }
}
