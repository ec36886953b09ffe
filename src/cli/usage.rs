//! The help. Installers look for `--no-depmod` in it, delimited by blanks or brackets.

use super::action::{ACTIONS, Action, ActionSpec, Operand};
use super::exit_codes::EXIT_CODES;
use super::options::{self, OPTIONS, OptionKind};
use std::fmt::Write;

const WIDTH: usize = 80;

impl Operand {
    /// What stands after the action.
    pub(crate) fn synopsis(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Package => " PACKAGE/VERSION",
            Self::Source => " PACKAGE/VERSION | DIRECTORY | dkms.conf | TARBALL",
            Self::Tarball => " TARBALL",
            Self::Name => " PACKAGE[/VERSION]",
            Self::BareName => " PACKAGE",
            Self::Conf => " PACKAGE/VERSION | DIRECTORY | dkms.conf",
            Self::Headers => " [HEADER-PACKAGE|DIRECTORY]...",
            Self::Action => " ACTION",
        }
    }
}

impl options::OptionSpec {
    /// `-k, --kernelver KERNEL[/ARCH]`
    pub(crate) fn synopsis(&self) -> String {
        let spellings = self.spellings().collect::<Vec<_>>().join(", ");
        match self.kind {
            OptionKind::Value { name, .. } => format!("{spellings} {name}"),
            OptionKind::Switch(_)
            | OptionKind::Version
            | OptionKind::Help
            | OptionKind::Deprecated
            | OptionKind::DeprecatedValue => spellings,
        }
    }

    pub(crate) fn is_deprecated(&self) -> bool {
        matches!(self.kind, OptionKind::Deprecated | OptionKind::DeprecatedValue)
    }
}

#[must_use]
pub(crate) fn synopsis() -> &'static str {
    "Usage: dkms ACTION [OPTIONS] [PACKAGE/VERSION | DIRECTORY | dkms.conf | TARBALL]"
}

/// What `--help` prints.
#[must_use]
pub(crate) fn usage() -> String {
    let mut text = format!("{}\n\nActions:\n", synopsis());
    let (common, others): (Vec<&ActionSpec>, Vec<&ActionSpec>) =
        ACTIONS.iter().partition(|entry| entry.is_common);
    for entry in common {
        let _ = writeln!(text, "  {:12} {}", entry.word, entry.summary);
    }
    text.push_str(&wrapped(others.iter().map(|entry| entry.word.to_owned())));
    text.push_str("\nOptions:\n");
    let shown = OPTIONS.iter().filter(|entry| !entry.is_deprecated());
    let (common, others): (Vec<_>, Vec<_>) = shown.partition(|entry| entry.is_common);
    for entry in common {
        let _ = writeln!(text, "  {:29} {}", entry.synopsis(), entry.summary);
    }
    text.push_str(&wrapped(others.iter().filter_map(|entry| entry.long.or(entry.short)).map(str::to_owned)));
    text.push_str("\n\"dkms help ACTION\" explains an action; see also dkms(8).");
    text
}

/// What `dkms help ACTION` prints.
#[must_use]
pub(crate) fn usage_of(action: Action) -> String {
    let Some(entry) = action.entry() else { return usage() };
    let mut text = format!("Usage: dkms {} [OPTIONS]{}\n\n", entry.word, entry.operand.synopsis());
    text.push_str(&filled(entry.manual, "", WIDTH));
    text.push_str("\nOptions:\n");
    for option in OPTIONS.iter().filter(|option| option.fits.includes(action) && !option.is_deprecated()) {
        let _ = writeln!(text, "  {}", option.synopsis());
        let explained = format!(
            "{}{}{}",
            option.summary,
            if option.manual.is_empty() { "" } else { ". " },
            option.manual
        );
        text.push_str(&filled(&explained, "        ", WIDTH));
    }
    text.push_str("\nExit status:\n");
    for spec in EXIT_CODES.iter().filter(|spec| spec.fits.includes(action)) {
        let explained = filled(spec.meaning, "      ", WIDTH);
        let _ = write!(text, "  {:<3} {}", spec.code, explained.trim_start());
    }
    let _ = write!(text, "\nExample: {}", entry.example);
    text
}

/// Words in lines of one screen's width.
fn wrapped(words: impl Iterator<Item = String>) -> String {
    let list = words.collect::<Vec<_>>().join(" ");
    filled(&list, "  ", WIDTH)
}

/// Text in lines of at most `width`, each indented.
pub(crate) fn filled(text: &str, indent: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && indent.len() + line.len() + word.trim_end().len() > width {
            let _ = writeln!(lines, "{indent}{}", line.trim_end());
            line.clear();
        }
        line.push_str(word);
    }
    let _ = writeln!(lines, "{indent}{}", line.trim_end());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installers_find_the_option_they_look_for() {
        assert!(usage().contains(" --no-depmod "));
    }

    #[test]
    fn whole_help_fits_on_one_screen() {
        assert!(usage().lines().count() <= 30, "{}", usage());
        assert!(usage().lines().all(|line| line.len() <= WIDTH), "{}", usage());
    }

    #[test]
    fn help_of_an_action_has_its_options_only() {
        let text = usage_of(Action::Check);
        assert!(text.contains("--full") && text.contains("Example: dkms check"), "{text}");
        assert!(!text.contains("--rpm_safe_upgrade"), "{text}");
    }

    #[test]
    fn every_action_has_help_that_fits() {
        for entry in &ACTIONS {
            let text = usage_of(entry.action);
            assert!(text.contains(entry.example), "{text}");
            assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        }
    }
}
