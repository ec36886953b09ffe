//! framework.conf: the configuration of this machine, and what the command line puts over it.

use super::Values;
use super::eval::{self, Scope};
use crate::kernel::{Kernel, default_arch};
use crate::model::text::shown_in_line;
use crate::model::{KernelRelease, Result, Target};
use crate::signing::SigningSettings;
use crate::system::System;
use crate::system::dir;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const GENERAL: [&str; 24] = [
    "source_tree",
    "dkms_tree",
    "install_tree",
    "tmp_location",
    "verbose",
    "symlink_modules",
    "autoinstall_all_kernels",
    "modprobe_on_install",
    "parallel_jobs",
    "compress_gzip_opts",
    "compress_xz_opts",
    "compress_zstd_opts",
    "build_environment",
    "post_transaction",
    "continue_on_error",
    "on_failure",
    "require_signature",
    "inhibit_shutdown",
    "build_isolation",
    "build_paths",
    "preflight",
    "boot_default",
    "keep_versions",
    "probe_cache",
];
/// Also in the administrator's files for one package.
pub(super) const ISOLATION: [&str; 2] = ["build_isolation", "build_paths"];
const SIGNING: [&str; 4] = ["sign_file", "mok_signing_key", "mok_certificate", "try_sign_modules"];
const POST_TRANSACTION: [&str; 1] = ["post_transaction"];
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// How many compile jobs run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jobs {
    Limited(usize),
    /// `-j0`: a bare `-j` for make.
    Unlimited,
}

impl Jobs {
    fn parse(text: &str) -> Option<Self> {
        match text.trim().parse() {
            Ok(0) => Some(Self::Unlimited),
            Ok(n) => Some(Self::Limited(n)),
            Err(_) => None,
        }
    }

    /// The limit that a job server needs.
    #[must_use]
    pub(crate) fn limit(self) -> usize {
        match self {
            Self::Limited(n) => n,
            Self::Unlimited => 1024,
        }
    }
}

/// What follows `-j`.
impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(n) => write!(f, "{n}"),
            Self::Unlimited => Ok(()),
        }
    }
}

/// What a package that fails means for the program that triggered its build: a kernel's or a driver's installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnFailure {
    /// It is reported loudly, and the caller goes on.
    #[default]
    Warn,
    /// The caller fails too, with the exit codes that it always had.
    Fail,
}

/// What is done before a package manager installs a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PreflightPolicy {
    Off,
    /// What is known to fail is said.
    #[default]
    Report,
    /// Every package is built first.
    Build,
    /// The same; a kernel that would lack a package is not installed.
    Require,
}

impl PreflightPolicy {
    /// As the administrator writes it.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "report" => Some(Self::Report),
            "build" => Some(Self::Build),
            "require" => Some(Self::Require),
            _ => None,
        }
    }
}

/// Options of the compressors, as their own command lines have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Compressors {
    pub gzip: Option<String>,
    pub xz: Option<String>,
    pub zstd: Option<String>,
}

/// What the command line puts over the files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub dkms_tree: Option<PathBuf>,
    pub source_tree: Option<PathBuf>,
    pub install_tree: Option<PathBuf>,
    pub kernel_source_dir: Option<PathBuf>,
    pub kernel_config: Option<PathBuf>,
    pub jobs: Option<String>,
    pub verbose: bool,
    pub symlink_modules: bool,
    pub modprobe_on_install: bool,
    pub no_depmod: bool,
    pub no_isolation: bool,
    pub no_post_transaction: bool,
    pub directives: Vec<(String, String)>,
}

/// The configuration in effect.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub source_tree: PathBuf,
    pub dkms_tree: PathBuf,
    pub install_tree: PathBuf,
    /// Whether the install tree is the one that tools work on by default.
    pub default_install_tree: bool,
    pub boot: PathBuf,
    pub tmp_location: PathBuf,
    pub symlink_modules: bool,
    pub modprobe_on_install: bool,
    pub autoinstall_all_kernels: bool,
    pub continue_on_error: bool,
    pub no_depmod: bool,
    /// `build_isolation` and `build_paths` as framework.conf has them.
    pub(super) isolation: Values,
    /// Whether the command line switches isolation off.
    pub no_isolation: bool,
    no_post_transaction: bool,
    pub jobs: Jobs,
    pub compressors: Compressors,
    pub build_environment: Option<PathBuf>,
    pub on_failure: OnFailure,
    pub preflight: PreflightPolicy,
    /// Whether the boot loader's default stays on a kernel that has its drivers, while a newer one lacks some.
    pub keeps_complete: bool,
    /// How many versions that a package manager replaced are kept.
    pub keep_versions: usize,
    /// Builds are made before their kernel comes: no signing key is made, and modules are compressed as the kernel's will be.
    pub ahead_of_kernel: bool,
    /// A module that should be signed and cannot be is a failed build.
    pub require_signature: bool,
    /// Whether the machine is not shut down while packages are built.
    pub inhibit_shutdown: bool,
    /// Whether what kbuild asks of compilers is answered from a table.
    pub probe_cache: bool,
    pub kernel_source_dir: Option<PathBuf>,
    pub kernel_config: Option<PathBuf>,
    pub directives: Vec<(String, String)>,
    addon_modules_dir: Option<String>,
}

impl Settings {
    /// Reads the files and applies the command line. A file that cannot be read or a value that cannot be used is
    /// named in a warning, and its default holds: a broken configuration must not keep modules from a kernel.
    #[must_use]
    pub(crate) fn load(overrides: Overrides, system: &System) -> Self {
        let values = read(&GENERAL, None, system);
        let text = |name: &str| values.get(name).filter(|value| !value.is_empty());
        let tree = |given: Option<&PathBuf>, name: &str, default: &str| match (given, text(name)) {
            (Some(path), _) => absolute(path),
            (None, Some(path)) => system.path(path),
            (None, None) => system.path(default),
        };
        let install_tree = tree(overrides.install_tree.as_ref(), "install_tree", "/lib/modules");
        Self {
            source_tree: tree(overrides.source_tree.as_ref(), "source_tree", "/usr/src"),
            dkms_tree: tree(overrides.dkms_tree.as_ref(), "dkms_tree", "/var/lib/dkms"),
            default_install_tree: !system.is_rooted() && is_default_install_tree(&install_tree),
            install_tree,
            boot: system.path("/boot"),
            tmp_location: text("tmp_location")
                .or_else(|| system.variable("TMPDIR").filter(|dir| !dir.is_empty()))
                .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
            symlink_modules: overrides.symlink_modules || text("symlink_modules").is_some(),
            modprobe_on_install: overrides.modprobe_on_install || text("modprobe_on_install").is_some(),
            autoinstall_all_kernels: text("autoinstall_all_kernels").is_some(),
            continue_on_error: text("continue_on_error").is_none_or(|value| value == "true"),
            no_depmod: overrides.no_depmod,
            isolation: values.iter().filter(|(name, ..)| ISOLATION.contains(name)).collect(),
            no_isolation: overrides.no_isolation,
            no_post_transaction: overrides.no_post_transaction,
            jobs: jobs(&overrides, text("parallel_jobs"), system),
            compressors: Compressors {
                gzip: values.get("compress_gzip_opts").map(str::to_owned),
                xz: values.get("compress_xz_opts").map(str::to_owned),
                zstd: values.get("compress_zstd_opts").map(str::to_owned),
            },
            build_environment: text("build_environment").map(|path| system.path(path)),
            on_failure: on_failure(text("on_failure"), system),
            preflight: preflight(text("preflight"), system),
            keeps_complete: keeps_complete(text("boot_default"), system),
            keep_versions: keep_versions(text("keep_versions"), system),
            ahead_of_kernel: false,
            require_signature: text("require_signature").is_some(),
            inhibit_shutdown: text("inhibit_shutdown").is_none_or(|value| !value.eq_ignore_ascii_case("no")),
            probe_cache: text("probe_cache").is_none_or(|value| !value.eq_ignore_ascii_case("no")),
            kernel_source_dir: overrides.kernel_source_dir.as_deref().map(absolute),
            kernel_config: overrides.kernel_config.as_deref().map(absolute),
            directives: overrides.directives,
            addon_modules_dir: addon_modules_dir(system),
        }
        .verbose(overrides.verbose || text("verbose").is_some(), system)
    }

    /// The same for builds that are made before their kernel comes.
    #[must_use]
    pub(crate) fn ahead_of_kernel(&self) -> Self {
        Self { ahead_of_kernel: true, ..self.clone() }
    }

    fn verbose(self, on: bool, system: &System) -> Self {
        system.console.set_verbose(on);
        self
    }

    /// Where modules of every package go below a kernel's directory; `None` where each dkms.conf decides.
    #[must_use]
    pub(crate) fn effective_location(&self, system: &System) -> Option<String> {
        match &self.addon_modules_dir {
            Some(dir) => Some(format!("/{}", dir.trim_start_matches('/'))),
            None => system.host.distribution.family.module_location().map(str::to_owned),
        }
    }

    /// The facts of a kernel, where these settings have it.
    #[must_use]
    pub(crate) fn kernel(&self, release: &KernelRelease) -> Kernel {
        let (build_dir, config) = (self.kernel_source_dir.as_deref(), self.kernel_config.as_deref());
        Kernel::new(release.clone(), &self.install_tree, &self.boot, build_dir, config)
    }

    /// A kernel with the architecture that its builds are filed under where the caller names none.
    ///
    /// # Errors
    /// The machine has no usable name.
    pub(crate) fn usual_target(&self, release: &KernelRelease, system: &System) -> Result<Target> {
        let arch = default_arch(&self.install_tree.join(release.as_str()), system)?;
        Ok(Target::new(release.clone(), arch))
    }

    /// The signing values, read when they are needed because they may contain `$kernelver`.
    #[must_use]
    pub(crate) fn signing(&self, release: &KernelRelease, system: &System) -> SigningSettings {
        let values = read(&SIGNING, Some(release), system);
        let text = |name: &str| values.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        SigningSettings {
            sign_file: text("sign_file"),
            mok_signing_key: text("mok_signing_key"),
            mok_certificate: text("mok_certificate"),
            try_sign_modules: text("try_sign_modules"),
        }
    }

    /// The command to run after changes to a kernel's modules.
    #[must_use]
    pub(crate) fn post_transaction(&self, release: &KernelRelease, system: &System) -> Option<String> {
        if self.no_post_transaction {
            return None;
        }
        let values = read(&POST_TRANSACTION, Some(release), system);
        values.get("post_transaction").filter(|value| !value.is_empty()).map(str::to_owned)
    }
}

fn is_default_install_tree(path: &Path) -> bool {
    let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path == Path::new("/lib/modules") || real(path) == real(Path::new("/lib/modules"))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// `-j` beats the files, they beat the environment; else as many as the cores and the cgroup's quota allow.
fn jobs(overrides: &Overrides, configured: Option<&str>, system: &System) -> Jobs {
    let sources = [
        ("-j", overrides.jobs.as_deref()),
        ("parallel_jobs", configured),
        ("parallel_jobs", system.variable("parallel_jobs")),
    ];
    for (name, value) in sources {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        match Jobs::parse(value) {
            Some(jobs) => return jobs,
            None => system.console.warn(format!("invalid number of jobs in {name}: {value:?}, ignoring it.")),
        }
    }
    Jobs::Limited(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

fn on_failure(value: Option<&str>, system: &System) -> OnFailure {
    match value {
        None | Some("warn") => OnFailure::Warn,
        Some("fail") => OnFailure::Fail,
        Some(other) => {
            system.console.warn(format!(
                "on_failure in framework.conf is {other:?}, which is neither warn nor fail; using warn."
            ));
            OnFailure::Warn
        }
    }
}

fn preflight(value: Option<&str>, system: &System) -> PreflightPolicy {
    let Some(text) = value else { return PreflightPolicy::default() };
    PreflightPolicy::parse(text).unwrap_or_else(|| {
        system.console.warn(format!(
            "preflight in framework.conf is {text:?}, which is none of off, report, build and require; using report."
        ));
        PreflightPolicy::default()
    })
}

fn keep_versions(value: Option<&str>, system: &System) -> usize {
    let Some(text) = value else { return 1 };
    text.trim().parse().unwrap_or_else(|_| {
        system
            .console
            .warn(format!("keep_versions in framework.conf is {text:?}, which is no number; using 1."));
        1
    })
}

fn keeps_complete(value: Option<&str>, system: &System) -> bool {
    if let Some(other) = value.filter(|value| *value != "keep-complete") {
        system.console.warn(format!(
            "boot_default in framework.conf is {other:?}; it is keep-complete or nothing. The boot loader is left alone."
        ));
    }
    value == Some("keep-complete")
}

/// From the environment, else from the shell file of the old module-init-tools.
fn addon_modules_dir(system: &System) -> Option<String> {
    const NAME: &str = "ADDON_MODULES_DIR";
    if let Some(dir) = system.variable(NAME).filter(|dir| !dir.is_empty()) {
        return Some(dir.to_owned());
    }
    let path = system.path("/etc/sysconfig/module-init-tools");
    let text = fs_err::read(&path).ok()?;
    let scope = Scope {
        variables: BTreeMap::new(),
        inherited: Values::default(),
        environment: system.inherited_env(),
        confined: None,
    };
    let evaluation = eval::evaluate(&path, &text, &[NAME], &scope, TIME_LIMIT).ok()?;
    evaluation.values.get(NAME).filter(|dir| !dir.is_empty()).map(str::to_owned)
}

/// Evaluates framework.conf and framework.conf.d/*.conf for one group of variables.
fn read(names: &[&str], release: Option<&KernelRelease>, system: &System) -> Values {
    let mut variables = BTreeMap::new();
    if let Some(release) = release {
        variables.insert("kernelver".to_owned(), release.to_string());
    }
    let (inherited, environment) = (Values::default(), system.inherited_env());
    let mut scope = Scope { variables, inherited, environment, confined: None };
    for path in framework_files(system) {
        let evaluation = fs_err::read(&path).map_err(|e| e.to_string()).and_then(|text| {
            eval::evaluate(&path, &text, names, &scope, TIME_LIMIT).map_err(|e| e.to_string())
        });
        match evaluation {
            Ok(evaluation) => {
                evaluation.messages.iter().for_each(|line| system.console.note(shown_in_line(line)));
                scope.inherited = evaluation.values;
            }
            Err(why) => system.console.warn(format!("{}: {why}, ignoring the file.", path.display())),
        }
    }
    scope.inherited
}

/// framework.conf and framework.conf.d/*.conf, as far as they are there.
#[must_use]
pub(crate) fn framework_files(system: &System) -> Vec<PathBuf> {
    let main = system.path("/etc/dkms/framework.conf");
    let mut files: Vec<PathBuf> = dir::entries(system.path("/etc/dkms/framework.conf.d"))
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "conf"))
        .filter(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')))
        .collect();
    files.sort();
    files.insert(0, main);
    files.retain(|file| file.is_file());
    files
}
