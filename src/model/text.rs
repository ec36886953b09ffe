//! Text from outside (compilers, dkms.conf files, modules, file names, the environment) as it may be shown: on a terminal a
//! control character is a command, and in a log a line break forges a line.

use std::borrow::Cow;
use std::path::Path;

/// A path as one word of a shell line; as it is where that is one already.
#[must_use]
pub(crate) fn quote(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-~:@%,=".contains(c);
    if text.chars().all(is_plain) && !text.starts_with('~') {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a compiler says, without the place in the source: the first thing to know of a failure, where there is room for little.
#[must_use]
pub(crate) fn in_brief(reason: &str) -> &str {
    reason.split_once("error: ").map_or(reason, |(_, text)| text)
}

/// A message without the numbers that the operating system has for its errors: they say nothing to people.
#[must_use]
pub(crate) fn without_error_numbers(text: &str) -> Cow<'_, str> {
    const MARK: &str = " (os error ";
    if !text.contains(MARK) {
        return text.into();
    }
    let mut parts = text.split(MARK);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => plain.push_str(rest),
            _ => plain.extend([MARK, part]),
        }
    }
    plain.into()
}

/// Characters of the Unicode category Cf (format): they change the direction of a line, or are not shown at all.
#[must_use]
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// A moment as people read it, in the time zone of this machine.
#[must_use]
pub(crate) fn minute(time: jiff::Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The same in a list: the year only where it is another one.
#[must_use]
pub(crate) fn short_minute(time: jiff::Timestamp) -> String {
    let (time, now) = (time.to_zoned(jiff::tz::TimeZone::system()), jiff::Zoned::now());
    let form = if time.year() == now.year() { "%b %d %H:%M" } else { "%Y-%m-%d" };
    time.strftime(form).to_string()
}

/// Text of several lines: anything but a line break, tab or visible character stands there as an escape (`\u001b`).
#[must_use]
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n')
}

/// The same for text that must stay one line, because it came from outside: line breaks are escaped too.
#[must_use]
pub(crate) fn shown_in_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_unsafe = |c: char| (c.is_control() || is_invisible(c)) && c != '\t' && !is_kept(c);
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_unsafe(c) => safe.push(c),
            '\n' | '\r' => safe.extend(c.escape_default()),
            // As JSON has it, so that a document stays one.
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("plain (os error)", "plain (os error)")]
    #[case("/x: Permission denied (os error 13)", "/x: Permission denied")]
    #[case("a (os error 2); b (os error 13): c", "a; b: c")]
    #[case("odd (os error x) y", "odd (os error x) y")]
    fn numbers_of_errors_are_left_out(#[case] text: &str, #[case] plain: &str) {
        assert_eq!(without_error_numbers(text), plain);
    }

    #[rstest]
    #[case("plain ä 漢字\ttext\n", "plain ä 漢字\ttext\n")]
    #[case("\u{1b}[31mred", "\\u001b[31mred")]
    #[case("\u{9b}31m", "\\u009b31m")]
    #[case("a\rb\u{8}c\u{7f}", "a\\rb\\u0008c\\u007f")]
    #[case("evil\u{202e}gpj.exe", "evil\\u202egpj.exe")]
    #[case("tag\u{e0041}", "tag\\udb40\\udc41")]
    #[case("zero\u{200b}width", "zero\\u200bwidth")]
    fn commands_to_a_terminal_become_text(#[case] text: &str, #[case] safe: &str) {
        assert_eq!(shown(text), safe);
    }

    #[test]
    fn line_break_from_outside_forges_no_line() {
        assert_eq!(shown_in_line("1.0\nError! all lost"), "1.0\\nError! all lost");
        assert_eq!(shown("one\ntwo"), "one\ntwo");
    }
}
