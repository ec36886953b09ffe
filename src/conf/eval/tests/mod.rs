//! Tests of the evaluator as a whole.

mod cases;
mod constructs;
mod constructs_dir;
mod fallback;
mod generator;
mod oracle;

use super::{Evaluation, Scope, evaluate};
use crate::conf::{Values, WHITELIST};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A directory with one conf, and what the conf sees.
struct World {
    dir: tempfile::TempDir,
    scope: Scope,
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl World {
    /// `nproc` is a program of ours there, so that results do not depend on the machine.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("nproc");
        fs_err::write(&program, "#!/bin/sh\necho 2\n").unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let variables = map(&[
            ("kernelver", "6.1.0-49-amd64"),
            ("arch", "x86_64"),
            ("kernel_source_dir", "/lib/modules/6.1.0-49-amd64/build"),
            ("dkms_tree", "/var/lib/dkms"),
            ("source_tree", "/usr/src"),
            ("install_tree", "/lib/modules"),
            ("module", "p"),
            ("module_version", "1"),
            ("parallel_jobs", "2"),
        ]);
        let environment = map(&[("PATH", &path), ("HOME", "/nonexistent")]);
        Self { dir, scope: Scope { variables, inherited: Values::new(), environment, confined: None } }
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("dkms.conf")
    }

    fn evaluate(&self, text: impl AsRef<[u8]>) -> Evaluation {
        fs_err::write(self.conf(), text.as_ref()).unwrap();
        self.evaluate_at(&self.conf(), text.as_ref())
    }

    fn evaluate_at(&self, path: &Path, text: &[u8]) -> Evaluation {
        evaluate(path, text, &WHITELIST, &self.scope, Duration::from_secs(20)).unwrap()
    }
}
