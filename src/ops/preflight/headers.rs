//! The headers of kernels that are not here yet: unpacked beside the machine, and shown where they will be.

use super::Scratch;
use super::candidates::download;
use crate::archive::kernel_package::{is_kernel_package, unpack};
use crate::build::preparation::headers_missing;
use crate::kernel::{Kernel, KernelConfig, release_of_headers};
use crate::model::{Error, KernelRelease, Result, compare_versions};
use crate::plan::request::Headers;
use crate::session::WriteSession;
use crate::system::{System, dir, files, mounts};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where packages have the directories of kernels.
const KERNEL_DIRS: [&str; 2] = ["lib/modules", "usr/lib/modules"];
/// Where they have headers, the deepest first.
const HEADER_DIRS: [&str; 3] = ["usr/src/kernels", "usr/src", "usr/lib"];
/// How deep below usr/src the headers of a kernel lie at most: openSUSE has linux-6.4.0-1-obj/x86_64/default.
const DEPTH: usize = 3;

/// Shows the headers, and tells for which kernels they are: those that are asked for, or all.
///
/// # Errors
/// They cannot be used, or a kernel that is asked for has none.
pub(super) fn show(
    session: &WriteSession<'_>,
    headers: &Headers,
    wanted: &[KernelRelease],
    scratch: &Scratch,
) -> Result<Vec<KernelRelease>> {
    let given = match headers {
        Headers::Installed => Vec::new(),
        Headers::Given(paths) => paths.clone(),
        Headers::Candidates => download(&scratch.downloads(), session.system)?,
    };
    let stage = scratch.stage();
    files::create_dirs(&stage)?;
    for path in &given {
        take(path, &stage, session.system)?;
    }
    link_builds(&stage, session)?;
    let mut found: Vec<KernelRelease> = KERNEL_DIRS
        .iter()
        .flat_map(|dir| dir::entries(stage.join(dir)))
        .filter_map(|entry| KernelRelease::new(entry.file_name().to_str()?).ok())
        .collect();
    show_staged(&stage, session, scratch).map_err(|error| Error::NotShown { why: error.to_string() })?;
    found.retain(|release| session.kernel(release).has_headers());
    found.sort_by(|a, b| compare_versions(a.as_str(), b.as_str()));
    found.dedup();
    if found.is_empty() {
        if let Some(path) = given.first() {
            let why = "there are no headers in it, or only a part of them".to_owned();
            return Err(Error::HeadersUnusable { path: path.clone(), why });
        }
    }
    if let (Some(path), Some(other)) = (given.first(), wanted.iter().find(|wanted| !found.contains(wanted))) {
        let why = format!(
            "they are for {}, not for {other}",
            found.iter().map(KernelRelease::as_str).collect::<Vec<_>>().join(", ")
        );
        return Err(Error::HeadersUnusable { path: path.clone(), why });
    }
    if !wanted.is_empty() {
        found = wanted.to_vec();
    }
    for release in &found {
        let kernel = session.kernel(release);
        if !kernel.has_headers() {
            return Err(headers_missing(&kernel));
        }
        if let Some(why) = lack(&kernel.build_dir, session.system) {
            return Err(Error::HeadersUnusable { path: kernel.build_dir.clone(), why });
        }
        refuse_foreign(&kernel, session.system)?;
    }
    Ok(found)
}

/// Puts a package's content, or a link to a directory of headers, where it would be below `stage`.
fn take(path: &Path, stage: &Path, system: &System) -> Result<()> {
    if !path.is_dir() || is_kernel_package(path) {
        return unpack(path, stage, system);
    }
    let dir = fs_err::canonicalize(path)?;
    let Some(release) = release_of(&dir) else {
        let why = "the directory has no include/generated/utsrelease.h".to_owned();
        return Err(Error::HeadersUnusable { path: path.to_owned(), why });
    };
    let kernel = stage.join(KERNEL_DIRS[0]).join(release.as_str());
    files::create_dirs(&kernel)?;
    Ok(files::publish_link(&dir, &kernel.join("build"))?)
}

/// The release that a directory of headers is for.
fn release_of(dir: &Path) -> Option<KernelRelease> {
    KernelRelease::new(&release_of_headers(dir)?).ok()
}

/// Where the link from a kernel's directory to its headers is in the kernel's own package, it is made.
fn link_builds(stage: &Path, session: &WriteSession<'_>) -> Result<()> {
    for (release, below) in headers_below(stage, Path::new("usr/src"), DEPTH) {
        let name = release.as_str();
        let has_build = |dir: PathBuf| dir.join(name).join("build").symlink_metadata().is_ok();
        let is_linked = KERNEL_DIRS.iter().any(|dir| has_build(stage.join(dir)));
        if !is_linked && !has_build(session.settings.install_tree.clone()) {
            let kernel = stage.join(KERNEL_DIRS[0]).join(name);
            files::create_dirs(&kernel)?;
            files::publish_link(&session.system.path(Path::new("/").join(below)), &kernel.join("build"))?;
        }
    }
    Ok(())
}

fn headers_below(stage: &Path, below: &Path, depth: usize) -> Vec<(KernelRelease, PathBuf)> {
    let dirs = dir::entries(stage.join(below)).into_iter();
    let dirs = dirs.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.flat_map(|entry| {
        let below = below.join(entry.file_name());
        match release_of(&stage.join(&below)) {
            Some(release) => vec![(release, below)],
            None if depth > 1 => headers_below(stage, &below, depth - 1),
            None => Vec::new(),
        }
    })
    .collect()
}

/// Adds what was unpacked to the directories of the machine, for this process.
fn show_staged(stage: &Path, session: &WriteSession<'_>, scratch: &Scratch) -> std::io::Result<()> {
    let mount_point = scratch.mount_point();
    let entries = |dir: PathBuf| -> Vec<(OsString, PathBuf)> {
        dir::entries(dir).iter().map(|entry| (entry.file_name(), entry.path())).collect()
    };
    let install_tree = &session.settings.install_tree;
    let mut new = Vec::new();
    for kernels in KERNEL_DIRS {
        for (name, content) in entries(stage.join(kernels)) {
            let place = install_tree.join(&name);
            if place.is_dir() {
                mounts::add_entries(&place, &entries(content), &mount_point)?;
            } else {
                new.push((name, content));
            }
        }
    }
    mounts::add_entries(install_tree, &new, &mount_point)?;
    for below in HEADER_DIRS {
        let place = session.system.path(Path::new("/").join(below));
        let is_wanted = |(name, _): &(OsString, PathBuf)| match below {
            // The tools of kbuild; everything else there is of no kernel.
            "usr/lib" => name.to_string_lossy().starts_with("linux-"),
            // Its entries were added one by one, where the machine has it.
            "usr/src" => name != "kernels" || !place.join("kernels").is_dir(),
            _ => true,
        };
        let content: Vec<_> = entries(stage.join(below)).into_iter().filter(is_wanted).collect();
        if !content.is_empty() && place.is_dir() {
            mounts::add_entries(&place, &content, &mount_point)?;
        }
    }
    Ok(())
}

/// What a directory of headers refers to and the machine does not have: it is in a package that was not given.
fn lack(build_dir: &Path, system: &System) -> Option<String> {
    let lacks = |path: &Path| format!("they need {}, which is in another package", path.display());
    let tools = ["scripts", "tools"].map(|name| build_dir.join(name));
    let dangling = tools.iter().find(|path| path.is_symlink() && !path.exists());
    if let Some(link) = dangling {
        return Some(lacks(&fs_err::read_link(link).unwrap_or_default()));
    }
    // Out-of-tree objects include the makefile of the common part: by its absolute path.
    let makefile = fs_err::read_to_string(build_dir.join("Makefile")).unwrap_or_default();
    let included = makefile.lines().filter_map(|line| line.strip_prefix("include /"));
    let mut included = included.map(|rest| system.path(Path::new("/").join(rest.trim())));
    included.find(|path| !path.to_string_lossy().contains('$') && !path.exists()).map(|path| lacks(&path))
}

/// What uname(2) calls machines, by the option that their kernels have (arch/*/Kconfig).
const MACHINES: [(&str, &[&str]); 8] = [
    ("CONFIG_X86", &["x86_64", "i686", "i586", "i486", "i386"]),
    ("CONFIG_ARM64", &["aarch64", "armv8l", "armv7l"]),
    ("CONFIG_ARM", &["armv6l", "armv7l", "armv8l"]),
    ("CONFIG_RISCV", &["riscv64", "riscv32"]),
    ("CONFIG_PPC", &["ppc64le", "ppc64", "ppcle", "ppc"]),
    ("CONFIG_S390", &["s390x", "s390"]),
    ("CONFIG_LOONGARCH", &["loongarch64"]),
    ("CONFIG_MIPS", &["mips64", "mips"]),
];

/// # Errors
/// The headers are for another architecture: nothing that is built with them would run here.
fn refuse_foreign(kernel: &Kernel, system: &System) -> Result<()> {
    let Some((config, machine)) = kernel.config().zip(system.host.machine.as_ref()) else { return Ok(()) };
    match foreign(config, machine.as_str()) {
        Some(option) => {
            let why = format!("they are for another architecture ({option}), and this machine is {machine}");
            Err(Error::HeadersUnusable { path: kernel.build_dir.clone(), why })
        }
        None => Ok(()),
    }
}

fn foreign(config: &KernelConfig, machine: &str) -> Option<&'static str> {
    let (option, names) = MACHINES.iter().find(|(option, _)| config.is_set(option))?;
    (!names.contains(&machine)).then_some(*option)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("CONFIG_X86=y\n", "x86_64", None)]
    #[case("CONFIG_X86=y\n", "i686", None)]
    #[case("CONFIG_ARM64=y\n", "x86_64", Some("CONFIG_ARM64"))]
    #[case("CONFIG_X86_64=y\nCONFIG_X86=y\n", "aarch64", Some("CONFIG_X86"))]
    #[case::unknown("CONFIG_SPARC=y\n", "x86_64", None)]
    fn headers_of_another_architecture_are_foreign(
        #[case] config: &str,
        #[case] machine: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(foreign(&KernelConfig::parse(config.to_owned()), machine), expected);
    }

    #[rstest]
    #[case::debian("usr/src/linux-headers-6.1.0-56-amd64")]
    #[case::fedora("usr/src/kernels/6.9.5-200.fc40.x86_64")]
    #[case::suse("usr/src/linux-6.4.0-1-obj/x86_64/default")]
    fn headers_are_found_where_distributions_have_them(#[case] place: &str) {
        let stage = tempfile::tempdir().unwrap();
        let generated = stage.path().join(place).join("include/generated");
        std::fs::create_dir_all(&generated).unwrap();
        std::fs::write(generated.join("utsrelease.h"), "#define UTS_RELEASE \"6.9\"\n").unwrap();
        let found = headers_below(stage.path(), Path::new("usr/src"), DEPTH);
        assert_eq!(found, [(KernelRelease::new("6.9").unwrap(), PathBuf::from(place))]);
    }
}
