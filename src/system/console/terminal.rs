//! What the terminal can show.

use crate::model::text::shown_in_line;
use crate::system::Environment;
use std::io::IsTerminal;

/// What standard output and standard error are connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Whether one line can be written again and again.
    pub is_live: bool,
    pub has_colour: bool,
    /// Columns of standard output; `None` where that is not a terminal.
    pub width: Option<usize>,
    /// Seconds after which a line says that a build still runs, where no line is kept current.
    pub seconds_between_lines: u64,
}

impl Default for Terminal {
    /// No terminal: lines for a file, a pipe, or a package manager.
    fn default() -> Self {
        Self { is_live: false, has_colour: false, width: None, seconds_between_lines: 60 }
    }
}

impl Terminal {
    /// Asks the terminal, if there is one. `is_shared`: whether another program shows its own progress there, as apt does.
    #[must_use]
    pub(crate) fn capture(env: &Environment, is_shared: impl FnOnce() -> bool) -> Self {
        let seconds = env.get("DKMS_PROGRESS_SECONDS").and_then(|text| text.parse().ok());
        let seconds_between_lines =
            seconds.filter(|n| *n > 0).unwrap_or(Self::default().seconds_between_lines);
        if !std::io::stdout().is_terminal() {
            return Self { seconds_between_lines, ..Self::default() };
        }
        let kind = env.get("TERM").map_or("", String::as_str);
        let is_capable = !kind.is_empty() && kind != "dumb";
        // https://no-color.org
        let no_colour = env.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            is_live: is_capable && std::io::stderr().is_terminal() && !is_shared(),
            has_colour: is_capable && !no_colour,
            width: Some(columns().filter(|columns| *columns > 0).unwrap_or(USUAL_WIDTH)),
            seconds_between_lines,
        }
    }

    /// The same terminal for lines that it may wrap.
    #[must_use]
    pub(crate) fn without_edge(self) -> Self {
        Self { width: None, ..self }
    }

    /// The text in a colour of the terminal, where it has any.
    #[must_use]
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> Painted {
        let text = shown_in_line(text);
        if !self.has_colour {
            return Painted(text.into_owned());
        }
        let code = match colour {
            Colour::Good => "32",
            Colour::Bad => "1;31",
            Colour::Warning => "33",
            Colour::Faint => "2",
        };
        Painted(format!("\x1b[{code}m{text}\x1b[0m"))
    }

    /// The text, cut where it would go over the line's end, with `used` columns before it.
    #[must_use]
    pub(crate) fn fit(&self, text: &str, used: usize) -> String {
        let Some(width) = self.width else { return text.to_owned() };
        let room = width.saturating_sub(used);
        if text.chars().count() <= room {
            return text.to_owned();
        }
        let kept: String = text.chars().take(room.saturating_sub(3)).collect();
        format!("{}...", kept.trim_end())
    }
}

/// A line that goes to the terminal as it is: what it holds was checked for control characters, and then painted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Painted(String);

impl Painted {
    /// Adds text without colour.
    #[must_use]
    pub(crate) fn plain(self, text: &str) -> Self {
        Self(self.0 + &shown_in_line(text))
    }

    #[must_use]
    pub(crate) fn then(self, other: &Self) -> Self {
        Self(self.0 + &other.0)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the terminal does not know its size, as on a serial line.
const USUAL_WIDTH: usize = 80;

fn columns() -> Option<usize> {
    ::console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Good,
    Bad,
    Warning,
    Faint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_terminals_width() {
        let terminal = Terminal { width: Some(20), ..Terminal::default() };
        assert_eq!(terminal.fit("too few arguments to function", 5), "too few argu...");
        assert_eq!(terminal.fit("fits", 5), "fits");
        assert_eq!(Terminal::default().fit("a pipe gets everything", 5), "a pipe gets everything");
    }
}
