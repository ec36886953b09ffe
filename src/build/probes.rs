//! Answers that kbuild's questions to compilers have had before: puts `dkms-cc` (compiler/main.rs) before the compilers in the
//! PATH of a build, and shares what one build learned with those that come after it.

use crate::model::Result;
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::system::process::walls;
use crate::system::sandbox::{Bind, Ids, Outline, Wall, Walls};
use crate::system::{System, dir, files, handover};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PROGRAM: &str = "dkms-cc";
/// `OWN:COMMON`, for the program.
const TABLES: &str = "DKMS_CC_TABLES";
/// In the directory for temporary files of a build, which programs behind walls see as /tmp.
const OWN_TABLE: &str = ".dkms-cc";
/// Before the unique part of the common table's name, in the tree.
pub(crate) const COMMON_TABLE: &str = ".dkms-cc-";
/// Some thirty questions take a third of a second.
const TIME_TO_LEARN: Duration = Duration::from_secs(60);

/// The table of all builds of a run: no build can write it.
#[derive(Debug)]
pub(crate) struct CommonProbes {
    table: tempfile::TempDir,
    /// Builds that are still to start, and may profit.
    left: AtomicUsize,
}

impl CommonProbes {
    /// `None` where builds could write it, or it cannot be made: then each build learns for itself.
    #[must_use]
    pub(crate) fn new(session: &WriteSession<'_>, builds: usize) -> Option<Self> {
        let walls = walls();
        if !session.settings.probe_cache || (walls.user().is_some() && !walls.has(Wall::Files)) {
            return None;
        }
        let table = files::private_dir(session.tree().root(), COMMON_TABLE).ok()?;
        if let Some(user) = walls.user() {
            handover::set_owner(table.path(), user.numbers()).ok()?;
        }
        Some(Self { table, left: AtomicUsize::new(builds) })
    }
}

/// What one build has of it.
#[derive(Debug)]
pub(crate) struct Probes {
    program: PathBuf,
    /// Holds the program under the names of compilers.
    compilers: PathBuf,
    own_table: PathBuf,
    common: Option<PathBuf>,
}

impl Probes {
    /// Prepares directories in `stage`, of which `scratch` is the build's own. `None` where a build has to find the compilers
    /// themselves, or the directories cannot be made: it goes on without.
    #[must_use]
    pub(crate) fn prepare(
        session: &WriteSession<'_>,
        environment: &ProgramEnvironment,
        lines: &[&str],
        (stage, scratch): (&Path, &Path),
        common: Option<&CommonProbes>,
    ) -> Option<Self> {
        if let Some(common) = common {
            let _ = common.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        }
        let is_wanted = session.settings.probe_cache
            && lines.iter().all(|line| calls_plain_compilers(line))
            && names_plain_compilers(environment, session.system)
            && !files::forbids_programs(stage);
        let program = program(session.system).filter(|_| is_wanted)?;
        let own = Self {
            program,
            compilers: stage.join("compilers"),
            own_table: scratch.join(OWN_TABLE),
            common: common.map(|common| common.table.path().to_owned()),
        };
        own.place(&compilers(&environment.path(session.system))).ok()?.then_some(own)
    }

    /// Puts the program into its directory under these names; false if there is none, or it would be too large.
    ///
    /// A copy: to a program that follows links it is a compiler all the same, and to other caches one that they do not know.
    fn place(&self, names: &[String]) -> Result<bool> {
        let content = fs_err::read(&self.program)?;
        let Some((first, others)) = names.split_first().filter(|_| files::is_within_limit(content.len()))
        else {
            return Ok(false);
        };
        let first = self.compilers.join(first);
        files::create_dirs(&self.compilers)?;
        files::stage_file(&first, &content, 0o755)?;
        others.iter().try_for_each(|name| files::link(&first, &self.compilers.join(name)))?;
        files::create_dirs(&self.own_table)?;
        Ok(true)
    }

    /// What programs behind walls have to see of it.
    #[must_use]
    pub(crate) fn shown(&self) -> Vec<PathBuf> {
        [&self.compilers].into_iter().chain(&self.common).cloned().collect()
    }

    /// Gives the build its table.
    ///
    /// # Errors
    /// The file system refuses.
    pub(crate) fn give(&self, owner: Option<Ids>) -> Result<()> {
        owner.map_or(Ok(()), |owner| Ok(handover::set_owner(&self.own_table, owner.numbers())?))
    }

    /// Lets the build's programs find it; `scratch` is the name of their temporary directory.
    pub(crate) fn enter(&self, environment: &mut ProgramEnvironment, scratch: &Path, system: &System) {
        let path = format!("{}:{}", self.compilers.display(), environment.path(system));
        environment.export("PATH", &path);
        let common = self.common.iter().map(|common| format!(":{}", common.display()));
        let own = scratch.join(OWN_TABLE).display().to_string();
        environment.export(TABLES, &std::iter::once(own).chain(common).collect::<String>());
    }

    /// Asks the compilers again what the build has asked, for those that come after it. Answers that a build could have
    /// written itself are worth nothing to others.
    pub(crate) fn learn(&self, session: &WriteSession<'_>, common: &CommonProbes) {
        if common.left.load(Ordering::SeqCst) == 0 {
            return;
        }
        let table = common.table.path();
        let command = session.system.command(&self.program).arg("--learn").args([&self.own_table, table]);
        let outline = Outline::of(session.system)
            .show([self.own_table.clone(), session.tree().root().to_owned()])
            .write([Bind::in_place(table.to_owned())]);
        let walls: Walls = walls().clone();
        let command =
            if walls.standing().is_empty() { command } else { command.confined(&outline.sandbox(walls)) };
        // What was not learned is asked for again.
        let _ = command.timeout(TIME_TO_LEARN).run();
    }
}

/// The program: beside this one, or where packages have it.
fn program(system: &System) -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let dir = own.as_deref().and_then(Path::parent);
    let beside = dir.into_iter().flat_map(|dir| [dir.join(PROGRAM), dir.join("../lib/dkms").join(PROGRAM)]);
    let packaged = system.path("/usr/lib/dkms").join(PROGRAM);
    beside.chain([packaged]).find(|path| files::is_executable(path))
}

/// The names in PATH behind which there is a compiler, and no program that starts one: such have caches of their own.
fn compilers(path: &str) -> Vec<String> {
    let dirs = path.split(':').map(Path::new).filter(|dir| dir.is_absolute());
    let entries = dirs.flat_map(dir::entries);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for entry in entries {
        let Some(name) = entry.file_name().to_str().filter(|name| is_compiler(name)).map(str::to_owned)
        else {
            continue;
        };
        // The first in PATH is the one that is found.
        if !seen.insert(name.clone()) {
            continue;
        }
        let real = fs_err::canonicalize(entry.path()).ok();
        let real = real.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        if real.is_some_and(is_compiler) && files::is_executable(&entry.path()) {
            found.push(name);
        }
    }
    found
}

/// `gcc`, `x86_64-linux-gnu-gcc-12`, `clang-15`, `cc`.
fn is_compiler(name: &str) -> bool {
    let is_version = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    let base = name.rsplit_once('-').filter(|(_, last)| is_version(last)).map_or(name, |(base, _)| base);
    ["gcc", "clang", "cc"].contains(&base.rsplit('-').next().unwrap_or(base))
}

/// Programs that look at what a compiler is, to know what they have seen of it.
const CACHES: [&str; 4] = ["ccache", "distcc", "icecc", "icecream"];
/// Variables that name a compiler.
const COMPILERS: [&str; 3] = ["CC", "KERNEL_CC", "HOSTCC"];
/// Lets Debian's kernel headers put ccache before the compiler.
const DEBIAN_CCACHE: &str = "DEBIAN_KERNEL_USE_CCACHE";

/// Whether a shell line leaves it to PATH what a compiler is.
fn calls_plain_compilers(line: &str) -> bool {
    let is_open = |(at, name): (usize, &str)| {
        let value = &line[at + name.len()..];
        // `CC="a b"` and `"CC=a b"`.
        let quote = [value.chars().next(), line[..at].chars().next_back()].into_iter().flatten();
        let quote = quote.into_iter().find(|c| ['"', '\''].contains(c));
        quote.is_none_or(|quote| value.trim_start_matches(quote).split(quote).next().is_none_or(is_plain))
    };
    !line.contains("PATH=")
        && !CACHES.iter().any(|cache| line.contains(cache))
        && line.match_indices("CC=").all(is_open)
}

fn is_plain(compiler: &str) -> bool {
    !compiler.trim().contains(char::is_whitespace) && !CACHES.iter().any(|cache| compiler.contains(cache))
}

/// The same of the variables that a build finds.
fn names_plain_compilers(environment: &ProgramEnvironment, system: &System) -> bool {
    let value = |name: &str| environment.value(name, system).unwrap_or_default();
    COMPILERS.iter().all(|name| is_plain(&value(name))) && value(DEBIAN_CCACHE).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("gcc", true)]
    #[case("cc", true)]
    #[case("gcc-12", true)]
    #[case("x86_64-linux-gnu-gcc-12", true)]
    #[case("arm-linux-gnueabihf-gcc", true)]
    #[case("clang-15", true)]
    #[case("gcc-ar-12", false)]
    #[case("ccache", false)]
    #[case("g++", false)]
    #[case("clang-format-15", false)]
    fn names_of_compilers_are_known(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_compiler(name), expected);
    }

    #[rstest]
    #[case("make -C /k M=/b", true)]
    #[case("make CC=gcc-12 all", true)]
    #[case("make CC=\"gcc-12\" all", true)]
    #[case("make \"CC=gcc-12\" all", true)]
    #[case("make CC=\"nice gcc\"", false)]
    #[case("make 'CC=nice gcc' all", false)]
    #[case("make CC='ccache gcc'", false)]
    #[case("make HOSTCC='nice gcc'", false)]
    #[case("PATH=/opt/bin:$PATH make", false)]
    #[case("ccache make", false)]
    fn lines_with_other_compilers_are_known(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(calls_plain_compilers(line), expected);
    }

    #[test]
    fn what_starts_a_compiler_is_none() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        for (file, mode) in [
            (first.join("ccache"), 0o755),
            (second.join("gcc"), 0o755),
            (second.join("gcc-12"), 0o755),
            (second.join("clang"), 0o644),
        ] {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("ccache", first.join("gcc")).unwrap();
        symlink("gcc-12", second.join("cc")).unwrap();
        let mut found = compilers(&format!("{}:relative:{}", first.display(), second.display()));
        found.sort();
        assert_eq!(found, ["cc", "gcc-12"]);
    }
}
