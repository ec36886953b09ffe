//! Before a kernel comes: what it would lack is said, and where the administrator demands it the package manager stops. A failure
//! of ours never stops it.

use super::upcoming::dnf::{self, Transaction, from_dnf};
use super::upcoming::{MOST_BYTES, Upcoming, from_apt, from_pacman};
use super::{Hook, run, run_as};
use crate::conf::{EvalContext, Overrides, PreflightPolicy, Settings, is_required};
use crate::inspect::pending::is_switched_off;
use crate::model::{Error, KernelRelease, Result};
use crate::ops::notice::{Missed, publish_forecast};
use crate::ops::preflight::{KernelForecast, Preflight, glance, preflight};
use crate::plan::preflight::{Forecast, Outlook};
use crate::plan::request::{Force, Headers};
use crate::session::Session;
use crate::system::{System, lock, streams};
use crate::tree::Tree;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

/// The status that makes package managers stop; every other one lets them go on (`preflight-apt || test $? -ne 10`).
const STOP: u8 = 10;
/// Stands over `preflight` in framework.conf, for one run.
const VARIABLE: &str = "DKMS_PREFLIGHT";
/// How long a package manager waits for a preflight that began at the same moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// `/usr/lib/dkms/preflight-apt`: apt calls it when every package is there and none is unpacked, and says on standard input what
/// it is about to do. 10 if a kernel would lack what `preflight="require"` demands, else 0.
pub(super) fn preflight_apt() -> ExitCode {
    let upcoming = from_apt(&standard_input());
    if upcoming.is_empty() {
        return ExitCode::SUCCESS;
    }
    run("preflight-apt", |hook| before_upgrade(hook, |_| Ok(upcoming)))
}

/// `/usr/lib/dkms/preflight-pacman`: the same for pacman, which gives the paths that are about to come, without the first slash.
pub(super) fn preflight_pacman() -> ExitCode {
    let paths = standard_input();
    run("preflight-pacman", |hook| before_upgrade(hook, |system| Ok(from_pacman(&paths, system))))
}

/// `/usr/lib/dkms/preflight-dnf`: the same for dnf5, which is asked what comes, and asked to stop. Always 0.
pub(super) fn preflight_dnf() -> ExitCode {
    let transaction = Transaction::ask(&mut std::io::stdin().lock(), &mut std::io::stdout().lock());
    let answer = streams::keep_answer();
    run_as(Hook::new("preflight-dnf"), |hook| {
        let stops = match transaction {
            Ok(found) if found.is_empty() => false,
            Ok(found) => before_upgrade(hook, |system| from_dnf(&found, system)) == STOP,
            Err(error) => {
                go_on(hook, &format!("dnf does not say what comes: {error}"));
                false
            }
        };
        let stopped = answer.and_then(|mut answer| match stops {
            true => dnf::stop("a kernel would lack drivers, and preflight=\"require\"", &mut answer),
            false => Ok(()),
        });
        if let Err(error) = stopped {
            hook.error(&format!("dnf cannot be stopped: {error}"));
        }
        0
    })
}

fn standard_input() -> String {
    let mut text = Vec::new();
    let _ = std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// `upcoming` is asked only where the administrator wants to know.
fn before_upgrade(hook: &mut Hook, upcoming: impl FnOnce(&System) -> Result<Upcoming>) -> u8 {
    let settings = Settings::load(Overrides::default(), &hook.system);
    let policy = policy(hook, &settings);
    if policy == PreflightPolicy::Off || is_switched_off(&hook.system) {
        publish_forecast(&[], false, &hook.system);
        return 0;
    }
    // The package manager waits.
    hook.system.patience = Some(PATIENCE);
    let found = upcoming(&hook.system).and_then(|upcoming| {
        let kernels = look_ahead(&upcoming, policy, &settings, &hook.system)?;
        Ok((upcoming, kernels))
    });
    match found {
        Ok((upcoming, kernels)) => conclude(hook, &kernels, policy, &upcoming, &settings),
        Err(error) => {
            go_on(hook, &error.to_string());
            0
        }
    }
}

/// Says why nothing is known; no failure of ours stops a package manager.
fn go_on(hook: &mut Hook, error: &str) {
    hook.error(error);
    hook.note("it is not known whether drivers build for the kernel that comes; the upgrade goes on.");
}

/// `/usr/lib/dkms/preflight-timer`: builds for the kernel that apt would install next, and leaves a notice if drivers do not build.
/// 0, or 1 where something of ours went wrong.
pub(super) fn preflight_timer() -> ExitCode {
    run("preflight-timer", |hook| {
        let settings = Settings::load(Overrides::default(), &hook.system);
        if is_switched_off(&hook.system) {
            return 0;
        }
        let (headers, force) = (Headers::Candidates, Force::default());
        let wanted = Preflight { headers: &headers, releases: &[], arch: None, force: &force };
        match preflight(&wanted, &settings, &hook.system) {
            Ok(kernels) => {
                let missed = missed(&kernels, &settings, &hook.system);
                tell(hook, &missed);
                publish_forecast(&missed, false, &hook.system);
                0
            }
            Err(error) => {
                hook.error(&error.to_string());
                // Without a kernel that follows, or without the network, there is nothing to look at today.
                u8::from(!matches!(error, Error::NoCandidates { .. }))
            }
        }
    })
}

/// The administrator's rule, or what the variable says for this run.
fn policy(hook: &mut Hook, settings: &Settings) -> PreflightPolicy {
    let Some(text) = hook.system.variable(VARIABLE).filter(|text| !text.is_empty()).map(str::to_owned) else {
        return settings.preflight;
    };
    PreflightPolicy::parse(&text).unwrap_or_else(|| {
        hook.note(&format!("{VARIABLE} is {text:?}, which is none of off, report, build and require."));
        settings.preflight
    })
}

fn look_ahead(
    upcoming: &Upcoming,
    policy: PreflightPolicy,
    settings: &Settings,
    system: &System,
) -> Result<Vec<KernelForecast>> {
    // Before anything is shown in its place.
    let mut bare = Vec::new();
    for release in &upcoming.images {
        if !upcoming.kernels.contains(release) && !settings.kernel(release).has_headers() {
            bare.extend(without_headers(release, settings, system)?);
        }
    }
    // What is known is asked before, for afterwards this process sees another tree.
    let known = upcoming.kernels.iter().map(|release| glance(release, settings, system));
    let mut kernels: Vec<KernelForecast> = known.collect::<Result<_>>()?;
    let builds = match policy {
        PreflightPolicy::Build | PreflightPolicy::Require => !upcoming.kernels.is_empty(),
        PreflightPolicy::Off | PreflightPolicy::Report => false,
    };
    if builds && upcoming.files.is_empty() {
        system.console.note("dkms: the packages with its headers were not found, so nothing is built before; the upgrade goes on.");
    } else if builds && lock::is_held_by_another(Tree::at(&settings.dkms_tree).kept().root()) {
        system
            .console
            .note("dkms: another preflight is building; what it has not found out is not known yet.");
    } else if builds {
        let (headers, force) = (Headers::Given(upcoming.files.clone()), Force::default());
        let wanted = Preflight { headers: &headers, releases: &[], arch: None, force: &force };
        let mut found = preflight(&wanted, settings, system)?;
        // A file may hold the headers of others, too.
        found.retain(|kernel| upcoming.kernels.contains(&kernel.target.release));
        kernels.retain(|kernel| found.iter().all(|other| other.target.release != kernel.target.release));
        kernels.extend(found);
    }
    kernels.extend(bare);
    Ok(kernels)
}

/// What becomes of a kernel whose headers do not come with it: nothing can be built for it.
fn without_headers(
    release: &KernelRelease,
    settings: &Settings,
    system: &System,
) -> Result<Option<KernelForecast>> {
    let Some(running) = system.host.running.clone() else { return Ok(None) };
    let session = Session::look(settings, system);
    let (now, target) = (settings.usual_target(&running, system)?, settings.usual_target(release, system)?);
    let installed = session.tree().active_builds(&now).into_iter().map(|found| found.id().package.clone());
    // A new build of a kernel that is here already finds what it has.
    let lacking = installed.filter(|id| {
        session.tree().active(&id.name, &target).is_none() && session.disabling(id, &target).is_none()
    });
    let packages = lacking.map(|package| Forecast {
        package,
        outlook: Outlook::Waits("the headers of the kernel do not come with it".to_owned()),
        is_running: true,
        instead_of: None,
    });
    let packages = packages.collect();
    Ok(Some(KernelForecast { target, packages, running: Some(running) }))
}

/// What a kernel would lack of what matters here: the running kernel has it, or no kernel is to be without it.
fn missed<'a>(kernels: &'a [KernelForecast], settings: &Settings, system: &System) -> Vec<Missed<'a>> {
    let of = |kernel: &'a KernelForecast| {
        let matters = |forecast: &&Forecast| {
            let is_demanded = || is_demanded(kernel, forecast, settings, system);
            forecast.outlook.is_missing() && (forecast.is_running || is_demanded())
        };
        let packages: Vec<&Forecast> = kernel.packages.iter().filter(matters).collect();
        (!packages.is_empty()).then_some((&kernel.target.release, packages))
    };
    kernels.iter().filter_map(of).collect()
}

fn tell(hook: &mut Hook, missed: &[Missed<'_>]) {
    for (release, packages) in missed {
        hook.note(&format!("kernel {release} would lack drivers:"));
        for forecast in packages {
            hook.note(&format!("  {} {}", forecast.package, forecast.outlook));
            if let Some(log) = forecast.log() {
                hook.note(&format!("      log: {}", log.display()));
            }
        }
    }
}

fn conclude(
    hook: &mut Hook,
    kernels: &[KernelForecast],
    policy: PreflightPolicy,
    upcoming: &Upcoming,
    settings: &Settings,
) -> u8 {
    let missed = missed(kernels, settings, &hook.system);
    tell(hook, &missed);
    let stops = policy == PreflightPolicy::Require && !missed.is_empty();
    publish_forecast(&missed, stops, &hook.system);
    if !stops {
        return 0;
    }
    let lacks = missed.iter().map(|(release, packages)| {
        let names: Vec<String> = packages.iter().map(|forecast| forecast.package.to_string()).collect();
        format!("{release} would not have {}", names.join(", "))
    });
    hook.error(&format!(
        "Nothing is installed, because kernel {}, and preflight=\"require\".\nHold the kernel: {}; or install it all the same, once: {VARIABLE}=report {}",
        lacks.collect::<Vec<_>>().join("; kernel "),
        upcoming.hold,
        upcoming.again,
    ));
    STOP
}

/// Whether the administrator wants no kernel without the package.
fn is_demanded(kernel: &KernelForecast, forecast: &Forecast, settings: &Settings, system: &System) -> bool {
    let facts = settings.kernel(&kernel.target.release);
    let view = EvalContext { package: Some(&forecast.package), kernel: &facts, arch: &kernel.target.arch };
    is_required(view, settings, system)
}
