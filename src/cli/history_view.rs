//! `dkms history`: what was tried, what set it off, and how it ended.

use super::table::{self, Cell};
use crate::cli::hints::hint_packages;
use crate::model::text::{in_brief, minute, short_minute};
use crate::model::{Attempt, AttemptResult, KernelRelease};
use crate::ops::history;
use crate::plan::request::{ConfFormat, PackageQuery};
use crate::session::Session;
use crate::system::{Colour, clock};
use serde::Serialize;

/// Raised when a field goes or changes its meaning; new fields may come at any time.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    attempts: &'a [Attempt],
}

pub(crate) fn print(
    package: Option<&PackageQuery>,
    release: Option<&KernelRelease>,
    format: ConfFormat,
    session: &Session<'_>,
) {
    let console = &session.system.console;
    let is_wanted = |attempt: &Attempt| {
        package.is_none_or(|wanted| wanted.is_text(&format!("{}/{}", attempt.name, attempt.version)))
            && release.is_none_or(|wanted| wanted.as_str() == attempt.kernel)
    };
    let attempts: Vec<Attempt> = history::read(session).into_iter().filter(is_wanted).collect();
    if format == ConfFormat::Json {
        let document = Document { schema: SCHEMA, attempts: &attempts };
        return console.say(serde_json::to_string_pretty(&document).unwrap_or_default());
    }
    if attempts.is_empty() {
        console.say("No attempt is recorded.");
        if let Some(wanted) = package {
            hint_packages(wanted.name.as_str(), session.settings, session.system);
        }
        return;
    }
    let heading = ["TIME", "TRIGGER", "PACKAGE", "KERNEL", "TOOK", "RESULT"];
    let rows: Vec<Vec<Cell>> =
        attempts.iter().map(|attempt| row(attempt, console.terminal().width.is_some())).collect();
    table::lines(&heading, &rows, &console.terminal()).iter().for_each(|line| console.say_painted(line));
}

fn row(attempt: &Attempt, on_terminal: bool) -> Vec<Cell> {
    let word = match attempt.result {
        AttemptResult::Failed => "FAILED",
        other => other.word(),
    };
    let reason = attempt.reason.iter().filter(|_| attempt.result != AttemptResult::Interrupted);
    let result = reason.fold(word.to_owned(), |text, reason| {
        format!("{text}: {}", if on_terminal { in_brief(reason) } else { reason })
    });
    let colour = match attempt.result {
        AttemptResult::Built | AttemptResult::Installed => Colour::Good,
        AttemptResult::Failed => Colour::Bad,
        AttemptResult::Skipped | AttemptResult::Interrupted => Colour::Warning,
    };
    let at = attempt.at.parse().unwrap_or_default();
    vec![
        Cell::plain(if on_terminal { short_minute(at) } else { minute(at) }),
        Cell::plain(&attempt.trigger),
        Cell::plain(format!("{}/{}", attempt.name, attempt.version)),
        Cell::plain(&attempt.kernel),
        Cell::plain(clock(attempt.took())),
        Cell::painted(result, colour),
    ]
}
