//! What is to be kept apart, by the names that people know it by. Links, missing files and closed directories are looked at
//! when it becomes a [`Sandbox`].

use super::view::TEMPORARY;
use super::{Bind, Sandbox, Scratch, Walls};
use crate::system::System;
use crate::system::dir;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// What no build has to read: what people and services keep to themselves, and the sockets of services, at which root is
/// believed whatever it asks for.
const PRIVATE: [&str; 7] =
    ["/root", "/home", "/run", "/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/ssl/private"];
/// The signing keys in their usual places.
const KEYS: [&str; 2] = ["/var/lib/dkms/mok.key", "/var/lib/shim-signed/mok/MOK.priv"];
/// Where a distribution has its programs, below what is private.
const PROGRAMS: [&str; 1] = ["/run/current-system"];

/// What is to be kept apart.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    hidden: Vec<PathBuf>,
    visible: Vec<PathBuf>,
    writable: Vec<Bind>,
    /// Where the administrator may keep files for root.
    etc_dkms: PathBuf,
    scratch: Scratch,
    log: Option<PathBuf>,
}

impl Outline {
    /// What holds for every program: private files are hidden, and the machine's programs can be run.
    #[must_use]
    pub(crate) fn of(system: &System) -> Self {
        let mut hidden: Vec<PathBuf> = PRIVATE.iter().map(PathBuf::from).collect();
        let mut visible: Vec<PathBuf> = PROGRAMS.iter().map(PathBuf::from).collect();
        if system.is_rooted() {
            hidden.extend(PRIVATE.iter().map(|path| system.path(path)));
            visible.push(system.path("/"));
        }
        hidden.extend(KEYS.iter().map(|path| system.path(path)));
        let path = system.variable("PATH").unwrap_or_default();
        visible.extend(path.split(':').map(Path::new).filter(|dir| dir.is_absolute()).map(programs));
        let etc_dkms = system.path("/etc/dkms");
        visible.push(etc_dkms.clone());
        Self { hidden, visible, writable: Vec::new(), etc_dkms, scratch: Scratch::Memory, log: None }
    }

    #[must_use]
    pub(crate) fn hide(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.hidden.extend(paths);
        self
    }

    #[must_use]
    pub(crate) fn show(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.visible.extend(paths);
        self
    }

    #[must_use]
    pub(crate) fn write(mut self, binds: impl IntoIterator<Item = Bind>) -> Self {
        self.writable.extend(binds);
        self
    }

    /// What is there of these may be written under its own name.
    #[must_use]
    pub(crate) fn write_in_place(self, paths: &[PathBuf]) -> Self {
        let there = paths.iter().filter(|path| path.exists()).cloned();
        self.write(there.map(Bind::in_place))
    }

    /// Whether programs can write anything in one of these directories, which are given by their real names.
    #[must_use]
    pub(crate) fn can_write_in(&self, dirs: &[PathBuf]) -> bool {
        let writable: Vec<PathBuf> = self.writable.iter().map(|bind| bind.onto.clone()).collect();
        let share = |path: &PathBuf| dirs.iter().any(|dir| path.starts_with(dir) || dir.starts_with(path));
        canonical(&writable).iter().any(share)
    }

    #[must_use]
    pub(crate) fn scratch(mut self, dir: PathBuf) -> Self {
        self.scratch = Scratch::Dir(dir);
        self
    }

    /// Where programs write their output, by a name that they see.
    #[must_use]
    pub(crate) fn log(mut self, file: PathBuf) -> Self {
        self.log = Some(file);
        self
    }

    /// The sandbox, behind these walls.
    #[must_use]
    pub(crate) fn sandbox(&self, walls: Walls) -> Sandbox {
        let mut hidden = canonical(&self.hidden);
        let kept = dir::entries(&self.etc_dkms).into_iter().map(|entry| entry.path());
        hidden.extend(kept.filter(|path| path.is_file() && !is_readable_by_others(path)));
        let mut visible = canonical(&self.visible);
        // Packages ask dkms for other packages while they are built.
        let dkms = std::env::current_exe().ok();
        visible.extend(dkms.as_deref().and_then(Path::parent).map(Path::to_owned));
        // Where a name leads through links, programs use the name.
        let is_plain = |path: &&PathBuf| path.components().all(|part| part != Component::ParentDir);
        visible.extend(self.visible.iter().filter(|path| path.exists()).filter(is_plain).cloned());
        if walls.user().is_some() {
            open_closed(&mut visible, &mut hidden);
            let shown = visible.iter().chain(self.writable.iter().map(|bind| &bind.onto));
            hidden.extend(shown.filter_map(|path| closed_above(path)).collect::<Vec<_>>());
        }
        hidden.sort();
        hidden.dedup();
        let mut temporary = canonical(&TEMPORARY.map(PathBuf::from));
        temporary.dedup();
        let is_covered = |path: &Path| hidden.iter().chain(&temporary).any(|cover| path.starts_with(cover));
        visible.retain(|path| is_covered(path) && self.writable.iter().all(|bind| bind.onto != *path));
        visible.sort();
        visible.dedup();
        Sandbox {
            walls,
            writable: self.writable.clone(),
            hidden,
            visible,
            temporary,
            scratch: self.scratch.clone(),
            log: self.log.clone(),
        }
    }
}

/// With a directory of programs, those of a toolchain's other directories: `/home/me/llvm/bin` alone does not compile. A
/// directory right in a home is shown without the home.
fn programs(dir: &Path) -> PathBuf {
    const HOME_DEPTH: usize = 3;
    match dir.parent() {
        Some(parent) if dir.ends_with("bin") && parent.components().count() > HOME_DEPTH => parent.to_owned(),
        _ => dir.to_owned(),
    }
}

fn canonical(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().filter_map(|path| fs_err::canonicalize(path).ok()).collect()
}

/// What lies in a visible directory that other users cannot enter is shown in a directory that they can.
fn open_closed(visible: &mut Vec<PathBuf>, hidden: &mut Vec<PathBuf>) {
    let (closed, open): (Vec<PathBuf>, Vec<PathBuf>) = visible.drain(..).partition(|path| is_closed(path));
    *visible = open;
    for directory in closed {
        visible.extend(dir::entries(&directory).into_iter().map(|entry| entry.path()));
        hidden.extend(fs_err::canonicalize(directory));
    }
}

fn is_closed(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|data| data.is_dir() && data.permissions().mode() & 0o001 == 0)
}

/// The first directory above a path that other users cannot pass.
fn closed_above(path: &Path) -> Option<PathBuf> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|dir| dir.parent().is_some()).collect();
    above.reverse();
    above.into_iter().find(|dir| is_closed(dir)).and_then(|dir| fs_err::canonicalize(dir).ok())
}

/// Whether another user can read a file, once the way to it is open.
#[must_use]
pub(crate) fn is_readable_by_others(file: &Path) -> bool {
    fs_err::metadata(file).is_ok_and(|data| data.permissions().mode() & 0o004 != 0)
}
