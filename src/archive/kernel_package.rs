//! Packages of a kernel, its headers above all, unpacked beside the machine.

use crate::model::text::shown_in_line;
use crate::model::{Error, Result};
use crate::system::System;
use crate::system::process::{Command, Output};
use std::path::Path;

/// How a package is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Of Debian: deb(5).
    Deb,
    Rpm,
    /// Of pacman: a tarball with its files at their places.
    Tarball,
}

impl Form {
    fn from_name(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        match name.rsplit_once('.')? {
            (_, "deb") => Some(Self::Deb),
            (_, "rpm") => Some(Self::Rpm),
            _ if name.contains(".pkg.tar") => Some(Self::Tarball),
            _ => None,
        }
    }

    /// The programs without which it cannot be unpacked.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Deb => &["dpkg-deb"],
            Self::Rpm => &["rpm2cpio", "cpio"],
            Self::Tarball => &["tar"],
        }
    }
}

/// Whether a file can be a package, by its name.
#[must_use]
pub(crate) fn is_kernel_package(file: &Path) -> bool {
    Form::from_name(file).is_some()
}

/// Unpacks a package into a directory, with its owners, modes and times; none of its scripts runs.
///
/// # Errors
/// The file is missing, damaged or no package, or there is no room for it.
pub(crate) fn unpack(file: &Path, dir: &Path, system: &System) -> Result<()> {
    let unusable = |why: String| Error::HeadersUnusable { path: file.to_owned(), why };
    if !file.is_file() {
        return Err(unusable("there is no such file".to_owned()));
    }
    let Some(form) = Form::from_name(file) else {
        return Err(unusable("its name ends neither in .deb nor in .rpm nor in .pkg.tar.zst".to_owned()));
    };
    if let Some(missing) = form.programs().iter().find(|name| system.program(name).is_none()) {
        return Err(unusable(format!("it cannot be unpacked without {missing}")));
    }
    let outcome = command(form, file, dir, system).stderr(Output::Capture).run();
    let outcome = outcome.map_err(|error| unusable(error.to_string()))?;
    if outcome.status.success() {
        return Ok(());
    }
    let said = outcome.stderr_tail();
    let first = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it cannot be unpacked");
    Err(unusable(shown_in_line(first).into_owned()))
}

fn command(form: Form, file: &Path, dir: &Path, system: &System) -> Command {
    // Absolute, so that no name looks like an option and the working directory does not matter.
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match form {
        Form::Deb => system.command("dpkg-deb").arg("--extract").arg(file).arg(dir),
        Form::Rpm => {
            let line =
                r#"rpm2cpio "$1" >.cpio && cpio -idm --quiet --no-absolute-filenames <.cpio && rm .cpio"#;
            system.command("sh").args(["-c", line, "sh"]).arg(file).dir(dir)
        }
        Form::Tarball => system.command("tar").arg("-xpf").arg(file).arg("-C").arg(dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("linux-headers-6.1.0-56-amd64_6.1.170-1_amd64.deb", Some(Form::Deb))]
    #[case("/x/kernel-devel-6.9.5-200.fc40.x86_64.rpm", Some(Form::Rpm))]
    #[case("linux-headers-6.9.5.arch1-1-x86_64.pkg.tar.zst", Some(Form::Tarball))]
    #[case("linux-headers-6.9.5.arch1-1-x86_64.pkg.tar", Some(Form::Tarball))]
    #[case("linux-6.9.tar.xz", None)]
    #[case("deb", None)]
    fn package_is_known_by_its_name(#[case] name: &str, #[case] expected: Option<Form>) {
        assert_eq!(Form::from_name(Path::new(name)), expected);
    }
}
