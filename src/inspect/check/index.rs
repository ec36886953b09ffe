//! What modprobe(8) would find, by modules.dep.

use crate::kernel::Kernel;
use crate::model::module_name::{module_stem, normal};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What modules.dep says: the file of each module, below the kernel's directory.
pub(super) struct Index(Option<HashMap<String, PathBuf>>);

impl Index {
    pub(super) fn read(kernel: &Kernel) -> Self {
        let text = fs_err::read_to_string(kernel.dir.join("modules.dep")).ok();
        Self(text.map(|text| parse_modules_dep(&text)))
    }

    /// Why modprobe would not load this file for this name.
    pub(super) fn flaw(&self, name: &str, file: &Path, kernel: &Kernel) -> Option<String> {
        let Some(files) = &self.0 else {
            return Some(format!("kernel {} has no modules.dep", kernel.release));
        };
        match files.get(&normal(name)) {
            None => Some("modules.dep does not know it".to_owned()),
            Some(indexed) => {
                let indexed = kernel.dir.join(indexed);
                let same =
                    indexed == file || fs_err::canonicalize(&indexed).ok() == fs_err::canonicalize(file).ok();
                (!same).then(|| format!("modprobe would load {}", indexed.display()))
            }
        }
    }
}

/// Module names, with `_` for `-`, and the files of modules.dep(5). The first line of a name is the one that counts.
pub(crate) fn parse_modules_dep(text: &str) -> HashMap<String, PathBuf> {
    let mut files = HashMap::new();
    for line in text.lines() {
        let Some((path, _)) = line.split_once(':') else { continue };
        let file = Path::new(path.trim());
        if let Some(stem) = file.file_name().and_then(|name| module_stem(name.to_str()?)) {
            files.entry(normal(stem)).or_insert_with(|| file.to_owned());
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", &[])]
    #[case("kernel/a-b.ko.xz: kernel/c.ko\nupdates/x.ko:\n", &[("a_b", "kernel/a-b.ko.xz"), ("x", "updates/x.ko")])]
    #[case("no colon\n: empty\nupdates/a.ko:\nkernel/a.ko:\n", &[("a", "updates/a.ko")])]
    #[case("\u{0}\u{ff}:\n", &[])]
    fn modules_dep_is_read(#[case] text: &str, #[case] files: &[(&str, &str)]) {
        let wanted: HashMap<String, PathBuf> =
            files.iter().map(|(name, file)| ((*name).to_owned(), PathBuf::from(file))).collect();
        assert_eq!(parse_modules_dep(text), wanted);
    }
}
