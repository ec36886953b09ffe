//! One main file and the files that override it, evaluated in order.

use super::eval::{self, Evaluator, Scope};
use super::{IsolationPolicy, Settings, Values, WHITELIST};
use crate::model::{Error, Result};
use crate::system::System;
use crate::system::sandbox::Outline;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one dkms.conf may take. Some ask package managers, which answer in seconds.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The largest real dkms.conf has 40 KiB.
const MOST_BYTES: u64 = 1 << 20;

/// One file that was read, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfFile {
    pub path: PathBuf,
    pub evaluator: Evaluator,
}

/// A directive whose quotes do not survive the second reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misquoted {
    pub directive: String,
    pub damage: Damage,
    pub file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    Lost,
    /// The rest fell out of its quotes.
    Cut,
}

/// Without the article, which starts a sentence in one place and follows a path in others.
impl fmt::Display for Misquoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value of {} ", self.directive)?;
        f.write_str(match self.damage {
            Damage::Lost => "is lost, because it holds quoted blanks inside double quotes.",
            Damage::Cut => "ends where it falls out of its quotes.",
        })
    }
}

/// The values that a chain of files ends with.
#[derive(Debug, Clone)]
pub(crate) struct Effective {
    pub values: Values,
    /// In the order of reading; the first is the package's own.
    pub files: Vec<ConfFile>,
    /// Which file (or `--directive`) set each element last.
    pub origins: BTreeMap<(String, usize), String>,
    /// What the second reading took from values.
    pub misquoted: Vec<Misquoted>,
    /// What the files themselves said on standard error.
    pub messages: Vec<String>,
}

impl Effective {
    /// `bash` if any file needed it.
    #[must_use]
    pub(crate) fn evaluator(&self) -> Evaluator {
        if self.files.iter().any(|file| file.evaluator == Evaluator::Bash) {
            Evaluator::Bash
        } else {
            Evaluator::Native
        }
    }

    /// Whether evaluating it again would need bash.
    #[must_use]
    pub(crate) fn needed_bash(&self) -> bool {
        self.evaluator() == Evaluator::Bash
    }

    /// The values that a file had when bash read it. Where each came from is not known.
    #[must_use]
    pub(crate) fn recorded(path: PathBuf, values: Values, messages: Vec<String>) -> Self {
        let files = vec![ConfFile { path, evaluator: Evaluator::Bash }];
        Self { values, files, origins: BTreeMap::new(), misquoted: Vec::new(), messages }
    }

    fn add(&mut self, path: &Path, evaluation: eval::Evaluation) {
        let origin = path.to_string_lossy();
        for (name, index, value) in evaluation.values.iter() {
            if self.values.at(name, index) != Some(value) {
                self.origins.insert((name.to_owned(), index), origin.clone().into_owned());
            }
        }
        self.files.push(ConfFile { path: path.to_owned(), evaluator: evaluation.evaluator });
        let lost = evaluation.lost.into_iter().map(|directive| (directive, Damage::Lost));
        let cut = evaluation.cut.into_iter().map(|directive| (directive, Damage::Cut));
        let misquoted = lost.chain(cut);
        self.misquoted.extend(misquoted.map(|(directive, damage)| Misquoted {
            directive,
            damage,
            file: path.to_owned(),
        }));
        self.messages.extend(evaluation.messages);
        self.values = evaluation.values;
    }
}

/// Reads `conf`, then `overrides`, then the command line's directives. `isolation`: the rule by which bash reads the
/// first one, which is the package's; `None` for no isolation.
///
/// # Errors
/// `conf` is missing or unreadable; or bash cannot run or takes too long.
pub(crate) fn read(
    conf: &Path,
    overrides: &[PathBuf],
    variables: BTreeMap<String, String>,
    isolation: Option<&IsolationPolicy>,
    settings: &Settings,
    system: &System,
) -> Result<Effective> {
    let mut effective = Effective {
        values: Values::default(),
        files: Vec::new(),
        origins: BTreeMap::new(),
        misquoted: Vec::new(),
        messages: Vec::new(),
    };
    let (inherited, mut environment) = (Values::default(), system.inherited_env());
    if isolation.is_some() {
        // The password of the signing key.
        environment.remove("KBUILD_SIGN_PIN");
    }
    let mut scope = Scope { variables, inherited, environment, confined: None };
    for path in std::iter::once(conf).chain(overrides.iter().map(PathBuf::as_path)) {
        let text = read_file(path)?;
        scope.confined =
            isolation.filter(|_| path == conf).map(|policy| outline(conf, policy, settings, system));
        let evaluation = eval::evaluate(path, &text, &WHITELIST, &scope, TIME_LIMIT)
            .map_err(|e| Error::ConfUnreadable { path: path.to_owned(), why: e.to_string() })?;
        effective.add(path, evaluation);
        scope.inherited = effective.values.clone();
    }
    for (name, value) in &settings.directives {
        effective.values.set(name, 0, value.clone());
        effective.origins.insert((name.clone(), 0), "--directive".to_owned());
    }
    Ok(effective)
}

/// What a package's dkms.conf sees: everything that is not private, and of the trees whatever place they have.
fn outline(conf: &Path, policy: &IsolationPolicy, settings: &Settings, system: &System) -> Outline {
    let dir = conf.parent().map(Path::to_owned);
    let trees = [&settings.dkms_tree, &settings.source_tree, &settings.install_tree].map(Clone::clone);
    let kernel = settings.kernel_source_dir.clone();
    Outline::of(system).show(trees.into_iter().chain(dir).chain(kernel)).write_in_place(&policy.paths)
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    match fs_err::metadata(path) {
        Err(_) => return Err(Error::ConfNotFound { path: path.to_owned() }),
        Ok(data) if data.len() > MOST_BYTES => {
            let why = format!("it is larger than {} KiB", MOST_BYTES >> 10);
            return Err(Error::ConfUnreadable { path: path.to_owned(), why });
        }
        Ok(data) if !data.is_file() => {
            return Err(Error::ConfUnreadable {
                path: path.to_owned(),
                why: "it is not a regular file".into(),
            });
        }
        Ok(_) => {}
    }
    fs_err::read(path).map_err(|e| Error::ConfUnreadable { path: path.to_owned(), why: e.to_string() })
}
