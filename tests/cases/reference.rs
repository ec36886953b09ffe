//! What docs/reference.md says, held against the program.

use crate::world::{K, World};
use rstest::rstest;
use serde_json::Value;
use std::collections::BTreeSet;

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            found.insert(key.clone());
            keys(value, found);
        }),
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[rstest]
#[case::status(&["status", "--format", "json"], 10)]
#[case::check(&["check", "--format", "json"], 8)]
#[case::history(&["history", "--format", "json"], 10)]
#[case::lint(&["lint", "typo/1.0", "--format", "json"], 6)]
#[case::install(&["install", "m/1.0", "--force", "--format", "json"], 10)]
#[case::autoinstall(&["autoinstall", "--format", "json"], 10)]
fn every_json_field_is_documented(#[case] line: &[&str], #[case] at_least: usize) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.package("typo", "1.0").conf("AUTOINSTAL=yes");
    std::fs::remove_file(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"))).unwrap();
    let document: Value = serde_json::from_str(&world.dkms(line).stdout).unwrap();
    let mut found = BTreeSet::new();
    keys(&document, &mut found);
    let reference = include_str!("../../docs/reference.md");
    let missing: Vec<&String> = found
        .iter()
        .filter(|key| !reference.contains(&format!("`{key}`")) && !reference.contains(&format!("`{key}[]`")))
        .collect();
    assert!(found.len() >= at_least, "{found:?}");
    assert!(missing.is_empty(), "not in docs/reference.md: {missing:?}");
}
