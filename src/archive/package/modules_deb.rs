//! mkbmdeb: for each kernel a Debian package that holds its modules, and needs neither dkms nor headers nor a compiler.

use crate::archive::modules::{place_modules, places};
use crate::archive::package::PackageBuilder;
use crate::archive::package::deb::Staged;
use crate::archive::package::template::filled;
use crate::model::package_names::{debian_arch, debian_name};
use crate::model::{Result, Target};
use std::path::{Path, PathBuf};

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
        let kernel = debian_name(release).map_err(|problem| self.tools.fails(problem))?;
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
    pub(crate) fn place_modules(&self, target: &Target, root: &Path) -> Result<Vec<PathBuf>> {
        let dir = Path::new("lib/modules").join(target.release.as_str());
        let places = places(&self.built(target)?, Some(&self.package_conf(target)?));
        place_modules(&places, &root.join(&dir))?;
        Ok(places.into_iter().map(|(_, place)| dir.join(place)).collect())
    }
}
