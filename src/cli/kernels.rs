//! Which kernels and architectures a command line means.

use super::action::Action;
use super::request::Checker;
use crate::inspect::check::Kernels;
use crate::kernel::{default_arch, with_headers};
use crate::model::{Arch, Error, KernelRelease, Result, Target};
use crate::plan::request::Targets;

impl Checker<'_> {
    /// The kernel that was named, if one was.
    pub(super) fn one_release(&self) -> Result<Option<KernelRelease>> {
        let named = self.args.kernels.first().filter(|text| !text.is_empty());
        named.map(|text| KernelRelease::parse(text)).transpose()
    }

    pub(super) fn bootable(&self) -> Result<Vec<Target>> {
        let kernels = Kernels::read(self.settings, self.system);
        let releases = if self.args.all_kernels { kernels.all } else { kernels.of_interest() };
        let target = |release: KernelRelease| match self.args.arches.first() {
            Some(arch) => Ok(Target::new(release, Arch::parse(arch)?)),
            None => self.settings.usual_target(&release, self.system),
        };
        releases.into_iter().map(target).collect()
    }

    /// Without a kernel, every one that has a build is packed.
    pub(super) fn packed_targets(&self, targets: Vec<Target>) -> Targets {
        let any = self.args.kernels.is_empty() && self.args.arches.is_empty();
        if any { Targets::AllBuilt } else { Targets::These(targets) }
    }

    pub(super) fn built_targets(&self, targets: Vec<Target>) -> Targets {
        if self.args.all { Targets::AllBuilt } else { Targets::These(targets) }
    }

    /// The kernel whose packages another one gets, and its architecture if that is named: `K` or `K/A`.
    pub(super) fn template(&self) -> Option<(&str, Option<&str>)> {
        let text = self.args.template_kernel.as_deref()?;
        Some(text.split_once('/').map_or((text, None), |(kernel, arch)| (kernel, Some(arch))))
    }

    /// The architecture where none is named: that of the template for `match`, or the machine's.
    fn default_arch(&self, kernel: &str) -> Result<String> {
        let template = self.template().filter(|_| self.action == Action::Match);
        match template.and_then(|(_, arch)| arch) {
            Some(arch) => Ok(arch.to_owned()),
            None => Ok(default_arch(&self.settings.install_tree.join(kernel), self.system)?.to_string()),
        }
    }

    /// Every kernel that a module can be built for.
    fn every_kernel(&self) -> Result<Vec<Target>> {
        let kernels = with_headers(&self.settings.install_tree);
        if kernels.is_empty() {
            let text = format!(
                "No kernel in {} has its headers installed.\nInstall the headers of a kernel first.",
                self.settings.install_tree.display()
            );
            return Err(Error::Usage { code: 21, text });
        }
        kernels.iter().map(|release| self.settings.usual_target(release, self.system)).collect()
    }

    /// The pairs of kernels and architectures, with the defaults.
    pub(super) fn targets(&self) -> Result<Vec<Target>> {
        if self.args.all && self.action == Action::Install {
            return self.every_kernel();
        }
        if self.args.all && self.action != Action::Ldtarball {
            return Ok(Vec::new());
        }
        let running = || self.system.host.running.as_ref().map(ToString::to_string).unwrap_or_default();
        let kernels = if self.args.kernels.is_empty() { vec![running()] } else { self.args.kernels.clone() };
        let arches = match self.args.arches.as_slice() {
            [] => vec![self.default_arch(&kernels[0])?],
            arches => arches.to_vec(),
        };
        kernels
            .iter()
            .enumerate()
            .map(|(i, kernel)| {
                let arch = if arches.len() == 1 { &arches[0] } else { &arches[i] };
                if kernel.is_empty() || arch.is_empty() {
                    return Err(Error::EmptyTarget);
                }
                Ok(Target::new(KernelRelease::parse(kernel)?, Arch::parse(arch)?))
            })
            .collect()
    }
}
