//! The lines of `status`, to the byte: as dkms 3 prints them, and as dkms 2 did.

use super::items::{Item, Row, RowFlaw};

/// The words behind the state of a build.
struct Suffixes {
    originals: &'static str,
    incomplete: &'static str,
    differs: &'static str,
}

const SUFFIXES: Suffixes = Suffixes {
    originals: " (Original modules exist)",
    incomplete: " (Built modules are missing in the kernel modules folder)",
    differs: " (Differences between built and installed modules)",
};

const LEGACY: Suffixes = Suffixes {
    originals: " (original_module exists)",
    incomplete: " (WARNING! Missing some built modules!)",
    differs: " (WARNING! Diff between built and installed module!)",
};

/// An item as dkms 3 prints it.
pub(crate) fn line(item: &Item) -> String {
    match item {
        Item::Broken { id, .. } => format!("{id}: broken"),
        Item::Added { id, .. } => format!("{id}: added"),
        Item::Build(row) => format!("{}, {}", row.id.package, state(row, &SUFFIXES)),
        Item::Weak { .. } => weak_line(item),
    }
}

/// An item as dkms 2 printed it: a comma between the package and its version.
pub(crate) fn legacy_line(item: &Item) -> String {
    match item {
        Item::Broken { id, .. } => format!("{}, {}: broken", id.name, id.version),
        Item::Added { id, .. } => format!("{}, {}: added", id.name, id.version),
        Item::Build(row) => {
            let package = &row.id.package;
            format!("{}, {}, {}", package.name, package.version, state(row, &LEGACY))
        }
        Item::Weak { .. } => weak_line(item),
    }
}

/// The same in both.
fn weak_line(item: &Item) -> String {
    let Item::Weak { id, target, from } = item else { return String::new() };
    let (name, version) = (&id.name, &id.version);
    format!("{name}, {version}, {}, {}: installed-weak from {from}", target.release, target.arch)
}

fn state(row: &Row, suffixes: &Suffixes) -> String {
    let target = &row.id.target;
    let originals = if row.originals { suffixes.originals } else { "" };
    let flaw = match row.flaw {
        None => "",
        Some(RowFlaw::Incomplete(_)) => suffixes.incomplete,
        Some(RowFlaw::Differs(_)) => suffixes.differs,
    };
    format!("{}, {}: {}{originals}{flaw}", target.release, target.arch, row.state)
}
