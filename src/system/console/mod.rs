//! The console: what people and callers read on standard output and standard error.
//!
//! Lines go out whole, also from several threads. A stream without a reader is not an error.

mod progress;
mod terminal;

pub(crate) use progress::{Work, clock};
pub(crate) use terminal::{Colour, Painted, Terminal};

use crate::model::text::{shown, without_error_numbers};
use progress::Progress;
use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The console. Shared by all threads of a run.
#[derive(Debug, Default)]
pub(crate) struct Console {
    verbose: AtomicBool,
    /// Whether a package gets one line when it is done, instead of one for each step.
    brief: AtomicBool,
    terminal: Terminal,
    shared: Arc<Shared>,
}

/// What the thread that shows the progress shares with those that work.
#[derive(Debug, Default)]
struct Shared {
    quiet: AtomicBool,
    /// Whether standard output is kept for one document.
    lines_to_stderr: AtomicBool,
    /// A directory that other processes know by another name: what this one calls it, and what they do.
    elsewhere: OnceLock<(PathBuf, PathBuf)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    /// Where a step's title stands at the end, without a line's end.
    open_line: Option<Stream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

impl Console {
    /// A console on which work in progress is shown as the terminal allows.
    #[must_use]
    pub(crate) fn on(terminal: Terminal) -> Self {
        let console = Self { terminal, ..Self::default() };
        console.shared.lock().progress = Progress::on(terminal);
        console
    }

    #[must_use]
    pub(crate) fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// Nothing is printed any more.
    pub(crate) fn be_quiet(&self) {
        self.shared.quiet.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub(crate) fn is_quiet(&self) -> bool {
        self.shared.is_quiet()
    }

    pub(crate) fn set_verbose(&self, on: bool) {
        self.verbose.store(on, Ordering::Relaxed);
    }

    #[must_use]
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose.load(Ordering::Relaxed)
    }

    /// A package gets one line when it is done; with --verbose also its steps.
    pub(crate) fn set_brief(&self, on: bool) {
        self.brief.store(on, Ordering::Relaxed);
    }

    /// Whether what only explains a step is left out.
    #[must_use]
    pub(crate) fn is_brief(&self) -> bool {
        self.brief.load(Ordering::Relaxed) && !self.is_verbose()
    }

    /// From now on lines go to standard error: standard output is for one document.
    pub(crate) fn keep_stdout_for_document(&self) {
        self.shared.lines_to_stderr.store(true, Ordering::Relaxed);
    }

    /// The document, on standard output.
    pub(crate) fn document(&self, text: &str) {
        self.shared.lines_to_stderr.store(false, Ordering::Relaxed);
        self.say(text);
    }

    /// From now on paths below `here` are printed as those below `there`: with mounts of its own this process has another name
    /// for them than its reader.
    pub(crate) fn rename(&self, here: &Path, there: &Path) {
        let _ = self.shared.elsewhere.set((here.to_owned(), there.to_owned()));
    }

    /// A path as other processes know it.
    #[must_use]
    pub(crate) fn renamed(&self, path: &Path) -> PathBuf {
        let below = |(here, there): &(PathBuf, PathBuf)| {
            let rest = path.strip_prefix(here).ok().filter(|_| !path.starts_with(there))?;
            Some(there.join(rest))
        };
        self.shared.elsewhere.get().and_then(below).unwrap_or_else(|| path.to_owned())
    }

    /// A line for standard output.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        self.shared.put(Stream::Out, &format!("{}\n", text.as_ref()));
    }

    /// A line that explains how a package is built; where each package gets one line it is left out.
    pub(crate) fn detail(&self, text: impl AsRef<str>) {
        if !self.is_brief() {
            self.say(text);
        }
    }

    /// A line with colours for standard output.
    pub(crate) fn say_painted(&self, line: &Painted) {
        if !self.shared.is_quiet() {
            let text = format!("{}\n", line.as_str());
            self.shared.write_checked(&mut self.shared.lock(), Stream::Out, &text);
        }
    }

    /// Text for standard output that has line ends of its own.
    pub(crate) fn write(&self, text: &str) {
        if !text.is_empty() {
            self.shared.put(Stream::Out, text);
        }
    }

    /// A line for standard error.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.shared.put(Stream::Err, &format!("{}\n", without_error_numbers(text.as_ref())));
    }

    /// A warning: `Warning: ` and the text, on standard error.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        let text = without_error_numbers(text.as_ref());
        self.shared.put(Stream::Err, &format!("Warning: {text}\n"));
    }

    /// An error: an empty line, then `Error! ` and the text, on standard error. Callers match the prefix.
    pub(crate) fn error(&self, text: impl AsRef<str>) {
        let text = without_error_numbers(text.as_ref());
        self.shared.put(Stream::Err, &format!("\nError! {text}\n"));
    }

    /// Begins a step of work for `owner` (a package and its version).
    pub(crate) fn step<'a>(&'a self, owner: &'a str, title: &'a str) -> ConsoleStep<'a> {
        if self.writes_steps_at_once() {
            self.shared.begin_line(&format!("{title}..."));
        }
        ConsoleStep { console: self, owner, title, ended: false }
    }

    /// Shows, until the value is dropped, that a package is being built.
    pub(crate) fn work(&self, work: Work) -> progress::Shown {
        if !self.terminal.is_live {
            self.say(work.begins());
        }
        progress::show(&self.shared, work)
    }

    /// Keeps a line current on the terminal, in place of what is being built; `None` takes it away.
    pub(crate) fn show_line(&self, line: Option<String>) {
        if !self.shared.is_quiet() {
            self.shared.lock().progress.show_line(line);
        }
    }

    /// Keeps the progress line away while another program writes to the terminal.
    pub(crate) fn lend(&self) -> progress::Lent {
        progress::lend(&self.shared)
    }

    /// Announces how many builds follow, for the progress line.
    pub(crate) fn expect_work(&self, builds: usize) {
        self.shared.lock().progress.expect(builds);
    }

    /// A step's title goes out before its end where nothing else writes meanwhile.
    fn writes_steps_at_once(&self) -> bool {
        !self.brief.load(Ordering::Relaxed) && !self.terminal.is_live
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    fn put(&self, stream: Stream, text: &str) {
        if !self.is_quiet() {
            self.write(&mut self.lock(), stream, text);
        }
    }

    /// A title without a line's end.
    fn begin_line(&self, title: &str) {
        if self.is_quiet() {
            return;
        }
        let mut state = self.lock();
        self.write(&mut state, Stream::Out, title);
        state.open_line = Some(self.actual(Stream::Out));
    }

    /// What follows a title: on its line if that is still the last one.
    fn end_line(&self, title: &str, end: &str) {
        if self.is_quiet() {
            return;
        }
        let mut state = self.lock();
        let title = if state.open_line.take().is_some() { "" } else { title };
        self.write(&mut state, Stream::Out, &format!("{title}{end}\n"));
    }

    fn write(&self, state: &mut State, stream: Stream, text: &str) {
        self.write_checked(state, stream, &shown(text));
    }

    /// Writes what holds no control characters but ours.
    fn write_checked(&self, state: &mut State, stream: Stream, text: &str) {
        let open = state.open_line.take();
        state.progress.suspend(|| {
            if let Some(stream) = open {
                write_to(stream, "\n");
            }
            write_to(self.actual(stream), &self.renamed(text));
        });
    }

    fn renamed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.elsewhere.get() {
            Some((here, there)) => {
                let (here, there) = (here.display().to_string(), there.display().to_string());
                // What has the other name already keeps it.
                let parts: Vec<String> =
                    text.split(&there).map(|part| with_name(part, &here, &there)).collect();
                parts.join(&there).into()
            }
            None => text.into(),
        }
    }

    /// Where lines of a stream go now.
    fn actual(&self, stream: Stream) -> Stream {
        if self.lines_to_stderr.load(Ordering::Relaxed) { Stream::Err } else { stream }
    }
}

/// The text with `there` in the place of `here`, where that is the whole name of a file or directory, or its beginning.
fn with_name(text: &str, here: &str, there: &str) -> String {
    let mut parts = text.split(here);
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut next = part.chars();
        let goes_on = match next.next() {
            // A dot ends a sentence, or belongs to the name.
            Some('.') => next.next().is_some_and(char::is_alphanumeric),
            first => first.is_some_and(|c| c.is_alphanumeric() || "-_".contains(c)),
        };
        renamed.push_str(if goes_on { here } else { there });
        renamed.push_str(part);
    }
    renamed
}

/// Writes, and forgets it where no one reads.
fn write_to(stream: Stream, text: &str) {
    let _ = match stream {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        Stream::Err => std::io::stderr().lock().write_all(text.as_bytes()),
    };
}

/// A step under way: a title, three dots, then ` done.` or the status in parentheses.
#[derive(Debug)]
#[must_use]
pub(crate) struct ConsoleStep<'a> {
    console: &'a Console,
    owner: &'a str,
    title: &'a str,
    ended: bool,
}

impl ConsoleStep<'_> {
    pub(crate) fn done(self) {
        self.end(" done.");
    }

    pub(crate) fn failed(self, how: impl std::fmt::Display) {
        self.end(&format!("({how})"));
    }

    fn end(mut self, how: &str) {
        self.ended = true;
        let title = self.title;
        if self.console.is_brief() {
            return;
        }
        match self.console.brief.load(Ordering::Relaxed) {
            true => self.console.say(format!("{}: {title}...{how}", self.owner)),
            false => self.console.shared.end_line(&format!("{title}..."), how),
        }
    }
}

impl Drop for ConsoleStep<'_> {
    fn drop(&mut self) {
        if !self.ended && self.console.writes_steps_at_once() {
            self.console.shared.end_line(self.title, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("log: /t/m/1/make.log", "log: /t/.p/m/1/make.log")]
    #[case("to finish with /t...", "to finish with /t/.p...")]
    #[case("/t/.p/m and /t/m", "/t/.p/m and /t/.p/m")]
    #[case("/tmp and /t-x and /t.old", "/tmp and /t-x and /t.old")]
    fn directory_is_printed_by_its_other_name(#[case] text: &str, #[case] expected: &str) {
        let console = Console::default();
        console.rename(Path::new("/t"), Path::new("/t/.p"));
        assert_eq!(console.shared.renamed(text), expected);
        assert_eq!(console.renamed(Path::new("/t/a")), Path::new("/t/.p/a"));
        assert_eq!(console.renamed(Path::new("/t/.p/a")), Path::new("/t/.p/a"));
    }
}
