//! Built modules where a kernel looks for them, in a directory that becomes a package or an image.

use crate::conf::PackageConf;
use crate::model::Result;
use crate::model::module_name::module_name;
use crate::system::files;
use crate::tree::Built;
use std::path::{Path, PathBuf};

/// Copies the modules of a build to where they go below `dir`, the directory of a kernel's modules; returns their places in it.
pub(crate) fn place_modules(built: &Built, conf: &PackageConf, dir: &Path) -> Result<Vec<PathBuf>> {
    let recorded = built.record().map(|record| record.modules).unwrap_or_default();
    let mut placed = Vec::new();
    for file in built.module_files() {
        let stem = module_name(&file);
        let of_record = recorded.iter().find(|module| module.name == stem).map(|m| m.location.clone());
        let of_conf = conf.modules.iter().find(|module| module.dest_name == stem).map(|m| m.location.clone());
        let location = of_record.or(of_conf).unwrap_or_else(|| "/updates/dkms".to_owned());
        let location = Path::new(location.trim_matches('/'));
        files::create_dirs(&dir.join(location))?;
        let place = location.join(file.file_name().unwrap_or_default());
        files::publish_copy(&file, &dir.join(&place), 0o644)?;
        placed.push(place);
    }
    Ok(placed)
}
