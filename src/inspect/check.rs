//! Is the next boot complete: what each kernel should have of ours, and what is wrong with what it has. Only reads.

use crate::inspect::initramfs::{image_modules, listed_for_images};
use crate::inspect::installed::suspects;
use crate::inspect::owner::{Owner, Suspect, built_file, owner};
use crate::inspect::pending::gather;
use crate::inspect::signature::signing_facts;
use crate::kernel::Kernel;
use crate::kernel::initramfs::{self, Generator};
use crate::kernel::module_file::{flaw, has_signature, read_module};
use crate::model::module_name::{module_name, module_stem, normal};
use crate::model::{Error, PackageId, Target};
use crate::plan::autoinstall::{Need, plan_autoinstall};
use crate::plan::request::Force;
use crate::session::Session;
use crate::signing::{self, Enforcement};
use crate::tree::{Installed, InstalledFile, Snapshot};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The kernel is not there.
    NoKernel,
    /// A package should be installed and is not.
    Missing,
    /// It is installed, and not what would be built now.
    Stale,
    /// A file is gone, or is nothing that the kernel could load.
    Damaged,
    /// In the place of the installed file is a module that dkms did not install.
    Foreign,
    /// modprobe would not find the module, or would take another file.
    NotIndexed,
    /// The kernel would refuse the module.
    Unsigned,
    /// The initramfs lacks a module that it should hold.
    NotInImage,
    /// The initramfs was packed before the module was installed.
    OldInImage,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub kind: Kind,
    pub package: Option<String>,
    pub module: Option<String>,
    pub why: String,
    /// A command that fixes it.
    pub remedy: Option<String>,
}

/// What a kernel has, and what is wrong with it.
#[derive(Debug, Serialize)]
pub(crate) struct KernelCheck {
    pub kernel: String,
    pub arch: String,
    /// Packages that are installed as they should be.
    pub packages: usize,
    /// Their modules.
    pub modules: usize,
    pub findings: Vec<Finding>,
    /// What could not be determined; the kernel may be complete.
    pub unknown: Vec<String>,
    #[serde(skip)]
    pub target: Target,
}

/// Looks at what a kernel has. `full` reads every installed file, and lists its initramfs in any case.
#[must_use]
pub(crate) fn check(session: &Session<'_>, target: &Target, full: bool) -> KernelCheck {
    let kernel = session.kernel(&target.release);
    let mut check = KernelCheck {
        kernel: target.release.to_string(),
        arch: target.arch.to_string(),
        packages: 0,
        modules: 0,
        findings: Vec::new(),
        unknown: Vec::new(),
        target: target.clone(),
    };
    if !kernel.exists() {
        let why = format!("{} does not exist", kernel.dir.display());
        check.findings.push(Finding { kind: Kind::NoKernel, package: None, module: None, why, remedy: None });
        return check;
    }
    let snapshot = session.tree().scan(&session.settings.source_tree);
    check_packages(session, &mut check, &snapshot, &kernel);
    check_files(session, &mut check, &snapshot, &kernel, full);
    check
}

fn check_packages(session: &Session<'_>, check: &mut KernelCheck, snapshot: &Snapshot, kernel: &Kernel) {
    let target = check.target.clone();
    let plan = plan_autoinstall(gather(session, snapshot, &target, &Force::default()));
    let install = |id: &PackageId| Some(format!("dkms install {id} -k {}/{}", target.release, target.arch));
    // What is installed already is not installed again by `install`.
    let again = || Some(format!("dkms autoinstall -k {}/{}", target.release, target.arch));
    let retry = |id: &PackageId| {
        let place = format!("{id} -k {}/{}", target.release, target.arch);
        Some(format!("dkms build --force {place} && dkms install --force {place}"))
    };
    let mut add = |kind, id: &PackageId, why: String| {
        let remedy = match kind {
            Kind::Stale if plan.failed.iter().any(|(failed, _)| failed == id) => retry(id),
            Kind::Stale => again(),
            _ => install(id),
        };
        check.findings.push(Finding { kind, package: Some(id.to_string()), module: None, why, remedy });
    };
    for (id, error) in &plan.failed {
        let stays = session.tree().active(&id.name, &target).is_some();
        let why = match error {
            Error::FailedBefore { .. } => format!("it failed to build: {}", error.in_one_line()),
            error => error.in_one_line(),
        };
        add(if stays { Kind::Stale } else { Kind::Missing }, id, why);
    }
    for (id, why) in &plan.blocked {
        add(Kind::Missing, id, why.to_string());
    }
    for (id, names) in &plan.deferred {
        add(Kind::Missing, id, format!("needs {}, which is not registered with dkms", names.join(", ")));
    }
    for step in &plan.steps {
        let installed = session.tree().active(&step.id.name, &target);
        let installed = installed.filter(|installed| installed.id().package == step.id);
        let (kind, why) = match (&step.need, installed) {
            (Need::Rebuild(why), Some(_)) => (Kind::Stale, why.to_string()),
            (Need::Sign(why), Some(_)) => (Kind::Stale, why.to_string()),
            (Need::Install, Some(_)) => (Kind::Damaged, "files are not as they were installed".to_owned()),
            (Need::Install, None) => (Kind::Missing, "it is built, and not installed".to_owned()),
            (_, None) if !kernel.has_headers() => {
                let since = session.tree().pending_since(&target).map(|since| format!(" since {since}"));
                let since = since.unwrap_or_default();
                (Kind::Missing, format!("it waits for the headers of kernel {}{since}", target.release))
            }
            _ => (Kind::Missing, "it is not built".to_owned()),
        };
        add(kind, &step.id, why);
    }
}

/// The files of what is installed, also of what was installed by hand.
fn check_files(
    session: &Session<'_>,
    check: &mut KernelCheck,
    snapshot: &Snapshot,
    kernel: &Kernel,
    full: bool,
) {
    let target = check.target.clone();
    let index = Index::read(kernel);
    let enforced = signing::enforcement(&signing_facts(kernel, session.system));
    let mut names = Vec::new();
    for name in snapshot.names() {
        let Some(installed) = session.tree().active(name, &target) else { continue };
        let files = files_of(session, &installed, kernel);
        let before = check.findings.len();
        for file in &files {
            let findings = check_file(session, &installed, file, &index, kernel, enforced.as_ref(), full);
            check.findings.extend(findings);
        }
        if check.findings.len() == before {
            check.packages += 1;
            check.modules += files.len();
        }
        names.push((installed, files));
    }
    check_image(session, check, &names, kernel, full);
}

/// What an installation has in the kernel, as recorded or derived.
fn files_of(session: &Session<'_>, installed: &Installed, kernel: &Kernel) -> Vec<InstalledFile> {
    let of = |suspect: Suspect| match suspect.recorded {
        Some(file) => file,
        None => InstalledFile::of(&suspect.path, &fs_err::read(&suspect.path).unwrap_or_default()),
    };
    suspects(session, installed, kernel).into_iter().map(of).collect()
}

fn check_file(
    session: &Session<'_>,
    installed: &Installed,
    file: &InstalledFile,
    index: &Index,
    kernel: &Kernel,
    enforced: Option<&Enforcement>,
    full: bool,
) -> Vec<Finding> {
    let id = installed.id();
    let name = module_name(&file.path);
    let finding = |kind, why: String, remedy: String| Finding {
        kind,
        package: Some(id.package.to_string()),
        module: Some(name.clone()),
        why,
        remedy: Some(remedy),
    };
    let again = format!("dkms install --force {} -k {}/{}", id.package, id.target.release, id.target.arch);
    let built = built_file(installed, &file.path);
    let suspect = Suspect::recorded(file.clone(), built);
    match owner(session.tree(), id, kernel, &suspect, full) {
        Owner::Recorded | Owner::Changed => {}
        // Two packages have this module, and the other one's is in place: so it was asked for.
        Owner::Package(_) => return Vec::new(),
        Owner::Nothing => {
            return vec![finding(Kind::Damaged, format!("{} is gone", file.path.display()), again)];
        }
        owner @ (Owner::Damaged(_) | Owner::Kernel | Owner::Unknown) => {
            let kind = if owner.is_settled() { Kind::Foreign } else { Kind::Damaged };
            let why = format!("{} is not the file that was installed: {owner}", file.path.display());
            return vec![finding(kind, why, again)];
        }
    }
    // As it was installed, and still of no use: other dkms, and tarballs, bring anything. Our own builds were looked at when
    // they were made, so that large ones are not read again.
    const SMALL: u64 = 1 << 18;
    if (full || file.size < SMALL || installed.built().record().is_none())
        && let Ok(Some(flaw)) = read_module(&file.path).map(|content| flaw(&content, kernel.machine()))
    {
        return vec![finding(Kind::Damaged, format!("{} is no module: {flaw}", file.path.display()), again)];
    }
    let mut found = Vec::new();
    if let Some(why) = index.flaw(&name, &file.path, kernel) {
        found.push(finding(Kind::NotIndexed, why, format!("depmod {}", kernel.release)));
    }
    if let Some(why) = enforced
        && read_module(&file.path).is_ok_and(|content| !has_signature(&content))
    {
        found.push(finding(Kind::Unsigned, format!("{why}, and the module is not signed"), again));
    }
    found
}

fn check_image(
    session: &Session<'_>,
    check: &mut KernelCheck,
    installed: &[(Installed, Vec<InstalledFile>)],
    kernel: &Kernel,
    full: bool,
) {
    let target = check.target.clone();
    let Some(image) = initramfs::image(kernel, &session.settings.boot, session.system) else { return };
    let packed = fs_err::metadata(&image).and_then(|data| data.modified()).ok();
    let wanted = image_modules(session, &target, Path::new(""));
    let listed = listed_for_images(session.system);
    let is_wanted = |name: &str| {
        wanted.names.contains(name) || listed.iter().any(|(listed, _)| normal(listed) == normal(name))
    };
    let modules: Vec<(&Installed, &InstalledFile, String)> = installed
        .iter()
        .flat_map(|(installed, files)| {
            files.iter().map(move |file| (installed, file, module_name(&file.path)))
        })
        .collect();
    // To list an image takes longer than all the rest.
    if !full && !modules.iter().any(|(_, _, name)| is_wanted(name)) {
        return;
    }
    let Some(held) = initramfs::contents(session.system, &image) else {
        let wanted = modules.iter().filter(|(_, _, name)| is_wanted(name)).map(|(_, _, name)| name.as_str());
        check.unknown.push(format!(
            "cannot determine whether {} holds {}: no program can list it",
            image.display(),
            wanted.collect::<Vec<_>>().join(", ")
        ));
        return;
    };
    let remedy = Generator::find(kernel, session.system)
        .map(|generator| initramfs::shown(&generator.words(&target.release, &image)));
    for (installed, file, name) in modules {
        let is_held = held.iter().any(|held| normal(held) == normal(&name));
        let newer = fs_err::metadata(&file.path).and_then(|data| data.modified()).ok() > packed;
        let (kind, why) = match (is_held, is_wanted(&name)) {
            (false, true) => (Kind::NotInImage, format!("{} does not hold it", image.display())),
            (true, _) if newer => {
                (Kind::OldInImage, format!("{} was packed before it was installed", image.display()))
            }
            _ => continue,
        };
        check.findings.push(Finding {
            kind,
            package: Some(installed.id().package.to_string()),
            module: Some(name),
            why,
            remedy: remedy.clone(),
        });
    }
}

/// What modules.dep says: the file of each module, below the kernel's directory.
struct Index(Option<HashMap<String, PathBuf>>);

impl Index {
    fn read(kernel: &Kernel) -> Self {
        let text = fs_err::read_to_string(kernel.dir.join("modules.dep")).ok();
        Self(text.map(|text| parse_modules_dep(&text)))
    }

    /// Why modprobe would not load this file for this name.
    fn flaw(&self, name: &str, file: &Path, kernel: &Kernel) -> Option<String> {
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
