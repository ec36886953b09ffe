//! What the values of a dkms.conf mean.

use super::{Effective, Misquoted, Values};
use std::path::PathBuf;

/// Directives that are read and have no effect any more, but for OBSOLETE_BY.
pub(crate) const DEPRECATED: [&str; 7] = [
    "CLEAN",
    "OBSOLETE_BY",
    "REMAKE_INITRD",
    "MODULES_CONF",
    "MODULES_CONF_OBSOLETES",
    "MODULES_CONF_ALIAS_TYPE",
    "MODULES_CONF_OBSOLETE_ONLY",
];

/// A yes-or-no directive; what is neither is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    Unset,
    Yes,
    No,
    Invalid,
}

impl Flag {
    fn parse(value: Option<&str>) -> Self {
        match value.unwrap_or_default().to_ascii_lowercase().as_str() {
            "" => Self::Unset,
            "yes" => Self::Yes,
            "no" => Self::No,
            _ => Self::Invalid,
        }
    }

    #[must_use]
    pub(crate) fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

/// When a package's own program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    PostAdd,
    PreBuild,
    PostBuild,
    PreInstall,
    PostInstall,
    PostRemove,
}

impl Script {
    /// The directive that names it.
    #[must_use]
    pub(crate) fn directive(self) -> &'static str {
        match self {
            Self::PostAdd => "POST_ADD",
            Self::PreBuild => "PRE_BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::PreInstall => "PRE_INSTALL",
            Self::PostInstall => "POST_INSTALL",
            Self::PostRemove => "POST_REMOVE",
        }
    }
}

/// One module of a package: a record of the BUILT_* and DEST_* arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    pub index: usize,
    pub built_name: String,
    /// Below the build directory; empty, or ending in a slash.
    pub built_location: String,
    pub dest_name: String,
    /// Below the kernel's directory, as the dkms.conf says it.
    pub conf_location: String,
    /// Below the kernel's directory, as the distribution wants it.
    pub location: String,
    pub strip: bool,
}

impl Module {
    /// The built file, below the build directory.
    #[must_use]
    pub(crate) fn built_file(&self) -> PathBuf {
        PathBuf::from(format!("{}{}.ko", self.built_location, self.built_name))
    }
}

/// A dkms.conf, understood.
#[derive(Debug, Clone)]
pub(crate) struct PackageConf {
    /// The package's own file.
    pub path: PathBuf,
    pub name: String,
    pub version: String,
    pub modules: Vec<Module>,
    /// Whether it does not say where modules go, and the distribution decides that for every package.
    pub location_by_default: bool,
    pub depends: Vec<String>,
    pub depends_rebuild: Flag,
    pub autoinstall: Flag,
    pub no_weak_modules: Flag,
    pub obsolete_by: Option<String>,
    pub on_failure: Option<String>,
    pub initramfs: Option<String>,
    /// Deprecated directives that are set, in the order of the list.
    pub deprecated: Vec<&'static str>,
    /// What the second reading took from values.
    pub misquoted: Vec<Misquoted>,
    /// What the files said on standard error.
    pub messages: Vec<String>,
    /// Whether evaluating it again would need bash.
    pub needed_bash: bool,
    values: Values,
}

/// INITRAMFS: whether the modules of a package go into the image that the kernel starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InInitramfs {
    /// Whatever else selects them.
    Yes,
    /// Only where the administrator lists them.
    No,
    /// Where the image has, or would have, the modules of the kernel that they replace.
    Auto,
}

impl PackageConf {
    /// Understands the values; `location` replaces where the package wants its modules.
    #[must_use]
    pub(crate) fn from_values(effective: &Effective, location: Option<&str>) -> Self {
        let values = effective.values.clone();
        let text = |name: &str| values.get(name).unwrap_or_default().to_owned();
        let some = |name: &str| values.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let words = |name: &str| {
            let elements = values.elements(name).flat_map(|(_, value)| value.split_whitespace());
            elements.map(str::to_owned).collect::<Vec<_>>()
        };
        Self {
            path: effective.files.first().map(|file| file.path.clone()).unwrap_or_default(),
            name: text("PACKAGE_NAME"),
            version: text("PACKAGE_VERSION"),
            modules: modules(&values, location),
            location_by_default: location.is_some()
                && values.elements("DEST_MODULE_LOCATION").next().is_none(),
            depends: words("BUILD_DEPENDS"),
            depends_rebuild: Flag::parse(values.get("BUILD_DEPENDS_REBUILD")),
            autoinstall: Flag::parse(values.get("AUTOINSTALL")),
            no_weak_modules: Flag::parse(values.get("NO_WEAK_MODULES")),
            obsolete_by: some("OBSOLETE_BY"),
            on_failure: some("on_failure").or_else(|| some("ON_FAILURE")),
            initramfs: some("INITRAMFS"),
            deprecated: DEPRECATED.into_iter().filter(|name| is_deprecated_use(&values, name)).collect(),
            misquoted: effective.misquoted.clone(),
            messages: effective.messages.clone(),
            needed_bash: effective.needed_bash(),
            values,
        }
    }

    /// Whether the package's modules belong into the initramfs.
    #[must_use]
    pub(crate) fn in_initramfs(&self) -> InInitramfs {
        match self.initramfs.as_deref().unwrap_or_default() {
            value if value.eq_ignore_ascii_case("yes") => InInitramfs::Yes,
            value if value.eq_ignore_ascii_case("no") => InInitramfs::No,
            _ => InInitramfs::Auto,
        }
    }

    /// Every value, also those that have no field here.
    #[must_use]
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// The program of the package for a moment, with its arguments.
    #[must_use]
    pub(crate) fn script(&self, script: Script) -> Option<&str> {
        self.values.get(script.directive()).map(str::trim).filter(|line| !line.is_empty())
    }

    /// An element of one of the BUILD_EXCLUSIVE_* directives, if it says something.
    #[must_use]
    pub(crate) fn exclusive(&self, directive: &str, index: usize) -> Option<&str> {
        self.values.at(directive, index).filter(|value| !value.is_empty())
    }

    /// The make command for a kernel; `matches` tells whether an expression matches its release.
    /// `None` means the kernel's own make with M= set to the build directory.
    #[must_use]
    pub(crate) fn make_command(&self, matches: impl Fn(&str) -> bool) -> Option<&str> {
        let value = |name: &str, i: usize| self.values.at(name, i).filter(|value| !value.is_empty());
        let mut chosen = if value("MAKE_MATCH", 0).is_none() { value("MAKE", 0) } else { None };
        for (index, command) in self.values.elements("MAKE") {
            if !command.is_empty() && value("MAKE_MATCH", index).is_some_and(&matches) {
                chosen = Some(command);
            }
        }
        chosen
    }

    /// The patches for a kernel, in order.
    #[must_use]
    pub(crate) fn patches(&self, matches: impl Fn(&str) -> bool) -> Vec<&str> {
        let wanted = |index: usize| {
            self.values.at("PATCH_MATCH", index).filter(|expr| !expr.is_empty()).is_none_or(&matches)
        };
        let patches = self.values.elements("PATCH");
        patches.filter(|(index, patch)| !patch.is_empty() && wanted(*index)).map(|(_, patch)| patch).collect()
    }
}

/// The records 0 to the highest index of any of the four arrays.
fn modules(values: &Values, location: Option<&str>) -> Vec<Module> {
    const ARRAYS: [&str; 4] =
        ["BUILT_MODULE_NAME", "BUILT_MODULE_LOCATION", "DEST_MODULE_NAME", "DEST_MODULE_LOCATION"];
    let Some(highest) = ARRAYS.iter().filter_map(|name| values.highest(name)).max() else {
        return Vec::new();
    };
    let strip_default = strips(values.at("STRIP", 0)).unwrap_or(true);
    (0..=highest.min(MOST_MODULES))
        .map(|index| {
            let text = |name: &str| values.at(name, index).unwrap_or_default().to_owned();
            let mut built_name = text("BUILT_MODULE_NAME");
            if built_name.is_empty() && highest == 0 {
                built_name = values.get("PACKAGE_NAME").unwrap_or_default().to_owned();
            }
            let mut built_location = text("BUILT_MODULE_LOCATION").trim_start_matches('/').to_owned();
            if !built_location.is_empty() && !built_location.ends_with('/') {
                built_location.push('/');
            }
            let dest_name = Some(text("DEST_MODULE_NAME")).filter(|name| !name.is_empty());
            let conf_location = text("DEST_MODULE_LOCATION");
            let wanted = location.unwrap_or(&conf_location);
            Module {
                index,
                dest_name: dest_name.unwrap_or_else(|| built_name.clone()),
                built_name,
                built_location,
                location: normalised(wanted),
                conf_location,
                strip: strips(values.at("STRIP", index)).unwrap_or(strip_default),
            }
        })
        .collect()
}

/// A location without `.`, `..` and doubled slashes: one directory has one spelling.
fn normalised(location: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in location.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// An index beyond this is a mistake in the file, not a module; every gap below it is reported anyway.
const MOST_MODULES: usize = 4095;

fn strips(value: Option<&str>) -> Option<bool> {
    value.filter(|value| !value.is_empty()).map(|value| !value.starts_with(['n', 'N']))
}

fn is_deprecated_use(values: &Values, name: &str) -> bool {
    let harmless = |value: &str| name == "CLEAN" && matches!(value, "true" | "/bin/true" | "/usr/bin/true");
    values.elements(name).any(|(_, value)| !value.is_empty() && !harmless(value))
}

#[cfg(test)]
mod tests {
    #[test]
    fn dkms_conf_5_knows_every_directive() {
        let manual = include_str!("../../packaging/man/dkms.conf.5").replace("\\-", "-");
        for directive in crate::conf::WHITELIST {
            let known = manual.to_uppercase().contains(&directive.to_uppercase());
            let of_a_family = directive.starts_with("MODULES_CONF") && manual.contains("MODULES_CONF*");
            assert!(known || of_a_family, "{directive} is not in dkms.conf(5)");
        }
    }
}
