//! Which calls of a compiler are probes, and what their answers depend on.
//!
//! Everything here is a list of what is known to be harmless. What is not in it goes to the compiler.

use crate::compiler::Compiler;
use crate::table::Tables;
use std::ffi::OsString;
use std::path::PathBuf;

/// Variables that answers depend on (gcc(1), "Environment Variables"; locale(7)).
const VARIABLES: [&str; 8] =
    ["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "GCC_COLORS", "GCC_URLS", "SOURCE_DATE_EPOCH"];
/// Variables by which a compiler reads or writes other files, or is another one.
const FOREIGN: [&str; 26] = [
    "CCC_ADD_ARGS",
    "CCC_OVERRIDE_OPTIONS",
    "CC_LOG_DIAGNOSTICS",
    "CC_PRINT_HEADERS",
    "CC_PRINT_INTERNAL_STAT",
    "CC_PRINT_INTERNAL_STAT_FILE",
    "CC_PRINT_OPTIONS",
    "CC_PRINT_PROC_STAT",
    "CC_PRINT_PROC_STAT_FILE",
    "CLANG_CONFIG_FILE_SYSTEM_DIR",
    "CLANG_CONFIG_FILE_USER_DIR",
    "CLANG_NO_DEFAULT_CONFIG",
    "COMPILER_PATH",
    "CPATH",
    "C_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "GCC_COMPARE_DEBUG",
    "GCC_EXEC_PREFIX",
    "GCC_EXTRA_DIAGNOSTIC_OUTPUT",
    "GCC_SPECS",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LIBRARY_PATH",
    "SUNPRO_DEPENDENCIES",
    "TERM_URLS",
];
/// Options whose value is the next argument.
const WITH_VALUE: [&str; 4] = ["-D", "-U", "--param", "-target"];
/// Options that stand for themselves.
const PLAIN: [&str; 10] = [
    "-w",
    "-P",
    "-ansi",
    "-pg",
    "-pipe",
    "-undef",
    "-nostdinc",
    "-pedantic",
    "-pedantic-errors",
    "-Qunused-arguments",
];
/// Options `-fNAME=VALUE` whose value is no file.
const VALUED: [&str; 26] = [
    "align-functions",
    "align-jumps",
    "align-loops",
    "cf-protection",
    "debug-prefix-map",
    "diagnostics-color",
    "excess-precision",
    "file-prefix-map",
    "fp-contract",
    "lto",
    "macro-prefix-map",
    "max-errors",
    "min-function-alignment",
    "patchable-function-entry",
    "sanitize",
    "sanitize-coverage",
    "sanitize-recover",
    "sanitize-trap",
    "sched-pressure",
    "stack-protector",
    "strict-flex-arrays",
    "tls-model",
    "trivial-auto-var-init",
    "visibility",
    "zero-call-used-regs",
    "asan-shadow-offset",
];
/// Of what begins like an option of code generation: what reads or writes files, or says how long it took.
const WITH_FILES: [&str; 19] = [
    "-fplugin",
    "-fprofile",
    "-fauto-profile",
    "-fbranch-probabilities",
    "-ftest-coverage",
    "-fdump",
    "-fopt-info",
    "-fstack-usage",
    "-fcallgraph",
    "-ftime",
    "-fmem-report",
    "-fproc-stat",
    "-fcompare-debug",
    "-fmodule",
    "-fsave-optimization",
    "-fcrash",
    "-fno-integrated-as",
    "-gsplit-dwarf",
    "-mllvm",
];
/// Warnings that depend on which directories exist.
const ABOUT_DIRECTORIES: [&str; 2] = ["missing-include-dirs", "-Weverything"];
/// Options of the assembler, but for those that begin with `-m`.
const ASSEMBLER: [&str; 4] = ["--noexecstack", "--fatal-warnings", "-gdwarf-4", "-gdwarf-5"];
const NOTHING: &str = "/dev/null";
/// In a key, in the place of the name of a temporary file.
const TEMPORARY: &str = ".tmp_/tmp";
const KEY: &str = "dkms-cc 1";

/// A probe: what is compiled is empty, and what comes of it is thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// With a general name in the place of the output's.
    args: Vec<String>,
    variables: String,
}

impl Request {
    /// A probe, and the name of its output; `None` for everything else.
    #[must_use]
    pub fn from_args(args: &[OsString]) -> Option<(Self, PathBuf)> {
        if FOREIGN.iter().any(|name| std::env::var_os(name).is_some()) {
            return None;
        }
        let args: Vec<&str> = args.iter().map(|arg| arg.to_str()).collect::<Option<_>>()?;
        let (args, output) = general(&args)?;
        let line = |name: &str| match std::env::var_os(name) {
            Some(value) => Some(format!("{name}={}\n", value.to_str()?)),
            None => Some(format!("{name}\n")),
        };
        let variables = VARIABLES.into_iter().map(line).collect::<Option<String>>()?;
        Some((Self { args, variables }, output.into()))
    }

    /// Everything that the answer depends on, as one text.
    #[must_use]
    pub fn key(&self, compiler: &Compiler, tables: &Tables) -> Option<String> {
        let identity = compiler.identity(tables)?;
        Some(format!("{KEY}\0{identity}\0{}\0{}", self.variables, self.args.join("\0")))
    }
}

/// The arguments of a probe with a general name for its output, and that output; `None` where they are of no probe.
fn general(args: &[&str]) -> Option<(Vec<String>, String)> {
    let mut found: Vec<String> = Vec::with_capacity(args.len());
    let (mut language, mut input, mut output, mut stage) = (false, false, None, false);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        found.push((*arg).to_owned());
        match *arg {
            "-c" | "-S" | "-E" => stage = true,
            "-x" => {
                let value =
                    rest.next().filter(|value| ["c", "assembler", "assembler-with-cpp"].contains(value))?;
                language = true;
                found.push((*value).to_owned());
            }
            "-o" => {
                let name = rest.next().filter(|_| output.is_none())?;
                found.push(if *name == NOTHING { NOTHING } else { TEMPORARY }.to_owned());
                output = Some((*name).to_owned()).filter(|name| name == NOTHING || is_temporary(name));
                output.as_ref()?;
            }
            // A file named before its language would be taken by its suffix.
            NOTHING if language && !input => input = true,
            // Compilers read further arguments from a file, also in the place of a value.
            option if WITH_VALUE.contains(&option) => {
                let value = rest.next().filter(|value| !value.starts_with('@'))?;
                found.push((*value).to_owned());
            }
            option if is_harmless(option) => {}
            _ => return None,
        }
    }
    Some((found, output.filter(|_| input && stage)?))
}

/// Whether kbuild deletes a file of this name itself: `.tmp_PID/tmp`, in kernels before 5.10 `.PID.tmp` and `.PID.o`.
fn is_temporary(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (dir, file) = name.rsplit_once('/').unwrap_or(("", name));
    let dir = dir.rsplit('/').next().unwrap_or_default();
    let in_own_dir = file == "tmp" && dir.strip_prefix(".tmp_").is_some_and(is_number);
    let middle =
        file.strip_prefix('.').and_then(|file| file.strip_suffix(".tmp").or(file.strip_suffix(".o")));
    in_own_dir || middle.is_some_and(is_number)
}

/// Whether an option neither reads nor writes a file.
fn is_harmless(option: &str) -> bool {
    if PLAIN.contains(&option) {
        return true;
    }
    if WITH_FILES.iter().any(|prefix| option.starts_with(prefix))
        || ABOUT_DIRECTORIES.iter().any(|words| option.contains(words))
    {
        return false;
    }
    let is_path = option.contains('/');
    match option.get(..2).unwrap_or_default() {
        "-D" | "-U" => true,
        "-O" | "-g" | "-m" => !is_path,
        "-W" => match option.split_once(',') {
            Some(("-Wa", part)) => {
                !part.contains([',', '/', '@']) && (ASSEMBLER.contains(&part) || part.starts_with("-m"))
            }
            Some(_) => false,
            None => !is_path,
        },
        "-f" => match option[2..].split_once('=') {
            Some((name, _)) => VALUED.contains(&name),
            None => !is_path,
        },
        "-s" => option.starts_with("-std=") && !is_path,
        "--" => ["--param=", "--target="].iter().any(|prefix| option.starts_with(prefix)) && !is_path,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TYPICAL: &str = "-Werror -D__KERNEL__ -std=gnu11 -mno-sse --param=allow-store-data-races=0 -g -gz=zlib -O2 \
                           -ffile-prefix-map=/var/lib/dkms/m/1/build=/usr/src/m-1 -fcf-protection=none -Wa,-mx86-used-note=no";

    fn words(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }

    #[rstest]
    #[case::object("-c -x c /dev/null -o /b/.tmp_123/tmp", true)]
    #[case::relative("-c -x c /dev/null -o .tmp_123/tmp", true)]
    #[case::old_kernel("-c -x c /dev/null -o /b/.123.tmp", true)]
    #[case::nothing("-S -x c /dev/null -o /dev/null", true)]
    #[case::assembler("-c -x assembler-with-cpp /dev/null -o .tmp_1/tmp", true)]
    #[case::preprocessed("-E -x c /dev/null -o /dev/null", true)]
    #[case::parameter("--param asan-stack=1 -c -x c /dev/null -o /dev/null", true)]
    #[case::result_is_used("-c -x c /dev/null -o empty.o", false)]
    #[case::result_on_stdout("-E -x c /dev/null", false)]
    #[case::source("-c -x c test.c -o /dev/null", false)]
    #[case::standard_input("-c -x c - -o /dev/null", false)]
    #[case::two_inputs("-c -x c /dev/null test.c -o /dev/null", false)]
    #[case::language_by_suffix("-c /dev/null -o /dev/null", false)]
    #[case::linked("-x c /dev/null -o /dev/null", false)]
    #[case::header("-include linux/kconfig.h -c -x c /dev/null -o /dev/null", false)]
    #[case::directory("-Iinclude -c -x c /dev/null -o /dev/null", false)]
    #[case::missing_directory("-Wmissing-include-dirs -c -x c /dev/null -o /dev/null", false)]
    #[case::missing_directory_as_error("-Werror=missing-include-dirs -c -x c /dev/null -o /dev/null", false)]
    #[case::response_file("@options -c -x c /dev/null -o /dev/null", false)]
    #[case::response_file_as_value("-D @options -c -x c /dev/null -o /dev/null", false)]
    #[case::response_file_of_assembler("-Wa,@options -c -x c /dev/null -o /dev/null", false)]
    #[case::plugin("-fplugin=x.so -c -x c /dev/null -o /dev/null", false)]
    #[case::list("-fsanitize-ignorelist=x -c -x c /dev/null -o /dev/null", false)]
    #[case::record("-foptimization-record-file=x -c -x c /dev/null -o /dev/null", false)]
    #[case::backend("-mllvm -stats -c -x c /dev/null -o /dev/null", false)]
    #[case::dependencies("-Wp,-MMD,x.d -c -x c /dev/null -o /dev/null", false)]
    #[case::dependencies_of_gcc("-MD -c -x c /dev/null -o /dev/null", false)]
    #[case::dependencies_of_assembler("-Wa,--MD,x -c -x c /dev/null -o /dev/null", false)]
    #[case::listing("-Wa,-W,-alh=x -c -x c /dev/null -o /dev/null", false)]
    #[case::specs("-specs=x -c -x c /dev/null -o /dev/null", false)]
    #[case::other_parts("-B/x -c -x c /dev/null -o /dev/null", false)]
    #[case::other_assembler("-no-integrated-as -c -x c /dev/null -o /dev/null", false)]
    #[case::wrapper("-wrapper x -c -x c /dev/null -o /dev/null", false)]
    #[case::question("-print-file-name=plugin", false)]
    #[case::version("--version", false)]
    #[case::no_value("-c -x c /dev/null -o", false)]
    fn probes_are_known(#[case] args: &str, #[case] expected: bool) {
        assert_eq!(general(&words(args)).is_some(), expected);
        let full = format!("{TYPICAL} {args}");
        assert_eq!(general(&words(&full)).is_some(), expected, "{full}");
    }

    #[test]
    fn names_of_outputs_do_not_count() {
        let first = general(&words("-c -x c /dev/null -o /a/.tmp_1/tmp")).unwrap();
        let second = general(&words("-c -x c /dev/null -o /b/.tmp_2/tmp")).unwrap();
        assert_eq!(first.0, second.0);
        assert_ne!(first.1, second.1);
        let thrown = general(&words("-c -x c /dev/null -o /dev/null")).unwrap();
        assert_ne!(first.0, thrown.0);
    }
}
