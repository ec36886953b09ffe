//! `dkms status`: one line an item, each exactly as it always was. Starts no program, takes no lock.

use crate::conf::Settings;
use crate::model::{BuildId, BuildState, Error, SourceState};
use crate::plan::request::Filter;
use crate::system::System;
use crate::system::files::same_content;
use crate::tree::{Build, Built, Package, Tree};
use std::path::{Path, PathBuf};

const ORIGINALS: &str = " (Original modules exist)";
const MISSING: &str = " (Built modules are missing in the kernel modules folder)";
const DIFFERENT: &str = " (Differences between built and installed modules)";

pub(super) fn print(filters: &[Filter], settings: &Settings, system: &System) {
    let tree = Tree::at(&settings.dkms_tree);
    let snapshot = tree.scan(&settings.source_tree);
    let view = View { tree: &tree, settings, system };
    for filter in filters {
        let filter = Patterns::new(filter);
        let shown = snapshot.packages.iter().filter(|package| filter.wants_package(package));
        let lines: Vec<String> = shown.flat_map(|package| view.lines(package, &filter)).collect();
        if !lines.is_empty() {
            system.ui.say(lines.join("\n"));
        }
    }
}

/// The filter, with its texts as shell wildcards. What is no valid pattern matches only itself.
struct Patterns {
    name: Option<Pattern>,
    version: Option<Pattern>,
    release: Option<Pattern>,
    arch: Option<Pattern>,
}

enum Pattern {
    Glob(glob::Pattern),
    Literal(String),
}

impl Pattern {
    fn new(text: &str) -> Self {
        glob::Pattern::new(text).map_or_else(|_| Self::Literal(text.to_owned()), Self::Glob)
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(pattern) => pattern.matches(text),
            Self::Literal(literal) => literal == text,
        }
    }
}

impl Patterns {
    fn new(filter: &Filter) -> Self {
        let pattern = |text: &Option<String>| text.as_deref().map(Pattern::new);
        Self {
            name: pattern(&filter.name),
            version: pattern(&filter.version),
            release: pattern(&filter.release),
            arch: pattern(&filter.arch),
        }
    }

    fn wants_package(&self, package: &Package) -> bool {
        passes(&self.name, package.id.name.as_str()) && passes(&self.version, package.id.version.as_str())
    }

    fn wants_build(&self, build: &Build) -> bool {
        passes(&self.release, build.target.release.as_str()) && passes(&self.arch, build.target.arch.as_str())
    }
}

fn passes(pattern: &Option<Pattern>, text: &str) -> bool {
    pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
}

struct View<'a> {
    tree: &'a Tree,
    settings: &'a Settings,
    system: &'a System,
}

impl View<'_> {
    fn lines(&self, package: &Package, filter: &Patterns) -> Vec<String> {
        if package.source == SourceState::Broken {
            let source = self.tree.source(&package.id);
            self.system.ui.error(Error::Broken { package: package.id.clone(), source }.to_string());
            return vec![format!("{}: broken", package.id)];
        }
        let builds: Vec<String> = package
            .builds
            .iter()
            .filter(|build| filter.wants_build(build))
            .map(|build| self.build_line(package, build))
            .collect();
        if builds.is_empty() { vec![format!("{}: added", package.id)] } else { builds }
    }

    fn build_line(&self, package: &Package, build: &Build) -> String {
        let id = package.build_id(&build.target);
        let target = &build.target;
        let suffixes = self.suffixes(&id, build.state);
        format!("{}, {}, {}: {}{suffixes}", package.id, target.release, target.arch, build.state)
    }

    fn suffixes(&self, id: &BuildId, state: BuildState) -> String {
        let mut text = String::new();
        if self.tree.originals(id.name(), &id.target).is_dir() {
            text.push_str(ORIGINALS);
        }
        let Some(built) = self.tree.built(id) else { return text };
        if is_incomplete(&built) {
            text.push_str(MISSING);
        } else if state == BuildState::Installed && self.differs(id, &built) {
            text.push_str(DIFFERENT);
        }
        text
    }

    /// Whether a module is not in its place, or is not what was built.
    fn differs(&self, id: &BuildId, built: &Built) -> bool {
        let top = self.settings.install_tree.join(id.target.release.as_str());
        match built.record() {
            Some(record) => record.modules.iter().any(|module| {
                let dir = top.join(module.location.trim_start_matches('/'));
                !same_content(&built.modules().join(&module.file), &dir.join(&module.file))
            }),
            None => {
                let dirs = self.usual_dirs(&top);
                built.module_files().iter().any(|file| {
                    let name = file.file_name().unwrap_or_default();
                    let place = dirs.iter().map(|dir| dir.join(name)).find(|place| place.exists());
                    place.or_else(|| find(&top, name)).is_none_or(|place| !same_content(file, &place))
                })
            }
        }
    }

    fn usual_dirs(&self, top: &Path) -> Vec<PathBuf> {
        let location = self.settings.effective_location(self.system);
        let locations = location.iter().map(String::as_str).chain(["/updates/dkms", "/updates", "/extra"]);
        locations.map(|location| top.join(location.trim_start_matches('/'))).collect()
    }
}

/// Whether a module that was made is not there any more. Without a record that is known only of a build with none.
fn is_incomplete(built: &Built) -> bool {
    match built.record() {
        Some(record) => record.modules.iter().any(|module| !built.modules().join(&module.file).exists()),
        None => false,
    }
}

/// A module of another dkms in a directory that only its dkms.conf names.
fn find(dir: &Path, name: &std::ffi::OsStr) -> Option<PathBuf> {
    let mut below = Vec::new();
    for entry in fs_err::read_dir(dir).ok()?.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below.push(entry.path()),
            Ok(_) if entry.file_name() == name => return Some(entry.path()),
            _ => {}
        }
    }
    below.iter().find_map(|dir| find(dir, name))
}
