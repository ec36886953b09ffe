//! Looks at the machine and answers questions about it: whose a file is, who can change it. Reads only: it must not write a
//! file or start a program.

pub(crate) mod check;
pub(crate) mod extension;
pub(crate) mod fsck;
pub(crate) mod initramfs;
pub(crate) mod inputs;
pub(crate) mod installed;
pub(crate) mod known_conf;
pub(crate) mod lint;
pub(crate) mod logs;
pub(crate) mod owner;
pub(crate) mod pending;
pub(crate) mod provided;
pub(crate) mod signature;
pub(crate) mod subject;
pub(crate) mod trust;
