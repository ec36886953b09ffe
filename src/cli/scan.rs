//! The pass in front of clap: the old command line's own grammar, reduced to canonical words.
//!
//! Long options with a value are recognised by their leading text (`--kernelverfoo=1`), values are one trimmed line,
//! and the first thing that ends the scan (an unknown option, a second action, `--help`) wins over all that follows.

use super::action::Action;
use crate::model::Error;

/// Long options with a value, by the text they begin with. The order matters: the first that fits wins.
const VALUED: [(&str, &str); 12] = [
    ("--module", "--module"),
    ("--kernelver", "--kernelver"),
    ("--archive", "--archive"),
    ("--arch", "--arch"),
    ("--templatekernel", "--templatekernel"),
    ("--dkmstree", "--dkmstree"),
    ("--sourcetree", "--sourcetree"),
    ("--installtree", "--installtree"),
    ("--config", "--config"),
    ("--kernelsourcedir", "--kernelsourcedir"),
    ("--directive", "--directive"),
    ("--format", "--format"),
];

/// Short options with a value, which is always the next word.
const SHORT_VALUED: [(&str, &str); 5] = [
    ("-m", "--module"),
    ("-v", "--package-version"),
    ("-k", "--kernelver"),
    ("-a", "--arch"),
    ("-c", "--conf"),
];

const SWITCHES: [&str; 16] = [
    "--all",
    "--all-kernels",
    "--full",
    "--repair",
    "--force",
    "--force-version-override",
    "--force-vermagic",
    "--binaries-only",
    "--source-only",
    "--no-depmod",
    "--modprobe-on-install",
    "--symlink-modules",
    "--rpm_safe_upgrade",
    "--verbose",
    "--quiet",
    "--debug",
];

/// What mkdeb was told by those who did not want a copy of common.postinst in the package: none has one.
fn is_legacy_postinst(arg: &str) -> bool {
    arg.strip_prefix("--legacy-postinst").is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Accepted, announced as deprecated, and without effect.
const DEPRECATED: [&str; 3] = ["--no-initrd", "--no-clean-kernel", "--no-prepare-kernel"];

/// What the scan ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Every word is understood.
    Complete {
        words: Vec<String>,
        action: Option<Action>,
        notes: Vec<String>,
    },
    Version,
    Help,
}

/// Reduces the arguments to words that clap understands: `--name=value` and switches. Positionals become `--word=text`,
/// so that their place among the options is known.
///
/// # Errors
/// The first argument that cannot be.
pub(crate) fn scan(args: &[String], mut quiet: impl FnMut()) -> Result<Scan, Error> {
    let (mut words, mut notes) = (Vec::new(), Vec::new());
    let mut action = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if let Some(name) = valued(arg) {
            let value = match arg.split_once('=') {
                Some((_, value)) if arg.starts_with("--") => value.to_owned(),
                _ => rest.next().cloned().unwrap_or_default(),
            };
            push_value(&mut words, name, first_line(&value));
        } else if SWITCHES.contains(&arg.as_str()) || arg == "-q" {
            if arg == "-q" || arg == "--quiet" {
                quiet();
            }
            words.push(if arg == "-q" { "--quiet".into() } else { arg.clone() });
        } else if DEPRECATED.contains(&arg.as_str()) || is_legacy_postinst(arg) {
            notes.push(format!("Deprecated option: {arg} has no effect."));
        } else if matches!(arg.as_str(), "-V" | "--version") {
            return Ok(Scan::Version);
        } else if matches!(arg.as_str(), "-h" | "--help") {
            return Ok(Scan::Help);
        } else if arg.starts_with('-') {
            return Err(Error::UnknownOption(arg.clone()));
        } else if let Some(word) = Action::parse(arg).filter(|word| action.is_none() || word.is_classic()) {
            if action.replace(word).is_some() {
                return Err(Error::Usage { code: 4, text: "Cannot specify more than one action.".into() });
            }
        } else {
            words.push(format!("--word={arg}"));
        }
    }
    Ok(Scan::Complete { words, action, notes })
}

/// `-k K/A` is a kernel and an architecture: both lists are filled in the order of the line.
fn push_value(words: &mut Vec<String>, name: &str, value: &str) {
    match value.split_once('/').filter(|_| name == "--kernelver") {
        Some((kernel, arch)) => {
            words.push(format!("--kernelver={kernel}"));
            words.push(format!("--arch={arch}"));
        }
        None => words.push(format!("{name}={value}")),
    }
}

fn valued(arg: &str) -> Option<&'static str> {
    if arg == "-j" {
        return Some("--jobs");
    }
    if let Some((_, name)) = SHORT_VALUED.iter().find(|(short, _)| *short == arg) {
        return Some(name);
    }
    VALUED.iter().find(|(prefix, _)| arg.starts_with(prefix)).map(|(_, name)| *name)
}

fn first_line(value: &str) -> &str {
    value.lines().next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn words(line: &[&str]) -> Vec<String> {
        let args: Vec<String> = line.iter().map(|s| (*s).to_owned()).collect();
        match scan(&args, || ()).unwrap() {
            Scan::Complete { words, .. } => words,
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case(&["--kernelverfoo=1"], &["--kernelver=1"])]
    #[case(&["--modulexyz", "a/1"], &["--module=a/1"])]
    #[case(&["--archive", "x"], &["--archive=x"])]
    #[case(&["--arch", "x"], &["--arch=x"])]
    #[case(&["-k", "k1", "-k", "k2/x", "-a", "y"], &["--kernelver=k1", "--kernelver=k2", "--arch=x", "--arch=y"])]
    #[case(&["-m"], &["--module="])]
    #[case(&["-k", "--all"], &["--kernelver=--all"])]
    #[case(&["-k", " 6.1 \nnext"], &["--kernelver=6.1"])]
    #[case(&["-c", "a=b"], &["--conf=a=b"])]
    #[case(&["-j", "3", "build", "m/1"], &["--jobs=3", "--word=m/1"])]
    #[case(&["--directive", "A=B=C"], &["--directive=A=B=C"])]
    #[case(&["--directive=A=B=C d"], &["--directive=A=B=C d"])]
    #[case(&["", "m/1"], &["--word=", "--word=m/1"])]
    #[case(&["-q"], &["--quiet"])]
    fn spellings_become_canonical(#[case] line: &[&str], #[case] expected: &[&str]) {
        assert_eq!(words(line), expected);
    }

    #[rstest]
    #[case(&["-m=x"], 2)]
    #[case(&["-j3"], 2)]
    #[case(&["--nonsense"], 2)]
    #[case(&["--"], 2)]
    #[case(&["-"], 2)]
    #[case(&["add", "build"], 4)]
    #[case(&["--bad", "add", "build"], 2)]
    #[case(&["add", "build", "--bad"], 4)]
    fn the_first_error_of_the_line_counts(#[case] line: &[&str], #[case] code: u8) {
        let args: Vec<String> = line.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(scan(&args, || ()).unwrap_err().exit_code().0, code);
    }

    #[test]
    fn version_and_help_end_the_scan_at_once() {
        let args: Vec<String> = ["add", "--version", "--bad"].iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(scan(&args, || ()), Ok(Scan::Version));
    }
}
