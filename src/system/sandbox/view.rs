//! From what a program may see to the steps that make it so, in their order. Nothing is done here.

use super::{Sandbox, Scratch};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One step in a mount namespace of the program's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Takes hold of what stands at a path, with everything mounted below it; the next [`Step::Attach`] of the same number
    /// puts it elsewhere. A path that is not there is skipped, and so is its attachment.
    Take(usize, PathBuf),
    /// Nothing that is mounted now can be written from here on.
    ReadOnly,
    /// An empty directory in memory over a directory, with this mode.
    Cover(PathBuf, u32),
    /// Makes a directory, or leaves the one that is there.
    Dir(PathBuf),
    /// Makes an empty file, with this mode.
    File(PathBuf, u32),
    Link(&'static str, PathBuf),
    Attach(usize, PathBuf),
    /// Shows a directory under another name as well, where nothing of the above is possible.
    Bind(PathBuf, PathBuf),
    /// The processes of the program's own namespace.
    Proc,
}

/// The devices that a build has.
pub(super) const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// As every /dev has them (Documentation/admin-guide/devices.rst, "Compulsory links").
const LINKS: [(&str, &str); 4] =
    [("/proc/self/fd", "fd"), ("fd/0", "stdin"), ("fd/1", "stdout"), ("fd/2", "stderr")];
/// Directories for everybody's temporary files.
pub(super) const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
pub(super) const SHARED_MEMORY: &str = "/dev/shm";
/// A file without any right to read it, to be shown in the place of those that must not be read.
const NOTHING: &str = "/dev/.hidden";

/// What happens to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Hidden {
        is_dir: bool,
    },
    /// Seen as it is; the number it was taken under.
    Shown(usize),
}

/// The steps for a sandbox; `is_dir` tells of a path whether it is a directory.
pub(super) fn steps(sandbox: &Sandbox, own_processes: bool, is_dir: impl Fn(&Path) -> bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut count = 0;
    let mut take = |steps: &mut Vec<Step>, path: &Path| {
        steps.push(Step::Take(count, path.to_owned()));
        count += 1;
        count - 1
    };
    let mut fates: Vec<(PathBuf, Fate)> = Vec::new();
    // What can be written is taken while it still can.
    for bind in &sandbox.writable {
        let number = take(&mut steps, &bind.from);
        fates.push((bind.onto.clone(), Fate::Shown(number)));
    }
    // The administrator may want builds to use everybody's.
    let is_private = |place: &&PathBuf| sandbox.writable.iter().all(|bind| bind.onto != **place);
    let private: Vec<&PathBuf> = sandbox.temporary.iter().filter(is_private).collect();
    if let Scratch::Dir(dir) = &sandbox.scratch {
        for place in &private {
            let number = take(&mut steps, dir);
            fates.push(((*place).clone(), Fate::Shown(number)));
        }
    }
    let devices = DEVICES.map(|name| (name, take(&mut steps, &Path::new("/dev").join(name))));
    steps.push(Step::ReadOnly);
    for path in &sandbox.hidden {
        if !fates.iter().any(|(there, _)| there == path) && !sandbox.visible.contains(path) {
            fates.push((path.clone(), Fate::Hidden { is_dir: is_dir(path) }));
        }
    }
    for path in &sandbox.visible {
        // Below what is seen already there is nothing to do.
        let above = fates.iter().filter(|(there, _)| path.starts_with(there));
        let above = above.max_by_key(|(there, _)| there.components().count());
        let is_seen = |(there, fate): &(PathBuf, Fate)| {
            matches!(fate, Fate::Shown(_)) && !sandbox.temporary.contains(there)
        };
        if !above.is_some_and(is_seen) {
            let number = take(&mut steps, path);
            fates.push((path.clone(), Fate::Shown(number)));
        }
    }
    // A device of the program's own, and the file that is shown for hidden ones.
    steps.push(Step::Cover("/dev".into(), 0o755));
    for (name, number) in devices {
        let path = Path::new("/dev").join(name);
        steps.extend([Step::File(path.clone(), 0o666), Step::Attach(number, path)]);
    }
    steps.extend(LINKS.map(|(target, name)| Step::Link(target, Path::new("/dev").join(name))));
    steps.extend([Step::Dir(SHARED_MEMORY.into()), Step::Cover(SHARED_MEMORY.into(), 0o1777)]);
    steps.push(Step::File(NOTHING.into(), 0));
    if sandbox.scratch == Scratch::Memory {
        steps.extend(private.into_iter().map(|dir| Step::Cover(dir.clone(), 0o1777)));
    }
    // From the top down: what is mounted later covers what was there before.
    fates.sort_by_key(|(path, _)| path.components().count());
    let mut made = BTreeSet::new();
    for (path, fate) in &fates {
        match fate {
            Fate::Hidden { is_dir: true } => {
                // Where something below it is seen, the way there is.
                let is_way = fates.iter().any(|(other, fate)| {
                    matches!(fate, Fate::Shown(_)) && other != path && other.starts_with(path)
                });
                steps.push(Step::Cover(path.clone(), if is_way { 0o755 } else { 0 }));
            }
            Fate::Hidden { is_dir: false } => {
                let number = take(&mut steps, Path::new(NOTHING));
                steps.push(Step::Attach(number, path.clone()));
            }
            Fate::Shown(number) => {
                steps.extend(way_to(path, &fates, &sandbox.temporary, is_dir(path), &mut made));
                steps.push(Step::Attach(*number, path.clone()));
            }
        }
    }
    if own_processes {
        steps.push(Step::Proc);
    }
    steps
}

/// The places that have to be made before something can be put at a path: none, unless it lies below what is covered.
fn way_to(
    path: &Path,
    fates: &[(PathBuf, Fate)],
    temporary: &[PathBuf],
    is_dir: bool,
    made: &mut BTreeSet<PathBuf>,
) -> Vec<Step> {
    let covers = fates.iter().map(|(path, _)| path.as_path()).chain(temporary.iter().map(PathBuf::as_path));
    let above = covers.filter(|cover| *cover != path && path.starts_with(cover));
    let Some(above) = above.max_by_key(|cover| cover.components().count()) else { return Vec::new() };
    let mut missing: Vec<&Path> = path.ancestors().take_while(|dir| *dir != above).collect();
    missing.reverse();
    let new = missing.into_iter().filter(|dir| made.insert((*dir).to_owned()));
    new.map(|place| match place == path && !is_dir {
        true => Step::File(place.to_owned(), 0o644),
        false => Step::Dir(place.to_owned()),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::sandbox::{Bind, Walls};
    use rstest::rstest;

    fn sandbox() -> Sandbox {
        Sandbox {
            writable: vec![Bind { from: "/t/stage".into(), onto: "/t/m/1/build".into() }],
            scratch: Scratch::Dir("/t/tmp".into()),
            ..Sandbox::new(Walls::default())
        }
    }

    fn position(steps: &[Step], wanted: &Step) -> usize {
        steps.iter().position(|step| step == wanted).unwrap_or_else(|| panic!("{wanted:?} in {steps:#?}"))
    }

    fn steps_of(sandbox: &Sandbox) -> Vec<Step> {
        steps(sandbox, true, |path| !path.ends_with("key"))
    }

    #[test]
    fn writable_is_taken_before_all_is_read_only() {
        let steps = steps_of(&sandbox());
        let taken = position(&steps, &Step::Take(0, "/t/stage".into()));
        let closed = position(&steps, &Step::ReadOnly);
        let attached = position(&steps, &Step::Attach(0, "/t/m/1/build".into()));
        assert!(taken < closed && closed < attached);
    }

    #[rstest]
    #[case::directory("/root", Step::Cover("/root".into(), 0))]
    #[case::file("/etc/dkms/key", Step::Attach(9, "/etc/dkms/key".into()))]
    fn hidden_path_cannot_be_read(#[case] path: &str, #[case] step: Step) {
        let sandbox = Sandbox { hidden: vec![path.into()], ..sandbox() };
        position(&steps_of(&sandbox), &step);
    }

    #[test]
    fn way_through_a_hidden_directory_is_made() {
        let sandbox =
            Sandbox { hidden: vec!["/home".into()], visible: vec!["/home/me/linux".into()], ..sandbox() };
        let steps = steps_of(&sandbox);
        let covered = position(&steps, &Step::Cover("/home".into(), 0o755));
        let way = position(&steps, &Step::Dir("/home/me".into()));
        let attached = position(&steps, &Step::Attach(9, "/home/me/linux".into()));
        assert!(covered < way && way < attached);
    }

    #[test]
    fn hidden_below_visible_is_hidden() {
        let sandbox = Sandbox {
            hidden: vec!["/home".into(), "/home/me/tree/other".into()],
            visible: vec!["/home/me/tree".into()],
            ..sandbox()
        };
        let steps = steps_of(&sandbox);
        let shown = position(&steps, &Step::Attach(9, "/home/me/tree".into()));
        assert!(shown < position(&steps, &Step::Cover("/home/me/tree/other".into(), 0)));
    }

    #[test]
    fn what_lies_in_tmp_is_attached_in_the_private_one() {
        let sandbox = Sandbox { visible: vec!["/tmp/w/headers".into()], ..sandbox() };
        let steps = steps_of(&sandbox);
        let private = position(&steps, &Step::Attach(1, "/tmp".into()));
        assert!(private < position(&steps, &Step::Dir("/tmp/w".into())));
    }
}
