//! Packages as files, out and in: tarballs, packages of distributions, and source directories.

pub(crate) mod kernel_package;
mod labels;
mod modules;
pub(crate) mod package;
pub(crate) mod source;
pub(crate) mod system_extension;
pub(crate) mod tarball;
mod tools;
