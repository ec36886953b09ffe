//! The console: what people and callers read on standard output and standard error.
//!
//! Lines go out whole, also from several threads. A stream without a reader is not an error.

use crate::model::text::shown;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The console. Shared by all threads of a run.
#[derive(Debug, Default)]
pub(crate) struct Console {
    quiet: AtomicBool,
    /// Whether several packages are worked on at once, so that lines must say whose they are.
    parallel: AtomicBool,
    verbose: AtomicBool,
    whole_lines: Mutex<()>,
}

impl Console {
    /// Nothing is printed any more.
    pub(crate) fn be_quiet(&self) {
        self.quiet.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    pub(crate) fn set_verbose(&self, on: bool) {
        self.verbose.store(on, Ordering::Relaxed);
    }

    #[must_use]
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose.load(Ordering::Relaxed)
    }

    /// Steps are printed as one line when they end, with the package they belong to.
    pub(crate) fn set_parallel(&self, on: bool) {
        self.parallel.store(on, Ordering::Relaxed);
    }

    /// A line for standard output.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        self.put(true, &format!("{}\n", text.as_ref()));
    }

    /// A line for standard error.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.put(false, &format!("{}\n", text.as_ref()));
    }

    /// A warning: `Warning: ` and the text, on standard error.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.put(false, &format!("Warning: {}\n", text.as_ref()));
    }

    /// An error: an empty line, then `Error! ` and the text, on standard error. Callers match the prefix.
    pub(crate) fn error(&self, text: impl AsRef<str>) {
        self.put(false, &format!("\nError! {}\n", text.as_ref()));
    }

    /// Begins a step of work for `owner` (a package and its version).
    pub(crate) fn step<'a>(&'a self, owner: &'a str, title: &'a str) -> ConsoleStep<'a> {
        if !self.parallel.load(Ordering::Relaxed) {
            self.put(true, &format!("{title}..."));
        }
        ConsoleStep { console: self, owner, title, ended: false }
    }

    fn put(&self, stdout: bool, text: &str) {
        if self.quiet.load(Ordering::Relaxed) {
            return;
        }
        let text = shown(text);
        let _whole = self.whole_lines.lock();
        let _ = if stdout {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        } else {
            std::io::stderr().lock().write_all(text.as_bytes())
        };
    }
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
        if self.console.parallel.load(Ordering::Relaxed) {
            self.console.say(format!("{}: {}...{how}", self.owner, self.title));
        } else {
            self.console.say(how);
        }
    }
}

impl Drop for ConsoleStep<'_> {
    fn drop(&mut self) {
        if !self.ended && !self.console.parallel.load(Ordering::Relaxed) {
            self.console.say("");
        }
    }
}
