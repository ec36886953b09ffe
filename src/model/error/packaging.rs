//! Why a package for other machines cannot be made, each with its exit code and its words.

use crate::model::remedy::Remedy;
use crate::model::{KernelRelease, PackageId, Target};
use std::fmt;
use std::path::PathBuf;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PackagingProblem {
    /// Nothing is built, for that kernel or for any.
    NotBuilt { package: PackageId, target: Option<Target> },
    /// A program of the distribution is not installed.
    NoTool { program: &'static str, package: &'static str },
    /// The package's name or version has no counterpart there.
    Name { what: &'static str, text: String, why: String },
    /// A program failed; its last words.
    Failed { program: String, status: String, said: String },
    /// A template made no package.
    NoResult { template: String },
    /// No package is built, for that kernel or for any.
    NothingBuilt(Option<Target>),
    /// The kernel whose modules are asked for has none of its own here.
    NoModules { release: KernelRelease, dir: PathBuf },
    /// Two packages have a module of the same place.
    SamePlace { packages: [PackageId; 2], place: PathBuf },
    /// Two architectures of a kernel have the same places.
    TwoArchitectures,
    /// The kernels have no file system that an image can have.
    NoImageFormat,
    /// The source cannot be packed.
    Source(String),
}

impl PackagingProblem {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotBuilt { .. } | Self::NothingBuilt(_) | Self::NoModules { .. } => 6,
            Self::NoTool { .. } | Self::TwoArchitectures => 2,
            Self::Source(_) => 4,
            Self::Failed { .. } | Self::NoResult { .. } | Self::NoImageFormat | Self::SamePlace { .. } => 7,
            Self::Name { .. } => 8,
        }
    }
}

impl fmt::Display for PackagingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt { package, target } => {
                let kernel = target.iter().map(|target| format!(" for kernel {target}")).collect::<String>();
                let build = Remedy::Build { package: package.clone(), target: target.clone() };
                write!(f, "no modules of {package} are built{kernel}.\nBuild them first: {build}")
            }
            Self::NoTool { program, package } => {
                write!(f, "{program} is needed, and not installed.\nInstall the package {package}.")
            }
            Self::Name { what, text, why } => write!(f, "the {what} {text:?} cannot be used: {why}."),
            Self::Failed { program, status, said } if said.is_empty() => {
                write!(f, "{program} failed: {status}.")
            }
            Self::Failed { program, status, said } => write!(f, "{program} failed: {status}.\n{said}"),
            Self::NoResult { template } => write!(f, "the template {template} made no package."),
            Self::NothingBuilt(target) => {
                let kernel = target.iter().map(|target| format!(" for kernel {target}")).collect::<String>();
                let option =
                    target.iter().map(|target| format!(" -k {}", target.release)).collect::<String>();
                write!(
                    f,
                    "no package is built{kernel}.\nBuild what the image is to have: dkms build PACKAGE{option}"
                )
            }
            Self::NoModules { release, dir } => write!(
                f,
                "the modules of kernel {release} are not here: {} has no modules.dep.\nRun it on the system that the image is for.",
                dir.display()
            ),
            Self::SamePlace { packages: [first, second], place } => write!(
                f,
                "{first} and {second} both have the module {}.\nTo leave one out: dkms unbuild PACKAGE",
                place.display()
            ),
            Self::TwoArchitectures => f.write_str("one image has one architecture of a kernel."),
            Self::NoImageFormat => f.write_str("the kernels can read neither erofs nor squashfs."),
            Self::Source(why) => f.write_str(why),
        }
    }
}
