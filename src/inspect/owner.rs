//! Whose file stands where a module of ours was installed. Asked before the file is replaced, repaired or taken away: only
//! what is damaged is repaired by itself, and what is another's stays.

use crate::kernel::Kernel;
use crate::kernel::module_file::{ModuleFile, flaw, read_module, strip_signature};
use crate::model::{BuildId, PackageId};
use crate::system::digest::sha256;
use crate::tree::{Installed, InstalledFile, Original, Tree, stored_originals};
use std::fmt;
use std::path::{Path, PathBuf};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Ours, as it was installed.
    Recorded,
    /// Ours, changed on purpose: the same module with another signature or none, compressed in another way, or rewritten by a
    /// script.
    Changed,
    /// Installed by another package that dkms knows.
    Package(PackageId),
    /// Brought by the kernel's own package.
    Kernel,
    /// Nothing that this kernel could load, with the reason.
    Damaged(String),
    /// A module that dkms did not install.
    Unknown,
    /// Nothing is there.
    Nothing,
}

impl Owner {
    /// Whether our module is in its place, or something that was put there on purpose.
    #[must_use]
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Recorded | Self::Changed | Self::Package(_) | Self::Unknown => true,
            Self::Kernel | Self::Damaged(_) | Self::Nothing => false,
        }
    }

    /// Whether the file is ours to take away.
    #[must_use]
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Recorded | Self::Changed)
    }
}

/// Behind "the file is".
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded => f.write_str("as it was installed"),
            Self::Changed => f.write_str("the installed module, changed since by another program"),
            Self::Package(id) => write!(f, "the module of {id}"),
            Self::Kernel => f.write_str("the kernel's own module"),
            Self::Damaged(why) => write!(f, "damaged: {why}"),
            Self::Unknown => f.write_str("a module that dkms did not install"),
            Self::Nothing => f.write_str("missing"),
        }
    }
}

/// A place where an installation wrote a file, or may have.
#[derive(Debug, Clone)]
pub(crate) struct InstalledPath {
    pub path: PathBuf,
    /// The file of the build that went there; empty where the build is gone.
    pub built: PathBuf,
    pub recorded: Option<InstalledFile>,
}

impl InstalledPath {
    #[must_use]
    pub(crate) fn recorded(file: InstalledFile, built: PathBuf) -> Self {
        Self { path: file.path.clone(), built, recorded: Some(file) }
    }
}

/// Whose file stands at the place where a build was installed. `read` looks at its content even where stat(2) says that
/// it was not written to.
#[must_use]
pub(crate) fn owner(
    tree: &Tree,
    id: &BuildId,
    kernel: &Kernel,
    suspect: &InstalledPath,
    read: bool,
) -> Owner {
    let InstalledPath { path, built, recorded } = suspect;
    if path.symlink_metadata().is_err() {
        return match keeper(tree, id, path) {
            Some(other) => Owner::Package(other),
            None => Owner::Nothing,
        };
    }
    if fs_err::read_link(path).is_ok_and(|target| target == *built) && built.is_file()
        || recorded.as_ref().is_some_and(|file| file.is_unchanged(read))
    {
        return Owner::Recorded;
    }
    let content = match fs_err::read(path) {
        Ok(content) => content,
        Err(_) if path.is_file() => return Owner::Unknown,
        Err(_) => return Owner::Damaged("it cannot be read".to_owned()),
    };
    if recorded.as_ref().is_some_and(|file| sha256(&content) == file.sha256) {
        return Owner::Recorded;
    }
    judge(tree, id, kernel, suspect, &content)
}

/// A file that is not to the byte what was recorded.
fn judge(tree: &Tree, id: &BuildId, kernel: &Kernel, suspect: &InstalledPath, content: &[u8]) -> Owner {
    let InstalledPath { path, built, recorded } = suspect;
    let is_built = || fs_err::read(built).is_ok_and(|built| built == content);
    // What another dkms installed may be anything.
    if recorded.is_none() && is_built() {
        return Owner::Recorded;
    }
    let plain = match read_module(path) {
        Ok(plain) => plain,
        Err(_) => return Owner::Damaged("it cannot be unpacked".to_owned()),
    };
    if let Some(flaw) = flaw(&plain, kernel.machine()) {
        return Owner::Damaged(flaw.to_string());
    }
    if is_built() {
        return Owner::Recorded;
    }
    // It was not written to, and it reads differently: the disk did that.
    if recorded.as_ref().is_some_and(|file| file.is_untouched() && file.size > 0) {
        return Owner::Damaged("its content has changed by itself".to_owned());
    }
    let found = ModuleFile::new(plain);
    if let Some(other) = claimant(tree, id, path, &found) {
        return Owner::Package(other);
    }
    if is_same_module(&found, built) {
        return match differs_inside(found, built) {
            true => Owner::Damaged("some bytes differ from what was built".to_owned()),
            false => Owner::Changed,
        };
    }
    if kernel.has_own(path) { Owner::Kernel } else { Owner::Unknown }
}

/// Whether a module has the length of the built one and other bytes: a signature is appended, and a tool that strips or adds
/// sections changes the length.
fn differs_inside(found: ModuleFile, built: &Path) -> bool {
    let Ok(built) = ModuleFile::read(built) else { return false };
    let (found, built) = (strip_signature(found.content), strip_signature(built.content));
    found.len() == built.len() && found != built
}

/// Whether a module file holds the module of a build: the same image without signatures, or the same version of the same
/// source.
#[must_use]
pub(crate) fn is_same_module(found: &ModuleFile, built: &Path) -> bool {
    let Ok(built) = ModuleFile::read(built) else { return false };
    let identity =
        |file: &ModuleFile| (file.info.version_word().to_owned(), file.info.source_id().to_owned());
    if identity(found) != (String::new(), String::new()) {
        return identity(found) == identity(&built);
    }
    strip_signature(found.content.clone()) == strip_signature(built.content)
}

/// The package, other than this one, whose module a file is.
fn claimant(tree: &Tree, id: &BuildId, path: &Path, found: &ModuleFile) -> Option<PackageId> {
    others(tree, id).find_map(|other| {
        let record = other.record()?;
        let file = record.files.iter().find(|file| file.path == *path)?;
        let built = built_file(&other, path);
        let same = file.is_unchanged(false) || is_same_module(found, &built);
        same.then(|| other.id().package.clone())
    })
}

/// The package, other than this one, that keeps a file of ours as the original that its own replaced.
fn keeper(tree: &Tree, id: &BuildId, path: &Path) -> Option<PackageId> {
    others(tree, id).find_map(|other| {
        let kept = stored_originals(&tree.originals(other.id().name(), &id.target));
        kept.iter().any(|original| original.origin == *path).then(|| other.id().package.clone())
    })
}

/// What else is installed for the target.
fn others<'a>(tree: &'a Tree, id: &'a BuildId) -> impl Iterator<Item = Installed> + 'a {
    tree.active_builds(&id.target).into_iter().filter(|other| other.id().name() != id.name())
}

/// The file of a build that goes to a path.
#[must_use]
pub(crate) fn built_file(installed: &Installed, path: &Path) -> PathBuf {
    let files = installed.built().module_files();
    files.into_iter().find(|file| file.file_name() == path.file_name()).unwrap_or_default()
}

/// Copies of files of a package that others keep as originals, each with the package that keeps it.
#[must_use]
pub(crate) fn kept_by_others(tree: &Tree, id: &BuildId, paths: &[PathBuf]) -> Vec<(Installed, Original)> {
    let mut found = Vec::new();
    for other in others(tree, id) {
        let kept = stored_originals(&tree.originals(other.id().name(), &id.target));
        found.extend(
            kept.into_iter()
                .filter(|original| paths.contains(&original.origin))
                .map(|kept| (other.clone(), kept)),
        );
    }
    found
}

/// The package, other than this one, whose recorded installation put the module at a path.
#[must_use]
pub(crate) fn recorded_owner(tree: &Tree, id: &BuildId, path: &Path) -> Option<PackageId> {
    claimant(tree, id, path, &ModuleFile::read(path).ok()?)
}
