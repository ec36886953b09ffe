//! Reads the whole tree into a value.

use super::Tree;
use crate::model::{
    Arch, BuildId, BuildState, KernelRelease, PackageId, PackageName, PackageVersion, SourceState, Target,
    compare_versions,
};
use crate::system::{dir, files, parallel};
use std::path::{Path, PathBuf};

/// One build of a package version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    pub target: Target,
    pub state: BuildState,
}

/// One package version in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub id: PackageId,
    pub source: SourceState,
    /// In the order of directory names.
    pub builds: Vec<Build>,
}

impl Package {
    #[must_use]
    pub(crate) fn state(&self, target: &Target) -> Option<BuildState> {
        self.builds.iter().find(|build| build.target == *target).map(|build| build.state)
    }

    #[must_use]
    pub(crate) fn build_id(&self, target: &Target) -> BuildId {
        BuildId::new(self.id.clone(), target.clone())
    }
}

/// What the tree holds, in the order of directory names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub packages: Vec<Package>,
}

impl Snapshot {
    /// The versions of a package, highest first.
    #[must_use]
    pub(crate) fn versions(&self, name: &PackageName) -> Vec<&Package> {
        let mut versions: Vec<&Package> =
            self.packages.iter().filter(|package| package.id.name == *name).collect();
        versions.sort_by(|a, b| compare_versions(b.id.version.as_str(), a.id.version.as_str()));
        versions
    }

    /// Package names, each once, in listing order.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<&PackageName> {
        let mut names: Vec<&PackageName> = self.packages.iter().map(|package| &package.id.name).collect();
        names.dedup();
        names
    }

    /// Whether some version of a package is installed for a target.
    #[must_use]
    pub(crate) fn is_installed(&self, name: &PackageName, target: &Target) -> bool {
        self.packages.iter().any(|p| p.id.name == *name && p.state(target) == Some(BuildState::Installed))
    }
}

impl Tree {
    /// Reads every package, version and build. Entries that cannot be part of a tree are skipped.
    #[must_use]
    pub(crate) fn scan(&self, source_tree: &Path) -> Snapshot {
        let packages = parallel::map(&self.names(), |name| self.read_name(name, source_tree));
        Snapshot { packages: packages.into_iter().flatten().collect() }
    }

    /// What killed runs were writing in the tree's directories, down to those of builds and of kept originals.
    #[must_use]
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        // Behind links, in hidden directories and in those of a package's own files others write.
        let is_ours = |entry: &fs_err::DirEntry| {
            let name = entry.file_name();
            let is_of_others =
                name.as_encoded_bytes().starts_with(b".") || name == "source" || name == "build";
            !is_of_others && entry.file_type().is_ok_and(|kind| kind.is_dir())
        };
        let inside = |dir: &PathBuf| dir::entries(dir).into_iter().filter(is_ours).map(|entry| entry.path());
        let below = |dirs: &Vec<PathBuf>| Some(dirs.iter().flat_map(inside).collect());
        let levels = std::iter::successors(Some(vec![self.root.clone()]), below).take(5);
        levels.flatten().flat_map(|dir| files::leftovers(&dir)).collect()
    }

    /// What may be names of packages.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<PackageName> {
        directories(self.root()).iter().filter_map(|name| PackageName::new(name).ok()).collect()
    }

    /// The versions of one package, highest first, without reading the others.
    #[must_use]
    pub(crate) fn versions_of(&self, name: &PackageName, source_tree: &Path) -> Vec<Package> {
        let snapshot = Snapshot { packages: self.read_name(name, source_tree) };
        snapshot.versions(name).into_iter().cloned().collect()
    }

    fn read_name(&self, name: &PackageName, source_tree: &Path) -> Vec<Package> {
        let versions = directories(&self.name_dir(name)).into_iter();
        let versions = versions.filter_map(|version| PackageVersion::new(&version).ok());
        let is_version = |version: &PackageVersion| {
            !is_link_name(version.as_str()) && version.as_str() != "original_module"
        };
        versions
            .filter(is_version)
            .filter_map(|version| self.package(PackageId::new(name.clone(), version), source_tree))
            .collect()
    }

    /// Reads one package version.
    #[must_use]
    pub(crate) fn package(&self, id: PackageId, source_tree: &Path) -> Option<Package> {
        let source = self.source_state(&id, source_tree);
        let builds = self.builds(&id);
        // Even without the link there are modules that must be found.
        let source = source.or_else(|| (!builds.is_empty()).then_some(SourceState::Broken))?;
        Some(Package { id, source, builds })
    }

    /// The builds of a version. A kernel directory is one that contains `<A>/module`, whatever its name.
    fn builds(&self, id: &PackageId) -> Vec<Build> {
        let dir = self.version_dir(id);
        let mut builds = Vec::new();
        for kernel in directories(&dir) {
            if matches!(kernel.as_str(), "source" | "build") {
                continue;
            }
            let Ok(release) = KernelRelease::new(&kernel) else { continue };
            for arch in directories(&dir.join(&kernel)).iter().filter_map(|arch| Arch::new(arch).ok()) {
                let target = Target::new(release.clone(), arch);
                let build = BuildId::new(id.clone(), target.clone());
                let state = match (self.built(&build), self.installed(&build)) {
                    (_, Some(_)) => BuildState::Installed,
                    (Some(_), None) => BuildState::Built,
                    (None, None) => continue,
                };
                builds.push(Build { target, state });
            }
        }
        builds
    }

    /// Whether a version has builds; directories without modules are debris.
    #[must_use]
    pub(crate) fn has_builds(&self, id: &PackageId) -> bool {
        !self.builds(id).is_empty()
    }
}

/// `kernel-*-*`: the shape of an active link.
fn is_link_name(name: &str) -> bool {
    name.strip_prefix("kernel-").is_some_and(|rest| rest.contains('-'))
}

/// The visible directories in `dir`, sorted by name. Links to directories count.
pub(crate) fn directories(dir: &Path) -> Vec<String> {
    dir::entries(dir)
        .into_iter()
        .filter(|entry| match entry.file_type() {
            Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
            Ok(kind) => kind.is_dir(),
            Err(_) => false,
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect()
}
