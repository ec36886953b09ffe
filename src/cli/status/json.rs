//! `status --format json`: everything that the lines say, and what they have no room for.
//!
//! `schema` is raised when a field goes or changes its meaning; new fields may come at any time.

use super::items::{Item, Row, View};
use crate::conf::Disabling;
use crate::inspect::inputs::staleness;
use crate::kernel::module_file::{ModuleFile, split_signature};
use crate::model::BuildState;
use crate::model::module_name::module_name;
use crate::model::{BuildId, PackageId, Target};
use crate::signing::signer_name;
use crate::system::digest;
use crate::tree::{Built, FailureRecord, IsolationRecord};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document {
    schema: u32,
    packages: Vec<PackageStatus>,
}

#[derive(Serialize)]
struct PackageStatus {
    name: String,
    version: String,
    /// `added` or `broken`; how far the builds are is theirs to say.
    state: &'static str,
    /// Why it is broken, or why there is no build.
    reason: Option<String>,
    source: PathBuf,
    /// The log of the last build, if that failed.
    failure_log: Option<PathBuf>,
    /// Where the administrator wants it left alone.
    disabled: Vec<DisabledStatus>,
    /// Builds that failed and are not retried before something changes.
    failures: Vec<FailureStatus>,
    builds: Vec<BuildStatus>,
}

#[derive(Serialize)]
struct DisabledStatus {
    /// A shell wildcard.
    kernels: String,
    reason: String,
    file: PathBuf,
}

#[derive(Serialize)]
struct FailureStatus {
    kernel: String,
    arch: String,
    /// RFC 3339.
    at: Option<String>,
    code: u8,
    reason: String,
    /// How long the build took; null where that was not recorded.
    duration_ms: Option<u64>,
    /// How its programs were kept from the machine; null where that was not recorded.
    isolation: Option<IsolationRecord>,
    log: Option<PathBuf>,
}

#[derive(Serialize)]
struct BuildStatus {
    kernel: String,
    arch: String,
    /// `built`, `installed` or `installed-weak`.
    state: String,
    /// What is wrong with it, or which kernel the modules are borrowed from.
    reason: Option<String>,
    /// Why it is not what would be built now.
    stale: Option<String>,
    /// For `installed-weak`: the kernel that has the modules.
    from: Option<String>,
    original_modules: bool,
    /// How long the build took; null where that was not recorded.
    duration_ms: Option<u64>,
    cpu_ms: Option<u64>,
    /// How its programs were kept from the machine; null where that was not recorded.
    isolation: Option<IsolationRecord>,
    log: Option<PathBuf>,
    modules: Vec<ModuleStatus>,
}

#[derive(Serialize)]
struct ModuleStatus {
    name: String,
    /// The built file, its SHA-256, and what it says of itself; null where it cannot be read.
    built: PathBuf,
    sha256: Option<String>,
    version: Option<String>,
    srcversion: Option<String>,
    vermagic: Option<String>,
    /// The common name of the signer; null without a signature.
    signer: Option<String>,
    /// The file in the kernel's directory; null while it is only built.
    installed: Option<PathBuf>,
    /// Its SHA-256; null if it is not there.
    installed_sha256: Option<String>,
}

pub(crate) fn document<'a>(items: impl Iterator<Item = &'a Item>, view: &View<'_>) -> String {
    let mut packages: Vec<PackageStatus> = Vec::new();
    for item in items {
        let id = item.package();
        let at = packages
            .iter()
            .position(|known| known.name == id.name.as_str() && known.version == id.version.as_str());
        let at = at.unwrap_or_else(|| {
            packages.push(package(item, view));
            packages.len() - 1
        });
        packages[at].builds.extend(build(item, view));
    }
    serde_json::to_string_pretty(&Document { schema: SCHEMA, packages }).unwrap_or_default()
}

fn package(item: &Item, view: &View<'_>) -> PackageStatus {
    let id = item.package();
    let log = Some(view.tree.failure_log(id)).filter(|path| path.is_file());
    let (state, reason) = match item {
        Item::Broken { source, .. } => {
            ("broken", Some(format!("{} leads to no directory", source.display())))
        }
        _ => ("added", log.as_ref().map(|_| "the last build failed".to_owned())),
    };
    PackageStatus {
        name: id.name.to_string(),
        version: id.version.to_string(),
        state,
        reason,
        source: view.settings.source_tree.join(id.source_dir_name()),
        failure_log: log,
        disabled: disabled(id, view),
        failures: failures(id, view),
        builds: Vec::new(),
    }
}

fn disabled(id: &PackageId, view: &View<'_>) -> Vec<DisabledStatus> {
    let status = |rule: &Disabling| DisabledStatus {
        kernels: rule.kernels.clone(),
        reason: rule.reason.clone(),
        file: rule.file.clone(),
    };
    view.session.disabled().of(id).map(status).collect()
}

fn failures(id: &PackageId, view: &View<'_>) -> Vec<FailureStatus> {
    let log = |target: &Target| view.tree.log_of_failure(&BuildId::new(id.clone(), target.clone()));
    let status = |(target, record, written): (Target, FailureRecord, Option<SystemTime>)| FailureStatus {
        kernel: target.release.to_string(),
        arch: target.arch.to_string(),
        at: written.and_then(|time| jiff::Timestamp::try_from(time).ok()).map(|time| {
            time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }),
        code: record.exit_code,
        reason: record.reason,
        duration_ms: record.duration_ms,
        isolation: record.isolation,
        log: record.log.and_then(|_| log(&target)),
    };
    view.failures(id).into_iter().map(status).collect()
}

fn build(item: &Item, view: &View<'_>) -> Option<BuildStatus> {
    match item {
        Item::Broken { .. } | Item::Added { .. } => None,
        Item::Build(row) => Some(build_status(row, view)),
        Item::Weak { target, from, .. } => Some(BuildStatus {
            kernel: target.release.to_string(),
            arch: target.arch.to_string(),
            state: "installed-weak".to_owned(),
            reason: Some(format!("the modules are those of kernel {from}")),
            stale: None,
            from: Some(from.to_string()),
            original_modules: false,
            duration_ms: None,
            cpu_ms: None,
            isolation: None,
            log: None,
            modules: Vec::new(),
        }),
    }
}

fn build_status(row: &Row, view: &View<'_>) -> BuildStatus {
    let built = view.tree.built(&row.id);
    let is_installed = row.state == BuildState::Installed;
    let record = built.as_ref().and_then(Built::record);
    let places = built.as_ref().map(|built| view.places(built, record.as_ref())).unwrap_or_default();
    let log = view.tree.out_dir(&row.id).join("log/make.log");
    BuildStatus {
        kernel: row.id.target.release.to_string(),
        arch: row.id.target.arch.to_string(),
        state: row.state.to_string(),
        reason: row.flaw.as_ref().map(ToString::to_string),
        stale: built.as_ref().and_then(|built| staleness(view.session, built)).map(|why| why.to_string()),
        from: None,
        original_modules: row.originals,
        duration_ms: record.as_ref().and_then(|record| record.duration_ms),
        cpu_ms: record.as_ref().and_then(|record| record.cpu_ms),
        isolation: record.and_then(|record| record.isolation),
        log: Some(log).filter(|path| path.is_file()),
        modules: places
            .into_iter()
            .map(|(built, place)| module(built, is_installed.then_some(place)))
            .collect(),
    }
}

fn module(built: PathBuf, installed: Option<PathBuf>) -> ModuleStatus {
    let file = ModuleFile::read(&built).unwrap_or_default();
    let sha256 = |path: &Path| fs_err::read(path).ok().map(|content| digest::sha256(&content));
    ModuleStatus {
        name: module_name(&built),
        sha256: sha256(&built),
        version: file.info.version,
        srcversion: file.info.srcversion,
        vermagic: file.info.vermagic.map(|text| text.trim_end().to_owned()),
        signer: split_signature(&file.content).and_then(|(_, signature)| signer_name(signature)),
        installed_sha256: installed.as_deref().and_then(sha256),
        installed,
        built,
    }
}
