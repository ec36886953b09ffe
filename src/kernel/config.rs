//! A kernel configuration file (`.config`, `include/config/auto.conf`).

use std::path::Path;

/// The text of a kernel configuration and the questions that builds ask of it.
#[derive(Debug, Clone)]
pub(crate) struct KernelConfig {
    text: String,
}

impl KernelConfig {
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let bytes = fs_err::read(path).ok()?;
        Some(Self::parse(String::from_utf8_lossy(&bytes).into_owned()))
    }

    #[must_use]
    pub(crate) fn parse(text: String) -> Self {
        Self { text }
    }

    #[must_use]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value of an option, without its quotes.
    #[must_use]
    pub(crate) fn value(&self, option: &str) -> Option<&str> {
        let value = self.text.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix('='))?;
        Some(value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value))
    }

    /// Whether an option is `y` or `m`. Strings and numbers do not count as set.
    #[must_use]
    pub(crate) fn is_set(&self, option: &str) -> bool {
        self.text.lines().any(|line| {
            let value = line.strip_prefix(option).and_then(|rest| rest.strip_prefix('='));
            value.is_some_and(|value| value.starts_with(['y', 'm']))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_distinguished() {
        let config = KernelConfig::parse(
            "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_AB=64\nCONFIG_D=\"gcc-12 (Debian)\"\n"
                .into(),
        );
        assert!(config.is_set("CONFIG_A") && config.is_set("CONFIG_B"));
        assert!(!config.is_set("CONFIG_C") && !config.is_set("CONFIG_AB") && !config.is_set("CONFIG"));
        assert_eq!(config.value("CONFIG_D"), Some("gcc-12 (Debian)"));
        assert_eq!(config.value("CONFIG_AB"), Some("64"));
    }
}
