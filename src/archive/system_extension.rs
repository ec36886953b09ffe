//! mksysext: the modules of every package as a system extension (systemd-sysext(8)), for systems whose /usr is read-only.
//!
//! An extension is laid over /usr, and of two that have the same file one wins: so also of the indexes that depmod(8) writes. That is
//! why one extension has the modules of all packages, with an index of them and of the kernel's own.

use crate::archive::labels::label;
use crate::archive::modules::{place_modules, places};
use crate::archive::tools::Tools;
use crate::conf::{EvalContext, Strictness, read_package};
use crate::inspect::extension::{EXTENSION_DIRS, built_in_extension};
use crate::inspect::inputs::staleness;
use crate::inspect::installed::is_whole;
use crate::inspect::pending::gather;
use crate::inspect::signature::pending_signature;
use crate::kernel::{EXTENSION_LIST, Kernel};
use crate::model::module_name::is_module_file;
use crate::model::package_names::systemd_arch;
use crate::model::remedy::Remedy;
use crate::model::text::quote;
use crate::model::{
    ArchiveProblem, BuildId, Error, KernelRelease, PackageId, PackageName, PackagingProblem, Result, Target,
};
use crate::plan::autoinstall::{Satisfied, plan_autoinstall, unregistered};
use crate::plan::request::{Force, Targets};
use crate::session::Session;
use crate::system::{System, dir, files};
use crate::tree::{Built, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What depmod(8) reads beside modules.
const READ_BY_DEPMOD: [&str; 4] =
    ["modules.order", "modules.builtin", "modules.builtin.modinfo", "modules.builtin.ranges"];

/// A file system that the image can have.
struct Format {
    option: &'static str,
    program: &'static str,
    package: &'static str,
}

/// The best one first.
const FORMATS: [Format; 2] = [
    Format { option: "CONFIG_EROFS_FS", program: "mkfs.erofs", package: "erofs-utils" },
    Format { option: "CONFIG_SQUASHFS", program: "mksquashfs", package: "squashfs-tools" },
];

/// The action mksysext: an image with what is built for `targets`, or for every kernel, in the file `archive`, `dkms.raw` in the
/// working directory if it is not named. Warns of what is missing in it.
///
/// # Errors
/// Nothing is built for one of the kernels, or the kernel is not there; two packages have the same module; a tool is missing or
/// fails; the image cannot be written.
pub(crate) fn mksysext(targets: &Targets, archive: Option<&Path>, session: &Session<'_>) -> Result<()> {
    let tools = Tools::new("mksysext", session.system);
    let place = Place::new(archive, &tools, session.system)?;
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let mut contents = Vec::new();
    for target in wanted_targets(targets, &snapshot, session, &tools)? {
        match Content::choose(target.clone(), &snapshot, session, &tools)? {
            Some(content) => contents.push(content),
            None if *targets == Targets::AllBuilt => {}
            None => return Err(tools.fails(PackagingProblem::NothingBuilt(Some(target)))),
        }
    }
    if contents.is_empty() {
        return Err(tools.fails(PackagingProblem::NothingBuilt(None)));
    }
    let work = files::private_dir(&session.settings.tmp_location, "dkms-sysext.")?;
    let maker = Extension::new(tools, session, work.path())?;
    for content in &contents {
        maker.add_kernel(content)?;
    }
    maker.identify(&place.name, contents.iter().map(|content| &content.target))?;
    let file = maker.pack(&contents, work.path())?;
    files::publish_copy(&file, &place.path, 0o644).map_err(|e| unwritable(&place.path, e.to_string()))?;
    let console = &session.system.console;
    for Content { target, builds, .. } in &contents {
        let names: Vec<String> = builds.iter().map(|(built, _)| built.id().package.to_string()).collect();
        console.say(format!("{target}: {}", names.join(", ")));
    }
    console.say(format!("\nSystem extension: {}", place.path.display()));
    let copy = match place.is_ready {
        true => String::new(),
        false => format!("install -Dm644 -t {} {} && ", EXTENSION_DIRS[0], quote(&place.path)),
    };
    console.say(format!("To use it: {copy}systemd-sysext refresh"));
    Ok(())
}

/// Where the image goes.
struct Place {
    path: PathBuf,
    /// What systemd calls the extension: the file's name without `.raw`.
    name: String,
    /// Whether systemd-sysext(8) looks there.
    is_ready: bool,
}

impl Place {
    fn new(archive: Option<&Path>, tools: &Tools<'_>, system: &System) -> Result<Self> {
        let path = archive.unwrap_or(Path::new("dkms.raw"));
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".raw"));
        let Some(name) = name.filter(|name| !name.is_empty() && !name.starts_with('.')) else {
            let (text, why) =
                (path.display().to_string(), "systemd-sysext takes only files whose name ends in .raw");
            return Err(tools.fails(PackagingProblem::Name { what: "file name", text, why: why.to_owned() }));
        };
        let path = std::path::absolute(path)?;
        let dir = path.parent().unwrap_or(&path);
        let is_ready = EXTENSION_DIRS.iter().any(|known| dir == system.path(known));
        if is_ready {
            files::create_dirs(dir).map_err(|e| unwritable(&path, e.to_string()))?;
        }
        let flaw = match () {
            () if !dir.is_dir() => Some("there is no such directory".to_owned()),
            () if path.is_dir() => Some("it is a directory".to_owned()),
            () => files::check_writable(dir).err().map(|e| e.to_string()),
        };
        match flaw {
            Some(why) => Err(unwritable(&path, why)),
            None => Ok(Self { name: name.to_owned(), is_ready, path }),
        }
    }
}

fn unwritable(path: &Path, why: String) -> Error {
    Error::Archive { path: path.to_owned(), problem: ArchiveProblem::Unwritable(why) }
}

/// The kernels that are named, or all for which something is built that have modules here. Two architectures of one release have the
/// same places: not named, it is the usual one.
fn wanted_targets(
    targets: &Targets,
    snapshot: &Snapshot,
    session: &Session<'_>,
    tools: &Tools<'_>,
) -> Result<BTreeSet<Target>> {
    match targets {
        Targets::These(targets) => {
            let wanted: BTreeSet<Target> = targets.iter().cloned().collect();
            let releases: BTreeSet<&KernelRelease> = wanted.iter().map(|target| &target.release).collect();
            match releases.len() == wanted.len() {
                true => Ok(wanted),
                false => Err(tools.fails(PackagingProblem::TwoArchitectures)),
            }
        }
        Targets::AllBuilt => {
            let builds = snapshot.packages.iter().flat_map(|package| &package.builds);
            let releases: BTreeSet<&KernelRelease> = builds.map(|build| &build.target.release).collect();
            let is_indexed = |release: &&KernelRelease| is_indexed(&session.kernel(release));
            let usual = |release| session.settings.usual_target(release, session.system);
            let targets =
                releases.into_iter().filter(is_indexed).map(usual).collect::<Result<BTreeSet<_>>>()?;
            let is_built =
                |target: &Target| snapshot.packages.iter().any(|package| package.state(target).is_some());
            Ok(targets.into_iter().filter(is_built).collect())
        }
    }
}

fn is_indexed(kernel: &Kernel) -> bool {
    kernel.dir.join("modules.dep").is_file()
}

/// What a kernel gets.
struct Content {
    target: Target,
    kernel: Arc<Kernel>,
    /// Builds, with where their modules go.
    builds: Vec<(Built, Vec<(PathBuf, PathBuf)>)>,
}

impl Content {
    /// What can be used of the builds that belong in the image; `None` where that is nothing.
    fn choose(
        target: Target,
        snapshot: &Snapshot,
        session: &Session<'_>,
        tools: &Tools<'_>,
    ) -> Result<Option<Self>> {
        let kernel = session.kernel(&target.release);
        let mut builds = Vec::new();
        for built in wanted(&target, snapshot, session) {
            if let Some(places) = usable(&built, &kernel, session) {
                builds.push((built, places));
            }
        }
        if builds.is_empty() {
            return Ok(None);
        }
        if !is_indexed(&kernel) {
            let problem = PackagingProblem::NoModules { release: target.release, dir: kernel.dir.clone() };
            return Err(tools.fails(problem));
        }
        let mut owners: BTreeMap<&Path, &PackageId> = BTreeMap::new();
        for (built, places) in &builds {
            for (_, place) in places {
                if let Some(other) = owners.insert(place, &built.id().package) {
                    let packages = [other.clone(), built.id().package.clone()];
                    return Err(tools.fails(PackagingProblem::SamePlace { packages, place: place.clone() }));
                }
            }
        }
        Ok(Some(Self { target, kernel, builds }))
    }
}

fn build(package: &PackageId, target: &Target) -> Remedy {
    Remedy::Build { package: package.clone(), target: Some(target.clone()) }
}

/// Of each package the build of the version that autoinstall would use, or has trouble with; of those that do not concern it the
/// highest one; of those that are disabled what an extension brings now. Warns of what has no build.
fn wanted(target: &Target, snapshot: &Snapshot, session: &Session<'_>) -> Vec<Built> {
    let plan = plan_autoinstall(gather(session, snapshot, target, &Force::default()));
    let id_of = |package: &PackageId| BuildId::new(package.clone(), target.clone());
    let missing = |package: &PackageId, why: String| {
        session.system.console.warn(format!("{package} is not in the image: {why}"));
    };
    let mut builds: BTreeMap<PackageName, Option<Built>> = BTreeMap::new();
    for step in &plan.steps {
        let built = session.tree().built(&id_of(&step.id));
        if built.is_none() {
            missing(
                &step.id,
                format!("it is not built for {target}.\nBuild it first: {}", build(&step.id, target)),
            );
        }
        builds.insert(step.id.name.clone(), built);
    }
    for (name, why) in &plan.satisfied {
        let built = match why {
            Satisfied::Installed(id) | Satisfied::Extended(id) => session.tree().built(&id_of(id)),
            Satisfied::Lent | Satisfied::Provided => None,
        };
        builds.insert(name.clone(), built);
    }
    for (id, _) in &plan.disabled {
        builds.entry(id.name.clone()).or_insert_with(|| built_in_extension(session, &id_of(id)));
    }
    for id in plan.skipped.iter().map(|(id, _)| id).chain(plan.declined.iter().map(|(id, _)| id)) {
        builds.entry(id.name.clone()).or_insert(None);
    }
    // What was built before the trouble began still works.
    let failed = plan.failed.iter().chain(&plan.broken).map(|(id, error)| (id, error.in_one_line()));
    let blocked = plan.blocked.iter().map(|(id, why)| (id, why.to_string()));
    let deferred = plan.deferred.iter().map(|(id, names)| (id, unregistered(names)));
    for (id, why) in failed.chain(blocked).chain(deferred) {
        if !builds.contains_key(&id.name) {
            let built = session.tree().built(&id_of(id));
            if built.is_none() {
                missing(id, why);
            }
            builds.insert(id.name.clone(), built);
        }
    }
    for name in snapshot.names() {
        let highest = || {
            let package =
                snapshot.versions(name).into_iter().find(|package| package.state(target).is_some())?;
            let is_disabled = session.disabling(&package.id, target).is_some();
            session.tree().built(&id_of(&package.id)).filter(|_| !is_disabled)
        };
        builds.entry(name.clone()).or_insert_with(highest);
    }
    builds.into_values().flatten().collect()
}

/// Where the modules of a build go, if it can be used; warns of what is wrong with it.
fn usable(built: &Built, kernel: &Kernel, session: &Session<'_>) -> Option<Vec<(PathBuf, PathBuf)>> {
    let (package, target) = (&built.id().package, &built.id().target);
    let warn = |text: String| session.system.console.warn(text);
    if !is_whole(session, built) {
        let text = format!("The build of {package} is damaged, and not in the image.");
        warn(format!("{text}\nBuild it first: {}", build(package, target)));
        return None;
    }
    if let Some(why) = staleness(session, built) {
        let text = format!("{package} is in the image as it was built, but {why}.");
        warn(format!("{text}\nBuild it first: {}", build(package, target)));
    }
    if let Some(why) = pending_signature(session, built) {
        warn(format!(
            "{package} is in the image as it was built, but {why}.\nBuild it first: dkms build --force {package} -k {}/{}",
            target.release, target.arch
        ));
    }
    if built.record().is_some() {
        return Some(places(built, None));
    }
    // Another dkms built it.
    let conf = session.tree().conf_path(package);
    let view = EvalContext { package: Some(package), kernel, arch: &target.arch };
    match read_package(&conf, view, Strictness::Lenient, session.settings, session.system) {
        Ok(conf) => Some(places(built, Some(&conf))),
        Err(error) => {
            warn(format!("{package} is not in the image: {}", error.in_one_line()));
            None
        }
    }
}

/// An image in the making.
struct Extension<'a> {
    tools: Tools<'a>,
    session: &'a Session<'a>,
    /// What becomes the image.
    image: PathBuf,
    /// What depmod(8) sees: the kernel's modules as links, and ours.
    index: PathBuf,
}

impl<'a> Extension<'a> {
    fn new(tools: Tools<'a>, session: &'a Session<'a>, work: &Path) -> Result<Self> {
        let (image, index) = (work.join("image"), work.join("index"));
        // kmod looks in either place.
        files::create_dirs(&index)?;
        files::make_link(Path::new("usr/lib"), &index.join("lib"))?;
        Ok(Self { tools, session, image, index })
    }

    /// The modules of a kernel, their index and their list.
    fn add_kernel(&self, content: &Content) -> Result<()> {
        let kernel = &content.kernel;
        let modules = Path::new("usr/lib/modules").join(kernel.release.as_str());
        let (image, index) = (self.image.join(&modules), self.index.join(&modules));
        self.show_kernel(kernel, &kernel.dir, &index, &[])?;
        let mut placed = Vec::new();
        for (_, places) in &content.builds {
            place_modules(places, &image)?;
            for (_, place) in places {
                link(&image.join(place), &index.join(place))?;
                placed.push(format!("{}\n", place.display()));
            }
        }
        let depmod = self.session.system.command("depmod").args(["-a", "-b"]).arg(&self.index);
        self.tools.run("depmod", depmod.arg(kernel.release.as_str()))?;
        for entry in dir::read(&index)? {
            let name = entry.file_name();
            if entry.file_type()?.is_file() && name.to_string_lossy().starts_with("modules.") {
                files::publish_copy(&entry.path(), &image.join(name), 0o644)?;
            }
        }
        placed.sort();
        self.write(&modules.join(EXTENSION_LIST), &placed.concat())
    }

    /// Links to what depmod(8) reads below `dir`, which follows links too, without what an extension of ours laid over it.
    fn show_kernel(&self, kernel: &Kernel, dir: &Path, shown: &Path, above: &[PathBuf]) -> Result<()> {
        let above = [above, &[fs_err::canonicalize(dir)?]].concat();
        let is_top = dir == kernel.dir;
        for entry in dir::read(dir)? {
            let (path, name) = (entry.path(), entry.file_name());
            let text = name.to_string_lossy();
            if path.is_dir() {
                let is_circle = fs_err::canonicalize(&path).is_ok_and(|real| above.contains(&real));
                let is_source = is_top && ["build", "source"].contains(&&*text);
                if !is_circle && !is_source {
                    self.show_kernel(kernel, &path, &shown.join(&name), &above)?;
                }
                continue;
            }
            let is_brought = kernel.extension_modules().contains(&path) && !kernel.has_own(&path);
            let is_read = is_module_file(&text) || (is_top && READ_BY_DEPMOD.contains(&&*text));
            if path.is_file() && is_read && !is_brought {
                link(&path, &shown.join(&name))?;
            }
        }
        Ok(())
    }

    /// What systemd compares with the machine: the distribution, its version and the architecture. A unit, which systemd 254 and newer
    /// start when the extension comes, loads the modules for devices that are there already.
    fn identify<'t>(&self, name: &str, targets: impl Iterator<Item = &'t Target>) -> Result<()> {
        let distribution = &self.session.system.host.distribution;
        let id = if distribution.id.is_empty() { "_any" } else { &distribution.id };
        let arches: BTreeSet<&str> = targets.map(|target| systemd_arch(&target.arch)).collect();
        let arch = if arches.len() == 1 { arches.first().copied() } else { None };
        let fields = [
            ("ID", Some(id)),
            ("SYSEXT_LEVEL", distribution.sysext_level.as_deref()),
            ("VERSION_ID", distribution.version.as_deref()),
            ("ARCHITECTURE", arch),
            ("EXTENSION_RELOAD_MANAGER", Some("1")),
        ];
        let lines = fields.iter().filter_map(|(field, value)| Some(format!("{field}={}\n", (*value)?)));
        let lib = Path::new("usr/lib");
        let units = lib.join("systemd/system");
        self.write(
            &lib.join(format!("extension-release.d/extension-release.{name}")),
            &lines.collect::<String>(),
        )?;
        self.write(&units.join("dkms-sysext.service"), include_str!("data/dkms-sysext.service"))?;
        self.write(
            &units.join("multi-user.target.d/10-dkms-sysext.conf"),
            "[Unit]\nUpholds=dkms-sysext.service\n",
        )
    }

    fn write(&self, place: &Path, text: &str) -> Result<()> {
        let path = self.image.join(place);
        files::create_dirs(path.parent().unwrap_or(&self.image))?;
        Ok(files::stage_file(&path, text.as_bytes(), 0o644)?)
    }

    /// The image, in a file system that every one of the kernels has, as far as that is known.
    fn pack(&self, contents: &[Content], dir: &Path) -> Result<PathBuf> {
        files::normalise(&self.image, self.tools.time)?;
        label(&self.image, &self.tools, self.session.system)?;
        let kernels: Vec<&Arc<Kernel>> = contents.iter().map(|content| &content.kernel).collect();
        let has =
            |kernel: &Arc<Kernel>, option: &str| kernel.config().is_none_or(|config| config.is_set(option));
        let possible =
            || FORMATS.iter().filter(|format| kernels.iter().all(|kernel| has(kernel, format.option)));
        let is_there = |format: &&Format| self.session.system.program(format.program).is_some();
        let Some(format) = possible().find(is_there).or_else(|| possible().next()) else {
            return Err(self.tools.fails(PackagingProblem::NoImageFormat));
        };
        let file = dir.join("extension.raw");
        let command = self.tools.tool(format.program, format.package)?;
        let command = match format.program {
            "mkfs.erofs" => {
                let compresses = |kernel: &&Arc<Kernel>| {
                    kernel.config().is_some_and(|config| config.is_set("CONFIG_EROFS_FS_ZIP"))
                };
                let command = command.args(["--all-root", "-T"]).arg(self.tools.time.to_string());
                let command = command.args(["-U", "00000000-0000-0000-0000-000000000000"]);
                let compression = kernels.iter().all(compresses).then_some("-zlz4hc");
                command.args(compression).arg(&file).arg(&self.image)
            }
            _ => {
                command.arg(&self.image).arg(&file).args(["-noappend", "-all-root", "-no-progress", "-quiet"])
            }
        };
        self.tools.run(format.program, command)?;
        Ok(file)
    }
}

fn link(target: &Path, place: &Path) -> Result<()> {
    if let Some(dir) = place.parent() {
        files::create_dirs(dir)?;
    }
    Ok(files::publish_link(target, place)?)
}
