//! The command: arguments in, exit status out; and the views of status and conf.

mod action;
mod args;
mod check_view;
mod conf_view;
#[cfg(test)]
mod documents;
mod exit_codes;
mod fsck_view;
mod hints;
mod history_view;
mod identity;
#[cfg(test)]
mod json_documents;
mod kernels;
mod line;
mod lint_view;
mod log_view;
mod options;
mod preflight_view;
mod preview;
mod request;
mod results;
mod run;
mod status;
mod table;
mod usage;

pub(crate) use action::Action;
pub(crate) use run::perform;

use crate::conf::Settings;
use crate::model::similar::most_similar;
use crate::model::{Error, ExitCode};
use crate::ops::notice;
use crate::plan::request::Request;
use crate::system::syslog::{Severity, Syslog};
use crate::system::{System, prepare_process, signals};
use args::Arguments;
use hints::hint;
use line::Line;
use results::Results;
use std::time::{Duration, Instant};
use usage::{usage, usage_of};

/// The program `dkms`.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let mut system = System::capture();
    system.use_terminal();
    prepare_process();
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    std::process::ExitCode::from(run(&words, &system).0)
}

/// Runs one command line.
#[must_use]
pub(crate) fn run(words: &[String], system: &System) -> ExitCode {
    let args = match parse(words, system) {
        Ok(Some(args)) => args,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, None, system);
            return error.exit_code();
        }
    };
    let settings = Settings::load(args.overrides.clone(), system);
    match execute(&args, &settings, system) {
        Ok(code) => code,
        Err(error) => {
            tell(&error, hint(&error, &args, &settings, system), system);
            error.exit_code()
        }
    }
}

/// The arguments, unless the line only asks for the version or the help.
fn parse(words: &[String], system: &System) -> Result<Option<Arguments>, Error> {
    let args = match line::parse(words, &system.console)? {
        Line::Version => {
            system.console.say(format!("dkms-{}", crate::VERSION));
            return Ok(None);
        }
        Line::Help(action) => {
            system.console.say(action.map_or_else(usage, usage_of));
            return Ok(None);
        }
        Line::Arguments(args) => *args,
    };
    args.notes.iter().for_each(|note| system.console.note(note));
    // Without an action there is an error, which says more.
    let warnings = args.warnings.iter().filter(|_| args.action.is_some());
    warnings.for_each(|warning| system.console.warn(warning));
    if args.action == Some(Action::Help) {
        system.console.say(help(args.module.as_deref().unwrap_or_default())?);
        return Ok(None);
    }
    Ok(Some(args))
}

fn help(word: &str) -> Result<String, Error> {
    match (word, Action::parse(word)) {
        ("", _) => Ok(usage()),
        (_, Some(action)) => Ok(usage_of(action)),
        (word, None) => Err(Error::UnknownAction(word.to_owned())),
    }
}

fn execute(args: &Arguments, settings: &Settings, system: &System) -> Result<ExitCode, Error> {
    let request = request::request(args, settings, system).inspect_err(|error| {
        // Who asked for a document gets one in any case.
        if request::wants_report(args) {
            system.console.document(&Results::default().document(&Err(error.clone())));
        }
    })?;
    if !matches!(request, Request::Status { .. } | Request::Conf { .. } | Request::Check { .. }) {
        for (name, value) in &settings.directives {
            system.console.say(format!("Directive from the command line: {name}={value}"));
        }
    }
    let began = Instant::now();
    let result = perform(&request, settings, system);
    if request.changes() && system.is_privileged() {
        notice::refresh(settings, system);
        log_action(args, &result, began.elapsed(), system);
    }
    match signals::received() {
        Some(signal) if !matches!(result, Err(Error::Interrupted { .. })) => {
            Err(Error::Interrupted { signal, complete: result.is_ok(), left: Vec::new() })
        }
        _ => result,
    }
}

/// A line in the system's log for everything that was done by hand: what, by whom, how it ended and how long it took.
fn log_action(args: &Arguments, result: &Result<ExitCode, Error>, took: Duration, system: &System) {
    let user = match system.variable("SUDO_USER") {
        Some(user) => format!("{user} (sudo)"),
        None => format!("uid {}", system.host.euid),
    };
    let package = [&args.module, &args.version].into_iter().flatten().cloned().collect::<Vec<_>>().join("/");
    let path = args.source_dir.as_ref().or(args.archive.as_ref()).map(|path| path.display().to_string());
    let action = args.action.map_or("", Action::word);
    let words: Vec<String> = [action.to_owned(), package, path.unwrap_or_default(), args.kernels.join(" ")]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    let code = match result {
        Ok(code) => code.0,
        Err(error) => error.exit_code().0,
    };
    let text = format!("{} by {user}: exit status {code} after {} s", words.join(" "), took.as_secs());
    let severity = if code == 0 { Severity::Info } else { Severity::Error };
    Syslog::open("dkms", system).write(severity, &text);
}

/// Says what went wrong and, in the second line, what helps; for an unknown word of the command line, what it may have been meant
/// for.
fn tell(error: &Error, hint: Option<String>, system: &System) {
    let mut text = error.to_string();
    if let Some(hint) = &hint {
        // Callers match the first words of a second line.
        text.push(if text.contains('\n') { ' ' } else { '\n' });
        text.push_str(hint);
    }
    match error {
        Error::Reported(_) => hint.iter().for_each(|hint| system.console.note(hint)),
        error if error.is_warning() => system.console.warn(text),
        _ => system.console.error(text),
    }
    if let Error::UnknownOption(word) | Error::UnknownAction(word) = error {
        let similar = meant_word(word.split('=').next().unwrap_or_default());
        let meant = similar.map(|known| format!("Did you mean {known}? ")).unwrap_or_default();
        system.console.note(format!("{meant}See dkms --help."));
        system.console.say(usage::synopsis());
    }
}

/// The action or option that a word was probably meant for.
fn meant_word(word: &str) -> Option<&'static str> {
    // What other programs call these actions.
    const OTHER_WORDS: [(&str, &str); 6] = [
        ("list", "status"),
        ("ls", "status"),
        ("rm", "remove"),
        ("delete", "remove"),
        ("purge", "remove"),
        ("logs", "log"),
    ];
    let other = OTHER_WORDS.iter().find(|(known, _)| *known == word).map(|(_, action)| *action);
    other.or_else(|| match word.starts_with('-') {
        // One letter is similar to every other.
        true => most_similar(word, options::spellings().filter(|spelling| spelling.len() > 2)),
        false => action::words()
            .find(|known| known.eq_ignore_ascii_case(word))
            .or_else(|| most_similar(&word.to_ascii_lowercase(), action::words())),
    })
}
