//! Which package a word of the command line means.

use crate::conf::{EvalContext, Strictness, read_package};
use crate::model::{Error, PackageId, PackageName, PackageVersion, Result, Target};
use crate::plan::request::Subject;
use crate::session::Session;
use std::path::{Path, PathBuf};

/// Which package a subject is: a directory is asked through its dkms.conf.
///
/// # Errors
/// The directory has no dkms.conf, or one that names no package.
pub(crate) fn identify(session: &Session<'_>, subject: &Subject, target: &Target) -> Result<PackageId> {
    let dir = match subject {
        Subject::Package(id) => return Ok(id.clone()),
        Subject::Directory(dir) => resolve(dir)?,
        Subject::Archive(archive) => {
            return Err(Error::NotLoaded { archive: archive.clone() });
        }
    };
    let kernel = session.kernel(&target.release);
    let view = EvalContext { package: None, kernel: &kernel, arch: &target.arch };
    let path = dir.join("dkms.conf");
    let conf = read_package(&path, view, Strictness::Lenient, session.settings, session.system)?;
    let invalid = |why: String| Error::ConfInvalid { path: path.clone(), problems: vec![why] };
    let name = PackageName::new(&conf.name).map_err(|why| invalid(format!("PACKAGE_NAME: {why}")))?;
    let version =
        PackageVersion::new(&conf.version).map_err(|why| invalid(format!("PACKAGE_VERSION: {why}")))?;
    if let Some(directive) = placeholder(&conf.name, &conf.version) {
        return Err(invalid(format!(
            "dkms.conf: Error! {directive} is a placeholder, which the package's build should have replaced.\nName the package on the command line: -m <module> -v <module-version>"
        )));
    }
    Ok(PackageId::new(name, version))
}

/// Which of the two is a word for a build system to replace, such as `@PKGVER@` or `#MODULE_VERSION#`.
pub(crate) fn placeholder(name: &str, version: &str) -> Option<&'static str> {
    let is_placeholder = |text: &str| {
        let inner = |mark: &str| text.strip_prefix(mark)?.strip_suffix(mark).map(str::to_owned);
        let name = ["@", "@@", "#", "%", "__"].into_iter().find_map(inner);
        name.is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_@#%".contains(c))
        })
    };
    let found = [("PACKAGE_VERSION", version), ("PACKAGE_NAME", name)];
    found.into_iter().find(|(_, text)| is_placeholder(text)).map(|(directive, _)| directive)
}

/// A directory with a dkms.conf, by its real name.
pub(crate) fn resolve(dir: &Path) -> Result<PathBuf> {
    let missing = || Error::NoConfInDirectory { path: dir.to_owned() };
    let real = fs_err::canonicalize(dir).map_err(|_| missing())?;
    if real.join("dkms.conf").is_file() { Ok(real) } else { Err(missing()) }
}
