//! What `preflight` prints: for each kernel a line for each package, or JSON.

use crate::conf::Settings;
use crate::model::text::shown_in_line;
use crate::model::{ExitCode, KernelRelease, Result};
use crate::ops::preflight::{KernelForecast, Preflight, preflight};
use crate::plan::preflight::{Forecast, Outlook};
use crate::plan::request::{ConfFormat, Headers};
use crate::system::System;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Raised when a field goes or changes its meaning; new fields may come at any time.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    ready: bool,
    running: Option<&'a str>,
    kernels: Vec<KernelEntry<'a>>,
}

#[derive(Serialize)]
struct KernelEntry<'a> {
    kernel: &'a str,
    arch: &'a str,
    ready: bool,
    packages: Vec<PackageEntry<'a>>,
}

#[derive(Serialize)]
struct PackageEntry<'a> {
    name: &'a str,
    version: &'a str,
    outlook: &'static str,
    reason: Option<String>,
    log: Option<&'a Path>,
    instead_of: Option<NewerVersion<'a>>,
    running: bool,
}

/// A version that does not build or does not want the kernel.
#[derive(Serialize)]
struct NewerVersion<'a> {
    version: &'a str,
    reason: &'a str,
}

/// Builds and tells: 0, or 1 where the running kernel has something that another one would lack.
///
/// # Errors
/// The headers cannot be used, or the kernel does not allow mounts.
pub(crate) fn print(
    wanted: &Preflight<'_>,
    format: ConfFormat,
    settings: &Settings,
    system: &System,
) -> Result<ExitCode> {
    if format == ConfFormat::Json {
        system.console.keep_stdout_for_document();
    }
    let kernels = preflight(wanted, settings, system)?;
    let ready = kernels.iter().all(is_ready);
    match format {
        ConfFormat::Json => {
            let running = system.host.running.as_ref().map(KernelRelease::as_str);
            let entries = kernels.iter().map(KernelEntry::new).collect();
            let document = Document { schema: SCHEMA, ready, running, kernels: entries };
            system.console.document(&serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        ConfFormat::Text => {
            if kernels.is_empty() && *wanted.headers == Headers::Candidates {
                system
                    .console
                    .say("The next upgrade brings no kernel headers that are not installed already.");
            }
            kernels.iter().for_each(|kernel| tell(kernel, system));
        }
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode(1) })
}

fn is_ready(kernel: &KernelForecast) -> bool {
    kernel.lost().next().is_none()
}

impl<'a> KernelEntry<'a> {
    fn new(kernel: &'a KernelForecast) -> Self {
        Self {
            kernel: kernel.target.release.as_str(),
            arch: kernel.target.arch.as_str(),
            ready: is_ready(kernel),
            packages: kernel.packages.iter().map(PackageEntry::new).collect(),
        }
    }
}

impl<'a> PackageEntry<'a> {
    fn new(forecast: &'a Forecast) -> Self {
        let (outlook, reason) = match &forecast.outlook {
            Outlook::Ready => ("ready", None),
            Outlook::Provided => ("provided", None),
            Outlook::Excluded(why) => ("excluded", Some(why.clone())),
            Outlook::Fails(error) => ("fails", Some(error.in_one_line())),
            Outlook::Failed { reason, .. } => ("fails", Some(reason.clone())),
            Outlook::Waits(why) => ("waits", Some(why.clone())),
            Outlook::Untried(why) => ("untried", Some((*why).to_owned())),
            Outlook::Disabled(why) => ("disabled", Some(why.clone())),
            Outlook::NotAutomatic(why) => ("not-automatic", Some((*why).to_owned())),
        };
        Self {
            name: forecast.package.name.as_str(),
            version: forecast.package.version.as_str(),
            outlook,
            reason,
            log: forecast.log().map(PathBuf::as_path),
            instead_of: forecast
                .instead_of
                .as_ref()
                .map(|(newer, reason)| NewerVersion { version: newer.version.as_str(), reason }),
            running: forecast.is_running,
        }
    }
}

fn tell(kernel: &KernelForecast, system: &System) {
    let console = &system.console;
    let release = &kernel.target.release;
    let lost = kernel.lost().count();
    let running = kernel.running.as_ref().map_or("the running kernel", KernelRelease::as_str);
    let packages =
        |count: usize| if count == 1 { "1 package".to_owned() } else { format!("{count} packages") };
    match lost {
        0 => console.say(format!("{release}  ready: no package that {running} has would be lost")),
        lost => {
            console.say(format!("{release}  NOT READY: it would lack {} that {running} has", packages(lost)))
        }
    }
    let name = |forecast: &Forecast| forecast.package.to_string();
    let width = kernel.packages.iter().map(|forecast| name(forecast).chars().count()).max().unwrap_or(0);
    for forecast in &kernel.packages {
        let text = &forecast.outlook;
        let known = if forecast.is_running || forecast.outlook.is_good() {
            ""
        } else {
            " (the running kernel does not have it either)"
        };
        let newer = forecast.instead_of.iter();
        let newer: String =
            newer.map(|(newer, why)| format!(" ({newer} does not: {})", shown_in_line(why))).collect();
        console.say(format!("  {:width$}  {text}{newer}{known}", name(forecast)));
        if let Some(log) = forecast.log() {
            console.say(format!("      log: {}", log.display()));
        }
    }
    if lost > 0 {
        console.say(format!("Boot {running} until newer drivers are available."));
    }
}
