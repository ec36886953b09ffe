//! Looks at the machine and answers questions about it: whose a file is, who can change it. Reads only: it must not write a
//! file or start a program.

mod trust;

pub use trust::{Exposure, Who, exposures};
