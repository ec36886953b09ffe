//! Before a kernel comes: what it would lack is said, and where the administrator demands it the package manager stops. A failure
//! of ours never stops it.
//!
//! Source: apt.conf(5), "DPkg::Pre-Install-Pkgs" and its protocol, version 3; alpm-hooks(5).

use super::{Hook, run};
use crate::archive::kernel_package::is_kernel_package;
use crate::conf::{EvalContext, Overrides, PreflightPolicy, Settings, is_required};
use crate::inspect::pending::is_switched_off;
use crate::kernel::apt_packages::{has_headers, headers_follower, headers_of, image_of};
use crate::model::{Error, KernelRelease, Result};
use crate::ops::notice::{Missed, publish_forecast};
use crate::ops::preflight::{KernelForecast, Preflight, glance, preflight};
use crate::plan::preflight::{Forecast, Outlook};
use crate::plan::request::{Force, Headers};
use crate::session::Session;
use crate::system::ancestors::ancestors;
use crate::system::process::Output;
use crate::system::{System, dir, lock};
use crate::tree::Tree;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The status that makes package managers stop; every other one lets them go on (`preflight-apt || test $? -ne 10`).
const STOP: u8 = 10;
/// Stands over `preflight` in framework.conf, for one run.
const VARIABLE: &str = "DKMS_PREFLIGHT";
/// How long a package manager waits for a preflight that began at the same moment.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than apt writes about a whole distribution.
const MOST_BYTES: u64 = 64 << 20;

/// `/usr/lib/dkms/preflight-apt`: apt calls it when every package is there and none is unpacked, and says on standard input what
/// it is about to do. 10 if a kernel would lack what `preflight="require"` demands, else 0.
pub(super) fn preflight_apt() -> ExitCode {
    let upcoming = apt(&standard_input());
    if upcoming.kernels.is_empty() && upcoming.images.is_empty() {
        return ExitCode::SUCCESS;
    }
    run("preflight-apt", |hook| before_upgrade(hook, &upcoming))
}

/// `/usr/lib/dkms/preflight-pacman`: the same for pacman, which gives the paths that are about to come, without the first slash.
pub(super) fn preflight_pacman() -> ExitCode {
    let paths = standard_input();
    run("preflight-pacman", |hook| {
        let upcoming = pacman(&paths, &hook.system);
        before_upgrade(hook, &upcoming)
    })
}

fn standard_input() -> String {
    let mut text = Vec::new();
    let _ = std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn before_upgrade(hook: &mut Hook, upcoming: &Upcoming) -> u8 {
    let settings = Settings::load(Overrides::default(), &hook.system);
    let policy = policy(hook, &settings);
    if policy == PreflightPolicy::Off || is_switched_off(&hook.system) {
        publish_forecast(&[], false, &hook.system);
        return 0;
    }
    // The package manager waits.
    hook.system.patience = Some(PATIENCE);
    match look_ahead(upcoming, policy, &settings, &hook.system) {
        Ok(kernels) => conclude(hook, &kernels, policy, upcoming, &settings),
        Err(error) => {
            hook.error(&error.to_string());
            hook.note(
                "it is not known whether drivers build for the kernel that comes; the upgrade goes on.",
            );
            0
        }
    }
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

/// What a package manager is about to do, as far as it concerns kernels.
#[derive(Debug, Default, PartialEq, Eq)]
struct Upcoming {
    /// Kernels whose headers come.
    kernels: BTreeSet<KernelRelease>,
    /// Kernels whose images come.
    images: BTreeSet<KernelRelease>,
    /// The packages with headers and what is needed with them.
    files: Vec<PathBuf>,
    /// A command that keeps the kernels from coming.
    hold: String,
    /// The command to repeat.
    again: &'static str,
}

/// Reads version 3 of apt's protocol: lines of configuration, an empty line, then one line for each package: its name, the old
/// version, its architecture and multi-arch word, a comparison, the same three of the new one, and the file that is about to be
/// unpacked.
fn apt(text: &str) -> Upcoming {
    let mut found = Upcoming { again: "apt upgrade", ..Upcoming::default() };
    let mut names = BTreeSet::new();
    let mut lines = text.lines();
    let configuration = lines.by_ref().take_while(|line| !line.is_empty());
    let native = configuration.filter_map(|line| line.strip_prefix("APT::Architecture=")).last();
    let native = native.map(str::to_owned);
    for line in lines {
        let words: Vec<&str> = line.splitn(9, ' ').collect();
        let [name, _, _, _, _, _, arch, _, file] = words.as_slice() else { continue };
        // What another architecture's programs run on is none of this machine's kernels.
        let is_foreign = *arch != "all" && native.as_ref().is_some_and(|native| native != arch);
        if !file.starts_with('/') || is_foreign {
            continue;
        }
        let (kernel, image) = (headers_of(name, arch), image_of(name));
        if kernel.is_some() || image.is_some() || headers_follower(name).is_some() {
            names.insert(*name);
        }
        if has_headers(name) {
            found.files.push(PathBuf::from(file));
        }
        found.kernels.extend(kernel);
        found.images.extend(image);
    }
    // What follows new kernels, or else the kernels themselves.
    let followers: BTreeSet<&str> =
        names.iter().copied().filter(|name| headers_follower(name).is_some()).collect();
    let held = if followers.is_empty() { names } else { followers };
    found.hold = format!("apt-mark hold {}", held.into_iter().collect::<Vec<_>>().join(" "));
    found
}

/// Reads the paths that pacman gives, and looks for the packages that they are in: among those that it was given by name, and
/// among those that it has downloaded.
///
/// Source: alpm-hooks(5); pacman.conf(5), `CacheDir`.
fn pacman(paths: &str, system: &System) -> Upcoming {
    let mut found = Upcoming { again: "pacman -Syu", ..Upcoming::default() };
    for path in paths.lines().filter_map(|line| line.strip_prefix("usr/lib/modules/")) {
        let Some((release, rest)) = path.split_once('/') else { continue };
        let Ok(release) = KernelRelease::new(release) else { continue };
        match rest.starts_with("build/") {
            true => found.kernels.insert(release),
            false => found.images.insert(release),
        };
    }
    let is_wanted = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let is_package = is_kernel_package(file) && !name.ends_with(".sig");
        is_package && found.kernels.iter().any(|kernel| has_version(&name, version(kernel)))
    };
    found.files =
        given_to_pacman().into_iter().chain(downloaded_by_pacman(system)).filter(is_wanted).collect();
    // linux-headers-6.9.5.arch1-1-x86_64.pkg.tar.zst: behind the name follow the version, the release and the architecture.
    let name = |file: &PathBuf| Some(file.file_name()?.to_str()?.rsplitn(4, '-').last()?.to_owned());
    let headers: BTreeSet<String> = found.files.iter().filter_map(name).collect();
    let images = headers.iter().filter_map(|name| name.strip_suffix("-headers").map(str::to_owned));
    let held: Vec<String> = images.chain(headers.iter().cloned()).collect();
    let held = if held.is_empty() { "KERNEL,KERNEL-headers".to_owned() } else { held.join(",") };
    found.hold = format!("pacman -Syu --ignore {held}");
    found
}

/// The version that a release begins with: of 6.9.5-arch1-1 it is 6.9.5.
fn version(release: &KernelRelease) -> &str {
    let text = release.as_str();
    &text[..text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len())]
}

/// Whether a package of headers is of this version: linux-headers-6.9.5.arch1-1 of 6.9.5, and not of 6.9.
fn has_version(name: &str, version: &str) -> bool {
    let rest = name.split_once("-headers-").and_then(|(_, rest)| rest.strip_prefix(version));
    rest.is_some_and(|rest| {
        let mut next = rest.chars();
        let is_longer = match next.next() {
            Some('.') => next.next().is_some_and(|c| c.is_ascii_digit()),
            first => first.is_some_and(|c| c.is_ascii_digit()),
        };
        !is_longer
    })
}

/// Packages in pacman's own command line.
fn given_to_pacman() -> Vec<PathBuf> {
    let Some(pacman) = ancestors().find(|process| process.command == "pacman") else { return Vec::new() };
    let place = PathBuf::from(format!("/proc/{}", pacman.pid));
    let dir = fs_err::read_link(place.join("cwd")).unwrap_or_default();
    let line = fs_err::read(place.join("cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).map(|word| dir.join(String::from_utf8_lossy(word).as_ref()));
    words.filter(|file| file.is_file()).collect()
}

fn downloaded_by_pacman(system: &System) -> Vec<PathBuf> {
    let asked = system.command("pacman-conf").arg("CacheDir").stdout(Output::Capture).run();
    let text = asked.map(|outcome| String::from_utf8_lossy(&outcome.stdout).into_owned()).unwrap_or_default();
    let usual = "/var/cache/pacman/pkg".to_owned();
    let dirs = if text.trim().is_empty() { usual } else { text };
    dirs.lines().flat_map(|line| dir::entries(system.path(line))).map(|entry| entry.path()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TEXT: &str = "VERSION 3\nAPT::Architecture=amd64\n\n\
        linux-kbuild-6.1 6.1.164-1 amd64 foreign < 6.1.170-1 amd64 foreign /var/cache/apt/archives/linux-kbuild-6.1.deb\n\
        linux-headers-6.1.0-56-common - - none < 6.1.170-1 all foreign /var/cache/apt/archives/common.deb\n\
        linux-headers-6.1.0-56-amd64 - - none < 6.1.170-1 amd64 none /var/cache/apt/archives/a file.deb\n\
        linux-image-6.1.0-56-amd64 - - none < 6.1.170-1 amd64 none /var/cache/apt/archives/image.deb\n\
        linux-image-amd64 6.1.164-1 amd64 none < 6.1.170-1 amd64 none /var/cache/apt/archives/meta.deb\n\
        bash 5.2 amd64 foreign < 5.3 amd64 foreign /var/cache/apt/archives/bash.deb\n\
        linux-headers-6.1.0-49-amd64 6.1.160-1 amd64 none > - - none **REMOVE**\n\
        linux-headers-6.1.0-56-amd64 - - none < 6.1.170-1 amd64 none **CONFIGURE**\n";

    #[rstest]
    #[case("linux-headers-6.9.5.arch1-1-x86_64.pkg.tar.zst", true)]
    #[case("linux-lts-headers-6.9.5-1-x86_64.pkg.tar.zst", true)]
    #[case("linux-headers-6.9.51-1-x86_64.pkg.tar.zst", false)]
    #[case("linux-headers-6.9.5.1-1-x86_64.pkg.tar.zst", false)]
    #[case("linux-6.9.5.arch1-1-x86_64.pkg.tar.zst", false)]
    fn package_of_headers_is_known_by_its_version(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(has_version(name, "6.9.5"), expected);
    }

    #[test]
    fn kernels_of_transaction_are_found() {
        let found = apt(TEXT);
        let release = KernelRelease::new("6.1.0-56-amd64").unwrap();
        assert_eq!(found.kernels, BTreeSet::from([release.clone()]));
        assert_eq!(found.images, BTreeSet::from([release]));
        let files: Vec<_> =
            found.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(files, ["linux-kbuild-6.1.deb", "common.deb", "a file.deb"]);
        assert_eq!(found.hold, "apt-mark hold linux-image-amd64");
    }

    #[test]
    fn transaction_without_kernels_is_nothing() {
        for text in ["VERSION 3\n\nbash 1 a f < 2 a f /b.deb\n", "", "\u{0}nonsense\n\nlinux-image-x\n"] {
            let found = apt(text);
            assert!(
                found.kernels.is_empty() && found.images.is_empty() && found.files.is_empty(),
                "{found:?}"
            );
        }
    }
}
