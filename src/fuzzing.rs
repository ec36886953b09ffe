//! What the fuzz targets in `fuzz/` call: every parser of foreign files, with what must hold of any bytes.
//! The tests call them with the corpus.

use crate::archive::tarball::{link_leading_out, unpack};
use crate::conf::eval::{Evaluator, Scope, evaluate, evaluate_by_bash, is_native};
use crate::conf::{Values, WHITELIST};
use crate::inspect::check::parse_modules_dep;
use crate::kernel::module_file::{
    ModuleFile, compare_modules, decompress, has_signature, split_signature, strip_signature,
};
use crate::signing::{identify, signer_name, verify};
use crate::system::Distribution;
use crate::tree::{BuildRecord, Entry, FailureRecord, InstallRecord, Pending};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

/// A conf that is evaluated without bash has bash's values.
///
/// # Panics
/// It has others.
pub fn conf(text: &[u8]) {
    const LIMIT: Duration = Duration::from_secs(10);
    let Ok(dir) = tempfile::tempdir() else { return };
    let path = dir.path().join("dkms.conf");
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let scope = Scope {
        confined: None,
        variables: pairs(&[("kernelver", "6.1.0-49-amd64"), ("arch", "x86_64"), ("module", "p")]),
        inherited: Values::new(),
        // A conf that is evaluated natively starts no program; should ours be wrong in that, none is found.
        environment: pairs(&[("PATH", "/nonexistent"), ("HOME", "/nonexistent")]),
    };
    if !is_native(text, &WHITELIST, &scope) || std::fs::write(&path, text).is_err() {
        return;
    }
    let Ok(ours) = evaluate(&path, text, &WHITELIST, &scope, LIMIT) else { return };
    if ours.evaluator == Evaluator::Native {
        let Ok(expected) = evaluate_by_bash(&path, text, &WHITELIST, &scope, LIMIT) else { return };
        assert_eq!(ours.values, expected, "ours, bash's: {:?}", String::from_utf8_lossy(text));
    }
}

/// What can be read of a record can be written and read again.
///
/// # Panics
/// It comes back as another one.
pub fn record(text: &[u8]) {
    fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &[u8]) {
        if let Ok(record) = serde_json::from_slice::<T>(text) {
            let written = serde_json::to_vec(&record).unwrap_or_default();
            assert_eq!(serde_json::from_slice::<T>(&written).ok(), Some(record));
        }
    }
    same::<BuildRecord>(text);
    same::<InstallRecord>(text);
    same::<FailureRecord>(text);
    same::<Vec<Entry>>(text);
    same::<Vec<Pending>>(text);
    for key in serde_json::from_slice::<Vec<Pending>>(text).unwrap_or_default() {
        drop(key.target());
    }
}

/// A module file in any compression, compared with itself.
pub fn module(content: &[u8]) {
    let Ok(content) = decompress(content.to_vec(), 1 << 20) else { return };
    let file = ModuleFile::new(content);
    drop(compare_modules(&file, &file));
}

/// An appended signature: the parts are those of the whole.
///
/// # Panics
/// A part is missing or too much.
pub fn signature(content: &[u8]) {
    let stripped = strip_signature(content.to_vec());
    assert!(content.starts_with(&stripped));
    match split_signature(content) {
        Some((image, signature)) => {
            assert!(has_signature(content));
            // What is stripped may be several signatures.
            assert!(image.starts_with(&stripped));
            let appended = &content[image.len()..];
            assert!(appended[..appended.len() - 40].ends_with(signature));
            drop(verify(image, signature, content));
            drop(signer_name(signature));
        }
        None => assert_eq!(stripped, content),
    }
    drop(identify(content));
}

/// A tarball is unpacked below the given directory, or refused.
///
/// # Panics
/// A link leads out of the directory.
pub fn tarball(content: &[u8]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let (archive, work) = (dir.path().join("archive"), dir.path().join("work"));
    if std::fs::write(&archive, content).is_ok() && std::fs::create_dir(&work).is_ok() {
        let unpacked = unpack(&archive, &work);
        let outside: Vec<_> = std::fs::read_dir(dir.path())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(outside.len(), 2, "{outside:?}");
        if unpacked.is_ok() {
            assert_eq!(link_leading_out(&work).ok(), Some(None));
        }
    }
}

/// os-release(5).
pub fn os_release(text: &[u8]) {
    let distribution = Distribution::parse(&String::from_utf8_lossy(text));
    drop(distribution.id);
}

/// modules.dep(5): every file has the name that it is found by.
///
/// # Panics
/// A name leads to the file of another module.
pub fn modules_dep(text: &[u8]) {
    for (name, file) in parse_modules_dep(&String::from_utf8_lossy(text)) {
        let stem = file.file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
        assert!(stem.starts_with(&name), "{name}: {}", file.display());
        assert!(!Path::new(&name).is_absolute());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::path::PathBuf;

    #[rstest]
    #[case("conf", conf)]
    #[case("record", record)]
    #[case("module", module)]
    #[case("signature", signature)]
    #[case("tarball", tarball)]
    #[case("os_release", os_release)]
    #[case("modules_dep", modules_dep)]
    fn the_corpus_holds(#[case] target: &str, #[case] run: fn(&[u8])) {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files: Vec<PathBuf> =
            std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(!files.is_empty());
        files.iter().for_each(|file| run(&std::fs::read(file).unwrap()));
    }
}
