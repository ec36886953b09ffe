//! The arguments as values, and how their words are understood: what a positional one is depends on what it names.

use super::action::Action;
use crate::conf::Overrides;
use crate::model::Error;
use std::path::PathBuf;

/// The command line, before it is asked whether it makes sense.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    pub action: Option<Action>,
    pub module: Option<String>,
    pub version: Option<String>,
    pub kernels: Vec<String>,
    pub arches: Vec<String>,
    pub template_kernel: Option<String>,
    pub conf: Option<PathBuf>,
    /// A source tree named by its directory or its dkms.conf.
    pub source_dir: Option<PathBuf>,
    pub archive: Option<PathBuf>,
    /// Whether the package was given by a word that is its name alone: an option without its version is an error, because
    /// scripts have variables that are empty.
    pub named_by_word: bool,
    /// A path without anything that could be a package.
    pub unusable_path: Option<PathBuf>,
    pub format: Option<String>,
    pub all: bool,
    pub all_kernels: bool,
    pub full: bool,
    pub next: bool,
    pub reason: Option<String>,
    /// Packages and directories with kernel headers.
    pub headers: Vec<PathBuf>,
    pub repair: bool,
    pub force: bool,
    pub force_version_override: bool,
    pub force_vermagic: bool,
    pub binaries_only: bool,
    pub source_only: bool,
    pub rpm_safe_upgrade: bool,
    pub quiet: bool,
    pub dry_run: bool,
    pub follow: bool,
    pub overrides: Overrides,
    /// Words that are accepted without effect.
    pub notes: Vec<String>,
    /// Words that are not understood.
    pub warnings: Vec<String>,
}

/// Whether a word can only be meant as a path, by an action that takes one.
fn is_path(word: &str) -> bool {
    ["/", "./", "../", "~"].iter().any(|start| word.starts_with(start)) || word.ends_with("/dkms.conf")
}

impl Arguments {
    /// The action, or a positional word. Words that only we have as actions name a module after an action.
    pub(crate) fn take_word(&mut self, word: &str) -> Result<(), Error> {
        if word.starts_with('-') {
            return Err(Error::UnknownOption(word.to_owned()));
        }
        if self.action == Some(Action::Preflight) {
            self.headers.push(PathBuf::from(word));
            return Ok(());
        }
        let is_free = self.action.is_none();
        match Action::parse(word).filter(|action| is_free || action.is_classic()) {
            Some(_) if self.action == Some(Action::Help) => self.take_positional(word),
            Some(_) if !is_free => {
                return Err(Error::Usage { code: 4, text: "Cannot specify more than one action.".into() });
            }
            Some(action) => self.action = Some(action),
            None => self.take_positional(word),
        }
        Ok(())
    }

    /// `K/A` is a kernel and an architecture: both lists are filled in the order of the line.
    pub(crate) fn take_kernel(&mut self, value: &str) {
        match value.split_once('/') {
            Some((kernel, arch)) => {
                self.kernels.push(kernel.to_owned());
                self.arches.push(arch.to_owned());
            }
            None => self.kernels.push(value.to_owned()),
        }
    }

    pub(crate) fn take_module(&mut self, text: &str) {
        match text.split_once('/') {
            Some((name, version)) => {
                self.module = Some(name.to_owned());
                self.version = Some(version.to_owned());
            }
            None => self.module = Some(text.to_owned()),
        }
    }

    pub(crate) fn take_directive(&mut self, text: &str) {
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match text.split_once('=') {
            Some((name, value)) if is_name(name) => {
                self.overrides.directives.push((name.to_owned(), value.to_owned()));
            }
            _ => self.warnings.push(format!("--directive {text:?} is not NAME=VALUE, ignoring it.")),
        }
    }

    /// Sorts a positional word: a source tree, an archive, or the module; the first rule that fits.
    fn take_positional(&mut self, word: &str) {
        let path = PathBuf::from(word);
        if path.is_file() && path.file_name().is_some_and(|name| name == "dkms.conf") {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            self.source_dir = Some(dir.map_or_else(|| PathBuf::from("."), PathBuf::from));
        } else if path.is_dir() && path.join("dkms.conf").is_file() {
            self.source_dir = Some(path);
        } else if path.is_dir()
            && (matches!(word, "." | "..") || word.starts_with("./") || word.starts_with("../"))
        {
            // No package is called like that: what is missing is the dkms.conf.
            self.source_dir = Some(path);
        } else if path.is_file() {
            self.archive = Some(path);
        } else if self.module.as_deref().is_none_or(str::is_empty) {
            if !word.is_empty() {
                self.unusable_path = is_path(word).then_some(path);
                self.take_module(word);
                self.named_by_word = self.version.is_none();
            }
        } else {
            self.warnings.push(format!("I do not know how to handle {word}."));
        }
    }
}
