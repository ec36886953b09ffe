//! The initramfs of a kernel: where it is, which program of this machine makes it, and what it holds.
//!
//! Sources: update-initramfs(8), dracut(8), mkinitcpio(8), kernel-install(8).

use super::Kernel;
use crate::model::KernelRelease;
use crate::model::module_name::module_stem;
use crate::system::process::Output;
use crate::system::{System, dir};
use std::path::{Path, PathBuf};

/// Where images are, and how they begin and end around the kernel's release.
const NAMES: [(&str, &str); 3] = [("initrd.img-", ""), ("initramfs-", ".img"), ("initrd-", "")];

/// The program that makes images on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Generator {
    /// Debian, Ubuntu.
    UpdateInitramfs(PathBuf),
    /// Arch; with the preset of the kernel's package, if it has one.
    Mkinitcpio { program: PathBuf, preset: Option<String> },
    /// Fedora, openSUSE, and others by choice.
    Dracut(PathBuf),
}

impl Generator {
    /// The program for a kernel's images, if one is installed.
    #[must_use]
    pub(crate) fn find(kernel: &Kernel, system: &System) -> Option<Self> {
        let program = |name: &str| {
            let files = ["/usr/sbin", "/sbin", "/usr/bin"].map(|dir| system.path(dir).join(name));
            files.into_iter().find(|file| file.is_file())
        };
        let of_preset = |program| {
            let preset = package_name(kernel)
                .filter(|name| system.path("/etc/mkinitcpio.d").join(format!("{name}.preset")).is_file());
            Self::Mkinitcpio { program, preset }
        };
        program("update-initramfs")
            .map(Self::UpdateInitramfs)
            .or_else(|| program("mkinitcpio").map(of_preset))
            .or_else(|| program("dracut").map(Self::Dracut))
    }

    /// The command that makes the image of a kernel again: the program's path, then its arguments.
    #[must_use]
    pub(crate) fn words(&self, release: &KernelRelease, image: &Path) -> Vec<String> {
        let (release, image) = (release.as_str(), image.display().to_string());
        let (program, args): (&PathBuf, Vec<&str>) = match self {
            Self::UpdateInitramfs(program) => (program, vec!["-u", "-k", release]),
            Self::Mkinitcpio { program, preset: Some(preset) } => (program, vec!["-p", preset]),
            Self::Mkinitcpio { program, preset: None } => (program, vec!["-k", release, "-g", &image]),
            Self::Dracut(program) => (program, vec!["-q", "--force", &image, release]),
        };
        let program = program.display().to_string();
        std::iter::once(program).chain(args.into_iter().map(str::to_owned)).collect()
    }
}

/// A command as people type it: the program by its name.
#[must_use]
pub(crate) fn shown(words: &[String]) -> String {
    let program = words.first().and_then(|program| Path::new(program).file_name());
    let name = program.unwrap_or_default().to_string_lossy();
    std::iter::once(&*name).chain(words.iter().skip(1).map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// The image of a kernel, if there is one.
#[must_use]
pub(crate) fn image(kernel: &Kernel, boot: &Path, system: &System) -> Option<PathBuf> {
    let release = kernel.release.as_str();
    let by_release = NAMES.iter().map(|(start, end)| boot.join(format!("{start}{release}{end}")));
    let by_package = package_name(kernel).map(|name| boot.join(format!("initramfs-{name}.img")));
    let token = ["/etc/kernel/entry-token", "/etc/machine-id"]
        .iter()
        .find_map(|file| fs_err::read_to_string(system.path(file)).ok())
        .map(|text| text.trim().to_owned())
        .filter(|token| !token.is_empty() && !token.contains('/'));
    let by_token = token.map(|token| boot.join(token).join(release).join("initrd"));
    by_release.chain(by_package).chain(by_token).find(|path| path.is_file())
}

/// The releases that have an image.
pub(crate) fn releases_with_image(boot: &Path) -> impl Iterator<Item = String> {
    let release = |name: &str| {
        let stripped = |(start, end): &(&str, &str)| name.strip_prefix(start)?.strip_suffix(end);
        NAMES.iter().find_map(stripped).filter(|rest| !rest.ends_with(".bak")).map(str::to_owned)
    };
    dir::entries(boot).into_iter().filter_map(move |entry| release(entry.file_name().to_str()?))
}

/// The package that brought a kernel, as Arch writes it down.
pub(crate) fn package_name(kernel: &Kernel) -> Option<String> {
    let text = fs_err::read_to_string(kernel.dir.join("pkgbase")).ok()?;
    let name = text.trim();
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}

/// The names of the modules that an image holds; `None` where nothing can list it.
#[must_use]
pub(crate) fn contents(system: &System, image: &Path) -> Option<Vec<String>> {
    let listed = ["lsinitramfs", "lsinitcpio", "lsinitrd"].into_iter().find_map(|program| {
        let outcome = system.command(program).arg(image).stdout(Output::Capture).run().ok()?;
        (outcome.status.success() && !outcome.stdout.is_empty()).then_some(outcome.stdout)
    })?;
    let module = |line: &str| {
        let path = line.split_whitespace().next_back()?;
        module_stem(path.rsplit('/').next()?).map(str::to_owned)
    };
    Some(String::from_utf8_lossy(&listed).lines().filter_map(module).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const RELEASE: &str = "6.1.0-1";

    #[rstest]
    #[case(Generator::UpdateInitramfs("/usr/sbin/update-initramfs".into()), "update-initramfs -u -k 6.1.0-1")]
    #[case(Generator::Dracut("/usr/bin/dracut".into()), "dracut -q --force /boot/i 6.1.0-1")]
    #[case(Generator::Mkinitcpio { program: "/usr/bin/mkinitcpio".into(), preset: None }, "mkinitcpio -k 6.1.0-1 -g /boot/i")]
    #[case(
        Generator::Mkinitcpio { program: "/usr/bin/mkinitcpio".into(), preset: Some("linux-lts".into()) },
        "mkinitcpio -p linux-lts"
    )]
    fn command_is_that_of_the_program(#[case] generator: Generator, #[case] command: &str) {
        let release = KernelRelease::parse(RELEASE).unwrap();
        assert_eq!(shown(&generator.words(&release, Path::new("/boot/i"))), command);
    }

    #[test]
    fn image_name_holds_the_release() {
        let boot = tempfile::tempdir().unwrap();
        for name in ["initrd.img-6.1", "initrd.img-6.1.bak", "initramfs-6.2.img", "initrd-6.3", "vmlinuz-6.4"]
        {
            fs_err::write(boot.path().join(name), "").unwrap();
        }
        let mut releases: Vec<String> = releases_with_image(boot.path()).collect();
        releases.sort();
        assert_eq!(releases, ["6.1", "6.2", "6.3"]);
    }
}
