//! Builds every package for a kernel that is not here yet. The machine stays as it is: the headers, and a tree of their own for
//! what is built, are shown at their places to this process alone.
//!
//! That tree is `<tree>/.preflight`. What is built in it waits for its kernel (`ops::kept`), and what failed is remembered there as
//! in every tree, so that a second look costs nothing.

mod candidates;
mod glance;
mod headers;

pub(crate) use glance::glance;

use crate::conf::Settings;
use crate::inspect::pending::gather;
use crate::model::{
    Arch, AttemptResult, BuildId, Error, KernelRelease, PackageId, PackageName, Result, SourceState, Target,
};
use crate::ops::autoinstall::step_back;
use crate::ops::change;
use crate::ops::kept::expired;
use crate::ops::schedule::{self, Ending};
use crate::plan::autoinstall::plan_autoinstall;
use crate::plan::preflight::{Expectations, Forecast, Outlook, forecast};
use crate::plan::request::{Force, Headers};
use crate::session::WriteSession;
use crate::system::{System, files, mounts};
use crate::tree::{Built, REPLACED, Snapshot, Tree};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// What a kernel will have, once it comes.
#[derive(Debug)]
pub(crate) struct KernelForecast {
    pub target: Target,
    pub packages: Vec<Forecast>,
    /// What the machine runs now.
    pub running: Option<KernelRelease>,
}

impl KernelForecast {
    /// What a boot into the kernel would lose.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &Forecast> {
        self.packages.iter().filter(|forecast| forecast.is_lost())
    }
}

/// What the machine has before anything is shown in its place.
struct Machine {
    registered: Snapshot,
    /// The source of each package that has one outside of the tree, which is covered by the other one.
    sources: Vec<(PackageId, PathBuf)>,
    out_of_sight: Vec<PackageName>,
    running: Option<KernelRelease>,
    installed: Vec<PackageId>,
}

impl Machine {
    fn look(settings: &Settings, system: &System) -> Result<Self> {
        let tree = Tree::at(&settings.dkms_tree);
        let registered = tree.scan(&settings.source_tree);
        let running = system.host.running.clone();
        let target = running.as_ref().map(|release| settings.usual_target(release, system)).transpose()?;
        let installed = target.map(|target| tree.active_builds(&target)).unwrap_or_default();
        let with_source = registered.packages.iter().filter(|package| package.source == SourceState::Added);
        let source = |id: &PackageId| Some((id.clone(), fs_err::canonicalize(tree.source(id)).ok()?));
        let sources = with_source.filter_map(|package| source(&package.id));
        let is_covered =
            |source: &Path| source.starts_with(tree.root()) && !source.starts_with(tree.replaced().root());
        let (inside, sources): (Vec<_>, Vec<_>) = sources.partition(|(_, source)| is_covered(source));
        let out_of_sight = inside.into_iter().map(|(id, _)| id.name).collect();
        let installed = installed.iter().map(|installed| installed.id().package.clone()).collect();
        Ok(Self { registered, sources, out_of_sight, running, installed })
    }

    fn without_source(&self) -> Vec<PackageName> {
        let names = self.registered.names().into_iter().cloned();
        names.filter(|name| self.sources.iter().all(|(id, _)| id.name != *name)).collect()
    }
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Preflight<'a> {
    pub headers: &'a Headers,
    /// The kernels to look at; without any, all that the headers are for.
    pub releases: &'a [KernelRelease],
    /// Without one, that of each kernel.
    pub arch: Option<&'a Arch>,
    pub force: &'a Force,
}

/// Builds every package that says AUTOINSTALL=yes for each kernel, and tells what became of it. From here on this process sees
/// the other tree: what follows may read /etc and write /run, and no tree.
///
/// # Errors
/// The headers cannot be used, or the kernel does not allow mounts.
pub(crate) fn preflight(
    wanted: &Preflight<'_>,
    settings: &Settings,
    system: &System,
) -> Result<Vec<KernelForecast>> {
    let machine = Machine::look(settings, system)?;
    // A key that is made here would be lost: the builds are signed when they are used.
    let settings = &settings.ahead_of_kernel();
    let needed = enter_other_tree(settings, system)?;
    let session = change(settings, system)?;
    show_needed(&session, needed)?;
    let scratch = Scratch::new(&session)?;
    take_over(&session, &machine)?;
    let releases = headers::show(&session, wanted.headers, wanted.releases, &scratch)?;
    system.console.set_brief(true);
    releases.into_iter().map(|release| look_ahead(&session, &machine, release, wanted)).collect()
}

/// What stays visible of the machine's tree, by its names: what signing needs, and the versions that upgrades replaced.
type Needed = Vec<(&'static str, fs_err::File)>;

/// Shows the other tree in the place of the machine's, and returns what is covered by that and still needed.
fn enter_other_tree(settings: &Settings, system: &System) -> Result<Needed> {
    let tree = Tree::at(&settings.dkms_tree);
    let kept = tree.kept();
    let unusable = |why: String| Error::NotWritable { path: kept.root().to_owned(), why };
    files::create_dirs(tree.root()).map_err(|error| unusable(error.to_string()))?;
    // A link could lead to the machine's own tree.
    if kept.root().symlink_metadata().is_ok_and(|data| !data.is_dir()) {
        return Err(unusable("it is not a directory".to_owned()));
    }
    files::create_dirs(kept.root()).map_err(|error| unusable(error.to_string()))?;
    let not_shown = |error: std::io::Error| Error::NotShown { why: error.to_string() };
    mounts::leave_machine().map_err(not_shown)?;
    // Opened among the mounts where they will be shown.
    let names = ["mok.key", "mok.pub", REPLACED].into_iter();
    let needed = names.filter_map(|name| Some((name, fs_err::File::open(tree.root().join(name)).ok()?)));
    let needed = needed.collect();
    mounts::show(kept.root(), tree.root()).map_err(not_shown)?;
    system.console.rename(tree.root(), kept.root());
    Ok(needed)
}

/// Shows it in the other tree. Only with its lock: another process may have it mounted there.
fn show_needed(session: &WriteSession<'_>, needed: Needed) -> Result<()> {
    for (name, file) in needed {
        let place = session.tree().root().join(name);
        match file.metadata()?.is_dir() {
            true => files::create_dirs(&place)?,
            false => drop(files::create_file(&place)?),
        }
        let opened = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        mounts::show(&opened, &place).map_err(|error| Error::NotShown { why: error.to_string() })?;
    }
    Ok(())
}

/// Directories for one run. Those of a run that was killed go with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(session: &WriteSession<'_>) -> Result<Self> {
        let scratch = Self(session.tree().root().join(".headers"));
        scratch.clear()?;
        files::create_dirs(&scratch.mount_point())?;
        Ok(scratch)
    }

    fn clear(&self) -> Result<()> {
        [self.stage(), self.downloads()].iter().try_for_each(|dir| files::remove_tree(dir))?;
        // Never with what is in it: that could be what is mounted there.
        files::remove_empty_dir(&self.mount_point());
        files::remove_empty_dir(&self.0);
        Ok(())
    }

    /// Where headers are unpacked.
    fn stage(&self) -> PathBuf {
        self.0.join("content")
    }

    /// Where packages are downloaded to.
    fn downloads(&self) -> PathBuf {
        self.0.join("packages")
    }

    /// An empty directory to mount on.
    fn mount_point(&self) -> PathBuf {
        self.0.join("mount")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}

/// Registers what the machine has, and forgets what it no longer has.
fn take_over(session: &WriteSession<'_>, machine: &Machine) -> Result<()> {
    for id in expired(session.tree()) {
        session.writer.discard_debris(&id)?;
    }
    for package in session.tree().scan(&session.settings.source_tree).packages {
        if machine.sources.iter().all(|(id, _)| *id != package.id) {
            for build in &package.builds {
                session.writer.discard_debris(&package.build_id(&build.target))?;
            }
            session.writer.forget(&package.id)?;
        }
    }
    for (id, source) in &machine.sources {
        // What runs left that a power failure ended.
        files::remove_leftovers(&session.tree().version_dir(id));
        files::remove_leftovers(&session.tree().name_dir(&id.name));
        if !is_same(&session.tree().source(id), source) {
            session.writer.register(id, source)?;
        }
    }
    Ok(())
}

fn is_same(link: &Path, source: &Path) -> bool {
    fs_err::read_link(link).is_ok_and(|text| text == *source)
}

fn look_ahead(
    session: &WriteSession<'_>,
    machine: &Machine,
    release: KernelRelease,
    wanted: &Preflight<'_>,
) -> Result<KernelForecast> {
    let force = wanted.force;
    let target = match wanted.arch {
        Some(arch) => Target::new(release, arch.clone()),
        None => session.settings.usual_target(&release, session.system)?,
    };
    // What an earlier look chose is chosen anew, from the same builds.
    session.writer.forget_nominations(&target)?;
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let mut plan = plan_autoinstall(gather(session, &snapshot, &target, force));
    let nominate = |built: Built| session.writer.nominate(&built);
    let ending = Ending { finish: &nominate, success: AttemptResult::Built };
    let mut built = schedule::run(session, &target, std::mem::take(&mut plan.steps), force, &ending)?;
    plan.replaced.extend(step_back(session, &target, &mut built, &ending)?);
    session.go_on()?;
    let expected = Expectations {
        plan,
        built,
        running: machine.installed.clone(),
        without_source: machine.without_source(),
        out_of_sight: machine.out_of_sight.clone(),
    };
    let packages = forecast(expected).into_iter().map(|forecast| with_kept_log(session, forecast, &target));
    Ok(KernelForecast { packages: packages.collect(), target, running: machine.running.clone() })
}

/// Names the log that the next build does not replace, as other processes know it.
fn with_kept_log(session: &WriteSession<'_>, forecast: Forecast, target: &Target) -> Forecast {
    let Outlook::Fails(error) = forecast.outlook else { return forecast };
    let id = BuildId::new(forecast.package.clone(), target.clone());
    let log = session.tree().kept_failure_log(&id);
    let error = if log.is_file() { error.with_log(session.system.console.renamed(&log)) } else { error };
    Forecast { outlook: Outlook::Fails(error), ..forecast }
}
