//! The actions disable and enable: what autoinstall, hooks and package managers leave alone.

use crate::conf::{DISABLED_FILE, with_rule, without_rules};
use crate::model::{Error, Result};
use crate::ops::notice;
use crate::plan::request::{PackageQuery, Switch, SwitchTo};
use crate::session::WriteSession;
use crate::system::files;

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
            console.say(format!("{package} is enabled{shown}. What is pending: dkms autoinstall"));
        }
    }
    notice::refresh(session.settings, session.system);
    Ok(())
}

/// The list; empty where there is none.
///
/// # Errors
/// It is there and cannot be read.
pub(super) fn read(session: &WriteSession<'_>) -> Result<String> {
    match fs_err::read_to_string(session.system.path(DISABLED_FILE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => Ok(other?),
    }
}

pub(super) fn write(text: &str, session: &WriteSession<'_>) -> Result<()> {
    let path = session.system.path(DISABLED_FILE);
    if let Some(dir) = path.parent() {
        files::create_dirs(dir)?;
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
        console.note("It is not registered with dkms now; this holds when it is.");
    }
    for package in packages {
        for build in &package.builds {
            let is_meant = session.disabled().of(&package.id).any(|rule| rule.is_for(&build.target.release));
            if is_meant && session.tree().installed(&package.build_id(&build.target)).is_some() {
                let (id, target) = (&package.id, &build.target);
                console.say(format!(
                    "It stays installed for kernel {target}. To remove it: dkms uninstall {id} -k {}/{}",
                    target.release, target.arch
                ));
            }
        }
    }
}

fn nothing_to_enable(switch: &Switch, session: &WriteSession<'_>) -> Error {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let ids = snapshot.packages.iter().map(|package| &package.id).filter(|id| switch.package.is(id));
    let others: Vec<String> = ids.flat_map(|id| session.disabled().of(id).map(|rule| rule.kernels)).collect();
    let package = name(&switch.package);
    let text = match others.first() {
        Some(kernels) => {
            format!(
                "{package} is not disabled for exactly these kernels, but for {kernels}.\nTry: dkms enable {package}"
            )
        }
        None => format!("{package} is not disabled in {DISABLED_FILE}."),
    };
    Error::Usage { code: 3, text }
}
