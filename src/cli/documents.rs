//! The parts of dkms(8) and of the completions that are made from the tables of actions and options. The files are kept in
//! the repository; `make documents` writes them, and the tests fail where they differ.

use super::action::{ACTIONS, Action, Operand};
use super::exit_codes::EXIT_CODES;
use super::json_documents::DOCUMENTS;
use super::options::{Complete, OPTIONS, OptionKind, OptionSpec};
use rstest::rstest;
use std::fmt::Write;
use std::path::Path;

const MANUAL: &str = "packaging/man/dkms.8";
const REFERENCE: &str = "docs/reference.md";
const BASH: &str = "packaging/completions/dkms.bash";
const ZSH: &str = "packaging/completions/_dkms";
const FISH: &str = "packaging/completions/dkms.fish";

/// Words for roff: options and names of other pages are bold, paths and placeholders italic.
fn roff(text: &str) -> String {
    text.split(' ').map(roff_word).collect::<Vec<_>>().join(" ")
}

fn roff_word(word: &str) -> String {
    let core = word.trim_end_matches([',', '.', ';', ':']);
    let rest = &word[core.len()..];
    let escaped = core.replace('-', "\\-");
    if core.starts_with("--") || (core.len() == 2 && core.starts_with('-')) {
        return format!("\\fB{escaped}\\fR{rest}");
    }
    if let Some((name, section)) = core.split_once('(').filter(|(_, section)| section.len() == 2) {
        return format!("\\fB{}\\fR({section}{rest}", name.replace('-', "\\-"));
    }
    if core.starts_with('/') || core.starts_with('<') {
        return format!("\\fI{escaped}\\fR{rest}");
    }
    word.to_owned()
}

fn paragraph(term: &str, texts: &[&str]) -> String {
    let text =
        texts.iter().filter(|text| !text.is_empty()).map(|text| sentence(text)).collect::<Vec<_>>().join(" ");
    let mut page = format!(".TP\n{term}\n");
    for line in crate::cli::usage::filled(&roff(&text), "", 120).lines() {
        let _ = writeln!(page, "{}{line}", if line.starts_with(['.', '\'']) { "\\&" } else { "" });
    }
    page
}

/// A few words as a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase()).into_iter();
    let end = if text.ends_with('.') { "" } else { "." };
    first.chain(chars).collect::<String>() + end
}

fn manual_actions() -> String {
    let entry = |entry: &super::action::ActionSpec| paragraph(&format!(".B {}", entry.word), &[entry.manual]);
    ACTIONS.iter().map(entry).collect()
}

fn manual_options() -> String {
    let mut page = String::new();
    for option in OPTIONS.iter().filter(|option| !option.is_deprecated()) {
        let spellings: Vec<String> =
            option.spellings().map(|text| format!("\\fB{}\\fR", text.replace('-', "\\-"))).collect();
        let mut term = spellings.join(", ");
        if let OptionKind::Value { name, .. } = option.kind {
            let _ = write!(term, " \\fI{name}\\fR");
        }
        let words: Vec<&str> = only(option).map(Action::word).collect();
        // A list of most actions says nothing.
        let is_short = !words.is_empty() && words.len() * 2 < ACTIONS.len();
        let fits = if is_short { format!("Actions: {}.", words.join(", ")) } else { String::new() };
        page.push_str(&paragraph(&term, &[option.summary, option.manual, &fits]));
    }
    page
}

/// Each code once, with all of its meanings.
fn manual_exit_codes() -> String {
    let mut page = String::new();
    for same in EXIT_CODES.chunk_by(|a, b| a.code == b.code) {
        let meanings: Vec<&str> = same.iter().map(|spec| spec.meaning).collect();
        page.push_str(&paragraph(&format!(".B {}", same[0].code), &[&meanings.join("; ")]));
    }
    page
}

fn manual_json() -> String {
    let mut page = String::new();
    for document in &DOCUMENTS {
        let _ = writeln!(page, ".SS {}", document.command.replace('-', "\\-"));
        for (names, meaning) in document.fields {
            page.push_str(&paragraph(&bold(names), &[&bold(&sentence(meaning))]));
        }
    }
    page
}

/// Backquoted words in bold.
fn bold(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let bold = |(at, part): (usize, &str)| match at % 2 {
        1 => format!("\\fB{part}\\fR"),
        _ => part.to_owned(),
    };
    parts.map(bold).collect()
}

fn reference_json() -> String {
    let mut page = String::new();
    for document in &DOCUMENTS {
        let commands: Vec<String> =
            document.command.split(" and ").map(|command| format!("`{command}`")).collect();
        let _ = write!(page, "\n{}\n\n| field | meaning |\n| --- | --- |\n", commands.join(" and "));
        for (names, meaning) in document.fields {
            let _ = writeln!(page, "| {names} | {meaning} |");
        }
    }
    page.push('\n');
    page
}

/// The actions that an option is for, unless it is for every one.
fn only(option: &OptionSpec) -> impl Iterator<Item = Action> {
    let all = ACTIONS.iter().all(|entry| option.fits.includes(entry.action));
    let included = move |entry: &&super::action::ActionSpec| !all && option.fits.includes(entry.action);
    ACTIONS.iter().filter(included).map(|entry| entry.action)
}

fn offered(action: Action) -> Vec<&'static str> {
    let fits = OPTIONS.iter().filter(|option| option.fits.includes(action) && !option.is_deprecated());
    fits.flat_map(OptionSpec::spellings).collect()
}

fn wrapped(words: &[&str]) -> String {
    crate::cli::usage::filled(&words.join(" "), "            ", 110)
}

fn bash() -> String {
    let words: Vec<&str> = ACTIONS.iter().map(|entry| entry.word).collect();
    let mut text = format!("_dkms_actions=\"\n{}\"\n\n", wrapped(&words));
    text.push_str("_dkms_options() {\n    case $1 in\n");
    for entry in &ACTIONS {
        let _ = writeln!(
            text,
            "        {})\n            echo \"\n{}            \" ;;",
            entry.word,
            wrapped(&offered(entry.action))
        );
    }
    let all: Vec<&str> =
        OPTIONS.iter().filter(|option| !option.is_deprecated()).flat_map(OptionSpec::spellings).collect();
    let _ =
        writeln!(text, "        *)\n            echo \"\n{}            \" ;;\n    esac\n}}\n", wrapped(&all));
    text.push_str("# What the value of an option is.\n_dkms_value() {\n    case $1 in\n");
    for option in &OPTIONS {
        if let OptionKind::Value { complete, .. } = option.kind {
            let spellings = option.spellings().collect::<Vec<_>>().join(" | ");
            let _ = writeln!(text, "        {spellings}) echo {} ;;", in_bash(complete));
        }
    }
    text.push_str("    esac\n}\n\n# What an action works on.\n_dkms_operand() {\n    case $1 in\n");
    for entry in &ACTIONS {
        let operand = match entry.operand {
            Operand::Nothing => "nothing",
            Operand::Package | Operand::Name => "package",
            Operand::BareName => "name",
            Operand::Source | Operand::Conf => "source",
            Operand::Tarball | Operand::Headers => "file",
            Operand::Action => "action",
        };
        let _ = writeln!(text, "        {}) echo {operand} ;;", entry.word);
    }
    text.push_str("    esac\n}\n");
    text
}

fn in_bash(complete: Complete) -> String {
    match complete {
        Complete::Package => "module".to_owned(),
        Complete::Version => "version".to_owned(),
        Complete::Kernel => "kernel".to_owned(),
        Complete::Arch => "arch".to_owned(),
        Complete::File => "file".to_owned(),
        Complete::Directory => "directory".to_owned(),
        Complete::Format => "format".to_owned(),
        Complete::Anything => "nothing".to_owned(),
    }
}

fn zsh() -> String {
    let mut text = String::from("local -a actions\nactions=(\n");
    for entry in &ACTIONS {
        let _ = writeln!(text, "    '{}:{}'", entry.word, quoted(entry.summary));
    }
    text.push_str(")\n\nlocal word action\nfor word in ${words[2,CURRENT-1]}; do\n");
    text.push_str("    if (( ${actions[(I)$word:*]} )); then action=$word; break; fi\ndone\n");
    text.push_str("local -a options\n");
    for option in OPTIONS.iter().filter(|option| !option.is_deprecated()) {
        let summary = quoted(option.summary);
        let repeat = if option.is_repeatable { "'*'" } else { "" };
        let value = match option.kind {
            OptionKind::Value { name, complete, .. } => {
                format!(":{}:{}", name.to_ascii_lowercase().replace(['[', ']'], ""), in_zsh(complete))
            }
            OptionKind::Switch(_)
            | OptionKind::Version
            | OptionKind::Help
            | OptionKind::Deprecated
            | OptionKind::DeprecatedValue => String::new(),
        };
        let spellings: Vec<&str> = option.spellings().collect();
        let spelled = match spellings.as_slice() {
            [one] => format!("{repeat}{one}"),
            several => format!("{repeat}{{{}}}", several.join(",")),
        };
        let words: Vec<&str> = only(option).map(Action::word).collect();
        if !words.is_empty() {
            let _ = write!(text, "[[ -z $action || ' {} ' == *\" $action \"* ]] && ", words.join(" "));
        }
        let _ = writeln!(text, "options+=({spelled}'[{summary}]{value}')");
    }
    text.push_str("_arguments -S $options '1:action:->action' '*:package:->operand' && return\n\n");
    text.push_str(
        "[[ $state == action ]] && _describe action actions\n[[ $state == operand ]] && case $line[1] in\n",
    );
    for entry in &ACTIONS {
        let complete = match entry.operand {
            Operand::Nothing => continue,
            Operand::Package | Operand::Name => "_dkms_packages",
            Operand::BareName => "_dkms_names",
            Operand::Source | Operand::Conf => "_dkms_packages; _files",
            Operand::Tarball | Operand::Headers => "_files",
            Operand::Action => "_describe action actions",
        };
        let _ = writeln!(text, "    {}) {complete} ;;", entry.word);
    }
    text.push_str("esac\n");
    text
}

fn in_zsh(complete: Complete) -> String {
    match complete {
        Complete::Package => "_dkms_packages".to_owned(),
        Complete::Version => "_dkms_versions".to_owned(),
        Complete::Kernel => "_dkms_kernels".to_owned(),
        Complete::Arch | Complete::Anything => String::new(),
        Complete::File => "_files".to_owned(),
        Complete::Directory => "_files -/".to_owned(),
        Complete::Format => "_dkms_formats".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:")
}

fn fish() -> String {
    let words: Vec<&str> = ACTIONS.iter().map(|entry| entry.word).collect();
    let mut text = format!("set -l actions {}\n\ncomplete -c dkms -f\n", words.join(" "));
    for entry in &ACTIONS {
        let _ = writeln!(
            text,
            "complete -c dkms -n \"not __fish_seen_subcommand_from $actions\" -a {} -d '{}'",
            entry.word,
            in_fish_quotes(entry.summary)
        );
    }
    for entry in &ACTIONS {
        let operand = match entry.operand {
            Operand::Nothing => continue,
            Operand::Package | Operand::Name => "-a '(__dkms_packages)'",
            Operand::BareName => "-a '(__dkms_packages | string replace -r \"/.*\" \"\")'",
            Operand::Source | Operand::Conf => "-F -a '(__dkms_packages; __dkms_sources)'",
            Operand::Tarball | Operand::Headers => "-F",
            Operand::Action => "-a \"$actions\"",
        };
        let _ = writeln!(text, "complete -c dkms -n '__fish_seen_subcommand_from {}' {operand}", entry.word);
    }
    for option in OPTIONS.iter().filter(|option| !option.is_deprecated()) {
        text.push_str("complete -c dkms");
        let words: Vec<&str> = only(option).map(Action::word).collect();
        if !words.is_empty() {
            let _ = write!(text, " -n '__fish_seen_subcommand_from {}'", words.join(" "));
        }
        if let Some(short) = option.short {
            let _ = write!(text, " -s {}", short.trim_start_matches('-'));
        }
        if let Some(long) = option.long {
            let _ = write!(text, " -l {}", long.trim_start_matches('-'));
        }
        if let OptionKind::Value { complete, .. } = option.kind {
            text.push_str(&in_fish(complete));
        }
        let _ = writeln!(text, " -d '{}'", in_fish_quotes(option.summary));
    }
    text
}

fn in_fish(complete: Complete) -> String {
    match complete {
        Complete::Package => " -x -a '(__dkms_packages; __dkms_sources)'".to_owned(),
        Complete::Version => " -x -a '(__dkms_versions)'".to_owned(),
        Complete::Kernel => " -x -a '(__dkms_kernels)'".to_owned(),
        Complete::Arch | Complete::Anything => " -x".to_owned(),
        Complete::File => " -r -F".to_owned(),
        Complete::Directory => " -x -a '(__fish_complete_directories)'".to_owned(),
        Complete::Format => " -x -a '(__dkms_formats)'".to_owned(),
    }
}

fn in_fish_quotes(text: &str) -> String {
    text.replace('\'', "\\'")
}

/// Puts `made` between the lines that hold `BEGIN name` and `END name`.
fn with_part(file: &str, name: &str, made: &str) -> String {
    let (begin, end) = (format!("BEGIN {name}"), format!("END {name}"));
    let mut text = String::new();
    let mut is_inside = false;
    for line in file.lines() {
        is_inside &= !line.contains(&end);
        if !is_inside {
            text.push_str(line);
            text.push('\n');
        }
        if line.contains(&begin) {
            text.push_str(made);
            is_inside = true;
        }
    }
    text
}

#[rstest]
#[case::actions(MANUAL, "actions", manual_actions())]
#[case::options(MANUAL, "options", manual_options())]
#[case::exit_codes(MANUAL, "exit codes", manual_exit_codes())]
#[case::json(MANUAL, "json", manual_json())]
#[case::reference(REFERENCE, "json", reference_json())]
#[case::bash(BASH, "words", bash())]
#[case::zsh(ZSH, "words", zsh())]
#[case::fish(FISH, "words", fish())]
fn document_is_what_the_tables_say(#[case] file: &str, #[case] part: &str, #[case] made: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let found = std::fs::read_to_string(&path).unwrap();
    let expected = with_part(&found, part, &made);
    assert!(expected.contains(&made), "{file} has no part {part}");
    if std::env::var_os("DKMS_WRITE_DOCUMENTS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert!(found == expected, "{file} is not up to date: run make documents");
    }
}
