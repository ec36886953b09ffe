//! One kernel's facts: headers, configuration, compiler, compression, System.map and the modules it has.
//!
//! Reads the kernel's directories and never writes to them.

pub(crate) mod apt_packages;
mod arch;
pub(crate) mod boot_loader;
mod config;
pub(crate) mod header_package;
mod headers;
mod index;
pub(crate) mod initramfs;
pub(crate) mod module_file;
mod toolchain;
pub(crate) mod vmlinux;
mod weak;

pub(crate) use arch::default_arch;
pub(crate) use config::KernelConfig;
pub(crate) use headers::{header_dirs, headers_print};
pub(crate) use index::ModuleIndex;
pub(crate) use toolchain::Toolchain;
pub(crate) use weak::WeakLinks;

use crate::model::module_name::module_stem;
use crate::model::{KernelRelease, compare_versions};
use crate::system::dir;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The modules of an extension that mksysext made, beside their index: one a line, from the kernel's directory on.
pub(crate) const EXTENSION_LIST: &str = ".dkms-sysext";

/// A kernel release and where its files are. What is expensive to know is read once, when first asked for.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub release: KernelRelease,
    /// `<install tree>/<K>`.
    pub dir: PathBuf,
    /// The kernel's build directory: `<dir>/build`, or what the user named.
    pub build_dir: PathBuf,
    /// The configuration file, whether it exists or not.
    pub config_path: PathBuf,
    system_map: PathBuf,
    config: OnceLock<Option<KernelConfig>>,
    modules: OnceLock<ModuleIndex>,
    machine: OnceLock<Option<u16>>,
    /// The names in modules.order, without suffix.
    own: OnceLock<HashSet<String>>,
    extension: OnceLock<BTreeSet<PathBuf>>,
}

impl Kernel {
    /// The kernel `release` below `install_tree`; `build_dir` and `config` as the user named them.
    #[must_use]
    pub(crate) fn new(
        release: KernelRelease,
        install_tree: &Path,
        boot: &Path,
        build_dir: Option<&Path>,
        config: Option<&Path>,
    ) -> Self {
        let dir = install_tree.join(release.as_str());
        let build_dir = build_dir.map_or_else(|| dir.join("build"), Path::to_owned);
        let config_path = config.map_or_else(|| default_config(&build_dir), Path::to_owned);
        let system_map = boot.join(format!("System.map-{release}"));
        Self {
            release,
            dir,
            build_dir,
            config_path,
            system_map,
            config: OnceLock::new(),
            modules: OnceLock::new(),
            machine: OnceLock::new(),
            own: OnceLock::new(),
            extension: OnceLock::new(),
        }
    }

    /// Whether `<install tree>/<K>` is there.
    #[must_use]
    pub(crate) fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    /// Whether the kernel itself is gone, and its directory only there for what others left in it: there are neither modules
    /// of its own, nor the list of those that are built in, nor headers.
    #[must_use]
    pub(crate) fn is_hollow(&self) -> bool {
        ["kernel", "modules.builtin", "modules.order", "vmlinuz", "build", "source"]
            .iter()
            .all(|name| !self.dir.join(name).exists())
    }

    /// Whether modules can be built: headers are present when the build directory has `include`.
    #[must_use]
    pub(crate) fn has_headers(&self) -> bool {
        self.build_dir.join("include").is_dir()
    }

    /// The release that the headers say they are for, if they do.
    #[must_use]
    pub(crate) fn headers_release(&self) -> Option<String> {
        release_of_headers(&self.build_dir)
    }

    /// The configuration, if its file can be read.
    #[must_use]
    pub(crate) fn config(&self) -> Option<&KernelConfig> {
        self.config.get_or_init(|| KernelConfig::read(&self.config_path)).as_ref()
    }

    /// The modules below the kernel's directory.
    #[must_use]
    pub(crate) fn modules(&self) -> &ModuleIndex {
        self.modules.get_or_init(|| ModuleIndex::scan(&self.dir))
    }

    /// What follows `.ko` in the kernel's modules when it comes, as its configuration says. Debian compresses them itself, so that
    /// `CONFIG_MODULE_COMPRESS_ALL` does not tell.
    #[must_use]
    pub(crate) fn configured_suffix(&self) -> &'static str {
        let is_set = |option| self.config().is_some_and(|config| config.is_set(option));
        match () {
            () if is_set("CONFIG_MODULE_COMPRESS_ZSTD") => ".zst",
            () if is_set("CONFIG_MODULE_COMPRESS_XZ") => ".xz",
            () if is_set("CONFIG_MODULE_COMPRESS_GZIP") => ".gz",
            () => "",
        }
    }

    /// The ELF machine of the kernel (`e_machine`), as one of its own modules has it. `None` where it has none.
    #[must_use]
    pub(crate) fn machine(&self) -> Option<u16> {
        *self.machine.get_or_init(|| {
            let own = self.dir.join("kernel");
            let path = self.modules().below(&own).min()?;
            module_file::machine(&module_file::read_module(path).ok()?)
        })
    }

    /// The modules that a system extension brought, which mksysext made.
    pub(crate) fn extension_modules(&self) -> &BTreeSet<PathBuf> {
        self.extension.get_or_init(|| {
            let list = fs_err::read_to_string(self.dir.join(EXTENSION_LIST)).unwrap_or_default();
            list.lines().map(|place| self.dir.join(place)).collect()
        })
    }

    /// Whether a module is one that the kernel's package brings: `modules.order` lists those (kbuild writes it, with the
    /// names before compression).
    #[must_use]
    pub(crate) fn has_own(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.dir) else { return false };
        let below = below.to_string_lossy();
        let Some(stem) = module_stem(&below) else { return false };
        let order = self.own.get_or_init(|| {
            let text = fs_err::read_to_string(self.dir.join("modules.order")).unwrap_or_default();
            text.lines()
                .map(|line| line.trim().trim_end_matches(".ko").trim_end_matches(".o").to_owned())
                .collect()
        });
        order.contains(stem)
    }

    /// System.map of this release, if it is installed.
    #[must_use]
    pub(crate) fn system_map(&self) -> Option<&Path> {
        self.system_map.is_file().then_some(self.system_map.as_path())
    }
}

/// The release that a directory of headers is for: modules get theirs from UTS_RELEASE. Debian's packages have another text in
/// `include/config/kernel.release`, the version of the sources.
#[must_use]
pub(crate) fn release_of_headers(dir: &Path) -> Option<String> {
    let read = |name: &str| fs_err::read_to_string(dir.join("include").join(name)).ok();
    let generated = read("generated/utsrelease.h");
    let defined = generated.as_deref().and_then(|text| {
        let value = text.lines().find_map(|line| line.strip_prefix("#define UTS_RELEASE "))?;
        Some(value.trim().trim_matches('"').to_owned())
    });
    let release = defined.or_else(|| Some(read("config/kernel.release")?.trim().to_owned()));
    release.filter(|release| !release.is_empty())
}

fn default_config(build_dir: &Path) -> PathBuf {
    let auto = build_dir.join("include/config/auto.conf");
    if auto.is_file() { auto } else { build_dir.join(".config") }
}

/// Every kernel with a build directory, in version order. Names with `BOOT` are installers' kernels.
#[must_use]
pub(crate) fn with_headers(install_tree: &Path) -> Vec<KernelRelease> {
    let entries = dir::entries(install_tree).into_iter();
    let mut releases: Vec<KernelRelease> = entries
        .filter(|entry| entry.path().join("build").exists())
        .filter_map(|entry| KernelRelease::new(entry.file_name().to_str()?).ok())
        .filter(|release| !release.as_str().contains("BOOT"))
        .collect();
    releases.sort_by(|a, b| compare_versions(a.as_str(), b.as_str()));
    releases
}
