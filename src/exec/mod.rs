//! Effects: carries plans out. One external action a file; nothing here asks *whether*.

mod add;
pub mod autoinstall;
mod build;
mod check;
mod compress;
mod dependents;
mod depmod;
mod environment;
mod fsck;
mod initramfs;
mod inputs;
mod install;
mod jobs;
mod kernel;
mod lifecycle;
mod log;
mod make;
mod originals;
mod package;
mod recover;
mod remove;
mod resign;
mod schedule;
mod scripts;
pub mod sign;
mod signer;
mod tarball;
mod transaction;
mod uninstall;
mod weak_modules;

pub use add::AddOptions;
pub use autoinstall::{Report, autoinstall};
#[cfg(any(test, fuzzing))]
pub(crate) use check::parse_modules_dep;
pub use check::{Finding, KernelCheck, Kind};
pub use fsck::Disorder;
pub use initramfs::{ImageModules, image_contents, listed_for_images};
pub use kernel::{kernel_preinst, kernel_prerm};
pub use lifecycle::{Job, build_all, install_all, match_kernel};
pub use originals::hand_back;
pub use package::{Packaging, make_package};
pub use remove::{clear_for_upgrade, remove_all, unbuild_all, uninstall_all};
pub use signer::generate_mok;
pub use tarball::{Packing, install_rpm, is_rpm, mktarball};
#[cfg(any(test, fuzzing))]
pub(crate) use tarball::{link_leading_out, unpack};

use environment::Environment;

use crate::conf::{PackageConf, Settings, Strictness, View, read_package};
use crate::kernel::Kernel;
use crate::model::text::shown_in_line;
use crate::model::{BuildId, Error, KernelRelease, PackageId, Result, Target};
use crate::signing::Signer;
use crate::system::{System, signals};
use crate::tree::{Added, BuildRecord, Built, Tree, UsedFile, Writer};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// What can be known without the right to write: the machine, the configuration, the tree, and the kernels read so far.
#[derive(Debug)]
pub struct Reader<'a> {
    pub system: &'a System,
    pub settings: &'a Settings,
    tree: Tree,
    kernels: Mutex<HashMap<KernelRelease, Arc<Kernel>>>,
    /// Builds whose inputs were only written anew, with the record that says so.
    rewritten: Mutex<Vec<(Built, BuildRecord)>>,
    /// What the headers in each build directory are now.
    headers: Mutex<HashMap<PathBuf, Option<String>>>,
    /// The compilers that builds of this run used.
    compilers: Mutex<HashMap<PathBuf, Option<UsedFile>>>,
    /// How the modules of each kernel are signed now.
    signatures: Mutex<HashMap<KernelRelease, Arc<resign::Wanted>>>,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(settings: &'a Settings, system: &'a System) -> Self {
        Self::of(Tree::at(&settings.dkms_tree), settings, system)
    }

    fn of(tree: Tree, settings: &'a Settings, system: &'a System) -> Self {
        Self {
            system,
            settings,
            tree,
            kernels: Mutex::default(),
            rewritten: Mutex::default(),
            headers: Mutex::default(),
            compilers: Mutex::default(),
            signatures: Mutex::default(),
        }
    }

    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The facts of a kernel, read once in a run.
    #[must_use]
    pub fn kernel(&self, release: &KernelRelease) -> Arc<Kernel> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kernels.entry(release.clone()).or_insert_with(|| Arc::new(self.settings.kernel(release))))
    }

    /// The dkms.conf of an added package, or the file given in its place.
    ///
    /// # Errors
    /// It is missing, unreadable or invalid.
    pub fn conf(
        &self,
        id: &PackageId,
        conf: &Path,
        target: &Target,
        strictness: Strictness,
    ) -> Result<PackageConf> {
        let kernel = self.kernel(&target.release);
        let view = View { package: Some(id), kernel: &kernel, arch: &target.arch };
        read_package(conf, view, strictness, self.settings, self.system)
    }
}

/// What goes on after failures: each is told when it comes, and the first one is how the whole ended.
#[derive(Debug, Default)]
struct Failures {
    first: Option<Error>,
}

impl Failures {
    fn note<T>(&mut self, engine: &Engine<'_>, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                engine.tell(&error);
                self.first.get_or_insert(error);
            })
            .ok()
    }

    fn result(self) -> Result<()> {
        self.first.map_or(Ok(()), |error| Err(Error::Told(Box::new(error))))
    }
}

/// What every effect needs: what can be known, and the right to write.
#[derive(Debug)]
pub struct Engine<'a> {
    reader: Reader<'a>,
    pub writer: Writer,
    signers: Mutex<HashMap<KernelRelease, Result<Option<Signer>, String>>>,
    /// Whether the state of the certificate's enrolment was looked at.
    enrolment_told: AtomicBool,
    told: Mutex<HashSet<PackageId>>,
    /// What was built in this run, and with which variables: its installation finds the same.
    environments: Mutex<HashMap<BuildId, Environment>>,
}

impl<'a> std::ops::Deref for Engine<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

impl<'a> Engine<'a> {
    /// Takes the lock of the tree, and puts in order what an earlier holder left unfinished. Whatever is read of the tree is
    /// read after this.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub fn lock(settings: &'a Settings, system: &'a System) -> Result<Self> {
        let writer = Tree::at(&settings.dkms_tree).lock(system)?;
        signals::watch();
        let engine = Self {
            reader: Reader::of(writer.tree().clone(), settings, system),
            writer,
            signers: Mutex::default(),
            enrolment_told: AtomicBool::default(),
            told: Mutex::default(),
            environments: Mutex::default(),
        };
        engine.recover();
        Ok(engine)
    }

    /// The proof that a package is added.
    ///
    /// # Errors
    /// It is broken, or not in the tree.
    pub fn added(&self, id: &PackageId) -> Result<Added> {
        self.tree().added(id, &self.settings.source_tree)
    }

    /// The directory of the source tree that a package has or would have.
    #[must_use]
    pub fn source_dir(&self, id: &PackageId) -> PathBuf {
        self.settings.source_tree.join(id.source_dir_name())
    }

    /// Tells what a conf says that its author should know: deprecated directives, lost values, another identity. Once in
    /// a run for each package.
    pub fn tell_about(&self, conf: &PackageConf, id: &PackageId) {
        if !self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
            return;
        }
        let ui = &self.system.ui;
        for line in &conf.messages {
            ui.note(shown_in_line(line));
        }
        for directive in &conf.deprecated {
            ui.note(format!("Deprecated feature: {directive} ({})", conf.path.display()));
        }
        for (directive, file) in &conf.lost {
            ui.warn(format!(
                "{}: the value of {directive} is lost, because it holds quoted blanks inside double quotes.",
                file.display()
            ));
        }
        for (directive, file) in &conf.cut {
            ui.warn(format!(
                "{}: the value of {directive} ends where it falls out of its quotes.",
                file.display()
            ));
        }
        if conf.name != id.name.as_str() || conf.version != id.version.as_str() {
            let said = shown_in_line(&format!("{}/{}", conf.name, conf.version)).into_owned();
            ui.warn(format!("{} says that it is {said}; it is taken as {id}.", conf.path.display()));
        }
    }

    pub(super) fn note_environment(&self, id: &BuildId, environment: &Environment) {
        let mut environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
        environments.insert(id.clone(), environment.clone());
    }

    /// The variables for the programs of an installation: those of the build, if it was made in this run.
    pub(super) fn install_environment(&self, id: &BuildId) -> Environment {
        let environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
        environments.get(id).cloned().unwrap_or_else(|| Environment::of(id, self))
    }

    /// # Errors
    /// A signal wants us to end.
    pub fn go_on(&self) -> Result<()> {
        signals::received().map_or(Ok(()), |signal| Err(Error::Interrupted { signal, complete: false }))
    }

    /// Tells an error of one package among others: with its name, where the error does not have it.
    pub fn tell_of(&self, id: &PackageId, error: &Error) {
        let text = error.to_string();
        self.tell(error);
        if !matches!(error, Error::Told(_)) && !text.contains(&id.to_string()) {
            self.system.ui.note(format!("The package is {id}."));
        }
    }

    /// Tells an error as it is, or as the warning that it only is.
    pub fn tell(&self, error: &Error) {
        match error {
            Error::Told(_) => {}
            error if error.is_warning() => self.system.ui.warn(error.to_string()),
            error => self.system.ui.error(error.to_string()),
        }
    }
}
