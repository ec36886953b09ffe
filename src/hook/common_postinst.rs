//! `/usr/lib/dkms/common.postinst NAME VERSION [TARBALL_ROOT] [ARCH] [UPGRADE]`: what every driver package calls when it
//! is configured.

use super::policy::{self, Failure};
use super::{Hook, kernels, run};
use crate::archive::source::AddOptions;
use crate::conf::{Overrides, Settings, Strictness};
use crate::inspect::pending::is_switched_off;
use crate::install::transaction::index_after_removal;
use crate::model::{
    Arch, BuildId, Error, KernelRelease, PackageId, PackageName, PackageVersion, Result, SourceState, Target,
};
use crate::ops::lifecycle;
use crate::ops::stand_in::stand_in_everywhere;
use crate::ops::{self, notice, remove};
use crate::plan::request::Job;
use crate::plan::request::{Force, Subject};
use crate::session::WriteSession;
use crate::system::syslog::Severity;
use std::process::ExitCode;

/// The program. 0 where the package is loaded, also if it does not build, unless `on_failure` says `fail`.
pub(super) fn common_postinst() -> ExitCode {
    run("common-postinst", |hook| match work(hook) {
        Ok(code) => code,
        Err(error) => {
            hook.error(&error.to_string());
            error.exit_code().0
        }
    })
}

fn work(hook: &mut Hook) -> Result<u8> {
    if hook.arg(0).is_empty() || hook.arg(1).is_empty() {
        let text = "Need NAME, and VERSION defined.\nUsage: common.postinst NAME VERSION [TARBALL_ROOT] [ARCH] [UPGRADE]";
        return Err(Error::Usage { code: 1, text: text.into() });
    }
    if is_switched_off(&hook.system) {
        return Ok(0);
    }
    let id = PackageId::new(PackageName::parse(hook.arg(0))?, PackageVersion::parse(hook.arg(1))?);
    let settings = Settings::load(Overrides::default(), &hook.system);
    let upgrade = !hook.arg(4).is_empty();
    let releases = kernels::choose(&settings, &hook.system, upgrade);
    let failures = load_and_install(hook, &id, &releases, &settings).inspect_err(|_| {
        let targets = releases.iter().filter_map(|release| target_of(hook, Some(release), &settings).ok());
        let failed: Vec<(Target, PackageId)> = targets.map(|target| (target, id.clone())).collect();
        notice::note_failed(&failed, &settings, &hook.system);
    })?;
    let failed: Vec<(Target, PackageId)> =
        failures.iter().map(|failure| (failure.target.clone(), failure.id.clone())).collect();
    notice::note_failed(&failed, &settings, &hook.system);
    if failures.is_empty() {
        return Ok(0);
    }
    let block = policy::loud_block(&failures, &settings, &hook.system);
    hook.system.console.note(&block);
    hook.syslog.write(Severity::Error, &block);
    let fails = policy::fails_caller(&failures, &settings, &hook.system);
    Ok(if fails { failures.last().map_or(1, |failure| failure.code) } else { 0 })
}

fn load_and_install(
    hook: &Hook,
    id: &PackageId,
    releases: &[KernelRelease],
    settings: &Settings,
) -> Result<Vec<Failure>> {
    let system = &hook.system;
    let session = ops::change(settings, system)?;
    // The package manager has replaced the source already: what was registered is of the old one.
    let mut to_index = remove::clear_for_upgrade(&session, id, releases)?;
    let any = target_of(hook, releases.first().or(system.host.running.as_ref()), settings)?;
    let added = add(hook, &session, id, &any)
        .and_then(|()| session.conf(id, &session.tree().conf_path(id), &any, Strictness::Lenient));
    let conf = match added {
        Ok(conf) => conf,
        Err(error) => {
            stand_in_everywhere(&session, &id.name, Some(id));
            to_index.iter().for_each(|release| index_after_removal(&session, release));
            return Err(error);
        }
    };
    // The package wants to be registered only; the administrator installs it.
    if !conf.autoinstall.is_yes() {
        to_index.iter().for_each(|release| index_after_removal(&session, release));
        return Ok(Vec::new());
    }
    // A package with built modules serves kernels without headers too.
    let mut releases = releases.to_vec();
    let more = with_builds(&session, id).into_iter().filter(|release| !releases.contains(release));
    releases.extend(more.collect::<Vec<_>>());
    if releases.is_empty() {
        system.console.warn(format!(
            "No kernel has headers here; {id} is built when the headers of one are installed."
        ));
    }
    let mut failures = Vec::new();
    for release in &releases {
        let target = target_of(hook, Some(release), settings)?;
        match install_for(&session, id, &target) {
            Ok(indexed) => to_index.retain(|waiting| !indexed || waiting != release),
            // The version before the upgrade is in use.
            Err(error) if waits_or_fails(&error) && session.tree().active(&id.name, &target).is_some() => {
                session.tell(&error);
            }
            Err(error) => {
                session.tell(&error);
                failures.push(Failure::from_error(id, &target, &error));
                if !settings.continue_on_error {
                    break;
                }
            }
        }
    }
    // Other kernels get the new version when they are started, or when dkms is asked to.
    stand_in_everywhere(&session, &id.name, Some(id));
    to_index.iter().for_each(|release| index_after_removal(&session, release));
    Ok(failures)
}

fn waits_or_fails(error: &Error) -> bool {
    error.is_of_the_package() || matches!(error, Error::DependencyMissing { .. })
}

/// Kernels of this machine for which the package brings what is built: they need no headers.
fn with_builds(session: &WriteSession<'_>, id: &PackageId) -> Vec<KernelRelease> {
    let package = session.tree().package(id.clone(), &session.settings.source_tree);
    let builds = package.map(|package| package.builds).unwrap_or_default();
    let releases = builds.into_iter().map(|build| build.target.release);
    releases.filter(|release| session.kernel(release).exists()).collect()
}

/// Installs the package for one kernel; tells whether the kernel was indexed. A kernel that the package does not want,
/// or for which nothing can be made yet, causes a note and is not a failure.
fn install_for(session: &WriteSession<'_>, id: &PackageId, target: &Target) -> Result<bool> {
    let console = &session.system.console;
    if lacks_binaries(session, id, target) {
        console.note(format!(
            "This package appears to be a binaries-only package: it has no modules for kernel {target}, so none are installed for it."
        ));
        return Ok(false);
    }
    let job = Job::of_package(id.clone(), target.clone(), Force::default());
    match lifecycle::install_all(session, &job) {
        Ok(()) => Ok(true),
        Err(error) if error.is_refusal() => {
            console.note(error.to_string());
            Ok(false)
        }
        Err(Error::HeadersMissing { release, .. }) => {
            console.note(format!(
                "Module build for kernel {release} was skipped since the kernel headers for this kernel do not seem to be installed."
            ));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Adds the package: from its tarball, if it is shipped as one, else from the source tree.
fn add(hook: &Hook, session: &WriteSession<'_>, id: &PackageId, target: &Target) -> Result<()> {
    let root = hook.arg(2);
    let tarball = hook.system.path(root).join(format!("{}.dkms.tar.gz", id.source_dir_name()));
    if root.is_empty() || !tarball.is_file() {
        return ops::add::add(session, &Subject::Package(id.clone()), AddOptions::default(), target)
            .map(|_| ());
    }
    let loaded = ops::add::add(session, &Subject::Archive(tarball.clone()), AddOptions::default(), target);
    let why = match loaded {
        // A tarball of another package must not be taken for this one: dpkg would record a package that is not there.
        Ok(added) if added.id() == id => return Ok(()),
        Ok(added) => format!("It holds {} instead of {id}.", added.id()),
        Err(error) => error.to_string(),
    };
    let text = format!(
        "Unable to load the DKMS tarball {}.\n{why}\nCorrect the problem and configure the package again: {id} is not in the tree.",
        tarball.display()
    );
    Err(Error::Usage { code: 2, text })
}

/// Without source and without a build in its tarball, nothing can be made for a kernel.
fn lacks_binaries(session: &WriteSession<'_>, id: &PackageId, target: &Target) -> bool {
    let source = session.tree().source_state(id, &session.settings.source_tree);
    let build = BuildId::new(id.clone(), target.clone());
    source == Some(SourceState::BinariesOnly) && session.tree().built(&build).is_none()
}

fn target_of(hook: &Hook, release: Option<&KernelRelease>, settings: &Settings) -> Result<Target> {
    let release = release.ok_or(Error::EmptyTarget)?;
    match hook.arg(3) {
        "" => settings.usual_target(release, &hook.system),
        text => Ok(Target::new(release.clone(), Arch::parse(text)?)),
    }
}
