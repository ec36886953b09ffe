//! The header packages that the package manager would install with its next upgrade. Of apt only.

use crate::kernel::apt_packages::{has_headers, headers_follower};
use crate::model::text::shown_in_line;
use crate::model::{Error, Result};
use crate::system::process::{Outcome, Output};
use crate::system::{System, dir, files};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Downloads the packages into a directory; none where the machine has the newest kernel already.
///
/// # Errors
/// There is no apt, no package that follows new kernels, or the download fails.
pub(super) fn download(to: &Path, system: &System) -> Result<Vec<PathBuf>> {
    let unusable = |why: String| Error::NoCandidates { why };
    if system.program("apt-get").is_none() {
        return Err(unusable("--next asks apt, which this machine does not have".to_owned()));
    }
    let capture = |program: &str, args: &[&str]| {
        let command = system.command(program).args(args).env("LC_ALL", "C");
        let outcome = command.stdout(Output::Capture).stderr(Output::Capture).run();
        outcome.map_err(|error| unusable(error.to_string()))
    };
    let installed = capture("dpkg-query", &["-W", "-f", "${db:Status-Abbrev} ${Package}\n"])?;
    let known = capture("apt-cache", &["pkgnames"])?;
    let followers = followers(&text(&installed), &text(&known));
    if followers.is_empty() {
        let why = "no package that follows new kernels is installed, such as linux-image-amd64".to_owned();
        return Err(unusable(why));
    }
    let mut args = vec!["--simulate", "-o", "Debug::NoLocking=true", "install"];
    args.extend(followers.iter().map(String::as_str));
    let simulated = capture("apt-get", &args)?;
    if !simulated.status.success() {
        return Err(unusable(complaint(&simulated)));
    }
    let parts = parts(&text(&simulated));
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    files::create_dirs(to)?;
    let command = system.command("apt-get").args(["-q", "-o", "APT::Sandbox::User=root", "download"]);
    let command = command.args(&parts).env("LC_ALL", "C").dir(to).stderr(Output::Capture);
    let downloaded = command.run().map_err(|error| unusable(error.to_string()))?;
    if !downloaded.status.success() {
        return Err(unusable(complaint(&downloaded)));
    }
    Ok(dir::read(to)?.into_iter().map(|entry| entry.path()).collect())
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

/// The first thing that apt complains about.
fn complaint(outcome: &Outcome) -> String {
    let said = outcome.stderr_tail();
    let line = said.lines().find_map(|line| line.strip_prefix("E: ")).or_else(|| said.lines().last());
    shown_in_line(line.unwrap_or("apt-get failed")).into_owned()
}

/// The packages of headers that follow new kernels, for those images and headers that are installed.
fn followers(installed: &str, known: &str) -> BTreeSet<String> {
    let known: BTreeSet<&str> = known.lines().collect();
    let installed = installed.lines().filter_map(|line| line.strip_prefix("ii")).map(str::trim);
    installed.filter_map(headers_follower).filter(|name| known.contains(name.as_str())).collect()
}

/// `NAME=VERSION` of what a simulated installation would unpack of headers.
fn parts(simulated: &str) -> Vec<String> {
    let part = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let version = rest.split_once('(')?.1.split(' ').next()?;
        has_headers(name).then(|| format!("{name}={version}"))
    };
    simulated.lines().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_are_those_of_what_is_installed() {
        let installed =
            "ii  linux-image-amd64\nii  linux-image-6.1.0-50-amd64\nrc  linux-headers-rt-amd64\nii  bash\n";
        let known = "linux-headers-amd64\nlinux-headers-rt-amd64\nlinux-headers-6.1.0-50-amd64\n";
        assert_eq!(followers(installed, known), BTreeSet::from(["linux-headers-amd64".to_owned()]));
        assert!(followers("ii  linux-image-amd64\n", "bash\n").is_empty());
    }

    #[test]
    fn headers_of_a_simulated_installation_are_taken() {
        let simulated = "NOTE: This is only a simulation!\n\
            Inst linux-headers-6.1.0-56-common (6.1.170-1 Debian:12.11/stable [all])\n\
            Inst linux-image-6.1.0-56-amd64 (6.1.170-1 Debian:12.11/stable [amd64])\n\
            Inst linux-kbuild-6.1 [6.1.164-1] (6.1.170-1 Debian:12.11/stable [amd64])\n\
            Conf linux-kbuild-6.1 (6.1.170-1 Debian:12.11/stable [amd64])\n";
        assert_eq!(
            parts(simulated),
            ["linux-headers-6.1.0-56-common=6.1.170-1", "linux-kbuild-6.1=6.1.170-1"]
        );
    }
}
