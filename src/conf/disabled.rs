//! Which packages the administrator wants left alone, and on which kernels: `/etc/dkms/disabled`, which `dkms disable` keeps, and
//! `disabled` in the files for one package.
//!
//! Each line of the former is a package (`name` or `name/version`), the kernels as a shell wildcard, and why, in free words.

use super::administrator::{mentions, read_over};
use super::{EvalContext, Settings, Values};
use crate::model::text::shown_in_line;
use crate::model::{KernelRelease, PackageId};
use crate::system::{System, dir};
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Kept by `dkms disable` and `dkms enable`.
pub(crate) const FILE: &str = "/etc/dkms/disabled";
const NAMES: [&str; 2] = ["disabled", "disabled_reason"];
const HEADING: &str = "# Packages that dkms leaves alone: the package, the kernels (a shell wildcard), and why. See dkms disable in dkms(8).\n";

/// Why a package is left alone on a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disabling {
    /// The package as the rule has it, with or without a version.
    pub package: String,
    /// A shell wildcard.
    pub kernels: String,
    pub reason: String,
    pub file: PathBuf,
}

impl Disabling {
    /// Whether it is about a kernel.
    #[must_use]
    pub(crate) fn is_for(&self, release: &KernelRelease) -> bool {
        matches(&self.kernels, release.as_str())
    }

    fn is_of(&self, id: &PackageId) -> bool {
        self.package == id.name.as_str() || self.package == id.to_string()
    }

    /// Without the file: for a line that has little room.
    #[must_use]
    pub(crate) fn briefly(&self) -> String {
        let kernels =
            if self.kernels == "*" { String::new() } else { format!(" for kernels {}", self.kernels) };
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        shown_in_line(&format!("disabled{kernels}{reason}")).into_owned()
    }
}

impl fmt::Display for Disabling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kernels.as_str() {
            "*" => f.write_str("it is disabled")?,
            kernels => write!(f, "it is disabled for kernels {}", shown_in_line(kernels))?,
        }
        write!(f, " in {}", self.file.display())?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", shown_in_line(&self.reason)) }
    }
}

/// A line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule<'a> {
    package: &'a str,
    kernels: &'a str,
    reason: &'a str,
}

impl<'a> Rule<'a> {
    /// `None` for a comment. A package alone is disabled on every kernel.
    fn parse(line: &'a str) -> Option<Self> {
        let (package, rest) = first_word(line);
        if package.is_empty() || package.starts_with('#') {
            return None;
        }
        let (kernels, reason) = first_word(rest);
        let kernels = if kernels.is_empty() { "*" } else { kernels };
        Some(Self { package, kernels, reason: reason.trim() })
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// What is disabled on this machine.
#[derive(Debug)]
pub(crate) struct Disabled {
    /// Those of the list.
    rules: Vec<Disabling>,
    /// The files for one package that speak of it; looked for when they are asked.
    confs: OnceLock<Vec<PathBuf>>,
}

impl Disabled {
    #[must_use]
    pub(crate) fn read(system: &System) -> Self {
        let file = system.path(FILE);
        let text = fs_err::read(&file).unwrap_or_else(|error| {
            if error.kind() != std::io::ErrorKind::NotFound {
                system.console.warn(format!("{error}; nothing counts as disabled by it."));
            }
            Vec::new()
        });
        let disabling = |rule: Rule<'_>| Disabling {
            package: rule.package.into(),
            kernels: rule.kernels.into(),
            reason: rule.reason.into(),
            file: file.clone(),
        };
        let rules = String::from_utf8_lossy(&text).lines().filter_map(Rule::parse).map(disabling).collect();
        Self { rules, confs: OnceLock::new() }
    }

    /// Whether a package is left alone on a kernel, and why.
    #[must_use]
    pub(crate) fn on(
        &self,
        id: &PackageId,
        view: EvalContext<'_>,
        settings: &Settings,
        system: &System,
    ) -> Option<Disabling> {
        let release = &view.kernel.release;
        if let Some(rule) = self.of(id).find(|rule| rule.is_for(release)) {
            return Some(rule.clone());
        }
        let confs = self.confs.get_or_init(|| confs(system));
        if confs.is_empty() {
            return None;
        }
        let overrides = super::existing_overrides(view, system);
        if !overrides.iter().any(|path| confs.contains(path)) {
            return None;
        }
        let variables = super::variables(view, settings, system);
        let (values, last) = read_over(Values::default(), &NAMES, &overrides, &variables, system);
        let kernels = values.get(NAMES[0])?;
        let words = kernels.split_whitespace().filter(|word| !word.eq_ignore_ascii_case("no"));
        let mut kernels = words.map(|word| if word.eq_ignore_ascii_case("yes") { "*" } else { word });
        let kernels = kernels.find(|pattern| matches(pattern, release.as_str()))?;
        let reason = values.get(NAMES[1]).unwrap_or_default();
        Some(Disabling {
            package: id.to_string(),
            kernels: kernels.into(),
            reason: reason.into(),
            file: last.unwrap_or_default(),
        })
    }

    /// What the file says of a package, for whatever kernel.
    pub(crate) fn of<'a>(&'a self, id: &'a PackageId) -> impl Iterator<Item = &'a Disabling> {
        self.rules.iter().filter(|rule| rule.is_of(id))
    }
}

fn confs(system: &System) -> Vec<PathBuf> {
    let entries = dir::entries(system.path("/etc/dkms")).into_iter().map(|entry| entry.path());
    let confs = entries.filter(|path| path.extension().is_some_and(|suffix| suffix == "conf"));
    let speaks = |path: &PathBuf| mentions(&fs_err::read(path).unwrap_or_default(), &NAMES);
    confs.filter(speaks).collect()
}

fn matches(pattern: &str, release: &str) -> bool {
    pattern == release || glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(release))
}

/// The file with a line for a package and kernels, in the place of one that is there already.
#[must_use]
pub(crate) fn with_rule(text: &str, package: &str, kernels: &str, reason: &str) -> String {
    let text = if text.is_empty() { HEADING } else { text };
    let line = format!("{package} {kernels} {}", shown_in_line(reason));
    let mut lines = staying(text, |rule| rule.package == package && rule.kernels == kernels);
    lines.push(line.trim_end());
    joined(&lines)
}

/// The file without the lines for a package: those for exactly these kernels, or without `kernels` all of them; and how many
/// went.
#[must_use]
pub(crate) fn without_rules(text: &str, package: &str, kernels: Option<&str>) -> (String, usize) {
    let is_meant = |rule: Rule<'_>| {
        let is_package = rule.package == package || rule.package.split('/').next() == Some(package);
        is_package && kernels.is_none_or(|kernels| rule.kernels == kernels)
    };
    let lines = staying(text, is_meant);
    (joined(&lines), text.lines().count() - lines.len())
}

/// The lines that stay; comments and what is not understood among them.
fn staying(text: &str, goes: impl Fn(Rule<'_>) -> bool) -> Vec<&str> {
    text.lines().filter(|line| !Rule::parse(line).is_some_and(&goes)).collect()
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Whether a word can stand for kernels: a release, or a shell wildcard.
#[must_use]
pub(crate) fn is_kernel_pattern(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        && (glob::Pattern::new(text).is_ok() || KernelRelease::new(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("m 6.1.*  does not  build", Some(("m", "6.1.*", "does not  build")))]
    #[case("  m/1.0\t*", Some(("m/1.0", "*", "")))]
    #[case("# m *", None)]
    #[case("m    6.*   aligned by hand", Some(("m", "6.*", "aligned by hand")))]
    #[case("m\t\t*\treason", Some(("m", "*", "reason")))]
    #[case("m * reason\r", Some(("m", "*", "reason")))]
    #[case("m", Some(("m", "*", "")))]
    #[case("", None)]
    fn line_is_package_kernels_and_reason(#[case] line: &str, #[case] expected: Option<(&str, &str, &str)>) {
        let rule = Rule::parse(line);
        let rule = rule.map(|rule| (rule.package, rule.kernels, rule.reason));
        assert_eq!(rule, expected);
    }

    #[rstest]
    #[case("*", "6.1.0-1-amd64", true)]
    #[case("6.1.*-rt-*", "6.1.0-1-rt-amd64", true)]
    #[case("6.1.*-rt-*", "6.1.0-1-amd64", false)]
    #[case("6.1.0-1-amd64", "6.1.0-1-amd64", true)]
    #[case("6.1", "6.1.0-1-amd64", false)]
    #[case("[", "[", true)]
    #[case("[", "6.1", false)]
    fn kernels_are_a_wildcard(#[case] pattern: &str, #[case] release: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, release), expected);
    }

    #[test]
    fn other_lines_stay() {
        let text = "# mine\nm * old\nother *\nnonsense\n";
        assert_eq!(without_rules(text, "m", None), ("# mine\nother *\nnonsense\n".to_owned(), 1));
        assert_eq!(without_rules(text, "m", Some("6.*")), (text.to_owned(), 0));
        assert_eq!(with_rule(text, "m", "*", "new"), "# mine\nother *\nnonsense\nm * new\n");
        assert_eq!(with_rule("", "m/1", "6.*", ""), format!("{HEADING}m/1 6.*\n"));
    }
}
