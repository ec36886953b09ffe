//! Answers that kbuild's questions to compilers have had before: puts `dkms-cc` (compiler/main.rs) before the compilers in the
//! PATH of a build, and asks what every kbuild asks once for all builds of a run.

use crate::build::make::{Parallelism, command_line};
use crate::build::outline::kernel_outline;
use crate::conf::Jobs;
use crate::model::{KernelRelease, Result};
use crate::programs::environment::toolchain;
use crate::session::WriteSession;
use crate::session::environment::ProgramEnvironment;
use crate::system::process::walls;
use crate::system::sandbox::{Bind, Ids};
use crate::system::{System, dir, files, handover};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

const PROGRAM: &str = "dkms-cc";
/// `OWN:COMMON`, for the program.
const TABLES: &str = "DKMS_CC_TABLES";
/// Beside the copies of the program: links of their names to the compilers.
const LINKS: &str = ".compilers";
/// Before the unique part of the name that the directory of a run's common table has in the tree.
const COMMON_TABLE: &str = ".dkms-cc-";
/// A kbuild that does nothing else takes 0.7 s of processor time, and the questions take 0.3 s of each build's.
const WORTH_ASKING_BEFORE: usize = 4;
const TIME_TO_ASK: Duration = Duration::from_secs(60);

/// The answers to what every kbuild asks, for all builds of a run. They were given before a program of a package ran, and no
/// build can write them.
#[derive(Debug)]
pub(crate) struct CommonProbes {
    dir: tempfile::TempDir,
}

impl CommonProbes {
    /// Runs a kbuild without any module. `None` where that is not worth while or not possible: then each build asks for itself.
    #[must_use]
    pub(crate) fn ask(session: &WriteSession<'_>, release: &KernelRelease, builds: usize) -> Option<Self> {
        let is_worth_while = builds >= WORTH_ASKING_BEFORE && session.kernel(release).has_headers();
        if !is_worth_while || !session.settings.probe_cache {
            return None;
        }
        // What a killed run left. A run of ours around this one can do without.
        let _ = sweep(session);
        let dir = files::private_dir(session.tree().root(), COMMON_TABLE).ok()?;
        files::set_mode(dir.path(), 0o755).ok()?;
        let common = Self { dir };
        common.fill(session, release).ok()?.then_some(common)
    }

    fn fill(&self, session: &WriteSession<'_>, release: &KernelRelease) -> Result<bool> {
        let (kernel, system, dir) = (session.kernel(release), session.system, self.dir.path());
        let toolchain = toolchain(session, release);
        let mut environment = ProgramEnvironment::default();
        toolchain.environment().for_each(|(name, value)| environment.export(name, value));
        environment.speak_english(system);
        if let Some(file) = &session.settings.build_environment {
            environment.source(file, system)?;
        }
        let Some(probes) = Probes::prepare(session, &environment, &[], dir, None) else { return Ok(false) };
        let empty = dir.join("empty");
        files::create_dirs(&empty)?;
        files::stage_file(&empty.join("Kbuild"), b"obj-m :=\n", 0o644)?;
        let walls = walls().clone();
        let owner = walls.user();
        probes.give(owner)?;
        owner.map_or(Ok(()), |owner| handover::give_tree(&empty, owner.numbers()))?;
        probes.enter(&mut environment, system);
        let jobs = Parallelism::Option(Jobs::Limited(1));
        let line = command_line(None, &kernel.build_dir, &empty, release, toolchain.llvm, jobs);
        let command = environment.shell(system, &line).dir(&empty).timeout(TIME_TO_ASK);
        let outline = kernel_outline(session, release, None).show(probes.shown());
        let outline = outline.write([&probes.own_table, &empty].map(|dir| Bind::in_place(dir.clone())));
        let command =
            if walls.standing().is_empty() { command } else { command.confined(&outline.sandbox(walls)) };
        // Whether it was successful does not matter: what was answered was answered.
        command.run()?;
        owner.map_or(Ok(()), |owner| handover::take_over(&probes.own_table, owner.numbers().0))?;
        files::set_mode(&probes.own_table, 0o755)?;
        files::remove_tree(&empty)?;
        Ok(true)
    }

    fn table(&self) -> PathBuf {
        self.dir.path().join(OWN_TABLE)
    }
}

/// Deletes the common tables of runs that were killed.
///
/// # Errors
/// The tree cannot be written.
pub(crate) fn sweep(session: &WriteSession<'_>) -> Result<()> {
    let entries = dir::entries(session.tree().root()).into_iter();
    let tables = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(COMMON_TABLE));
    Ok(tables.map(|entry| entry.path()).try_for_each(|table| files::remove_tree(&table))?)
}

const OWN_TABLE: &str = "answers";

/// What one build has of it.
#[derive(Debug)]
pub(crate) struct Probes {
    /// Holds the program under the names of compilers.
    compilers: PathBuf,
    own_table: PathBuf,
    common: Option<PathBuf>,
}

impl Probes {
    /// Prepares directories in `stage`. `None` where a build has to find the compilers themselves, or the directories cannot be
    /// made: it goes on without. `lines` are the shell lines of the build.
    #[must_use]
    pub(crate) fn prepare(
        session: &WriteSession<'_>,
        environment: &ProgramEnvironment,
        lines: &[&str],
        stage: &Path,
        common: Option<&CommonProbes>,
    ) -> Option<Self> {
        let is_wanted = session.settings.probe_cache
            && lines.iter().all(|line| calls_plain_compilers(line))
            && names_plain_compilers(environment, session.system)
            && !files::forbids_programs(stage);
        let program = fs_err::read(program(session.system).filter(|_| is_wanted)?).ok()?;
        let own = Self {
            compilers: stage.join("compilers"),
            own_table: stage.join(OWN_TABLE),
            common: common.map(CommonProbes::table),
        };
        let compilers = compilers(&environment.path(session.system));
        let is_placed = own.place(&program, &compilers).ok()? && own.runs(&compilers, session.system);
        is_placed.then_some(own)
    }

    /// Whether this machine runs copies of programs: some run only what a package brought (fapolicyd(8)). Tried once.
    fn runs(&self, compilers: &[(String, PathBuf)], system: &System) -> bool {
        static RUNS: OnceLock<bool> = OnceLock::new();
        let Some((name, _)) = compilers.first() else { return false };
        *RUNS.get_or_init(|| {
            let command = system.command(self.compilers.join(name)).arg("-dumpversion");
            command.timeout(TIME_TO_ASK).run().is_ok_and(|outcome| outcome.status.success())
        })
    }

    /// Puts the program before these compilers, each a name with the file that PATH has for it; false if there is none, or the
    /// program would be too large.
    ///
    /// Copies: to a program that follows links they are compilers all the same. What ccache(1) knows a compiler by (time and size,
    /// or content) is another one for another compiler, and the same in every build.
    fn place(&self, program: &[u8], compilers: &[(String, PathBuf)]) -> Result<bool> {
        if compilers.is_empty() || !files::is_within_limit(program.len() + LONGEST_MARK) {
            return Ok(false);
        }
        files::create_dirs(&self.compilers.join(LINKS))?;
        let mut copies: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for (name, path) in compilers {
            let (real, place) = (fs_err::canonicalize(path)?, self.compilers.join(name));
            files::make_link(path, &self.compilers.join(LINKS).join(name))?;
            if let Some(copy) = copies.get(&real) {
                files::link(copy, &place)?;
                continue;
            }
            let data = fs_err::metadata(&real)?;
            let time = format!("{}.{}", data.mtime(), data.mtime_nsec());
            let mark = format!("\ndkms-cc: {} {} {time}\n", real.display(), data.size());
            files::stage_file(&place, &[program, mark.as_bytes()].concat(), 0o755)?;
            files::set_time(&place, data.modified()?)?;
            copies.insert(real, place);
        }
        files::create_dirs(&self.own_table)?;
        Ok(true)
    }

    /// What programs behind walls have to see of it.
    #[must_use]
    pub(crate) fn shown(&self) -> Vec<PathBuf> {
        [&self.compilers].into_iter().chain(&self.common).cloned().collect()
    }

    /// What they write.
    #[must_use]
    pub(crate) fn written(&self) -> Bind {
        Bind::in_place(self.own_table.clone())
    }

    /// Gives the build its table.
    ///
    /// # Errors
    /// The file system refuses.
    pub(crate) fn give(&self, owner: Option<Ids>) -> Result<()> {
        owner.map_or(Ok(()), |owner| Ok(handover::set_owner(&self.own_table, owner.numbers())?))
    }

    /// Lets the build's programs find it.
    pub(crate) fn enter(&self, environment: &mut ProgramEnvironment, system: &System) {
        let path = format!("{}:{}", self.compilers.display(), environment.path(system));
        environment.export("PATH", &path);
        let tables: Vec<String> = [&self.own_table]
            .into_iter()
            .chain(&self.common)
            .map(|table| table.display().to_string())
            .collect();
        environment.export(TABLES, &tables.join(":"));
    }
}

/// More than a path with three numbers.
const LONGEST_MARK: usize = 8 << 10;

/// The program: beside this one, or where packages have it. Without /proc it would not find out its own name.
fn program(system: &System) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let dir = own.parent();
    let beside = dir.into_iter().flat_map(|dir| [dir.join(PROGRAM), dir.join("../lib/dkms").join(PROGRAM)]);
    let packaged = system.path("/usr/lib/dkms").join(PROGRAM);
    beside.chain([packaged]).find(|path| files::is_executable(path))
}

/// The names in PATH behind which there is a compiler, with its path; no script and no program that starts one, for such look
/// for it in PATH themselves, and have caches of their own.
fn compilers(path: &str) -> Vec<(String, PathBuf)> {
    let dirs = path.split(':').map(Path::new).filter(|dir| dir.is_absolute());
    // A dkms that runs within a build finds the copies of another one.
    let dirs = dirs.filter(|dir| !dir.join(LINKS).is_dir());
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for entry in dirs.flat_map(dir::entries) {
        let Some(name) = entry.file_name().to_str().filter(|name| is_compiler(name)).map(str::to_owned)
        else {
            continue;
        };
        // The first in PATH is the one that is found.
        if !seen.insert(name.clone()) {
            continue;
        }
        let real = fs_err::canonicalize(entry.path()).ok();
        let real_name = real.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        if real_name.is_some_and(is_compiler) && is_program(&entry.path()) {
            found.push((name, entry.path()));
        }
    }
    found
}

/// An executable of machine code.
fn is_program(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF" && files::is_executable(path)
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
    !changes_path(line)
        && !CACHES.iter().any(|cache| line.contains(cache))
        && line.match_indices("CC=").all(is_open)
}

/// `PATH=...`, and not `KERNEL_PATH=...`.
fn changes_path(line: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices("PATH=").any(|(at, _)| !line[..at].ends_with(is_name))
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
    #[case("make KERNEL_PATH=/k", true)]
    #[case("ccache make", false)]
    fn lines_with_other_compilers_are_known(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(calls_plain_compilers(line), expected);
    }

    #[test]
    fn what_starts_a_compiler_is_none() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        for (file, content, mode) in [
            (first.join("ccache"), "\x7fELF", 0o755),
            (second.join("gcc"), "\x7fELF", 0o755),
            (second.join("gcc-12"), "\x7fELF", 0o755),
            (second.join("gcc-11"), "#!/bin/sh\n", 0o755),
            (second.join("clang"), "\x7fELF", 0o644),
        ] {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("ccache", first.join("gcc")).unwrap();
        symlink("gcc-12", second.join("cc")).unwrap();
        let mut found = compilers(&format!("{}:relative:{}", first.display(), second.display()));
        found.sort();
        let expected = ["cc", "gcc-12"].map(|name| (name.to_owned(), second.join(name)));
        assert_eq!(found, expected);
    }
}
