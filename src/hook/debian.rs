//! The kernel hooks of Debian and Ubuntu: run-parts calls them with the release and, for images, the image's path.
//!
//! Source: Debian Kernel Handbook, "Kernel hooks"; linux-base, linux-run-hooks(1).

use super::pending::{install_pending, take_out, take_up_pending};
use super::regenerate::{self, When};
use super::{Hook, run};
use crate::conf::{Overrides, Settings};
use crate::install::originals;
use crate::ops::{self, replaced};
use crate::system::files;
use crate::system::syslog::Severity;
use crate::tree::Tree;
use std::process::ExitCode;

/// What happened to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// Its image is about to be unpacked.
    Preinst,
    /// Its image is in place.
    ImageInstalled,
    /// Its headers are in place.
    HeadersInstalled,
    /// Its image is about to go.
    Removed,
}

impl Trigger {
    /// The words of the maintainer script's first argument for which the hook acts.
    fn acts_on(self) -> &'static [&'static str] {
        match self {
            Self::Preinst => &["install", "upgrade"],
            Self::ImageInstalled | Self::HeadersInstalled => &["configure", "triggered"],
            Self::Removed => &["remove"],
        }
    }
}

/// `/etc/kernel/preinst.d/dkms RELEASE [IMAGE]`. Always 0.
pub(super) fn kernel_preinst() -> ExitCode {
    run("kernel-preinst", |hook| kernel_hook(hook, Trigger::Preinst))
}

/// `/etc/kernel/postinst.d/dkms RELEASE [IMAGE]`. 0, unless a package failed for which `on_failure` says `fail`.
pub(super) fn kernel_postinst() -> ExitCode {
    run("kernel-postinst", |hook| kernel_hook(hook, Trigger::ImageInstalled))
}

/// `/etc/kernel/header_postinst.d/dkms RELEASE`. As for the image.
pub(super) fn header_postinst() -> ExitCode {
    run("header-postinst", |hook| kernel_hook(hook, Trigger::HeadersInstalled))
}

/// `/etc/kernel/prerm.d/dkms RELEASE [IMAGE]`. Always 0.
pub(super) fn kernel_prerm() -> ExitCode {
    run("kernel-prerm", |hook| kernel_hook(hook, Trigger::Removed))
}

/// `/usr/lib/dkms/dkms_autoinstaller start [RELEASE]`, and the other words of an init script.
pub(super) fn autoinstaller() -> ExitCode {
    run("autoinstaller", |hook| match hook.arg(0) {
        "start" => {
            let running = hook.system.host.running.as_ref().map(ToString::to_string).unwrap_or_default();
            let release = if hook.arg(1).is_empty() { running } else { hook.arg(1).to_owned() };
            let settings = Settings::load(Overrides::default(), &hook.system);
            install_pending(hook, &release, &settings).status
        }
        "stop" | "restart" | "force-reload" | "status" | "reload" => 0,
        _ => {
            hook.system.console.note("Usage: dkms_autoinstaller {start} [kernel]");
            2
        }
    })
}

/// `/usr/lib/dkms/hand-back`: called when our package goes, so that any other dkms finds a tree that it can work with.
/// Always 0.
pub(super) fn hand_back() -> ExitCode {
    run("hand-back", |hook| {
        let settings = Settings::load(Overrides::default(), &hook.system);
        if settings.dkms_tree.is_dir() {
            let done = ops::change(&settings, &hook.system).and_then(|session| {
                originals::hand_back(&session)?;
                replaced::hand_back(&session)
            });
            if let Err(error) = done {
                hook.error(&error.to_string());
            }
            // Of no use to any other dkms, which would not delete it either.
            if let Err(error) = files::remove_tree(Tree::at(&settings.dkms_tree).kept().root()) {
                hook.error(&error.to_string());
            }
        }
        0
    })
}

fn kernel_hook(hook: &mut Hook, trigger: Trigger) -> u8 {
    let release = hook.arg(0).to_owned();
    if release.is_empty() {
        hook.note("the kernel hook was called without a kernel release; nothing is done.");
        return 0;
    }
    let action = maintainer_action(hook.system.variable("DEB_MAINT_PARAMS"));
    if let Some(word) = action.filter(|word| !trigger.acts_on().contains(&word.as_str())) {
        hook.syslog.write(Severity::Info, &format!("nothing to do for kernel {release}: {word}"));
        return 0;
    }
    // The kernel's package deletes the index of a kernel that goes.
    let no_depmod = trigger == Trigger::Removed;
    let settings = Settings::load(Overrides { no_depmod, ..Overrides::default() }, &hook.system);
    match trigger {
        Trigger::ImageInstalled => install_pending(hook, &release, &settings).status,
        Trigger::HeadersInstalled => {
            let outcome = install_pending(hook, &release, &settings);
            regenerate::ask(hook, &release, &outcome.installed, When::Now, &settings);
            take_up_pending(hook, &release, When::Now, &settings);
            outcome.status
        }
        Trigger::Preinst => {
            // If it comes again under the same name, what is installed for it stays until the new headers show that it
            // must be built again, and until that is done.
            let text = format!(
                "kernel {release} is about to be unpacked; its modules stay until new ones are ready"
            );
            hook.syslog.write(Severity::Info, &text);
            0
        }
        Trigger::Removed => {
            if let Err(error) = take_out(hook, &release, &settings) {
                hook.error(&error.to_string());
            }
            0
        }
    }
}

/// The first of the maintainer script's arguments, which some kernels hand on in single quotes.
fn maintainer_action(parameters: Option<&str>) -> Option<String> {
    let word = parameters?.split_whitespace().next()?.trim_matches(['\'', '"']);
    (!word.is_empty()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, None)]
    #[case(Some(""), None)]
    #[case(Some("configure"), Some("configure"))]
    #[case(Some("configure 6.1.0-1"), Some("configure"))]
    #[case(Some("'configure' '6.1.0-1'"), Some("configure"))]
    #[case(Some("'abort-upgrade'"), Some("abort-upgrade"))]
    fn maintainer_script_action_may_be_quoted(#[case] text: Option<&str>, #[case] word: Option<&str>) {
        assert_eq!(maintainer_action(text).as_deref(), word);
    }
}
