//! mksysext: the modules of every package as a system extension (systemd-sysext(8)), for systems whose /usr is read-only.
//!
//! An extension is laid over /usr, and of two that have the same file one wins: so also of the indexes that depmod(8) writes. That is
//! why one extension has the modules of all packages, with an index of them and of the kernel's own.

use crate::archive::modules::place_modules;
use crate::archive::tools::Tools;
use crate::conf::{EvalContext, Strictness, read_package};
use crate::inspect::extension::{EXTENSION_LIST, extension_modules};
use crate::inspect::inputs::staleness;
use crate::inspect::pending::gather;
use crate::kernel::{Kernel, ModuleIndex};
use crate::model::package_names::systemd_arch;
use crate::model::remedy::Remedy;
use crate::model::{BuildId, BuildState, Error, PackagingProblem, Result, Target};
use crate::plan::autoinstall::plan_autoinstall;
use crate::plan::request::{Force, Targets};
use crate::session::WriteSession;
use crate::system::{System, dir, files};
use crate::tree::{Built, Snapshot};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systemd-sysext(8) looks for images.
const PLACES: [&str; 3] = ["/etc/extensions", "/run/extensions", "/var/lib/extensions"];
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
/// working directory if it is not named. What autoinstall would build first is told, and missing.
///
/// # Errors
/// Nothing is built for one of the kernels, or the kernel is not there; a tool is missing or fails; the image cannot be written.
pub(crate) fn mksysext(targets: &Targets, archive: Option<&Path>, session: &WriteSession<'_>) -> Result<()> {
    let tools = Tools::new("mksysext", session.system);
    let place = Place::new(archive, &tools, session.system)?;
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let chosen = choose(targets, &snapshot, session);
    let work = files::private_dir(&session.settings.tmp_location, "dkms-sysext.")?;
    let maker =
        Extension { tools, session, image: work.path().join("image"), index: work.path().join("index") };
    let mut kernels = Vec::new();
    let mut packages = BTreeSet::new();
    for (target, builds) in &chosen {
        if builds.is_empty() {
            return Err(maker.tools.fails(PackagingProblem::NothingBuilt(Some(target.clone()))));
        }
        let kernel = session.kernel(&target.release);
        maker.add_kernel(&kernel, builds)?;
        kernels.push(kernel);
        packages.extend(builds.iter().map(|built| built.id().package.clone()));
        tell_missing(session, &snapshot, target, builds);
    }
    if kernels.is_empty() {
        return Err(maker.tools.fails(PackagingProblem::NothingBuilt(None)));
    }
    maker.identify(&place.name, chosen.iter().map(|(target, _)| target))?;
    let file = maker.pack(&kernels, work.path())?;
    files::publish_copy(&file, &place.path, 0o644)
        .map_err(|e| place.unwritable(&maker.tools, e.to_string()))?;
    let console = &session.system.console;
    for (target, builds) in &chosen {
        let names: Vec<String> = builds.iter().map(|built| built.id().package.to_string()).collect();
        console.say(format!("{target}: {}", names.join(", ")));
    }
    console.say(format!("\nSystem extension: {}", place.path.display()));
    let ready = PLACES.iter().any(|dir| place.path.parent() == Some(&session.system.path(dir)));
    let copy = if ready {
        String::new()
    } else {
        format!("install -Dm644 -t {} {} && ", PLACES[2], place.path.display())
    };
    console.say(format!("To use it: {copy}systemd-sysext refresh"));
    Ok(())
}

/// Where the image goes.
struct Place {
    path: PathBuf,
    /// What systemd calls the extension: the file's name without `.raw`.
    name: String,
}

impl Place {
    fn new(archive: Option<&Path>, tools: &Tools<'_>, system: &System) -> Result<Self> {
        let path = archive.unwrap_or(Path::new("dkms.raw"));
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".raw"));
        let Some(name) = name.filter(|name| !name.is_empty() && !name.starts_with('.')) else {
            let why = "systemd-sysext takes files only whose name ends in .raw";
            let problem = PackagingProblem::Name {
                what: "file name",
                text: path.display().to_string(),
                why: why.into(),
            };
            return Err(tools.fails(problem));
        };
        let absolute = std::path::absolute(path)?;
        let place = Self { path: absolute, name: name.to_owned() };
        let dir = place.path.parent().unwrap_or(&place.path);
        if PLACES.iter().any(|known| dir == system.path(known)) {
            files::create_dirs(dir).map_err(|e| place.unwritable(tools, e.to_string()))?;
        }
        files::check_writable(dir).map_err(|e| place.unwritable(tools, e.to_string()))?;
        Ok(place)
    }

    fn unwritable(&self, tools: &Tools<'_>, why: String) -> Error {
        tools.fails(PackagingProblem::Unwritable { path: self.path.clone(), why })
    }
}

/// Of each package the version that is installed, or the highest one that is built; for every kernel that has modules where none
/// is named.
fn choose(targets: &Targets, snapshot: &Snapshot, session: &WriteSession<'_>) -> Vec<(Target, Vec<Built>)> {
    let targets: BTreeSet<Target> = match targets {
        Targets::These(targets) => targets.iter().cloned().collect(),
        Targets::AllBuilt => {
            let builds = snapshot.packages.iter().flat_map(|package| &package.builds);
            let of_kernels = |target: &&Target| is_indexed(&session.kernel(&target.release));
            builds.map(|build| &build.target).filter(of_kernels).cloned().collect()
        }
    };
    let of_package = |versions: Vec<BuildId>| versions.iter().find_map(|id| session.tree().built(id));
    let choice = |target: &Target| {
        let ids = snapshot.names().into_iter().map(|name| {
            let mut versions = snapshot.versions(name);
            // Where nothing can be installed, what an earlier extension brought may count as installed.
            if !files::is_read_only(&session.kernel(&target.release).dir) {
                versions.sort_by_key(|package| package.state(target) != Some(BuildState::Installed));
            }
            versions.iter().map(|package| package.build_id(target)).collect()
        });
        ids.filter_map(of_package).collect()
    };
    targets.into_iter().map(|target| (target.clone(), choice(&target))).collect()
}

fn is_indexed(kernel: &Kernel) -> bool {
    kernel.dir.join("modules.dep").is_file()
}

/// Names what autoinstall would build first.
fn tell_missing(session: &WriteSession<'_>, snapshot: &Snapshot, target: &Target, builds: &[Built]) {
    let plan = plan_autoinstall(gather(session, snapshot, target, &Force::default()));
    for step in plan.steps.iter().filter(|step| step.need.compiles()) {
        let used = builds.iter().find(|built| built.id().package == step.id);
        let what = match used.and_then(|built| staleness(session, built)) {
            Some(why) => format!("{} is in the image as it was built, but {why}", step.id),
            None => format!("{} is not built for {target}, and not in the image", step.id),
        };
        let build = Remedy::Build { package: step.id.clone(), target: Some(target.clone()) };
        session.system.console.warn(format!("{what}.\nBuild it first: {build}"));
    }
    for (package, error) in &plan.failed {
        session.system.console.warn(format!(
            "{package} is not in the image: {}",
            error.to_string().lines().next().unwrap_or_default()
        ));
    }
}

/// An image in the making.
struct Extension<'a> {
    tools: Tools<'a>,
    session: &'a WriteSession<'a>,
    /// What becomes the image.
    image: PathBuf,
    /// What depmod(8) sees: the kernel's modules as links, and ours.
    index: PathBuf,
}

impl Extension<'_> {
    /// The modules of a kernel, their index and their list.
    fn add_kernel(&self, kernel: &Kernel, builds: &[Built]) -> Result<()> {
        if !is_indexed(kernel) {
            let problem =
                PackagingProblem::NoModules { release: kernel.release.clone(), dir: kernel.dir.clone() };
            return Err(self.tools.fails(problem));
        }
        let modules = Path::new("usr/lib/modules").join(kernel.release.as_str());
        let (image, index) = (self.image.join(&modules), self.index.join(&modules));
        let mut placed = Vec::new();
        for built in builds {
            let (id, settings) = (built.id(), self.session.settings);
            let conf = self.session.tree().conf_path(&id.package);
            let view = EvalContext { package: Some(&id.package), kernel, arch: &id.target.arch };
            let conf = read_package(&conf, view, Strictness::Lenient, settings, self.session.system)?;
            placed.extend(place_modules(built, &conf, &image)?);
        }
        self.show_kernel(kernel, &index)?;
        for place in &placed {
            link(&image.join(place), &index.join(place))?;
        }
        files::make_link(Path::new("usr/lib"), &self.index.join("lib")).or_else(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(e),
        })?;
        let depmod = self.session.system.command("depmod").args(["-a", "-b"]).arg(&self.index);
        self.tools.run("depmod", depmod.arg(kernel.release.as_str()))?;
        for entry in dir::read(&index)? {
            let name = entry.file_name();
            if entry.file_type()?.is_file() && name.to_string_lossy().starts_with("modules.") {
                files::publish_copy(&entry.path(), &image.join(name), 0o644)?;
            }
        }
        let mut list: Vec<String> = placed.iter().map(|place| format!("{}\n", place.display())).collect();
        list.sort();
        self.write(&modules.join(EXTENSION_LIST), &list.concat())
    }

    /// Links to what the kernel has, without what an extension of ours laid over it.
    fn show_kernel(&self, kernel: &Kernel, index: &Path) -> Result<()> {
        let earlier = extension_modules(kernel);
        let modules = ModuleIndex::scan(&kernel.dir);
        let own = modules.whole()?.below(&kernel.dir).filter(|path| !earlier.contains(*path)).cloned();
        let read = READ_BY_DEPMOD.iter().map(|name| kernel.dir.join(name)).filter(|path| path.is_file());
        for path in own.chain(read) {
            link(&path, &index.join(path.strip_prefix(&kernel.dir).unwrap_or(&path)))?;
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
    fn pack(&self, kernels: &[Arc<Kernel>], dir: &Path) -> Result<PathBuf> {
        files::normalise(&self.image, self.tools.time)?;
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
                let compresses = |kernel: &Arc<Kernel>| {
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
