//! The logs of builds that are kept, with what they are of.

use crate::model::{BuildId, KernelRelease, PackageId, Target};
use crate::plan::request::PackageQuery;
use crate::session::Session;
use crate::system::files;
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
        let time = jiff::Timestamp::try_from(self.written).unwrap_or_default();
        time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// The logs of a package or of all, for a kernel or for all, the newest last.
#[must_use]
pub(crate) fn logs(
    session: &Session<'_>,
    package: Option<&PackageQuery>,
    release: Option<&KernelRelease>,
) -> Vec<Log> {
    let snapshot = session.tree().scan(&session.settings.source_tree);
    let mut found = Vec::new();
    for known in snapshot.packages.iter().filter(|known| package.is_none_or(|wanted| wanted.is(&known.id))) {
        let targets: Vec<Target> = known.builds.iter().map(|build| build.target.clone()).collect();
        logs_of(session, &known.id, &targets, &mut found);
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

/// The kernel that a log's first line names: `DKMS (dkms-3.4.3) make.log for M/V for kernel K (A)`.
fn kernel_in(log: &Path) -> Option<String> {
    let bytes = files::read_ends(log).ok()?;
    let first = String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').next()?).into_owned();
    let (_, kernel) = first.split_once(" for kernel ")?;
    Some(kernel.split(' ').next()?.to_owned())
}
