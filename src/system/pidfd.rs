//! Waiting for the end of a process with a limit of time, without asking again and again: pidfd_open(2).

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A descriptor that becomes readable when a process ends.
pub(super) struct EndOf(OwnedFd);

impl EndOf {
    /// `None` on kernels before Linux 5.3, and where a filter of system calls does not know it.
    pub(super) fn open(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        // SAFETY: numbers only; what is returned is a new descriptor of ours.
        #[allow(unsafe_code)]
        unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
            Some(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Returns when the process has ended, when the time is over, or earlier.
    pub(super) fn wait(&self, limit: Duration) {
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout);
    }
}
