//! The layers of the crate: imports point downward only.

use std::fs;
use std::path::{Path, PathBuf};

/// The layer of a module of src/, by its directory; a layer may use itself and what has a lower number.
const LAYERS: [(&str, u8); 13] = [
    ("model", 0),
    ("system", 1),
    ("tree", 2),
    ("kernel", 2),
    ("conf", 2),
    ("signing", 2),
    ("plan", 3),
    ("inspect", 4),
    ("exec", 5),
    ("cli", 6),
    ("hook", 6),
    ("fuzzing", 6),
    ("tests", 7),
];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The modules of the crate that a text names behind `crate::`, also in braces.
fn used_modules(text: &str) -> Vec<&str> {
    let word = |text: &'_ str| -> usize {
        text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
    };
    let code = text.match_indices("crate::").filter(|(at, _)| !text[..*at].ends_with('$'));
    code.flat_map(|(at, found)| {
        let rest = &text[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = &list[..list.find("};").unwrap_or(list.len())];
                list.split(',').map(str::trim).map(|item| &item[..word(item)]).collect()
            }
            None => vec![&rest[..word(rest)]],
        }
    })
    .collect()
}

#[test]
fn no_module_uses_a_layer_above_its_own() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    let mut upward = Vec::new();
    let mut checked = 0;
    for file in &files {
        let relative = file.strip_prefix(&top).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap();
        let Some(own) = layer(module) else { continue };
        let text = fs::read_to_string(file).unwrap();
        for used in used_modules(&text) {
            checked += 1;
            if layer(used).is_some_and(|other| other > own) {
                upward.push(format!("{} uses crate::{used}", relative.display()));
            }
        }
    }
    assert!(checked > 100, "only {checked} uses found: the test looks at the wrong place");
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn every_module_has_a_layer() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let dirs = fs::read_dir(top).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let names = dirs.map(|entry| entry.file_name().into_string().unwrap());
    let unknown: Vec<String> = names.filter(|name| layer(name).is_none()).collect();
    assert!(unknown.is_empty(), "say in tests/cases/architecture.rs where these belong: {unknown:?}");
}

#[test]
fn uses_are_found_in_every_spelling() {
    let text = "use crate::model::X;\nuse crate::{exec, plan::Y};\nlet x = crate::cli::z(); $crate::hook";
    assert_eq!(used_modules(text), ["model", "exec", "plan", "cli"]);
}

#[test]
fn there_is_one_way_to_the_lock() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    let takes_it = |file: &&PathBuf| fs::read_to_string(file).unwrap().contains(".lock(system)");
    let takers: Vec<&Path> =
        files.iter().filter(takes_it).map(|file| file.strip_prefix(&top).unwrap()).collect();
    assert_eq!(takers, [Path::new("exec/mod.rs")]);
}

#[test]
fn programs_start_with_the_environment_of_the_system() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    // The module that starts them, the one that gives them their environment, the evaluator, which gives them another one,
    // and clap's type of the same name.
    const KNOWN: [&str; 4] = ["system/process.rs", "system/mod.rs", "conf/eval/bash.rs", "cli/args.rs"];
    let starts = |file: &&PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let is_test = file.components().any(|part| part.as_os_str() == "tests");
        code.contains("Command::new(") && !is_test && !KNOWN.iter().any(|known| file.ends_with(known))
    };
    assert_eq!(files.iter().filter(starts).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}
