//! The members of a tarball under way: paths that begin with `./`, files by name, owned by root.

use crate::system::dir;
use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// A tarball that is being written. Names are those behind the `./`.
pub(crate) struct Members<'a> {
    archive: Builder<&'a mut dyn Write>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(output: &'a mut dyn Write) -> Self {
        Self { archive: Builder::new(output) }
    }

    /// Writes the end of the tarball.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.archive.finish()
    }

    pub(crate) fn add_empty_dir(&mut self, name: &str) -> io::Result<()> {
        self.append(
            format!("{name}/").as_bytes(),
            header(EntryType::Directory, 0o755, 0, 0),
            &mut io::empty(),
        )
    }

    pub(crate) fn add_text(&mut self, name: &str, text: &str) -> io::Result<()> {
        let header = header(EntryType::Regular, 0o644, text.len() as u64, 0);
        self.append(name.as_bytes(), header, &mut text.as_bytes())
    }

    /// A directory with everything in it; `wanted` judges the names at its top.
    pub(crate) fn add_dir(
        &mut self,
        name: &str,
        dir: &Path,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> io::Result<()> {
        self.add_dir_entries(name.as_bytes(), dir, &wanted)
    }

    fn add_dir_entries(&mut self, name: &[u8], dir: &Path, wanted: &dyn Fn(&[u8]) -> bool) -> io::Result<()> {
        let prefix = [name, b"/"].concat();
        self.append(&prefix, header_of(EntryType::Directory, 0, &fs_err::metadata(dir)?), &mut io::empty())?;
        let names: Vec<_> = dir::read(dir)?.iter().map(fs_err::DirEntry::file_name).collect();
        for inner in names.iter().filter(|name| wanted(name.as_bytes())) {
            self.add_entry(&[&prefix, inner.as_bytes()].concat(), &dir.join(inner))?;
        }
        Ok(())
    }

    /// Sockets, pipes and devices have no business in a package.
    fn add_entry(&mut self, name: &[u8], path: &Path) -> io::Result<()> {
        let data = fs_err::symlink_metadata(path)?;
        let kind = data.file_type();
        if kind.is_dir() {
            return self.add_dir_entries(name, path, &|_| true);
        }
        if kind.is_symlink() {
            let target = fs_err::read_link(path)?;
            return self.append_link(name, target.as_os_str().as_bytes(), &data);
        }
        if !kind.is_file() {
            return Ok(());
        }
        let mut file = fs_err::File::open(path)?;
        let mut content = (&mut file).take(data.len());
        self.append(name, header_of(EntryType::Regular, data.len(), &data), &mut content)?;
        if content.limit() == 0 {
            return Ok(());
        }
        Err(io::Error::other(format!("{} became shorter while it was read", path.display())))
    }

    fn append_link(&mut self, name: &[u8], target: &[u8], data: &Metadata) -> io::Result<()> {
        let mut header = header_of(EntryType::Symlink, 0, data);
        let field = &mut header.as_old_mut().linkname;
        if target.len() <= field.len() {
            field[..target.len()].copy_from_slice(target);
        } else {
            self.append_long(EntryType::GNULongLink, target)?;
        }
        self.append(name, header, &mut io::empty())
    }

    fn append(&mut self, name: &[u8], mut header: Header, content: &mut dyn Read) -> io::Result<()> {
        let name = [b"./", name].concat();
        let field = &mut header.as_old_mut().name;
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name[..length]);
        if name.len() > length {
            self.append_long(EntryType::GNULongName, &name)?;
        }
        header.set_cksum();
        self.archive.append(&header, content)
    }

    /// GNU tar's member that names the next one where the header has no room for it.
    fn append_long(&mut self, kind: EntryType, text: &[u8]) -> io::Result<()> {
        let text = [text, b"\0"].concat();
        let mut header = header(kind, 0o644, text.len() as u64, 0);
        let name = b"././@LongLink";
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        self.archive.append(&header, text.as_slice())
    }
}

fn header(kind: EntryType, mode: u32, size: u64, modified: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(modified);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn header_of(kind: EntryType, size: u64, data: &Metadata) -> Header {
    header(kind, data.mode() & 0o777, size, u64::try_from(data.mtime()).unwrap_or(0))
}
