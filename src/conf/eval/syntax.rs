//! The part of the shell's syntax that is read without a shell, as data. No evaluation.

use std::ops::Range;

/// What was met goes beyond the native evaluator; bash has to read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NeedsBash;

pub(crate) type Native<T> = Result<T, NeedsBash>;

/// One word, quotes removed, with the place in the text it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub parts: Vec<Part>,
    pub span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Parameter(Box<Parameter>),
    /// A well delimited expansion that only bash can carry out, such as a command substitution.
    Opaque,
}

/// `$name`, `${name}`, `${name[1]}`, `${name:-word}` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub name: String,
    pub index: usize,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Plain,
    /// `-`, `=`, `+`; with `colon` an empty value counts as none.
    Alternative {
        kind: Alternative,
        colon: bool,
        word: Word,
    },
    /// `#`, `##`, `%`, `%%`.
    Trim {
        side: Side,
        longest: bool,
        pattern: Word,
    },
    /// `/` and `//`, with a pattern without wildcards.
    Replace {
        all: bool,
        pattern: Word,
        with: Word,
    },
    Lowercase,
    Uppercase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alternative {
    /// `${x-w}`: the word if there is no value.
    Default,
    /// `${x=w}`: the same, and the variable gets it.
    Assign,
    /// `${x+w}`: the word if there is a value.
    Replacement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Start,
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub name: String,
    pub index: Option<usize>,
    /// `+=`
    pub append: bool,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Scalar(Word),
    List(Vec<Element>),
}

/// One element of `NAME=(..)`; without an index it follows its predecessor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub index: Option<usize>,
    pub word: Word,
}
