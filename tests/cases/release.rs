//! What is said of the version in other places than Cargo.toml.

use rstest::rstest;
use std::fs;
use std::path::Path;

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[rstest]
#[case::debian("packaging/debian/changelog", "dkms-rs (@) ")]
#[case::rpm("packaging/rpm/dkms-rs.spec", "\nVersion:        @\n")]
#[case::rpm_changelog("packaging/rpm/dkms-rs.spec", " - @-1\n")]
#[case::arch("packaging/arch/PKGBUILD", "\npkgver=@\n")]
#[case::readme("README.md", "dkms-rs-@.tar.gz")]
fn packages_have_the_version_of_the_crate(#[case] file: &str, #[case] line: &str) {
    let expected = line.replace('@', env!("CARGO_PKG_VERSION"));
    assert!(text(file).contains(&expected), "{file} lacks {expected:?}");
}

#[test]
fn changelog_tells_what_the_version_brings() {
    let changelog = text("CHANGELOG.md");
    let mut entries = changelog.split("\n## ").skip(1);
    let heading = format!("[{}]", env!("CARGO_PKG_VERSION"));
    let entry = entries.find(|entry| entry.starts_with(&heading)).expect("an entry of this version");
    assert!(entry.lines().any(|line| line.starts_with("- ")), "{entry}");
}
