//! The layers of the crate: imports point downward only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of src/ from the bottom up. A room may use those below it, and itself.
const ROOMS: [&[&str]; 10] = [
    &["model"],
    &["system"],
    // The facts know each other.
    &["tree", "kernel", "conf", "signing"],
    &["plan"],
    &["session"],
    &["inspect"],
    &["programs"],
    // The verbs do not.
    &["build", "install", "archive"],
    &["ops"],
    &["cli", "hook", "fuzzing"],
];

fn floor(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

fn may_use(room: &str, used: &str) -> bool {
    match (floor(room), floor(used)) {
        (Some(own), Some(other)) => other < own || room == used || other == own && room_is_fact(room),
        _ => true,
    }
}

fn room_is_fact(room: &str) -> bool {
    floor(room) == floor("tree")
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
        let text = fs::read_to_string(file).unwrap();
        for used in used_modules(&text) {
            checked += 1;
            if !may_use(module, used) {
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
    let unknown: Vec<String> = names.filter(|name| floor(name).is_none()).collect();
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
    assert_eq!(takers, [Path::new("session/mod.rs")]);
    let opens = |file: &&PathBuf| fs::read_to_string(file).unwrap().contains("WriteSession::lock(");
    let openers: Vec<&Path> =
        files.iter().filter(opens).map(|file| file.strip_prefix(&top).unwrap()).collect();
    assert_eq!(openers, [Path::new("ops/recover.rs")]);
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

/// The names that a file takes from others: paths from the crate's top, one for each name.
fn imports(text: &str, module: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        if at > 0 && !code[..at].ends_with(['\n', ' ']) {
            continue;
        }
        let Some(end) = code[at..].find(';') else { continue };
        expand("", &code[at + 4..at + end], &mut found);
    }
    let parent =
        |module: &str| module.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned());
    found
        .iter()
        .map(|path| match path.strip_prefix("super::") {
            Some(rest) => format!("{}::{rest}", parent(module)),
            None => path.strip_prefix("crate::").unwrap_or(path).to_owned(),
        })
        .collect()
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        found.push(format!("{prefix}{}", path.trim_end_matches("::self")));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&prefix, &inner[start..at], found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Which file defines a name: re-exports are followed.
fn definer(path: &str, files: &BTreeMap<String, String>) -> Option<String> {
    let mut module = path;
    let mut name = "";
    while !files.contains_key(module) {
        let (parent, last) = module.rsplit_once("::")?;
        (module, name) = (parent, last);
    }
    let text = &files[module];
    for child in
        files.keys().filter(|file| file.rsplit_once("::").is_some_and(|(parent, _)| parent == module))
    {
        let last = child.rsplit_once("::").unwrap().1;
        let reexports =
            text.lines().filter(|line| line.contains("use ") && line.contains(&format!("{last}::")));
        let names =
            |line: &str| line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name);
        if !name.is_empty() && reexports.filter(|line| line.starts_with("pub")).any(names) {
            return definer(&format!("{child}::{name}"), files);
        }
    }
    Some(module.to_owned())
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&top, &mut paths);
    let name = |path: &PathBuf| {
        let relative = path.strip_prefix(&top).unwrap().with_extension("");
        let parts: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        parts.join("::").trim_end_matches("::mod").to_owned()
    };
    let files: BTreeMap<String, String> =
        paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect();
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (module, text) in &files {
        let used = imports(text, module).into_iter().filter_map(|path| definer(&path, &files));
        edges.insert(module, used.filter(|used| used != module && !module.starts_with("tests")).collect());
    }
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 300, "the imports were not found");
    // What is left after files without imports, again and again, imports itself in the end.
    let mut circles = edges.clone();
    loop {
        let names: BTreeSet<&str> = circles.keys().copied().collect();
        let done: Vec<&str> = circles
            .iter()
            .filter(|(_, used)| used.iter().all(|used| !names.contains(used.as_str())))
            .map(|(module, _)| *module)
            .collect();
        if done.is_empty() {
            break;
        }
        done.iter().for_each(|module| drop(circles.remove(module)));
    }
    // Those that only lead into a circle are not of it.
    loop {
        let used: BTreeSet<String> = circles.values().flatten().cloned().collect();
        let before = circles.len();
        circles.retain(|module, _| used.contains(*module));
        if circles.len() == before {
            break;
        }
    }
    let names: BTreeSet<&str> = circles.keys().copied().collect();
    let shown: Vec<String> = circles
        .iter()
        .map(|(module, used)| {
            format!(
                "{module} -> {:?}",
                used.iter().filter(|used| names.contains(used.as_str())).collect::<Vec<_>>()
            )
        })
        .collect();
    assert!(shown.is_empty(), "{shown:#?}");
}

/// One room in which everything is has no walls. Tests beside the code do not count.
#[test]
fn no_room_holds_more_than_seventh_of_lines() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for file in &files {
        let room = file.strip_prefix(&top).unwrap().iter().next().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let is_test = file.components().any(|part| part.as_os_str() == "tests");
        *lines.entry(room).or_default() += if is_test { 0 } else { code.lines().count() };
    }
    let all: usize = lines.values().sum();
    let large: Vec<_> = lines.iter().filter(|(_, lines)| **lines * 100 > all * 15).collect();
    assert!(large.is_empty(), "of {all} lines: {large:?}");
}

/// `inspect` only looks.
#[test]
fn what_looks_does_not_write() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/inspect");
    let mut files = Vec::new();
    sources(&top, &mut files);
    const WORDS: [&str; 7] = [
        "WriteSession",
        "Writer",
        "files::publish",
        "files::remove",
        "files::stage",
        "fs_err::write",
        ".command(",
    ];
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let words = WORDS.iter().filter(|word| code.contains(**word));
        found.extend(words.map(|word| format!("{}: {word}", file.file_name().unwrap().to_string_lossy())));
    }
    assert_eq!(found, Vec::<String>::new());
}

/// Debian 13 has Rust 1.85, and conditions with `let` among others came with 1.88. Compilers do not tell.
#[test]
fn conditions_are_those_of_rust_1_85() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "hooks", "compiler"] {
        sources(&top.join(dir), &mut files);
    }
    let manifest = fs::read_to_string(top.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("rust-version = \"1.85\""), "then this test has to change");
    let is_chain = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let continues = lines.windows(2).any(|pair| {
            let begins = pair[0].starts_with("if let ") || pair[0].contains("else if let ");
            begins && !pair[0].ends_with(['{', '(', ',']) && pair[1].starts_with("&& ")
        });
        continues || lines.iter().any(|line| line.contains("&& let ") && !line.starts_with("//"))
    };
    let found: Vec<&PathBuf> =
        files.iter().filter(|file| is_chain(&fs::read_to_string(file).unwrap())).collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(is_chain("if let Some(x) = y\n    && z\n{") && is_chain("if a && let Some(x) = y {"));
}
