//! What a confined program gives up: what it would inherit, and what root may. Between fork(2) and execve(2): system calls only.

use super::Ids;
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};

/// Gives up what a child has from its parent without having been given it: the terminal, into which it could type
/// (TIOCSTI of ioctl_tty(2)); open files of the caller, as a package manager's; the keys of the session (keyrings(7)).
#[allow(unsafe_code)]
pub(super) fn leave_inherited() {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    const FIRST: libc::c_uint = 3;
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: system calls on numbers and on a string that ends with a zero byte. Where one of them fails, there is no
    // terminal, no such call in this kernel, or nothing to be had.
    unsafe {
        let terminal = libc::open(c"/dev/tty".as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        if terminal >= 0 {
            libc::ioctl(terminal, libc::TIOCNOTTY);
            libc::close(terminal);
        }
        libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC);
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>());
    }
}

/// A lower limit of the caller stays.
pub(super) fn lower(resource: Resource, limit: u64) -> Result<(), Errno> {
    let (soft, hard) = nix::sys::resource::getrlimit(resource)?;
    setrlimit(resource, at_most(soft, limit), at_most(hard, limit))
}

/// Where numbers have 32 bits, a limit that does not fit is none.
fn at_most<T: Copy + Ord + TryFrom<u64>>(own: T, limit: u64) -> T {
    T::try_from(limit).map_or(own, |limit| own.min(limit))
}

/// Becomes the other user, and gives up what root has beyond it. Who stays root owns root's files and no more than that.
#[allow(unsafe_code)]
pub(super) fn drop_privileges(user: Option<Ids>) -> Result<(), Errno> {
    // capabilities(7): no program that is executed from here on can get one.
    const LAST: libc::c_ulong = 63;
    for capability in 0..=LAST {
        // SAFETY: the call takes numbers only; it fails for a capability that this kernel does not know.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: the call takes numbers only.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    if let Some(Ids { uid, gid }) = user {
        // The system calls themselves: those of libc change every thread, and there is one.
        // SAFETY: they take numbers and an empty list.
        unsafe {
            Errno::result(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()))?;
            let (uid, gid) = (uid.as_raw(), gid.as_raw());
            Errno::result(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
            Errno::result(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        }
    }
    clear_capabilities()
}

/// capset(2) with nothing in it.
#[allow(unsafe_code)]
fn clear_capabilities() -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let nothing = [0_u32; 6];
    // SAFETY: both have the layout that this version wants: a version and a process, and twice three sets.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), nothing.as_ptr()) }).map(|_| ())
}
