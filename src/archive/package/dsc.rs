//! mkdsc: a Debian source package, which debhelper's dh_dkms makes a package of.

use crate::archive::package::PackageBuilder;
use crate::archive::package::deb::files_with;
use crate::archive::package::template::filled;
use crate::model::Result;
use crate::system::files;
use std::path::PathBuf;

impl PackageBuilder<'_> {
    pub(crate) fn dsc(&self) -> Result<Vec<PathBuf>> {
        if let Some(template) = self.debian_template("mkdeb") {
            return self.by_template(&template, &["-S"]);
        }
        let (name, version) = self.debian_identity()?;
        // A native package has no revision.
        let version = version.replace('-', "+");
        let package = format!("{name}-dkms");
        let work = self.dir.join("source").join(format!("{package}-{version}"));
        self.copy_source(&work)?;
        let debian = work.join("debian");
        files::remove_tree(&debian)?;
        let maintainer = self.maintainer();
        let values = [
            ("PACKAGE", package.as_str()),
            ("MODULE", self.id.name.as_str()),
            ("VERSION", self.id.version.as_str()),
            ("MAINTAINER", maintainer.as_str()),
        ];
        self.write(&debian.join("control"), &filled(include_str!("data/dsc.control"), &values), 0o644)?;
        self.write(&debian.join("rules"), &filled(include_str!("data/dsc.rules"), &values), 0o755)?;
        self.write(&debian.join("source/format"), "3.0 (native)\n", 0o644)?;
        self.write(&debian.join("copyright"), &self.copyright(), 0o644)?;
        self.write(&debian.join("changelog"), &self.changelog(&package, &version), 0o644)?;
        files::normalise(&work, self.tools.time)?;
        let command = self.tools.tool("dpkg-source", "dpkg-dev")?.arg("-b").arg(&work);
        self.tools.run("dpkg-source", command.dir(self.dir.join("source")))?;
        files_with(&self.dir.join("source"), &[".dsc", ".tar.xz", ".tar.gz"])
    }
}
