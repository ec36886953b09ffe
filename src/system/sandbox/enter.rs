//! Puts a child behind the walls of its sandbox, between fork(2) and execve(2): system calls only, on what was allocated
//! before.

use super::landlock::Rules;
use super::privileges::{drop_privileges, leave_inherited, lower};
use super::processes::{become_child_of_first_process, become_child_of_reaper};
use super::view::{Step, steps};
use super::{Ids, Sandbox, Wall};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::Resource;
use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// The largest file that a build may write, its log among them: several times the largest module with its debug
/// information.
const LARGEST_FILE: u64 = 4 << 30;
/// Processes of the build user for each core of the machine, and at least.
const PROCESSES_PER_CORE: usize = 128;
const FEWEST_PROCESSES: usize = 2048;

/// A [`Step`] with the strings that the system calls want.
#[derive(Debug)]
enum Call {
    Take(usize, CString),
    ReadOnly,
    Cover(CString, CString),
    Dir(CString),
    File(CString, libc::mode_t),
    Link(CString, CString),
    Attach(usize, CString),
    Bind(CString, CString),
    Proc,
}

/// Everything that the child does.
#[derive(Debug)]
struct Plan {
    namespaces: CloneFlags,
    calls: Vec<Call>,
    /// What was taken, by its number.
    taken: Vec<libc::c_int>,
    user: Option<Ids>,
    is_root: bool,
    dir: Option<CString>,
    rules: Option<Rules>,
    processes: u64,
}

/// Lets `command` start behind the walls of `sandbox`, in the directory `dir` as it is seen there.
///
/// # Errors
/// A path holds a zero byte.
#[allow(unsafe_code)]
pub(crate) fn enter(
    command: &mut std::process::Command,
    sandbox: &Sandbox,
    dir: Option<&Path>,
) -> io::Result<()> {
    let mut plan = Plan::new(sandbox, dir)?;
    // SAFETY: between fork and exec the closure makes only system calls, on what was allocated before.
    unsafe {
        command.pre_exec(move || Ok(plan.carry_out()?));
    }
    Ok(())
}

impl Plan {
    fn new(sandbox: &Sandbox, dir: Option<&Path>) -> io::Result<Self> {
        let walls = &sandbox.walls;
        let mut namespaces = CloneFlags::empty();
        for (wall, flags) in [
            (Wall::Files, CloneFlags::CLONE_NEWNS),
            (Wall::Network, CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC),
            (Wall::Processes, CloneFlags::CLONE_NEWPID),
        ] {
            if walls.has(wall) {
                namespaces |= flags;
            }
        }
        let moved = || sandbox.writable.iter().filter(|bind| bind.from != bind.onto);
        let steps = match walls.has(Wall::Files) {
            true => steps(sandbox, walls.has(Wall::Processes), Path::is_dir),
            // Kernels before 5.12 cannot close all mounts at once; what a build sees under another name it sees there too.
            false => moved().map(|bind| Step::Bind(bind.from.clone(), bind.onto.clone())).collect(),
        };
        if !steps.is_empty() {
            namespaces |= CloneFlags::CLONE_NEWNS;
        }
        let takes = steps.iter().filter(|step| matches!(step, Step::Take(..))).count();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            namespaces,
            calls: steps.into_iter().map(Call::new).collect::<io::Result<_>>()?,
            taken: vec![-1; takes],
            user: walls.user(),
            is_root: nix::unistd::geteuid().is_root(),
            dir: dir.map(text).transpose()?,
            rules: walls.has(Wall::Landlock).then(|| Rules::new(sandbox)).transpose()?,
            processes: (cores * PROCESSES_PER_CORE).max(FEWEST_PROCESSES) as u64,
        })
    }

    fn carry_out(&mut self) -> Result<(), Errno> {
        leave_inherited();
        unshare(self.namespaces)?;
        match self.namespaces.contains(CloneFlags::CLONE_NEWPID) {
            true => become_child_of_first_process()?,
            false => become_child_of_reaper()?,
        }
        if self.namespaces.contains(CloneFlags::CLONE_NEWNS) {
            let none: Option<&'static str> = None;
            mount(none, c"/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            for call in &self.calls {
                call.carry_out(&mut self.taken)?;
            }
        }
        match &self.dir {
            Some(dir) => nix::unistd::chdir(dir.as_c_str())?,
            // The caller's own may be one that is hidden: by its name it is what the view has there.
            None if !self.calls.is_empty() => enter_again()?,
            None => {}
        }
        for (resource, limit) in [
            (Resource::RLIMIT_CORE, 0),
            (Resource::RLIMIT_FSIZE, LARGEST_FILE),
            (Resource::RLIMIT_NPROC, self.processes),
        ] {
            lower(resource, limit)?;
        }
        if self.is_root {
            drop_privileges(self.user)?;
        }
        nix::sys::prctl::set_no_new_privs()?;
        self.rules.as_ref().map_or(Ok(()), Rules::enforce)
    }
}

impl Call {
    fn new(step: Step) -> io::Result<Self> {
        Ok(match step {
            Step::Take(number, path) => Self::Take(number, text(&path)?),
            Step::ReadOnly => Self::ReadOnly,
            Step::Cover(path, mode) => {
                Self::Cover(text(&path)?, CString::new(format!("mode={mode:o},size=16m,nr_inodes=4k"))?)
            }
            Step::Dir(path) => Self::Dir(text(&path)?),
            Step::File(path, mode) => Self::File(text(&path)?, mode),
            Step::Link(target, path) => Self::Link(CString::new(target)?, text(&path)?),
            Step::Attach(number, path) => Self::Attach(number, text(&path)?),
            Step::Bind(from, onto) => Self::Bind(text(&from)?, text(&onto)?),
            Step::Proc => Self::Proc,
        })
    }

    fn carry_out(&self, taken: &mut [libc::c_int]) -> Result<(), Errno> {
        let none: Option<&CStr> = None;
        match self {
            Self::Take(number, path) => {
                taken[*number] = match take(path) {
                    Err(Errno::ENOENT) => -1,
                    other => other?,
                };
                Ok(())
            }
            Self::ReadOnly => close_all_mounts(),
            Self::Cover(path, options) => {
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
                match mount(Some(c"tmpfs"), path.as_c_str(), Some(c"tmpfs"), flags, Some(options.as_c_str()))
                {
                    // What is not there needs no cover.
                    Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
                    other => other,
                }
            }
            Self::Dir(path) => there_or(nix::unistd::mkdir(path.as_c_str(), mode(0o755))),
            Self::File(path, bits) => make_file(path, *bits),
            Self::Link(target, path) => there_or(symlink(target, path)),
            Self::Attach(number, path) => match taken[*number] {
                -1 => Ok(()),
                number => match attach(number, path) {
                    Err(Errno::ENOENT) => Ok(()),
                    other => other,
                },
            },
            Self::Bind(from, onto) => {
                mount(Some(from.as_c_str()), onto.as_c_str(), none, MsFlags::MS_BIND, none)
            }
            // In a container parts of /proc can be covered, and then the kernel allows no other one.
            Self::Proc => {
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
                let _ = mount(Some(c"proc"), c"/proc", Some(c"proc"), flags, none);
                Ok(())
            }
        }
    }
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn mode(bits: libc::mode_t) -> nix::sys::stat::Mode {
    nix::sys::stat::Mode::from_bits_truncate(bits)
}

fn there_or(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

/// Whatever the umask is.
fn make_file(path: &CStr, bits: libc::mode_t) -> Result<(), Errno> {
    use nix::fcntl::{OFlag, open};
    let file = open(path, OFlag::O_CREAT | OFlag::O_RDONLY | OFlag::O_CLOEXEC, mode(0o600))?;
    nix::sys::stat::fchmod(&file, mode(bits))
}

fn symlink(target: &CStr, path: &CStr) -> Result<(), Errno> {
    nix::unistd::symlinkat(target, nix::fcntl::AT_FDCWD, path)
}

/// The result of a system call that libc has no function for.
fn checked(result: libc::c_long) -> Result<libc::c_int, Errno> {
    Errno::result(result).map(|value| libc::c_int::try_from(value).unwrap_or(-1))
}

/// open_tree(2): a copy of the mounts at a path, attached nowhere.
#[allow(unsafe_code)]
fn take(path: &CStr) -> Result<libc::c_int, Errno> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint | libc::AT_RECURSIVE as libc::c_uint;
    // SAFETY: the string ends with a zero byte and lives during the call.
    checked(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// move_mount(2): attaches what [`take`] took.
#[allow(unsafe_code)]
fn attach(taken: libc::c_int, path: &CStr) -> Result<(), Errno> {
    const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x04;
    // /var/tmp may be a link to /tmp.
    const MOVE_MOUNT_T_SYMLINKS: libc::c_uint = 0x10;
    // SAFETY: the strings end with a zero byte and live during the call.
    checked(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            taken,
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS,
        )
    })
    .map(|_| ())
}

/// mount_setattr(2): read-only, and without effect of set-user-ID bits.
#[allow(unsafe_code)]
fn close_all_mounts() -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the structure lives during the call, and its size is given.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(|_| ())
}

/// Enters the working directory by its name; where the view has no such name, its top.
#[allow(unsafe_code)]
fn enter_again() -> Result<(), Errno> {
    let mut name = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: the kernel writes at most this many bytes, with a zero byte at the end.
    let known = unsafe { libc::syscall(libc::SYS_getcwd, name.as_mut_ptr(), name.len()) } > 0;
    let name = CStr::from_bytes_until_nul(&name).unwrap_or(c"/");
    match known.then(|| nix::unistd::chdir(name)) {
        Some(Ok(())) => Ok(()),
        _ => nix::unistd::chdir(c"/"),
    }
}
