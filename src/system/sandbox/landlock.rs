//! Landlock (landlock(7)): which files a program may read and write, enforced without any mount.

use super::{Sandbox, Scratch, Wall};
use crate::system::dir;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the newest kernels can restrict that we ask for; older ones restrict what they can.
const NEWEST: ABI = ABI::V6;

/// Whether the kernel has it in a form that lets builds move files between directories: before version 2 (Linux 5.19) every
/// such rename(2) fails.
pub(super) fn is_usable() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset.handle_access(AccessFs::Refer).is_ok_and(|ruleset| ruleset.create().is_ok())
}

/// The rules for one program: paths, and what may be done below them. Made before fork(2).
#[derive(Debug)]
pub(super) struct Rules {
    paths: Vec<(CString, BitFlags<AccessFs>)>,
    closes_network: bool,
}

impl Rules {
    /// # Errors
    /// A path holds a zero byte.
    pub(super) fn new(sandbox: &Sandbox) -> io::Result<Self> {
        let read = AccessFs::from_read(NEWEST);
        let all = AccessFs::from_all(NEWEST);
        let mut paths: Vec<(PathBuf, BitFlags<AccessFs>)> = Vec::new();
        if sandbox.walls.has(Wall::Files) {
            paths.push(("/".into(), read));
            paths.extend(sandbox.temporary.iter().map(|dir| (dir.clone(), all)));
            paths.push((super::view::SHARED_MEMORY.into(), all));
        } else {
            paths.push(("/".into(), AccessFs::ReadDir.into()));
            paths.extend(readable(sandbox).into_iter().map(|path| (path, read)));
            match &sandbox.scratch {
                Scratch::Dir(dir) => paths.push((dir.clone(), all)),
                // Nothing private is there to write to.
                Scratch::Memory => paths.extend(sandbox.temporary.iter().map(|dir| (dir.clone(), all))),
            }
        }
        let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        paths.extend(super::view::DEVICES.map(|name| (Path::new("/dev").join(name), device)));
        paths.extend(sandbox.log.iter().map(|log| (log.clone(), all)));
        for bind in &sandbox.writable {
            paths.push((bind.onto.clone(), all));
            paths.push((bind.from.clone(), all));
        }
        let paths = paths
            .into_iter()
            .map(|(path, access)| Ok((CString::new(path.as_os_str().as_bytes())?, access)))
            .collect::<io::Result<_>>()?;
        Ok(Self { paths, closes_network: !sandbox.walls.has(Wall::Network) })
    }

    /// Restricts the calling thread. Between fork and exec: on this way nothing is allocated.
    pub(super) fn enforce(&self) -> Result<(), Errno> {
        self.try_to_enforce().map(|_| ()).map_err(|_| Errno::ENOSYS)
    }

    fn try_to_enforce(&self) -> Result<RestrictionStatus, RulesetError> {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?;
        let ruleset = ruleset.scope(Scope::AbstractUnixSocket)?.scope(Scope::Signal)?;
        let ruleset = match self.closes_network {
            true => ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?,
            false => ruleset,
        };
        let mut ruleset = ruleset.create()?;
        for (path, access) in &self.paths {
            // One that is not there needs no rule.
            let opened = open(path.as_c_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
            let Ok(file) = opened else { continue };
            let access = if is_dir(&file) { *access } else { *access & AccessFs::from_file(NEWEST) };
            ruleset = ruleset.add_rule(PathBeneath::new(file, access))?;
        }
        ruleset.restrict_self()
    }
}

fn is_dir(file: &OwnedFd) -> bool {
    nix::sys::stat::fstat(file).is_ok_and(|data| data.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// What may be read: everything but the hidden paths, and what is visible below those.
fn readable(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let tops = std::iter::once(Path::new("/")).chain(sandbox.visible.iter().map(PathBuf::as_path));
    // Who stays root owns the disks.
    let mut hidden = sandbox.hidden.clone();
    hidden.push("/dev".into());
    tops.for_each(|top| add_around(top, &hidden, &mut found));
    found
}

/// A path, or what stands in it around the hidden ones.
fn add_around(path: &Path, hidden: &[PathBuf], found: &mut Vec<PathBuf>) {
    match () {
        () if hidden.iter().all(|hidden| !hidden.starts_with(path)) => found.push(path.to_owned()),
        () if hidden.iter().any(|hidden| hidden == path) => {}
        () => dir::entries(path).iter().for_each(|entry| add_around(&entry.path(), hidden, found)),
    }
}
