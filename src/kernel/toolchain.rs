//! The compiler and linker a kernel was built with, and so its modules need.

use super::Kernel;
use crate::system::System;
use crate::system::process::{Input, Output};
use std::path::Path;

/// What a build puts into its environment and onto its make command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// CC of the kernel's makefile fragment `.kernelvariables`, or the configured compiler where it is available.
    pub cc: Option<String>,
    /// KERNEL_CC: the configured compiler where it is available.
    pub kernel_cc: Option<String>,
    /// LD and KERNEL_LD: `ld.lld` where the kernel was linked with it.
    pub ld: Option<String>,
    /// Whether `LLVM=1` belongs on the make command.
    pub llvm: bool,
}

impl Toolchain {
    /// Reads the kernel's configuration; asks make only where that names no compiler and the headers have a
    /// `.kernelvariables`.
    #[must_use]
    pub(crate) fn from_kernel(kernel: &Kernel, built_by_clang: Option<bool>, system: &System) -> Self {
        let mut chain = Self::default();
        let Some(config) = kernel.config() else {
            chain.cc = from_kernelvariables(&kernel.build_dir, system);
            chain.llvm = built_by_clang.unwrap_or(false);
            return chain;
        };
        let available = |program: &&str| system.program(program).is_some();
        let named = config.value("CONFIG_CC_VERSION_TEXT").and_then(|text| text.split_whitespace().next());
        if let Some(cc) = named.filter(available) {
            chain.cc = Some(cc.to_owned());
            chain.kernel_cc = Some(cc.to_owned());
        }
        if config.is_set("CONFIG_CC_IS_CLANG") && system.program("clang").is_some() {
            chain.cc = Some("clang".to_owned());
            chain.kernel_cc = Some("clang".to_owned());
        }
        if chain.cc.is_none() {
            chain.cc = from_kernelvariables(&kernel.build_dir, system);
        }
        if config.is_set("CONFIG_LD_IS_LLD") && system.program("ld.lld").is_some() {
            chain.ld = Some("ld.lld".to_owned());
        }
        chain.llvm = built_by_clang.unwrap_or_else(|| config.is_set("CONFIG_CC_IS_CLANG"));
        chain
    }

    /// The environment of a build: names and values.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs =
            [("CC", &self.cc), ("KERNEL_CC", &self.kernel_cc), ("LD", &self.ld), ("KERNEL_LD", &self.ld)];
        let named = pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        named.chain(self.llvm.then_some(("LLVM", "1")))
    }

    /// The program that strips debug information.
    #[must_use]
    pub(crate) fn strip(&self) -> &'static str {
        if self.cc.as_deref() == Some("clang") { "llvm-strip" } else { "strip" }
    }
}

/// What the makefile fragment assigns to CC, asked of make itself.
fn from_kernelvariables(build_dir: &Path, system: &System) -> Option<String> {
    let fragment = build_dir.join(".kernelvariables");
    if !fragment.is_file() {
        return None;
    }
    let makefile = format!("include {}\nshow:\n\t@echo $(CC)\n", fragment.display());
    let outcome = system
        .command("make")
        .args(["-s", "-f", "-", "show"])
        .stdin(Input::Bytes(makefile.into_bytes()))
        .stdout(Output::Capture)
        .run()
        .ok()?;
    let text = String::from_utf8_lossy(&outcome.stdout).trim().to_owned();
    (outcome.status.success() && !text.is_empty()).then_some(text)
}
