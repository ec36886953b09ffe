//! Package names and versions, checked once where they enter.

use std::fmt;

/// Why a text cannot be a path component of the DKMS tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// Nothing was given.
    Empty,
    /// `.` or `..`, or a name that begins with a dot, which listings of the tree skip.
    Dots,
    /// A slash would leave the directory; a blank or control character breaks every line-based reader.
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
            Self::Forbidden(c) if c.is_whitespace() => f.write_str("it contains a blank"),
            Self::Forbidden(c) => write!(f, "it contains {c:?}"),
            Self::TooLong(n) => write!(f, "it is {n} bytes long; a file name has at most 255"),
        }
    }
}

/// Checks that `text` can be one directory name below the DKMS tree and one word of a status line.
pub(super) fn check_component(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.starts_with('.') {
        return Err(NameError::Dots);
    }
    if text.len() > 255 {
        return Err(NameError::TooLong(text.len()));
    }
    match text.chars().find(|c| *c == '/' || c.is_whitespace() || c.is_control()) {
        Some(c) => Err(NameError::Forbidden(c)),
        None => Ok(()),
    }
}

macro_rules! component {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $crate::model::name::component!($(#[$doc])* $name, $what, reserved: []);
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, reserved: [$($reserved:literal),*]) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes a text that can be one path component; tells why not otherwise.
            pub fn new(text: &str) -> Result<Self, $crate::model::NameError> {
                $crate::model::name::check_component(text)?;
                let reserved: &[&str] = &[$($reserved),*];
                if reserved.contains(&text) {
                    return Err($crate::model::NameError::Reserved);
                }
                Ok(Self(text.to_owned()))
            }

            /// Takes a text that a user or caller gave.
            ///
            /// # Errors
            /// It cannot be what it should be; the error says so to them.
            pub fn parse(text: &str) -> $crate::model::Result<Self> {
                Self::new(text).map_err(|why| $crate::model::Error::BadName {
                    what: $what,
                    text: text.to_owned(),
                    why: why.to_string(),
                })
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
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
pub(super) use component;

component!(
    /// What a dkms.conf calls PACKAGE_NAME and the command line calls a module.
    PackageName, "a module name"
);
component!(
    /// What a dkms.conf calls PACKAGE_VERSION: opaque text, ordered by [`super::compare_versions`].
    PackageVersion, "a module version"
);

/// A package in one version, printed as `M/V`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId {
    pub name: PackageName,
    pub version: PackageVersion,
}

impl PackageId {
    #[must_use]
    pub fn new(name: PackageName, version: PackageVersion) -> Self {
        Self { name, version }
    }

    /// The name of the package's directory in the source tree: `M-V`.
    #[must_use]
    pub fn source_dir_name(&self) -> String {
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
    fn a_name_that_is_no_path_component_is_refused(#[case] text: &str, #[case] why: NameError) {
        assert_eq!(PackageName::new(text), Err(why));
    }

    #[rstest]
    #[case("nvidia-current")]
    #[case("0.6.1+git20200318~rc1")]
    #[case("88x2bu")]
    #[case("ä")]
    fn what_packages_are_called_is_accepted(#[case] text: &str) {
        assert_eq!(PackageName::new(text).unwrap().as_str(), text);
    }
}
