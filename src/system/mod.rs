//! The one context: paths, host facts, the environment snapshot, programs, files, the lock and the mouth.
//!
//! Everything that touches the machine goes through here; nothing above reads a global.

pub mod ancestors;
pub mod digest;
pub mod files;
pub mod fingerprint;
mod host;
pub mod journal;
pub mod lock;
mod moment;
pub mod process;
pub mod signals;
pub mod streams;
mod ui;

pub use host::{Distribution, Family, Host};
pub use moment::Moment;
pub use ui::{Step, Ui};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The environment as it was at start. Names and values that are not UTF-8 are left out.
pub type Environment = BTreeMap<String, String>;

/// Variables of the caller that must not reach a kernel build: flags for another compiler, and what an outer `make`
/// leaks into the programs it starts.
const NEVER_INHERITED: [&str; 11] = [
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "sub_make_done",
    "ARCH",
];

/// Variables that are not meant for one program. `*` stands for any ending.
const GENERAL: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "SHELL",
    "DEB*",
    "DPKG_*",
    "DKMS_*",
    "KBUILD_SIGN_PIN",
];

/// A search path in which the administrator's programs are found, as cron's and su's are not.
fn with_sbin(path: &str) -> String {
    let mut dirs: Vec<&str> = path.split(':').filter(|dir| !dir.is_empty()).collect();
    for dir in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    dirs.join(":")
}

/// The machine as one run sees it.
#[derive(Debug)]
pub struct System {
    /// Where the machine's `/` is: `/`, or the directory named by DKMS_ROOT.
    pub root: PathBuf,
    pub env: Environment,
    pub host: Host,
    pub ui: Ui,
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
    pub fn capture() -> Self {
        let mut env: Environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let root = env.get("DKMS_ROOT").filter(|dir| dir.starts_with('/')).map_or("/", String::as_str);
        let root = fs_err::canonicalize(root).unwrap_or_else(|_| PathBuf::from(root));
        let path = env.get("PATH").cloned().unwrap_or_default();
        env.insert("PATH".into(), if root == Path::new("/") { with_sbin(&path) } else { path });
        let host = Host::capture(&root, &env);
        Self { root, env, host, ui: Ui::default(), foreign: false }
    }

    /// From now on programs get only the variables that every machine has, because the others were meant for the caller's
    /// own programs: who packs an initramfs exports `version`, `MODULES`, `COMPRESS` and the like.
    pub fn hide_callers_variables(&mut self) {
        self.foreign = true;
    }

    /// The place of an absolute path below the root.
    #[must_use]
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        if self.is_rooted() && !path.starts_with(&self.root) {
            self.root.join(path.strip_prefix("/").unwrap_or(path))
        } else {
            path.to_owned()
        }
    }

    /// Whether the trees belong to a directory instead of the running machine.
    #[must_use]
    pub fn is_rooted(&self) -> bool {
        self.root != Path::new("/")
    }

    /// Whether this run may change the machine's module directories.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.host.euid == 0 || self.is_rooted()
    }

    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// A program that gets our environment without what must not reach builds and scripts.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> process::Command {
        let mut command = process::Command::new(program).env("PATH", &self.env["PATH"]);
        for name in NEVER_INHERITED {
            command = command.env_remove(name);
        }
        for name in self.env.keys().filter(|name| !self.is_inherited(name)) {
            command = command.env_remove(name);
        }
        command
    }

    /// The environment that programs and dkms.conf files see.
    #[must_use]
    pub fn inherited_env(&self) -> Environment {
        let shown = self.env.iter().filter(|(name, _)| self.is_inherited(name));
        shown.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn is_inherited(&self, name: &str) -> bool {
        let from_make =
            self.env.contains_key("MAKELEVEL") && name.starts_with("KBUILD_") && name != "KBUILD_SIGN_PIN";
        let general = GENERAL.iter().any(|known| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *known,
        });
        !NEVER_INHERITED.contains(&name) && !from_make && (general || !self.foreign)
    }
}
pub mod regex;
