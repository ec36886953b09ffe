//! The second reading, which every value of a conf goes through.
//!
//! The original DKMS prints each value as `NAME[i]="VALUE"` with an unquoted `echo`, and sources what it printed. So
//! blanks are folded, inner quotes vanish, a `$` that the first reading left is expanded, and some values do not
//! survive. Packages work that way by accident, so it stays. What does not stay: wildcards are not expanded, and text
//! that falls out of its quotes is not run; only a command substitution is, by bash.

use super::expand::Shell;
use super::lexer::{Lexer, Place, Unterminated, is_metacharacter};
use super::parser::{AssignmentTarget, list, skip_blanks_and_continuations, skip_comment, target};
use super::syntax::{Assignment, Native, NeedsBash, Part, Value, Word};
use std::collections::BTreeSet;

/// A value as the first reading prints it for the second one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Printed {
    pub name: String,
    pub index: usize,
    /// `NAME[i]="VALUE"`, folded.
    pub line: String,
}

impl Printed {
    /// With the default IFS; where a file changed it, bash has done the folding.
    pub(crate) fn new(name: &str, index: usize, value: &str) -> Self {
        let value = value.strip_suffix('\r').unwrap_or(value);
        let text = format!("{name}[{index}]=\"{value}\"");
        let fields: Vec<&str> = text.split([' ', '\t', '\n']).filter(|field| !field.is_empty()).collect();
        Self { name: name.to_owned(), index, line: fields.join(" ") }
    }
}

/// One assignment that the second reading carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RereadStep {
    pub target: AssignmentTarget,
    pub value: Value,
    /// The assignment as it stands in the text.
    pub source: String,
}

impl RereadStep {
    pub(crate) fn index(&self) -> usize {
        self.target.index.unwrap_or(0)
    }
}

/// The assignments of the printed text, and which values did not come through whole.
#[derive(Debug, Default)]
pub(crate) struct RereadPlan {
    pub steps: Vec<RereadStep>,
    /// Names whose value ends early, because what follows fell out of its quotes.
    pub cut: BTreeSet<String>,
}

/// Finds the assignments in the printed text, as a shell would that runs no command.
pub(crate) fn plan(printed: &[Printed]) -> RereadPlan {
    let text: String = printed.iter().flat_map(|printed| [printed.line.as_str(), "\n"]).collect();
    let mut reader = Reader { lexer: Lexer::new(&text), plan: RereadPlan::default(), document: false };
    // A shell reads line by line: most errors lose their own line and all that follow.
    loop {
        match reader.line() {
            Ok(true) => {}
            Ok(false) | Err(Broken::Text) => return reader.plan,
            Err(Broken::Line) => skip_comment(&mut reader.lexer),
        }
    }
}

/// Carries out the steps natively; `None` if one of them needs bash.
pub(crate) fn run(plan: &RereadPlan, shell: &mut Shell) -> Native<()> {
    for step in &plan.steps {
        let AssignmentTarget { name, index, append } = step.target.clone();
        shell.assign(&Assignment { name, index, append, value: step.value.clone() })?;
    }
    Ok(())
}

/// What cannot be read, or has no meaning without running it.
enum Broken {
    /// The line, up to its end; a list with something wrong in it.
    Line,
    /// All that follows.
    Text,
}

impl From<Unterminated> for Broken {
    fn from(_: Unterminated) -> Self {
        Self::Text
    }
}

impl From<NeedsBash> for Broken {
    fn from(_: NeedsBash) -> Self {
        Self::Text
    }
}

/// What ended a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Another command follows, whatever this one did: `;`.
    Next,
    /// `&&`, `||`
    And,
    Or,
    /// `|`: both sides run in shells of their own.
    Pipe,
    /// `&`: so does the whole list.
    Background,
    Line,
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    plan: RereadPlan,
    /// A here-document began, which takes all that follows: no printed line is its end.
    document: bool,
}

/// One simple command.
#[derive(Default)]
struct Simple {
    steps: Vec<RereadStep>,
    /// It has words after its assignments, so it would run a program.
    is_command: bool,
    redirected: bool,
}

impl Reader<'_> {
    /// Reads the commands up to a line end outside of quotes; tells whether there is more.
    fn line(&mut self) -> Result<bool, Broken> {
        let (mut done, mut cut) = (Vec::new(), BTreeSet::new());
        // The steps of the list so far, which `&` would run in a shell of its own.
        let mut list = Vec::new();
        // Whether the next command is reached, and in this shell. One that is not run counts as failed.
        let (mut reached, mut piped) = (true, false);
        loop {
            let command = self.simple()?;
            let end = self.end()?;
            if let Some(first) = command.steps.first() {
                if end != End::Line || command.is_command || command.redirected {
                    cut.insert(first.target.name.clone());
                }
            } else if !command.is_command && end != End::Line {
                return Err(Broken::Text);
            }
            let succeeded = reached && !command.is_command;
            if succeeded && !piped && end != End::Pipe {
                list.extend(command.steps);
            }
            piped = end == End::Pipe;
            match end {
                End::Pipe => continue,
                End::And => reached = succeeded,
                End::Or => reached = !succeeded,
                End::Background => list.clear(),
                End::Next | End::Line => {}
            }
            if !matches!(end, End::And | End::Or) {
                done.append(&mut list);
                reached = true;
            }
            if end == End::Line {
                break;
            }
        }
        self.plan.steps.extend(done);
        self.plan.cut.extend(cut);
        Ok(self.lexer.peek().is_some() && !self.document)
    }

    fn simple(&mut self) -> Result<Simple, Broken> {
        let mut command = Simple::default();
        loop {
            skip_blanks_and_continuations(&mut self.lexer);
            match self.lexer.peek() {
                Some(b'#') => skip_comment(&mut self.lexer),
                Some(b'<' | b'>') => self.redirection(&mut command)?,
                Some(b'&') if self.lexer.looking_at("&>") => self.redirection(&mut command)?,
                Some(byte) if !is_metacharacter(byte) => self.assignment_or_word(&mut command)?,
                _ => return Ok(command),
            }
        }
    }

    fn assignment_or_word(&mut self, command: &mut Simple) -> Result<(), Broken> {
        let start = self.lexer.pos;
        if !command.is_command {
            if let Some(target) = target(&mut self.lexer) {
                let value = self.value(&target)?;
                let source = self.lexer.text[start..self.lexer.pos].to_owned();
                command.steps.push(RereadStep { target, value, source });
                return Ok(());
            }
        }
        let word = self.word()?;
        if !command.is_command && is_compound(&self.lexer.text[word.span]) {
            return Err(Broken::Text);
        }
        command.is_command = true;
        Ok(())
    }

    /// A word with its extended patterns, which the original's shell knows; as a value, only bash knows their meaning.
    fn word(&mut self) -> Result<Word, Broken> {
        let mut word = self.lexer.word(Place::Scalar)?;
        while self.lexer.peek() == Some(b'(') && ends_in_pattern_sign(&self.lexer.text[word.span.clone()]) {
            self.lexer.pos += 1;
            self.lexer.skip_to(b')')?;
            let rest = self.lexer.word(Place::Scalar)?;
            word.parts.push(Part::Opaque);
            word.span.end = rest.span.end;
        }
        Ok(word)
    }

    fn value(&mut self, target: &AssignmentTarget) -> Result<Value, Broken> {
        if target.index.is_some() || !self.lexer.eat("(") {
            return Ok(Value::Scalar(self.word()?));
        }
        list(&mut self.lexer).map(Value::List).map_err(|NeedsBash| match self.lexer.peek() {
            None => Broken::Text,
            Some(_) => Broken::Line,
        })
    }

    /// A file is neither read nor written; its name only has to be stepped over.
    fn redirection(&mut self, command: &mut Simple) -> Result<(), Broken> {
        command.redirected = true;
        self.document |= self.lexer.looking_at("<<") && !self.lexer.looking_at("<<<");
        const OPERATORS: &[&str] = &["<<<", "<<-", "<<", "<&", "<>", "<", "&>>", "&>", ">>", ">&", ">|", ">"];
        let known = OPERATORS.iter().any(|operator| self.lexer.eat(operator));
        skip_blanks_and_continuations(&mut self.lexer);
        let word = self.lexer.word(Place::Scalar)?;
        if !known || word.span.is_empty() { Err(Broken::Text) } else { Ok(()) }
    }

    fn end(&mut self) -> Result<End, Broken> {
        let signs =
            [("&&", End::And), ("||", End::Or), (";", End::Next), ("&", End::Background), ("|", End::Pipe)];
        if self.lexer.peek().is_none() || self.lexer.eat("\n") {
            return Ok(End::Line);
        }
        signs.into_iter().find(|(sign, _)| self.lexer.eat(sign)).map(|(_, end)| end).ok_or(Broken::Text)
    }
}

/// Whether a parenthesis behind this text belongs to it.
fn ends_in_pattern_sign(text: &str) -> bool {
    let before = text.trim_end_matches(['?', '*', '+', '@', '!']);
    before.len() < text.len() && (before.len() + 1 < text.len() || !before.ends_with(['\\', '$']))
}

/// Whether a command word begins a compound command, which is more than one line of commands.
fn is_compound(word: &str) -> bool {
    const RESERVED: &[&str] = &[
        "!", "[[", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
        "select", "then", "time", "until", "while", "{", "}",
    ];
    RESERVED.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn sources(values: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let printed: Vec<Printed> = values.iter().map(|(name, value)| Printed::new(name, 0, value)).collect();
        let plan = plan(&printed);
        (plan.steps.into_iter().map(|step| step.source).collect(), plan.cut.into_iter().collect())
    }

    #[rstest]
    #[case("a  b\n\tc ", &["M[0]=\"a b c \""], &[])]
    #[case("a\r", &["M[0]=\"a\""], &[])]
    #[case("x \"a b\" c", &[], &["M"])]
    #[case("x \"a\" c", &["M[0]=\"x \"a\" c\""], &[])]
    #[case("echo \"a; touch f; b\"", &["M[0]=\"echo \"a"], &["M"])]
    #[case("a\" && N=\"b", &["M[0]=\"a\"", "N=\"b\""], &["M"])]
    #[case("a\" || N=\"b", &["M[0]=\"a\""], &["M"])]
    #[case("a\" & N=\"b", &["N=\"b\""], &["M"])]
    #[case("a\" > \"f", &["M[0]=\"a\""], &["M"])]
    #[case("a\" # \"b", &["M[0]=\"a\""], &[])]
    #[case("a\" && N=\"b\" & O=\"c", &["O=\"c\""], &["M", "N"])]
    #[case("a\" | N=\"b", &[], &["M"])]
    #[case("a\">&\"f\"; N=\"b", &["M[0]=\"a\"", "N=\"b\""], &["M"])]
    #[case("a\" &> \"f", &["M[0]=\"a\""], &["M"])]
    #[case("a\" << \"f", &["M[0]=\"a\""], &["M"])]
    #[case("a\"; x; N=\"b", &["M[0]=\"a\"", "N=\"b\""], &["M"])]
    #[case("a\"<(\"b", &[], &[])]
    #[case("a\"(\"b", &[], &[])]
    #[case("a\"; N=(x \"y\") O=\"b", &["M[0]=\"a\"", "N=(x \"y\")", "O=\"b\""], &["M"])]
    #[case("a\"; N=(&\"b", &[], &[])]
    #[case("a\"; @(b c) \"d", &["M[0]=\"a\""], &["M"])]
    #[case("a\"@(b c)\"d", &["M[0]=\"a\"@(b c)\"d\""], &[])]
    #[case("a\"\\@(b c)\"d", &[], &[])]
    #[case("a\"; if true; then N=\"b", &[], &[])]
    fn a_value_is_read_again(#[case] value: &str, #[case] steps: &[&str], #[case] cut: &[&str]) {
        let (found, found_cut) = sources(&[("M", value)]);
        assert_eq!(found, steps);
        assert_eq!(found_cut, cut);
    }

    #[test]
    fn a_broken_list_takes_its_own_line_along() {
        let values = [("A", "x"), ("B", "a\"; N=(x;\""), ("C", "y")];
        assert_eq!(sources(&values).0, ["A[0]=\"x\"", "C[0]=\"y\""]);
        assert_eq!(sources(&[("A", "x"), ("B", "a\"; N=(x"), ("C", "y")]).0, ["A[0]=\"x\""]);
    }

    #[test]
    fn odd_quote_loses_the_values_after_it() {
        assert_eq!(sources(&[("A", "x"), ("B", "a\"b"), ("C", "y")]).0, ["A[0]=\"x\""]);
        let (steps, _) = sources(&[("B", "a\"b"), ("C", "c\"d"), ("D", "y")]);
        assert_eq!(steps, ["B[0]=\"a\"b\"\nC[0]=\"c\"d\"", "D[0]=\"y\""]);
    }
}
