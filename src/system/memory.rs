//! How much memory programs can still have.
//!
//! Sources: proc_meminfo(5), MemAvailable; the kernel's Documentation/admin-guide/cgroup-v2.rst, memory.max and memory.current.

use super::System;
use std::path::{Path, PathBuf};

/// Bytes that can be used without swapping, by the machine and by every control group that this process is in; `None` where
/// neither says.
#[must_use]
pub(crate) fn available(system: &System) -> Option<u64> {
    let meminfo = fs_err::read_to_string(system.path("/proc/meminfo")).ok();
    let machine = meminfo.as_deref().and_then(parse_available);
    let group = fs_err::read_to_string(system.path("/proc/self/cgroup")).unwrap_or_default();
    let groups = group.lines().find_map(|line| line.strip_prefix("0::/")).map(Path::new);
    let top = system.path("/sys/fs/cgroup");
    let left = groups.into_iter().flat_map(Path::ancestors).filter_map(|group| left_in(&top.join(group)));
    machine.into_iter().chain(left).min()
}

/// `MemAvailable:   12345 kB`
fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What a control group may still take; `None` where it has no limit.
fn left_in(group: &Path) -> Option<u64> {
    let number = |file: PathBuf| fs_err::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let most = number(group.join("memory.max"))?;
    Some(most.saturating_sub(number(group.join("memory.current")).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:        8000000 kB\nMemFree: 1 kB\nMemAvailable:    1000 kB\n";
        assert_eq!(parse_available(text), Some(1_024_000));
        assert_eq!(parse_available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn group_without_limit_limits_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(left_in(dir.path()), None);
        std::fs::write(dir.path().join("memory.max"), "1000\n").unwrap();
        std::fs::write(dir.path().join("memory.current"), "400\n").unwrap();
        assert_eq!(left_in(dir.path()), Some(600));
    }
}
