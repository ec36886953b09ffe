//! Reads a whole file as assignments, or says that bash has to.
//!
//! The decision is static: a file is read natively only if every byte of it is understood, so nothing of a file that
//! bash will read has had any effect before.

use super::braces::parse_index;
use super::lexer::{Lexed, Lexer, Place, is_metacharacter};
use super::syntax::{Assignment, Element, Native, NeedsBash, Value, Word};

/// What stands before a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssignmentTarget {
    pub name: String,
    pub index: Option<usize>,
    pub append: bool,
}

/// The assignments of a file that consists of nothing else.
pub(crate) fn parse(text: &str) -> Native<Vec<Assignment>> {
    // A lone CR is not a line end for bash, and a NUL is dropped with a warning.
    if text.contains(['\r', '\0']) {
        return Err(NeedsBash);
    }
    let mut lexer = Lexer::new(text);
    let mut assignments = Vec::new();
    loop {
        skip_blank_lines(&mut lexer)?;
        if lexer.peek().is_none() {
            return if lexer.opaque { Err(NeedsBash) } else { Ok(assignments) };
        }
        assignments.push(assignment(&mut lexer)?);
        // Several may stand on one line, as long as it holds nothing else.
        skip_blanks(&mut lexer)?;
        lexer.eat(";");
    }
}

/// Blanks, line ends and comments.
fn skip_blank_lines(lexer: &mut Lexer<'_>) -> Native<()> {
    loop {
        skip_blanks(lexer)?;
        match lexer.peek() {
            Some(b'\n') => lexer.pos += 1,
            Some(b'#') => skip_comment(lexer),
            _ => return Ok(()),
        }
    }
}

pub(crate) fn skip_comment(lexer: &mut Lexer<'_>) {
    lexer.take_while(|byte| byte != b'\n');
}

fn skip_blanks(lexer: &mut Lexer<'_>) -> Native<()> {
    let continued = skip_blanks_and_continuations(lexer);
    // Whether this is a comment depends on what stood before the continuation.
    if continued && lexer.peek() == Some(b'#') { Err(NeedsBash) } else { Ok(()) }
}

/// Tells whether a line was continued.
pub(crate) fn skip_blanks_and_continuations(lexer: &mut Lexer<'_>) -> bool {
    let mut continued = false;
    loop {
        lexer.take_while(|byte| matches!(byte, b' ' | b'\t'));
        if !lexer.eat("\\\n") {
            return continued;
        }
        continued = true;
    }
}

fn assignment(lexer: &mut Lexer<'_>) -> Native<Assignment> {
    let target = target(lexer).ok_or(NeedsBash)?;
    let value = if lexer.peek() == Some(b'(') {
        if target.index.is_some() {
            return Err(NeedsBash);
        }
        lexer.pos += 1;
        Value::List(list(lexer)?)
    } else {
        Value::Scalar(native(lexer.word(Place::Scalar))?)
    };
    // A value is followed by a blank, by a line end, or by another command: the first three are ours.
    match lexer.peek() {
        None | Some(b' ' | b'\t' | b'\n' | b';') => {}
        Some(b'\\') if lexer.looking_at("\\\n") => {}
        Some(_) => return Err(NeedsBash),
    }
    let AssignmentTarget { name, index, append } = target;
    Ok(Assignment { name, index, append, value })
}

fn native(word: Lexed<Word>) -> Native<Word> {
    word.map_err(|_| NeedsBash)
}

/// `NAME=`, `NAME+=`, `NAME[1]=`, `NAME[1]+=`; the position stays if there is nothing of that kind.
pub(crate) fn target(lexer: &mut Lexer<'_>) -> Option<AssignmentTarget> {
    let start = lexer.pos;
    let found = try_target(lexer);
    if found.is_none() {
        lexer.pos = start;
    }
    found
}

fn try_target(lexer: &mut Lexer<'_>) -> Option<AssignmentTarget> {
    let name = lexer.name()?.to_owned();
    let index = if lexer.eat("[") {
        let index = parse_index(lexer.take_while(|byte| byte.is_ascii_digit()))?;
        lexer.eat("]").then_some(())?;
        Some(index)
    } else {
        None
    };
    let append = lexer.eat("+");
    lexer.eat("=").then_some(AssignmentTarget { name, index, append })
}

/// The elements up to and including the closing parenthesis.
pub(crate) fn list(lexer: &mut Lexer<'_>) -> Native<Vec<Element>> {
    let mut elements = Vec::new();
    loop {
        skip_blank_lines(lexer)?;
        if lexer.eat(")") {
            return Ok(elements);
        }
        let index = if lexer.eat("[") {
            let index = parse_index(lexer.take_while(|byte| byte.is_ascii_digit())).ok_or(NeedsBash)?;
            if !lexer.eat("]=") {
                return Err(NeedsBash);
            }
            Some(index)
        } else {
            None
        };
        let word = native(lexer.word(Place::List))?;
        if index.is_none() && word.span.is_empty() {
            return Err(NeedsBash);
        }
        match lexer.peek() {
            Some(byte) if is_metacharacter(byte) => elements.push(Element { index, word }),
            _ => return Err(NeedsBash),
        }
    }
}
