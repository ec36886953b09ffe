//! From arguments to a request that can hold only what makes sense; each check in the order in which callers know it.

use super::action::Action;
use super::args::Arguments;
use crate::archive::tarball::is_rpm;
use crate::conf::{Settings, is_kernel_pattern};
use crate::model::remedy::Remedy;
use crate::model::{Arch, ArchiveProblem, Error, KernelRelease, PackageName, Result, Target};
use crate::plan::request::{
    Change, ConfFormat, Content, Extent, Filter, Force, Headers, Job, PackageQuery, Removal, Request,
    StatusFormat, Subject, Switch, SwitchTo,
};
use crate::system::System;
use crate::system::files::check_writable;
use std::path::{Path, PathBuf};

const CONF_FORMATS: [(&str, ConfFormat); 2] = [("text", ConfFormat::Text), ("json", ConfFormat::Json)];
const STATUS_FORMATS: [(&str, StatusFormat); 3] =
    [("text", StatusFormat::Text), ("legacy", StatusFormat::Legacy), ("json", StatusFormat::Json)];

/// Checks the arguments, in the order of the old program, and makes a request of them.
///
/// # Errors
/// The first check that fails, with the exit code that callers know.
pub(crate) fn request(args: &Arguments, settings: &Settings, system: &System) -> Result<Request> {
    use Action as A;
    let usage = |code: u8, text: &str| Err(Error::Usage { code, text: text.to_owned() });
    if args.binaries_only && args.source_only {
        return usage(8, "You have specified both --binaries-only and --source-only.\nYou cannot do this.");
    }
    if args.arches.len() > 1 && args.arches.len() != args.kernels.len() {
        let arches = args.arches.iter().filter_map(|text| Arch::new(text).ok()).collect();
        return Err(Error::ArchCount { kernels: args.kernels.len(), arches });
    }
    if args.all && !args.kernels.is_empty() {
        return usage(2, "You cannot specify a kernel version and also specify --all on the command line.");
    }
    if args.all && !args.arches.is_empty() {
        return usage(3, "You cannot specify an arch and also specify --all on the command line.");
    }
    let Some(action) = args.action else {
        let word = args.module.clone().filter(|_| args.version.is_none());
        return Err(Error::UnknownAction(word.unwrap_or_default()));
    };
    if args.follow && action != A::Log {
        return Err(Error::UnknownOption("--follow".to_owned()));
    }
    // Of the actions that only we have; those of every dkms ignore what they do not know.
    if matches!(action, A::Why | A::Log | A::Fsck)
        && args.format.as_deref().is_some_and(|word| word != "text")
    {
        return usage(2, &format!("The action {} prints text only.", action.word()));
    }
    if matches!(action, A::KernelPreinst | A::KernelPostinst | A::KernelPrerm) {
        if args.all {
            return usage(5, &format!("The action {} does not support the --all parameter.", action.word()));
        }
        if args.kernels.len() != 1 {
            return usage(
                4,
                &format!("The action {} requires exactly one kernel version (-k).", action.word()),
            );
        }
    }
    if action == A::Status {
        let format = format(args, &STATUS_FORMATS)?;
        return Ok(Request::Status { filters: filters(args), format });
    }
    if let A::Removed(name) = action {
        let instead = match name {
            "mkkmp" => "Make a kmod package for each kernel with mkrpm.",
            _ => "Carry the modules to the machine with mkdeb, mkbmdeb, mkrpm or mktarball.",
        };
        return Err(Error::NotSupported { action: name.to_owned(), instead });
    }
    let request = Checker { args, action, settings, system }.request()?;
    if has_report(args) {
        format(args, &CONF_FORMATS)?;
    }
    Ok(match (args.dry_run, wants_report(args)) {
        (true, true) => return usage(2, "--dry-run prints no json."),
        (true, false) => Request::DryRun(Box::new(request)),
        (false, true) => Request::Reported(Box::new(request)),
        (false, false) => request,
    })
}

/// Whether the action tells programs what became of each package.
fn has_report(args: &Arguments) -> bool {
    matches!(args.action, Some(Action::Install | Action::Autoinstall))
}

/// Whether that was asked for, also where the rest of the line makes no sense.
pub(crate) fn wants_report(args: &Arguments) -> bool {
    has_report(args) && args.format.as_deref() == Some("json")
}

pub(super) struct Checker<'a> {
    pub(super) args: &'a Arguments,
    pub(super) action: Action,
    pub(super) settings: &'a Settings,
    pub(super) system: &'a System,
}

impl Checker<'_> {
    fn request(&self) -> Result<Request> {
        use Action as A;
        // A wildcard is no kernel.
        let targets = match self.action {
            A::Disable | A::Enable => Vec::new(),
            _ => self.targets()?,
        };
        let (conf, force) = (self.args.conf.clone(), self.args.force);
        let safe_upgrade = self.args.rpm_safe_upgrade;
        match self.action {
            A::Add => {
                self.no_all()?;
                self.tree_writable()?;
                let (subject, target) = (self.subject()?, first(targets)?);
                match rpm(&subject) {
                    Some(archive) => Ok(Request::InstallRpm { archive, target, force: self.plain_force() }),
                    None => Ok(Request::Change(Change::Add { subject, conf, target, force, safe_upgrade })),
                }
            }
            A::Build => {
                self.no_all()?;
                self.tree_writable()?;
                self.job(conf, targets, Change::Build)
            }
            A::Install => {
                self.root()?;
                self.job(conf, targets, Change::Install)
            }
            A::Uninstall => self.removal(Extent::Uninstall, targets),
            A::Unbuild => self.removal(Extent::Unbuild, targets),
            A::Remove => self.removal(Extent::Remove { safe_upgrade }, targets),
            A::Match => self.matching(targets),
            A::Autoinstall | A::KernelPostinst => {
                let target = self.one_kernel(targets)?;
                self.root()?;
                // Triggers of old packages pass words; a person who does expects one package alone.
                if let Some(module) = self.args.module.as_ref().filter(|module| !module.is_empty()) {
                    let text = format!("{} works on every package, {module} is ignored.", self.action.word());
                    let one = PackageName::parse(module).map(Remedy::InstallNewest);
                    let one = one.map(|remedy| format!(" One package: {remedy}")).unwrap_or_default();
                    self.system.console.warn(format!("{text}{one}"));
                }
                Ok(Request::Autoinstall { target, force: self.force() })
            }
            A::KernelPreinst | A::KernelPrerm => {
                self.root()?;
                let Target { release, arch } = first(targets)?;
                let arch = (!self.args.arches.is_empty()).then_some(arch);
                Ok(Request::Change(if self.action == A::KernelPreinst {
                    Change::KernelPreinst { release, arch }
                } else {
                    Change::KernelPrerm { release, arch }
                }))
            }
            A::GenerateMok => Ok(Request::GenerateMok { release: first(targets)?.release }),
            A::Check => self.check(),
            A::Preflight => self.preflight(),
            A::Disable => {
                let reason = self.args.reason.clone().unwrap_or_default();
                self.switch(SwitchTo::Disabled { reason })
            }
            A::Enable => self.switch(SwitchTo::Enabled),
            A::Rollback => {
                let package = self.named()?;
                self.root()?;
                if package.version.is_some() {
                    let text = "rollback finds the version itself; give the package by its name alone.\nA certain version: dkms install PACKAGE/VERSION";
                    return Err(Error::Usage { code: 2, text: text.to_owned() });
                }
                let targets = if self.args.kernels.is_empty() { Vec::new() } else { targets };
                Ok(Request::Rollback { package: package.name, targets })
            }
            A::Why => {
                let package = self.named()?;
                Ok(Request::Why { package, target: first(targets)? })
            }
            A::Log => {
                if self.args.follow && self.args.module.is_none() {
                    let text = "log --follow takes a package.\nExample: dkms log --follow hello";
                    return Err(Error::Usage { code: 2, text: text.into() });
                }
                let (package, release) = (self.wanted()?, self.one_release()?);
                Ok(Request::Log { package, release, follow: self.args.follow })
            }
            A::History => {
                let (package, release) = (self.wanted()?, self.one_release()?);
                Ok(Request::History { package, release, format: format(self.args, &CONF_FORMATS)? })
            }
            A::Lint => {
                let format = format(self.args, &CONF_FORMATS)?;
                Ok(Request::Lint { subject: self.subject()?, target: first(targets)?, format })
            }
            A::Fsck => {
                if self.args.module.is_some() || self.args.version.is_some() {
                    let text = "fsck looks at the whole tree; it takes no package.\nUse dkms check PACKAGE for one package.";
                    return Err(Error::Usage { code: 2, text: text.into() });
                }
                if self.args.repair {
                    self.root()?;
                }
                Ok(Request::Fsck { repair: self.args.repair })
            }
            A::Conf => {
                let format = format(self.args, &CONF_FORMATS)?;
                Ok(Request::Conf { subject: self.subject()?, conf, target: first(targets)?, format })
            }
            A::Mktarball => self.mktarball(targets),
            A::Mksysext => {
                if self.args.module.is_some() || self.args.version.is_some() {
                    let text =
                        "mksysext takes every package that is built.\nTo leave one out: dkms unbuild PACKAGE";
                    return Err(Error::Usage { code: 2, text: text.into() });
                }
                let archive = self.args.archive.clone();
                Ok(Request::Mksysext { targets: self.packed_targets(targets), archive })
            }
            A::MakePackage(form) => {
                let (package, conf) = (self.package()?, self.args.conf.clone());
                let (targets, content) = (self.packed_targets(targets), self.content());
                Ok(Request::MakePackage { form, package, conf, targets, content })
            }
            A::Ldtarball => {
                if force {
                    self.root()?;
                }
                let (archive, target) = (self.archive()?, first(targets)?);
                if is_rpm(&archive) {
                    return Ok(Request::InstallRpm { archive, target, force: self.plain_force() });
                }
                Ok(Request::Change(Change::Ldtarball { archive, force, target }))
            }
            A::Removed(_) | A::Status | A::Help => Err(Error::UnknownAction(self.action.word().to_owned())),
        }
    }

    /// The kernels that are named, or all that can be booted, or those of interest.
    fn check(&self) -> Result<Request> {
        let format = format(self.args, &CONF_FORMATS)?;
        let targets = if self.args.kernels.is_empty() { self.bootable()? } else { self.targets()? };
        Ok(Request::Check { targets, package: self.wanted()?, full: self.args.full, format })
    }

    /// The package of an action that only we have, for which a name is enough.
    fn named(&self) -> Result<PackageQuery> {
        let example = self.action.entry().map_or("", |entry| entry.example);
        let text = format!("{} needs the name of a package.\nExample: {example}", self.action.word());
        self.wanted()?.ok_or(Error::Usage { code: 1, text })
    }

    fn switch(&self, to: SwitchTo) -> Result<Request> {
        let package = self.named()?;
        self.root()?;
        if !self.args.arches.is_empty() {
            let text = format!("{} is for every architecture of a kernel.", self.action.word());
            return Err(Error::Usage { code: 2, text });
        }
        let kernels = match self.args.kernels.as_slice() {
            [] => None,
            [pattern] if is_kernel_pattern(pattern) => Some(pattern.clone()),
            [pattern] => {
                let text = format!("{pattern:?} is neither a kernel nor a shell wildcard for kernels.");
                return Err(Error::Usage { code: 2, text });
            }
            _ => {
                let text = "Give one kernel, or a shell wildcard for several: -k '6.1.*'".to_owned();
                return Err(Error::Usage { code: 2, text });
            }
        };
        Ok(Request::Switch(Switch { package, kernels, to }))
    }

    /// Headers from one place: named, downloaded or installed.
    fn preflight(&self) -> Result<Request> {
        let given = &self.args.overrides;
        if !given.directives.is_empty()
            || given.kernel_source_dir.is_some()
            || given.kernel_config.is_some()
            || self.args.force_vermagic
        {
            let text = "preflight builds as the hooks will: without --directive, --config, --kernelsourcedir and --force-vermagic.";
            return Err(Error::Usage { code: 2, text: text.to_owned() });
        }
        let format = format(self.args, &CONF_FORMATS)?;
        self.root()?;
        let named: Vec<PathBuf> = self.args.archive.iter().chain(&self.args.headers).cloned().collect();
        let headers = match (named.is_empty(), self.args.next) {
            (true, true) => Headers::Candidates,
            (true, false) => Headers::Installed,
            (false, false) => Headers::Given(named),
            (false, true) => {
                let text = "--next downloads the headers; it takes no packages.".to_owned();
                return Err(Error::Usage { code: 2, text });
            }
        };
        if headers == Headers::Installed && self.args.kernels.is_empty() {
            let text = "Which kernel? Give packages with its headers, --next, or -k with an installed one.\nExample: dkms preflight linux-headers-*.deb";
            return Err(Error::Usage { code: 2, text: text.to_owned() });
        }
        let releases = self.args.kernels.iter().map(|text| KernelRelease::parse(text));
        let arch = self.args.arches.first().map(|text| Arch::parse(text)).transpose()?;
        let force = self.force();
        Ok(Request::Preflight { headers, releases: releases.collect::<Result<_>>()?, arch, force, format })
    }

    fn mktarball(&self, targets: Vec<Target>) -> Result<Request> {
        let (targets, content) = (self.packed_targets(targets), self.content());
        let (conf, archive) = (self.args.conf.clone(), self.args.archive.clone());
        Ok(Request::Mktarball { package: self.package()?, conf, targets, content, archive })
    }

    fn content(&self) -> Content {
        match (self.args.source_only, self.args.binaries_only) {
            (true, _) => Content::SourceOnly,
            (_, true) => Content::BinariesOnly,
            _ => Content::Both,
        }
    }

    /// The tarball to load, which exists.
    pub(super) fn archive(&self) -> Result<PathBuf> {
        match &self.args.archive {
            Some(archive) if archive.is_file() => Ok(archive.clone()),
            Some(archive) => Err(Error::Archive { path: archive.clone(), problem: ArchiveProblem::Missing }),
            None => match (&self.args.module, &self.args.version) {
                // What is not a file was taken for a module.
                (Some(module), version) => {
                    let path = version.iter().fold(module.clone(), |path, rest| format!("{path}/{rest}"));
                    Err(Error::Archive { path: path.into(), problem: ArchiveProblem::Missing })
                }
                _ => {
                    let usage = "Usage: ldtarball <tarball> or ldtarball --archive <tarball>";
                    Err(Error::Usage { code: 2, text: format!("No tarball was given.\n{usage}") })
                }
            },
        }
    }

    fn matching(&self, targets: Vec<Target>) -> Result<Request> {
        self.root()?;
        let target = self.one_kernel(targets)?;
        let Some((template, arch)) = self.template() else {
            return Err(Error::Usage {
                code: 1,
                text: "Couldn't find template kernel.\nGive it with --templatekernel <kernel>.".into(),
            });
        };
        let template = Target::new(
            KernelRelease::parse(template)?,
            arch.map_or_else(|| Ok(target.arch.clone()), Arch::parse)?,
        );
        if template.release == target.release {
            return Err(Error::Usage {
                code: 2,
                text: "The templatekernel and the specified kernel version are the same.".into(),
            });
        }
        let package = self.args.module.as_deref().map(PackageName::parse).transpose()?;
        Ok(Request::Change(Change::Match { target, template, package, force: self.force() }))
    }

    fn removal(&self, extent: Extent, targets: Vec<Target>) -> Result<Request> {
        let (package, targets) = (self.package()?, self.built_targets(targets));
        Ok(Request::Removal(Removal { extent, package, targets }))
    }

    fn job(&self, conf: Option<PathBuf>, targets: Vec<Target>, change: fn(Job) -> Change) -> Result<Request> {
        let (subject, force) = (self.subject()?, self.force());
        match rpm(&subject) {
            Some(archive) => {
                // Its scriptlets choose the kernels.
                self.no_all()?;
                Ok(Request::InstallRpm { archive, target: first(targets)?, force })
            }
            None => {
                let every_kernel = self.args.all;
                Ok(Request::Change(change(Job { subject, conf, targets, every_kernel, force })))
            }
        }
    }

    /// Of the options that override something, --force alone.
    fn plain_force(&self) -> Force {
        Force { force: self.args.force, ..Force::default() }
    }

    fn force(&self) -> Force {
        Force {
            force: self.args.force,
            version_override: self.args.force_version_override,
            vermagic: self.args.force_vermagic,
            safe_upgrade: self.args.rpm_safe_upgrade,
        }
    }

    fn no_all(&self) -> Result<()> {
        if self.args.all {
            let text = format!("The action {} does not support the --all parameter.", self.action.word());
            return Err(Error::Usage { code: 5, text });
        }
        Ok(())
    }

    fn one_kernel(&self, targets: Vec<Target>) -> Result<Target> {
        self.no_all()?;
        if targets.len() > 1 {
            let text = format!(
                "The action {} does not support multiple kernel version parameters.",
                self.action.word()
            );
            return Err(Error::Usage { code: 4, text });
        }
        first(targets)
    }

    fn root(&self) -> Result<()> {
        if self.system.is_privileged() || self.args.dry_run {
            Ok(())
        } else {
            Err(Error::NotRoot { action: self.action.word() })
        }
    }

    fn tree_writable(&self) -> Result<()> {
        if self.args.dry_run { Ok(()) } else { require_writable(&self.settings.dkms_tree) }
    }
}

/// # Errors
/// The tree, or where it would be made, takes no file of ours.
pub(crate) fn require_writable(tree: &Path) -> Result<()> {
    check_writable(tree).map_err(|e| Error::NotWritable { path: tree.to_owned(), why: e.to_string() })
}

/// The rpm package that a subject is.
fn rpm(subject: &Subject) -> Option<PathBuf> {
    match subject {
        Subject::Archive(archive) => is_rpm(archive).then(|| archive.clone()),
        Subject::Package(_) | Subject::Directory(_) => None,
    }
}

fn first(targets: Vec<Target>) -> Result<Target> {
    targets.into_iter().next().ok_or(Error::EmptyTarget)
}

/// The form that a listing is to have, by its name, of those that the action knows; the first is the usual one.
fn format<T: Copy>(args: &Arguments, known: &[(&str, T)]) -> Result<T> {
    let word = args.format.as_deref().unwrap_or(known[0].0);
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    known.iter().find(|(name, _)| *name == word).map(|(_, format)| *format).ok_or_else(|| {
        let what = if word.is_empty() {
            "--format needs a value.".to_owned()
        } else {
            format!("Unknown format: {word}")
        };
        let text = format!("{what}\nThe formats are {}.", names());
        Error::Usage { code: 2, text }
    })
}

/// One filter for each kernel, or one for any.
fn filters(args: &Arguments) -> Vec<Filter> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let count = args.kernels.len().max(1);
    (0..count)
        .map(|i| Filter {
            name: given(&args.module),
            version: given(&args.version),
            release: args.kernels.get(i).cloned().filter(|text| !text.is_empty()),
            arch: args
                .arches
                .get(if args.arches.len() == 1 { 0 } else { i })
                .cloned()
                .filter(|text| !text.is_empty()),
        })
        .collect()
}
