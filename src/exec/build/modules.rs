//! From built files to the staged result: stripped, signed, compressed, and recorded.

use super::{Preparation, Workplace};
use crate::conf::{Module, Script};
use crate::exec::Engine;
use crate::exec::compress::{CompressOptions, compress};
use crate::exec::sign;
use crate::kernel::module_file::Compression;
use crate::model::{Error, Result};
use crate::system::files;
use crate::system::process::Output;
use crate::tree::{BuildRecord, ModuleRecord, stage_dependency};
use std::path::Path;

impl Engine<'_> {
    /// Stages every module that the kernel can have, Module.symvers, and the record of the build.
    ///
    /// # Errors
    /// The make command did not produce a module (7), or a file cannot be written.
    pub(super) fn collect_modules(&self, place: &Workplace<'_>, preparation: &Preparation) -> Result<()> {
        let wanted = |module: &&Module| preparation.buildable.has(module.index);
        let modules = &preparation.conf.modules;
        for module in modules.iter().filter(wanted) {
            if !place.real.join(module.built_file()).is_file() {
                return Err(Error::ModuleNotProduced {
                    build: place.id.clone(),
                    file: module.built_file().display().to_string(),
                    log: self.tree().failure_log(&place.id.package),
                });
            }
        }
        let dir = place.out.join("module");
        files::create_dirs(&dir)?;
        let symvers = place.real.join("Module.symvers");
        if symvers.is_file() {
            files::stage_file(&dir.join("Module.symvers"), &fs_err::read(&symvers)?, 0o644)?;
        }
        let mut records = Vec::new();
        for module in modules.iter().filter(wanted) {
            records.push(self.stage_module(place, preparation, module, &dir)?);
        }
        let excluded = modules.iter().filter(|module| !wanted(module)).map(|module| module.dest_name.clone());
        let mut record = BuildRecord::new(records, excluded.collect());
        record.post_remove = preparation.conf.script(Script::PostRemove).map(str::to_owned);
        record.no_weak_modules = preparation.conf.no_weak_modules.is_yes();
        record.depends_rebuild = preparation.conf.depends_rebuild.is_yes();
        record.stage(&place.out)?;
        preparation.against.iter().try_for_each(|dependency| stage_dependency(&place.out, dependency))
    }

    fn stage_module(
        &self,
        place: &Workplace<'_>,
        preparation: &Preparation,
        module: &Module,
        dir: &Path,
    ) -> Result<ModuleRecord> {
        let built = place.real.join(module.built_file());
        if module.strip {
            self.strip(&built, preparation.toolchain.strip());
        }
        if let Some(signer) = &preparation.signer {
            let file_name = built.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let title = format!("Signing module {}", place.shown.join(file_name).display());
            if self.system.ui.is_verbose() {
                self.system.ui.say(&title);
            }
            if let Err(why) = sign::sign_module(signer, &built) {
                self.system
                    .ui
                    .warn(format!("{} could not be signed and stays unsigned: {why}", built.display()));
            }
        }
        let suffix = self.kernel(&place.id.target.release).modules().compression_suffix();
        let file = self.store(&built, dir, module, suffix)?;
        Ok(ModuleRecord {
            name: module.dest_name.clone(),
            file,
            location: module.location.clone(),
            conf_location: module.conf_location.clone(),
        })
    }

    /// Debug information goes; a tool that is missing or fails leaves it in.
    fn strip(&self, module: &Path, tool: &str) {
        let outcome = self.system.command(tool).arg("-g").arg(module).stderr(Output::Capture).run();
        let why = match outcome {
            Ok(outcome) if outcome.status.success() => return,
            Ok(outcome) => outcome.stderr_tail(),
            Err(error) => error.to_string(),
        };
        self.system.ui.warn(format!("{} keeps its debug information: {why}", module.display()));
    }

    /// Writes the module under its installed name, compressed as the kernel's own modules; uncompressed if that fails.
    fn store(&self, built: &Path, dir: &Path, module: &Module, suffix: &str) -> Result<String> {
        let compression = Compression::from_file_name(&format!("x.ko{suffix}"));
        let plain = format!("{}.ko", module.dest_name);
        if compression == Compression::None {
            files::stage_file(&dir.join(&plain), &fs_err::read(built)?, 0o644)?;
            return Ok(plain);
        }
        let content = fs_err::read(built)?;
        match compress(&content, compression, &self.compress_options()) {
            Ok(packed) => {
                let name = format!("{plain}{suffix}");
                files::stage_file(&dir.join(&name), &packed, 0o644)?;
                Ok(name)
            }
            Err(error) => {
                self.system.ui.warn(format!("{plain} could not be compressed and stays as it is: {error}"));
                files::stage_file(&dir.join(&plain), &content, 0o644)?;
                Ok(plain)
            }
        }
    }

    fn compress_options(&self) -> CompressOptions {
        let compressors = &self.settings.compressors;
        let text =
            |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
        let (options, ignored) = CompressOptions::parse(
            &text(&compressors.gzip, ""),
            &text(&compressors.xz, "--check=crc32 --lzma2=dict=1MiB"),
            &text(&compressors.zstd, "-q --rm -T0"),
        );
        if !ignored.is_empty() {
            self.system
                .ui
                .warn(format!("framework.conf: compressor options without effect: {}", ignored.join(" ")));
        }
        options
    }
}
