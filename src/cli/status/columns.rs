//! `status` on a terminal: aligned columns, with failures, staleness and their reasons. A pipe gets the lines of `text`.

use super::filter::Patterns;
use super::items::{Failure, Item, Row, View};
use crate::cli::table::{self, Cell};
use crate::inspect::inputs::staleness;
use crate::model::text::in_brief;
use crate::model::{Arch, BuildState, PackageId, Target};
use crate::system::{Colour, Painted};
use crate::tree::FailureRecord;
use std::time::SystemTime;

/// The items of every filter, and the failures that they let pass.
pub(crate) struct Table<'a> {
    view: &'a View<'a>,
    rows: Vec<(PackageId, Option<Target>, Cell)>,
}

impl<'a> Table<'a> {
    #[must_use]
    pub(crate) fn new(view: &'a View<'a>) -> Self {
        Self { view, rows: Vec::new() }
    }

    /// Adds the rows of one package.
    pub(crate) fn add(&mut self, id: &PackageId, items: &[Item], filter: &Patterns) {
        let failures = self.view.failures(id);
        let failures: Vec<_> =
            failures.into_iter().filter(|(target, ..)| filter.wants_target(target)).collect();
        for item in items {
            // That it is only registered is no news where a build has failed.
            if matches!(item, Item::Added { .. }) && !failures.is_empty() {
                continue;
            }
            let state = self.state(item, &failures);
            self.push(id, item.target(), state);
        }
        let has_row = |target: &Target| items.iter().any(|item| item.target() == Some(target));
        for (target, record, written) in &failures {
            if !has_row(target) {
                self.push(id, Some(target), failed(record, *written));
            }
        }
    }

    fn push(&mut self, id: &PackageId, target: Option<&Target>, state: Cell) {
        self.rows.push((id.clone(), target.cloned(), state));
    }

    fn state(&self, item: &Item, failures: &[Failure]) -> Cell {
        match item {
            Item::Broken { source, .. } => {
                Cell::painted(format!("broken: {} leads to no directory", source.display()), Colour::Bad)
            }
            Item::Added { .. } => match self.view.session.disabled().of(item.package()).next() {
                Some(why) => Cell::painted(format!("added, {}", why.briefly()), Colour::Warning),
                None => Cell::plain("added"),
            },
            Item::Weak { from, .. } => Cell::painted(format!("installed-weak from {from}"), Colour::Good),
            Item::Build(row) => self.build(row, failures),
        }
    }

    fn build(&self, row: &Row, failures: &[Failure]) -> Cell {
        let stale = self.view.tree.built(&row.id).and_then(|built| staleness(self.view.session, &built));
        let mut text = row.state.to_string();
        if row.originals {
            text += " (original modules exist)";
        }
        if let Some(flaw) = &row.flaw {
            return Cell::painted(format!("{text}: {flaw}"), Colour::Bad);
        }
        let mut rules = self.view.session.disabled().of(&row.id.package);
        if let Some(why) = rules.find(|rule| rule.is_for(&row.id.target.release)) {
            return Cell::painted(format!("{text}, {}", why.briefly()), Colour::Warning);
        }
        if let Some((_, record, written)) = failures.iter().find(|(target, ..)| *target == row.id.target) {
            let text =
                format!("{text}; a newer build failed {}: {}", when(*written), in_brief(&record.reason));
            return Cell::painted(text, Colour::Bad);
        }
        if let Some(why) = stale {
            return Cell::painted(format!("{text}, stale: {why}"), Colour::Warning);
        }
        match row.state {
            BuildState::Installed => Cell::painted(text, Colour::Good),
            BuildState::Built => Cell::plain(text),
        }
    }

    /// The lines, with a heading. Rows name the architecture where some are for another one than the machine's.
    #[must_use]
    pub(crate) fn lines(&self, machine: Option<&Arch>) -> Vec<Painted> {
        let differs = |target: &Target| machine != Some(&target.arch);
        let has_arch = self.rows.iter().any(|(_, target, _)| target.as_ref().is_some_and(differs));
        let heading: &[&str] = match has_arch {
            true => &["PACKAGE", "KERNEL", "ARCH", "STATE"],
            false => &["PACKAGE", "KERNEL", "STATE"],
        };
        let cells = |(id, target, state): &(PackageId, Option<Target>, Cell)| {
            let text =
                |part: fn(&Target) -> String| Cell::plain(target.as_ref().map(part).unwrap_or_default());
            let arch = has_arch.then(|| text(|target| target.arch.to_string()));
            let first = [Cell::plain(id.to_string()), text(|target| target.release.to_string())];
            first.into_iter().chain(arch).chain([state.clone()]).collect()
        };
        let rows: Vec<Vec<Cell>> = self.rows.iter().map(cells).collect();
        table::lines(heading, &rows, &self.view.session.system.console.terminal())
    }
}

fn failed(record: &FailureRecord, written: Option<SystemTime>) -> Cell {
    Cell::painted(format!("FAILED {}: {}", when(written), in_brief(&record.reason)), Colour::Bad)
}

/// The time of a failure of today, the day of an older one.
fn when(time: Option<SystemTime>) -> String {
    let zone = jiff::tz::TimeZone::system();
    let time = time.and_then(|time| jiff::Timestamp::try_from(time).ok()).unwrap_or_default();
    let time = time.to_zoned(zone);
    let is_today = time.date() == jiff::Zoned::now().date();
    time.strftime(if is_today { "%H:%M" } else { "%Y-%m-%d" }).to_string()
}
