//! The only module that starts programs.
//!
//! A [`Command`] is data: who runs, with which streams, mounts and environment. Programs never read our standard
//! input, and never outlive the call.

use crate::model::text::shown_in_line;
use crate::system::dir;
use crate::system::pidfd::EndOf;
use crate::system::sandbox::{Bind, Sandbox, Walls, enter};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a program reads.
#[derive(Debug, Default)]
pub(crate) enum Input {
    #[default]
    Null,
    Bytes(Vec<u8>),
}

/// Where a program's output goes.
#[derive(Debug, Default)]
pub(crate) enum Output {
    #[default]
    Null,
    /// Our own stream of the same number.
    Inherit,
    /// Into the [`Outcome`].
    Capture,
    /// To an open file, such as a log.
    File(std::fs::File),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Exited(i32),
    Signalled(i32),
    /// The time limit passed; the program and its group were killed.
    TimedOut,
}

impl Status {
    #[must_use]
    pub(crate) fn success(self) -> bool {
        self == Self::Exited(0)
    }

    /// The status as a shell would give it: 128 and the signal's number for a killed program, 124 for one out of time.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Exited(code) => u8::try_from(code).unwrap_or(1),
            Self::Signalled(signal) => 128 + u8::try_from(signal).unwrap_or(127),
            Self::TimedOut => 124,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Signalled(signal) => match Signal::try_from(*signal) {
                Ok(name) => write!(f, "killed by {name}"),
                Err(_) => write!(f, "killed by signal {signal}"),
            },
            Self::TimedOut => f.write_str("out of time"),
        }
    }
}

/// What a finished program left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub status: Status,
    /// Processor time of the program and of all that it waited for; zero where its time is limited.
    pub cpu: Duration,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// The last lines of standard error in one line, for a message.
    #[must_use]
    pub(crate) fn stderr_tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        shown_in_line(&lines[lines.len().saturating_sub(3)..].join("; ")).into_owned()
    }
}

/// A program to run.
#[derive(Debug)]
pub(crate) struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, Option<OsString>>,
    clear_env: bool,
    dir: Option<PathBuf>,
    stdin: Input,
    stdout: Output,
    stderr: Output,
    binds: Vec<Bind>,
    sandbox: Option<Sandbox>,
    timeout: Option<Duration>,
    jobserver: Option<jobserver::Client>,
}

impl Command {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            clear_env: false,
            dir: None,
            stdin: Input::Null,
            stdout: Output::Null,
            stderr: Output::Null,
            binds: Vec::new(),
            sandbox: None,
            timeout: None,
            jobserver: None,
        }
    }

    #[must_use]
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Starts from nothing instead of our own environment.
    #[must_use]
    pub(crate) fn env_clear(mut self) -> Self {
        self.clear_env = true;
        self
    }

    /// The working directory, as the program sees it behind its binds.
    #[must_use]
    pub(crate) fn dir(self, dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        // As a shell's `cd` leaves it, so that a program's `pwd` says the name that it was started under.
        let me = self.env("PWD", &dir);
        Self { dir: Some(dir), ..me }
    }

    #[must_use]
    pub(crate) fn stdin(mut self, input: Input) -> Self {
        self.stdin = input;
        self
    }

    #[must_use]
    pub(crate) fn stdout(mut self, output: Output) -> Self {
        self.stdout = output;
        self
    }

    #[must_use]
    pub(crate) fn stderr(mut self, output: Output) -> Self {
        self.stderr = output;
        self
    }

    /// Both output streams into one file.
    pub(crate) fn log_to(self, file: &std::fs::File) -> io::Result<Self> {
        let (out, err) = (file.try_clone()?, file.try_clone()?);
        Ok(self.stdout(Output::File(out)).stderr(Output::File(err)))
    }

    /// Runs the program in a mount namespace of its own with these binds.
    #[must_use]
    pub(crate) fn binds(mut self, binds: &[Bind]) -> Self {
        self.binds = binds.to_vec();
        self
    }

    /// Runs the program behind these walls.
    #[must_use]
    pub(crate) fn confined(mut self, sandbox: &Sandbox) -> Self {
        for (name, value) in sandbox.variables() {
            self = match value {
                Some(value) => self.env(name, value),
                None => self.env_remove(name),
            };
        }
        self.sandbox = Some(sandbox.clone());
        self
    }

    #[must_use]
    pub(crate) fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Lets every make below share the tokens of this jobserver.
    #[must_use]
    pub(crate) fn jobserver(mut self, client: &jobserver::Client) -> Self {
        self.jobserver = Some(client.clone());
        self
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// Only when it could not be started or waited for; how it ended is in the outcome.
    pub(crate) fn run(mut self) -> io::Result<Outcome> {
        let name = self.program.clone();
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", Path::new(&name).display()));
        let input = std::mem::take(&mut self.stdin);
        let timeout = self.timeout;
        let mark = timeout.map(|_| mark());
        if let Some(mark) = &mark {
            self.env.insert(MARK.into(), Some(mark.into()));
        }
        // Pipes are fed and drained by threads: a program that fills one while we write the other would block both.
        let mut child = self.prepare(&input)?.spawn().map_err(named)?;
        let feeder = match (input, child.stdin.take()) {
            (Input::Bytes(bytes), Some(mut pipe)) => Some(std::thread::spawn(move || {
                // A program that does not read all of its input is not an error of ours.
                let _ = pipe.write_all(&bytes);
            })),
            _ => None,
        };
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        let (status, cpu) = wait(&mut child, timeout)?;
        if let Some(mark) = mark.filter(|_| status == Status::TimedOut) {
            kill_marked(&mark);
        }
        if let Some(feeder) = feeder.filter(|_| status != Status::TimedOut) {
            let _ = feeder.join();
        }
        Ok(Outcome { status, cpu, stdout: collect(stdout), stderr: collect(stderr) })
    }

    /// Starts the program, and lets it run until what is returned is dropped: it reads a pipe that ends then, also if this
    /// process is killed.
    ///
    /// # Errors
    /// It could not be started.
    pub(crate) fn hold(self) -> io::Result<Held> {
        // In a process group of its own, as those whose time is limited.
        let command = self.timeout(PATIENCE);
        let child = command.prepare(&Input::Bytes(Vec::new()))?.spawn()?;
        Ok(Held { child })
    }

    fn prepare(self, input: &Input) -> io::Result<std::process::Command> {
        #[allow(clippy::disallowed_methods)]
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args);
        if self.clear_env {
            command.env_clear();
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(match input {
            Input::Null => Stdio::null(),
            Input::Bytes(_) => Stdio::piped(),
        });
        command.stdout(stdio(self.stdout)).stderr(stdio(self.stderr));
        if self.timeout.is_some() {
            command.process_group(0);
        }
        if let Some(sandbox) = &self.sandbox {
            enter(&mut command, sandbox, self.dir.as_deref())?;
        } else if self.binds.is_empty() {
            if let Some(dir) = &self.dir {
                command.current_dir(dir);
            }
        } else {
            enter_namespace(&mut command, &self.binds, self.dir.as_deref())?;
        }
        // After the sandbox, which leaves no other file of ours open.
        if let Some(client) = &self.jobserver {
            client.configure_make(&mut command);
        }
        Ok(command)
    }
}

/// How long a held program has to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A program that runs until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Held {
    child: Child,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // One that hangs, as on a bus that does not answer, is killed.
        let _ = wait(&mut self.child, Some(PATIENCE));
    }
}

fn stdio(output: Output) -> Stdio {
    match output {
        Output::Null => Stdio::null(),
        Output::Inherit => Stdio::inherit(),
        Output::Capture => Stdio::piped(),
        Output::File(file) => file.into(),
    }
}

/// More than any program says that is listened to. The rest is read, so that the program does not wait, and forgotten.
const MOST_CAPTURED: usize = 64 << 20;
/// How long a pipe may stay open after the program has ended: something that it left behind holds it.
const LINGER: Duration = Duration::from_secs(2);

/// What a pipe has brought so far, and whether it is closed.
type Drain = Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>;

fn drain(mut pipe: impl Read + Send + 'static) -> Drain {
    let drain: Drain = Arc::default();
    let theirs = Arc::clone(&drain);
    std::thread::spawn(move || {
        let (held, closed) = &*theirs;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match pipe.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            if read == 0 {
                held.1 = true;
                closed.notify_all();
                return;
            }
            let room = MOST_CAPTURED - held.0.len();
            held.0.extend_from_slice(&buffer[..read.min(room)]);
        }
    });
    drain
}

fn collect(pipe: Option<Drain>) -> Vec<u8> {
    let Some(pipe) = pipe else { return Vec::new() };
    let (held, closed) = &*pipe;
    let held = held.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = closed.wait_timeout_while(held, LINGER, |held| !held.1);
    std::mem::take(&mut waited.unwrap_or_else(PoisonError::into_inner).0.0)
}

/// The variable by which the programs of a command are known that have left its process group.
const MARK: &str = "DKMS_RUN";

fn mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Kills every process with the mark in its environment (proc(5), /proc/pid/environ), until there is none: while one is
/// looked for, another may be started.
fn kill_marked(mark: &str) {
    const ROUNDS: usize = 20;
    let wanted = format!("{MARK}={mark}").into_bytes();
    let has_mark = |pid: &i32| {
        let environ = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == wanted)
    };
    for _ in 0..ROUNDS {
        let entries = dir::entries("/proc").into_iter();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let found: Vec<i32> = pids.filter(has_mark).collect();
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// How it ended, and what it cost.
fn wait(child: &mut Child, timeout: Option<Duration>) -> io::Result<(Status, Duration)> {
    let Some(limit) = timeout else {
        let cpu = cpu_at_the_end(child);
        return child.wait().map(|status| (status_of(status), cpu));
    };
    let end = Instant::now() + limit;
    let ended = EndOf::open(child.id());
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status_of(status), Duration::ZERO));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            kill_group(child);
            child.wait()?;
            return Ok((Status::TimedOut, Duration::ZERO));
        }
        match &ended {
            Some(ended) => ended.wait(left),
            None => std::thread::sleep(pause.min(left)),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Waits until the program has ended, and reads its processor time before it is reaped (proc(5), /proc/pid/stat); zero where that
/// is not to be had.
fn cpu_at_the_end(child: &Child) -> Duration {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    /// utime, stime, cutime and cstime, counted from the field behind the name.
    const TIMES: std::ops::Range<usize> = 11..15;
    let Ok(pid) = i32::try_from(child.id()) else { return Duration::ZERO };
    while waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        == Err(Errno::EINTR)
    {}
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(") ") else { return Duration::ZERO };
    let fields: Vec<&str> = fields.split(' ').collect();
    let times = fields.get(TIMES).unwrap_or_default();
    let ticks: u64 = times.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    let per_second = per_second.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0);
    Duration::from_millis(ticks * 1000 / per_second.unwrap_or(100))
}

/// The program was started as the leader of a group of its own, so its children go with it.
fn kill_group(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn status_of(status: std::process::ExitStatus) -> Status {
    match (status.code(), status.signal()) {
        (Some(code), _) => Status::Exited(code),
        (None, signal) => Status::Signalled(signal.unwrap_or(0)),
    }
}

/// Puts the child into a mount namespace of its own, where `binds` are mounted, and then into `dir`.
#[allow(unsafe_code)]
fn enter_namespace(
    command: &mut std::process::Command,
    binds: &[Bind],
    dir: Option<&Path>,
) -> io::Result<()> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let path = |p: &Path| CString::new(p.as_os_str().as_bytes()).map_err(io::Error::from);
    let binds: Vec<(CString, CString)> =
        binds.iter().map(|bind| Ok((path(&bind.from)?, path(&bind.onto)?))).collect::<io::Result<_>>()?;
    let dir = dir.map(path).transpose()?;
    let none: Option<&'static str> = None;
    // SAFETY: between fork and exec the closure makes only system calls, on strings that were allocated before.
    unsafe {
        command.pre_exec(move || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(none, c"/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            for (from, onto) in &binds {
                mount(Some(from.as_c_str()), onto.as_c_str(), none, MsFlags::MS_BIND, none)?;
            }
            if let Some(dir) = &dir {
                nix::unistd::chdir(dir.as_c_str())?;
            }
            Ok(())
        });
    }
    Ok(())
}

/// Whether programs may have mount namespaces here: tried once, with a child that does nothing.
#[must_use]
pub(crate) fn namespaces_allowed() -> bool {
    use std::sync::OnceLock;
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    *ALLOWED.get_or_init(|| {
        let bind = Bind::in_place(PathBuf::from("/"));
        Command::new("true").binds(&[bind]).run().is_ok_and(|outcome| outcome.status.success())
    })
}

/// The walls that may stand around programs here: tried once.
#[must_use]
pub(crate) fn walls() -> &'static Walls {
    use std::sync::OnceLock;
    static WALLS: OnceLock<Walls> = OnceLock::new();
    WALLS.get_or_init(|| Walls::find(hold))
}

/// Whether a child comes through these walls to the point where it would start its program, which does not exist.
pub(crate) fn hold(walls: &Walls) -> bool {
    let started = Command::new("/.dkms/none").confined(&Sandbox::new(walls.clone())).run();
    started.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_are_captured() {
        let outcome = Command::new("sh")
            .args(["-c", "cat; echo err >&2; exit 3"])
            .stdin(Input::Bytes(b"in".to_vec()))
            .stdout(Output::Capture)
            .stderr(Output::Capture)
            .run()
            .unwrap();
        assert_eq!(outcome.status, Status::Exited(3));
        assert_eq!(outcome.stdout, b"in");
        assert_eq!(outcome.stderr_tail(), "err");
    }

    #[test]
    fn program_out_of_time_dies_with_its_children() {
        let outcome = Command::new("sh")
            .args(["-c", "sleep 60 & sleep 60"])
            .stdout(Output::Capture)
            .timeout(Duration::from_millis(50))
            .run()
            .unwrap();
        assert_eq!(outcome.status, Status::TimedOut);
    }

    #[test]
    fn program_out_of_time_dies_with_detached_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 60' & sleep 60", file.display());
        let command = Command::new("sh").args(["-c", &script]).stdout(Output::Capture);
        let outcome = command.timeout(Duration::from_millis(500)).run().unwrap();
        assert_eq!(outcome.status, Status::TimedOut);
        let pid = std::fs::read_to_string(&file).unwrap();
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        for _ in 0..100 {
            if is_gone() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("process {pid} lives");
    }

    #[test]
    fn pipe_held_by_a_daemon_is_abandoned() {
        let begin = Instant::now();
        let command = Command::new("sh").args(["-c", "echo said; sleep 30 & exit 0"]);
        let outcome = command.stdout(Output::Capture).run().unwrap();
        assert_eq!(outcome.stdout, b"said\n");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Command::new("/no/such/program").run().unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }

    #[test]
    fn bound_directory_is_seen_by_the_program_only() {
        if !namespaces_allowed() {
            return;
        }
        let (from, onto) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bind = Bind { from: from.path().to_owned(), onto: onto.path().to_owned() };
        let outcome = Command::new("touch").arg("seen").dir(onto.path()).binds(&[bind]).run().unwrap();
        assert!(outcome.status.success());
        assert!(from.path().join("seen").exists());
        assert!(!onto.path().join("seen").exists());
    }
}
