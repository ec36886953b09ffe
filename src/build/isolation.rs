//! What a package's programs see while it is built, and what it means that they were denied something.

use crate::build::outline::kernel_outline;
use crate::build::preparation::Preparation;
use crate::conf::{EvalContext, IsolationPolicy, isolation_of};
use crate::model::PackageName;
use crate::model::text::shown_in_line;
use crate::session::WriteSession;
use crate::system::sandbox::Outline;
use crate::system::{dir, files};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// The administrator's rule for a build.
pub(crate) fn policy(session: &WriteSession<'_>, preparation: &Preparation) -> IsolationPolicy {
    let kernel = session.kernel(&preparation.id.target.release);
    let view = EvalContext {
        package: Some(&preparation.id.package),
        kernel: &kernel,
        arch: &preparation.id.target.arch,
    };
    isolation_of(view, session.settings, session.system)
}

/// Says once in a run that the command line wants no walls.
pub(crate) fn tell_if_off(session: &WriteSession<'_>) {
    if session.settings.no_isolation && !session.isolation_told.swap(true, Ordering::Relaxed) {
        session
            .system
            .console
            .note("Without isolation, as --no-isolation says: the package's programs run as root.");
    }
}

/// What the programs of a build see, without the directories that are the build's own.
pub(crate) fn outline(
    session: &WriteSession<'_>,
    preparation: &Preparation,
    policy: &IsolationPolicy,
) -> Outline {
    let key = preparation.signer.as_ref().map(|signer| Path::new(&signer.key));
    let settings = session.settings;
    kernel_outline(session, &preparation.id.target.release, key)
        .hide(other_packages(session, preparation))
        .show([session.tree().root().to_owned(), settings.source_tree.clone()])
        .write_in_place(&policy.paths)
}

/// What the tree has of packages that this one is not built with.
fn other_packages(session: &WriteSession<'_>, preparation: &Preparation) -> Vec<PathBuf> {
    let mut needed: BTreeSet<String> = BTreeSet::from([preparation.id.name().to_string()]);
    let mut pending = preparation.conf.depends.clone();
    while let Some(name) = pending.pop() {
        if !needed.insert(name.clone()) {
            continue;
        }
        let active = PackageName::new(&name).ok();
        let active = active.and_then(|name| session.tree().active(&name, &preparation.id.target));
        let target = &preparation.id.target;
        let conf = active.and_then(|active| {
            session.own_conf(&active.id().package, target, crate::conf::Strictness::Lenient).ok()
        });
        pending.extend(conf.into_iter().flat_map(|conf| conf.depends));
    }
    let entries = dir::entries(session.tree().root()).into_iter();
    let others = entries.filter(|entry| !needed.contains(&*entry.file_name().to_string_lossy()));
    others.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// What programs say of something that the walls deny.
const DENIALS: [&str; 18] = [
    "Permission denied",
    "Operation not permitted",
    "Read-only file system",
    "Invalid cross-device link",
    "Network is unreachable",
    "Could not resolve",
    "Failed to connect to",
    "Could not connect to",
    "unable to connect to",
    "unable to resolve host address",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Name does not resolve",
    // Programs that look at who they are before they try.
    "must be root",
    "run as root",
    "need to be root",
    "root privileges",
    // A program that could not be started.
    "(os error ",
];

/// Whether a program says of a file that it is missing, which is there for everybody else.
fn misses_a_file(line: &str) -> bool {
    let is_separator = |c: char| c.is_whitespace() || "'\"`:‘’(),;".contains(c);
    let is_covered = |word: &&str| COVERED.iter().any(|dir| word.starts_with(dir));
    line.contains("No such file or directory")
        && line.split(is_separator).filter(is_covered).any(|word| Path::new(word).exists())
}

/// Where a build sees nothing, or something of its own.
const COVERED: [&str; 5] = ["/home/", "/root/", "/run/", "/tmp/", "/var/tmp/"];

/// The first line of a log in which a program was denied something, if there is one.
pub(crate) fn denial(log: &Path) -> Option<String> {
    let bytes = files::read_ends(log).ok()?;
    // What opens /dev/stderr anew cuts the log, and the next words are written behind a hole.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "");
    let is_denial = |line: &&str| {
        !line.starts_with('#') && (DENIALS.iter().any(|words| line.contains(words)) || misses_a_file(line))
    };
    let line: String = text.lines().find(is_denial)?.trim().chars().take(200).collect();
    Some(shown_in_line(&line).into_owned())
}
