//! PRE_BUILD and POST_BUILD.

use crate::conf::Script;
use crate::model::text::quote;
use crate::model::{Error, Result};
use crate::programs::log::StepLog;
use crate::programs::scripts::find_script;
use crate::session::WriteSession;
use crate::system::process::Command;

/// Runs PRE_BUILD or POST_BUILD: a shell command line in the build directory, with its output in the log. `confined` puts
/// it where it belongs.
///
/// # Errors
/// The script fails; dkms exits with its status.
pub(crate) fn run_build_script(
    session: &WriteSession<'_>,
    script: Script,
    line: &str,
    build: &crate::build::BuildDir<'_>,
    confined: &dyn Fn(Command) -> Command,
    log: &mut StepLog,
) -> Result<()> {
    let id = &build.id.package;
    let Some(found) = find_script(session, id, script, line, &build.shown, &build.real)? else {
        return Ok(());
    };
    let shell = format!("{} {}", quote(&found.file), found.rest);
    let shown = format!("cd {}/ && {} {}", found.dir.display(), found.file.display(), found.rest);
    let command = confined(build.environment.shell(session.system, &shell).dir(&found.dir));
    let command = build.with_jobserver(command);
    let title = format!("Running the {} script", script.directive().to_lowercase());
    let step = session.system.console.step(&build.owner, &title);
    let status = log.run(&title, shown.trim_end(), command)?;
    session.go_on()?;
    if status.success() {
        step.done();
        return Ok(());
    }
    step.failed(format!("bad exit status: {}", status.code()));
    Err(Error::ScriptFailed {
        script: script.directive(),
        status: status.code().max(1),
        log: Some(session.tree().failure_log(&build.id.package)),
    })
}
