//! What one run knows and may do: the machine, the configuration, the tree and the kernels; opened for writing, also the
//! lock. Data, and no verbs: what is done with it is elsewhere.

pub(crate) mod environment;

use crate::conf::{
    Disabled, Disabling, EvalContext, PackageConf, Settings, Strictness, read_package, unused,
};
use crate::kernel::Kernel;
use crate::model::text::shown_in_line;
use crate::model::{Attempt, BuildId, Error, KernelRelease, PackageId, Result, Target};
use crate::signing::{MachineTrust, Signer, WantedSignature};
use crate::system::fingerprint::StatPrint;
use crate::system::{System, signals};
use crate::tree::{Added, BuildRecord, Built, ConfRecord, Tree, UsedFile, Writer};
use environment::ProgramEnvironment;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What can be known without the right to write: the machine, the configuration, the tree, and the kernels read so far.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub system: &'a System,
    pub settings: &'a Settings,
    tree: Tree,
    kernels: Mutex<HashMap<KernelRelease, Arc<Kernel>>>,
    /// Builds whose inputs were only written anew, with the record that says so.
    pub(crate) rewritten: Mutex<Vec<(Built, BuildRecord)>>,
    /// Whether what dkms.conf files said before does not count.
    confs_anew: AtomicBool,
    /// What dkms.conf files said that needed bash.
    pub(crate) evaluated: Mutex<Vec<(BuildId, ConfRecord)>>,
    /// What the headers in each build directory are now.
    pub(crate) headers: Mutex<HashMap<PathBuf, Option<StatPrint>>>,
    /// The compilers that builds of this run used.
    pub(crate) compilers: Mutex<HashMap<PathBuf, Option<UsedFile>>>,
    /// How the modules of each kernel are signed now.
    pub(crate) signatures: Mutex<HashMap<KernelRelease, Arc<WantedSignature>>>,
    /// What this machine demands of modules.
    pub(crate) trust: MachineTrust,
    disabled: OnceLock<Disabled>,
}

impl<'a> Session<'a> {
    #[must_use]
    pub(crate) fn look(settings: &'a Settings, system: &'a System) -> Self {
        Self::from_tree(Tree::at(&settings.dkms_tree), settings, system)
    }

    fn from_tree(tree: Tree, settings: &'a Settings, system: &'a System) -> Self {
        Self {
            system,
            settings,
            tree,
            kernels: Mutex::default(),
            rewritten: Mutex::default(),
            evaluated: Mutex::default(),
            confs_anew: AtomicBool::default(),
            headers: Mutex::default(),
            compilers: Mutex::default(),
            signatures: Mutex::default(),
            trust: MachineTrust::from_root(&system.root),
            disabled: OnceLock::new(),
        }
    }

    /// From now on every dkms.conf is read anew: a person asks.
    pub(crate) fn read_confs_anew(&self) {
        self.confs_anew.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub(crate) fn reads_confs_anew(&self) -> bool {
        self.confs_anew.load(Ordering::Relaxed)
    }

    /// What the administrator wants left alone.
    pub(crate) fn disabled(&self) -> &Disabled {
        self.disabled.get_or_init(|| Disabled::read(self.system))
    }

    /// Why a package is left alone on a kernel, if it is.
    #[must_use]
    pub(crate) fn disabling(&self, id: &PackageId, target: &Target) -> Option<Disabling> {
        let kernel = self.kernel(&target.release);
        let view = EvalContext { package: Some(id), kernel: &kernel, arch: &target.arch };
        self.disabled().on(id, view, self.settings, self.system)
    }

    #[must_use]
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The facts of a kernel, read once in a run.
    #[must_use]
    pub(crate) fn kernel(&self, release: &KernelRelease) -> Arc<Kernel> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kernels.entry(release.clone()).or_insert_with(|| Arc::new(self.settings.kernel(release))))
    }

    /// What an added package says.
    ///
    /// # Errors
    /// Its dkms.conf is missing, unreadable or invalid.
    pub(crate) fn own_conf(
        &self,
        id: &PackageId,
        target: &Target,
        strictness: Strictness,
    ) -> Result<PackageConf> {
        self.conf(id, &self.tree().conf_path(id), target, strictness)
    }

    /// What a package says in its own dkms.conf, or in the file given in its place.
    ///
    /// # Errors
    /// It is missing, unreadable or invalid.
    pub(crate) fn conf(
        &self,
        id: &PackageId,
        conf: &Path,
        target: &Target,
        strictness: Strictness,
    ) -> Result<PackageConf> {
        let kernel = self.kernel(&target.release);
        let view = EvalContext { package: Some(id), kernel: &kernel, arch: &target.arch };
        read_package(conf, view, strictness, self.settings, self.system)
    }
}

/// What every effect needs: what can be known, and the right to write.
#[derive(Debug)]
pub(crate) struct WriteSession<'a> {
    session: Session<'a>,
    pub writer: Writer,
    pub(crate) signers: Mutex<HashMap<KernelRelease, Result<Option<Signer>, String>>>,
    /// Whether the state of the certificate's enrolment was looked at.
    pub(crate) enrolment_reported: AtomicBool,
    /// Whether it was said that builds are not isolated.
    pub(crate) isolation_told: AtomicBool,
    pub(crate) described: Mutex<HashSet<PackageId>>,
    /// What was tried in this run, and how it ended.
    pub(crate) attempts: Mutex<Vec<Attempt>>,
    /// What was built in this run, and with which variables: its installation finds the same.
    pub(crate) environments: Mutex<HashMap<BuildId, ProgramEnvironment>>,
}

impl<'a> std::ops::Deref for WriteSession<'a> {
    type Target = Session<'a>;

    fn deref(&self) -> &Session<'a> {
        &self.session
    }
}

impl<'a> WriteSession<'a> {
    /// Takes the lock of the tree. For `ops::change` alone, which also settles what an earlier holder left unfinished.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn lock(settings: &'a Settings, system: &'a System) -> Result<Self> {
        let writer = Tree::at(&settings.dkms_tree).lock(system)?;
        signals::watch();
        let session = Self {
            session: Session::from_tree(writer.tree().clone(), settings, system),
            writer,
            signers: Mutex::default(),
            enrolment_reported: AtomicBool::default(),
            isolation_told: AtomicBool::default(),
            described: Mutex::default(),
            attempts: Mutex::default(),
            environments: Mutex::default(),
        };
        Ok(session)
    }

    /// The proof that a package is added.
    ///
    /// # Errors
    /// It is broken, or not in the tree.
    pub(crate) fn added(&self, id: &PackageId) -> Result<Added> {
        self.tree().added(id, &self.settings.source_tree)
    }

    /// The directory of the source tree that a package has or would have.
    #[must_use]
    pub(crate) fn source_dir(&self, id: &PackageId) -> PathBuf {
        self.settings.source_tree.join(id.source_dir_name())
    }

    /// Tells what a conf says that its author should know: deprecated directives, lost values, another identity. Once in
    /// a run for each package.
    pub(crate) fn tell_about(&self, conf: &PackageConf, id: &PackageId) {
        if !self.described.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
            return;
        }
        let console = &self.system.console;
        for line in &conf.messages {
            console.note(shown_in_line(line));
        }
        if conf.location_by_default && !console.is_brief() {
            console.note(format!(
                "{}: DEST_MODULE_LOCATION is not set. This distribution decides where modules go; others need it.",
                conf.path.display()
            ));
        }
        for directive in conf.deprecated.iter().filter(|_| !console.is_brief()) {
            console.note(format!("Deprecated feature: {directive} ({})", conf.path.display()));
        }
        for misquoted in &conf.misquoted {
            console.warn(format!("{}: the {misquoted}", misquoted.file.display()));
        }
        let text = fs_err::read(&conf.path).unwrap_or_default();
        for unused in unused(&String::from_utf8_lossy(&text)) {
            if let Some(meant) = unused.meant {
                console.note(format!(
                    "{}:{}: {} is not a directive. Did you mean {meant}?",
                    conf.path.display(),
                    unused.line,
                    unused.name
                ));
            }
        }
        for (directive, said, asked) in [
            ("PACKAGE_NAME", &conf.name, id.name.as_str()),
            ("PACKAGE_VERSION", &conf.version, id.version.as_str()),
        ] {
            if said != asked {
                let (path, said) = (conf.path.display(), shown_in_line(said));
                console
                    .warn(format!("{path}: {directive} says {said}, you asked for {asked}; using {asked}."));
            }
        }
    }

    pub(crate) fn note_environment(&self, id: &BuildId, environment: &ProgramEnvironment) {
        let mut environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
        environments.insert(id.clone(), environment.clone());
    }

    /// # Errors
    /// A signal wants us to end.
    pub(crate) fn go_on(&self) -> Result<()> {
        let interrupted = |signal| Err(Error::Interrupted { signal, complete: false, left: Vec::new() });
        signals::received().map_or(Ok(()), interrupted)
    }

    /// Tells an error of one package among others: with its name, where the error does not have it.
    pub(crate) fn tell_of(&self, id: &PackageId, error: &Error) {
        let text = error.to_string();
        self.tell(error);
        if !matches!(error, Error::Reported(_)) && !text.contains(&id.to_string()) {
            self.system.console.note(format!("The package is {id}."));
        }
    }

    /// The same without the reason, for which there is a line of its own.
    pub(crate) fn tell_briefly_of(&self, id: &PackageId, error: &Error) {
        let text = format!("{error:#}");
        match error {
            Error::Reported(_) => return,
            error if error.is_warning() => self.system.console.warn(&text),
            _ => self.system.console.error(&text),
        }
        if !text.contains(&id.to_string()) {
            self.system.console.note(format!("The package is {id}."));
        }
    }

    /// Tells an error as it is, or as the warning that it only is.
    pub(crate) fn tell(&self, error: &Error) {
        match error {
            Error::Reported(_) => {}
            error if error.is_warning() => self.system.console.warn(error.to_string()),
            error => self.system.console.error(error.to_string()),
        }
    }
}
