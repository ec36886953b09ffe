//! The process that waits for a confined program, and ends what it leaves behind. Between fork(2) and execve(2): system calls only.

use nix::errno::Errno;

/// Lets this process go on as a child of the first process of its namespace. The one that was started waits and ends as it
/// does; the first process waits for everything, and with it everything ends.
#[allow(unsafe_code)]
pub(super) fn become_child_of_first_process() -> Result<(), Errno> {
    let mut pipe = [-1; 2];
    // SAFETY: fork(2) in a process of one thread; what follows makes system calls only. The array holds two descriptors.
    unsafe {
        Errno::result(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC))?;
        match Errno::result(libc::fork())? {
            0 => {}
            child => wait_outside(child, pipe[0]),
        }
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        match Errno::result(libc::fork())? {
            0 => {
                libc::close(pipe[0]);
                libc::close(pipe[1]);
                Ok(())
            }
            child => wait_inside(child, pipe[1]),
        }
    }
}

/// The same without a namespace: the process that was started is who orphans below it go to (PR_SET_CHILD_SUBREAPER of
/// prctl(2)), and ends them when the program has ended.
#[allow(unsafe_code)]
pub(super) fn become_child_of_reaper() -> Result<(), Errno> {
    // SAFETY: fork(2) in a process of one thread; what follows makes system calls only.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        match Errno::result(libc::fork())? {
            0 => Ok(()),
            child => {
                prepare_to_wait();
                close_others(None);
                let ended = wait_for(child);
                end_children();
                end_like(ended)
            }
        }
    }
}

/// The process that our parent knows: it ends as the program did, which `status` tells.
#[allow(unsafe_code)]
unsafe fn wait_outside(child: libc::pid_t, status: libc::c_int) -> ! {
    let mut found: libc::c_int = libc::SIGKILL;
    // SAFETY: system calls on numbers, and on a variable of this frame.
    unsafe {
        prepare_to_wait();
        close_others(Some(status));
        while libc::read(status, (&raw mut found).cast(), size_of::<libc::c_int>()) < 0
            && Errno::last() == Errno::EINTR
        {}
        wait_for(child);
        end_like(found)
    }
}

/// The first process of the namespace.
#[allow(unsafe_code)]
unsafe fn wait_inside(program: libc::pid_t, status: libc::c_int) -> ! {
    // SAFETY: system calls on numbers, and on a variable of this frame.
    unsafe {
        close_others(Some(status));
        let found = wait_for(program);
        libc::write(status, (&raw const found).cast(), size_of::<libc::c_int>());
        libc::_exit(0);
    }
}

/// Programs get these signals themselves, and may need time to end; the process that waits stays as long as our parent does.
#[allow(unsafe_code)]
unsafe fn prepare_to_wait() {
    // SAFETY: system calls on numbers.
    unsafe {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::signal(signal, libc::SIG_IGN);
        }
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

/// Waits until this child has ended, and for every other one that ends meanwhile.
#[allow(unsafe_code)]
unsafe fn wait_for(program: libc::pid_t) -> libc::c_int {
    loop {
        let mut found = 0;
        // SAFETY: a number, and a variable of this frame.
        let ended = unsafe { libc::waitpid(-1, &raw mut found, 0) };
        if ended == program {
            return found;
        }
        if ended < 0 && Errno::last() != Errno::EINTR {
            return libc::SIGKILL;
        }
    }
}

/// Kills the children of this process, and what they leave to it, until there is none.
#[allow(unsafe_code)]
unsafe fn end_children() {
    let mut names = [0_u8; 4096];
    // SAFETY: system calls on numbers and on a buffer of this frame, of which no more is read than was written.
    unsafe {
        loop {
            // Those that can be listed at once; the next round finds the others.
            let file = libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            let length = libc::read(file, names.as_mut_ptr().cast(), names.len());
            libc::close(file);
            let listed = &names[..usize::try_from(length).unwrap_or(0)];
            let mut any = false;
            // The last one may be cut: each ends with a blank.
            for name in listed.split_inclusive(|byte| *byte == b' ').filter(|name| name.ends_with(b" ")) {
                let digits = name.iter().filter(|byte| byte.is_ascii_digit());
                let pid =
                    digits.fold(0, |pid: libc::pid_t, digit| pid * 10 + libc::pid_t::from(digit - b'0'));
                libc::kill(pid, libc::SIGKILL);
                any = true;
            }
            let ended = libc::waitpid(-1, std::ptr::null_mut(), if any { 0 } else { libc::WNOHANG });
            if ended <= 0 && (Errno::last() != Errno::EINTR || !any) {
                return;
            }
        }
    }
}

/// Ends this process as another one has ended.
#[allow(unsafe_code)]
unsafe fn end_like(found: libc::c_int) -> ! {
    // SAFETY: system calls on numbers.
    unsafe {
        if libc::WIFEXITED(found) {
            libc::_exit(libc::WEXITSTATUS(found));
        }
        let signal = libc::WTERMSIG(found);
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
        libc::_exit(128 + signal)
    }
}

/// Closes every descriptor but one, or all: the end of a stream must mean the end of the programs, not of this process.
#[allow(unsafe_code)]
unsafe fn close_others(kept: Option<libc::c_int>) {
    let kept = kept.map_or(libc::c_uint::MAX, |kept| kept as libc::c_uint);
    // SAFETY: numbers only. Before Linux 5.9 the call fails, and the descriptors go one by one.
    unsafe {
        let below = kept == 0 || libc::syscall(libc::SYS_close_range, 0, kept - 1, 0) == 0;
        let above = kept == libc::c_uint::MAX
            || libc::syscall(libc::SYS_close_range, kept + 1, libc::c_uint::MAX, 0) == 0;
        if !below || !above {
            const MANY: libc::c_uint = 1024;
            for number in (0..MANY).filter(|number| *number != kept) {
                libc::close(number as libc::c_int);
            }
        }
    }
}
