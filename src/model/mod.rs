//! The words of the field: names, versions, states and errors. No I/O.

mod attempt;
mod error;
pub(crate) mod module_name;
mod name;
pub(crate) mod package_names;
mod release;
pub(crate) mod remedy;
pub(crate) mod similar;
mod state;
pub(crate) mod text;
mod version;

pub(crate) use attempt::{Attempt, AttemptResult, millis};
pub(crate) use error::{ArchiveProblem, Error, ExitCode, PackagingProblem, Result};
pub(crate) use name::{NameError, PackageId, PackageName, PackageVersion};
pub(crate) use release::{Arch, BuildId, KernelRelease, Target};
pub(crate) use state::{BuildState, SourceState};
pub(crate) use version::compare_versions;
