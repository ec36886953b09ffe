//! framework.conf and dkms.conf: what they say, and where each value came from.
//!
//! Reading a file runs no program where its text can be understood without one; see [`eval`]. Nothing is decided here:
//! whether a package wants a kernel, and what to do about it, is the plan's.

mod administrator;
mod chain;
mod directives;
mod disabled;
pub(crate) mod eval;
mod isolation;
mod settings;
mod typos;
mod validate;
mod values;
mod whitelist;

pub(crate) use administrator::is_required;
pub(crate) use chain::{Effective, Misquoted};
pub(crate) use directives::{Flag, InInitramfs, Module, PackageConf, Script};
pub(crate) use disabled::{
    Disabled, Disabling, FILE as DISABLED_FILE, is_kernel_pattern, with_rule, without_rules,
};
pub(crate) use isolation::{Isolation, IsolationPolicy, default_isolation, isolation_of};
pub(crate) use settings::{
    Compressors, Jobs, OnFailure, Overrides, PreflightPolicy, Settings, framework_files,
};
pub(crate) use typos::unused;
pub(crate) use validate::Strictness;
pub(crate) use values::Values;
pub(crate) use whitelist::WHITELIST;

use crate::kernel::Kernel;
use crate::model::text::shown_in_line;
use crate::model::{Arch, Error, PackageId, Result};
use crate::system::System;
use crate::system::digest::sha256;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// For whom a dkms.conf is evaluated: what its variables show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EvalContext<'a> {
    /// The package, unless a directory is only being asked for its name.
    pub package: Option<&'a PackageId>,
    pub kernel: &'a Kernel,
    pub arch: &'a Arch,
}

/// Reads the dkms.conf of a package, its overrides and the command line's directives, and checks the result.
///
/// # Errors
/// The file is missing or unreadable, bash cannot run or takes too long, or the values are invalid.
pub(crate) fn read_package(
    conf: &Path,
    view: EvalContext<'_>,
    strictness: Strictness,
    settings: &Settings,
    system: &System,
) -> Result<PackageConf> {
    understand(&read_effective(conf, view, settings, system)?, conf, strictness, settings, system)
}

/// Checks the values that a chain of files ended with.
///
/// # Errors
/// They are invalid; every problem is named.
pub(crate) fn understand(
    effective: &Effective,
    conf: &Path,
    strictness: Strictness,
    settings: &Settings,
    system: &System,
) -> Result<PackageConf> {
    let location = settings.effective_location(system);
    let package = PackageConf::from_values(effective, location.as_deref());
    let problems = validate::check(&package, &effective.values, strictness);
    if problems.is_empty() {
        return Ok(package);
    }
    // What bash said is often the cause: a syntax error, with its line.
    let said = effective.messages.iter().map(|line| shown_in_line(line).into_owned());
    let problems = problems.into_iter().map(|problem| format!("dkms.conf: Error! {problem}"));
    let problems = problems.chain(said).collect();
    Err(Error::ConfInvalid { path: conf.to_owned(), problems })
}

/// Reads the same chain of files, and returns the values without checking them.
///
/// # Errors
/// The file is missing or unreadable, or bash cannot run or takes too long.
pub(crate) fn read_effective(
    conf: &Path,
    view: EvalContext<'_>,
    settings: &Settings,
    system: &System,
) -> Result<Effective> {
    let variables = variables(view, settings, system);
    let overrides = existing_overrides(view, system);
    let policy = isolation::read_policy(&overrides, &variables, settings, system);
    let policy = Some(&policy).filter(|policy| policy.isolation != Isolation::Off);
    chain::read(conf, &overrides, variables, policy, settings, system)
}

/// A digest of what a dkms.conf finds beside its files: the variables of dkms and of the caller, and the machine. `None` where the
/// caller says something about its values, so that they are worth nothing to others.
#[must_use]
pub(crate) fn reading_context(view: EvalContext<'_>, settings: &Settings, system: &System) -> Option<String> {
    let environment = system.inherited_env();
    let is_said =
        !settings.directives.is_empty() || environment.keys().any(|name| name.starts_with("DKMS_DIRECTIVE"));
    let variables = variables(view, settings, system);
    let callers = environment.iter().filter(|(name, _)| !is_of_session(name));
    let lines = variables.iter().chain(callers).map(|(name, value)| format!("{name}={value}\n"));
    let machine = fs_err::read_to_string(system.path("/etc/machine-id")).unwrap_or_default();
    let text =
        format!("{}\n{}\n{machine}\n{}", crate::VERSION, settings.no_isolation, lines.collect::<String>());
    (!is_said).then(|| sha256(text.as_bytes()))
}

/// Variables that differ between a person's shell, a package manager and the boot, and mean nothing to a dkms.conf.
fn is_of_session(name: &str) -> bool {
    const NAMES: [&str; 26] = [
        "_",
        "COLORTERM",
        "DISPLAY",
        "EDITOR",
        "HOME",
        "HOSTNAME",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "LS_COLORS",
        "MAIL",
        "MANAGERPID",
        "NOTIFY_SOCKET",
        "OLDPWD",
        "PAGER",
        "PATH",
        "PWD",
        "SHELL",
        "SHLVL",
        "TERM",
        "TMPDIR",
        "USER",
        "VISUAL",
        "WAYLAND_DISPLAY",
    ];
    const PREFIXES: [&str; 13] = [
        "APT_",
        "DBUS_",
        "DEBCONF_",
        "DEBIAN_FRONTEND",
        "DEB_MAINT_",
        "DPKG_",
        "LC_",
        "LESS",
        "MEMORY_PRESSURE_",
        "SSH_",
        "SUDO_",
        "SYSTEMD_",
        "XDG_",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn existing_overrides(view: EvalContext<'_>, system: &System) -> Vec<PathBuf> {
    let names = view.package.map(|package| override_names(package, view, system));
    names.into_iter().flatten().filter(|file| file.is_file()).collect()
}

/// The files that may change a package's values, weakest first, whether they exist or not.
#[must_use]
pub(crate) fn override_names(package: &PackageId, view: EvalContext<'_>, system: &System) -> Vec<PathBuf> {
    let (m, v, k, a) = (&package.name, &package.version, &view.kernel.release, view.arch);
    [
        format!("{m}"),
        format!("{m}-{v}"),
        format!("{m}-{v}-{k}"),
        format!("{m}-{v}-{k}-{a}"),
        format!("{m}--{k}"),
        format!("{m}--{k}-{a}"),
    ]
    .into_iter()
    .map(|stem| system.path("/etc/dkms").join(format!("{stem}.conf")))
    .collect()
}

fn variables(view: EvalContext<'_>, settings: &Settings, system: &System) -> BTreeMap<String, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables: BTreeMap<String, String> = [
        ("kernelver", view.kernel.release.to_string()),
        ("arch", view.arch.to_string()),
        ("kernel_source_dir", text(&view.kernel.build_dir)),
        ("kernel_config", text(&view.kernel.config_path)),
        ("dkms_tree", text(&settings.dkms_tree)),
        ("source_tree", text(&settings.source_tree)),
        ("install_tree", text(&settings.install_tree)),
        ("module", view.package.map(|p| p.name.to_string()).unwrap_or_default()),
        ("module_version", view.package.map(|p| p.version.to_string()).unwrap_or_default()),
        ("parallel_jobs", settings.jobs.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(location) = settings.effective_location(system) {
        variables.insert("dkms_effective_location".into(), location);
    }
    variables
}
