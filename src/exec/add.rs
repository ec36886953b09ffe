//! Adds a package to the tree: from the source tree by name, or from any directory, which is copied there first.

use super::Engine;
use super::environment::Environment;
use crate::conf::{Script, Strictness, View, read_package};
use crate::model::{BuildId, Error, PackageId, PackageName, PackageVersion, Result, Target};
use crate::plan::request::Subject;
use crate::system::files;
use crate::tree::Added;
use std::path::{Path, PathBuf};

/// How an addition is meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct AddOptions<'a> {
    /// Read in place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    /// Replace what the source tree has of this package.
    pub force: bool,
    /// Called from a scriptlet of rpm: the removal of the same version in the same transaction is not meant.
    pub safe_upgrade: bool,
}

impl Engine<'_> {
    /// The action `add`. POST_ADD's failure is the action's, and the package stays added.
    ///
    /// # Errors
    /// The package is there already, its source is missing, its dkms.conf is invalid, or nothing can be written.
    pub fn add(&self, subject: &Subject, options: AddOptions<'_>, target: &Target) -> Result<Added> {
        let registered = self.register(subject, options, target);
        if options.safe_upgrade {
            self.mark_upgrade(&registered);
        }
        let (added, post_add) = registered?;
        let Some(line) = post_add else { return Ok(added) };
        let status = self.run_script(added.id(), Script::PostAdd, &line, None)?;
        if status.success() {
            Ok(added)
        } else {
            Err(Error::ScriptFailed { script: "POST_ADD", status: status.code().max(1), log: None })
        }
    }

    /// Notes the addition, also of a package that was there: rpm adds the new one before it removes the old one.
    fn mark_upgrade(&self, registered: &Result<(Added, Option<String>)>) {
        let id = match registered {
            Ok((added, _)) => added.id(),
            Err(Error::AlreadyAdded(id)) => id,
            Err(_) => return,
        };
        if let Err(error) = self.writer.mark_upgrade(id, &self.system.moment()) {
            self.system
                .ui
                .warn(format!("The removal of {id} in this transaction will not be skipped: {error}"));
        }
    }

    /// The package of a subject, added if it is not. A directory or a tarball is always an addition: that its package is there
    /// already is an error that callers test for. Forced, a directory's content becomes the source of the package that is there.
    ///
    /// # Errors
    /// Those of `add`, but not POST_ADD's.
    pub fn ensure_added(&self, subject: &Subject, options: AddOptions<'_>, target: &Target) -> Result<Added> {
        if let Subject::Package(id) = subject {
            match self.added(id) {
                Ok(added) => return Ok(added),
                Err(error @ Error::Broken { .. }) => return Err(error),
                Err(_) => {}
            }
        }
        if let (Subject::Directory(dir), true) = (subject, options.force) {
            let id = self.identify(subject, target)?;
            if let Ok(added) = self.added(&id) {
                self.take_over(&resolve(dir)?, &id, options, target)?;
                return Ok(added);
            }
        }
        let (added, post_add) = self.register(subject, options, target)?;
        if let Some(line) = post_add {
            let build = BuildId::new(added.id().clone(), target.clone());
            let environment = Environment::of(&build, self);
            self.run_post_script(added.id(), Script::PostAdd, &line, Some(&environment));
        }
        Ok(added)
    }

    /// Which package a subject is: a directory is asked through its dkms.conf.
    ///
    /// # Errors
    /// The directory has no dkms.conf, or one that names no package.
    pub fn identify(&self, subject: &Subject, target: &Target) -> Result<PackageId> {
        let dir = match subject {
            Subject::Package(id) => return Ok(id.clone()),
            Subject::Directory(dir) => resolve(dir)?,
            Subject::Archive(archive) => {
                return Err(Error::NotLoaded { archive: archive.clone() });
            }
        };
        let kernel = self.kernel(&target.release);
        let view = View { package: None, kernel: &kernel, arch: &target.arch };
        let path = dir.join("dkms.conf");
        let conf = read_package(&path, view, Strictness::Lenient, self.settings, self.system)?;
        let invalid = |why: String| Error::ConfInvalid { path: path.clone(), problems: vec![why] };
        let name = PackageName::new(&conf.name).map_err(|why| invalid(format!("PACKAGE_NAME: {why}")))?;
        let version =
            PackageVersion::new(&conf.version).map_err(|why| invalid(format!("PACKAGE_VERSION: {why}")))?;
        if let Some(directive) = placeholder(&conf.name, &conf.version) {
            return Err(invalid(format!(
                "dkms.conf: Error! {directive} is a placeholder, which the package's build should have replaced.\nName the package on the command line: -m <module> -v <module-version>"
            )));
        }
        Ok(PackageId::new(name, version))
    }

    /// Checks everything, then copies, then links: a refused package changes nothing.
    fn register(
        &self,
        subject: &Subject,
        options: AddOptions<'_>,
        target: &Target,
    ) -> Result<(Added, Option<String>)> {
        if let Subject::Archive(archive) = subject {
            return self.load(archive, options, target);
        }
        let id = self.identify(subject, target)?;
        if self.writer.is_added(&id, &self.settings.source_tree) {
            return Err(Error::AlreadyAdded(id));
        }
        let source_dir = self.source_dir(&id);
        let import = match subject {
            Subject::Directory(dir) => self.needs_copy(&resolve(dir)?, &id, &source_dir)?,
            Subject::Package(_) | Subject::Archive(_) => None,
        };
        if import.is_none() && !source_dir.is_dir() {
            return Err(Error::SourceMissing { path: source_dir });
        }
        let own_conf = import.as_deref().unwrap_or(&source_dir).join("dkms.conf");
        let conf = self.conf(&id, options.conf.unwrap_or(&own_conf), target, Strictness::Strict)?;
        self.tell_about(&conf, &id);
        let is_new = import.is_some() && source_dir.symlink_metadata().is_err();
        if let Some(dir) = import {
            self.import(&dir, &source_dir, options.force)?;
        }
        let added = match self.link_source(&id, &source_dir) {
            Ok(added) => added,
            Err(error) => {
                if is_new {
                    files::remove_tree(&source_dir)?;
                }
                return Err(error);
            }
        };
        Ok((added, conf.script(Script::PostAdd).map(str::to_owned)))
    }

    /// Makes a directory's content the source of a package that is added, unless it is that already.
    fn take_over(&self, dir: &Path, id: &PackageId, options: AddOptions<'_>, target: &Target) -> Result<()> {
        let source_dir = self.source_dir(id);
        let Some(dir) = self.needs_copy(dir, id, &source_dir)? else { return Ok(()) };
        let own_conf = dir.join("dkms.conf");
        self.conf(id, options.conf.unwrap_or(&own_conf), target, Strictness::Strict)?;
        self.import(&dir, &source_dir, true)?;
        self.system.ui.say(format!("Copied {} to {}.", dir.display(), source_dir.display()));
        Ok(())
    }

    /// Links a package of the source tree into the DKMS tree, and says so.
    pub(super) fn link_source(&self, id: &PackageId, source_dir: &Path) -> Result<Added> {
        let added = self.writer.register(id, source_dir)?;
        let link = added.source().display();
        self.system.ui.say(format!("Creating symlink {link} -> {}", source_dir.display()));
        Ok(added)
    }

    /// The directory to copy from, unless it is the package's place in one of the trees already.
    fn needs_copy(&self, dir: &Path, id: &PackageId, source_dir: &Path) -> Result<Option<PathBuf>> {
        let real = |path: PathBuf| fs_err::canonicalize(&path).unwrap_or(path);
        let own = [source_dir.to_owned(), self.tree().source(id), self.tree().build_dir(id)];
        if own.into_iter().any(|place| real(place) == dir) {
            return Ok(None);
        }
        if real(self.settings.source_tree.clone()).starts_with(dir) {
            return Err(Error::HoldsSourceTree { dir: dir.to_owned() });
        }
        self.require_writable_sources()?;
        Ok(Some(dir.to_owned()))
    }

    pub(super) fn require_writable_sources(&self) -> Result<()> {
        let path = &self.settings.source_tree;
        files::check_writable(path).map_err(|e| Error::NotWritable { path: path.clone(), why: e.to_string() })
    }

    /// Copies a directory into the source tree. The copy is complete before it gets its name; what stood there is
    /// merged into it, unless forced away.
    pub(super) fn import(&self, dir: &Path, source_dir: &Path, force: bool) -> Result<()> {
        let prefix = format!(".{}-", source_dir.file_name().unwrap_or_default().to_string_lossy());
        let staged = files::closed_temporary_dir(&self.settings.source_tree, &prefix)?;
        let copied = (|| {
            // A directory inside of the package's own source is not told to replace what it lies in.
            if source_dir.is_dir() && (!force || files::lies_below(dir, source_dir)) {
                files::copy_tree(source_dir, &staged)?;
            }
            files::copy_tree(dir, &staged)?;
            files::publish_dir(&staged, source_dir)
        })();
        if copied.is_err() {
            files::remove_tree(&staged)?;
        }
        if let Some(old) = copied? {
            files::remove_tree(&old)?;
        }
        Ok(())
    }
}

/// Which of the two is a word for a build system to replace, such as `@PKGVER@` or `#MODULE_VERSION#`.
pub(super) fn placeholder(name: &str, version: &str) -> Option<&'static str> {
    let is_placeholder = |text: &str| {
        let inner = |mark: &str| text.strip_prefix(mark)?.strip_suffix(mark).map(str::to_owned);
        let name = ["@", "@@", "#", "%", "__"].into_iter().find_map(inner);
        name.is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_@#%".contains(c))
        })
    };
    let found = [("PACKAGE_VERSION", version), ("PACKAGE_NAME", name)];
    found.into_iter().find(|(_, text)| is_placeholder(text)).map(|(directive, _)| directive)
}

/// A directory with a dkms.conf, by its real name.
fn resolve(dir: &Path) -> Result<PathBuf> {
    let missing = || Error::NoConfInDirectory { path: dir.to_owned() };
    let real = fs_err::canonicalize(dir).map_err(|_| missing())?;
    if real.join("dkms.conf").is_file() { Ok(real) } else { Err(missing()) }
}
