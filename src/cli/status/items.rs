//! What `status` knows of a package: its items in the order in which they are printed.

use super::filter::Patterns;
use crate::conf::Settings;
use crate::inspect::inputs::staleness;
use crate::kernel::WeakLinks;
use crate::model::{BuildId, BuildState, KernelRelease, PackageId, SourceState, Target};
use crate::session::Session;
use crate::system::System;
use crate::system::dir;
use crate::system::files::same_content;
use crate::tree::{Build, BuildRecord, Built, FailureRecord, InstallRecord, Package, Tree};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// What is said in one line.
#[derive(Debug)]
pub(crate) enum Item {
    Broken {
        id: PackageId,
        source: PathBuf,
    },
    Added {
        id: PackageId,
    },
    Build(Row),
    /// Another kernel uses the modules that are installed for `from`.
    Weak {
        id: PackageId,
        target: Target,
        from: KernelRelease,
    },
}

impl Item {
    pub(crate) fn package(&self) -> &PackageId {
        match self {
            Self::Broken { id, .. } | Self::Added { id } | Self::Weak { id, .. } => id,
            Self::Build(row) => &row.id.package,
        }
    }
}

impl Item {
    /// The kernel that it is about, if it is about one.
    pub(crate) fn target(&self) -> Option<&Target> {
        match self {
            Self::Broken { .. } | Self::Added { .. } => None,
            Self::Build(row) => Some(&row.id.target),
            Self::Weak { target, .. } => Some(target),
        }
    }
}

/// One build.
#[derive(Debug)]
pub(crate) struct Row {
    pub id: BuildId,
    pub state: BuildState,
    pub originals: bool,
    pub flaw: Option<RowFlaw>,
}

/// What is wrong with a build or its installation, with the first file that shows it.
#[derive(Debug)]
pub(crate) enum RowFlaw {
    /// A module that was made is not there any more.
    Incomplete(PathBuf),
    /// A module is not in its place, or is not what was built.
    Differs(PathBuf),
}

impl std::fmt::Display for RowFlaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differs(path) if path.exists() => write!(f, "{} is not the built module", path.display()),
            Self::Incomplete(path) | Self::Differs(path) => write!(f, "{} is missing", path.display()),
        }
    }
}

/// What failed, and when that was recorded.
pub(crate) type Failure = (Target, FailureRecord, Option<SystemTime>);

pub(crate) struct View<'a> {
    pub tree: &'a Tree,
    pub settings: &'a Settings,
    system: &'a System,
    pub session: &'a Session<'a>,
    weak: OnceLock<WeakLinks>,
}

impl<'a> View<'a> {
    pub(crate) fn new(session: &'a Session<'a>) -> Self {
        let (settings, system) = (session.settings, session.system);
        Self { tree: session.tree(), settings, system, session, weak: OnceLock::new() }
    }

    /// The failures of a package, but for those of something that is not tried any more: a build that is up to date is there.
    pub(crate) fn failures(&self, id: &PackageId) -> Vec<Failure> {
        let is_current = |target: &Target| {
            let built = self.tree.built(&BuildId::new(id.clone(), target.clone()));
            built.is_some_and(|built| built.record().is_some() && staleness(self.session, &built).is_none())
        };
        let failures = self.tree.failures(id).into_iter();
        failures.filter(|(target, ..)| !is_current(target)).collect()
    }

    pub(crate) fn items(&self, package: &Package, filter: &Patterns) -> Vec<Item> {
        let id = package.id.clone();
        if package.source == SourceState::Broken {
            return vec![Item::Broken { source: self.tree.source(&id), id }];
        }
        let mut items = Vec::new();
        for build in &package.builds {
            if filter.wants_target(&build.target) {
                items.push(Item::Build(self.row(package, build)));
            }
            if build.state == BuildState::Installed {
                items.extend(self.weak_items(package, build).filter(|item| match item {
                    Item::Weak { target, .. } => filter.wants_target(target),
                    _ => true,
                }));
            }
        }
        if items.is_empty() { vec![Item::Added { id }] } else { items }
    }

    fn row(&self, package: &Package, build: &Build) -> Row {
        let id = package.build_id(&build.target);
        let originals = self.tree.originals(id.name(), &id.target).is_dir();
        let flaw = self.tree.built(&id).and_then(|built| self.flaw(&built, build.state));
        Row { id, state: build.state, originals, flaw }
    }

    fn flaw(&self, built: &Built, state: BuildState) -> Option<RowFlaw> {
        let record = built.record();
        if let Some(path) = record.as_ref().and_then(|record| missing_module(built, record)) {
            return Some(RowFlaw::Incomplete(path));
        }
        if state != BuildState::Installed {
            return None;
        }
        let installation = record.as_ref().and_then(|_| InstallRecord::taken(built.dir()));
        let differs = |(file, place): &(PathBuf, PathBuf)| {
            let is_known = installation.as_ref().is_some_and(|(record, at)| record.is_copy(file, place, *at));
            !is_known && !same_content(file, place)
        };
        self.places(built, record.as_ref())
            .into_iter()
            .find(differs)
            .map(|(_, place)| RowFlaw::Differs(place))
    }

    /// Every module of a build, with the place where it is installed or would be.
    pub(crate) fn places(&self, built: &Built, record: Option<&BuildRecord>) -> Vec<(PathBuf, PathBuf)> {
        let top = self.settings.install_tree.join(built.id().target.release.as_str());
        match record {
            Some(record) => record
                .modules
                .iter()
                .map(|module| {
                    let dir = top.join(module.location.trim_start_matches('/'));
                    (built.modules().join(&module.file), dir.join(&module.file))
                })
                .collect(),
            None => {
                let dirs = self.usual_dirs(&top);
                let place = |file: PathBuf| {
                    let name = file.file_name().unwrap_or_default().to_owned();
                    let usual = dirs.iter().map(|dir| dir.join(&name)).find(|place| place.exists());
                    let place = usual.or_else(|| find(&top, &name));
                    let default = || dirs.first().unwrap_or(&top).join(&name);
                    (file, place.unwrap_or_else(default))
                };
                built.module_files().into_iter().map(place).collect()
            }
        }
    }

    fn usual_dirs(&self, top: &Path) -> Vec<PathBuf> {
        let location = self.settings.effective_location(self.system);
        let locations = location.iter().map(String::as_str).chain(["/updates/dkms", "/updates", "/extra"]);
        locations.map(|location| top.join(location.trim_start_matches('/'))).collect()
    }

    /// The kernels that weak-modules(8) lent the modules of an installed build to.
    fn weak_items(&self, package: &Package, build: &Build) -> impl Iterator<Item = Item> {
        let links = self.weak.get_or_init(|| {
            let is_used = self.system.host.distribution.family.has_weak_modules();
            if is_used { WeakLinks::scan(&self.settings.install_tree) } else { WeakLinks::default() }
        });
        let kernels = if links.is_empty() {
            Vec::new()
        } else {
            let files = self.tree.built(&package.build_id(&build.target)).map(|built| built.module_files());
            let dir = self.settings.install_tree.join(build.target.release.as_str());
            links.users(&dir, &files.unwrap_or_default())
        };
        let (id, target) = (package.id.clone(), build.target.clone());
        kernels.into_iter().map(move |kernel| Item::Weak {
            id: id.clone(),
            target: Target::new(kernel, target.arch.clone()),
            from: target.release.clone(),
        })
    }
}

/// A module that was made and is not there any more. Without a record that is known only of a build with none.
fn missing_module(built: &Built, record: &BuildRecord) -> Option<PathBuf> {
    record.modules.iter().map(|module| built.modules().join(&module.file)).find(|path| !path.exists())
}

/// A module of another dkms in a directory that only its dkms.conf names.
fn find(dir: &Path, name: &std::ffi::OsStr) -> Option<PathBuf> {
    let mut below = Vec::new();
    for entry in dir::read(dir).ok()? {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below.push(entry.path()),
            Ok(_) if entry.file_name() == name => return Some(entry.path()),
            _ => {}
        }
    }
    below.iter().find_map(|dir| find(dir, name))
}
