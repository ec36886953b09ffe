//! mkbmdeb: for each kernel a Debian package that holds its modules, and needs neither dkms nor headers nor a compiler.

use crate::archive::package::PackageBuilder;
use crate::archive::package::deb::Staged;
use crate::archive::package::template::filled;
use crate::model::module_name::module_name;
use crate::model::package_names::{debian_arch, debian_name};
use crate::model::{Result, Target};
use crate::system::files;
use std::path::PathBuf;

impl PackageBuilder<'_> {
    pub(crate) fn modules_debs(&self) -> Result<Vec<PathBuf>> {
        if let Some(template) = self.debian_template("mkbmdeb") {
            return self.by_template(&template, &["-b"]);
        }
        self.targets.iter().map(|target| self.modules_deb(target)).collect()
    }

    fn modules_deb(&self, target: &Target) -> Result<PathBuf> {
        let (name, version) = self.debian_identity()?;
        let release = target.release.as_str();
        let kernel = debian_name(release).map_err(|problem| self.fails(problem))?;
        let staged = Staged {
            root: self.dir.join(format!("modules-{release}-{}", target.arch)),
            name: format!("{name}-modules-{kernel}"),
            version,
            arch: debian_arch(&target.arch),
        };
        self.place_modules(target, &staged.root)?;
        for (script, text) in [
            ("postinst", include_str!("data/modules.postinst")),
            ("postrm", include_str!("data/modules.postrm")),
        ] {
            let text = filled(text, &[("KERNEL", release)]);
            self.write(&staged.root.join("DEBIAN").join(script), &text, 0o755)?;
        }
        self.write(&staged.root.join("DEBIAN/triggers"), "activate-noawait update-initramfs\n", 0o644)?;
        let fields = format!(
            "Depends: kmod, linux-image-{release} | linux-image-{release}-unsigned | linux-image-unsigned-{release}\nProvides: {name}-modules\nConflicts: {name}-dkms\nDescription: {} kernel modules for Linux {release}\n The kernel modules of {}, built for kernel {release}.\n They need neither DKMS nor a compiler.\n",
            self.id.name, self.id.name
        );
        self.pack_deb(&staged, &fields)
    }

    /// The modules of a kernel where they go, below `root`.
    pub(crate) fn place_modules(&self, target: &Target, root: &std::path::Path) -> Result<Vec<PathBuf>> {
        let built = self.built(target)?;
        let recorded = built.record().map(|record| record.modules).unwrap_or_default();
        let conf = self.package_conf(target)?;
        let mut placed = Vec::new();
        for file in built.module_files() {
            let stem = module_name(&file);
            let of_record = recorded.iter().find(|module| module.name == stem).map(|m| m.location.clone());
            let of_conf =
                conf.modules.iter().find(|module| module.dest_name == stem).map(|m| m.location.clone());
            let location = of_record.or(of_conf).unwrap_or_else(|| "/updates/dkms".to_owned());
            let dir = format!("lib/modules/{}/{}", target.release, location.trim_matches('/'));
            files::create_dirs(&root.join(&dir))?;
            let place = PathBuf::from(dir).join(file.file_name().unwrap_or_default());
            files::publish_copy(&file, &root.join(&place), 0o644)?;
            placed.push(place);
        }
        Ok(placed)
    }
}
