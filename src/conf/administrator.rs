//! What the administrator says of one package in /etc/dkms/<M>.conf, and the package itself cannot say.

use super::eval::{self, Scope};
use super::{EvalContext, Settings, Values};
use crate::system::System;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(20);
/// A kernel that would lack the package is not installed, where `preflight` in framework.conf demands that.
const REQUIRED: &str = "required";

/// Reads variables of the files for a package over those that are set already, and tells which file had the last word.
pub(super) fn read_over(
    mut values: Values,
    names: &[&str],
    overrides: &[PathBuf],
    variables: &BTreeMap<String, String>,
    system: &System,
) -> (Values, Option<PathBuf>) {
    let mut last = None;
    for path in overrides {
        let Ok(text) = fs_err::read(path) else { continue };
        if !mentions(&text, names) {
            continue;
        }
        let scope = Scope {
            variables: variables.clone(),
            inherited: values.clone(),
            environment: system.inherited_env(),
            confined: None,
        };
        match eval::evaluate(path, &text, names, &scope, TIME_LIMIT) {
            Ok(evaluation) => {
                values = evaluation.values;
                last = Some(path.clone());
            }
            Err(why) => system.console.warn(format!("{}: {why}, ignoring the file.", path.display())),
        }
    }
    (values, last)
}

/// Whether one of the names stands somewhere in a file: else it need not be evaluated.
pub(super) fn mentions(text: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| text.windows(name.len()).any(|part| part == name.as_bytes()))
}

/// Whether no kernel is to be installed without the package.
#[must_use]
pub(crate) fn is_required(view: EvalContext<'_>, settings: &Settings, system: &System) -> bool {
    let variables = super::variables(view, settings, system);
    let overrides = super::existing_overrides(view, system);
    let (values, _) = read_over(Values::default(), &[REQUIRED], &overrides, &variables, system);
    values.get(REQUIRED).is_some_and(|value| value.eq_ignore_ascii_case("yes"))
}
