//! Whether the values of a dkms.conf can be used.

use super::{Flag, PackageConf, Values};
use crate::model::{PackageName, PackageVersion};
use std::collections::HashSet;

/// How much is checked. Lenient checks hold for any use; strict ones where something is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Lenient,
    Strict,
}

const NO_LOCATION: &str = "No 'DEST_MODULE_LOCATION'";

/// Every problem of the values, each one sentence that names the directive. None means valid.
#[must_use]
pub(crate) fn check(conf: &PackageConf, values: &Values, strictness: Strictness) -> Vec<String> {
    let mut problems = Vec::new();
    if values.is_empty() {
        problems.push("The file leaves no value behind: does it exit, or fail under 'set -e'?".to_owned());
    }
    identity(conf, &mut problems);
    for module in &conf.modules {
        check_module(module, &mut problems);
    }
    let flags = [
        ("AUTOINSTALL", conf.autoinstall),
        ("BUILD_DEPENDS_REBUILD", conf.depends_rebuild),
        ("NO_WEAK_MODULES", conf.no_weak_modules),
    ];
    for (name, flag) in flags {
        if flag == Flag::Invalid {
            let value = values.get(name).unwrap_or_default();
            problems.push(format!("Unsupported {name} value '{value}'; use yes or no."));
        }
    }
    if let Some(value) = conf.on_failure.as_deref().filter(|value| !matches!(*value, "fail" | "warn")) {
        problems.push(format!("Unsupported on_failure value '{value}'; use warn or fail."));
    }
    let known = |value: &&str| ["yes", "no", "auto"].iter().any(|word| value.eq_ignore_ascii_case(word));
    if let Some(value) = conf.initramfs.as_deref().filter(|value| !known(value)) {
        problems.push(format!("Unsupported INITRAMFS value '{value}'; use yes, no or auto."));
    }
    if strictness == Strictness::Strict {
        duplicates(conf, &mut problems);
    }
    // Where the distribution has one place for all modules, nothing is missing if nothing else is wrong.
    if conf.location_by_default && problems.iter().all(|problem| problem.starts_with(NO_LOCATION)) {
        problems.clear();
    }
    problems
}

fn identity(conf: &PackageConf, problems: &mut Vec<String>) {
    for (name, value) in [("PACKAGE_NAME", &conf.name), ("PACKAGE_VERSION", &conf.version)] {
        if value.is_empty() {
            problems.push(format!("No '{name}' directive specified."));
        }
    }
    if let Some(why) = PackageName::new(&conf.name).err().filter(|_| !conf.name.is_empty()) {
        problems.push(format!("PACKAGE_NAME '{}' cannot be a package name: {why}.", conf.name));
    }
    if let Some(why) = PackageVersion::new(&conf.version).err().filter(|_| !conf.version.is_empty()) {
        problems.push(format!("PACKAGE_VERSION '{}' cannot be a version: {why}.", conf.version));
    }
}

fn check_module(module: &super::Module, problems: &mut Vec<String>) {
    let i = module.index;
    let mut add = |problem: String| problems.push(problem);
    if module.built_name.is_empty() {
        add(format!("No 'BUILT_MODULE_NAME' directive specified for record #{i}."));
    }
    for (name, value) in [("BUILT_MODULE_NAME", &module.built_name), ("DEST_MODULE_NAME", &module.dest_name)]
    {
        if value.ends_with(".o") || value.ends_with(".ko") {
            add(format!("Directive '{name}' for record #{i} ends in '.o' or '.ko'."));
        }
        let is_path =
            name == "BUILT_MODULE_NAME" && !value.split('/').any(|part| matches!(part, "" | "." | ".."));
        if (value.contains('/') && !is_path) || value.contains(char::is_whitespace) || value.starts_with('.')
        {
            add(format!("Directive '{name}' for record #{i} is not a module name: '{value}'."));
        }
    }
    let location = &module.conf_location;
    if location.is_empty() {
        add(format!("{NO_LOCATION} directive specified for record #{i}."));
    } else if !["/kernel", "/updates", "/extra"].iter().any(|prefix| location.starts_with(prefix)) {
        add(format!(
            "Directive 'DEST_MODULE_LOCATION' for record #{i} does not begin with '/kernel', '/updates', or '/extra': '{location}'."
        ));
    } else if leads_out(location) {
        add(format!(
            "Directive 'DEST_MODULE_LOCATION' for record #{i} leads outside of the kernel's directory: '{location}'."
        ));
    }
    let parts = std::path::Path::new(&module.built_location).components();
    let inside = parts
        .clone()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    if !inside {
        add(format!(
            "Directive 'BUILT_MODULE_LOCATION' for record #{i} leads outside of the package: '{}'.",
            module.built_location
        ));
    }
}

/// Packages do write `/kernel/../updates`, which stays inside.
fn leads_out(location: &str) -> bool {
    let mut depth = 0_i32;
    location.split('/').filter(|part| !matches!(*part, "" | ".")).any(|part| {
        depth += if part == ".." { -1 } else { 1 };
        depth < 0
    })
}

fn duplicates(conf: &PackageConf, problems: &mut Vec<String>) {
    let (mut built, mut dest) = (HashSet::new(), HashSet::new());
    for module in &conf.modules {
        if !module.built_name.is_empty() && !built.insert(module.built_file()) {
            problems.push(format!("Duplicate module '{}'.", module.built_file().display()));
        }
        if !module.dest_name.is_empty() && !dest.insert(&module.dest_name) {
            problems.push(format!(
                "Duplicate 'DEST_MODULE_NAME' '{}' for record #{}.",
                module.dest_name, module.index
            ));
        }
    }
}
