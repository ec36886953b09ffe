//! The make command of a build: what the conf says, and what every dkms adds to it.

use crate::conf::Jobs;
use crate::kernel::KernelConfig;
use crate::model::KernelRelease;
use crate::system::process::quote;
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

/// Whether the command (or a makefile behind it, as far as the line tells) sets its own number of jobs, so that a
/// jobserver does not bind it.
#[must_use]
pub(crate) fn sets_jobs(line: &str) -> bool {
    line.split_whitespace().any(|word| {
        let word = word.trim_matches(['"', '\'']);
        word == "-j"
            || word.starts_with("--jobs")
            || word
                .strip_prefix("-j")
                .is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit() || c == '$' || c == '`'))
    })
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
    #[case("'make' -j4 all", true)]
    #[case("'make' -j all", true)]
    #[case("make --jobs=3", true)]
    #[case("make -C /k M=/b", false)]
    #[case("make -jobless", false)]
    fn a_command_with_its_own_jobs_is_known(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(sets_jobs(line), expected);
    }
}
