//! Reads directories, in the order of names.

use fs_err::DirEntry;
use std::io;
use std::path::Path;

/// The entries of a directory.
///
/// # Errors
/// It cannot be read as a whole.
pub(crate) fn read(dir: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = fs_err::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// The entries of a directory for a look that goes on without them: none where it cannot be read.
#[must_use]
pub(crate) fn entries(dir: impl AsRef<Path>) -> Vec<DirEntry> {
    read(dir.as_ref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        ["b", "a", "c"].iter().for_each(|name| fs_err::write(dir.path().join(name), "").unwrap());
        let names: Vec<_> = read(dir.path()).unwrap().iter().map(DirEntry::file_name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn missing_directory_has_no_entries() {
        let missing = Path::new("/no/such/directory");
        assert!(read(missing).is_err());
        assert!(entries(missing).is_empty());
    }
}
