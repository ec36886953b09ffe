//! Evaluates one configuration file: `dkms.conf`, an override of it, or `framework.conf`.
//!
//! These files are shell code, and their values are read twice: once as the file, once more as the text the original
//! DKMS printed for each value (see `reread`). A file of plain assignments is evaluated here, with bash's exact
//! result; anything else goes to bash (see `bash`). What the values mean is decided elsewhere, and no file is opened.

mod bash;
mod braces;
mod expand;
mod lexer;
mod names;
mod parser;
mod pattern;
mod reread;
mod script;
mod syntax;
#[cfg(test)]
mod tests;

use super::Values;
use crate::system::sandbox::Outline;
use expand::Shell;
use reread::Printed;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fmt, io};
use syntax::{Native, NeedsBash};

/// How a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evaluator {
    /// Without starting any program.
    Native,
    /// At least one of the two readings was done by bash.
    Bash,
}

impl fmt::Display for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Bash => "bash",
        })
    }
}

/// What a file can see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// The variables of dkms, such as `kernelver` and `dkms_tree`; not exported.
    pub variables: BTreeMap<String, String>,
    /// The whitelisted values that earlier files of the chain set.
    pub inherited: Values,
    /// The environment; its whitelisted names are hidden.
    pub environment: BTreeMap<String, String>,
    /// What bash is kept apart from; `None` where the file is the administrator's own.
    pub confined: Option<Outline>,
}

/// What a file evaluates to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evaluation {
    /// The whitelisted values after the file: the inherited ones, with those of the file over them.
    pub values: Values,
    pub evaluator: Evaluator,
    /// Directives with a value that the second reading loses, mostly because of blanks inside inner quotes. What an
    /// earlier file of the chain set stays.
    pub lost: Vec<String>,
    /// Directives whose value ends early, because the rest fell out of its quotes. A name may be lost as well.
    pub cut: Vec<String>,
    /// What `DKMS_DIRECTIVE*` assigns to names outside of the whitelist; the other ones are in `values`.
    pub overrides: BTreeMap<String, String>,
    /// What bash and the programs of the file said on standard error.
    pub messages: Vec<String>,
}

/// Why a file has no evaluation. A file that fails or exits is not an error: its values are empty.
#[derive(Debug)]
pub(crate) enum EvalError {
    /// The file ran longer than allowed; it was killed with all it started.
    TimedOut(Duration),
    /// The file needs bash, and there is none.
    BashMissing,
    Io(io::Error),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(limit) => write!(f, "not evaluated within {} seconds", limit.as_secs()),
            Self::BashMissing => f.write_str("bash is needed to evaluate it, but is not installed"),
            Self::Io(error) => write!(f, "bash cannot evaluate it: {error}"),
        }
    }
}

impl std::error::Error for EvalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::TimedOut(_) | Self::BashMissing => None,
        }
    }
}

/// What the first reading leaves.
#[derive(Debug, Default)]
struct First {
    printed: Vec<Printed>,
    /// Variables named `DKMS_DIRECTIVE*`.
    directives: BTreeMap<String, String>,
}

/// Evaluates the text of one file, both readings. Only the names in `whitelist` come through; its order is the order of
/// the second reading. `path` is the name under which bash opens the file, relative to the caller's working directory.
///
/// # Errors
/// When the file needs bash and bash could not be run to its end.
pub(crate) fn evaluate(
    path: &Path,
    text: &[u8],
    whitelist: &[&str],
    scope: &Scope,
    timeout: Duration,
) -> Result<Evaluation, EvalError> {
    let mut runner = bash::Runner::new(whitelist, scope, Instant::now() + timeout, timeout);
    let before = visible(whitelist, scope);
    let first = match read_natively(text, whitelist, &before) {
        Ok(first) => first,
        Err(NeedsBash) => runner.first_reading(path, text)?,
    };
    let (values, assigned, cut) = second_reading(&first, whitelist, &before, &mut runner)?;
    let mut evaluation = Evaluation {
        values,
        evaluator: if runner.was_used() { Evaluator::Bash } else { Evaluator::Native },
        lost: lost(&first, &assigned),
        cut: cut.into_iter().collect(),
        overrides: BTreeMap::new(),
        messages: runner.into_messages(),
    };
    for (name, value) in overrides(&first.directives) {
        if whitelist.contains(&name) {
            evaluation.values.set(name, 0, value);
        } else {
            evaluation.overrides.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(evaluation)
}

/// Whether both readings of a text are done without bash.
#[cfg(any(test, fuzzing))]
#[must_use]
pub(crate) fn is_native(text: &[u8], whitelist: &[&str], scope: &Scope) -> bool {
    let mut shell = visible(whitelist, scope);
    read_natively(text, whitelist, &shell)
        .is_ok_and(|first| reread::run(&reread::plan(&first.printed), &mut shell).is_ok())
}

/// As [`evaluate`], by bash alone: what the native evaluator is measured by.
///
/// # Errors
/// Bash could not be run to its end.
#[cfg(any(test, fuzzing))]
pub(crate) fn evaluate_by_bash(
    path: &Path,
    text: &[u8],
    whitelist: &[&str],
    scope: &Scope,
    timeout: Duration,
) -> Result<Values, EvalError> {
    let mut runner = bash::Runner::new(whitelist, scope, Instant::now() + timeout, timeout);
    let first = runner.first_reading(path, text)?;
    let plan = reread::plan(&first.printed);
    let (variables, _) = runner.second_reading(&plan, &visible(whitelist, scope))?;
    let mut values: Values = variables.iter().filter(|(name, ..)| whitelist.contains(name)).collect();
    for (name, value) in overrides(&first.directives).filter(|(name, _)| whitelist.contains(name)) {
        values.set(name, 0, value);
    }
    Ok(values)
}

/// The variables before the file; the weaker sources first.
fn visible(whitelist: &[&str], scope: &Scope) -> Shell {
    let mut variables = Values::new();
    for (name, value) in scope.environment.iter().filter(|(name, _)| !whitelist.contains(&name.as_str())) {
        variables.set(name, 0, value.as_str());
    }
    for (name, value) in &scope.variables {
        variables.set(name, 0, value.as_str());
    }
    variables.merge(&scope.inherited);
    Shell { variables, assigned: 0 }
}

fn read_natively(text: &[u8], whitelist: &[&str], before: &Shell) -> Native<First> {
    let text = std::str::from_utf8(text).map_err(|_| NeedsBash)?;
    let assignments = parser::parse(&normalised(text))?;
    let mut shell = before.clone();
    for assignment in &assignments {
        shell.assign(assignment)?;
    }
    let printed = whitelist.iter().flat_map(|name| {
        shell.variables.elements(name).map(|(index, value)| Printed::new(name, index, value))
    });
    let directives = shell
        .variables
        .names()
        .filter(|name| name.starts_with("DKMS_DIRECTIVE"))
        .map(|name| (name.to_owned(), shell.variables.get(name).unwrap_or_default().to_owned()));
    Ok(First { printed: printed.collect(), directives: directives.collect() })
}

/// With plain line ends; a file from another system means nothing else by its CR LF.
fn normalised(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('\r') {
        return text.into();
    }
    let text = text.replace("\r\n", "\n");
    text.strip_suffix('\r').map(ToOwned::to_owned).unwrap_or(text).into()
}

type Elements = BTreeSet<(String, usize)>;

fn second_reading(
    first: &First,
    whitelist: &[&str],
    before: &Shell,
    runner: &mut bash::Runner<'_>,
) -> Result<(Values, Elements, BTreeSet<String>), EvalError> {
    let plan = reread::plan(&first.printed);
    let mut shell = before.clone();
    let done = match reread::run(&plan, &mut shell) {
        Ok(()) => plan.steps.len(),
        Err(NeedsBash) => {
            let (variables, done) = runner.second_reading(&plan, before)?;
            shell.variables = variables;
            done
        }
    };
    let assigned =
        plan.steps.iter().take(done).map(|step| (step.target.name.clone(), step.index())).collect();
    let values = shell.variables.iter().filter(|(name, ..)| whitelist.contains(name)).collect();
    Ok((values, assigned, plan.cut))
}

fn lost(first: &First, assigned: &Elements) -> Vec<String> {
    let mut names = Vec::new();
    for Printed { name, index, .. } in &first.printed {
        if !assigned.contains(&(name.clone(), *index)) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// `NAME=VALUE` of each directive variable; one with blanks has no effect, and a second `=` ends the value.
fn overrides(directives: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    directives.values().filter(|text| !text.contains([' ', '\t', '\n'])).filter_map(|text| {
        let mut fields = text.split('=');
        let (name, value) = (fields.next()?, fields.next()?);
        names::is_identifier(name).then_some((name, value))
    })
}
