//! The make command of a build: what the conf says, and what every dkms adds to it.

use crate::conf::Jobs;
use crate::kernel::KernelConfig;
use crate::model::KernelRelease;
use crate::model::text::quote;
use std::path::Path;

/// How compile jobs are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parallelism {
    /// `-j<n>` on the command.
    Option(Jobs),
    /// Tokens of a jobserver in MAKEFLAGS; a `-j` on the command would turn that off.
    Jobserver,
}

/// The command line for bash.
///
/// A command whose first word is exactly `make` gets the jobs and `KERNELRELEASE=<K>` right after that word; a quoted
/// `'make'` is left alone, which confs use on purpose. ` LLVM=1` goes to the end of a single make command; what is more than
/// that finds it in its environment.
#[must_use]
pub(crate) fn command_line(
    conf: Option<&str>,
    kernel_dir: &Path,
    build_dir: &Path,
    release: &KernelRelease,
    llvm: bool,
    parallelism: Parallelism,
) -> String {
    let mut line = match conf {
        Some(command) => command.to_owned(),
        None => format!("make -C {} M={}", quote(kernel_dir), quote(build_dir)),
    };
    if llvm && is_one_make(&line) {
        line.push_str(" LLVM=1");
    }
    match line.strip_prefix("make") {
        Some(rest) if rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == ';') => {
            let jobs = match parallelism {
                Parallelism::Option(jobs) => format!(" -j{jobs}"),
                Parallelism::Jobserver => String::new(),
            };
            format!("make{jobs} KERNELRELEASE={release}{rest}")
        }
        _ => line,
    }
}

/// Whether a shell line is one make command, so that a word at its end is one more argument of that.
fn is_one_make(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default().trim_matches(['\'', '"']);
    let program = first.rsplit('/').next().unwrap_or_default();
    ["make", "gmake"].contains(&program)
        && !line.contains([';', '&', '|', '<', '>', '(', ')', '{', '}', '`', '#', '\\', '\n'])
}

/// The compiler's option that makes a module the same wherever its tree is: what it tells of the build directory, to
/// debuggers and in warnings, it tells of the source. `None` for compilers that do not know it (gcc before 8, clang before
/// 10), and for a path that would not be one word.
#[must_use]
pub(crate) fn prefix_map(config: &KernelConfig, build_dir: &Path, source: &Path) -> Option<String> {
    let is_at_least = |option: &str, least: u32| {
        config.value(option).and_then(|text| text.parse::<u32>().ok()).is_some_and(|version| version >= least)
    };
    let is_plain = |path: &Path| {
        path.to_str()
            .is_some_and(|text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-~".contains(c)))
    };
    let knows = is_at_least("CONFIG_GCC_VERSION", 80_000) || is_at_least("CONFIG_CLANG_VERSION", 100_000);
    (knows && is_plain(build_dir) && is_plain(source))
        .then(|| format!("-ffile-prefix-map={}={}", build_dir.display(), source.display()))
}

/// What a command says about its number of jobs. A number of its own turns the jobserver off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnJobs {
    /// Nothing: it takes part in the jobserver.
    None,
    /// One: no more than its turn is for.
    One,
    /// Several, and they are left to the jobserver by this line.
    Shared(String),
    /// It cannot be told how many, or to whom that is said: it runs alone, or there would be twice as many.
    Unknown,
}

/// What a shell line says about the number of jobs. A makefile behind it is not looked at.
#[must_use]
pub(crate) fn own_jobs(line: &str) -> OwnJobs {
    let words = words(line);
    let mut kept = Vec::new();
    let mut numbers = Vec::new();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let plain = unquoted(word);
        let number = plain.strip_prefix("-j").or_else(|| plain.strip_prefix("--jobs"));
        let number = number.map(|number| unquoted(number.trim_start_matches('=')));
        let Some(number) = number.filter(|number| is_number(number)) else {
            kept.push(*word);
            continue;
        };
        let next = rest.next_if(|next| number.is_empty() && is_count(unquoted(next)));
        numbers.push(next.map_or(number, |next| unquoted(next)));
    }
    match numbers.as_slice() {
        [] if line.split_whitespace().any(sets_jobs) => OwnJobs::Unknown,
        [] => OwnJobs::None,
        numbers if numbers.iter().all(|number| *number == "1") => OwnJobs::One,
        numbers if numbers.contains(&"1") => OwnJobs::Unknown,
        _ => {
            let shared = kept.join(" ");
            if is_one_make(&shared) && !line.trim().contains('\n') {
                OwnJobs::Shared(shared)
            } else {
                OwnJobs::Unknown
            }
        }
    }
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

/// Whether a piece of a line looks like a number of jobs, also within brackets, or quotes for another shell.
fn sets_jobs(piece: &str) -> bool {
    let piece = unquoted(piece);
    let number = piece.strip_prefix("-j");
    piece.starts_with("--jobs")
        || number
            .is_some_and(|n| n.is_empty() || n.starts_with(|c: char| c.is_ascii_digit() || "$`)".contains(c)))
}

/// A number of jobs as a word of its own; another variable may be a goal.
fn is_count(text: &str) -> bool {
    let is_digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    is_digits
        || text.starts_with(['$', '`'])
            && ["nproc", "NPROCESSORS", "parallel_jobs"].iter().any(|word| text.contains(word))
}

/// Nothing, digits, or what a shell makes a number of.
fn is_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit()) || text.starts_with(['$', '`'])
}

/// The words of a shell line. Blanks within quotes and substitutions do not end a word.
fn words(line: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut quote) = (Vec::new(), None, 0_usize, None);
    for (at, c) in line.char_indices() {
        match c {
            '"' | '\'' | '`' if quote == Some(c) => quote = None,
            '"' | '\'' | '`' if quote.is_none() => quote = Some(c),
            '(' if quote != Some('\'') => depth += 1,
            ')' if quote != Some('\'') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c.is_whitespace() && quote.is_none() && depth == 0 {
            found.extend(start.take().map(|start| &line[start..at]));
        } else {
            start.get_or_insert(at);
        }
    }
    found.extend(start.map(|start| &line[start..]));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, false, "make -j2 KERNELRELEASE=6.1 -C /k M=/b")]
    #[case(None, true, "make -j2 KERNELRELEASE=6.1 -C /k M=/b LLVM=1")]
    #[case(Some("make all"), false, "make -j2 KERNELRELEASE=6.1 all")]
    #[case(Some("make"), false, "make -j2 KERNELRELEASE=6.1")]
    #[case(Some("'make' all"), false, "'make' all")]
    #[case(Some("makeit all"), false, "makeit all")]
    #[case(Some("cd src; make"), true, "cd src; make")]
    #[case(Some("make a && make b"), true, "make -j2 KERNELRELEASE=6.1 a && make b")]
    #[case(Some("{ make; }"), true, "{ make; }")]
    #[case(Some("if true; then make; fi"), true, "if true; then make; fi")]
    #[case(Some("make all # all of it"), true, "make -j2 KERNELRELEASE=6.1 all # all of it")]
    #[case(Some("make all \\"), true, "make -j2 KERNELRELEASE=6.1 all \\")]
    #[case(Some("'make' all"), true, "'make' all LLVM=1")]
    #[case(Some("/usr/bin/make all"), true, "/usr/bin/make all LLVM=1")]
    #[case(Some("./make.sh all"), true, "./make.sh all")]
    fn only_the_word_make_gets_the_jobs(
        #[case] conf: Option<&str>,
        #[case] llvm: bool,
        #[case] expected: &str,
    ) {
        let release = KernelRelease::new("6.1").unwrap();
        let parallelism = Parallelism::Option(Jobs::Limited(2));
        let line = command_line(conf, Path::new("/k"), Path::new("/b"), &release, llvm, parallelism);
        assert_eq!(line, expected);
    }

    #[rstest]
    #[case(Jobs::Unlimited, "make -j KERNELRELEASE=6.1 x")]
    #[case(Jobs::Limited(7), "make -j7 KERNELRELEASE=6.1 x")]
    fn jobs_are_written_as_make_reads_them(#[case] jobs: Jobs, #[case] expected: &str) {
        let release = KernelRelease::new("6.1").unwrap();
        let line = command_line(
            Some("make x"),
            Path::new("/k"),
            Path::new("/b"),
            &release,
            false,
            Parallelism::Option(jobs),
        );
        assert_eq!(line, expected);
    }

    #[rstest]
    #[case("CONFIG_GCC_VERSION=120200\nCONFIG_CLANG_VERSION=0\n", "/t/m/1/build", true)]
    #[case("CONFIG_GCC_VERSION=0\nCONFIG_CLANG_VERSION=160006\n", "/t/m/1/build", true)]
    #[case("CONFIG_GCC_VERSION=40805\n", "/t/m/1/build", false)]
    #[case("", "/t/m/1/build", false)]
    #[case("CONFIG_GCC_VERSION=120200\n", "/t t/m/1/build", false)]
    #[case("CONFIG_GCC_VERSION=120200\n", "/t=u/m/1/build", false)]
    fn paths_are_mapped_where_the_compiler_can(
        #[case] config: &str,
        #[case] dir: &str,
        #[case] mapped: bool,
    ) {
        let config = KernelConfig::parse(config.to_owned());
        let option = prefix_map(&config, Path::new(dir), Path::new("/usr/src/m-1"));
        assert_eq!(option, mapped.then(|| format!("-ffile-prefix-map={dir}=/usr/src/m-1")));
    }

    #[rstest]
    #[case("make -C /k M=/b", OwnJobs::None)]
    #[case("make -jobless", OwnJobs::None)]
    #[case("make JOBS=-j4", OwnJobs::None)]
    #[case("make -j1 all", OwnJobs::One)]
    #[case("cd src; make -j 1", OwnJobs::One)]
    #[case("make --jobs=1", OwnJobs::One)]
    #[case("'make' -j4 all", OwnJobs::Shared("'make' all".into()))]
    #[case("'make' -j all", OwnJobs::Shared("'make' all".into()))]
    #[case("make -j 8 all", OwnJobs::Shared("make all".into()))]
    #[case("make --jobs=3", OwnJobs::Shared("make".into()))]
    #[case("make --jobs 3 x", OwnJobs::Shared("make x".into()))]
    #[case("'make' -j$(nproc) KVER=6.1", OwnJobs::Shared("'make' KVER=6.1".into()))]
    #[case("make -j`nproc` x", OwnJobs::Shared("make x".into()))]
    #[case("make -j\"$(getconf _NPROCESSORS_ONLN)\" x", OwnJobs::Shared("make x".into()))]
    #[case("make -j $(nproc --all) x", OwnJobs::Shared("make x".into()))]
    #[case("make -j${parallel_jobs} x", OwnJobs::Shared("make x".into()))]
    #[case("make x V=\"a  b\" -j2", OwnJobs::Shared("make x V=\"a  b\"".into()))]
    #[case("./configure && make -j4", OwnJobs::Unknown)]
    #[case("make -j4 a; make -j1 b", OwnJobs::Unknown)]
    #[case("make -j$(nproc) KVER=$(uname -r)", OwnJobs::Unknown)]
    #[case("make a\nmake b -j4", OwnJobs::Unknown)]
    #[case("sh build.sh -j4", OwnJobs::Unknown)]
    #[case("(cd . && make -j8)", OwnJobs::Unknown)]
    #[case("sh -c 'make -j8'", OwnJobs::Unknown)]
    #[case("sh -c \"cd x; make -j\"", OwnJobs::Unknown)]
    #[case("make -j $GOALS", OwnJobs::Shared("make $GOALS".into()))]
    fn number_of_jobs_is_known_or_shared(#[case] line: &str, #[case] expected: OwnJobs) {
        assert_eq!(own_jobs(line), expected);
    }
}
