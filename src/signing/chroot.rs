//! Whether we run in a chroot, where keys of the machine that will boot are out of reach. Reads `/proc` only.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A container, whose first process sees the same root as we do, is not a chroot.
#[must_use]
pub(crate) fn in_chroot(root: &Path, env: &BTreeMap<String, String>, euid: u32) -> bool {
    is_faked(env) || mounts_differ(root) || (euid == 0 && roots_differ(root))
}

fn is_faked(env: &BTreeMap<String, String>) -> bool {
    env.get("FAKECHROOT").is_some_and(|value| value == "true")
        && env.contains_key("FAKECHROOT_BASE")
        && env.get("LD_PRELOAD").is_some_and(|value| value.contains("libfakechroot.so"))
}

fn mounts_differ(root: &Path) -> bool {
    let mounts = |of: &str| fs_err::read(root.join("proc").join(of).join("mountinfo"));
    matches!((mounts("1"), mounts("self")), (Ok(first), Ok(ours)) if first != ours)
}

/// The link leads to the first process's root whatever its text says, but only root may follow it.
fn roots_differ(root: &Path) -> bool {
    let identity = |path: &Path| fs_err::metadata(path).map(|data| (data.dev(), data.ino()));
    match (identity(&root.join("proc/1/root")), identity(root)) {
        (Ok(first), Ok(ours)) => first != ours,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn root(mounts: Option<(&str, &str)>, first: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path().join("proc");
        fs_err::create_dir_all(proc.join("1")).unwrap();
        fs_err::create_dir_all(proc.join("self")).unwrap();
        if let Some((one, ours)) = mounts {
            fs_err::write(proc.join("1/mountinfo"), one).unwrap();
            fs_err::write(proc.join("self/mountinfo"), ours).unwrap();
        }
        if let Some(first) = first {
            fs_err::os::unix::fs::symlink(dir.path().join(first), proc.join("1/root")).unwrap();
        }
        dir
    }

    #[rstest]
    #[case::nothing_known(None, None, 0, false)]
    #[case::same_mounts(Some(("a", "a")), Some(""), 0, false)]
    #[case::other_mounts(Some(("a", "b")), None, 1000, true)]
    #[case::other_root(Some(("a", "a")), Some("proc"), 0, true)]
    #[case::other_root_unseen(None, Some("proc"), 1000, false)]
    #[case::dangling(None, Some("gone"), 0, false)]
    fn a_chroot_is_recognised(
        #[case] mounts: Option<(&str, &str)>,
        #[case] first: Option<&str>,
        #[case] euid: u32,
        #[case] expected: bool,
    ) {
        assert_eq!(in_chroot(root(mounts, first).path(), &BTreeMap::new(), euid), expected);
    }

    #[rstest]
    #[case(&[("FAKECHROOT", "true"), ("FAKECHROOT_BASE", "/b"), ("LD_PRELOAD", "x:libfakechroot.so")], true)]
    #[case(&[("FAKECHROOT", "true"), ("FAKECHROOT_BASE", "/b")], false)]
    #[case(&[("FAKECHROOT", "1"), ("FAKECHROOT_BASE", "/b"), ("LD_PRELOAD", "libfakechroot.so")], false)]
    #[case(&[("FAKECHROOT", "true"), ("LD_PRELOAD", "libfakechroot.so")], false)]
    fn a_faked_chroot_is_recognised(#[case] env: &[(&str, &str)], #[case] expected: bool) {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(in_chroot(root(None, None).path(), &env, 1000), expected);
    }
}
