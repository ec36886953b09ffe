//! What one installation works with.

use crate::conf::PackageConf;
use crate::inspect::installed::record_of;
use crate::model::{BuildId, Result};
use crate::plan::request::Force;
use crate::session::WriteSession;
use crate::tree::{Built, InstallRecord, InstalledFile};
use std::path::{Path, PathBuf};

/// How an installation is meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct InstallOptions<'a> {
    /// Read in place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    pub force: Force,
}

/// What one installation works with.
pub(crate) struct Installation<'a> {
    pub id: &'a BuildId,
    pub force: Force,
    pub conf: &'a PackageConf,
    /// Whether originals are moved aside: not where another dkms installed the version that is active now, for then
    /// its files cannot be distinguished from the kernel's.
    pub archive: bool,
    /// The active version was installed by another dkms.
    pub unrecorded: bool,
    /// The build was made elsewhere: it came in a tarball, or another dkms made it.
    pub loaded: bool,
    /// The active version makes room, whatever its modules say of their version: it is this one, built again, or one that
    /// stepped in for this one.
    pub makes_room: bool,
    /// What the active version has in the kernel.
    pub former: Option<InstallRecord>,
    /// Files of this package, which are not originals.
    pub owned: Vec<PathBuf>,
}

pub(crate) fn installation<'a>(
    session: &WriteSession<'_>,
    built: &Built,
    id: &'a BuildId,
    force: Force,
    conf: &'a PackageConf,
) -> Installation<'a> {
    let loaded = built.record().is_none();
    let previous = session.tree().active(id.name(), &id.target);
    let former = previous.as_ref().and_then(|previous| record_of(session, previous));
    let unrecorded = previous.is_some() && former.is_none();
    let makes_room = previous
        .as_ref()
        .is_some_and(|active| active.id() == id || session.tree().is_replaced(&active.id().package));
    let owned = session.tree().installed_files(id.name(), &id.target);
    Installation { id, force, conf, archive: !unrecorded, unrecorded, loaded, makes_room, former, owned }
}

pub(crate) fn describe(path: &Path, source: &Path) -> Result<InstalledFile> {
    Ok(InstalledFile::from_content(path, &fs_err::read(source)?))
}
