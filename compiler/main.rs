//! `dkms-cc`: stands in PATH before the compilers while packages are built, under their names.
//!
//! kbuild asks a compiler some thirty times in each run whether it knows an option, by compiling `/dev/null`, and throws the
//! result away. The second time the answer comes from a table; everything else goes to the compiler at once.
//!
//! Two tables: one of the build, which it writes itself, and one of all builds of this run of dkms, which no build can write.
//! `dkms-cc --learn OWN COMMON` fills the second one: it asks the compilers itself what the build `OWN` belongs to has asked.

#![allow(clippy::disallowed_methods, reason = "this program stands alone, and starts in no time")]

mod answer;
mod compiler;
mod request;
mod table;

use answer::Answer;
use compiler::Compiler;
use request::Request;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use table::Tables;

/// As a shell: the program does not exist, or cannot be started.
const NOT_FOUND: u8 = 127;
const CANNOT_START: u8 = 126;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let name = Path::new(&called).file_name().unwrap_or(&called);
    if name == "dkms-cc" {
        return learn(&args);
    }
    let Some(compiler) = Compiler::find(name) else {
        say(format_args!("{}: command not found", Path::new(name).display()));
        return ExitCode::from(NOT_FOUND);
    };
    if let Some(code) = answered(&compiler, &args) {
        return code;
    }
    let error = command(&compiler).args(&args).exec();
    say(format_args!("{}: {error}", compiler.path.display()));
    ExitCode::from(CANNOT_START)
}

/// The compiler, under the name that it has without us: its messages have it, and it finds its parts by it.
fn command(compiler: &Compiler) -> Command {
    let mut command = Command::new(&compiler.path);
    command.arg0(&compiler.path);
    command
}

/// What a probe gets; `None` for everything that only the compiler itself can answer.
fn answered(compiler: &Compiler, args: &[OsString]) -> Option<ExitCode> {
    let tables = Tables::from_environment()?;
    // On a terminal messages have colours.
    if std::io::stderr().is_terminal() {
        return None;
    }
    let (request, output) = Request::from_args(args)?;
    let key = request.key(compiler, &tables)?;
    if let Some(answer) = tables.get(&key) {
        return answer.give(&output);
    }
    let answer = Answer::ask(command(compiler).args(args).stdin(Stdio::inherit()), &output)?;
    if answer.is_lasting() {
        tables.put(&key, &answer);
    }
    answer.repeat()
}

/// Asks again what a build has asked, and writes down what is answered.
fn learn(args: &[OsString]) -> ExitCode {
    let [mode, own, common] = args else { return usage() };
    if mode != OsStr::new("--learn") {
        return usage();
    }
    let common = Tables::at(Path::new(common));
    for key in table::keys(Path::new(own)) {
        // What was asked of a compiler that is another one by now has no answer.
        let Some((compiler, request)) = Request::from_key(&key) else { continue };
        if request.key(&compiler, &common).as_ref() != Some(&key) || common.get(&key).is_some() {
            continue;
        }
        let Some(scratch) = request::Scratch::new() else { return ExitCode::FAILURE };
        let mut asked = command(&compiler);
        request.prepare(&mut asked, scratch.output());
        if let Some(answer) = Answer::ask(asked.stdin(Stdio::null()), scratch.output())
            && answer.is_lasting()
        {
            common.put(&key, &answer);
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    say(format_args!(
        "usage: dkms-cc --learn OWN COMMON\nRun by dkms, and by builds under the names of compilers."
    ));
    ExitCode::from(2)
}

fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
