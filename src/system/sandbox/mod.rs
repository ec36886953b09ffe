//! Walls around a program of other people: another user, a view of the files in which little can be written, no
//! network, no other processes, no privileges.
//!
//! What this machine allows is tried once in a run (`process::walls`); a [`Sandbox`] says what one program sees, and
//! [`enter`](enter::enter) puts a child behind the walls that stand, between fork(2) and execve(2).

mod enter;
mod landlock;
mod outline;
mod privileges;
mod processes;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use enter::enter;
pub(crate) use outline::{Outline, is_readable_by_others};

use nix::unistd::{Gid, Uid, User};
use serde::{Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// The system user that builds run as.
pub(crate) const BUILD_USER: &str = "dkms-build";

/// A directory that a program sees in place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub from: PathBuf,
    /// Must exist.
    pub onto: PathBuf,
}

impl Bind {
    /// A directory under its own name.
    #[must_use]
    pub(crate) fn in_place(path: PathBuf) -> Self {
        Self { from: path.clone(), onto: path }
    }
}

/// One wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wall {
    /// The program runs as [`BUILD_USER`].
    User,
    /// It sees its own view of the files (mount_namespaces(7)).
    Files,
    /// It has no network (network_namespaces(7)), and no System V objects of others (ipc_namespaces(7)).
    Network,
    /// It sees its own processes only, and none of them outlives it (pid_namespaces(7)).
    Processes,
    /// Landlock(7) holds what the view holds.
    Landlock,
}

const ALL: [Wall; 5] = [Wall::User, Wall::Files, Wall::Network, Wall::Processes, Wall::Landlock];

impl Wall {
    /// The identifier in records and in JSON.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Files => "files",
            Self::Network => "network",
            Self::Processes => "processes",
            Self::Landlock => "landlock",
        }
    }
}

impl Serialize for Wall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The numbers of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub uid: Uid,
    pub gid: Gid,
}

impl Ids {
    /// User and group.
    #[must_use]
    pub(crate) fn numbers(self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }
}

/// The walls that stand, or that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Walls {
    standing: Vec<Wall>,
    /// Who the build user is, where there is one.
    user: Option<Ids>,
}

impl Walls {
    /// Those that this machine allows this process; `hold` tries some of them.
    pub(super) fn find(hold: impl Fn(&Self) -> bool) -> Self {
        let is_root = nix::unistd::geteuid().is_root();
        let user = match User::from_name(BUILD_USER) {
            Ok(Some(user)) if is_root => Some(Ids { uid: user.uid, gid: user.gid }),
            _ => None,
        };
        let is_possible = |wall: &Wall| match wall {
            Wall::User => user.is_some(),
            Wall::Landlock => landlock::is_usable(),
            // Namespaces are the administrator's: an unprivileged one has a single user, and cannot hold files of others.
            Wall::Files | Wall::Network | Wall::Processes => is_root,
        };
        let possible = Self { standing: ALL.into_iter().filter(is_possible).collect(), user };
        if hold(&possible) {
            return possible;
        }
        let mut found = Self { standing: Vec::new(), user };
        for wall in possible.standing {
            let mut more = found.clone();
            more.standing.push(wall);
            if hold(&more) {
                found = more;
            }
        }
        found
    }

    #[must_use]
    pub(crate) fn has(&self, wall: Wall) -> bool {
        self.standing.contains(&wall)
    }

    /// The same without one: for a program that cannot do its work behind it.
    #[must_use]
    pub(crate) fn without(mut self, wall: Wall) -> Self {
        self.standing.retain(|standing| *standing != wall);
        self
    }

    /// Who programs run as behind these walls; `None` for the user that we are.
    #[must_use]
    pub(crate) fn user(&self) -> Option<Ids> {
        self.user.filter(|_| self.has(Wall::User))
    }

    #[must_use]
    pub(crate) fn standing(&self) -> &[Wall] {
        &self.standing
    }

    #[must_use]
    pub(crate) fn names(&self) -> Vec<String> {
        self.standing.iter().map(|wall| wall.name().to_owned()).collect()
    }

    /// Those that do not stand.
    #[must_use]
    pub(crate) fn missing(&self) -> Vec<Wall> {
        ALL.into_iter().filter(|wall| !self.has(*wall)).collect()
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "the user dkms-build",
            Self::Files => "a read-only view of the files",
            Self::Network => "no network",
            Self::Processes => "no other processes",
            Self::Landlock => "Landlock",
        })
    }
}

/// Where a program's temporary files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scratch {
    /// In memory, a little.
    Memory,
    /// In this directory, which its user can write.
    Dir(PathBuf),
}

/// What one program sees behind its walls. Paths are canonical.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    pub walls: Walls,
    /// What it may write, each directory under the name that it is seen under.
    pub writable: Vec<Bind>,
    /// What it cannot read.
    pub hidden: Vec<PathBuf>,
    /// What it sees although it lies below what is hidden or private.
    pub visible: Vec<PathBuf>,
    /// Where everybody's temporary files are: /tmp and /var/tmp, or where these lead.
    pub temporary: Vec<PathBuf>,
    pub scratch: Scratch,
    /// The file that its output goes to, under a name that it sees: some programs open it anew by `/dev/stderr`.
    pub log: Option<PathBuf>,
}

impl Sandbox {
    #[must_use]
    pub(crate) fn new(walls: Walls) -> Self {
        Self {
            walls,
            writable: Vec::new(),
            hidden: Vec::new(),
            visible: Vec::new(),
            temporary: view::TEMPORARY.map(PathBuf::from).to_vec(),
            scratch: Scratch::Memory,
            log: None,
        }
    }

    /// Variables that say where the program is: its user, home and temporary directory.
    pub(crate) fn variables(&self) -> Vec<(&'static str, Option<String>)> {
        // The password of the signing key.
        let mut variables = vec![("KBUILD_SIGN_PIN", None)];
        let scratch = match (&self.scratch, self.walls.has(Wall::Files)) {
            (_, true) => Some("/tmp".to_owned()),
            (Scratch::Dir(dir), false) => Some(dir.to_string_lossy().into_owned()),
            (Scratch::Memory, false) => None,
        };
        if let Some(scratch) = scratch {
            variables.push(("HOME", Some(scratch.clone())));
            variables.push(("TMPDIR", Some(scratch)));
            let of_the_session = ["XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"];
            variables.extend(of_the_session.map(|name| (name, None)));
        }
        if self.walls.has(Wall::User) {
            variables.extend(["USER", "LOGNAME"].map(|name| (name, Some(BUILD_USER.to_owned()))));
            // The source belongs to root, and git asks nothing of a directory of another user (git-config(1), safe.directory).
            let git = [
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "safe.directory"),
                ("GIT_CONFIG_VALUE_0", "*"),
            ];
            variables.extend(git.map(|(name, value)| (name, Some(value.to_owned()))));
        }
        variables
    }
}
