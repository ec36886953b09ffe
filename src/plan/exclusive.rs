//! Whether a package, and which of its modules, wants a kernel: BUILD_EXCLUSIVE_* and OBSOLETE_BY.

use crate::conf::PackageConf;
use crate::kernel::KernelConfig;
use crate::model::{Target, compare_versions};
use crate::system::regex;
use std::cmp::Ordering;
use std::fmt;

/// The condition of a dkms.conf that a kernel does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exclusion {
    /// The directive with its index.
    pub directive: String,
    pub value: String,
    /// What the kernel has instead.
    pub found: String,
    /// It is element 0, which is the package's own condition, and not only the one of its first module.
    pub of_package: bool,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=\"{}\", and this is {}", self.directive, self.value, self.found)?;
        if self.of_package { f.write_str(" (element 0 is for every module)") } else { Ok(()) }
    }
}

/// The modules of a package that a kernel can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Buildable {
    /// For each module, in order: nothing, or why not.
    pub modules: Vec<Option<Exclusion>>,
    /// Set when the package as a whole does not want the kernel.
    pub package: Option<Exclusion>,
}

impl Buildable {
    #[must_use]
    pub(crate) fn has(&self, index: usize) -> bool {
        self.modules.get(index).is_some_and(Option::is_none)
    }
}

/// Decides from the conf and the kernel's facts; `config` is `None` where the configuration file does not exist, and
/// then its condition is not asked.
#[must_use]
pub(crate) fn buildable(conf: &PackageConf, target: &Target, config: Option<&KernelConfig>) -> Buildable {
    let conditions = Conditions { conf, target, config };
    let global = conditions.failing(0);
    let modules: Vec<Option<Exclusion>> = (0..conf.modules.len())
        .map(|index| global.clone().or_else(|| if index == 0 { None } else { conditions.failing(index) }))
        .collect();
    let none_left = modules.iter().all(Option::is_some);
    let package = if none_left { global.or_else(|| modules.iter().flatten().next().cloned()) } else { None };
    Buildable { modules, package }
}

/// A directive, what the kernel has, and whether a value accepts that.
type Check<'a> = (&'static str, &'a str, &'a dyn Fn(&str) -> bool);

struct Conditions<'a> {
    conf: &'a PackageConf,
    target: &'a Target,
    config: Option<&'a KernelConfig>,
}

impl Conditions<'_> {
    /// The first condition of an index that the kernel does not meet.
    fn failing(&self, index: usize) -> Option<Exclusion> {
        let (kernel, arch) = (self.target.release.as_str(), self.target.arch.as_str());
        let checks: [Check<'_>; 4] = [
            ("BUILD_EXCLUSIVE_KERNEL", kernel, &|expr| regex::matches(expr, kernel)),
            ("BUILD_EXCLUSIVE_ARCH", arch, &|expr| regex::matches(expr, arch)),
            ("BUILD_EXCLUSIVE_KERNEL_MIN", kernel, &|min| compare_versions(kernel, min) != Ordering::Less),
            ("BUILD_EXCLUSIVE_KERNEL_MAX", kernel, &|max| compare_versions(kernel, max) != Ordering::Greater),
        ];
        let failed = checks.into_iter().find_map(|(directive, found, passes)| {
            let value = self.conf.exclusive(directive, index)?;
            (!passes(value)).then(|| Exclusion {
                directive: format!("{directive}[{index}]"),
                value: value.to_owned(),
                found: found.to_owned(),
                of_package: self.is_of_package(index),
            })
        });
        failed
            .or_else(|| self.failing_config(index))
            .or_else(|| if index == 0 { self.obsolete() } else { None })
    }

    fn failing_config(&self, index: usize) -> Option<Exclusion> {
        let value = self.conf.exclusive("BUILD_EXCLUSIVE_CONFIG", index)?;
        let config = self.config?;
        let word = value.split_whitespace().find(|word| match word.strip_prefix('!') {
            Some(option) => config.is_set(option),
            None => !config.is_set(word),
        })?;
        let found = match word.strip_prefix('!') {
            Some(option) => format!("a kernel with {option}"),
            None => format!("a kernel without {word}"),
        };
        Some(Exclusion {
            directive: format!("BUILD_EXCLUSIVE_CONFIG[{index}]"),
            value: value.to_owned(),
            found,
            of_package: self.is_of_package(index),
        })
    }

    /// Whether an element that looks like one module's condition is that of several.
    fn is_of_package(&self, index: usize) -> bool {
        index == 0 && self.conf.modules.len() > 1
    }

    /// OBSOLETE_BY is the global maximum where no BUILD_EXCLUSIVE_KERNEL_MAX is given.
    fn obsolete(&self) -> Option<Exclusion> {
        let limit = self.conf.obsolete_by.as_deref()?;
        let has_max =
            self.conf.values().elements("BUILD_EXCLUSIVE_KERNEL_MAX").any(|(_, value)| !value.is_empty());
        let kernel = self.target.release.as_str();
        (!has_max && compare_versions(kernel, limit) == Ordering::Greater).then(|| Exclusion {
            directive: "OBSOLETE_BY".into(),
            value: limit.to_owned(),
            found: kernel.to_owned(),
            of_package: false,
        })
    }
}

/// Whether OBSOLETE_BY makes a package obsolete for a kernel: the release decides, then the ABI behind its first dash;
/// a limit without ABI is reached by its release.
#[must_use]
pub(crate) fn is_obsolete(kernel: &crate::model::KernelRelease, limit: &str) -> bool {
    let split = |text: &str| {
        let (release, abi) = text.split_once('-').unwrap_or((text, ""));
        (release.to_owned(), abi.to_owned())
    };
    let ((release, abi), (limit_release, limit_abi)) = (split(kernel.as_str()), split(limit));
    let by_abi = || if limit_abi.is_empty() { Ordering::Equal } else { compare_versions(&abi, &limit_abi) };
    compare_versions(&release, &limit_release).then_with(by_abi) != Ordering::Less
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KernelRelease;
    use rstest::rstest;

    #[rstest]
    #[case("6.1.0-55-amd64", "6.1.0", true)]
    #[case("6.1.0-55-amd64", "6.1.0-55", true)]
    #[case("6.1.0-55-amd64", "6.1.0-56", false)]
    #[case("6.1.0-55-amd64", "6.2", false)]
    #[case("6.10.1", "6.2", true)]
    fn a_package_is_obsolete_from_its_limit_on(
        #[case] kernel: &str,
        #[case] limit: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(is_obsolete(&KernelRelease::new(kernel).unwrap(), limit), expected);
    }
}
