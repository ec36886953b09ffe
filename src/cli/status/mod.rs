//! `dkms status`: one line an item, each exactly as it always was; columns on a terminal; or the same as JSON. Starts no program, takes no
//! lock.

mod columns;
mod filter;
mod items;
mod json;
mod text;

use crate::cli::hints::hint_packages;
use crate::conf::Settings;
use crate::model::{Error, PackageId};
use crate::plan::request::{Filter, StatusFormat};
use crate::session::Session;
use crate::system::{System, parallel};
use crate::tree::Package;
use columns::Table;
use filter::Patterns;
use items::{Item, View};

pub(crate) fn print(filters: &[Filter], format: StatusFormat, settings: &Settings, system: &System) {
    let session = Session::look(settings, system);
    let snapshot = session.tree().scan(&settings.source_tree);
    let view = View::new(&session);
    // The items of each package, once for each filter that it passes.
    let patterns: Vec<Patterns> = filters.iter().map(Patterns::new).collect();
    let mut groups: Vec<(&Patterns, &PackageId, Vec<Item>)> = Vec::new();
    for filter in &patterns {
        let wanted: Vec<&Package> =
            snapshot.packages.iter().filter(|package| filter.wants_package(package)).collect();
        let items = parallel::map(&wanted, |package| view.items(package, filter));
        groups.extend(wanted.iter().zip(items).map(|(package, items)| (filter, &package.id, items)));
    }
    let items = || groups.iter().flat_map(|(_, _, items)| items);
    for item in items() {
        if let Item::Broken { id, source } = item {
            system.console.error(Error::Broken { package: id.clone(), source: source.clone() }.to_string());
        }
    }
    let lines: Vec<String> = match format {
        StatusFormat::Json => return system.console.say(json::document(items(), &view)),
        StatusFormat::Text if system.console.terminal().width.is_some() => {
            let mut table = Table::new(&view);
            groups.iter().for_each(|(filter, id, items)| table.add(id, items, filter));
            return match (snapshot.packages.is_empty(), groups.is_empty()) {
                (true, _) => {
                    system.console.say("No package is registered. To register one: dkms add DIRECTORY");
                }
                (false, true) => {
                    system.console.say("No registered package matches.");
                    let named = filters.iter().filter_map(|filter| filter.name.as_deref());
                    named.for_each(|name| hint_packages(name, settings, system));
                }
                (false, false) => {
                    let lines = table.lines(system.host.machine.as_ref());
                    lines.iter().for_each(|line| system.console.say_painted(line));
                }
            };
        }
        StatusFormat::Text => items().map(text::line).collect(),
        StatusFormat::Legacy => items().map(text::legacy_line).collect(),
    };
    if !lines.is_empty() {
        system.console.say(lines.join("\n"));
    }
}
