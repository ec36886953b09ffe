//! Our own descriptors, as callers hand them over.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// Makes this process safe to run below debconf and dpkg: nothing is read from standard input, nothing reaches the
/// caller's standard output, and no other descriptor is kept open (debconf's is 3, and a copy of it in a process that
/// lives on would hang the caller). Source: Debian Kernel Handbook, "Kernel hooks".
pub(crate) fn detach() {
    let _ = nix::unistd::dup2_stdout(io::stderr().as_fd());
    close_inputs();
}

/// The same for a program whose standard output is its answer.
pub(crate) fn close_inputs() {
    if let Ok(null) = fs_err::File::open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(null.file().as_fd());
    }
    close_inherited();
}

/// The same, for an answer that is written at the end: what is printed until then goes to standard error.
pub(crate) fn keep_answer() -> io::Result<File> {
    close_inputs();
    let answer = io::stdout().as_fd().try_clone_to_owned()?;
    let _ = nix::unistd::dup2_stdout(io::stderr().as_fd());
    Ok(answer.into())
}

#[allow(unsafe_code)]
fn close_inherited() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: called at start, before anything of ours opens a descriptor that it keeps.
    let _ = unsafe { libc::close_range(FIRST, libc::c_uint::MAX, 0) };
}
