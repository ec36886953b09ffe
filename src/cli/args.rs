//! The canonical words as values: clap reads the options, the old rules sort the positionals.

use super::action::Action;
use crate::conf::Overrides;
use crate::model::Error;
use clap::{Arg, ArgAction, ArgMatches, Command};
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
    pub format: Option<String>,
    pub all: bool,
    pub all_kernels: bool,
    pub full: bool,
    pub repair: bool,
    pub force: bool,
    pub force_version_override: bool,
    pub force_vermagic: bool,
    pub binaries_only: bool,
    pub source_only: bool,
    pub rpm_safe_upgrade: bool,
    pub overrides: Overrides,
    /// Warnings about words that are not understood.
    pub warnings: Vec<String>,
}

const VALUES: [&str; 15] = [
    "word",
    "module",
    "package-version",
    "kernelver",
    "arch",
    "templatekernel",
    "conf",
    "archive",
    "format",
    "dkmstree",
    "sourcetree",
    "installtree",
    "kernelsourcedir",
    "config",
    "directive",
];
const SWITCHES: [&str; 16] = [
    "all",
    "all-kernels",
    "full",
    "repair",
    "force",
    "force-version-override",
    "force-vermagic",
    "binaries-only",
    "source-only",
    "no-depmod",
    "modprobe-on-install",
    "symlink-modules",
    "rpm_safe_upgrade",
    "verbose",
    "quiet",
    "debug",
];

fn grammar() -> Command {
    let valued =
        VALUES.iter().chain(&["jobs"]).map(|name| Arg::new(*name).long(*name).action(ArgAction::Append));
    let switches = SWITCHES.iter().map(|name| Arg::new(*name).long(*name).action(ArgAction::Count));
    Command::new("dkms")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(valued)
        .args(switches)
}

/// Reads canonical words.
///
/// # Errors
/// A word that the scan let through and clap does not take; that is a mistake of ours, told as a usage error.
pub(crate) fn parse(words: &[String], action: Option<Action>) -> Result<Arguments, Error> {
    let matches = grammar()
        .try_get_matches_from(words)
        .map_err(|e| Error::Usage { code: 2, text: e.to_string().trim().to_owned() })?;
    let mut args = from_matches(&matches);
    args.action = action;
    for (name, value) in in_order(&matches, &["module", "package-version", "word"]) {
        match name {
            "module" => args.take_module(value),
            "package-version" => args.version = Some(value.to_owned()),
            _ => args.take_positional(value),
        }
    }
    Ok(args)
}

/// The values of some options, in the order of the line: the last one that says something wins.
fn in_order<'a>(matches: &'a ArgMatches, names: &[&'static str]) -> Vec<(&'static str, &'a str)> {
    let mut found: Vec<(usize, &'static str, &str)> = Vec::new();
    for name in names {
        let indices = matches.indices_of(name).into_iter().flatten();
        let values = matches.get_many::<String>(name).into_iter().flatten();
        found.extend(indices.zip(values).map(|(index, value)| (index, *name, value.as_str())));
    }
    found.sort_by_key(|(index, _, _)| *index);
    found.into_iter().map(|(_, name, value)| (name, value)).collect()
}

fn values(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
}

fn last(matches: &ArgMatches, name: &str) -> Option<String> {
    values(matches, name).pop().filter(|value| !value.is_empty())
}

fn from_matches(matches: &ArgMatches) -> Arguments {
    let path = |name: &str| last(matches, name).map(PathBuf::from);
    let on = |name: &str| matches.get_count(name) > 0;
    let mut args = Arguments {
        template_kernel: last(matches, "templatekernel"),
        conf: path("conf"),
        archive: path("archive"),
        format: last(matches, "format"),
        all: on("all"),
        all_kernels: on("all-kernels"),
        full: on("full"),
        repair: on("repair"),
        force: on("force"),
        force_version_override: on("force-version-override"),
        force_vermagic: on("force-vermagic"),
        binaries_only: on("binaries-only"),
        source_only: on("source-only"),
        rpm_safe_upgrade: on("rpm_safe_upgrade"),
        overrides: Overrides {
            dkms_tree: path("dkmstree"),
            source_tree: path("sourcetree"),
            install_tree: path("installtree"),
            kernel_source_dir: path("kernelsourcedir"),
            kernel_config: path("config"),
            jobs: last(matches, "jobs"),
            verbose: on("verbose"),
            symlink_modules: on("symlink-modules"),
            modprobe_on_install: on("modprobe-on-install"),
            no_depmod: on("no-depmod"),
            no_post_transaction: false,
            directives: Vec::new(),
        },
        kernels: values(matches, "kernelver"),
        arches: values(matches, "arch"),
        ..Arguments::default()
    };
    for directive in values(matches, "directive") {
        args.take_directive(&directive);
    }
    args
}

impl Arguments {
    fn take_module(&mut self, text: &str) {
        match text.split_once('/') {
            Some((name, version)) => {
                self.module = Some(name.to_owned());
                self.version = Some(version.to_owned());
            }
            None => self.module = Some(text.to_owned()),
        }
    }

    fn take_directive(&mut self, text: &str) {
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
                self.take_module(word);
            }
        } else {
            self.warnings.push(format!("I do not know how to handle {word}."));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Arguments {
        let words: Vec<String> = line.iter().map(|s| (*s).to_owned()).collect();
        parse(&words, None).unwrap()
    }

    #[test]
    fn an_option_beats_a_positional_and_the_last_option_wins() {
        let args = args(&["--module=a/1", "--module=x", "--word=y/1"]);
        assert_eq!((args.module.as_deref(), args.version.as_deref()), (Some("x"), Some("1")));
        assert_eq!(args.warnings.len(), 1);
    }

    #[test]
    fn an_empty_word_before_the_module_is_nothing_and_after_it_a_warning() {
        assert!(args(&["--word=", "--word=m/1"]).warnings.is_empty());
        assert_eq!(args(&["--word=m/1", "--word="]).warnings.len(), 1);
    }

    #[test]
    fn a_directory_is_a_source_tree_only_with_a_dkms_conf() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert_eq!(args(&[&format!("--word={}", path)]).source_dir, None);
        std::fs::write(dir.path().join("dkms.conf"), "").unwrap();
        assert_eq!(args(&[&format!("--word={}", path)]).source_dir.as_deref(), Some(dir.path()));
        let conf = dir.path().join("dkms.conf");
        assert_eq!(
            args(&[&format!("--word={}", conf.to_str().unwrap())]).source_dir.as_deref(),
            Some(dir.path())
        );
        let other = dir.path().join("x-dkms.conf");
        std::fs::write(&other, "").unwrap();
        assert_eq!(args(&[&format!("--word={}", other.to_str().unwrap())]).archive, Some(other));
    }

    #[test]
    fn what_the_line_says_last_holds() {
        let version = |line: &[&str]| args(line).version.unwrap();
        assert_eq!(version(&["--module=foo/1", "--package-version=2"]), "2");
        assert_eq!(version(&["--word=foo/1", "--package-version=2"]), "2");
        assert_eq!(version(&["--package-version=2", "--word=foo/1"]), "1");
    }

    #[test]
    fn a_directive_with_an_index_is_refused() {
        let args = args(&["--directive=MAKE[0]=x", "--directive=MAKE=a b=c"]);
        assert_eq!(args.overrides.directives, [("MAKE".to_owned(), "a b=c".to_owned())]);
        assert_eq!(args.warnings.len(), 1);
    }
}
