//! The names of modules and of their files.

use std::path::Path;

/// How the files of modules end, uncompressed first.
pub(crate) const SUFFIXES: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];

/// `m` of `m.ko.xz`; of a path, with the directories. `None` where it is not the name of a module's file.
#[must_use]
pub(crate) fn module_stem(name: &str) -> Option<&str> {
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).filter(|stem| !stem.is_empty())
}

#[must_use]
pub(crate) fn is_module_file(name: &str) -> bool {
    module_stem(name).is_some()
}

/// The name of the module in a file: `m` of `/a/m.ko.xz`; of another file its whole name.
#[must_use]
pub(crate) fn module_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    module_stem(&name).unwrap_or(&name).to_owned()
}

/// Module names are the same with `-` and `_`; this is the form to compare.
#[must_use]
pub(crate) fn normal(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("m.ko", Some("m"))]
    #[case("a.b-c.ko.zst", Some("a.b-c"))]
    #[case("kernel/x/m.ko.gz", Some("kernel/x/m"))]
    #[case("m.ko.bak", None)]
    #[case("m.o", None)]
    #[case(".ko", None)]
    #[case("", None)]
    fn stem_is_what_precedes_a_known_suffix(#[case] name: &str, #[case] stem: Option<&str>) {
        assert_eq!(module_stem(name), stem);
    }

    #[rstest]
    #[case("/lib/modules/6.1/updates/m.ko.xz", "m")]
    #[case("/x/notes.txt", "notes.txt")]
    fn name_of_a_file(#[case] path: &str, #[case] name: &str) {
        assert_eq!(module_name(Path::new(path)), name);
    }
}
