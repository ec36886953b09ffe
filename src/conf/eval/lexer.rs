//! Reads words: quotes, escapes and expansions, from text to [`Word`].
//!
//! Nothing is evaluated. An expansion that the native evaluator does not cover is skipped over and becomes
//! [`Part::Opaque`], so that the end of a word is found even where its value needs bash.

use super::names::is_identifier;
use super::syntax::{Parameter, Part, Word};

/// The text ended inside a quote or an expansion, or is nested beyond reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unterminated;

pub(crate) type Lexed<T> = Result<T, Unterminated>;

/// Where a word stands; decides which characters have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The value of `NAME=`: no splitting, no wildcards, no braces.
    Scalar,
    /// Inside `NAME=(..)`: all of these happen.
    List,
}

/// Deeper nesting is left to bash, so that no text can exhaust our stack.
const MAX_DEPTH: usize = 50;

pub(crate) struct Lexer<'a> {
    pub(crate) text: &'a str,
    pub(crate) pos: usize,
    pub(crate) depth: usize,
    /// Whether anything became [`Part::Opaque`].
    pub(crate) opaque: bool,
}

/// Parts of a word under construction; neighbouring texts are joined.
#[derive(Default)]
pub(crate) struct Builder {
    parts: Vec<Part>,
    /// The last character, if it was an ordinary one outside of quotes.
    last_plain: Option<u8>,
}

impl Builder {
    pub(crate) fn text(&mut self, text: &str) {
        self.last_plain = None;
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    pub(crate) fn part(&mut self, part: Part) {
        self.last_plain = None;
        match part {
            Part::Text(text) => self.text(&text),
            part => self.parts.push(part),
        }
    }

    pub(crate) fn finish(self, span: std::ops::Range<usize>) -> Word {
        Word { parts: self.parts, span }
    }
}

/// A character that ends a word outside of quotes.
pub(crate) fn is_metacharacter(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, pos: 0, depth: 0, opaque: false }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    pub(crate) fn peek_at(&self, offset: usize) -> Option<u8> {
        self.text.as_bytes().get(self.pos + offset).copied()
    }

    pub(crate) fn looking_at(&self, what: &str) -> bool {
        self.text.as_bytes()[self.pos..].starts_with(what.as_bytes())
    }

    /// Steps over one character.
    pub(crate) fn step(&mut self) {
        self.pos += 1;
        while !self.text.is_char_boundary(self.pos) {
            self.pos += 1;
        }
    }

    /// Steps over `what` if it comes next.
    pub(crate) fn eat(&mut self, what: &str) -> bool {
        let found = self.looking_at(what);
        if found {
            self.pos += what.len();
        }
        found
    }

    /// Steps over the bytes that fit and returns them.
    pub(crate) fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a str {
        let start = self.pos;
        while self.peek().is_some_and(&fits) {
            self.pos += 1;
        }
        &self.text[start..self.pos]
    }

    /// A shell name, or nothing.
    pub(crate) fn name(&mut self) -> Option<&'a str> {
        let start = self.pos;
        let name = self.take_while(is_name_byte);
        if is_identifier(name) {
            return Some(name);
        }
        self.pos = start;
        None
    }

    pub(crate) fn mark_opaque(&mut self) -> Part {
        self.opaque = true;
        Part::Opaque
    }

    /// Runs a nested rule, with a limit on how deep rules may nest.
    pub(crate) fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Lexed<T>) -> Lexed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Unterminated);
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// One word, up to an unquoted metacharacter or the end. Empty if such a character comes first.
    pub(crate) fn word(&mut self, place: Place) -> Lexed<Word> {
        let start = self.pos;
        let mut builder = Builder::default();
        while let Some(byte) = self.peek() {
            match byte {
                _ if is_metacharacter(byte) => break,
                b'\'' => builder.text(self.single_quoted()?),
                b'"' => self.double_quoted(&mut builder)?,
                b'\\' => self.escaped(&mut builder)?,
                b'$' => {
                    let part = self.dollar(false)?;
                    let splits = place == Place::List && matches!(part, Part::Parameter(_));
                    builder.part(if splits { self.mark_opaque() } else { part });
                }
                b'`' => {
                    self.skip_backquoted()?;
                    builder.part(self.mark_opaque());
                }
                _ => self.plain(byte, place, &mut builder),
            }
        }
        Ok(builder.finish(start..self.pos))
    }

    /// An ordinary character, unless its place gives it a meaning.
    fn plain(&mut self, byte: u8, place: Place, builder: &mut Builder) {
        let special = match byte {
            // A tilde is one only where a path can begin.
            b'~' => place == Place::List || builder.last_plain.is_none_or(|last| matches!(last, b':' | b'=')),
            b'*' | b'?' | b'[' | b']' | b'{' | b'}' => place == Place::List,
            _ => false,
        };
        let start = self.pos;
        self.step();
        if special {
            builder.part(self.mark_opaque());
            return;
        }
        builder.text(&self.text[start..self.pos]);
        builder.last_plain = Some(byte);
    }

    fn single_quoted(&mut self) -> Lexed<&'a str> {
        self.pos += 1;
        let content = self.take_while(|byte| byte != b'\'');
        if self.eat("'") { Ok(content) } else { Err(Unterminated) }
    }

    /// A backslash outside of quotes.
    fn escaped(&mut self, builder: &mut Builder) -> Lexed<()> {
        self.pos += 1;
        let start = self.pos;
        if self.peek().is_none() {
            return Err(Unterminated);
        }
        self.step();
        match &self.text[start..self.pos] {
            // A continued line; what stands before and after it touch.
            "\n" => builder.last_plain = None,
            character => builder.text(character),
        }
        Ok(())
    }

    pub(crate) fn double_quoted(&mut self, builder: &mut Builder) -> Lexed<()> {
        self.pos += 1;
        // An empty pair of quotes still makes a word.
        builder.text("");
        loop {
            builder.text(self.take_while(|byte| !matches!(byte, b'"' | b'\\' | b'$' | b'`')));
            match self.peek() {
                None => return Err(Unterminated),
                Some(b'"') => {
                    self.pos += 1;
                    builder.text("");
                    return Ok(());
                }
                Some(b'$') => {
                    let part = self.dollar(true)?;
                    builder.part(part);
                }
                Some(b'`') => {
                    self.skip_backquoted()?;
                    builder.part(self.mark_opaque());
                }
                Some(_) => match self.peek_at(1) {
                    Some(b'\n') => self.pos += 2,
                    Some(byte @ (b'$' | b'`' | b'"' | b'\\')) => {
                        builder.text(char::from(byte).encode_utf8(&mut [0; 4]));
                        self.pos += 2;
                    }
                    _ => {
                        builder.text("\\");
                        self.pos += 1;
                    }
                },
            }
        }
    }

    /// What begins with `$`. A lone `$` stands for itself.
    pub(crate) fn dollar(&mut self, quoted: bool) -> Lexed<Part> {
        match self.peek_at(1) {
            Some(b'(') => {
                self.pos += 2;
                self.skip_to(b')')?;
                Ok(self.mark_opaque())
            }
            Some(b'[') => {
                self.pos += 2;
                self.skip_to(b']')?;
                Ok(self.mark_opaque())
            }
            Some(b'{') => self.braced(),
            Some(b'\'') if !quoted => self.ansi_quoted(),
            Some(b'"') if !quoted => {
                self.pos += 1;
                self.double_quoted(&mut Builder::default())?;
                Ok(self.mark_opaque())
            }
            // A name that goes on behind a continuation.
            Some(b'\\') if self.peek_at(2) == Some(b'\n') => {
                self.pos += 1;
                Ok(self.mark_opaque())
            }
            Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') => {
                self.pos += 2;
                Ok(self.mark_opaque())
            }
            Some(byte) if is_name_byte(byte) => {
                self.pos += 1;
                Ok(self.named_parameter())
            }
            _ => {
                self.pos += 1;
                Ok(Part::Text("$".to_owned()))
            }
        }
    }

    fn named_parameter(&mut self) -> Part {
        let name = self.take_while(is_name_byte).to_owned();
        // Whether a byte outside of ASCII belongs to the name depends on the locale.
        let unclear = self.peek().is_some_and(|byte| byte >= 0x80) || self.looking_at("\\\n");
        if unclear { self.mark_opaque() } else { Part::Parameter(Box::new(Parameter::plain(name, 0))) }
    }

    /// `$'..'` with the plain escapes.
    fn ansi_quoted(&mut self) -> Lexed<Part> {
        self.pos += 2;
        let (mut text, mut known) = (String::new(), true);
        loop {
            text.push_str(self.take_while(|byte| !matches!(byte, b'\'' | b'\\')));
            if self.eat("'") {
                return Ok(if known { Part::Text(text) } else { self.mark_opaque() });
            }
            let escape = self.peek_at(1).ok_or(Unterminated)?;
            self.pos += 1;
            self.step();
            match escape {
                b'n' => text.push('\n'),
                b't' => text.push('\t'),
                b'r' => text.push('\r'),
                b'\\' | b'\'' | b'"' | b'?' => text.push(char::from(escape)),
                _ => known = false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a b", "a", false)]
    #[case("'a b'\"c d\"\\ e;", "'a b'\"c d\"\\ e", false)]
    #[case("\"$(echo \")\" \"a b\") x\" y", "\"$(echo \")\" \"a b\") x\"", true)]
    #[case("`a b`c d", "`a b`c", true)]
    #[case("\"${x:-\"}\"}\" y", "\"${x:-\"}\"}\"", true)]
    #[case("\"$(f (a) \\) 'b)')\" y", "\"$(f (a) \\) 'b)')\"", true)]
    #[case("$(case a in a) b;; (c) d; esac) y", "$(case a in a) b;; (c) d; esac)", true)]
    #[case("$(if case a in a) b;; esac; then c; fi) y", "$(if case a in a) b;; esac; then c; fi)", true)]
    #[case("$(echo case) y", "$(echo case)", true)]
    #[case("$(x-case) y", "$(x-case)", true)]
    #[case("$(\u{feff} \\\u{e9} x) y", "$(\u{feff} \\\u{e9} x)", true)]
    fn word_ends_at_an_unquoted_metacharacter(#[case] text: &str, #[case] word: &str, #[case] opaque: bool) {
        let mut lexer = Lexer::new(text);
        let span = lexer.word(Place::Scalar).unwrap().span;
        assert_eq!((&text[span], lexer.opaque), (word, opaque));
    }

    #[rstest]
    #[case("'a")]
    #[case("\"a")]
    #[case("a\\")]
    #[case("\"$(echo )")]
    #[case("$'a\\")]
    #[case("${x")]
    fn an_open_end_is_an_error(#[case] text: &str) {
        assert_eq!(Lexer::new(text).word(Place::Scalar), Err(Unterminated));
    }

    #[test]
    fn deep_nesting_is_refused() {
        for open in ["$(", "${x:-", "\"$("] {
            let _ = Lexer::new(&open.repeat(100_000)).word(Place::Scalar);
        }
    }
}
