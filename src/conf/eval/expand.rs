//! Carries out assignments and expands parameters, with bash's exact result.
//!
//! What depends on the locale, or on a value that would act as a pattern, is refused with [`NeedsBash`]; the caller
//! then throws the half-done state away. No effects outside of the variables.

use super::names;
use super::pattern::{self, PatternItem};
use super::syntax::{
    Alternative, Assignment, Element, Native, NeedsBash, Operation, Parameter, Part, Value, Word,
};
use crate::conf::Values;

/// The variables, as a shell would hold them: every one an array, a scalar is index 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shell {
    pub variables: Values,
    /// The bytes of all assignments so far.
    pub assigned: usize,
}

/// A value of more bytes is left to bash, which has limits of memory and time.
const MOST_BYTES: usize = 64 << 10;
/// The same for all assignments of a file together.
const MOST_ASSIGNED: usize = 4 << 20;
/// Trimming costs the square of the length.
const MOST_TRIMMED: usize = 2 << 10;

impl Shell {
    pub(crate) fn assign(&mut self, assignment: &Assignment) -> Native<()> {
        let Assignment { name, index, append, value } = assignment;
        if !names::is_assignable(name) {
            return Err(NeedsBash);
        }
        match value {
            Value::Scalar(word) => {
                let text = self.expand(word)?;
                self.set(name, index.unwrap_or(0), *append, text)
            }
            Value::List(elements) => self.assign_list(name, *append, elements),
        }
    }

    fn set(&mut self, name: &str, index: usize, append: bool, text: String) -> Native<()> {
        let old = if append { self.variables.at(name, index).unwrap_or_default() } else { "" };
        let text = format!("{old}{text}");
        self.assigned += text.len();
        if text.len() > MOST_BYTES || self.assigned > MOST_ASSIGNED {
            return Err(NeedsBash);
        }
        self.variables.set(name, index, text);
        Ok(())
    }

    fn assign_list(&mut self, name: &str, append: bool, elements: &[Element]) -> Native<()> {
        // Whether an element still sees the old array depends on the version of bash.
        if elements.iter().any(|element| element.word.refers_to(name)) {
            return Err(NeedsBash);
        }
        let texts = elements.iter().map(|element| self.expand(&element.word)).collect::<Native<Vec<_>>>()?;
        if !append {
            self.variables.remove(name);
        }
        let mut next = self.variables.highest(name).map_or(0, |highest| highest + 1);
        for (element, text) in elements.iter().zip(texts) {
            let index = element.index.unwrap_or(next);
            self.set(name, index, false, text)?;
            next = index + 1;
        }
        Ok(())
    }

    pub(crate) fn expand(&mut self, word: &Word) -> Native<String> {
        let mut text = String::new();
        for part in &word.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Parameter(parameter) => text.push_str(&self.parameter(parameter)?),
                Part::Opaque => return Err(NeedsBash),
            }
            if text.len() > MOST_BYTES {
                return Err(NeedsBash);
            }
        }
        // Bash marks quoting with these two bytes, and doubles them in some places.
        if text.contains(['\u{1}', '\u{7f}']) { Err(NeedsBash) } else { Ok(text) }
    }

    fn parameter(&mut self, parameter: &Parameter) -> Native<String> {
        let Parameter { name, index, operation } = parameter;
        let value = self.lookup(name, *index)?;
        if let Operation::Alternative { kind, colon, word } = operation {
            return self.alternative(name, value, *kind, *colon, word);
        }
        let value = value.unwrap_or_default();
        match operation {
            Operation::Plain | Operation::Alternative { .. } => Ok(value),
            Operation::Lowercase => ascii(value).map(|value| value.to_ascii_lowercase()),
            Operation::Uppercase => ascii(value).map(|value| value.to_ascii_uppercase()),
            Operation::Trim { side, longest, pattern } => {
                let items = self.pattern(pattern)?;
                if value.len() > MOST_TRIMMED || items.len() > MOST_TRIMMED {
                    return Err(NeedsBash);
                }
                Ok(pattern::trim(&ascii(value)?, &items, *side, *longest))
            }
            Operation::Replace { all, pattern, with } => self.replace(&value, *all, pattern, with),
        }
    }

    fn lookup(&self, name: &str, index: usize) -> Native<Option<String>> {
        let value = self.variables.at(name, index).map(ToOwned::to_owned);
        if names::is_shell_variable(name) || (value.is_none() && names::is_environment_variable(name)) {
            return Err(NeedsBash);
        }
        Ok(value)
    }

    fn alternative(
        &mut self,
        name: &str,
        value: Option<String>,
        kind: Alternative,
        colon: bool,
        word: &Word,
    ) -> Native<String> {
        let value = value.filter(|value| !(colon && value.is_empty()));
        match (kind, value) {
            (Alternative::Replacement, Some(_)) => self.expand(word),
            (Alternative::Replacement, None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (Alternative::Default, None) => self.expand(word),
            (Alternative::Assign, None) if !names::is_assignable(name) => Err(NeedsBash),
            (Alternative::Assign, None) => {
                let text = self.expand(word)?;
                self.variables.set(name, 0, text.as_str());
                Ok(text)
            }
        }
    }

    fn replace(&mut self, value: &str, all: bool, pattern: &Word, with: &Word) -> Native<String> {
        let pattern = self.expand(pattern)?;
        let with = self.expand(with)?;
        // `&` stands for the match in newer versions of bash only.
        let is_anchored = pattern.starts_with(['#', '%', '/']);
        if pattern.is_empty()
            || is_anchored
            || !pattern.chars().all(pattern::is_literal)
            || with.contains(['&', '\\'])
        {
            return Err(NeedsBash);
        }
        if value.len().saturating_mul(with.len().max(1)) > MOST_BYTES * MOST_BYTES.isqrt() {
            return Err(NeedsBash);
        }
        Ok(if all { value.replace(&pattern, &with) } else { value.replacen(&pattern, &with, 1) })
    }

    /// The literal text of a pattern may hold wildcards; one that came from a variable needs bash.
    fn pattern(&mut self, word: &Word) -> Native<Vec<PatternItem>> {
        let mut items = Vec::new();
        for part in &word.parts {
            match part {
                Part::Text(text) => items.extend(text.chars().map(PatternItem::from)),
                Part::Parameter(parameter) => {
                    let value = self.parameter(parameter)?;
                    if !value.chars().all(pattern::is_literal) {
                        return Err(NeedsBash);
                    }
                    items.extend(value.chars().map(PatternItem::Char));
                }
                Part::Opaque => return Err(NeedsBash),
            }
        }
        // Ours tries every split; a pattern with many `*` would take forever on a long value.
        if items.iter().filter(|item| **item == PatternItem::Any).count() > 2 {
            return Err(NeedsBash);
        }
        Ok(items)
    }
}

/// Outside of ASCII, what a character or its other case is depends on the locale.
fn ascii(value: String) -> Native<String> {
    if value.is_ascii() { Ok(value) } else { Err(NeedsBash) }
}

impl Word {
    /// Whether expanding the word reads or sets this variable.
    fn refers_to(&self, name: &str) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Parameter(parameter) => parameter.name == name || parameter.operation.refers_to(name),
            Part::Text(_) | Part::Opaque => false,
        })
    }
}

impl Operation {
    fn refers_to(&self, name: &str) -> bool {
        match self {
            Self::Alternative { word, .. } | Self::Trim { pattern: word, .. } => word.refers_to(name),
            Self::Replace { pattern, with, .. } => pattern.refers_to(name) || with.refers_to(name),
            Self::Plain | Self::Lowercase | Self::Uppercase => false,
        }
    }
}
