//! Reads `${..}`, and skips over what only bash can expand.

use super::lexer::{Builder, Lexed, Lexer, Unterminated, is_metacharacter};
use super::syntax::{Alternative, Operation, Parameter, Part, Side, Word};

impl Parameter {
    pub(crate) fn plain(name: String, index: usize) -> Self {
        Self { name, index, operation: Operation::Plain }
    }
}

/// Characters of an operand that mean themselves everywhere, with and without quotes around the expansion.
fn is_safe(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"_.,:=+-@% *?^#".contains(&byte)
}

/// A literal index: decimal, without a leading zero (which would make it octal), and of sane size.
pub(crate) fn parse_index(digits: &str) -> Option<usize> {
    let plain = digits == "0" || !digits.starts_with('0');
    (plain && digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The `case` commands that are open in a command substitution: there, a free `)` ends a pattern.
#[derive(Default)]
struct Cases {
    open: usize,
    /// A word has begun that is not the first one of its command.
    in_command: bool,
}

impl Cases {
    /// Steps over a plain word, or takes note of what else comes next.
    fn skip_word(&mut self, lexer: &mut Lexer<'_>) -> bool {
        let word = lexer.take_while(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if word.is_empty() {
            match lexer.peek() {
                Some(b' ' | b'\t') => {}
                Some(b';' | b'&' | b'|' | b'(' | b')' | b'\n' | b'{' | b'!') => self.in_command = false,
                _ => self.in_command = true,
            }
            return false;
        }
        let is_reserved = !self.in_command && lexer.peek().is_none_or(is_metacharacter);
        match word {
            "case" if is_reserved => self.open += 1,
            "esac" if is_reserved => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.in_command =
            !(is_reserved && matches!(word, "do" | "then" | "else" | "elif" | "if" | "while" | "until"));
        true
    }
}

impl Lexer<'_> {
    /// `${..}`: natively if all of it is understood, else opaque.
    pub(crate) fn braced(&mut self) -> Lexed<Part> {
        let start = self.pos;
        self.pos += 2;
        if let Ok(Some(parameter)) = self.nested(Self::parameter) {
            return Ok(Part::Parameter(Box::new(parameter)));
        }
        self.pos = start + 2;
        self.skip_to(b'}')?;
        Ok(self.mark_opaque())
    }

    /// The inside of `${..}` and its end; `None` if there is anything not understood.
    fn parameter(&mut self) -> Lexed<Option<Parameter>> {
        let Some(name) = self.name() else { return Ok(None) };
        let mut parameter = Parameter::plain(name.to_owned(), 0);
        if self.eat("[") {
            let digits = self.take_while(|byte| byte.is_ascii_digit());
            let Some(index) = parse_index(digits) else { return Ok(None) };
            parameter.index = index;
            if !self.eat("]") {
                return Ok(None);
            }
        }
        if self.eat("}") {
            return Ok(Some(parameter));
        }
        let Some(operation) = self.operation()? else { return Ok(None) };
        // An assignment to an element has more rules than are needed here, and one inside another operation is not
        // always carried out.
        let assigns = matches!(operation, Operation::Alternative { kind: Alternative::Assign, .. });
        if assigns && (parameter.index > 0 || self.depth > 1) {
            return Ok(None);
        }
        parameter.operation = operation;
        Ok(self.eat("}").then_some(parameter))
    }

    fn operation(&mut self) -> Lexed<Option<Operation>> {
        for (sign, lower) in [(",,", true), ("^^", false)] {
            if self.eat(sign) {
                return Ok(Some(if lower { Operation::Lowercase } else { Operation::Uppercase }));
            }
        }
        if self.eat("/") {
            return self.replacement();
        }
        for (sign, side) in [("#", Side::Start), ("%", Side::End)] {
            if self.eat(sign) {
                let longest = self.eat(sign);
                return Ok(self.operand(b'}')?.map(|pattern| Operation::Trim { side, longest, pattern }));
            }
        }
        let colon = self.eat(":");
        let kind = match self.peek() {
            Some(b'-') => Alternative::Default,
            Some(b'=') => Alternative::Assign,
            Some(b'+') => Alternative::Replacement,
            _ => return Ok(None),
        };
        self.pos += 1;
        Ok(self.operand(b'}')?.map(|word| Operation::Alternative { kind, colon, word }))
    }

    /// What follows the first `/` of `${x/pattern/with}`.
    fn replacement(&mut self) -> Lexed<Option<Operation>> {
        let all = self.eat("/");
        // An anchor, or no pattern at all.
        if matches!(self.peek(), Some(b'#' | b'%' | b'/' | b'}')) {
            return Ok(None);
        }
        let Some(pattern) = self.operand(b'/')? else { return Ok(None) };
        let with = if self.eat("/") { self.operand(b'}')? } else { Some(Word::default()) };
        Ok(with.map(|with| Operation::Replace { all, pattern, with }))
    }

    /// The word of an operation, up to the closing brace or `stop`; `None` if it holds quotes or anything unusual.
    fn operand(&mut self, stop: u8) -> Lexed<Option<Word>> {
        let start = self.pos;
        let mut builder = Builder::default();
        loop {
            match self.peek() {
                None => return Err(Unterminated),
                Some(byte) if byte == stop || byte == b'}' => break,
                Some(b'$') => {
                    let part = self.nested(|lexer| lexer.dollar(true))?;
                    builder.part(part);
                }
                Some(byte) if is_safe(byte) || byte == b'/' => {
                    builder.text(self.take_while(|byte| is_safe(byte) || (byte == b'/' && stop != b'/')));
                }
                Some(_) => return Ok(None),
            }
        }
        Ok(Some(builder.finish(start..self.pos)))
    }

    /// Skips to behind the bracket that closes the one before the current position. Round and square ones nest; the
    /// first free `}` closes `${`.
    pub(crate) fn skip_to(&mut self, close: u8) -> Lexed<()> {
        let open = match close {
            b')' => Some(b'('),
            b']' => Some(b'['),
            _ => None,
        };
        self.nested(|lexer| {
            let mut depth = 1_usize;
            let mut cases = Cases::default();
            while depth > 0 {
                let byte = lexer.peek().ok_or(Unterminated)?;
                if close == b')' && cases.skip_word(lexer) {
                    continue;
                }
                if Some(byte) == open {
                    depth += 1;
                } else if byte == close && !(depth == 1 && cases.open > 0) {
                    depth -= 1;
                } else if lexer.skip_quoted(byte)? {
                    continue;
                }
                lexer.step();
            }
            Ok(())
        })
    }

    /// Skips what protects a bracket; tells whether there was such a thing.
    fn skip_quoted(&mut self, byte: u8) -> Lexed<bool> {
        match byte {
            b'\\' => {
                self.pos += 1;
                if self.peek().is_some() {
                    self.step();
                }
            }
            b'\'' => {
                self.pos += 1;
                self.take_while(|byte| byte != b'\'');
                if !self.eat("'") {
                    return Err(Unterminated);
                }
            }
            b'"' => self.nested(|lexer| lexer.double_quoted(&mut Builder::default()))?,
            b'`' => self.skip_backquoted()?,
            b'$' => match self.peek_at(1) {
                Some(b'(' | b'{' | b'[') => {
                    self.pos += 1;
                    let close = match self.peek() {
                        Some(b'(') => b')',
                        Some(b'[') => b']',
                        _ => b'}',
                    };
                    self.pos += 1;
                    self.skip_to(close)?;
                }
                _ => return Ok(false),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn skip_backquoted(&mut self) -> Lexed<()> {
        self.pos += 1;
        loop {
            self.take_while(|byte| !matches!(byte, b'`' | b'\\'));
            if self.eat("`") {
                return Ok(());
            }
            if self.peek_at(1).is_none() {
                return Err(Unterminated);
            }
            self.pos += 1;
            self.step();
        }
    }
}
