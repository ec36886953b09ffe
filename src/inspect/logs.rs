//! The logs of builds that are kept, with what they are of.

use crate::model::text::minute;
use crate::model::{BuildId, KernelRelease, PackageId, Target};
use crate::session::Session;
use crate::system::files;
use crate::tree::Package;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a log is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKind {
    /// The build still writes it.
    Running,
    Failed,
    Built,
}

/// One log of one build.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub id: PackageId,
    /// The release; as the log itself names it where only that is known.
    pub kernel: String,
    pub kind: LogKind,
    pub path: PathBuf,
    written: SystemTime,
}

impl Log {
    /// What it is of, for people.
    #[must_use]
    pub(crate) fn what(&self) -> String {
        let how = match self.kind {
            LogKind::Running => "running",
            LogKind::Failed => "failed",
            LogKind::Built => "built",
        };
        format!("{} for kernel {}, {how} {}", self.id, self.kernel, self.minute())
    }

    /// When it was last written, in local time.
    #[must_use]
    pub(crate) fn minute(&self) -> String {
        minute(jiff::Timestamp::try_from(self.written).unwrap_or_default())
    }
}

/// The logs of some packages, for a kernel or for all, the newest last.
#[must_use]
pub(crate) fn logs<'a>(
    session: &Session<'_>,
    packages: impl IntoIterator<Item = &'a Package>,
    release: Option<&KernelRelease>,
) -> Vec<Log> {
    let mut found = Vec::new();
    for package in packages {
        let targets: Vec<Target> = package.builds.iter().map(|build| build.target.clone()).collect();
        logs_of(session, &package.id, &targets, &mut found);
    }
    found.retain(|log| release.is_none_or(|wanted| wanted.as_str() == log.kernel));
    found.sort_by_key(|log| log.written);
    found
}

fn logs_of(session: &Session<'_>, id: &PackageId, built: &[Target], found: &mut Vec<Log>) {
    let tree = session.tree();
    for target in built {
        let path = tree.out_dir(&BuildId::new(id.clone(), target.clone())).join("log/make.log");
        found.extend(log(id, target.release.to_string(), LogKind::Built, path));
    }
    let kept = tree.kept_failure_logs(id);
    for (target, path) in &kept {
        found.extend(log(id, target.release.to_string(), LogKind::Failed, path.clone()));
    }
    let usual = tree.failure_log(id);
    if !kept.iter().any(|(_, path)| files::is_same_file(path, &usual)) {
        let kind = if tree.staged(id).is_empty() { LogKind::Failed } else { LogKind::Running };
        found.extend(log(id, kernel_in(&usual).unwrap_or_default(), kind, usual));
    }
}

fn log(id: &PackageId, kernel: String, kind: LogKind, path: PathBuf) -> Option<Log> {
    let data = fs_err::metadata(&path).ok().filter(|data| data.is_file())?;
    Some(Log { id: id.clone(), kernel, kind, written: data.modified().ok()?, path })
}

/// The first line of a log is shorter; a file of that name that is not a log may have any.
const LONGEST_HEADER: u64 = 4096;

/// The kernel that a log's first line names: `DKMS (dkms-3.4.3) make.log for M/V for kernel K (A)`.
fn kernel_in(log: &Path) -> Option<String> {
    let mut first = Vec::new();
    let file = BufReader::new(fs_err::File::open(log).ok()?);
    file.take(LONGEST_HEADER).read_until(b'\n', &mut first).ok()?;
    let first = String::from_utf8_lossy(&first).into_owned();
    let (_, kernel) = first.split_once(" for kernel ")?;
    Some(kernel.split(' ').next()?.to_owned())
}
