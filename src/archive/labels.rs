//! SELinux labels for files that go into an image.

use crate::archive::tools::Tools;
use crate::model::Result;
use crate::system::System;
use std::path::{Path, PathBuf};

/// Labels what is below `image` as the machine's policy labels files of these names; without a policy it stays as it is. Files
/// without labels are closed to modprobe(8).
///
/// # Errors
/// setfiles(8) is missing, or fails.
pub(crate) fn label(image: &Path, tools: &Tools<'_>, system: &System) -> Result<()> {
    let Some(contexts) = contexts(system) else { return Ok(()) };
    let command = tools.tool("setfiles", "policycoreutils")?.args(["-F", "-r"]).arg(image);
    tools.run("setfiles", command.arg(contexts).arg(image)).map(drop)
}

/// The file_contexts(5) of the policy that /etc/selinux/config names, unless SELinux is switched off there.
fn contexts(system: &System) -> Option<PathBuf> {
    let config = fs_err::read_to_string(system.path("/etc/selinux/config")).ok()?;
    let value = |name: &str| {
        let mut values = config.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        values.next_back().map(str::trim)
    };
    let policy = value("SELINUXTYPE").filter(|policy| !policy.is_empty())?;
    let path = system.path("/etc/selinux").join(policy).join("contexts/files/file_contexts");
    (value("SELINUX") != Some("disabled") && path.is_file()).then_some(path)
}
