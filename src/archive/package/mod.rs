//! Packages for other machines, made with the distributions' own tools from what the tree has: the source of a package,
//! and modules that are built.
//!
//! The same inputs give the same package, whenever and wherever it is made: files have fixed modes and owners, and the time
//! that SOURCE_DATE_EPOCH says.

mod deb;
mod dsc;
mod modules_deb;
mod rpm;
mod template;

use crate::archive::tarball::{Members, built_targets, check_conf, write_file};
use crate::archive::tools::Tools;
use crate::conf::{EvalContext, PackageConf, Settings, Strictness, read_package};
use crate::model::{BuildId, Error, PackageId, PackagingProblem, Result, SourceState, Target};
use crate::plan::request::{Content, PackageForm, Targets};
use crate::session::WriteSession;
use crate::system::dir;
use crate::system::fingerprint::NOT_SOURCE;
use crate::system::{System, files};
use crate::tree::{Built, Tree};
use std::path::{Path, PathBuf};

/// What to make.
#[derive(Debug, Clone)]
pub(crate) struct Packaging<'a> {
    pub form: PackageForm,
    pub package: &'a PackageId,
    /// In place of the package's own dkms.conf.
    pub conf: Option<&'a Path>,
    pub targets: &'a Targets,
    pub content: Content,
}

/// The actions mkdeb, mkbmdeb, mkdsc and mkrpm. A file gets its name in `T/M/V/deb` and so on when it is complete.
///
/// # Errors
/// The package is not added, or not built for one of the kernels; a tool is missing or fails; its name cannot be used.
pub(crate) fn make_package(packaging: &Packaging<'_>, session: &WriteSession<'_>) -> Result<()> {
    let (settings, system) = (session.settings, session.system);
    let tree = session.tree().clone();
    let source = tree.added(packaging.package, &settings.source_tree)?.source().to_owned();
    let content = content(packaging, &tree, settings)?;
    let targets = targets(&Packaging { content, ..packaging.clone() }, &tree, settings)?;
    let own_conf = source.join("dkms.conf");
    let conf = packaging.conf.unwrap_or(&own_conf).to_owned();
    check_conf(&conf, packaging.package, targets.first(), settings, system)?;
    let dir = files::private_dir(&settings.tmp_location, "dkms-package.")?;
    let maker = PackageBuilder {
        id: packaging.package,
        content,
        source,
        conf,
        targets,
        tree,
        dir: dir.path().to_owned(),
        tools: Tools::new(packaging.form.action(), system),
        settings,
        system,
    };
    let made = match packaging.form {
        PackageForm::Deb => maker.deb()?,
        PackageForm::ModulesDeb => maker.modules_debs()?,
        PackageForm::SourceDeb => maker.dsc()?,
        PackageForm::Rpm => maker.rpms()?,
    };
    let place = session.writer.result_dir(packaging.package, packaging.form.dir_name())?;
    system.console.say(format!("\nMoving built files to {}", place.display()));
    for file in made {
        let path = place.join(file.file_name().unwrap_or_default());
        files::publish_copy(&file, &path, 0o644)?;
        system.console.say(path.display().to_string());
    }
    Ok(())
}

/// What goes in: of a package that came without its source, only what is built.
fn content(packaging: &Packaging<'_>, tree: &Tree, settings: &Settings) -> Result<Content> {
    if tree.source_state(packaging.package, &settings.source_tree) != Some(SourceState::BinariesOnly) {
        return Ok(packaging.content);
    }
    if packaging.form == PackageForm::SourceDeb || packaging.content == Content::SourceOnly {
        let why = format!("{} has no source here, only built modules.", packaging.package);
        let (action, problem) = (packaging.form.action(), PackagingProblem::Source(why));
        return Err(Error::Packaging { action, problem });
    }
    Ok(Content::BinariesOnly)
}

/// The kernels whose builds go in. A package of the source needs none.
fn targets(packaging: &Packaging<'_>, tree: &Tree, settings: &Settings) -> Result<Vec<Target>> {
    if packaging.form == PackageForm::SourceDeb {
        return Ok(Vec::new());
    }
    let all = built_targets(packaging.package, packaging.targets, packaging.content, tree, settings);
    let has_source = packaging.content != Content::BinariesOnly && packaging.form != PackageForm::ModulesDeb;
    match all {
        Err(Error::NothingToArchive { target: None, .. }) if has_source => Ok(Vec::new()),
        Err(Error::NothingToArchive { package, target }) => {
            let problem = PackagingProblem::NotBuilt { package, target };
            Err(Error::Packaging { action: packaging.form.action(), problem })
        }
        all => all,
    }
}

/// What every form needs.
struct PackageBuilder<'a> {
    id: &'a PackageId,
    content: Content,
    source: PathBuf,
    conf: PathBuf,
    targets: Vec<Target>,
    tree: Tree,
    /// Where everything is prepared; it goes when all is done.
    dir: PathBuf,
    tools: Tools<'a>,
    settings: &'a Settings,
    system: &'a System,
}

impl PackageBuilder<'_> {
    fn write(&self, path: &Path, text: &str, mode: u32) -> Result<()> {
        if let Some(dir) = path.parent() {
            files::create_dirs(dir)?;
        }
        Ok(files::stage_file(path, text.as_bytes(), mode)?)
    }

    fn built(&self, target: &Target) -> Result<Built> {
        let build = BuildId::new(self.id.clone(), target.clone());
        let problem =
            || PackagingProblem::NotBuilt { package: self.id.clone(), target: Some(target.clone()) };
        self.tree.built(&build).ok_or_else(|| self.tools.fails(problem()))
    }

    fn package_conf(&self, target: &Target) -> Result<PackageConf> {
        let kernel = self.settings.kernel(&target.release);
        let view = EvalContext { package: Some(self.id), kernel: &kernel, arch: &target.arch };
        read_package(&self.conf, view, Strictness::Lenient, self.settings, self.system)
    }

    /// A copy of the source, without what version control keeps in it.
    fn copy_source(&self, to: &Path) -> Result<()> {
        files::copy_tree(&self.source, to)?;
        drop_version_control(to)?;
        if self.conf != self.source.join("dkms.conf") {
            files::publish_copy(&self.conf, &to.join("dkms.conf"), 0o644)?;
        }
        Ok(files::normalise(to, self.tools.time)?)
    }

    /// A tarball as `ldtarball` of any dkms takes it. What is built comes with our record of it, so that a machine where
    /// something differs builds its own.
    fn write_tarball(&self, path: &Path, content: Content) -> Result<()> {
        let stage = self.dir.join("tarball");
        let tree = stage.join("dkms_main_tree");
        files::create_dirs(&tree)?;
        let mut tops = vec!["dkms_main_tree"];
        if content == Content::BinariesOnly {
            let known = stage.join("dkms_binaries_only");
            self.write(&known.join("PACKAGE_NAME"), &format!("{}\n", self.id.name), 0o644)?;
            self.write(&known.join("PACKAGE_VERSION"), &format!("{}\n", self.id.version), 0o644)?;
            files::publish_copy(&self.conf, &known.join("dkms.conf"), 0o644)?;
            tops.push("dkms_binaries_only");
        } else {
            self.copy_source(&stage.join("dkms_source_tree"))?;
            tops.push("dkms_source_tree");
        }
        for target in &self.targets {
            let built = self.built(target)?;
            let dir = tree.join(target.release.as_str()).join(target.arch.as_str());
            files::copy_tree(&built.modules(), &dir.join("module"))?;
            if let Some(record) = built.record() {
                record.portable().stage(&dir)?;
            }
        }
        files::normalise(&stage, self.tools.time)?;
        write_file(path, |members: &mut Members<'_>| {
            tops.iter().try_for_each(|top| members.add_dir(top, &stage.join(top), |_| true))
        })?;
        Ok(files::remove_tree(&stage)?)
    }
}

fn drop_version_control(dir: &Path) -> Result<()> {
    for entry in dir::read(dir)? {
        if NOT_SOURCE.iter().any(|name| entry.file_name() == *name) {
            files::remove_tree(&entry.path())?;
        } else if entry.file_type()?.is_dir() {
            drop_version_control(&entry.path())?;
        }
    }
    Ok(())
}
