//! The one context: paths, host facts, the environment snapshot, programs, files, the lock and the console.
//!
//! Everything that touches the machine goes through here; nothing above reads a global.

pub(crate) mod ancestors;
mod console;
pub(crate) mod digest;
pub(crate) mod dir;
pub(crate) mod efi;
mod environment;
pub(crate) mod files;
pub(crate) mod fingerprint;
pub(crate) mod handover;
mod host;
pub(crate) mod journal;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod package_script;
pub(crate) mod parallel;
mod pidfd;
pub(crate) mod process;
pub(crate) mod regex;
mod rpm_transaction;
pub(crate) mod sandbox;
pub(crate) mod signals;
pub(crate) mod streams;
pub(crate) mod syslog;

pub(crate) use console::{Colour, Console, Painted, Terminal, Work, clock};
pub(crate) use environment::Environment;
#[cfg(any(test, fuzzing))]
pub(crate) use host::Distribution;
pub(crate) use host::{Family, Host};
pub(crate) use rpm_transaction::RpmTransaction;

use environment::{is_general, is_withheld, with_sbin};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The machine as one run sees it.
#[derive(Debug)]
pub(crate) struct System {
    /// Where the machine's `/` is: `/`, or the directory named by DKMS_ROOT.
    pub root: PathBuf,
    pub env: Environment,
    pub host: Host,
    pub console: Console,
    /// What this run is, for the history: `by hand`, or the hook that was called.
    called_as: String,
    /// How long this run waits for another one that holds the lock; `None` where a person waits, who can interrupt it.
    pub patience: Option<Duration>,
    /// Whether the environment is that of a caller whose variables are no affair of builds and scripts.
    foreign: bool,
}

impl System {
    /// Reads the environment and the host once.
    ///
    /// DKMS_ROOT makes every absolute path of configuration, trees and kernels start in that directory; programs still
    /// come from PATH. Tests use it, and image builders.
    #[must_use]
    #[allow(clippy::disallowed_methods)]
    pub(crate) fn capture() -> Self {
        let mut env: Environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let root = env.get("DKMS_ROOT").filter(|dir| dir.starts_with('/')).map_or("/", String::as_str);
        let root = fs_err::canonicalize(root).unwrap_or_else(|_| PathBuf::from(root));
        let path = env.get("PATH").cloned().unwrap_or_default();
        env.insert("PATH".into(), if root == Path::new("/") { with_sbin(&path) } else { path });
        let host = Host::capture(&root, &env);
        let patience =
            env.get("DKMS_LOCK_TIMEOUT").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let called_as = BY_HAND.to_owned();
        Self { root, env, host, console: Console::default(), called_as, patience, foreign: false }
    }

    /// From now on the terminal, if there is one, shows what takes long. For the command: hooks write lines into what their
    /// caller shows.
    pub(crate) fn use_terminal(&mut self) {
        self.console = Console::on(Terminal::capture(&self.env, || package_manager(&self.env).is_some()));
    }

    /// Notes the hook that was called.
    pub(crate) fn called_as(&mut self, hook: &str) {
        hook.clone_into(&mut self.called_as);
    }

    /// Whether a person set this run off, as far as that can be seen.
    #[must_use]
    pub(crate) fn is_by_hand(&self) -> bool {
        self.trigger() == BY_HAND
    }

    /// What set this run off: `apt (linux-headers-6.1.0-50-amd64)`, `dnf`, `boot`, `by hand`.
    #[must_use]
    pub(crate) fn trigger(&self) -> String {
        package_manager(&self.env).unwrap_or_else(|| self.called_as.clone())
    }

    /// From now on programs get only the variables that are for every program, because the others were meant for the caller's
    /// own programs: who packs an initramfs exports `version`, `MODULES`, `COMPRESS` and the like.
    pub(crate) fn hide_callers_variables(&mut self) {
        self.foreign = true;
    }

    /// The place of an absolute path below the root.
    #[must_use]
    pub(crate) fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        if self.is_rooted() && !path.starts_with(&self.root) {
            self.root.join(path.strip_prefix("/").unwrap_or(path))
        } else {
            path.to_owned()
        }
    }

    /// Whether the trees belong to a directory instead of the running machine.
    #[must_use]
    pub(crate) fn is_rooted(&self) -> bool {
        self.root != Path::new("/")
    }

    /// Whether this run may change the machine's module directories.
    #[must_use]
    pub(crate) fn is_privileged(&self) -> bool {
        self.host.euid == 0 || self.is_rooted()
    }

    #[must_use]
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// The file of a program, given by its path or found in PATH.
    #[must_use]
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(self.path(name)).filter(|path| files::is_executable(path));
        }
        let path = self.variable("PATH").unwrap_or("/usr/sbin:/usr/bin:/sbin:/bin");
        files::find_in_path(path, name, Path::to_path_buf)
    }

    /// A program that gets our environment without what must not reach builds and scripts.
    #[must_use]
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> process::Command {
        let mut command = process::Command::new(program).env("PATH", &self.env["PATH"]);
        for name in self.env.keys().filter(|name| !self.is_inherited(name)) {
            command = command.env_remove(name);
        }
        command
    }

    /// The environment that programs and dkms.conf files see.
    #[must_use]
    pub(crate) fn inherited_env(&self) -> Environment {
        let shown = self.env.iter().filter(|(name, _)| self.is_inherited(name));
        shown.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn is_inherited(&self, name: &str) -> bool {
        !is_withheld(name) && (is_general(name) || !self.foreign)
    }
}

/// What no program set off.
const BY_HAND: &str = "by hand";

/// Package managers by the names of their processes, which the kernel cuts after 15 bytes.
const PACKAGE_MANAGERS: [(&str, &str); 11] = [
    ("unattended-upgr", "unattended-upgrades"),
    ("packagekitd", "PackageKit"),
    ("apt", "apt"),
    ("apt-get", "apt"),
    ("dpkg", "apt"),
    ("dnf", "dnf"),
    ("dnf5", "dnf"),
    ("yum", "yum"),
    ("zypper", "zypper"),
    ("rpm", "rpm"),
    ("pacman", "pacman"),
];

/// The package manager that this process runs below, the outermost, with the package where a script of dpkg runs
/// (deb-postinst(5)).
fn package_manager(env: &Environment) -> Option<String> {
    let known =
        |process: ancestors::Ancestor| PACKAGE_MANAGERS.iter().find(|(name, _)| process.command == *name);
    let package = env.get("DPKG_MAINTSCRIPT_PACKAGE").filter(|name| !name.is_empty());
    let manager = ancestors::ancestors().filter_map(known).last().map(|(_, manager)| *manager);
    let manager = manager.or(package.map(|_| "apt"))?;
    Some(package.map_or_else(|| manager.to_owned(), |package| format!("{manager} ({package})")))
}

/// Files and directories get their usual modes, and signals arrive, whatever the caller's masks.
pub(crate) fn prepare_process() {
    signals::unblock();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
}
