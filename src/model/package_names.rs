//! What a package is called by the distributions. Sources: Debian Policy 5.6.7 and 5.6.12; rpm-version(7).

use crate::model::{Arch, PackagingProblem};

/// The name of a Debian package: what it does not have in it is mapped, as mkdeb always did.
pub(crate) fn debian_name(name: &str) -> Result<String, PackagingProblem> {
    let mapped = name.to_ascii_lowercase().replace('_', "-");
    if !mapped.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        let why = "a Debian package's name begins with a letter or a digit".to_owned();
        return Err(PackagingProblem::Name { what: "name", text: name.to_owned(), why });
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    checked("name", name, &mapped, fits, |c| format!("no Debian package has {c:?} in its name"))?;
    Ok(mapped)
}

/// The version of a Debian package. One that begins with a letter comes before every release.
pub(crate) fn debian_version(version: &str) -> Result<String, PackagingProblem> {
    let mapped = version.replace('_', "+");
    let mapped = match mapped.strip_prefix(['v', 'V']) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest.to_owned(),
        _ if !mapped.starts_with(|c: char| c.is_ascii_digit()) => format!("0~{mapped}"),
        _ => mapped,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-.~".contains(c);
    checked("version", version, &mapped, fits, |c| format!("no Debian package has {c:?} in its version"))?;
    Ok(mapped)
}

/// Debian's name for an architecture, as dpkg-architecture(1) has it.
pub(crate) fn debian_arch(arch: &Arch) -> String {
    match arch.as_str() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "i386",
        "armv7l" | "armv8l" | "arm" => "armhf",
        "ppc64le" => "ppc64el",
        "loongarch64" => "loong64",
        other => other,
    }
    .to_owned()
}

/// As systemd.unit(5) names architectures in ConditionArchitecture=.
pub(crate) fn systemd_arch(arch: &Arch) -> &str {
    match arch.as_str() {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        arm if arm.starts_with("arm") => "arm",
        "ppc64le" => "ppc64-le",
        other => other,
    }
}

/// The name of an rpm package.
pub(crate) fn rpm_name(name: &str) -> Result<String, PackagingProblem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    checked("name", name, name, fits, |c| format!("no rpm package has {c:?} in its name"))?;
    Ok(name.to_owned())
}

/// The version of an rpm package, which has no hyphen.
pub(crate) fn rpm_version(version: &str) -> Result<String, PackagingProblem> {
    let mapped = version.replace('-', "_");
    let fits = |c: char| c.is_ascii_alphanumeric() || "+._~^".contains(c);
    checked("version", version, &mapped, fits, |c| format!("no rpm package has {c:?} in its version"))?;
    Ok(mapped)
}

/// Whether a text can stand in a script and in a file list as it is.
pub(crate) fn plain(what: &'static str, text: &str) -> Result<(), PackagingProblem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-._~:@^".contains(c);
    checked(what, text, text, fits, |c| format!("{c:?} has a meaning in scripts"))
}

/// Refuses a name or version whose mapped form has a character that does not fit.
fn checked(
    what: &'static str,
    text: &str,
    mapped: &str,
    fits: impl Fn(char) -> bool,
    why: impl Fn(char) -> String,
) -> Result<(), PackagingProblem> {
    match mapped.chars().find(|c| !fits(*c)) {
        Some(c) => Err(PackagingProblem::Name { what, text: text.to_owned(), why: why(c) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("acpi_call", Some("acpi-call"))]
    #[case("PF_RING", Some("pf-ring"))]
    #[case("g++x", Some("g++x"))]
    #[case("_x", None)]
    #[case("a:b", None)]
    #[case("ä", None)]
    fn a_name_is_mapped_or_refused(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(debian_name(name).ok().as_deref(), expected);
    }

    #[rstest]
    #[case("1.0", Some("1.0"))]
    #[case("1.0~rc1+git20240101", Some("1.0~rc1+git20240101"))]
    #[case("5.2.4-1_deb", Some("5.2.4-1+deb"))]
    #[case("v1.8-21-g4dc9", Some("1.8-21-g4dc9"))]
    #[case("git", Some("0~git"))]
    #[case("1:2", None)]
    fn a_version_is_mapped_or_refused(#[case] version: &str, #[case] expected: Option<&str>) {
        assert_eq!(debian_version(version).ok().as_deref(), expected);
    }

    #[rstest]
    #[case("1.0-rc1", Some("1.0_rc1"))]
    #[case("1.0~git+2^1", Some("1.0~git+2^1"))]
    #[case("1:0", None)]
    fn rpm_has_its_own_rules(#[case] version: &str, #[case] expected: Option<&str>) {
        assert_eq!(rpm_version(version).ok().as_deref(), expected);
    }

    #[rstest]
    #[case("a-1+b", true)]
    #[case("a$b", false)]
    #[case("a b", false)]
    #[case("a;b", false)]
    fn what_has_a_meaning_in_scripts_is_refused(#[case] text: &str, #[case] fits: bool) {
        assert_eq!(plain("name", text).is_ok(), fits);
    }
}
