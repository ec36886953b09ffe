//! Finds what is inconsistent in the tree.

use crate::inspect::installed::{conf_locations, places_of, record_of, suspects};
use crate::kernel::Kernel;
use crate::model::module_name::{is_module_file, module_name};
use crate::model::{BuildId, BuildState, KernelRelease, PackageId, PackageName, SourceState, Target};
use crate::session::Session;
use crate::system::dir;
use crate::system::files::{self, same_content};
use crate::system::lock;
use crate::tree::{Built, MovedOriginal, Snapshot, UNDO_DIR, stored_originals};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// One inconsistency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Inconsistency {
    /// A run was killed, and no other has come since.
    Unfinished(PathBuf),
    /// Left by a process that is dead.
    Temporary(PathBuf),
    /// A record of ours that cannot be read.
    Record(PathBuf),
    /// The source is gone.
    Source { id: PackageId, link: PathBuf, builds: usize },
    /// The active link of a package leads to no build.
    Link(PathBuf),
    /// A package is installed for a kernel that is gone.
    KernelGone { id: PackageId, target: Target },
    /// Packages wait for the headers of a kernel that is gone.
    Pending { target: Target },
    /// A module is in the kernel, and its package does not count as installed.
    NoLink { id: PackageId, target: Target, file: PathBuf },
    /// A module of the kernel is kept, and nothing replaces it any more.
    Original { name: PackageName, target: Target, stored: PathBuf },
    /// A module of the kernel that was moved aside is gone, or is another file now.
    OriginalLost { id: BuildId, moved: MovedOriginal },
    /// A module in our directory that no package has.
    Unclaimed { target: String, file: PathBuf },
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished(path) => {
                write!(f, "a run was interrupted and its work not put in order: {}", path.display())
            }
            Self::Temporary(path) => write!(f, "left by a process that is dead: {}", path.display()),
            Self::Record(path) => write!(f, "this record cannot be read: {}", path.display()),
            Self::Source { id, link, builds: 0 } => {
                write!(f, "{id} has no source any more, and no build: {}", link.display())
            }
            Self::Source { id, link, builds } => {
                write!(f, "{id} has no source any more, and {builds} builds: {}", link.display())
            }
            Self::Link(path) => write!(f, "this link leads to no build: {}", path.display()),
            Self::KernelGone { id, target } => {
                write!(f, "{id} is installed for kernel {target}, which is gone")
            }
            Self::Pending { target } => {
                write!(f, "packages wait for the headers of kernel {target}, which is gone")
            }
            Self::NoLink { id, target, file } => {
                write!(
                    f,
                    "{id} is present in kernel {target} but not recorded as installed: {}",
                    file.display()
                )
            }
            Self::Original { target, stored, .. } => {
                write!(f, "nothing replaces this module of kernel {target} any more: {}", stored.display())
            }
            Self::OriginalLost { id, moved } => {
                let stored = moved.stored.display();
                let what = if moved.stored.is_file() { "is not as it was" } else { "is gone" };
                write!(f, "the module of kernel {} that {} replaced {what}: {stored}", id.target, id.package)
            }
            Self::Unclaimed { file, .. } => write!(f, "no package has this module: {}", file.display()),
        }
    }
}

/// The directory below a kernel's that is ours alone.
pub(crate) const OURS: &str = "updates/dkms";

/// Everything that is inconsistent. While another process works on the tree, what it has under way is left out.
#[must_use]
pub(crate) fn inconsistencies(session: &Session<'_>, we_hold_the_lock: bool) -> Vec<Inconsistency> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let mut found = BTreeSet::new();
    if we_hold_the_lock || !lock::is_held(session.tree().root()) {
        unfinished(session, &mut found, we_hold_the_lock);
    }
    temporaries(session, &snapshot, &mut found);
    for package in &snapshot.packages {
        if package.source == SourceState::Broken {
            let link = session.tree().source(&package.id);
            found.insert(Inconsistency::Source {
                id: package.id.clone(),
                link,
                builds: package.builds.len(),
            });
        }
        for build in &package.builds {
            let kernel = session.kernel(&build.target.release);
            let is_gone = !kernel.exists() || kernel.is_hollow();
            if is_gone && build.state == BuildState::Installed {
                let (id, target) = (package.id.clone(), build.target.clone());
                found.insert(Inconsistency::KernelGone { id, target });
            }
        }
    }
    let pending = session.tree().pending().into_iter().filter_map(|pending| pending.target());
    let pending = pending.filter(|target| !session.kernel(&target.release).exists());
    found.extend(pending.map(|target| Inconsistency::Pending { target }));
    found.extend(session.tree().broken_links().into_iter().map(Inconsistency::Link));
    found.extend(session.tree().unreadable_records().into_iter().map(Inconsistency::Record));
    modules_without_package(session, &snapshot, &mut found);
    originals_without_package(session, &snapshot, &mut found);
    originals_lost(session, &snapshot, &mut found);
    found.into_iter().collect()
}

fn unfinished(session: &Session<'_>, found: &mut BTreeSet<Inconsistency>, we_hold_the_lock: bool) {
    let path = session.tree().root().join(".dkms-intents.json");
    if !we_hold_the_lock && path.is_file() {
        found.insert(Inconsistency::Unfinished(path));
    }
}

fn temporaries(session: &Session<'_>, snapshot: &Snapshot, found: &mut BTreeSet<Inconsistency>) {
    let root = session.tree().root();
    if lock::is_held_by_another(root) || lock::is_held_below(root) {
        return;
    }
    let mut add = |paths: Vec<PathBuf>| found.extend(paths.into_iter().map(Inconsistency::Temporary));
    add(session.tree().leftovers());
    for package in &snapshot.packages {
        add(session.tree().staged(&package.id));
        for build in &package.builds {
            let undo = session.tree().out_dir(&package.build_id(&build.target)).join(UNDO_DIR);
            add(undo.is_dir().then_some(undo).into_iter().collect());
        }
    }
    for (_, dir) in our_dirs(session) {
        add(files::leftovers(&dir));
    }
}

/// Each kernel's directory that is ours alone.
fn our_dirs(session: &Session<'_>) -> Vec<(String, PathBuf)> {
    let entries = dir::entries(&session.settings.install_tree).into_iter();
    let dir = |entry: fs_err::DirEntry| {
        let dir = entry.path().join(OURS);
        Some((entry.file_name().to_str()?.to_owned(), dir)).filter(|(_, dir)| dir.is_dir())
    };
    entries.filter_map(dir).collect()
}

fn modules_without_package(session: &Session<'_>, snapshot: &Snapshot, found: &mut BTreeSet<Inconsistency>) {
    let mut claimed: BTreeSet<PathBuf> = BTreeSet::new();
    let mut idle: Vec<Built> = Vec::new();
    for package in &snapshot.packages {
        for build in &package.builds {
            let Some(built) = session.tree().built(&package.build_id(&build.target)) else { continue };
            match session.tree().installed(built.id()) {
                Some(installed) => {
                    let kernel = session.kernel(&build.target.release);
                    claimed.extend(
                        suspects(session, &installed, &kernel).iter().map(|suspect| real(&suspect.path)),
                    );
                }
                None if !snapshot.is_installed(&package.id.name, &build.target) => idle.push(built),
                None => {}
            }
        }
    }
    for built in idle {
        let id = built.id();
        let kernel = session.kernel(&id.target.release);
        let Some(file) = file_of_idle(session, &built, &kernel).filter(|file| !claimed.contains(&real(file)))
        else {
            continue;
        };
        claimed.insert(real(&file));
        found.insert(Inconsistency::NoLink { id: id.package.clone(), target: id.target.clone(), file });
        let others = built.module_files();
        let dir = kernel.dir.join(OURS);
        claimed.extend(others.iter().filter_map(|other| Some(real(&dir.join(other.file_name()?)))));
    }
    for (target, dir) in our_dirs(session) {
        if let Ok(release) = KernelRelease::new(&target) {
            claimed.extend(session.kernel(&release).extension_modules().iter().map(|file| real(file)));
        }
        let entries = dir::entries(&dir).into_iter();
        for file in entries.map(|entry| entry.path()) {
            let is_module = file.file_name().is_some_and(|name| is_module_file(&name.to_string_lossy()));
            if is_module && !claimed.contains(&real(&file)) {
                found.insert(Inconsistency::Unclaimed { target: target.clone(), file });
            }
        }
    }
}

/// The file in the kernel that is a module of a build which is not installed; what an extension brings is none.
pub(crate) fn file_of_idle(session: &Session<'_>, built: &Built, kernel: &Kernel) -> Option<PathBuf> {
    let locations = conf_locations(session, built.id());
    let is_brought = |path: &Path| kernel.extension_modules().contains(path);
    built.module_files().iter().find_map(|file| {
        let name = file.file_name()?;
        let dirs = places_of(session, &module_name(file), &locations, kernel);
        let mut places = dirs.into_iter().map(|dir| dir.join(name));
        places.find(|path| same_content(path, file) && !is_brought(path))
    })
}

fn originals_without_package(
    session: &Session<'_>,
    snapshot: &Snapshot,
    found: &mut BTreeSet<Inconsistency>,
) {
    for (name, target, dir) in session.tree().original_dirs() {
        if !snapshot.is_installed(&name, &target) {
            for original in stored_originals(&dir) {
                let stored = original.origin_file();
                found.insert(Inconsistency::Original { name: name.clone(), target: target.clone(), stored });
            }
        }
    }
}

fn originals_lost(session: &Session<'_>, snapshot: &Snapshot, found: &mut BTreeSet<Inconsistency>) {
    for package in &snapshot.packages {
        let installed = package.builds.iter().filter(|build| build.state == BuildState::Installed);
        for id in installed.map(|build| package.build_id(&build.target)) {
            let record = session.tree().installed(&id).and_then(|installed| record_of(session, &installed));
            let originals = record.map(|record| record.originals).unwrap_or_default();
            let lost = originals.into_iter().filter(|moved| !moved.is_kept());
            found.extend(lost.map(|moved| Inconsistency::OriginalLost { id: id.clone(), moved }));
        }
    }
}

fn real(path: &Path) -> PathBuf {
    let parent = path.parent().and_then(|parent| fs_err::canonicalize(parent).ok());
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}
