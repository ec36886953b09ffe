//! Work that takes long: one line that is kept current on a terminal, and a line from time to time elsewhere.

use super::{Shared, Stream, Terminal};
use crate::model::text::shown_in_line;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// On a narrower terminal the packages need the room more than the kernel does.
const WIDE: usize = 60;

/// One build, as it is shown while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The package and its version.
    pub owner: String,
    pub kernel: String,
    /// Where its log can be read meanwhile.
    pub log: PathBuf,
    /// How long it took the last time, for whatever kernel.
    pub last: Option<Duration>,
}

impl Work {
    /// The line for its beginning.
    pub(super) fn begins(&self) -> String {
        format!("Building {} for {}; log: {}", self.owner, self.kernel, self.log.display())
    }

    /// The line that says that it still runs.
    fn goes_on(&self, elapsed: Duration) -> String {
        let last = self.last.map(|last| format!(" (last time {})", clock(last))).unwrap_or_default();
        format!("{}: still building after {}{last}; log: {}", self.owner, clock(elapsed), self.log.display())
    }

    /// `openafs/1.8.9 2m14s of ~3m50s`
    fn in_short(&self, elapsed: Duration) -> String {
        let estimate = self.last.filter(|last| *last > elapsed && last.as_secs() > 0);
        let estimate = estimate.map(|last| format!(" of ~{}", clock(last))).unwrap_or_default();
        format!("{} {}{estimate}", self.owner, clock(elapsed))
    }
}

/// Minutes and seconds: `8s`, `2m14s`, `1h02m`.
#[must_use]
pub(crate) fn clock(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// What runs, and the line that shows it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    terminal: Terminal,
    bar: Option<ProgressBar>,
    running: Vec<Running>,
    expected: usize,
    done: usize,
    /// What is shown while this run builds nothing itself.
    other: Option<String>,
    /// How many programs have the terminal for themselves.
    lent: usize,
    /// Whether the thread that keeps the line current exists.
    is_watched: bool,
}

#[derive(Debug)]
struct Running {
    number: u64,
    work: Work,
    since: Instant,
    /// How many lines have said that it still runs.
    lines: u64,
}

impl Progress {
    pub(super) fn on(terminal: Terminal) -> Self {
        Self { terminal, ..Self::default() }
    }

    pub(super) fn expect(&mut self, builds: usize) {
        (self.expected, self.done) = (builds, 0);
    }

    /// Runs what writes to the terminal while the line is away.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn begin(&mut self, number: u64, work: Work) {
        self.running.push(Running { number, work, since: Instant::now(), lines: 0 });
        self.draw();
    }

    fn end(&mut self, number: u64) {
        self.running.retain(|running| running.number != number);
        self.done += 1;
        self.draw();
    }

    pub(super) fn show_line(&mut self, line: Option<String>) {
        self.other = line;
        self.draw();
    }

    /// Brings the terminal's line up to date.
    fn draw(&mut self) {
        if !self.terminal.is_live {
            return;
        }
        let is_idle = self.running.is_empty() && self.other.is_none();
        if is_idle || self.lent > 0 {
            self.bar.take().inspect(ProgressBar::finish_and_clear);
            return;
        }
        let line = match &self.other {
            Some(line) if self.running.is_empty() => shown_in_line(line).into_owned(),
            _ => self.line(Instant::now()),
        };
        let bar = self.bar.get_or_insert_with(|| {
            // A line that cannot be styled is shown as it comes.
            let style = ProgressStyle::with_template("{wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar
        });
        bar.set_message(line);
        bar.tick();
    }

    fn line(&self, now: Instant) -> String {
        let mut line = String::from("Building ");
        if self.expected > 1 {
            let is_wide = self.terminal.width.is_none_or(|width| width >= WIDE);
            let kernel = self.running.first().filter(|_| is_wide);
            let kernel = kernel.map(|running| format!(" for {}", running.work.kernel)).unwrap_or_default();
            let _ = write!(line, "{} packages{kernel}  [{}/{}]  ", self.expected, self.done, self.expected);
        }
        let shown = |running: &Running| running.work.in_short(now.saturating_duration_since(running.since));
        let running: Vec<String> = self.running.iter().map(shown).collect();
        if let [only] = self.running.as_slice() {
            let shown = line.clone() + &shown_in_line(&running.concat());
            let with_log = format!("{shown}  log: {}", shown_in_line(&only.work.log.display().to_string()));
            // A path that is cut leads nowhere.
            let fits = self.terminal.width.is_none_or(|width| with_log.chars().count() < width);
            return if fits { with_log } else { shown };
        }
        line + &shown_in_line(&running.join(" | "))
    }

    /// The lines to print now, where no line can be kept current.
    fn lines(&mut self, now: Instant) -> Vec<String> {
        if self.terminal.is_live {
            return Vec::new();
        }
        let interval = self.terminal.seconds_between_lines;
        let mut lines = Vec::new();
        for running in &mut self.running {
            let elapsed = now.saturating_duration_since(running.since);
            if elapsed.as_secs() / interval > running.lines {
                running.lines = elapsed.as_secs() / interval;
                lines.push(running.work.goes_on(elapsed));
            }
        }
        lines
    }
}

/// The work is shown as running until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Shown {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.shared.lock().progress.end(self.number);
    }
}

/// The terminal belongs to another program until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lent {
    shared: Arc<Shared>,
}

pub(super) fn lend(shared: &Arc<Shared>) -> Lent {
    let mut state = shared.lock();
    state.progress.lent += 1;
    state.progress.draw();
    Lent { shared: Arc::clone(shared) }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shared.lock().progress.lent -= 1;
    }
}

pub(super) fn show(shared: &Arc<Shared>, work: Work) -> Shown {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let shown = Shown { shared: Arc::clone(shared), number };
    if shared.is_quiet() {
        return shown;
    }
    let mut state = shared.lock();
    state.progress.begin(number, work);
    if !std::mem::replace(&mut state.progress.is_watched, true) {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || watch(&shared));
    }
    shown
}

/// Keeps what is shown current as long as something runs.
fn watch(shared: &Shared) {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let mut state = shared.lock();
        if state.progress.running.is_empty() {
            state.progress.is_watched = false;
            return;
        }
        state.progress.draw();
        for line in state.progress.lines(Instant::now()) {
            shared.write(&mut state, Stream::Out, &format!("{line}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn work(owner: &str, last: Option<u64>) -> Work {
        let (owner, kernel) = (owner.to_owned(), "6.1.0-56-amd64".to_owned());
        Work { owner, kernel, log: "/t/build/make.log".into(), last: last.map(Duration::from_secs) }
    }

    #[rstest]
    #[case(0, "0s")]
    #[case(59, "59s")]
    #[case(134, "2m14s")]
    #[case(3720, "1h02m")]
    fn durations_are_short(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(clock(Duration::from_secs(seconds)), text);
    }

    #[test]
    fn line_names_what_runs_and_how_long() {
        let mut progress = Progress::default();
        progress.expect(9);
        progress.begin(1, work("openafs/1.8.9", Some(230)));
        progress.begin(2, work("evdi/1.12", None));
        progress.done = 6;
        let now = progress.running[0].since + Duration::from_secs(134);
        progress.running[1].since = now - Duration::from_secs(3);
        let line = progress.line(now);
        let expected =
            "Building 9 packages for 6.1.0-56-amd64  [6/9]  openafs/1.8.9 2m14s of ~3m50s | evdi/1.12 3s";
        assert_eq!(line, expected);
    }

    #[test]
    fn narrow_terminal_has_room_for_the_packages() {
        let mut progress = Progress::on(Terminal { width: Some(40), ..Terminal::default() });
        progress.expect(2);
        progress.begin(1, work("evdi/1.12", None));
        progress.begin(2, work("a/1", None));
        let line = progress.line(progress.running[0].since);
        assert_eq!(line, "Building 2 packages  [0/2]  evdi/1.12 0s | a/1 0s");
    }

    #[test]
    fn line_of_one_build_ends_with_its_log() {
        let mut progress = Progress::default();
        progress.begin(1, work("evdi/1.12", None));
        let line = progress.line(progress.running[0].since);
        assert_eq!(line, "Building evdi/1.12 0s  log: /t/build/make.log");
    }

    #[test]
    fn log_gets_a_line_a_minute() {
        let mut progress = Progress::default();
        progress.begin(1, work("openafs/1.8.9", Some(230)));
        let since = progress.running[0].since;
        assert!(progress.lines(since + Duration::from_secs(59)).is_empty());
        let line = "openafs/1.8.9: still building after 1m01s (last time 3m50s); log: /t/build/make.log";
        assert_eq!(progress.lines(since + Duration::from_secs(61)), [line]);
        assert!(progress.lines(since + Duration::from_secs(62)).is_empty());
        assert_eq!(progress.lines(since + Duration::from_secs(121)).len(), 1);
    }
}
