//! mkrpm: an rpm package with the source, and one with the modules of each kernel that is built.

use crate::archive::package::PackageBuilder;
use crate::archive::package::template::filled;
use crate::model::package_names::{plain, rpm_name, rpm_version};
use crate::model::{PackagingProblem, Result};
use crate::plan::request::Content;
use crate::system::dir;
use crate::system::files;
use std::path::{Path, PathBuf};

impl PackageBuilder<'_> {
    pub(crate) fn rpms(&self) -> Result<Vec<PathBuf>> {
        let own = self.source.join(format!("{}-dkms-mkrpm.spec", self.id.name));
        let etc = self.system.path("/etc/dkms/template-dkms-mkrpm.spec");
        if let Some(template) = [own, etc].into_iter().find(|path| path.is_file()) {
            return self.rpm_by_template(&template);
        }
        let mut made = Vec::new();
        if self.content != Content::BinariesOnly {
            let root = self.dir.join("rpm-source");
            self.copy_source(&root.join("usr/src").join(self.id.source_dir_name()))?;
            made.extend(self.rpm("dkms", include_str!("data/dkms.spec"), "noarch", &root, &[])?);
        }
        for target in &self.targets {
            let name = format!("modules-{}-{}", target.release, target.arch);
            let root = self.dir.join(&name);
            let placed = self.place_modules(target, &root)?;
            files::normalise(&root, self.tools.time)?;
            let list: Vec<String> = placed.iter().map(|path| format!("/{}", path.display())).collect();
            let release = target.release.to_string();
            // A version of rpm's has one hyphen at most; kernels of others are known by their directory.
            let required = match release.matches('-').count() {
                0 | 1 => format!("kernel-uname-r = {release}"),
                _ => format!("/lib/modules/{release}"),
            };
            let extra = [("KERNEL", release), ("REQUIRED", required), ("FILES", list.join("\n"))];
            let spec = include_str!("data/kmod.spec");
            made.extend(self.rpm(&name, spec, target.arch.as_str(), &root, &extra)?);
        }
        Ok(made)
    }

    fn rpm_identity(&self) -> Result<(String, String)> {
        let (name, version) = (self.id.name.as_str(), self.id.version.as_str());
        plain("name", name).and_then(|()| plain("version", version)).map_err(|p| self.tools.fails(p))?;
        let mapped = rpm_name(name).and_then(|mapped| Ok((mapped, rpm_version(version)?)));
        mapped.map_err(|problem| self.tools.fails(problem))
    }

    fn rpm(
        &self,
        work: &str,
        spec: &str,
        arch: &str,
        root: &Path,
        extra: &[(&str, String)],
    ) -> Result<Vec<PathBuf>> {
        let (name, version) = self.rpm_identity()?;
        let place = root.display().to_string();
        let identity = [
            ("NAME", name.as_str()),
            ("RPMVERSION", version.as_str()),
            ("MODULE", self.id.name.as_str()),
            ("VERSION", self.id.version.as_str()),
            ("STAGED", place.as_str()),
        ];
        let extra = extra.iter().map(|(word, value)| (*word, value.as_str()));
        let values: Vec<(&str, &str)> = identity.into_iter().chain(extra).collect();
        let path = self.dir.join(format!("{work}.spec"));
        self.write(&path, &filled(spec, &values), 0o644)?;
        self.rpmbuild(work, &path, &["--target", arch])
    }

    /// A spec of the package or the administrator gets what it needs as macros.
    fn rpm_by_template(&self, template: &Path) -> Result<Vec<PathBuf>> {
        let (_, version) = self.rpm_identity()?;
        let kernels: Vec<&str> = self.targets.iter().map(|target| target.release.as_str()).collect();
        let sources = self.dir.join("SOURCES");
        let identity = self.id.source_dir_name();
        if self.content != Content::BinariesOnly {
            self.copy_source(&sources.join(&identity))?;
        }
        files::create_dirs(&sources)?;
        self.write_tarball(&sources.join(format!("{identity}.dkms.tar.gz")), self.content)?;
        let what = match self.content {
            Content::SourceOnly => " --source-only",
            Content::BinariesOnly => " --binaries-only",
            Content::Both => "",
        };
        let macros = [
            format!("module_name {}", self.id.name),
            format!("version {version}"),
            format!("kernel_versions {}", kernels.join(" ")),
            format!(
                "mktarball_line /usr/sbin/dkms mktarball -m {} -v {}{what}",
                self.id.name, self.id.version
            ),
            format!("_sourcedir {}", sources.display()),
            format!("_dkmsdir {}", self.tree.root().display()),
            format!("_srcdir {}", self.settings.source_tree.display()),
        ];
        let args: Vec<&str> = macros.iter().flat_map(|text| ["--define", text.as_str()]).collect();
        let made = self.rpmbuild("template", template, &args)?;
        match made.is_empty() {
            true => {
                let template = template.display().to_string();
                Err(self.tools.fails(PackagingProblem::NoResult { template }))
            }
            false => Ok(made),
        }
    }

    fn rpmbuild(&self, work: &str, spec: &Path, args: &[&str]) -> Result<Vec<PathBuf>> {
        let top = self.dir.join(format!("rpmbuild-{work}"));
        let macros = [
            format!("_topdir {}", top.display()),
            "_buildhost localhost".to_owned(),
            "use_source_date_epoch_as_buildtime 1".to_owned(),
            "clamp_mtime_to_source_date_epoch 1".to_owned(),
            "_build_id_links none".to_owned(),
        ];
        let defines = macros.iter().flat_map(|text| ["--define", text.as_str()]);
        let command = self.tools.tool("rpmbuild", "rpm (rpm-build on Fedora and its kin)")?;
        // Another machine's package database is not asked for what is installed here.
        let command = command.args(["-bb", "--nodeps"]).args(defines).args(args).arg(spec);
        self.tools.run("rpmbuild", command)?;
        let mut made = Vec::new();
        for entry in dir::entries(top.join("RPMS")) {
            made.extend(crate::archive::package::deb::files_with(&entry.path(), &[".rpm"])?);
        }
        made.sort();
        Ok(made)
    }
}
