//! make.log: what each step of a build ran, printed and returned. Its layout is read by people and by bots.

use crate::model::BuildId;
use crate::model::text::shown_in_line;
use crate::system::files;
use crate::system::process::{Command, Status};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const RULE: &str = "----------------------------------------------------------------";

/// An open log.
#[derive(Debug)]
pub(crate) struct StepLog {
    file: File,
    path: PathBuf,
    /// Processor time of all steps.
    cpu: Duration,
}

impl StepLog {
    /// Starts a build's log, empty but for its header. A file of that name that came with the source is replaced.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn for_build(path: &Path, build: &BuildId) -> io::Result<Self> {
        let mut log = Self::create(path)?;
        let version = crate::VERSION;
        writeln!(
            log.file,
            "DKMS (dkms-{version}) make.log for {} for kernel {}",
            build.package, build.target
        )?;
        writeln!(log.file, "{}", jiff::Zoned::now().strftime("%a %b %e %H:%M:%S %Z %Y"))?;
        Ok(log)
    }

    /// Starts a log without header.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        files::remove_file(path)?;
        Ok(Self { file: files::create_file(path)?, path: path.to_owned(), cpu: Duration::ZERO })
    }

    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Processor time of the steps so far.
    #[must_use]
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Runs a command as one step: title, command line, output, exit code, time.
    ///
    /// # Errors
    /// The log cannot be written, or the command not started.
    pub(crate) fn run(&mut self, title: &str, shown: &str, command: Command) -> io::Result<Status> {
        write!(self.file, "\n{title}\n# command: {shown}\n")?;
        let start = Instant::now();
        let status = match command.log_to(&self.file)?.run() {
            Ok(outcome) => {
                self.cpu += outcome.cpu;
                outcome.status
            }
            Err(error) => {
                writeln!(self.file, "{error}")?;
                Status::Exited(127)
            }
        };
        let code = status.code();
        writeln!(self.file, "\n# exit code: {code}\n# elapsed time: {}\n{RULE}", clock(start.elapsed()))?;
        Ok(status)
    }
}

/// hh:mm:ss
fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// What programs say when there is no more room for what they write.
pub(crate) const NO_ROOM: [&str; 4] =
    ["No space left on device", "Disk quota exceeded", "File too large", "ile size limit exceeded"];

/// Whether a build ended because there was no more room.
#[must_use]
pub(crate) fn was_without_room(log: &Path) -> bool {
    let bytes = files::read_ends(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    NO_ROOM.iter().any(|words| text.contains(words))
}

/// The first line of a log in which a compiler or make says what is wrong; files in the build directory without its name, which
/// makes lines longer than a screen.
#[must_use]
pub(crate) fn first_error(log: &Path, build_dir: &Path) -> Option<String> {
    let bytes = files::read_ends(log).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let find = |marks: &[&str]| {
        text.lines()
            .find(|line| !line.starts_with("# command:") && marks.iter().any(|mark| line.contains(mark)))
    };
    // make's words for a program that it starts without a shell.
    let missing = || {
        text.lines().find(|line| line.starts_with("make") && line.ends_with(": No such file or directory"))
    };
    let line = find(&[": error:", ": fatal error:"])
        .or_else(missing)
        .or_else(|| find(&["error: ", "ERROR: ", ": not found", "command not found", "*** ", "Error "]))?;
    let line = line.trim().replace(&format!("{}/", build_dir.display()), "");
    let line: String = line.chars().take(300).collect();
    Some(shown_in_line(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_block_of_known_shape() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("make.log");
        std::fs::write(&path, "shipped with the source\n").unwrap();
        let mut log = StepLog::create(&path).unwrap();
        let status =
            log.run("Title", "false x", Command::new("sh").args(["-c", "echo out; exit 2"])).unwrap();
        assert_eq!(status, Status::Exited(2));
        let text = std::fs::read_to_string(&path).unwrap();
        let expected =
            format!("\nTitle\n# command: false x\nout\n\n# exit code: 2\n# elapsed time: 00:00:00\n{RULE}\n");
        assert_eq!(text, expected);
    }

    #[rstest::rstest]
    #[case(
        "make: gcc-12: No such file or directory\nmake: *** [m.o] Error 127\n",
        "make: gcc-12: No such file or directory"
    )]
    #[case(
        "CC m.o\n/bin/sh: 1: gcc-12: not found\nmake: *** [m.o] Error 127\n",
        "/bin/sh: 1: gcc-12: not found"
    )]
    #[case("bash: line 1: make: command not found\n", "bash: line 1: make: command not found")]
    #[case(
        "make: *** /lib/modules/6.1/build: No such file or directory.  Stop.\n",
        "make: *** /lib/modules/6.1/build: No such file or directory.  Stop."
    )]
    fn missing_program_is_the_first_error(#[case] text: &str, #[case] line: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("make.log");
        std::fs::write(&path, text).unwrap();
        assert_eq!(first_error(&path, Path::new("/t/m/1/build")).as_deref(), Some(line));
    }

    #[test]
    fn first_compiler_error_comes_before_that_of_make() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("make.log");
        std::fs::write(&path, "# command: x error: y\nmake: *** [a]\nb.c:1:2: error: no\n").unwrap();
        assert_eq!(first_error(&path, Path::new("/t/m/1/build")).as_deref(), Some("b.c:1:2: error: no"));
        std::fs::write(&path, "all well\n").unwrap();
        assert_eq!(first_error(&path, Path::new("/t/m/1/build")), None);
    }
}
