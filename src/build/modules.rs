//! From built files to the staged result: stripped, signed, compressed, and recorded.

use crate::build::build_dir::BuildDir;
use crate::build::preparation::Preparation;
use crate::build::resign::{note_failure, signature_by};
use crate::build::sign::{self, Unsigned};
use crate::build::store::store;
use crate::conf::{Module, Script};
use crate::inspect::inputs::Surroundings;
use crate::inspect::signature::unsigned;
use crate::kernel::module_file::{ModuleFile, flaw, image_digest, read_module};
use crate::model::{Error, KernelRelease, Result, millis};
use crate::session::WriteSession;
use crate::signing::Signer;
use crate::system::digest::sha256;
use crate::system::files;
use crate::system::handover;
use crate::system::process::Output;
use crate::tree::{BuildRecord, Built, ModuleRecord, Signature, stage_dependency};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Stages every module that the kernel can have, Module.symvers, and the record of the build.
///
/// # Errors
/// The make command did not produce a module (7), or a file cannot be written.
pub(crate) fn collect_modules(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    preparation: &Preparation,
    cpu: Duration,
) -> Result<()> {
    let (release, cc) = (&place.id.target.release, preparation.toolchain.cc.as_deref());
    std::thread::scope(|scope| {
        // Meanwhile programs strip, sign and compress.
        let surroundings =
            scope.spawn(|| Surroundings::look(session, release, cc, |dirs| place.can_write_in(dirs)));
        let mut record = stage_modules(session, place, preparation)?;
        if let Some(inputs) = &mut record.inputs {
            surroundings.join().unwrap_or_default().note(inputs);
        }
        record.cpu_ms = Some(millis(cpu));
        record.stage(&place.out)?;
        preparation.against.iter().try_for_each(|dependency| stage_dependency(&place.out, dependency))
    })
}

fn stage_modules(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    preparation: &Preparation,
) -> Result<BuildRecord> {
    let wanted = |module: &&Module| preparation.buildable.has(module.index);
    let modules = &preparation.conf.modules;
    for module in modules.iter().filter(wanted) {
        take_module(session, place, preparation, module)?;
    }
    let dir = place.out.join("module");
    files::create_dirs(&dir)?;
    if let Some(symvers) = place.read(Path::new("Module.symvers"))? {
        files::stage_file(&dir.join("Module.symvers"), &symvers, 0o644)?;
    }
    let mut records = Vec::new();
    for module in modules.iter().filter(wanted) {
        let staged = stage_module(session, place, preparation, module, &dir);
        records.push(staged.map_err(|error| place.not_stored(error))?);
    }
    let excluded = modules.iter().filter(|module| !wanted(module)).map(|module| module.dest_name.clone());
    let mut record = BuildRecord::new(records, excluded.collect());
    record.post_remove = preparation.conf.script(Script::PostRemove).map(str::to_owned);
    record.no_weak_modules = preparation.conf.no_weak_modules.is_yes();
    record.depends_rebuild = preparation.conf.depends_rebuild.is_yes();
    record.inputs = preparation.inputs.clone();
    record.duration_ms = Some(place.elapsed_ms());
    record.isolation = Some(place.isolation());
    if record.modules.iter().any(|module| module.signature == Some(Signature::None)) {
        record.cannot_sign = preparation.signer.as_ref().and_then(note_failure);
    }
    Ok(record)
}

/// Copies a module out of the build directory, where it may be a link to anywhere. One that the kernel would not load
/// fails the build: because it is not a whole module for its machine, or was made for another kernel, usually the running
/// one.
fn take_module(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    preparation: &Preparation,
    module: &Module,
) -> Result<()> {
    let file = module.built_file();
    let (build, log) = (place.id.clone(), session.tree().failure_log(&place.id.package));
    let Some(content) = place.read(&file)? else {
        let made = made_modules(&place.real);
        return Err(Error::ModuleNotProduced { build, file: file.display().to_string(), made, log });
    };
    let kernel = session.kernel(&place.id.target.release);
    if let Some(flaw) = flaw(&content, kernel.machine()) {
        let (file, why) = (file.display().to_string(), flaw.to_string());
        return Err(Error::NotAModule { build, file, why, log });
    }
    files::stage_file(&working_copy(place, module), &content, 0o644)?;
    let release = ModuleFile::new(content).info.release().to_owned();
    if preparation.any_vermagic || release.is_empty() || release == place.id.target.release.as_str() {
        return Ok(());
    }
    let (file, headers) = (file.display().to_string(), kernel.headers_release());
    Err(Error::OtherVermagic { build, file, release, headers, log })
}

/// Brings the record of a build, as it was, up to what its files are now: the package's own script may have changed them, and
/// its record is not its to change.
pub(crate) fn record_anew(
    session: &WriteSession<'_>,
    built: &Built,
    record: Option<BuildRecord>,
) -> Result<()> {
    let Some(mut record) = record else { return Ok(()) };
    for module in &mut record.modules {
        let path = built.modules().join(&module.file);
        if path.is_file() {
            let digest = sha256(&fs_err::read(&path)?);
            if digest == module.sha256 {
                continue;
            }
            module.sha256 = digest;
            module.image = read_module(&path).map(image_digest).unwrap_or_default();
            module.signature = None;
        }
    }
    session.writer.amend(built, &record)
}

/// What follows `.ko` in new modules of a kernel: as those that it has, or will have.
fn new_suffix(session: &WriteSession<'_>, release: &KernelRelease) -> &'static str {
    let kernel = session.kernel(release);
    if session.settings.ahead_of_kernel && kernel.modules().is_empty() {
        kernel.configured_suffix()
    } else {
        kernel.modules().compression_suffix()
    }
}

fn stage_module(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    preparation: &Preparation,
    module: &Module,
    dir: &Path,
) -> Result<ModuleRecord> {
    let built = working_copy(place, module);
    if module.strip {
        strip(session, place, &built, preparation.toolchain.strip())?;
    }
    let suffix = new_suffix(session, &place.id.target.release);
    let store = || store(session, &built, dir, &module.dest_name, suffix);
    let signed = match &preparation.signer {
        Some(signer) => store_signed(session, place, signer, module, store)?,
        None => None,
    };
    let (file, signature) = match signed {
        Some((file, signature)) => (file, signature),
        None => (store()?, Some(unsigned(session, &place.id.target.release))),
    };
    Ok(ModuleRecord {
        name: module.dest_name.clone(),
        file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        location: module.location.clone(),
        conf_location: module.conf_location.clone(),
        sha256: sha256(&fs_err::read(&file)?),
        image: image_digest(fs_err::read(&built)?),
        signature,
    })
}

/// Signs the module and has it stored by `store`. What cannot be signed is not stored, and is an error where that is not
/// allowed.
fn store_signed(
    session: &WriteSession<'_>,
    place: &BuildDir<'_>,
    signer: &Signer,
    module: &Module,
    store: impl Fn() -> Result<PathBuf>,
) -> Result<Option<(PathBuf, Option<Signature>)>> {
    let built = &working_copy(place, module);
    let name = built.file_name().unwrap_or_default().to_string_lossy();
    let shown = place.shown.join(module.built_file());
    if session.system.console.is_verbose() {
        session.system.console.say(format!("Signing module {}", shown.display()));
    }
    let tool = place.environment.apply(session.system.command(&signer.tool));
    let tool = tool.dir(&place.shown).binds(&place.binds);
    match sign::sign_and_store(signer, tool, built, store)? {
        Ok((stored, unchecked)) => {
            if let Some(why) = unchecked {
                session.system.console.note(format!("{name}: the signature is not checked: {why}."));
            }
            Ok(Some((stored, signature_by(signer))))
        }
        Err(Unsigned { why }) if session.settings.require_signature => {
            Err(Error::NotSigned { build: place.id.clone(), why: format!("{name}: {why}") })
        }
        Err(Unsigned { why }) => {
            let shown = shown.display();
            session.system.console.warn(format!("{shown} could not be signed and stays unsigned: {why}"));
            Ok(None)
        }
    }
}

/// Debug information goes; a tool that is missing or fails leaves it in. The module is not ours yet: the tool works on a copy
/// that it alone can write.
fn strip(session: &WriteSession<'_>, place: &BuildDir<'_>, module: &Path, tool: &str) -> Result<()> {
    let dir = module.with_extension("strip");
    files::create_dirs(&dir)?;
    let name = module.file_name().unwrap_or_default();
    files::stage_file(&dir.join(name), &fs_err::read(module)?, 0o644)?;
    let outcome = place.lend(&dir, |confined| {
        let command = session.system.command(tool).arg("-g").arg(dir.join(name)).stderr(Output::Capture);
        Ok(confined(command).run())
    })?;
    let why = match outcome {
        Ok(outcome) if outcome.status.success() => String::new(),
        Ok(outcome) => outcome.stderr_tail(),
        Err(error) => error.to_string(),
    };
    match handover::read_below(&dir, Path::new(name))?.filter(|_| why.is_empty()) {
        Some(content) => files::stage_file(module, &content, 0o644)?,
        None => {
            session.system.console.warn(format!("{} keeps its debug information: {why}", module.display()));
        }
    }
    Ok(files::remove_tree(&dir)?)
}

/// Where a module is stripped and signed.
fn working_copy(place: &BuildDir<'_>, module: &Module) -> PathBuf {
    let dir = place.modules.join(module.index.to_string());
    // Making it again is nothing; that it cannot be made shows when the file is written.
    let _ = files::create_dirs(&dir);
    dir.join(module.built_file().file_name().unwrap_or_default())
}

/// The modules that lie in a build directory, by their paths below it, a few of them.
fn made_modules(dir: &Path) -> Vec<String> {
    const FEW: usize = 8;
    let modules = crate::kernel::ModuleIndex::scan(dir);
    let mut found: Vec<String> = modules
        .below(dir)
        .filter_map(|path| Some(path.strip_prefix(dir).ok()?.to_string_lossy().into_owned()))
        .collect();
    found.sort();
    found.truncate(FEW);
    found
}
