//! `dkms-cc`: stands in PATH before the compilers while packages are built, under their names.
//!
//! kbuild asks a compiler some thirty times in each run whether it knows an option, by compiling `/dev/null`, and throws the
//! result away. The second time the answer comes from a table; everything else goes to the compiler at once.
//!
//! There are two tables. One is the build's own, and is written here. The other one is read: dkms fills it before the builds of
//! a run, where no program of a package takes part.

#![allow(clippy::disallowed_methods, reason = "this program stands alone, and starts in no time")]

mod answer;
mod compiler;
mod request;
mod table;

use answer::Answer;
use compiler::Compiler;
use request::Request;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use table::Tables;

/// As a shell: the program does not exist, or cannot be started.
const NOT_FOUND: u8 = 127;
const CANNOT_START: u8 = 126;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(compiler) = Compiler::behind_this_name() else {
        say(format_args!("dkms-cc is run by builds, under the name of a compiler that it stands for."));
        return ExitCode::from(NOT_FOUND);
    };
    if let Some(code) = answered(&compiler, &args) {
        return code;
    }
    let error = command(&compiler).args(&args).exec();
    say(format_args!("{}: {error}", compiler.path.display()));
    ExitCode::from(CANNOT_START)
}

/// The compiler, under its own path: it looks for its parts from there. Its messages have the name alone, as always.
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
    Some(answer.repeat())
}

fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
