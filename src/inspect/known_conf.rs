//! What a dkms.conf says, for those who only look: one that needs bash is not evaluated again while what it was read from is the
//! same.
//!
//! Such a file may read other files and run programs, and it cannot be determined which. It is taken to say the same as
//! long as everything is the same that makes a remembered failure stay one: the package's own files, the overrides in
//! /etc/dkms, the kernel's configuration and exported symbols, gcc, clang and the other tools, framework.conf; also the
//! variables that it finds, the machine and the version of dkms; and at most for a day. What is built or installed is read
//! anew, and with --force everything.

use crate::conf::{
    Effective, EvalContext, PackageConf, Strictness, Values, read_effective, reading_context, understand,
};
use crate::inspect::inputs::{inputs, is_as_recorded, tool_files};
use crate::model::{BuildId, Result};
use crate::session::Session;
use crate::system::fingerprint::{Comparison, Fingerprint};
use crate::tree::{ConfRecord, Inputs};
use std::path::PathBuf;
use std::sync::PoisonError;

const LONGEST: i64 = 24 * 60 * 60;

/// What a package says for a kernel, as far as it can be understood.
///
/// # Errors
/// Its dkms.conf is missing, unreadable or invalid.
pub(crate) fn known_conf(session: &Session<'_>, id: &BuildId) -> Result<PackageConf> {
    let effective = known_values(session, id)?;
    let conf = session.tree().conf_path(&id.package);
    understand(&effective, &conf, Strictness::Lenient, session.settings, session.system)
}

/// The same without a look at whether the values make sense.
///
/// # Errors
/// Its dkms.conf is missing or unreadable.
pub(crate) fn known_values(session: &Session<'_>, id: &BuildId) -> Result<Effective> {
    let conf = session.tree().conf_path(&id.package);
    let kernel = session.kernel(&id.target.release);
    let view = EvalContext { package: Some(&id.package), kernel: &kernel, arch: &id.target.arch };
    let record = if session.reads_confs_anew() { None } else { session.tree().conf_record(id) };
    if let Some(record) = record.filter(|record| is_current(session, record, id)) {
        return Ok(Effective::recorded(conf, record.values, record.messages));
    }
    let read = || read_effective(&conf, view, session.settings, session.system);
    let effective = read()?;
    if !effective.needed_bash() || context_of(session, id).is_none() {
        return Ok(effective);
    }
    // Once more, after what it is read from was looked at: what changes meanwhile ends the record.
    let Ok(inputs) = inputs(session, id) else { return Ok(effective) };
    let effective = read()?;
    if let Some(record) = record_of(session, id, inputs, (&effective.values, &effective.messages)) {
        // For the one who may write.
        session.evaluated.lock().unwrap_or_else(PoisonError::into_inner).push((id.clone(), record));
    }
    Ok(effective)
}

/// What is to be remembered of a dkms.conf: what it said, and what it was read from, as that was before. `None` where it means
/// nothing to others.
pub(crate) fn record_of(
    session: &Session<'_>,
    id: &BuildId,
    inputs: Inputs,
    (values, messages): (&Values, &[String]),
) -> Option<ConfRecord> {
    let context = context_of(session, id)?;
    let files = files(session, id);
    let print = Fingerprint::take(&files).ok()?;
    let said = (values.clone(), messages.to_vec());
    Some(ConfRecord::new(inputs, (print, files), context, now(), said))
}

fn context_of(session: &Session<'_>, id: &BuildId) -> Option<String> {
    let kernel = session.kernel(&id.target.release);
    let view = EvalContext { package: Some(&id.package), kernel: &kernel, arch: &id.target.arch };
    reading_context(view, session.settings, session.system)
}

/// The tools, and the file itself: in the source it may be a link.
fn files(session: &Session<'_>, id: &BuildId) -> Vec<PathBuf> {
    tool_files(session).into_iter().chain([session.tree().conf_path(&id.package)]).collect()
}

fn is_current(session: &Session<'_>, record: &ConfRecord, id: &BuildId) -> bool {
    let age = now() - record.at;
    // Headers that are gone are another answer to a file that looks for them.
    let same_kernel = || record.inputs.kernel.compare(&record.inputs.kernel_files);
    (0..LONGEST).contains(&age)
        && context_of(session, id).as_ref() == Some(&record.context)
        && same_kernel().is_ok_and(|comparison| comparison != Comparison::Different)
        && record.tool_files == files(session, id)
        && is_as_recorded(session, &mut record.inputs.clone(), (&record.tools, &record.tool_files), id)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
