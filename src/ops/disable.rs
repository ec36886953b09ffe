//! The actions disable and enable: what autoinstall, hooks and package managers leave alone.

use crate::conf::{DISABLED_FILE, with_rule, without_rules};
use crate::inspect::check::Kernels;
use crate::inspect::known_conf::known_conf;
use crate::model::remedy::Remedy;
use crate::model::{BuildId, Error, PackageId, Result, Target};
use crate::ops::boot_default::keep_complete;
use crate::plan::buildable;
use crate::plan::request::{PackageQuery, Switch, SwitchTo};
use crate::session::{Session, WriteSession};
use crate::system::files;
use std::path::PathBuf;

/// Does what is asked, and says what follows from it.
///
/// # Errors
/// The list cannot be written, or there is nothing to enable.
pub(crate) fn switch_to(switch: &Switch, session: &WriteSession<'_>) -> Result<()> {
    let text = read(session)?;
    let package = name(&switch.package);
    let kernels = switch.kernels.as_deref();
    let (console, shown) = (&session.system.console, kernels.map(|k| format!(" for kernels {k}")));
    let shown = shown.unwrap_or_default();
    match &switch.to {
        SwitchTo::Disabled { reason } => {
            write(&with_rule(&text, &package, kernels.unwrap_or("*"), reason), session)?;
            console.say(format!("{package} is disabled{shown}."));
            tell_what_stays(switch, session);
        }
        SwitchTo::Enabled => {
            let (text, gone) = without_rules(&text, &package, kernels);
            if gone == 0 {
                return Err(nothing_to_enable(switch, session));
            }
            write(&text, session)?;
            console.say(format!("{package} is enabled{shown}."));
            tell_how_to_install(switch, session);
            tell_what_else_disables(switch, session);
        }
    }
    keep_complete(session);
    Ok(())
}

/// The list; empty where there is none.
///
/// # Errors
/// It is there and cannot be read.
pub(super) fn read(session: &WriteSession<'_>) -> Result<String> {
    match fs_err::read(session.system.path(DISABLED_FILE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => Ok(String::from_utf8_lossy(&other?).into_owned()),
    }
}

pub(super) fn write(text: &str, session: &WriteSession<'_>) -> Result<()> {
    let path = session.system.path(DISABLED_FILE);
    // A link stays one.
    let path = fs_err::canonicalize(&path).unwrap_or(path);
    if text.is_empty() {
        return Ok(files::remove_file(&path)?);
    }
    if let Some(dir) = path.parent() {
        files::create_dirs(dir)?;
        // What a killed run left; the lock is held.
        files::remove_leftovers(dir);
    }
    Ok(files::publish_file(&path, text.as_bytes(), 0o644)?)
}

fn name(package: &PackageQuery) -> String {
    match &package.version {
        Some(version) => format!("{}/{version}", package.name),
        None => package.name.to_string(),
    }
}

/// To leave a package alone is not to remove it.
fn tell_what_stays(switch: &Switch, session: &WriteSession<'_>) {
    let console = &session.system.console;
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let mut packages = snapshot.packages.iter().filter(|package| switch.package.is(&package.id)).peekable();
    if packages.peek().is_none() {
        console.note(format!(
            "{} is not registered with dkms; the rule applies once it is.",
            name(&switch.package)
        ));
    }
    for package in packages {
        for build in &package.builds {
            let is_meant = session.disabled().of(&package.id).any(|rule| rule.is_for(&build.target.release));
            if is_meant && session.tree().installed(&package.build_id(&build.target)).is_some() {
                let target = build.target.clone();
                let text = format!("It stays installed for kernel {target}. To remove it");
                let remedy = Remedy::Uninstall { package: package.id.clone(), target };
                console.say(format!("{text}: {remedy}"));
            }
        }
    }
}

/// The kernels of this machine.
fn targets(session: &WriteSession<'_>) -> Vec<Target> {
    let kernels = Kernels::read(session.settings, session.system).all;
    let targets = kernels.iter().map(|release| session.settings.usual_target(release, session.system));
    targets.filter_map(Result::ok).collect()
}

/// The kernels that lack it can have it now.
fn tell_how_to_install(switch: &Switch, session: &WriteSession<'_>) {
    // What is disabled now, after the change.
    let look = Session::look(session.settings, session.system);
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let targets = targets(session);
    let pattern = switch.kernels.as_deref().and_then(|kernels| glob::Pattern::new(kernels).ok());
    let is_meant =
        |target: &Target| pattern.as_ref().is_none_or(|pattern| pattern.matches(target.release.as_str()));
    for name in snapshot.names() {
        let versions = snapshot.versions(name);
        let mut ids = versions.iter().map(|package| &package.id);
        let Some(id) = ids.find(|id| switch.package.is(id)) else { continue };
        let wants = |target: &Target| {
            let conf = known_conf(session, &BuildId::new(id.clone(), target.clone()));
            conf.is_ok_and(|conf| {
                buildable(&conf, target, session.kernel(&target.release).config()).package.is_none()
            })
        };
        let lacks = |target: &&Target| {
            is_meant(target)
                && session.tree().active(name, target).is_none()
                && session.kernel(&target.release).has_headers()
                && look.disabling(id, target).is_none()
                && wants(target)
        };
        let lacking: Vec<Target> = targets.iter().filter(lacks).cloned().collect();
        if !lacking.is_empty() {
            let remedy = Remedy::InstallOn { package: id.clone(), targets: lacking };
            session.system.console.say(format!("To install it now: {remedy}"));
        }
    }
}

fn tell_what_else_disables(switch: &Switch, session: &WriteSession<'_>) {
    if let Some(file) = disabling_file(switch, session) {
        session.system.console.warn(format!("{} disables it as well.", file.display()));
    }
}

/// A file for the package alone that disables it on a kernel of this machine.
fn disabling_file(switch: &Switch, session: &WriteSession<'_>) -> Option<PathBuf> {
    // What is disabled now, after the change.
    let look = Session::look(session.settings, session.system);
    let list = session.system.path(DISABLED_FILE);
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let targets = targets(session);
    let mut ids = snapshot.packages.iter().map(|package| &package.id).filter(|id| switch.package.is(id));
    ids.find_map(|id| {
        let files = targets.iter().filter_map(|target| look.disabling(id, target)).map(|why| why.file);
        files.into_iter().find(|file| *file != list)
    })
}

fn nothing_to_enable(switch: &Switch, session: &WriteSession<'_>) -> Error {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let ids: Vec<&PackageId> =
        snapshot.packages.iter().map(|package| &package.id).filter(|id| switch.package.is(id)).collect();
    let package = name(&switch.package);
    let other = ids.iter().find_map(|id| session.disabled().of(id).next());
    let text = match (other, disabling_file(switch, session)) {
        (Some(rule), _) => format!(
            "There is no such rule for {package}, but one for {} (kernels {}).\nTry: {}",
            rule.package,
            rule.kernels,
            Remedy::EnableRule(rule.package.clone())
        ),
        (None, Some(file)) => format!(
            "{package} is disabled in {}, which dkms does not edit.\nRemove the line with \"disabled\" there.",
            file.display()
        ),
        (None, None) => format!("{package} is not disabled in {DISABLED_FILE}."),
    };
    Error::Usage { code: 3, text }
}
