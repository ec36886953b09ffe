//! Reads the command line by the old program's grammar: options, the action and positional words in any order.

use super::action::Action;
use super::args::Arguments;
use super::options::{self, OptionKind};
use crate::model::Error;
use crate::system::Console;

/// What the command line is.
#[derive(Debug)]
pub(crate) enum Line {
    Arguments(Box<Arguments>),
    Version,
    /// Of one action, where one was given before or follows.
    Help(Option<Action>),
}

/// Reads the command line. What stands last counts, but the first thing that ends the reading (an unknown option, a second
/// action, `--help`) wins over all that follows. The console is quiet from `--quiet` on.
///
/// # Errors
/// The first word that has no meaning.
pub(crate) fn parse(words: &[String], console: &Console) -> Result<Line, Error> {
    let mut args = Arguments::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some(option) = options::find(word) else {
            args.take_word(word)?;
            continue;
        };
        match option.kind {
            OptionKind::Switch(set) => set(&mut args),
            OptionKind::Value { set, .. } => {
                let value = match word.split_once('=') {
                    Some((_, value)) => value,
                    None => rest.next().map_or("", String::as_str),
                };
                set(&mut args, first_line(value));
            }
            OptionKind::Version => return Ok(Line::Version),
            // `dkms --help install` asks for the same as `dkms install --help`.
            OptionKind::Help => {
                let next = rest.next().and_then(|word| Action::parse(word));
                return Ok(Line::Help(args.action.or(next)));
            }
            OptionKind::Deprecated | OptionKind::DeprecatedValue => {
                args.notes.push(format!("Deprecated option: {word} has no effect."));
            }
        }
        if args.quiet {
            console.be_quiet();
        }
    }
    Ok(Line::Arguments(Box::new(args)))
}

fn first_line(value: &str) -> &str {
    value.lines().next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(line: &[&str]) -> Result<Line, Error> {
        let words: Vec<String> = line.iter().map(|s| (*s).to_owned()).collect();
        parse(&words, &Console::default())
    }

    fn args(line: &[&str]) -> Arguments {
        match read(line).unwrap() {
            Line::Arguments(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_beat_positionals_and_the_last_option_wins() {
        let args = args(&["--module=a/1", "--module=x", "y/1"]);
        assert_eq!((args.module.as_deref(), args.version.as_deref()), (Some("x"), Some("1")));
        assert_eq!(args.warnings.len(), 1);
    }

    #[test]
    fn empty_word_is_ignored_before_the_module_only() {
        assert!(args(&["", "m/1"]).warnings.is_empty());
        assert_eq!(args(&["m/1", ""]).warnings.len(), 1);
    }

    #[test]
    fn directory_without_dkms_conf_is_no_source() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert_eq!(args(&[path]).source_dir, None);
        std::fs::write(dir.path().join("dkms.conf"), "").unwrap();
        assert_eq!(args(&[path]).source_dir.as_deref(), Some(dir.path()));
        let conf = dir.path().join("dkms.conf");
        assert_eq!(args(&[conf.to_str().unwrap()]).source_dir.as_deref(), Some(dir.path()));
        let other = dir.path().join("x-dkms.conf");
        std::fs::write(&other, "").unwrap();
        assert_eq!(args(&[other.to_str().unwrap()]).archive, Some(other));
    }

    #[rstest]
    #[case(&["--module=foo/1", "-v", "2"], "2")]
    #[case(&["foo/1", "-v", "2"], "2")]
    #[case(&["-v", "2", "foo/1"], "1")]
    fn last_version_of_the_line_counts(#[case] line: &[&str], #[case] version: &str) {
        assert_eq!(args(line).version.as_deref(), Some(version));
    }

    #[test]
    fn directive_with_index_is_ignored_with_a_warning() {
        let args = args(&["--directive=MAKE[0]=x", "--directive", "MAKE=a b=c", "--directive=A=B=C d"]);
        let expected = [("MAKE".to_owned(), "a b=c".to_owned()), ("A".to_owned(), "B=C d".to_owned())];
        assert_eq!(args.overrides.directives, expected);
        assert_eq!(args.warnings.len(), 1);
    }

    #[rstest]
    #[case(&["--kernelverfoo=1"], &["1"], &[])]
    #[case(&["--kernelver", "1"], &["1"], &[])]
    #[case(&["--arch", "x"], &[], &["x"])]
    #[case(&["--archfoo=x"], &[], &["x"])]
    #[case(&["-k", "k1", "-k", "k2/x", "-a", "y"], &["k1", "k2"], &["x", "y"])]
    #[case(&["-k", "--all"], &["--all"], &[])]
    #[case(&["-k", " 6.1 \nnext"], &["6.1"], &[])]
    #[case(&["-k"], &[""], &[])]
    fn kernels_and_arches_are_read(#[case] line: &[&str], #[case] kernels: &[&str], #[case] arches: &[&str]) {
        let args = args(line);
        assert_eq!((args.kernels, args.arches), (owned(kernels), owned(arches)));
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn values_are_read_by_leading_text() {
        let args = args(&["--modulexyz", "a/1", "--archive", "x", "-c", "a=b", "-j", "3"]);
        assert_eq!((args.module.as_deref(), args.archive), (Some("a"), Some("x".into())));
        assert_eq!((args.conf, args.overrides.jobs.as_deref()), (Some("a=b".into()), Some("3")));
    }

    #[rstest]
    #[case(&["-m=x"], 2)]
    #[case(&["-j3"], 2)]
    #[case(&["--nonsense"], 2)]
    #[case(&["--"], 2)]
    #[case(&["-"], 2)]
    #[case(&["--no-initrd=1"], 2)]
    #[case(&["add", "build"], 4)]
    #[case(&["--bad", "add", "build"], 2)]
    #[case(&["add", "build", "--bad"], 4)]
    fn first_error_of_the_line_counts(#[case] line: &[&str], #[case] code: u8) {
        assert_eq!(read(line).unwrap_err().exit_code().0, code);
    }

    #[test]
    fn version_and_help_end_the_line_at_once() {
        assert!(matches!(read(&["add", "--version", "--bad"]), Ok(Line::Version)));
        assert!(matches!(read(&["add", "-h", "--bad"]), Ok(Line::Help(Some(Action::Add)))));
        assert!(matches!(read(&["--help", "install"]), Ok(Line::Help(Some(Action::Install)))));
        assert!(matches!(read(&["--help", "--bad"]), Ok(Line::Help(None))));
    }

    #[rstest]
    #[case::ours_after_an_action(&["add", "check"], Some(Action::Add), Some("check"))]
    #[case::help_of_an_action(&["help", "add"], Some(Action::Help), Some("add"))]
    #[case::help_of_ours(&["help", "check"], Some(Action::Help), Some("check"))]
    fn word_of_an_action_can_be_an_operand(
        #[case] line: &[&str],
        #[case] action: Option<Action>,
        #[case] module: Option<&str>,
    ) {
        let args = args(line);
        assert_eq!((args.action, args.module.as_deref()), (action, module));
    }

    #[rstest]
    #[case("--no-initrd")]
    #[case("--legacy-postinst")]
    #[case("--legacy-postinst=0")]
    fn deprecated_option_is_announced(#[case] word: &str) {
        assert_eq!(args(&[word]).notes, [format!("Deprecated option: {word} has no effect.")]);
    }

    #[test]
    fn quiet_silences_the_console_at_once() {
        let console = Console::default();
        assert!(parse(&owned(&["-q", "--bad"]), &console).is_err());
        assert!(console.is_quiet());
    }
}
