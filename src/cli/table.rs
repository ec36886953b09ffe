//! Aligned columns for people; the last one is cut at the edge of a terminal.

use crate::system::{Colour, Painted, Terminal};

/// One cell, with its colour.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: None }
    }

    pub(crate) fn painted(text: impl Into<String>, colour: Colour) -> Self {
        Self { text: text.into(), colour: Some(colour) }
    }
}

/// The lines of a table, under a heading. Columns are two blanks apart.
#[must_use]
pub(crate) fn lines(heading: &[&str], rows: &[Vec<Cell>], terminal: &Terminal) -> Vec<Painted> {
    let head: Vec<Cell> = heading.iter().map(|text| Cell::painted(*text, Colour::Faint)).collect();
    let all: Vec<&Vec<Cell>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..heading.len()).map(width).collect();
    if let Some(room) = terminal.width {
        narrow(&mut widths, room);
    }
    all.iter().map(|row| line(row, &widths, terminal)).collect()
}

/// What the last column keeps, however long the others are.
const LEAST_LAST: usize = 16;
/// A column that is cut is cut to this at most.
const LEAST: usize = 10;

/// Takes from the widest columns before the last one what they have too much for a line.
fn narrow(widths: &mut [usize], room: usize) {
    let Some((last, others)) = widths.split_last_mut() else { return };
    let kept = LEAST_LAST.min(*last);
    while others.iter().map(|width| width + GAP).sum::<usize>() + kept > room {
        match others.iter_mut().max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => return,
        }
    }
}

/// The blanks between two columns.
const GAP: usize = 2;

fn line(row: &[Cell], widths: &[usize], terminal: &Terminal) -> Painted {
    let (mut line, mut used) = (Painted::default(), 0);
    for (column, cell) in row.iter().enumerate() {
        let is_last = row[column..].iter().skip(1).all(|cell| cell.text.is_empty());
        let blanks = widths[column] + GAP;
        let shown = match is_last {
            true => terminal.fit(&cell.text, used),
            false => cut(&cell.text, widths[column]),
        };
        let padding = blanks.saturating_sub(shown.chars().count());
        line = match cell.colour {
            Some(colour) => line.then(&terminal.paint(colour, &shown)),
            None => line.plain(&shown),
        };
        if is_last {
            break;
        }
        line = line.plain(&" ".repeat(padding));
        used += blanks;
    }
    line
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        let row = |texts: [&str; 2]| texts.map(Cell::plain).to_vec();
        vec![row(["hello/0.1", "installed"]), row(["openrazer-driver/3.5.1", "FAILED: too few arguments"])]
    }

    #[test]
    fn columns_are_aligned() {
        let lines = lines(&["PACKAGE", "STATE"], &rows(), &Terminal::default());
        let expected = [
            "PACKAGE                 STATE",
            "hello/0.1               installed",
            "openrazer-driver/3.5.1  FAILED: too few arguments",
        ];
        assert_eq!(lines.iter().map(Painted::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn last_column_ends_at_the_edge() {
        let terminal = Terminal { width: Some(40), ..Terminal::default() };
        let lines = lines(&["PACKAGE", "STATE"], &rows(), &terminal);
        assert_eq!(lines[2].as_str(), "openrazer-driver/3.5.1  FAILED: too f...");
    }

    #[test]
    fn long_name_leaves_room_for_the_state() {
        let name = "a".repeat(100);
        let mut rows = rows();
        rows.push([name.as_str(), "installed"].map(Cell::plain).to_vec());
        let terminal = Terminal { width: Some(40), ..Terminal::default() };
        let lines = lines(&["PACKAGE", "STATE"], &rows, &terminal);
        assert_eq!(lines[1].as_str(), "hello/0.1               installed");
        assert_eq!(lines[3].as_str(), "aaaaaaaaaaaaaaaaaaa...  installed");
        assert!(lines.iter().all(|line| line.as_str().chars().count() <= 40));
    }
}
