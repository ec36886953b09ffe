//! Unpacks a tarball into a private directory and finds the package in it. Touches no tree.
//!
//! Whatever the tarball says, what is unpacked belongs to us, has no special mode bits, and is written only below real
//! directories: a member never goes through a link that an earlier member made.

use crate::archive::tarball::check::{self, Amount};
use crate::kernel::module_file::Compression;
use crate::model::text::shown_in_line;
use crate::model::{Arch, ArchiveProblem, Error, KernelRelease, Result, Target};
use crate::system::dir;
use crate::system::files;
use crate::tree::{BuildRecord, Tree};
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tar::EntryType;

/// A package as a tarball holds it, unpacked.
#[derive(Debug)]
pub(crate) struct TarballContent {
    /// The directory with its dkms.conf.
    pub dir: PathBuf,
    pub has_source: bool,
    /// The tarball has a part of a DKMS tree; otherwise it is the source of a package and nothing else.
    pub from_tree: bool,
    pub builds: Vec<(Target, PathBuf)>,
}

/// Four times what `xz -9` needs. zstd has its own limit, 128 MiB.
const MAX_XZ_MEMORY: u64 = 256 << 20;

type Checked<T> = std::result::Result<T, ArchiveProblem>;

/// Unpacks `archive` into the empty directory `work` and looks what is in it.
///
/// # Errors
/// The file is missing, is not a tarball of a package, or holds what it must not.
pub(crate) fn unpack(archive: &Path, work: &Path) -> Result<TarballContent> {
    let named = |problem| Error::Archive { path: archive.to_owned(), problem };
    if !archive.is_file() {
        return Err(named(ArchiveProblem::Missing));
    }
    let input = fs_err::File::open(archive)?;
    extract(input, work).and_then(|()| find_content(work)).map_err(named)
}

fn refused(why: impl ToString) -> ArchiveProblem {
    ArchiveProblem::Refused(why.to_string())
}

/// A reader that stops where its allowance ends, so that no header can make us read without end.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(buffer.len());
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a member is larger than it may be"));
        }
        let count = self.inner.read(&mut buffer[..allowed])?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}

/// The plain tar stream, by the content of the file.
fn decompressed(mut input: fs_err::File) -> Checked<(Compression, Box<dyn Read>)> {
    let mut magic = Vec::new();
    input.by_ref().take(8).read_to_end(&mut magic).map_err(refused)?;
    input.rewind().map_err(refused)?;
    if magic.starts_with(b"BZh") {
        return Err(refused(
            "it is compressed with bzip2, which dkms does not read; pack it with gzip, xz or zstd",
        ));
    }
    let input = io::BufReader::new(input);
    let kind = Compression::of_content(&magic);
    let plain: Box<dyn Read> = match kind {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(MAX_XZ_MEMORY, liblzma::stream::CONCATENATED);
            Box::new(XzDecoder::new_stream(input, stream.map_err(refused)?))
        }
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input).map_err(refused)?),
    };
    Ok((kind, plain))
}

fn extract(input: fs_err::File, work: &Path) -> Checked<()> {
    let left = Rc::new(Cell::new(0));
    let size = input.metadata().map_err(refused)?.len();
    let (kind, inner) = decompressed(input)?;
    let mut tar = tar::Archive::new(Metered { inner, left: Rc::clone(&left) });
    let mut entries = tar.entries().map_err(refused)?;
    let mut amount = Amount::of_tarball(size);
    loop {
        left.set(check::MAX_HEADERS);
        let mut entry = match entries.next() {
            None => return Ok(()),
            Some(Ok(entry)) => entry,
            // A plain file without any member is not a tarball, and so has no dkms.conf.
            Some(Err(_)) if kind == Compression::None && amount.is_empty() => return Ok(()),
            Some(Err(error)) => return Err(refused(format!("it is damaged ({error})"))),
        };
        amount.add(entry.size()).map_err(refused)?;
        left.set(check::MAX_BYTES + check::MAX_HEADERS);
        write_member(&mut entry, work, &mut amount)?;
    }
}

fn write_member<R: Read>(entry: &mut tar::Entry<'_, R>, work: &Path, amount: &mut Amount) -> Checked<()> {
    let raw = entry.path_bytes().into_owned();
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let inner = check::member_path(&raw).map_err(refused)?;
    let is_dir = kind.is_dir() || (kind == EntryType::Regular && raw.ends_with(b"/"));
    if inner.as_os_str().is_empty() {
        return if is_dir { Ok(()) } else { Err(refused("a member has no name")) };
    }
    let written = make_room(work, &inner, is_dir).and_then(|()| match is_dir {
        true => write_dir(entry, &work.join(&inner)),
        false => write_other(entry, kind, work, &inner, amount),
    });
    written.map_err(|problem| match problem {
        ArchiveProblem::Refused(why) => {
            let why = why.replace(&format!("{}/", work.display()), "");
            refused(format!("{}: {}", shown_in_line(&inner.to_string_lossy()), shown_in_line(&why)))
        }
        other => other,
    })
}

fn write_dir<R: Read>(entry: &tar::Entry<'_, R>, path: &Path) -> Checked<()> {
    files::create_dirs(path).and_then(|()| files::set_mode(path, mode_of(entry) | 0o700)).map_err(refused)
}

fn write_other<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    kind: EntryType,
    work: &Path,
    inner: &Path,
    amount: &mut Amount,
) -> Checked<()> {
    let path = work.join(inner);
    match kind {
        _ if is_pax_sparse(entry) => {
            Err(refused("its holes are left out in a form that dkms does not read; pack it without --sparse"))
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => write_file(entry, &path),
        EntryType::Symlink => {
            let target = link_name(entry)?;
            if !check::stays_inside(inner, &target) {
                return Err(refused("this link leads out of the tarball"));
            }
            files::make_link(&target, &path).map_err(refused)
        }
        EntryType::Link => copy_of_member(work, &link_name(entry)?, &path, amount),
        _ => Err(refused("it is not a file, directory or link")),
    }
}

/// No special bits, and only the owner writes.
fn mode_of<R: Read>(entry: &tar::Entry<'_, R>) -> u32 {
    entry.header().mode().unwrap_or(0) & 0o755
}

/// Sparse files of the pax format look like files with other content to readers that do not know them.
fn is_pax_sparse<R: Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    let extensions = entry.pax_extensions().ok().flatten();
    extensions.is_some_and(|mut all| {
        all.any(|one| one.is_ok_and(|one| one.key_bytes().starts_with(b"GNU.sparse.")))
    })
}

fn write_file<R: Read>(entry: &mut tar::Entry<'_, R>, path: &Path) -> Checked<()> {
    let (size, mode) = (entry.size(), mode_of(entry) | 0o600);
    let modified = entry.header().mtime().unwrap_or(0);
    let written = files::write_new(path, &mut entry.take(size), mode, modified).map_err(refused)?;
    if written == size { Ok(()) } else { Err(refused("the tarball ends in the middle of it")) }
}

fn link_name<R: Read>(entry: &tar::Entry<'_, R>) -> Checked<PathBuf> {
    match entry.link_name_bytes() {
        Some(name) => Ok(PathBuf::from(OsStr::from_bytes(&name))),
        None => Err(refused("a link leads nowhere")),
    }
}

/// A hard link becomes a file of its own, which is what every later copy would make of it.
fn copy_of_member(work: &Path, target: &Path, path: &Path, amount: &mut Amount) -> Checked<()> {
    let inner = check::member_path(target.as_os_str().as_bytes()).map_err(refused)?;
    let original = work.join(&inner);
    require_real_dirs(work, &inner)?;
    let data = original.symlink_metadata().map_err(|_| refused("its original is missing"))?;
    if !data.is_file() || original == path {
        return Err(refused("its original is not a file"));
    }
    amount.add(data.len()).map_err(refused)?;
    let mut content = fs_err::File::open(&original).map_err(refused)?;
    let modified = u64::try_from(std::os::unix::fs::MetadataExt::mtime(&data)).unwrap_or(0);
    let mode = std::os::unix::fs::MetadataExt::mode(&data) & 0o755;
    files::write_new(path, &mut content, mode, modified).map(|_| ()).map_err(refused)
}

/// Makes the directories above a member, and takes away an earlier member of the same name.
fn make_room(work: &Path, inner: &Path, is_dir: bool) -> Checked<()> {
    require_real_dirs(work, inner)?;
    let path = work.join(inner);
    if let Some(dir) = path.parent() {
        files::create_dirs(dir).map_err(refused)?;
    }
    match path.symlink_metadata() {
        Ok(data) if data.is_dir() && is_dir => Ok(()),
        Ok(data) if data.is_dir() || is_dir => Err(refused("it is a directory and something else")),
        Ok(_) => files::remove_file(&path).map_err(refused),
        Err(_) => Ok(()),
    }
}

fn require_real_dirs(work: &Path, inner: &Path) -> Checked<()> {
    let above = inner.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
    for dir in above {
        if work.join(dir).symlink_metadata().is_ok_and(|data| !data.is_dir()) {
            return Err(refused(format!("{} is not a directory", dir.display())));
        }
    }
    Ok(())
}

/// The package in an unpacked tarball.
fn find_content(work: &Path) -> Checked<TarballContent> {
    let main = work.join("dkms_main_tree");
    let (source, binaries) = (work.join("dkms_source_tree"), work.join("dkms_binaries_only"));
    let has_conf = |dir: &Path| is_real_dir(dir) && dir.join("dkms.conf").is_file();
    let from_tree = is_real_dir(&main);
    let (dir, has_source) = match from_tree {
        false => (first_conf_dir(work).ok_or(ArchiveProblem::NoConf)?, true),
        true if has_conf(&source) => (source, true),
        true if has_conf(&binaries) => (binaries, false),
        true => return Err(ArchiveProblem::NoPackage),
    };
    require_closed(&dir)?;
    let builds = if from_tree { find_builds(&main)? } else { Vec::new() };
    Ok(TarballContent { dir, has_source, from_tree, builds })
}

/// What is copied out of the work directory must not lead out of the place where it goes.
fn require_closed(dir: &Path) -> Checked<()> {
    match check::link_leading_out(dir).map_err(refused)? {
        Some(link) => Err(refused(format!("the link {} leads out of its directory", link.display()))),
        None => Ok(()),
    }
}

/// The highest directory with a dkms.conf, the first by name among equals.
fn first_conf_dir(top: &Path) -> Option<PathBuf> {
    let mut level = vec![top.to_owned()];
    while !level.is_empty() {
        let is_file = |path: PathBuf| path.symlink_metadata().is_ok_and(|data| data.is_file());
        if let Some(found) = level.iter().find(|dir| is_file(dir.join("dkms.conf"))) {
            return Some(found.clone());
        }
        level = level.iter().flat_map(|dir| subdirectories(dir)).collect();
    }
    None
}

/// The builds of a part of a DKMS tree: what lies two levels deep. Anything else there, such as `dkms_dbversion`, is
/// not ours to judge.
fn find_builds(main: &Path) -> Checked<Vec<(Target, PathBuf)>> {
    let mut builds = Vec::new();
    for kernel in subdirectories(main) {
        for dir in subdirectories(&kernel) {
            let target = target_of(&kernel, &dir)?;
            require_closed(&dir)?;
            drop_records(&dir)?;
            builds.push((target, dir));
        }
    }
    Ok(builds)
}

fn target_of(kernel: &Path, dir: &Path) -> Checked<Target> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (release, arch) = (name(kernel), name(dir));
    let bad = |why: String| refused(format!("dkms_main_tree/{release}/{arch} is not a build: {why}"));
    if Tree::is_bookkeeping(&release) {
        return Err(bad("no kernel is called like that".into()));
    }
    let kernel = KernelRelease::new(&release).map_err(|why| bad(why.to_string()))?;
    Ok(Target::new(kernel, Arch::new(&arch).map_err(|why| bad(why.to_string()))?))
}

/// Records are believed by those who remove what was installed, so none is taken from a tarball as it is. Of hidden files
/// only the versions of the dependencies count, and what a build was made from, which is judged when it is loaded.
fn drop_records(dir: &Path) -> Checked<()> {
    for entry in dir::read(dir).map_err(refused)? {
        let name = entry.file_name();
        let name = name.as_bytes();
        let counts = name.starts_with(b".dep_") || name == BuildRecord::FILE.as_bytes();
        if name.starts_with(b".") && !counts {
            files::remove_tree(&entry.path()).map_err(refused)?;
        }
    }
    Ok(())
}

fn is_real_dir(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_dir())
}

/// The visible directories in a directory, by name.
fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let entries = dir::entries(dir).into_iter();
    let visible = entries.filter(|entry| !entry.file_name().as_bytes().starts_with(b"."));
    let mut dirs: Vec<PathBuf> = visible.map(|entry| entry.path()).filter(|path| is_real_dir(path)).collect();
    dirs.sort();
    dirs
}
