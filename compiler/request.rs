//! Which calls of a compiler are probes, and what their answers depend on.

use crate::compiler::Compiler;
use crate::table::Tables;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that answers depend on (gcc(1), "Environment Variables"; locale(7)).
const VARIABLES: [&str; 8] =
    ["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "GCC_COLORS", "GCC_URLS", "SOURCE_DATE_EPOCH"];
/// Variables by which a compiler reads or writes other files, or is another one.
const FOREIGN: [&str; 13] = [
    "CCC_ADD_ARGS",
    "CCC_OVERRIDE_OPTIONS",
    "COMPILER_PATH",
    "CPATH",
    "C_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "GCC_COMPARE_DEBUG",
    "GCC_EXEC_PREFIX",
    "GCC_EXTRA_DIAGNOSTIC_OUTPUT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LIBRARY_PATH",
    "SUNPRO_DEPENDENCIES",
];
/// Options whose value is the next argument.
const WITH_VALUE: [&str; 9] =
    ["-D", "-U", "-I", "-isystem", "-iquote", "-idirafter", "--param", "-target", "-mllvm"];
/// Options that stand for themselves.
const PLAIN: [&str; 12] = [
    "-w",
    "-P",
    "-ansi",
    "-pg",
    "-pipe",
    "-undef",
    "-nostdinc",
    "-pedantic",
    "-pedantic-errors",
    "-integrated-as",
    "-no-integrated-as",
    "-Qunused-arguments",
];
/// Of what begins like an option of code generation: what reads or writes files, or says how long it took.
const WITH_FILES: [&str; 17] = [
    "-fplugin",
    "-fprofile",
    "-fauto-profile",
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
    "-fself-test",
    "-fsave-optimization",
    "-fcrash",
    "-gsplit-dwarf",
];
/// A warning that depends on what is in the working directory.
const ABOUT_DIRECTORIES: &str = "-Wmissing-include-dirs";
const NOTHING: &str = "/dev/null";
/// In a key, in the place of the name of a temporary file.
const TEMPORARY: &str = ".tmp_/tmp";
const KEY: &str = "dkms-cc 1";
const FEWEST_PARTS: usize = 4;

/// A probe: what is compiled is empty, and what comes of it is thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// With a general name in the place of the output's.
    args: Vec<String>,
    variables: Vec<(&'static str, Option<String>)>,
    /// Where it matters.
    dir: Option<String>,
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
        let variables = VARIABLES.map(|name| match std::env::var_os(name) {
            Some(value) => Some((name, Some(value.into_string().ok()?))),
            None => Some((name, None)),
        });
        let variables = variables.into_iter().collect::<Option<_>>()?;
        let dir = match args.iter().any(|arg| arg.starts_with(ABOUT_DIRECTORIES)) {
            true => Some(std::env::current_dir().ok()?.into_os_string().into_string().ok()?),
            false => None,
        };
        Some((Self { args, variables, dir }, output.into()))
    }

    /// Everything that the answer depends on, as one text.
    #[must_use]
    pub fn key(&self, compiler: &Compiler, tables: &Tables) -> Option<String> {
        let identity = compiler.identity(tables)?;
        let value =
            |value: &Option<String>| value.as_ref().map_or_else(String::new, |value| format!("={value}"));
        let variables = self.variables.iter().map(|(name, text)| format!("{name}{}\n", value(text)));
        let parts = [KEY.to_owned(), identity, variables.collect(), self.dir.clone().unwrap_or_default()];
        Some(parts.into_iter().chain(self.args.iter().cloned()).collect::<Vec<_>>().join("\0"))
    }

    /// The request of a key, which a build may have written: held to be one only where it is a probe.
    #[must_use]
    pub fn from_key(key: &str) -> Option<(Compiler, Self)> {
        let parts: Vec<&str> = key.split('\0').collect();
        let (head, args) = parts.split_at_checked(FEWEST_PARTS)?;
        let [KEY, identity, variables, dir] = head else { return None };
        let (args, _) = general(args).filter(|(found, _)| found.iter().eq(args.iter()))?;
        let path = PathBuf::from(identity.lines().next()?);
        let mut values = Vec::new();
        for (name, line) in VARIABLES.into_iter().zip(variables.lines()) {
            let value = line.strip_prefix(name)?;
            values.push((name, value.strip_prefix('=').map(str::to_owned)));
        }
        let dir = Some((*dir).to_owned()).filter(|dir| !dir.is_empty());
        Some((Compiler { path }, Self { args, variables: values, dir }))
    }

    /// Lets a compiler be asked it, with this output in the place of a temporary file.
    pub fn prepare(&self, command: &mut Command, output: &Path) {
        for arg in &self.args {
            match arg == TEMPORARY {
                true => command.arg(output),
                false => command.arg(arg),
            };
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
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
            option if WITH_VALUE.contains(&option) => found.push((*rest.next()?).to_owned()),
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
    let in_own_dir =
        file == "tmp" && dir.strip_prefix(".tmp_").is_some_and(|id| id.is_empty() || is_number(id));
    let middle =
        file.strip_prefix('.').and_then(|file| file.strip_suffix(".tmp").or(file.strip_suffix(".o")));
    in_own_dir || middle.is_some_and(is_number)
}

/// Whether an option neither reads nor writes a file that matters to an empty input.
fn is_harmless(option: &str) -> bool {
    if PLAIN.contains(&option) {
        return true;
    }
    if WITH_FILES.iter().any(|prefix| option.starts_with(prefix)) {
        return false;
    }
    let value = option.split_once('=').map_or("", |(_, value)| value);
    let kind = option.get(..2).unwrap_or_default();
    match kind {
        "-D" | "-U" | "-I" | "-O" | "-g" => option.len() >= 2,
        "-W" => {
            // -Wa, -Wp, -Wl: options of other programs, which can be listings and dependencies.
            let foreign =
                option.strip_prefix("-Wa,").map(|rest| rest.starts_with("-a") || rest.contains('/'));
            !option.starts_with("-Wp,")
                && !option.starts_with("-Wl,")
                && !foreign.unwrap_or(value.contains('/'))
        }
        // A value with a path is a file, but for the names that files have in debug information.
        "-f" => {
            !value.contains('/') || option.split('=').next().is_some_and(|name| name.ends_with("-prefix-map"))
        }
        "-m" | "-s" => (kind == "-m" || option.starts_with("-std=")) && !value.contains('/'),
        "--" => option.starts_with("--param=") || option.starts_with("--target="),
        _ => false,
    }
}

/// A private directory for one output, gone with this.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    output: PathBuf,
}

impl Scratch {
    /// Below /tmp, which is private behind walls.
    #[must_use]
    pub fn new() -> Option<Self> {
        let dir = std::env::temp_dir().join(format!("dkms-cc.{}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        let output = dir.join("output");
        Some(Self { dir, output })
    }

    #[must_use]
    pub fn output(&self) -> &Path {
        &self.output
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TYPICAL: &str = "-Werror -D__KERNEL__ -std=gnu11 -mno-sse --param=allow-store-data-races=0 -g -gz=zlib -O2 \
                           -ffile-prefix-map=/var/lib/dkms/m/1/build=/usr/src/m-1 -isystem /usr/include -Wa,-mx86-used-note=no";

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
    #[case::result_is_used("-c -x c /dev/null -o empty.o", false)]
    #[case::result_on_stdout("-E -x c /dev/null", false)]
    #[case::source("-c -x c test.c -o /dev/null", false)]
    #[case::standard_input("-c -x c - -o /dev/null", false)]
    #[case::two_inputs("-c -x c /dev/null test.c -o /dev/null", false)]
    #[case::language_by_suffix("-c /dev/null -o /dev/null", false)]
    #[case::linked("-x c /dev/null -o /dev/null", false)]
    #[case::header("-include linux/kconfig.h -c -x c /dev/null -o /dev/null", false)]
    #[case::response_file("@options -c -x c /dev/null -o /dev/null", false)]
    #[case::plugin("-fplugin=x.so -c -x c /dev/null -o /dev/null", false)]
    #[case::list("-fsanitize-ignorelist=/x -c -x c /dev/null -o /dev/null", false)]
    #[case::dependencies("-Wp,-MMD,x.d -c -x c /dev/null -o /dev/null", false)]
    #[case::dependencies_of_gcc("-MD -c -x c /dev/null -o /dev/null", false)]
    #[case::listing("-Wa,-adhln=x -c -x c /dev/null -o /dev/null", false)]
    #[case::specs("-specs=x -c -x c /dev/null -o /dev/null", false)]
    #[case::other_parts("-B/x -c -x c /dev/null -o /dev/null", false)]
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

    fn request(args: &str, variables: [Option<&str>; VARIABLES.len()]) -> Request {
        let variables = VARIABLES.into_iter().zip(variables.map(|value| value.map(str::to_owned)));
        Request { args: general(&words(args)).unwrap().0, variables: variables.collect(), dir: None }
    }

    #[test]
    fn key_holds_its_request() {
        let dir = tempfile::tempdir().unwrap();
        let tables = Tables::at(dir.path());
        let compiler = Compiler { path: "/bin/sh".into() };
        tables.put_parts(&crate::table::tests::line_of("/bin/sh"), "/bin/true\n");
        let mut values = [None; VARIABLES.len()];
        values[0] = Some("C");
        values[2] = Some("");
        let request = request("-O2 -c -x c /dev/null -o .tmp_7/tmp", values);
        let key = request.key(&compiler, &tables).unwrap();
        assert_eq!(Request::from_key(&key), Some((compiler, request)));
    }

    #[rstest]
    #[case::no_probe("-c\0x.c")]
    #[case::not_general("-c\0-x\0c\0/dev/null\0-o\0/etc/.tmp_1/tmp")]
    #[case::empty("")]
    fn forged_key_is_refused(#[case] args: &str) {
        let variables = VARIABLES.map(|name| format!("{name}\n")).concat();
        assert_eq!(Request::from_key(&format!("{KEY}\0/usr/bin/gcc\n\0{variables}\0\0{args}")), None);
    }
}
