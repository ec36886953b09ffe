//! `dkms lint`: what is wrong with a dkms.conf, one line each as compilers print it, or JSON.

use super::conf_view::locate;
use crate::conf::{EvalContext, Settings};
use crate::inspect::lint::{LintFinding, Severity, lint};
use crate::model::{ExitCode, Result, Target};
use crate::plan::request::{ConfFormat, Subject};
use crate::system::{Colour, Painted, System};
use serde::Serialize;
use std::path::PathBuf;

/// Raised when a field goes or changes its meaning; new fields may come at any time.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    file: PathBuf,
    findings: &'a [LintFinding],
}

/// Lints and tells: 0 if there are at most hints, else 1.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn print(
    subject: &Subject,
    target: &Target,
    format: ConfFormat,
    settings: &Settings,
    system: &System,
) -> Result<ExitCode> {
    let kernel = settings.kernel(&target.release);
    let (file, id) = locate(subject, None, settings)?;
    let view = EvalContext { package: id.as_ref(), kernel: &kernel, arch: &target.arch };
    let findings = lint(&file, view, settings, system)?;
    let console = &system.console;
    match format {
        ConfFormat::Json => {
            let document = Document { schema: SCHEMA, file, findings: &findings };
            console.say(serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        ConfFormat::Text if findings.is_empty() => {
            console.say(format!("{}: no problem found.", file.display()))
        }
        ConfFormat::Text => {
            for LintFinding { severity, line, text } in &findings {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                let (word, colour) = match severity {
                    Severity::Error => ("error", Colour::Bad),
                    Severity::Warning => ("warning", Colour::Warning),
                    Severity::Hint => ("hint", Colour::Faint),
                };
                let place = Painted::default().plain(&format!("{}{line}: ", file.display()));
                let word = console.terminal().paint(colour, word);
                console.say_painted(&place.then(&word).plain(&format!(": {text}")));
            }
        }
    }
    let is_clean = findings.iter().all(|finding| finding.severity == Severity::Hint);
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode(1) })
}
