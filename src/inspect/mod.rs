//! Looks at the machine and answers questions about it: whose a file is, who can change it. Reads only: it must not write a
//! file or start a program.

mod owner;
mod trust;

pub use owner::{Owner, Suspect, built_file, is_same_module, kept_by_others, owner, recorded_owner};
pub use trust::{Exposure, Who, exposures};
