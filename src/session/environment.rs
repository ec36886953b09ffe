//! What makes and scripts see: exported variables, and the shell's own.

use crate::conf::Settings;
use crate::kernel::Kernel;
use crate::model::{BuildId, Result};
use crate::system::System;
use crate::system::process::{Command, Output};
use std::collections::BTreeMap;
use std::path::Path;

/// The variables of one build or installation.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProgramEnvironment {
    exported: BTreeMap<String, String>,
    /// Visible to a shell command line, not to the programs it starts.
    shell_only: BTreeMap<String, String>,
}

impl ProgramEnvironment {
    /// `module`, `module_version`, `kernelver` and `arch` exported; the trees for shell lines.
    #[must_use]
    pub(crate) fn from_build(build: &BuildId, kernel: &Kernel, settings: &Settings, tree: &Path) -> Self {
        let mut exported: BTreeMap<String, String> = [
            ("module", build.package.name.to_string()),
            ("module_version", build.package.version.to_string()),
            ("kernelver", build.target.release.to_string()),
            ("arch", build.target.arch.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        exported.extend(settings.directives.iter().cloned());
        let shell_only = [
            ("kernel_source_dir", kernel.build_dir.to_string_lossy().into_owned()),
            ("kernel_config", kernel.config_path.to_string_lossy().into_owned()),
            ("dkms_tree", tree.to_string_lossy().into_owned()),
            ("source_tree", settings.source_tree.to_string_lossy().into_owned()),
            ("install_tree", settings.install_tree.to_string_lossy().into_owned()),
            ("parallel_jobs", settings.jobs.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        Self { exported, shell_only }
    }

    /// Only the package: what removal by kernel gives to scripts.
    #[must_use]
    pub(crate) fn of_package(build: &BuildId) -> Self {
        let exported = [
            ("module", build.package.name.to_string()),
            ("module_version", build.package.version.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        Self { exported, shell_only: BTreeMap::new() }
    }

    pub(crate) fn export(&mut self, name: &str, value: &str) {
        self.exported.insert(name.to_owned(), value.to_owned());
    }

    /// Messages are English; characters are what the caller's locale says.
    pub(crate) fn speak_english(&mut self, system: &System) {
        if let Some(all) = system.inherited_env().get("LC_ALL").filter(|value| !value.is_empty()) {
            self.export("LC_CTYPE", all);
        }
        for (name, value) in [("LC_ALL", ""), ("LANGUAGE", ""), ("LC_MESSAGES", "C")] {
            self.export(name, value);
        }
    }

    /// A variable of the programs, exported or inherited.
    #[must_use]
    pub(crate) fn value(&self, name: &str, system: &System) -> Option<String> {
        self.exported.get(name).cloned().or_else(|| system.inherited_env().get(name).cloned())
    }

    /// Where programs are looked for.
    #[must_use]
    pub(crate) fn path(&self, system: &System) -> String {
        let inherited = || system.variable("PATH").unwrap_or_default().to_owned();
        self.exported.get("PATH").cloned().unwrap_or_else(inherited)
    }

    /// Adds a word to a variable, also to an inherited one.
    pub(crate) fn append(&mut self, name: &str, word: &str, system: &System) {
        let value = match self.value(name, system).filter(|value| !value.is_empty()) {
            Some(value) => format!("{value} {word}"),
            None => word.to_owned(),
        };
        self.export(name, &value);
    }

    #[must_use]
    pub(crate) fn apply(&self, command: Command) -> Command {
        self.exported.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// A bash that evaluates `line` with these variables.
    #[must_use]
    pub(crate) fn shell(&self, system: &System, line: &str) -> Command {
        let quoted = |value: &str| format!("'{}'", value.replace('\'', "'\\''"));
        let assignments: Vec<String> =
            self.shell_only.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
        let script = format!("{}\n{line}", assignments.join(" "));
        self.apply(system.command("bash")).args(["--norc", "--noprofile", "-c"]).arg(script)
    }

    /// Takes over what a shell file exports: `build_environment` of framework.conf.
    ///
    /// # Errors
    /// bash cannot be started.
    pub(crate) fn source(&mut self, file: &Path, system: &System) -> Result<()> {
        if !file.is_file() {
            return Ok(());
        }
        let known = system.inherited_env();
        let line = "{ . \"$DKMS_BUILD_ENVIRONMENT\"; } >/dev/null 2>&1; unset DKMS_BUILD_ENVIRONMENT; env -0";
        let outcome =
            self.shell(system, line).env("DKMS_BUILD_ENVIRONMENT", file).stdout(Output::Capture).run()?;
        for entry in outcome.stdout.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            let Some((name, value)) = entry.split_once('=') else { continue };
            let given =
                self.exported.get(name).map(String::as_str).or_else(|| known.get(name).map(String::as_str));
            if !matches!(name, "_" | "SHLVL" | "PWD" | "OLDPWD") && given != Some(value) {
                self.export(name, value);
            }
        }
        Ok(())
    }
}
