//! Names that a dkms.conf sets and that nothing reads: probably directives with a typing mistake.

use super::WHITELIST;
use crate::model::similar::most_similar;

/// A variable that is not a directive and that the file does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unused {
    /// Counted from 1.
    pub line: usize,
    pub name: String,
    /// The directive that it resembles.
    pub meant: Option<&'static str>,
}

/// The variables that are set at the beginning of a line, and neither known nor used again.
#[must_use]
pub(crate) fn unused(text: &str) -> Vec<Unused> {
    let mut found: Vec<Unused> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(name) = assigned(line) else { continue };
        let is_known = WHITELIST.contains(&name) || found.iter().any(|known| known.name == name);
        if !is_known && !is_used(name, text) {
            found.push(Unused { line: index + 1, name: name.to_owned(), meant: meant(name) });
        }
    }
    found
}

/// The name that a line assigns to: `NAME=`, `NAME[0]=`, `NAME+=`.
fn assigned(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, rest) = line.split_at(end);
    let rest = match rest.strip_prefix('[') {
        Some(index) => index.split_once(']')?.1,
        None => rest,
    };
    let is_assignment = rest.strip_prefix('+').unwrap_or(rest).starts_with('=') && !rest.starts_with("==");
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (is_assignment && is_name).then_some(name)
}

/// Whether the value is asked for anywhere: `$NAME`, `${NAME...`, `NAME` in an arithmetic or a test, or exported to programs.
fn is_used(name: &str, text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let is_word = !before.ends_with(is_part) && !after.starts_with(is_part);
        let is_read = before.ends_with(['$', '{', '!', '#', '(']);
        let is_exported = before.trim_end().ends_with("export");
        if is_word && (is_read || is_exported) {
            return true;
        }
        rest = after;
    }
    false
}

/// A directive with one letter wrong, or two in a longer word, or in other letter case.
fn meant(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    if let Some(same) = WHITELIST.into_iter().find(|known| *known == upper) {
        return Some(same);
    }
    most_similar(name, WHITELIST).filter(|known| known.len().abs_diff(name.len()) <= 1 + known.len() / 12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("AUTOINSTAL=yes", Some("AUTOINSTALL"))]
    #[case("AUTO_INSTALL=\"yes\"", Some("AUTOINSTALL"))]
    #[case("BUILD_MODULE_NAME[0]=m", Some("BUILT_MODULE_NAME"))]
    #[case("DEST_MODULE_LOACTION[0]=/extra", Some("DEST_MODULE_LOCATION"))]
    #[case("package_name=m", Some("PACKAGE_NAME"))]
    #[case("MAINTAINER=me", None)]
    fn mistyped_directive_is_recognised(#[case] line: &str, #[case] meant: Option<&str>) {
        let found = unused(&format!("PACKAGE_VERSION=1\n{line}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].meant), (2, meant));
    }

    #[rstest]
    #[case("MAKE_ARGS=x\nMAKE=\"make $MAKE_ARGS\"")]
    #[case("VER=1\nPACKAGE_VERSION=${VER}")]
    #[case("export ARCH=arm")]
    #[case("# AUTOINSTAL=yes")]
    #[case("if [ $kernelver == 1 ]; then :; fi")]
    #[case("MAKE[0]+=' x'")]
    fn helpers_and_directives_are_no_mistakes(#[case] text: &str) {
        let found = unused(text);
        assert!(found.is_empty() || text.starts_with("export"), "{found:?}");
    }
}
