//! What is wrong with a dkms.conf and its package, for the author: mistakes, what will surprise, and what could be better.

use crate::conf::{
    Effective, EvalContext, PackageConf, Script, Settings, Strictness, WHITELIST, read_effective, understand,
    unused,
};
use crate::inspect::inputs::has_sources;
use crate::model::package_names as names;
use crate::model::text::{quote, shown_in_line};
use crate::model::{Error, Result};
use crate::system::System;
use crate::system::files::is_executable;
use crate::system::regex::Regex;
use serde::Serialize;
use std::path::Path;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// dkms refuses the package.
    Error,
    /// It does something else than its author expects, on some machines at least.
    Warning,
    /// It works, and could be better.
    Hint,
}

/// One thing to tell the author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LintFinding {
    pub severity: Severity,
    /// The line of the dkms.conf, counted from 1; null where it is about the whole.
    pub line: Option<usize>,
    pub text: String,
}

/// How much a message of bash matters, and its line: what comes after a mistake in the syntax is not read.
fn of_bash(message: &str) -> (Severity, Option<usize>) {
    let is_syntax = ["syntax error", "unexpected EOF"].iter().any(|words| message.contains(words));
    let line = message.split("line ").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
    (if is_syntax { Severity::Error } else { Severity::Warning }, line)
}

/// What is known of the package.
struct Author<'a> {
    dir: &'a Path,
    text: &'a str,
    conf: &'a PackageConf,
    found: Vec<LintFinding>,
}

/// Everything that is to be said about a dkms.conf, the most serious first.
///
/// # Errors
/// It cannot be read.
pub(crate) fn lint(
    path: &Path,
    view: EvalContext<'_>,
    settings: &Settings,
    system: &System,
) -> Result<Vec<LintFinding>> {
    let effective = read_effective(path, view, settings, system)?;
    let text = String::from_utf8_lossy(&fs_err::read(path)?).into_owned();
    let location = settings.effective_location(system);
    let conf = PackageConf::from_values(&effective, location.as_deref());
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut author = Author { dir, text: &text, conf: &conf, found: Vec::new() };
    author.values(&effective, path, settings, system);
    author.directives(location.as_deref());
    author.make();
    author.files();
    author.expressions();
    author.packages();
    author.found.sort_by_key(|finding| (finding.severity, finding.line));
    Ok(author.found)
}

impl Author<'_> {
    fn add(&mut self, severity: Severity, line: Option<usize>, text: impl Into<String>) {
        self.found.push(LintFinding { severity, line, text: text.into() });
    }

    /// The line that sets a directive first.
    fn line_of(&self, directive: &str) -> Option<usize> {
        let sets = |line: &str| {
            let rest = line.trim_start().strip_prefix(directive);
            rest.is_some_and(|rest| rest.starts_with(['=', '[', '+']))
        };
        self.text.lines().position(sets).map(|index| index + 1)
    }

    /// What makes dkms refuse the file, and what the second reading changes.
    fn values(&mut self, effective: &Effective, path: &Path, settings: &Settings, system: &System) {
        match understand(effective, path, Strictness::Strict, settings, system) {
            Err(Error::ConfInvalid { problems, .. }) => {
                for problem in problems {
                    let problem = problem.trim_start_matches("dkms.conf: Error! ");
                    let words = problem.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    let directive = words.into_iter().find(|word| WHITELIST.contains(word));
                    let line = directive.and_then(|directive| self.line_of(directive));
                    self.add(Severity::Error, line, problem);
                }
            }
            Err(error) => self.add(Severity::Error, None, error.in_one_line()),
            Ok(_) => {
                for message in &effective.messages {
                    let (severity, line) = of_bash(message);
                    self.add(severity, line, shown_in_line(message));
                }
            }
        }
        for misquoted in &effective.misquoted {
            let line = self.line_of(base(&misquoted.directive));
            self.add(Severity::Warning, line, format!("The {misquoted}"));
        }
    }

    fn directives(&mut self, location: Option<&str>) {
        for unused in unused(self.text) {
            let (severity, text) = match unused.meant {
                Some(meant) => {
                    (Severity::Warning, format!("{} is not a directive. Did you mean {meant}?", unused.name))
                }
                None => (Severity::Hint, format!("{} is not a directive, and nothing uses it.", unused.name)),
            };
            self.add(severity, Some(unused.line), text);
        }
        for directive in self.conf.deprecated.clone() {
            let text = format!("{directive} is deprecated. {}", replacement(directive));
            self.add(Severity::Hint, self.line_of(directive), text);
        }
        if let Some(location) = location.filter(|_| self.conf.location_by_default) {
            let text = format!(
                "DEST_MODULE_LOCATION is not set. This distribution installs modules to {location} whatever it says; others refuse the package."
            );
            self.add(Severity::Hint, None, text);
        }
        if !self.conf.autoinstall.is_yes() && self.line_of("AUTOINSTALL").is_none() {
            let text = "AUTOINSTALL is not \"yes\": new kernels do not get the module unless it is installed by hand.";
            self.add(Severity::Hint, None, text);
        }
    }

    /// A make that builds for the running kernel, whatever kernel is asked for.
    fn make(&mut self) {
        let lines: Vec<(usize, &str)> =
            self.text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())).collect();
        let asks_running = |line: &str| {
            !line.starts_with('#') && (line.contains("uname -r") || line.contains("/proc/version"))
        };
        for (number, _) in lines.iter().filter(|(_, line)| asks_running(line)) {
            let text = "`uname -r` is the running kernel; the one to build for is $kernelver.";
            self.add(Severity::Warning, Some(*number), text);
        }
        let commands: Vec<String> =
            self.conf.values().elements("MAKE").map(|(_, command)| command.to_owned()).collect();
        let Ok(makefile) = fs_err::read(self.dir.join("Makefile")) else { return };
        let makefile = String::from_utf8_lossy(&makefile).into_owned();
        let is_kbuild = makefile.contains("KERNELRELEASE");
        let raw: String =
            lines.iter().filter(|(_, line)| line.starts_with("MAKE")).map(|(_, line)| *line).collect();
        let says_kernel =
            ["kernelver", "kernel_source_dir", "dkms_tree"].iter().any(|name| raw.contains(name));
        let is_own_make = commands.iter().any(|command| !command.is_empty());
        if is_own_make && !says_kernel && !is_kbuild && makefile.contains("uname -r") {
            let text = "The Makefile asks `uname -r`, and MAKE does not tell it the kernel: pass it, as in MAKE[0]=\"make KVER=$kernelver\", with KVER ?= $(shell uname -r) in the Makefile.";
            self.add(Severity::Warning, self.line_of("MAKE"), text);
        }
    }

    /// Files that the values name.
    fn files(&mut self) {
        use Script::{PostAdd, PostBuild, PostInstall, PostRemove, PreBuild, PreInstall};
        for script in [PostAdd, PreBuild, PostBuild, PreInstall, PostInstall, PostRemove] {
            let Some(line) = self.conf.script(script) else { continue };
            let word = line.split_whitespace().next().unwrap_or_default().trim_start_matches('/');
            let (directive, file) = (script.directive(), self.dir.join(word));
            // Text that only a shell understands names no file.
            if word.contains(['$', '`', '(', '"', '\'']) || (is_executable(&file) && file.is_file()) {
                continue;
            }
            let text = match file.is_file() {
                true => format!(
                    "{directive} names {word}, which is not executable and is skipped: chmod +x {}",
                    quote(&file)
                ),
                false => format!("{directive} names {word}, which does not exist and is skipped."),
            };
            self.add(Severity::Warning, self.line_of(directive), text);
        }
        for (_, patch) in self.conf.values().elements("PATCH") {
            if !patch.is_empty() && !self.dir.join("patches").join(patch).is_file() {
                let text = format!(
                    "PATCH names {patch}, which is not in patches/: the build fails where it is used."
                );
                self.found.push(LintFinding { severity: Severity::Error, line: self.line_of("PATCH"), text });
            }
        }
        if !has_sources(self.dir) {
            self.add(Severity::Warning, None, "There is nothing beside dkms.conf to build from.");
        }
    }

    /// Regular expressions that the C library does not take.
    fn expressions(&mut self) {
        for directive in ["BUILD_EXCLUSIVE_KERNEL", "BUILD_EXCLUSIVE_ARCH", "MAKE_MATCH", "PATCH_MATCH"] {
            let values: Vec<String> =
                self.conf.values().elements(directive).map(|(_, value)| value.to_owned()).collect();
            for value in values.iter().filter(|value| !value.is_empty()) {
                if let Err(why) = Regex::new(value) {
                    let text = format!("{directive} {value:?} is not a regular expression: {why}");
                    self.add(Severity::Error, self.line_of(directive), text);
                }
            }
        }
    }

    /// What mkdeb and mkrpm would refuse, and a version that no kernel package would carry.
    fn packages(&mut self) {
        let (name, version) = (self.conf.name.clone(), self.conf.version.clone());
        if name.is_empty() || version.is_empty() {
            return;
        }
        let checks = [
            ("PACKAGE_NAME", "mkdeb", names::debian_name(&name)),
            ("PACKAGE_VERSION", "mkdeb", names::debian_version(&version)),
            ("PACKAGE_NAME", "mkrpm", names::rpm_name(&name)),
            ("PACKAGE_VERSION", "mkrpm", names::rpm_version(&version)),
        ];
        for (directive, action, result) in checks {
            if let Err(problem) = result {
                let text = format!("dkms {action} refuses it: {problem}");
                self.add(Severity::Hint, self.line_of(directive), text);
            }
        }
        if version.starts_with('#') {
            let text =
                "PACKAGE_VERSION is a placeholder: dh_dkms(1) replaces it when a Debian package is built.";
            self.add(Severity::Hint, self.line_of("PACKAGE_VERSION"), text);
        }
    }
}

/// `MAKE` of `MAKE[0]`.
fn base(directive: &str) -> &str {
    directive.split('[').next().unwrap_or(directive)
}

/// What to write in the place of a deprecated directive.
fn replacement(directive: &str) -> &'static str {
    match directive {
        "CLEAN" => "Remove it: every build starts from a fresh copy of the source.",
        "REMAKE_INITRD" => {
            "Remove it: the initramfs is made again where it has the module; see INITRAMFS in dkms.conf(5)."
        }
        "OBSOLETE_BY" => "Use BUILD_EXCLUSIVE_KERNEL_MAX.",
        _ => "Ship a file in /etc/modprobe.d instead.",
    }
}
