//! The scripts that bash is given, and how it reports back. Text only; nothing is started here.
//!
//! Records come back as fields that end in NUL, the only byte no value can hold.

use super::names::is_identifier;
use super::reread::{Printed, RereadPlan};
use crate::conf::Values;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Functions of dkms that confs are known to call.
const FUNCTIONS: &str = r#"
override_dest_module_location() { builtin printf '%s\n' "${dkms_effective_location:-$1}"; }
"#;

/// Prints the directives a conf set. It runs inside the function that read the conf, to see its locals, and trusts no
/// option, trap or IFS. Splitting without wildcards is the folding of the second reading.
const PRINT: &str = r#"
__dkms_print() {
  builtin set -f +euvx
  builtin trap - DEBUG ERR RETURN EXIT
  builtin local __dkms_n __dkms_i __dkms_v
  builtin printf '\0R\0'
  for __dkms_n in @NAMES@; do
    builtin eval "builtin set -- \"\${!$__dkms_n[@]}\""
    for __dkms_i in "$@"; do
      builtin eval "__dkms_v=\${$__dkms_n[\$__dkms_i]}"
      __dkms_v="${__dkms_n}[$__dkms_i]=\"${__dkms_v%$'\r'}\""
      builtin set -- $__dkms_v
      builtin printf '%s\0' V "$__dkms_n" "$__dkms_i" "$#" "$@"
    done
  done
  for __dkms_n in "${!DKMS_DIRECTIVE@}"; do
    builtin printf '%s\0' D "$__dkms_n" "${!__dkms_n}"
  done
  builtin printf 'E\0'
}
"#;

/// A conf is sourced inside a function, where `local` is allowed, and in a subshell: there, an error such as a division by
/// zero ends the reading, and all values are lost; elsewhere bash would go on with the next line. A redirection of the
/// builtin keeps the way back to our standard output closed for the programs the conf runs.
const SOURCE: &str = r#"
__dkms_read() { builtin . "$__dkms_source" >/dev/null; __dkms_print; }
( __dkms_read "$__dkms_source" )
"#;

/// The same for a text whose line ends had to be changed first.
const SOURCE_TEXT: &str = r#"
__dkms_read() { builtin . <(builtin printf '%s' "$__dkms_text") >/dev/null; __dkms_print; }
( __dkms_read "$__dkms_source" )
"#;

/// Prints the values as they are, after the steps of the second reading.
const REPORT: &str = r#"
__dkms_report() {
  builtin printf '\0R\0'
  builtin printf '%s\0' S "$__dkms_done"
  for __dkms_n in @NAMES@; do
    builtin eval "builtin set -- \"\${!$__dkms_n[@]}\""
    for __dkms_i in "$@"; do
      builtin eval "__dkms_v=\${$__dkms_n[\$__dkms_i]}"
      builtin printf '%s\0' V "$__dkms_n" "$__dkms_i" 1 "$__dkms_v"
    done
  done
  builtin printf 'E\0'
}
__dkms_done=0
__dkms_step() {
  __dkms_n=$1
  __dkms_v=$2
  builtin set --
  builtin eval "$__dkms_v
__dkms_done=$__dkms_n"
  [ "$__dkms_done" = "$__dkms_n" ]
}
"#;

/// `text` as one word that means itself.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The variables that dkms shows to both readings.
fn prelude(variables: &BTreeMap<String, String>, inherited: &Values) -> String {
    let mut script = "shopt -s extglob\n".to_owned();
    for (name, value) in variables.iter().filter(|(name, _)| is_identifier(name)) {
        let _ = writeln!(script, "{name}={}", quote(value));
    }
    for (name, index, value) in inherited.iter().filter(|(name, ..)| is_identifier(name)) {
        let _ = writeln!(script, "{name}[{index}]={}", quote(value));
    }
    script + FUNCTIONS
}

/// The first reading of the file at `path`; with `text`, of that text as if it stood there.
pub(crate) fn first(
    path: &str,
    text: Option<&str>,
    whitelist: &[&str],
    variables: &BTreeMap<String, String>,
    inherited: &Values,
) -> String {
    let mut script = prelude(variables, inherited) + &PRINT.replace("@NAMES@", &whitelist.join(" "));
    let _ = writeln!(script, "__dkms_source={}", quote(path));
    match text {
        None => script.push_str(SOURCE),
        Some(text) => {
            let _ = writeln!(script, "__dkms_text={}", quote(&with_source_renamed(text)));
            script.push_str(SOURCE_TEXT);
        }
    }
    script
}

/// `BASH_SOURCE` cannot be assigned, so a text that is not read from its file gets another variable for it.
fn with_source_renamed(text: &str) -> String {
    text.replace("BASH_SOURCE", "__dkms_source")
}

/// The steps of the second reading, each of which ends it if it cannot be read.
pub(crate) fn second(
    plan: &RereadPlan,
    whitelist: &[&str],
    variables: &BTreeMap<String, String>,
    inherited: &Values,
) -> String {
    let mut script = prelude(variables, inherited) + &REPORT.replace("@NAMES@", &whitelist.join(" "));
    script.push_str("__dkms_reread() {\n");
    for (number, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(script, "__dkms_step {} {} || return", number + 1, quote(&step.source));
    }
    // An error that ends the function ends the script's line, so the report stands on the same one.
    script + "}\n__dkms_reread; __dkms_report\n"
}

/// What a script reported.
#[derive(Debug, Default)]
pub(crate) struct ScriptReport {
    /// A value's name, index and fields.
    pub values: Vec<(String, usize, Vec<String>)>,
    pub directives: BTreeMap<String, String>,
    pub steps: usize,
}

impl ScriptReport {
    pub(crate) fn printed(&self) -> Vec<Printed> {
        let printed = |(name, index, fields): &(String, usize, Vec<String>)| Printed {
            name: name.clone(),
            index: *index,
            line: fields.join(" "),
        };
        self.values.iter().map(printed).collect()
    }
}

/// The report, if it is complete: a shell that ended early has reported nothing. A trap or a stray descriptor of the
/// conf may have put something before it or behind it.
pub(crate) fn parse_report(output: &[u8]) -> Option<ScriptReport> {
    const BEGIN: &[u8] = b"\0R\0";
    let begin = output.windows(BEGIN.len()).position(|window| window == BEGIN)? + BEGIN.len();
    let mut fields =
        output[begin..].split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned());
    let mut report = ScriptReport::default();
    loop {
        match fields.next()?.as_str() {
            "V" => {
                let (name, index) = (fields.next()?, fields.next()?);
                let count: usize = fields.next()?.parse().ok()?;
                let values: Vec<String> = fields.by_ref().take(count).collect();
                // Keys of an associative array are not indices.
                if let Ok(index) = index.parse() {
                    report.values.push((name, index, values));
                }
            }
            "D" => {
                let name = fields.next()?;
                report.directives.insert(name, fields.next()?);
            }
            "S" => report.steps = fields.next()?.parse().ok()?,
            "E" => return Some(report),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_only_when_it_is_complete() {
        let report = parse_report(b"z\0R\0V\0MAKE\x000\x002\0MAKE[0]=\"a\0b\"\0D\0X\0Y=1\0E\0junk").unwrap();
        assert_eq!(report.printed()[0].line, "MAKE[0]=\"a b\"");
        assert_eq!(report.directives["X"], "Y=1");
        assert!(parse_report(b"\0R\0V\0MAKE\x000\x001\0x\0").is_none());
        assert!(parse_report(b"").is_none());
    }

    #[test]
    fn quoting_survives_quotes() {
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
