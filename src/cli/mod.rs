//! The command: arguments in, exit status out; and the views of status and conf.

mod action;
mod args;
mod check_view;
mod conf_view;
mod fsck_view;
mod request;
mod run;
mod scan;
mod status;
mod usage;

pub(crate) use action::Action;
pub(crate) use run::perform;
pub(crate) use usage::usage;

use crate::conf::Settings;
use crate::model::{Error, ExitCode};
use crate::plan::request::Request;
use crate::system::{System, prepare_process, signals};
use args::Arguments;
use scan::Scan;

/// The program `dkms`.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let system = System::capture();
    prepare_process();
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    std::process::ExitCode::from(run(&words, &system).0)
}

/// Runs one command line.
#[must_use]
pub(crate) fn run(words: &[String], system: &System) -> ExitCode {
    let code = match parse(words, system) {
        Ok(Some(args)) => execute(&args, system),
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => Err(error),
    };
    match code {
        Ok(code) => code,
        Err(error) => {
            tell(&error, system);
            error.exit_code()
        }
    }
}

fn parse(words: &[String], system: &System) -> Result<Option<Arguments>, Error> {
    match scan::scan(words, || system.ui.be_quiet())? {
        Scan::Version => system.ui.say(format!("dkms-{}", crate::VERSION)),
        Scan::Help => system.ui.say(usage()),
        Scan::Complete { words, action, notes } => {
            let args = args::parse(&words, action)?;
            notes.iter().for_each(|note| system.ui.note(note));
            args.warnings.iter().for_each(|warning| system.ui.warn(warning));
            return Ok(Some(args));
        }
    }
    Ok(None)
}

fn execute(args: &Arguments, system: &System) -> Result<ExitCode, Error> {
    let settings = Settings::load(args.overrides.clone(), system);
    let request = request::request(args, &settings, system)?;
    if !matches!(request, Request::Status { .. } | Request::Conf { .. } | Request::Check { .. }) {
        for (name, value) in &settings.directives {
            system.ui.say(format!("Directive from the command line: {name}={value}"));
        }
    }
    let result = perform(&request, &settings, system);
    match signals::received() {
        Some(signal) => Err(Error::Interrupted { signal, complete: result.is_ok() }),
        None => result,
    }
}

/// Says what went wrong; for an unknown command line, also the usage.
fn tell(error: &Error, system: &System) {
    match error {
        Error::Told(_) => {}
        error if error.is_warning() => system.ui.warn(error.to_string()),
        error => system.ui.error(error.to_string()),
    }
    if matches!(error, Error::UnknownOption(_) | Error::UnknownAction(_)) {
        system.ui.say(usage());
    }
}
