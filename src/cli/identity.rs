//! Which package a command line means: by name and version, by name alone, by a directory or an archive.

use super::action::Action;
use super::request::Checker;
use crate::model::similar::most_similar;
use crate::model::{Error, PackageId, PackageName, PackageVersion, Result, compare_versions};
use crate::plan::request::{PackageQuery, Subject};
use crate::system::dir;
use crate::tree::Tree;

impl Checker<'_> {
    /// The package named on the command line, or the directory, or the missing-arguments error.
    pub(super) fn subject(&self) -> Result<Subject> {
        if self.args.module.is_none() && self.args.version.is_none() {
            if let Some(dir) = &self.args.source_dir {
                return Ok(Subject::Directory(dir.clone()));
            }
            if self.args.archive.is_some() {
                return self.archive().map(Subject::Archive);
            }
        }
        self.identity().map(Subject::Package)
    }

    pub(super) fn package(&self) -> Result<PackageId> {
        self.identity()
    }

    fn identity(&self) -> Result<PackageId> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(path) = &self.args.unusable_path {
            let why = if path.is_dir() { "holds no dkms.conf" } else { "does not exist" };
            let text = format!(
                "The path {} {why}.\nGive a package as NAME/VERSION, or the directory of one.",
                path.display()
            );
            return Err(Error::Usage { code: 1, text });
        }
        match (given(&self.args.module), given(&self.args.version)) {
            (Some(module), Some(version)) => {
                Ok(PackageId::new(PackageName::parse(&module)?, PackageVersion::parse(&version)?))
            }
            (Some(module), None) if self.args.named_by_word && self.args.version.is_none() => {
                self.by_name(&PackageName::parse(&module)?)
            }
            _ => Err(Error::MissingIdentity { action: self.action.word() }),
        }
    }

    /// The version of a package that was given by its name, the newest of several; where something is taken out, none is
    /// guessed.
    fn by_name(&self, name: &PackageName) -> Result<PackageId> {
        let snapshot = Tree::at(&self.settings.dkms_tree).scan(&self.settings.source_tree);
        let known: Vec<&PackageId> = snapshot.versions(name).iter().map(|package| &package.id).collect();
        let list = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let makes = matches!(self.action, Action::Build | Action::Install | Action::Conf | Action::Lint);
        let makes_or_adds = makes || self.action == Action::Add;
        match known.first() {
            Some(newest) if makes => {
                if known.len() > 1 {
                    let console = &self.system.console;
                    console.note(format!("Registered: {list}. Taking {newest}."));
                }
                Ok((*newest).clone())
            }
            Some(_) => {
                let missing = Error::MissingIdentity { action: self.action.word() };
                Err(Error::Usage { code: 1, text: format!("{missing}\nRegistered: {list}") })
            }
            None => {
                let missing = Error::MissingIdentity { action: self.action.word() };
                let names = snapshot.names();
                let similar = most_similar(name.as_str(), names.iter().map(|known| known.as_str()));
                let meant = similar.map(|known| format!(" Did you mean {known}?")).unwrap_or_default();
                // Removal works on what is registered alone.
                let source = makes_or_adds.then(|| self.newest_source(name)).flatten();
                let source = source.map(|id| format!("\nTry: dkms {} {id}", self.action.word()));
                let source = source.unwrap_or_default();
                Err(Error::Usage {
                    code: 1,
                    text: format!("{missing}\nNo package {name} is registered.{meant}{source}"),
                })
            }
        }
    }

    /// The newest version of a package whose source lies in the source tree.
    fn newest_source(&self, name: &PackageName) -> Option<PackageId> {
        let entries = dir::entries(&self.settings.source_tree);
        let version = |entry: &fs_err::DirEntry| {
            let directory = entry.file_name();
            let version = directory.to_str()?.strip_prefix(name.as_str())?.strip_prefix('-')?;
            // `hello-world-1.0` is another package.
            let is_version = version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
            let has_conf = is_version && entry.path().join("dkms.conf").is_file();
            PackageVersion::new(version).ok().filter(|_| has_conf)
        };
        let newest =
            entries.iter().filter_map(version).max_by(|a, b| compare_versions(a.as_str(), b.as_str()))?;
        Some(PackageId::new(name.clone(), newest))
    }

    /// The package that is asked for, in one version or any.
    pub(super) fn wanted(&self) -> Result<Option<PackageQuery>> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let version = given(&self.args.version).map(|text| PackageVersion::parse(&text)).transpose()?;
        let name = given(&self.args.module).map(|name| PackageName::parse(&name)).transpose()?;
        Ok(name.map(|name| PackageQuery { name, version }))
    }
}
