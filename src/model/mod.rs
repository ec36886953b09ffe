//! The words of the field: names, versions, states and errors. No I/O.

mod error;
mod name;
mod release;
mod state;
pub mod text;
mod version;

pub use error::{ArchiveProblem, Error, ExitCode, PackagingProblem, Result};
pub use name::{NameError, PackageId, PackageName, PackageVersion};
pub use release::{Arch, BuildId, KernelRelease, Target};
pub use state::{BuildState, SourceState};
pub use version::compare_versions;
