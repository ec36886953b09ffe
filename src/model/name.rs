//! Package names and versions, checked once where they enter.

use super::text::is_invisible;
use std::fmt;

/// Why a text cannot be a path component of the DKMS tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameError {
    /// Nothing was given.
    Empty,
    /// `.` or `..`, or a name that begins with a dot, which listings of the tree skip.
    Dots,
    /// Programs would take it for an option.
    Option,
    /// A slash would leave the directory; a blank or control character breaks every line-based reader; a shell reads the
    /// others as something else; and invisible characters make two names look the same.
    Forbidden(char),
    /// The DKMS tree uses the name itself.
    Reserved,
    /// The kernel's limit for one path component is 255 bytes.
    TooLong(usize),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Reserved => f.write_str("the DKMS tree uses that name itself"),
            Self::Dots => f.write_str("it begins with a dot"),
            Self::Option => f.write_str("it begins with a dash"),
            Self::Forbidden(c) if c.is_whitespace() => f.write_str("it contains a blank"),
            Self::Forbidden(c) if is_invisible(*c) => {
                write!(f, "it contains the character U+{:04X}", u32::from(*c))
            }
            Self::Forbidden(c) => write!(f, "it contains {c:?}"),
            Self::TooLong(n) => write!(f, "it is {n} bytes long; a file name has at most 255"),
        }
    }
}

/// Checks that `text` can be one directory name below the DKMS tree and one word of a status line.
pub(crate) fn check_component(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.starts_with('.') {
        return Err(NameError::Dots);
    }
    if text.starts_with('-') {
        return Err(NameError::Option);
    }
    if text.len() > 255 {
        return Err(NameError::TooLong(text.len()));
    }
    match text.chars().find(|c| is_forbidden(*c)) {
        Some(c) => Err(NameError::Forbidden(c)),
        None => Ok(()),
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_invisible(c) || "/*?[]{}()<>|&;$`\\\"'!".contains(c)
}

/// Whether `text` is a word that the tree uses itself: exactly, or by the shape `<prefix>*-*`.
pub(crate) fn is_reserved(text: &str, word: &str) -> bool {
    match word.strip_suffix("*-*") {
        Some(prefix) => text.strip_prefix(prefix).is_some_and(|rest| rest.contains('-')),
        None => text == word,
    }
}

macro_rules! component {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $crate::model::name::component!($(#[$doc])* $name, $what, reserved: []);
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, reserved: [$($reserved:literal),*]) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(String);

        impl $name {
            /// Takes a text that can be one path component; tells why not otherwise.
            pub(crate) fn new(text: &str) -> Result<Self, $crate::model::NameError> {
                $crate::model::name::check_component(text)?;
                let reserved: &[&str] = &[$($reserved),*];
                if reserved.iter().any(|word| $crate::model::name::is_reserved(text, word)) {
                    return Err($crate::model::NameError::Reserved);
                }
                Ok(Self(text.to_owned()))
            }

            /// Takes a text that a user or caller gave.
            ///
            /// # Errors
            /// It cannot be what it should be; the error says so to them.
            pub(crate) fn parse(text: &str) -> $crate::model::Result<Self> {
                Self::new(text).map_err(|why| $crate::model::Error::BadName {
                    what: $what,
                    text: text.to_owned(),
                    why: why.to_string(),
                })
            }

            #[must_use]
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use component;

component!(
    /// What a dkms.conf calls PACKAGE_NAME and the command line calls a module.
    PackageName, "a module name",
    reserved: ["original_module", "mok.key", "mok.pub", "post_transaction.log", "dkms_dbversion"]
);
component!(
    /// What a dkms.conf calls PACKAGE_VERSION: opaque text, ordered by [`super::compare_versions`].
    PackageVersion, "a module version", reserved: ["original_module", "kernel-*-*"]
);

/// A package in one version, printed as `M/V`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackageId {
    pub name: PackageName,
    pub version: PackageVersion,
}

impl PackageId {
    #[must_use]
    pub(crate) fn new(name: PackageName, version: PackageVersion) -> Self {
        Self { name, version }
    }

    /// The name of the package's directory in the source tree: `M-V`.
    #[must_use]
    pub(crate) fn source_dir_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", NameError::Empty)]
    #[case("..", NameError::Dots)]
    #[case(".", NameError::Dots)]
    #[case(".hidden", NameError::Dots)]
    #[case("a/b", NameError::Forbidden('/'))]
    #[case("a b", NameError::Forbidden(' '))]
    #[case("a\nb", NameError::Forbidden('\n'))]
    #[case("a\0b", NameError::Forbidden('\0'))]
    #[case("-rf", NameError::Option)]
    #[case("*", NameError::Forbidden('*'))]
    #[case("a[b]", NameError::Forbidden('['))]
    #[case("a;b", NameError::Forbidden(';'))]
    #[case("$(id)", NameError::Forbidden('$'))]
    #[case("a\u{202e}b", NameError::Forbidden('\u{202e}'))]
    #[case("a\u{200b}b", NameError::Forbidden('\u{200b}'))]
    #[case("a\u{2066}b", NameError::Forbidden('\u{2066}'))]
    #[case("original_module", NameError::Reserved)]
    #[case("mok.key", NameError::Reserved)]
    fn name_that_is_no_path_component_is_refused(#[case] text: &str, #[case] why: NameError) {
        assert_eq!(PackageName::new(text), Err(why));
    }

    #[rstest]
    #[case("kernel-6.1-x86_64", Err(NameError::Reserved))]
    #[case("original_module", Err(NameError::Reserved))]
    #[case("kernel-1", Ok(()))]
    fn version_cannot_look_like_an_active_link(#[case] text: &str, #[case] result: Result<(), NameError>) {
        assert_eq!(PackageVersion::new(text).map(|_| ()), result);
    }

    #[rstest]
    #[case("nvidia-current")]
    #[case("0.6.1+git20200318~rc1")]
    #[case("88x2bu")]
    #[case("ä")]
    #[case("@PKGVER@")]
    #[case("#MODULE_VERSION#")]
    #[case("1:2.3-4")]
    fn name_of_a_real_package_is_accepted(#[case] text: &str) {
        assert_eq!(PackageName::new(text).unwrap().as_str(), text);
    }
}
