//! Built modules where a kernel looks for them, in a directory that becomes a package or an image.

use crate::conf::PackageConf;
use crate::model::Result;
use crate::model::module_name::module_name;
use crate::system::files;
use crate::tree::Built;
use std::path::{Path, PathBuf};

/// Copies modules to their places below `dir`, the directory of a kernel's modules.
pub(crate) fn place_modules(places: &[(PathBuf, PathBuf)], dir: &Path) -> Result<()> {
    for (file, place) in places {
        files::create_dirs(dir.join(place).parent().unwrap_or(dir))?;
        files::publish_copy(file, &dir.join(place), 0o644)?;
    }
    Ok(())
}

/// The modules of a build, and where they go below a kernel's directory: as recorded, or as the dkms.conf says.
pub(crate) fn places(built: &Built, conf: Option<&PackageConf>) -> Vec<(PathBuf, PathBuf)> {
    let recorded = built.record().map(|record| record.modules).unwrap_or_default();
    let of_conf = conf.map(|conf| conf.modules.as_slice()).unwrap_or_default();
    let place = |file: PathBuf| {
        let stem = module_name(&file);
        let recorded = recorded.iter().find(|module| module.name == stem).map(|m| m.location.clone());
        let named = of_conf.iter().find(|module| module.dest_name == stem).map(|m| m.location.clone());
        let location = recorded.or(named).unwrap_or_else(|| "/updates/dkms".to_owned());
        let place = Path::new(location.trim_matches('/')).join(file.file_name().unwrap_or_default());
        (file, place)
    };
    built.module_files().into_iter().map(place).collect()
}
