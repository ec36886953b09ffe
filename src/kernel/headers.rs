//! Whether a kernel's headers are what they were. There are about ten thousand, so what stat(2) says has to do.

use super::Kernel;
use crate::system::dir;
use crate::system::fingerprint::StatPrint;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fmt::Write;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below `include`: written by every configuration, which is compared by its content, and by every build of a kernel.
const WRITTEN_ANEW: [&str; 5] = [
    "config",
    "generated/autoconf.h",
    "generated/rustc_cfg",
    "generated/compile.h",
    "generated/utsversion.h",
];

/// A link may lead to anything.
const MOST: usize = 200_000;
const MOST_THREADS: usize = 4;

/// The build directory and the source directory that it refers to, by their real names.
#[must_use]
pub(crate) fn header_dirs(kernel: &Kernel) -> Vec<PathBuf> {
    let dirs = [kernel.build_dir.clone(), kernel.build_dir.join("source"), kernel.dir.join("source")];
    let mut dirs: Vec<PathBuf> = dirs.iter().filter_map(|dir| fs_err::canonicalize(dir).ok()).collect();
    dirs.dedup();
    dirs
}

/// The headers that modules are compiled with: those of the kernel's architecture, in its build directory and in the source
/// directory that this refers to. `None` if there are none.
#[must_use]
pub(crate) fn headers_print(kernel: &Kernel) -> Option<StatPrint> {
    let arches = arches(&kernel.build_dir);
    let dirs = header_dirs(kernel);
    let includes = dirs.iter().flat_map(|dir| {
        let of_arches = arches.iter().map(|arch| dir.join("arch").join(arch).join("include"));
        std::iter::once(dir.join("include")).chain(of_arches)
    });
    let parts: Vec<HeaderPart> = includes.flat_map(|include| parts(&include)).collect();
    // The directories differ in size: threads take the next one instead of an equal share.
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_THREADS);
    let mut digests: Vec<(usize, PartDigest)> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(at) else { return done };
                done.extend(part.digest().map(|digest| (at, digest)));
            }
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        others.into_iter().filter_map(|other| other.join().ok()).flatten().chain(own).collect()
    });
    // Threads finish in any order; the digest must not depend on it.
    digests.sort_unstable_by_key(|(at, _)| *at);
    let has_times = digests.iter().any(|(_, digest)| digest.has_times);
    (!digests.is_empty()).then(|| StatPrint {
        sizes: combined(digests.iter().map(|(at, digest)| (*at, &digest.sizes))),
        times: has_times.then(|| combined(digests.iter().map(|(at, digest)| (*at, &digest.times)))),
    })
}

fn combined<'a>(digests: impl Iterator<Item = (usize, &'a [u8; 32])>) -> String {
    let hash = digests
        .fold(Sha256::new(), |hash, (at, digest)| hash.chain_update(at.to_le_bytes()).chain_update(digest));
    hash.finalize().iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An `include` directory without what is below it, or one of the directories in it with everything.
struct HeaderPart {
    dir: PathBuf,
    below: PathBuf,
    is_deep: bool,
}

fn parts(include: &Path) -> Vec<HeaderPart> {
    let mut dirs: Vec<PathBuf> =
        dir::entries(include).into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    dirs.sort();
    let deep = dirs.into_iter().map(|dir| {
        let below = dir.file_name().map(PathBuf::from).unwrap_or_default();
        HeaderPart { dir, below, is_deep: true }
    });
    std::iter::once(HeaderPart { dir: include.to_owned(), below: PathBuf::new(), is_deep: false })
        .chain(deep)
        .collect()
}

struct PartDigest {
    sizes: [u8; 32],
    times: [u8; 32],
    has_times: bool,
}

impl HeaderPart {
    /// `None` where there is no file.
    fn digest(&self) -> Option<PartDigest> {
        let mut walk = Walk {
            sizes: Sha256::new(),
            times: Sha256::new(),
            has_times: false,
            seen: HashSet::new(),
            files: 0,
            is_deep: self.is_deep,
        };
        let mut below = self.below.clone();
        walk.sizes.update(below.as_os_str().as_bytes());
        if !is_written_anew(&below) {
            walk.dir(&self.dir, &mut below);
        }
        let Walk { sizes, times, has_times, .. } = walk;
        (walk.files > 0).then(|| PartDigest {
            sizes: sizes.finalize().into(),
            times: times.finalize().into(),
            has_times,
        })
    }
}

fn is_written_anew(below: &Path) -> bool {
    WRITTEN_ANEW.iter().any(|path| below == Path::new(path))
}

/// The architectures that the headers were made for: whole source trees have others beside them.
fn arches(build_dir: &Path) -> Vec<std::ffi::OsString> {
    let entries = dir::entries(build_dir.join("arch")).into_iter();
    let mut all: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    all.sort();
    let generated =
        |arch: &&std::ffi::OsString| build_dir.join("arch").join(arch).join("include/generated").is_dir();
    let made: Vec<_> = all.iter().filter(generated).cloned().collect();
    if made.is_empty() { all } else { made }
}

struct Walk {
    sizes: Sha256,
    times: Sha256,
    has_times: bool,
    /// Device and inode of each directory: some distributions put one kernel's headers together with links.
    seen: HashSet<(u64, u64)>,
    files: usize,
    is_deep: bool,
}

impl Walk {
    /// `below` is the directory's place in its `include`.
    fn dir(&mut self, dir: &Path, below: &mut PathBuf) {
        let Ok(data) = std::fs::metadata(dir) else { return };
        if !data.is_dir() || !self.seen.insert((data.dev(), data.ino())) {
            return;
        }
        let mut entries: Vec<_> = dir::entries(dir);
        entries.sort_by_key(fs_err::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            below.push(&name);
            let is_hidden = name.as_bytes().first() == Some(&b'.');
            if !is_hidden && !is_written_anew(below) {
                self.entry(&entry, below);
            }
            below.pop();
        }
    }

    fn entry(&mut self, entry: &fs_err::DirEntry, below: &mut PathBuf) {
        if self.files > MOST {
            return;
        }
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let data = if is_link { std::fs::metadata(entry.path()) } else { entry.metadata() };
        self.sizes.update(below.as_os_str().as_bytes());
        match data {
            Ok(data) if data.is_dir() && !self.is_deep => {}
            Ok(data) if data.is_dir() => self.dir(&entry.path(), below),
            Ok(data) => self.file(&data),
            Err(_) => self.sizes.update(b"\0-"),
        }
    }

    fn file(&mut self, data: &Metadata) {
        self.files += 1;
        self.sizes.update(b"\0");
        self.sizes.update(data.size().to_le_bytes());
        self.times.update(data.mtime().to_le_bytes());
        // ostree makes empty files on each machine.
        self.has_times |= data.size() > 0 && !(0..=1).contains(&data.mtime());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KernelRelease;
    use rstest::rstest;
    use std::time::{Duration, SystemTime};

    struct Headers(tempfile::TempDir);

    impl Headers {
        /// As Debian has them: what is common lies beside what is the flavour's; one directory is a link, as on Ubuntu.
        fn new() -> Self {
            let headers = Self(tempfile::tempdir().unwrap());
            for file in [
                "k/build/include/generated/uapi/linux/version.h",
                "k/build/include/config/auto.conf",
                "k/build/arch/x86/include/generated/asm/a.h",
                "k/build/arch/sparc/include/asm/a.h",
                "common/include/linux/module.h",
                "common/arch/x86/include/asm/b.h",
                "elsewhere/drm.h",
            ] {
                headers.write(file);
            }
            std::os::unix::fs::symlink("../common", headers.0.path().join("k/source")).unwrap();
            let link = headers.0.path().join("k/build/include/drm");
            std::os::unix::fs::symlink("../../../elsewhere", link).unwrap();
            headers
        }

        fn write(&self, file: &str) {
            let path = self.0.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "old").unwrap();
        }

        fn print(&self) -> Option<StatPrint> {
            let release = KernelRelease::new("k").unwrap();
            headers_print(&Kernel::new(release, self.0.path(), Path::new("/boot"), None, None))
        }
    }

    #[rstest]
    #[case("k/build/include/generated/uapi/linux/version.h", true)]
    #[case("k/build/include/generated/new.h", true)]
    #[case("k/build/arch/x86/include/generated/asm/a.h", true)]
    #[case("common/include/linux/module.h", true)]
    #[case("common/arch/x86/include/asm/b.h", true)]
    #[case("elsewhere/drm.h", true)]
    #[case::another_architecture("k/build/arch/sparc/include/asm/a.h", false)]
    #[case::configuration("k/build/include/config/auto.conf", false)]
    #[case::configuration("k/build/include/generated/autoconf.h", false)]
    #[case::every_build("k/build/include/generated/compile.h", false)]
    #[case::of_kbuild("k/build/include/generated/.x.h.cmd", false)]
    #[case::no_header("k/build/Makefile", false)]
    fn a_changed_header_changes_the_digest(#[case] file: &str, #[case] counts: bool) {
        let headers = Headers::new();
        let before = headers.print().unwrap();
        assert_eq!(headers.print().unwrap(), before);
        headers.write(file);
        let path = headers.0.path().join(file);
        std::fs::write(&path, "new length").unwrap();
        assert_eq!(headers.print().unwrap() != before, counts, "another length");
        let before = headers.print().unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(headers.print().unwrap() != before, counts, "another time");
    }

    #[test]
    fn circular_links_end() {
        let headers = Headers::new();
        std::os::unix::fs::symlink("..", headers.0.path().join("k/build/include/round")).unwrap();
        assert!(headers.print().is_some());
        std::fs::remove_dir_all(headers.0.path().join("k/build")).unwrap();
        std::fs::remove_dir_all(headers.0.path().join("common")).unwrap();
        assert_eq!(headers.print(), None);
    }

    #[rstest]
    #[case::ostree(0, 0, true)]
    #[case::nix(1, 1, true)]
    #[case::some(0, 1_700_000_000, false)]
    fn where_no_file_has_a_time_sizes_count(#[case] most: u64, #[case] last: u64, #[case] timeless: bool) {
        let headers = Headers::new();
        let before = headers.print().unwrap();
        assert!(before.times.is_some());
        let files = ["k", "common", "elsewhere"].map(|dir| files(&headers.0.path().join(dir))).concat();
        let drm = headers.0.path().join("elsewhere/drm.h");
        for (file, seconds) in files.iter().map(|file| (file, most)).chain([(&drm, last)]) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
        }
        let now = headers.print().unwrap();
        assert_eq!(
            (now.is_as(&before), before.is_as(&now), now.times.is_none()),
            (timeless, timeless, timeless)
        );
        std::fs::write(&drm, "another length").unwrap();
        std::fs::File::open(&drm).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!headers.print().unwrap().is_as(&before));
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let entries = dir::entries(dir).into_iter().map(|entry| entry.path());
        let below = entries
            .flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] });
        below.filter(|path| path.is_file()).collect()
    }
}
