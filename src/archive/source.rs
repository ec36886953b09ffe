//! Takes a directory into the source tree.

use crate::model::{Error, PackageId, Result};
use crate::session::WriteSession;
use crate::system::files;
use crate::tree::Added;
use std::path::Path;

/// How an addition is meant.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AddOptions<'a> {
    /// Read in place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    /// Replace what the source tree has of this package.
    pub force: bool,
    /// A directory with the content that its package was added with is that package.
    pub same_content: bool,
    /// Called from a scriptlet of rpm: the removal of the same version in the same transaction is not meant.
    pub safe_upgrade: bool,
}

/// Links a package of the source tree into the DKMS tree, and says so.
pub(crate) fn link_source(session: &WriteSession<'_>, id: &PackageId, source_dir: &Path) -> Result<Added> {
    let added = session.writer.register(id, source_dir)?;
    let link = added.source().display();
    session.system.console.say(format!("Creating symlink {link} -> {}", source_dir.display()));
    Ok(added)
}

pub(crate) fn require_writable_sources(session: &WriteSession<'_>) -> Result<()> {
    let path = &session.settings.source_tree;
    files::check_writable(path).map_err(|e| Error::NotWritable { path: path.clone(), why: e.to_string() })
}

/// Copies a directory into the source tree. The copy is complete before it gets its name; what stood there is
/// merged into it, unless forced away.
pub(crate) fn import(session: &WriteSession<'_>, dir: &Path, source_dir: &Path, force: bool) -> Result<()> {
    let prefix = format!(".{}-", source_dir.file_name().unwrap_or_default().to_string_lossy());
    let staged = files::closed_temporary_dir(&session.settings.source_tree, &prefix)?;
    let copied = (|| {
        // A directory inside the package's own source does not replace that source.
        if source_dir.is_dir() && (!force || files::lies_below(dir, source_dir)) {
            files::copy_tree(source_dir, &staged)?;
        }
        files::copy_tree(dir, &staged)?;
        files::publish_dir(&staged, source_dir)
    })();
    if copied.is_err() {
        files::remove_tree(&staged)?;
    }
    if let Some(old) = copied? {
        files::remove_tree(&old)?;
    }
    Ok(())
}
