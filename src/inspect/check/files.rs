//! The installed files: whether they are there, whole, found by modprobe(8), and accepted by the kernel.

use super::image::check_image;
use super::index::Index;
use super::trust::Trust;
use super::{Finding, KernelCheck, Kind};
use crate::inspect::extension::built_in_extension;
use crate::inspect::installed::suspects;
use crate::inspect::owner::{InstalledPath, Owner, built_file, owner};
use crate::kernel::Kernel;
use crate::kernel::module_file::{flaw, read_module};
use crate::model::module_name::module_name;
use crate::model::remedy::Remedy;
use crate::session::Session;
use crate::tree::{Built, Installed, InstalledFile, Snapshot};
use std::path::PathBuf;

/// The files of what is installed, also of what was installed by hand.
pub(super) fn check_files(
    session: &Session<'_>,
    check: &mut KernelCheck,
    snapshot: &Snapshot,
    kernel: &Kernel,
    full: bool,
) {
    let target = check.target.clone();
    let index = Index::read(kernel);
    let trust = Trust::read(session, kernel);
    let mut names = Vec::new();
    for name in snapshot.names() {
        let mut ids = snapshot.versions(name).into_iter().map(|package| package.build_id(&target));
        // It lies over what is installed.
        if let Some(built) = ids.find_map(|id| built_in_extension(session, &id)) {
            check_extension(session, check, &built, kernel, &index, trust.as_ref());
            continue;
        }
        let Some(installed) = session.tree().active(name, &target) else { continue };
        let files = files_of(session, &installed, kernel);
        let before = check.findings.len();
        for file in &files {
            let findings = check_file(session, &installed, file, &index, kernel, full);
            check.findings.extend(findings);
        }
        let is_whole = check.findings.len() == before;
        say_once(check, &installed.id().package.to_string(), before);
        let before = check.findings.len();
        if is_whole {
            let flaw = trust.as_ref().and_then(|trust| {
                trust.flaw(session, installed.built(), files.iter().map(|file| file.path.as_path()))
            });
            check.findings.extend(flaw);
        }
        if is_whole && check.findings.len() == before {
            check.packages += 1;
            check.modules += files.len();
        }
        names.push((installed, files));
    }
    check_image(session, check, &names, kernel, full);
}

/// A package whose modules an extension of the system brings, as they were built.
fn check_extension(
    session: &Session<'_>,
    check: &mut KernelCheck,
    built: &Built,
    kernel: &Kernel,
    index: &Index,
    trust: Option<&Trust>,
) {
    let (package, target) = (built.id().package.clone(), built.id().target.clone());
    let files = built.module_files();
    let names: Vec<String> = files.iter().map(|file| module_name(file)).collect();
    let is_of_build = |place: &&PathBuf| names.contains(&module_name(place));
    let places: Vec<&PathBuf> = kernel.extension_modules().iter().filter(is_of_build).collect();
    let unknown = places.iter().find_map(|place| {
        let name = module_name(place);
        let why = index.flaw(&name, place, kernel)?;
        // Another extension, or the kernel's package, has an index of its own.
        let remedy = Some(Remedy::Install { package: package.clone(), target: target.clone() });
        Some(Finding {
            kind: Kind::NotIndexed,
            package: Some(package.to_string()),
            module: Some(name),
            why,
            remedy,
        })
    });
    let flaw = unknown.or_else(|| {
        let mut flaw = trust?.flaw(session, built, places.iter().map(|place| place.as_path()))?;
        // Only what is installed is signed without compiling.
        if let Some(Remedy::Install { package, target }) = flaw.remedy {
            flaw.remedy = Some(Remedy::BuildAgain { package, target });
        }
        Some(flaw)
    });
    match flaw {
        Some(flaw) => check.findings.push(flaw),
        None => {
            check.packages += 1;
            check.modules += files.len();
            check.notes.push(format!("a system extension brings {package}"));
        }
    }
}

/// That a package is damaged says less than which of its files are, from the finding `first` on. What mends the package mends them.
fn say_once(check: &mut KernelCheck, package: &str, first: usize) {
    let is_of_package = |finding: &Finding| {
        finding.kind == Kind::Damaged
            && finding.module.is_none()
            && finding.package.as_deref() == Some(package)
    };
    let is_damaged = check.findings[first..].iter().any(|finding| finding.kind == Kind::Damaged);
    let Some(whole) = check.findings[..first].iter().position(is_of_package).filter(|_| is_damaged) else {
        return;
    };
    let whole = check.findings.remove(whole);
    for finding in check.findings[first - 1..].iter_mut().filter(|finding| finding.kind == Kind::Damaged) {
        finding.remedy.clone_from(&whole.remedy);
    }
}

/// What an installation has in the kernel, as recorded or derived.
fn files_of(session: &Session<'_>, installed: &Installed, kernel: &Kernel) -> Vec<InstalledFile> {
    let of = |suspect: InstalledPath| match suspect.recorded {
        Some(file) => file,
        None => InstalledFile::from_content(&suspect.path, &fs_err::read(&suspect.path).unwrap_or_default()),
    };
    suspects(session, installed, kernel).into_iter().map(of).collect()
}

fn check_file(
    session: &Session<'_>,
    installed: &Installed,
    file: &InstalledFile,
    index: &Index,
    kernel: &Kernel,
    full: bool,
) -> Vec<Finding> {
    let id = installed.id();
    let name = module_name(&file.path);
    let finding = |kind, why: String, remedy: Remedy| Finding {
        kind,
        package: Some(id.package.to_string()),
        module: Some(name.clone()),
        why,
        remedy: Some(remedy),
    };
    let again = Remedy::InstallAgain { package: id.package.clone(), target: id.target.clone() };
    let built = built_file(installed, &file.path);
    let suspect = InstalledPath::recorded(file.clone(), built);
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
    let is_looked_at = full || file.size < SMALL || installed.built().record().is_none();
    let content = is_looked_at.then(|| read_module(&file.path).ok()).flatten();
    if let Some(flaw) = content.and_then(|content| flaw(&content, kernel.machine())) {
        return vec![finding(
            Kind::Damaged,
            format!("{} is not a module: {flaw}", file.path.display()),
            again,
        )];
    }
    let why = index.flaw(&name, &file.path, kernel);
    why.map(|why| finding(Kind::NotIndexed, why, Remedy::Index(kernel.release.clone()))).into_iter().collect()
}
