//! `dkms conf`: what a dkms.conf ends up saying, where each value came from, and whether bash was needed.

use crate::conf::{Effective, EvalContext, Settings, Strictness, override_names, read_effective, understand};
use crate::kernel::Kernel;
use crate::model::text::shown_in_line;
use crate::model::{Error, ExitCode, PackageId, PackageName, PackageVersion, Result, Target};
use crate::plan::request::{ConfFormat, Subject};
use crate::system::System;
use crate::tree::Tree;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Raised when a field goes or changes its meaning.
const SCHEMA: u32 = 1;

pub(crate) fn print(
    subject: &Subject,
    conf: Option<&Path>,
    target: &Target,
    format: ConfFormat,
    settings: &Settings,
    system: &System,
) -> Result<ExitCode> {
    let kernel = settings.kernel(&target.release);
    let (path, id) = locate(subject, conf, settings)?;
    let effective = match id {
        Some(id) => {
            let view = EvalContext { package: Some(&id), kernel: &kernel, arch: &target.arch };
            read_effective(&path, view, settings, system)?
        }
        None => of_directory(&path, &kernel, target, settings, system)?,
    };
    let understood = understand(&effective, &path, Strictness::Strict, settings, system);
    // Where it is refused, the error has them.
    if understood.is_ok() {
        effective.messages.iter().for_each(|line| system.console.note(shown_in_line(line)));
    }
    system.console.say(match format {
        ConfFormat::Text => text(&effective),
        ConfFormat::Json => json_text(&effective),
    });
    for misquoted in &effective.misquoted {
        system.console.warn(format!("{}: the {misquoted}", misquoted.file.display()));
    }
    understood.map(|_| ExitCode::SUCCESS)
}

/// The values of a directory's file. It is evaluated once, unless the name that it gives itself changes the outcome: by an
/// override, or because it asks for the name.
fn of_directory(
    path: &Path,
    kernel: &Kernel,
    target: &Target,
    settings: &Settings,
    system: &System,
) -> Result<Effective> {
    let view = EvalContext { package: None, kernel, arch: &target.arch };
    let effective = read_effective(path, view, settings, system)?;
    let Some(id) = named(&effective) else { return Ok(effective) };
    let view = EvalContext { package: Some(&id), ..view };
    let is_overridden = override_names(&id, view, system).iter().any(|file| file.is_file());
    let text = fs_err::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if is_overridden || ["$module", "${module"].iter().any(|reference| text.contains(reference)) {
        return read_effective(path, view, settings, system);
    }
    Ok(effective)
}

/// The file to read, and the package if it is known by name: the tree's source, else the source tree's.
///
/// # Errors
/// It is in an archive.
pub(crate) fn locate(
    subject: &Subject,
    conf: Option<&Path>,
    settings: &Settings,
) -> Result<(PathBuf, Option<PackageId>)> {
    Ok(match subject {
        Subject::Directory(dir) => (dir.join("dkms.conf"), None),
        Subject::Archive(archive) => return Err(Error::NotLoaded { archive: archive.clone() }),
        Subject::Package(id) => {
            let added = Tree::at(&settings.dkms_tree).source(id).join("dkms.conf");
            let source = settings.source_tree.join(id.source_dir_name()).join("dkms.conf");
            let own = if added.is_file() || !source.is_file() { added } else { source };
            (conf.map_or(own, Path::to_owned), Some(id.clone()))
        }
    })
}

/// The package that the file itself names.
fn named(effective: &Effective) -> Option<PackageId> {
    let value = |name: &str| effective.values.get(name);
    let name = PackageName::new(value("PACKAGE_NAME")?).ok()?;
    Some(PackageId::new(name, PackageVersion::new(value("PACKAGE_VERSION")?).ok()?))
}

fn text(effective: &Effective) -> String {
    let mut lines = Vec::new();
    for file in &effective.files {
        lines.push(format!("# {} ({})", file.path.display(), file.evaluator));
    }
    for (name, index, value) in effective.values.iter() {
        let origin = effective.origins.get(&(name.to_owned(), index)).map(String::as_str).unwrap_or_default();
        let main = effective.files.first().is_some_and(|file| file.path.to_string_lossy() == origin);
        let note = if main { String::new() } else { format!("    # {origin}") };
        lines.push(format!("{name}[{index}]={}{note}", quoted(value)));
    }
    lines.join("\n")
}

/// A value as a shell would read it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

fn json_text(effective: &Effective) -> String {
    let (mut directives, mut sources) = (Map::new(), Map::new());
    for (name, index, value) in effective.values.iter() {
        let entry = |map: &mut Map<String, Value>, value: &str| {
            let elements = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(elements) = elements {
                elements.insert(index.to_string(), Value::from(value));
            }
        };
        entry(&mut directives, value);
        let origin = effective.origins.get(&(name.to_owned(), index));
        entry(&mut sources, origin.map(String::as_str).unwrap_or_default());
    }
    let evaluator = effective.evaluator().to_string();
    json!({ "schema": SCHEMA, "directives": directives, "sources": sources, "evaluator": evaluator })
        .to_string()
}
