//! What a compiler said of a probe: exit status, messages, and the file that it wrote.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// A probe makes an object of about a kilobyte.
const LARGEST: usize = 64 << 10;

/// Said of the machine or the moment, not of what was asked: the next try may do better.
const PASSING: [&str; 14] = [
    "No space left",
    "Cannot allocate memory",
    "memory exhausted",
    "out of memory",
    "Resource temporarily unavailable",
    "Too many open files",
    "Input/output error",
    "Read-only file system",
    "Disk quota exceeded",
    "Permission denied",
    "No such file or directory",
    "internal compiler error",
    "cannot execute",
    "signal",
];

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: u8,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// What is in the output file; `None` where none was written, or it is /dev/null.
    pub object: Option<Vec<u8>>,
}

impl Answer {
    /// Runs the compiler. `None` where it could not be started, or was killed: then it is started once more, in our place.
    pub fn ask(command: &mut Command, output: &Path) -> Option<Self> {
        let done = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().ok()?;
        let code = u8::try_from(done.status.code()?).ok()?;
        let object = if is_null(output) { None } else { fs::read(output).ok() };
        Some(Self { code, stdout: done.stdout, stderr: done.stderr, object })
    }

    /// Whether the same question has the same answer later.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        let size = self.stdout.len() + self.stderr.len() + self.object.as_ref().map_or(0, Vec::len);
        if size > LARGEST || self.code > 1 {
            return false;
        }
        let text = String::from_utf8_lossy(&self.stderr);
        // Names of temporary files are other ones each time.
        let is_general = !text.contains("/tmp") && !text.contains(".tmp");
        match self.code {
            0 => is_general,
            _ => is_general && text.contains("error:") && !PASSING.iter().any(|words| text.contains(words)),
        }
    }

    /// Does what the compiler would do. `None` where the output cannot be written: that is for the compiler to say.
    #[must_use]
    pub fn give(&self, output: &Path) -> Option<ExitCode> {
        if let Some(object) = &self.object {
            fs::write(output, object).ok()?;
        }
        Some(self.repeat())
    }

    /// Says what the compiler said.
    #[must_use]
    pub fn repeat(&self) -> ExitCode {
        let _ = std::io::stdout().write_all(&self.stdout);
        let _ = std::io::stderr().write_all(&self.stderr);
        ExitCode::from(self.code)
    }
}

#[must_use]
pub fn is_null(output: &Path) -> bool {
    output == Path::new("/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::yes(0, "", true)]
    #[case::no(1, "gcc: error: unrecognized command-line option '-fno-such'", true)]
    #[case::full_disk(1, "gcc: fatal error: cannot write: No space left on device", false)]
    #[case::named_file(1, "as: error: .tmp_12/tmp: bad", false)]
    #[case::no_reason(1, "", false)]
    #[case::crash(4, "gcc: error: cc1 died", false)]
    fn only_lasting_answers_are_kept(#[case] code: u8, #[case] stderr: &str, #[case] expected: bool) {
        let answer = Answer { code, stdout: Vec::new(), stderr: stderr.into(), object: None };
        assert_eq!(answer.is_lasting(), expected);
    }

    #[test]
    fn large_answer_is_not_kept() {
        let object = Some(vec![0; LARGEST + 1]);
        assert!(!Answer { code: 0, stdout: Vec::new(), stderr: Vec::new(), object }.is_lasting());
    }
}
