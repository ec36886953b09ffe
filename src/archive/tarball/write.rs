//! Writes the tarball of a package. The same package gives the same members in the same order, owned by root; the file
//! gets its name when it is complete. Our own records stay out: they are worth nothing on another machine.

use crate::archive::tarball::check;
use crate::archive::tarball::members::Members;
use crate::conf::{EvalContext, Settings, Strictness, read_package};
use crate::kernel::module_file::Compression;
use crate::model::{ArchiveProblem, BuildId, Error, PackageId, Result, Target};
use crate::plan::request::{Content, Targets};
use crate::system::{System, files};
use crate::tree::{Tree, Writer};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The longest list of kernels, with its line's end, that becomes a part of the name.
const LONGEST_LIST: usize = 200;

/// What to write, and where.
#[derive(Debug, Clone)]
pub(crate) struct Packing<'a> {
    pub package: &'a PackageId,
    /// In place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    pub targets: &'a Targets,
    pub content: Content,
    /// The file's name, with a directory or without.
    pub archive: Option<&'a Path>,
}

/// The action `mktarball`. Without a `writer` of the tree the tarball has to go elsewhere.
///
/// # Errors
/// The package is not added, or not built for one of the kernels; the file cannot be written.
pub(crate) fn mktarball(
    packing: &Packing<'_>,
    writer: Option<&Writer>,
    settings: &Settings,
    system: &System,
) -> Result<()> {
    let tree = Tree::at(&settings.dkms_tree);
    let source = tree.added(packing.package, &settings.source_tree)?.source().to_owned();
    let own_conf = source.join("dkms.conf");
    let conf = packing.conf.unwrap_or(&own_conf);
    let targets = built_targets(packing.package, packing.targets, packing.content, &tree, settings);
    let any = targets.as_ref().ok().and_then(|targets| targets.first());
    check_conf(conf, packing.package, any, settings, system)?;
    let targets = targets?;
    let path = destination(packing, &targets, &tree, writer)?;
    for target in &targets {
        system.console.say(format!("Marking modules for {target} for archiving..."));
    }
    if packing.content != Content::BinariesOnly {
        system.console.say(format!("Marking {} for archiving...", source.display()));
        if let Some(link) = check::link_leading_out(&source)? {
            let link = source.join(link);
            let text = "leads out of the package, so this dkms will refuse to load the tarball.";
            system.console.warn(format!("The link {} {text}", link.display()));
        }
    }
    write_file(&path, |members| {
        add_builds(members, packing, &targets, &tree)?;
        match packing.content {
            Content::BinariesOnly => add_identity(members, packing.package, conf),
            _ => members.add_dir("dkms_source_tree", &source, |_| true),
        }
    })?;
    system.console.say(format!("\nTarball location: {}", path.display()));
    Ok(())
}

/// The kernels whose builds go in; none for the source alone.
pub(crate) fn built_targets(
    package: &PackageId,
    targets: &Targets,
    content: Content,
    tree: &Tree,
    settings: &Settings,
) -> Result<Vec<Target>> {
    let missing = |target: Option<&Target>| Error::NothingToArchive {
        package: package.clone(),
        target: target.cloned(),
    };
    match targets {
        _ if content == Content::SourceOnly => Ok(Vec::new()),
        Targets::These(targets) => {
            let is_built =
                |target: &&Target| tree.built(&BuildId::new(package.clone(), (*target).clone())).is_some();
            match targets.iter().find(|target| !is_built(target)) {
                Some(target) => Err(missing(Some(target))),
                None => Ok(each_once(targets)),
            }
        }
        Targets::AllBuilt => {
            let found = tree.package(package.clone(), &settings.source_tree);
            let builds = found.map(|package| package.builds).unwrap_or_default();
            let targets: Vec<Target> = builds.into_iter().map(|build| build.target).collect();
            if targets.is_empty() { Err(missing(None)) } else { Ok(targets) }
        }
    }
}

fn each_once(targets: &[Target]) -> Vec<Target> {
    let repeated = |at: usize, target: &Target| targets[..at].contains(target);
    targets.iter().enumerate().filter(|(at, target)| !repeated(*at, target)).map(|(_, t)| t.clone()).collect()
}

/// Reads the dkms.conf for one of the kernels, or for the running one; a tarball with an unusable one is useless.
pub(crate) fn check_conf(
    conf: &Path,
    package: &PackageId,
    target: Option<&Target>,
    settings: &Settings,
    system: &System,
) -> Result<()> {
    let target = match (target, &system.host.running) {
        (Some(target), _) => target.clone(),
        (None, Some(release)) => settings.usual_target(release, system)?,
        (None, None) => return Ok(()),
    };
    let kernel = settings.kernel(&target.release);
    let view = EvalContext { package: Some(package), kernel: &kernel, arch: &target.arch };
    read_package(conf, view, Strictness::Lenient, settings, system).map(|_| ())
}

fn destination(
    packing: &Packing<'_>,
    targets: &[Target],
    tree: &Tree,
    writer: Option<&Writer>,
) -> Result<PathBuf> {
    let default = default_name(packing.package, packing.content, targets);
    let given = packing.archive.unwrap_or(Path::new(&default));
    let unwritable = |path: &Path, why: String| Error::Archive {
        path: path.to_owned(),
        problem: ArchiveProblem::Unwritable(why),
    };
    let Some(name) = given.file_name() else {
        return Err(unwritable(given, "it is not a file name".into()));
    };
    let dir = match given.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => {
            files::create_dirs(dir).map_err(|e| unwritable(given, e.to_string()))?;
            dir.to_owned()
        }
        None => {
            let dir = tree.tarball_dir(packing.package);
            let path = dir.join(name);
            let writer = writer.ok_or_else(|| unwritable(&path, "the DKMS tree cannot be written".into()))?;
            writer.tarball_dir(packing.package).map_err(|e| unwritable(&path, e.to_string()))?
        }
    };
    let path = dir.join(name);
    files::check_writable(&dir).map_err(|e| unwritable(&path, e.to_string()))?;
    if path.is_dir() {
        return Err(unwritable(&path, "it is a directory".into()));
    }
    Ok(path)
}

fn default_name(package: &PackageId, content: Content, targets: &[Target]) -> String {
    let list: Vec<String> =
        targets.iter().map(|target| format!("kernel{}-{}", target.release, target.arch)).collect();
    let list = list.join("-");
    let kernels = match content {
        Content::SourceOnly => "source-only",
        _ if list.len() + 1 > LONGEST_LIST => "manykernels",
        _ => &list,
    };
    format!("{}-{kernels}.dkms.tar.gz", package.source_dir_name())
}

/// Writes the file as its name's end says: .gz, .xz, .zst, or plain.
pub(crate) fn write_file(path: &Path, fill: impl FnOnce(&mut Members<'_>) -> io::Result<()>) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let pack = |output: &mut dyn Write| {
        let mut members = Members::new(output);
        fill(&mut members)?;
        members.finish()
    };
    files::publish_with(path, 0o644, |file| match compression(&name)? {
        Compression::None => pack(file),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
            pack(&mut encoder)?;
            encoder.finish().map(|_| ())
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(file, 6);
            pack(&mut encoder)?;
            encoder.finish().map(|_| ())
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(file, 0)?;
            pack(&mut encoder)?;
            encoder.finish().map(|_| ())
        }
    })
    .map_err(|e: io::Error| Error::Archive {
        path: path.to_owned(),
        problem: ArchiveProblem::NotWritten(e.to_string()),
    })
}

fn compression(name: &str) -> io::Result<Compression> {
    let short = [(".tgz", Compression::Gzip), (".txz", Compression::Xz), (".tzst", Compression::Zstd)];
    if let Some((_, kind)) = short.into_iter().find(|(end, _)| name.ends_with(end)) {
        return Ok(kind);
    }
    let unknown = [".bz2", ".lz", ".lzma", ".lzo", ".Z", ".tbz", ".tbz2"];
    match unknown.iter().find(|end| name.ends_with(**end)) {
        Some(end) => {
            Err(io::Error::other(format!("{end} is not written; name it .tar.gz, .tar.xz or .tar.zst")))
        }
        None => Ok(Compression::from_file_name(name)),
    }
}

fn add_builds(
    members: &mut Members<'_>,
    packing: &Packing<'_>,
    targets: &[Target],
    tree: &Tree,
) -> io::Result<()> {
    members.add_empty_dir("dkms_main_tree")?;
    let mut kernels: Vec<&str> = Vec::new();
    for target in targets {
        let kernel = format!("dkms_main_tree/{}", target.release);
        if !kernels.contains(&target.release.as_str()) {
            members.add_empty_dir(&kernel)?;
            kernels.push(target.release.as_str());
        }
        let out = tree.out_dir(&BuildId::new(packing.package.clone(), target.clone()));
        members.add_dir(&format!("{kernel}/{}", target.arch), &out, |name| !name.starts_with(b".dkms-"))?;
    }
    Ok(())
}

/// What a package without its source is known by.
fn add_identity(members: &mut Members<'_>, package: &PackageId, conf: &Path) -> io::Result<()> {
    let top = "dkms_binaries_only";
    members.add_empty_dir(top)?;
    members.add_text(&format!("{top}/PACKAGE_NAME"), &format!("{}\n", package.name))?;
    members.add_text(&format!("{top}/PACKAGE_VERSION"), &format!("{}\n", package.version))?;
    members.add_text(&format!("{top}/dkms.conf"), &fs_err::read_to_string(conf)?)
}
