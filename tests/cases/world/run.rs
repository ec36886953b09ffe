//! A program that runs, and how it ended.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

/// Longer than anything here takes, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// Held for writing while an executable is written, and shared while a program is started: a child that is born while the file
/// is open for writing has it open until its own execve(2), and a file that is open for writing cannot be executed.
static STARTS: RwLock<()> = RwLock::new(());

/// Starts a program.
pub fn spawn(command: &mut Command) -> Child {
    let _shared = STARTS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// Writes a file that can be executed as soon as this returns.
pub(super) fn write_executable(write: impl FnOnce()) {
    let _alone = STARTS.write().unwrap_or_else(PoisonError::into_inner);
    write();
}

/// A program under way; its output goes to files, so that no pipe fills up.
#[derive(Debug)]
pub struct Running {
    child: Child,
    line: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    pub fn start(mut command: Command, dir: &Path) -> Self {
        let file = |name: &str| tempfile::NamedTempFile::with_prefix_in(name, dir).unwrap().keep().unwrap();
        let ((out, stdout), (err, stderr)) = (file("out."), file("err."));
        let line = format!("{command:?}");
        let child = spawn(command.stdout(Stdio::from(out)).stderr(Stdio::from(err)));
        Self { child, line, stdout, stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it as the kernel would: no chance to clean up.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Ends it as the kernel would, unless it has ended by itself.
    pub fn kill_if_alive(mut self) {
        let _ = self.child.kill();
        let _ = self.wait();
    }

    pub fn wait(mut self) -> Ended {
        let begin = Instant::now();
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap());
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || sender.send(self.child.wait()));
        let Ok(status) = ended.recv_timeout(PATIENCE) else {
            let _ = kill(pid, Signal::SIGKILL);
            panic!("{} does not end\n{}{}", self.line, read(&self.stdout), read(&self.stderr));
        };
        let status = status.unwrap();
        Ended {
            line: self.line,
            code: status.code(),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            took: begin.elapsed(),
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    line: String,
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ended {
    pub fn check(&self, holds: bool, expected: &str) -> &Self {
        assert!(
            holds,
            "{}\nexpected {expected}\nexit status: {:?}\n--- stdout\n{}--- stderr\n{}",
            self.line, self.code, self.stdout, self.stderr
        );
        self
    }

    pub fn exits(&self, code: i32) -> &Self {
        self.check(self.code == Some(code), &format!("exit status {code}"))
    }

    /// Standard output contains this.
    pub fn says(&self, text: &str) -> &Self {
        self.check(self.stdout.contains(text), &format!("{text:?} on stdout"))
    }

    /// Standard error contains this.
    pub fn complains(&self, text: &str) -> &Self {
        self.check(self.stderr.contains(text), &format!("{text:?} on stderr"))
    }

    pub fn is_silent_about(&self, text: &str) -> &Self {
        self.check(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            &format!("no {text:?} anywhere"),
        )
    }

    /// Standard output is exactly these lines.
    pub fn prints(&self, lines: &[&str]) -> &Self {
        let found: Vec<&str> = self.stdout.lines().collect();
        self.check(found == lines, &format!("exactly {lines:#?} on stdout"))
    }
}
