//! `dkms status`: one line an item, each exactly as it always was, or the same as JSON. Starts no program, takes no
//! lock.

mod filter;
mod items;
mod json;
mod text;

use crate::conf::Settings;
use crate::model::Error;
use crate::plan::request::{Filter, StatusFormat};
use crate::session::Session;
use crate::system::System;
use filter::Patterns;
use items::{Item, View};

pub(crate) fn print(filters: &[Filter], format: StatusFormat, settings: &Settings, system: &System) {
    let session = Session::look(settings, system);
    let snapshot = session.tree().scan(&settings.source_tree);
    let view = View::new(&session);
    let items: Vec<Item> = filters
        .iter()
        .flat_map(|filter| {
            let filter = Patterns::new(filter);
            let shown = snapshot.packages.iter().filter(|package| filter.wants_package(package));
            shown.flat_map(|package| view.items(package, &filter)).collect::<Vec<_>>()
        })
        .collect();
    for item in &items {
        if let Item::Broken { id, source } = item {
            system.console.error(Error::Broken { package: id.clone(), source: source.clone() }.to_string());
        }
    }
    let line = match format {
        StatusFormat::Text => text::line,
        StatusFormat::Legacy => text::legacy_line,
        StatusFormat::Json => return system.console.say(json::document(&items, &view)),
    };
    if !items.is_empty() {
        system.console.say(items.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
}
