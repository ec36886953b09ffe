//! mkdeb: a Debian package with the source in /usr/src, and with what is built as a tarball that common.postinst loads. It
//! works with every dkms that Debian has had.

use crate::archive::package::PackageBuilder;
use crate::archive::package::template::{Template, filled};
use crate::model::package_names::{debian_arch, debian_name, debian_version, plain};
use crate::model::{PackagingProblem, Result};
use crate::plan::request::Content;
use crate::system::dir;
use crate::system::files;
use std::path::{Path, PathBuf};

/// The directories of a Debian package before it is one.
pub(crate) struct Staged {
    pub root: PathBuf,
    pub name: String,
    pub version: String,
    pub arch: String,
}

impl Staged {
    fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version, self.arch)
    }
}

impl PackageBuilder<'_> {
    pub(crate) fn deb(&self) -> Result<Vec<PathBuf>> {
        if let Some(template) = self.debian_template("mkdeb") {
            return self.by_template(&template, &["-b"]);
        }
        let (name, version) = self.debian_identity()?;
        let staged = Staged {
            root: self.dir.join("deb"),
            name: format!("{name}-dkms"),
            version,
            arch: self.common_arch(),
        };
        let tarballs = format!("/usr/share/{}", staged.name);
        if self.content != Content::BinariesOnly {
            let place = format!("usr/src/{}", self.id.source_dir_name());
            self.copy_source(&staged.root.join(place))?;
        }
        if !self.targets.is_empty() {
            let dir = staged.root.join(tarballs.trim_start_matches('/'));
            files::create_dirs(&dir)?;
            let name = format!("{}.dkms.tar.gz", self.id.source_dir_name());
            self.write_tarball(&dir.join(name), Content::BinariesOnly)?;
        }
        let values = [
            ("MODULE", self.id.name.as_str()),
            ("VERSION", self.id.version.as_str()),
            ("TARBALLS", tarballs.as_str()),
        ];
        for (script, text) in
            [("postinst", include_str!("data/deb.postinst")), ("prerm", include_str!("data/deb.prerm"))]
        {
            self.write(&staged.root.join("DEBIAN").join(script), &filled(text, &values), 0o755)?;
        }
        let kernels: Vec<String> =
            self.targets.iter().map(|target| format!("  {} ({})\n", target.release, target.arch)).collect();
        let included = match kernels.is_empty() {
            true => String::new(),
            false => format!(" .\n Built modules for these kernels are included:\n{}", kernels.concat()),
        };
        let fields = format!(
            "Depends: dkms (>= 2.1.0.0)\nDescription: {} kernel modules in DKMS format\n The source of the kernel modules of {}. DKMS builds them for each kernel\n that is installed.\n{included}",
            self.id.name, self.id.name
        );
        self.pack_deb(&staged, &fields).map(|file| vec![file])
    }

    /// The name and the version that Debian's packages get.
    pub(crate) fn debian_identity(&self) -> Result<(String, String)> {
        let (name, version) = (self.id.name.as_str(), self.id.version.as_str());
        plain("name", name).and_then(|()| plain("version", version)).map_err(|p| self.tools.fails(p))?;
        let mapped = debian_name(name).and_then(|mapped| Ok((mapped, debian_version(version)?)));
        mapped.map_err(|problem| self.tools.fails(problem))
    }

    /// That of what is built, or `all`.
    fn common_arch(&self) -> String {
        let mut arches = self.targets.iter().map(|target| debian_arch(&target.arch));
        match arches.next() {
            Some(first) if arches.all(|other| other == first) => first,
            _ => "all".to_owned(),
        }
    }

    pub(crate) fn maintainer(&self) -> String {
        let name = self.system.variable("DEBFULLNAME").unwrap_or("DKMS");
        let mail = self.system.variable("DEBEMAIL").unwrap_or("dkms@packages.invalid");
        format!("{name} <{mail}>")
    }

    /// The date of the package as a changelog has it.
    pub(crate) fn date(&self) -> String {
        let moment = jiff::Timestamp::from_second(self.tools.time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        moment.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }

    pub(crate) fn changelog(&self, name: &str, version: &str) -> String {
        format!(
            "{name} ({version}) unstable; urgency=low\n\n  * Made by dkms {} from {}.\n\n -- {}  {}\n",
            self.tools.action,
            self.id,
            self.maintainer(),
            self.date()
        )
    }

    pub(crate) fn copyright(&self) -> String {
        let entries = dir::entries(&self.source).into_iter();
        let is_license = |name: &String| {
            let name = name.to_ascii_uppercase();
            ["COPYING", "LICENSE", "LICENCE", "COPYRIGHT"].iter().any(|word| name.starts_with(word))
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(is_license)
            .collect();
        names.sort();
        let text = names.iter().find_map(|name| fs_err::read_to_string(self.source.join(name)).ok());
        let text = text.unwrap_or_else(|| {
            "The copyright and the license of each file are named in it. Kernel modules name their license by\nMODULE_LICENSE; see modinfo(8).\n".to_owned()
        });
        format!(
            "This package was made by dkms from {}.\n\nCopyright and license of the source:\n\n{text}",
            self.id
        )
    }

    /// Makes a package of what is staged. `fields`: what the control file has besides the usual.
    pub(crate) fn pack_deb(&self, staged: &Staged, fields: &str) -> Result<PathBuf> {
        let doc = staged.root.join("usr/share/doc").join(&staged.name);
        self.write(&doc.join("copyright"), &self.copyright(), 0o644)?;
        let changelog = if staged.version.contains('-') { "changelog.Debian.gz" } else { "changelog.gz" };
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, self.changelog(&staged.name, &staged.version).as_bytes())?;
        files::stage_file(&doc.join(changelog), &packed.finish()?, 0o644)?;
        let control = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {}\nInstalled-Size: {}\nSection: kernel\nPriority: optional\n{fields}",
            staged.name,
            staged.version,
            staged.arch,
            self.maintainer(),
            size_of(&staged.root)?.div_ceil(1024)
        );
        self.write(&staged.root.join("DEBIAN/md5sums"), &self.md5sums(&staged.root)?, 0o644)?;
        self.write(&staged.root.join("DEBIAN/control"), &control, 0o644)?;
        files::normalise(&staged.root, self.tools.time)?;
        let file = self.dir.join(staged.file_name());
        let command = self.tools.tool("dpkg-deb", "dpkg")?.args(["--root-owner-group", "-Zxz", "--build"]);
        self.tools.run("dpkg-deb", command.arg(&staged.root).arg(&file))?;
        Ok(file)
    }

    fn md5sums(&self, root: &Path) -> Result<String> {
        let mut names = Vec::new();
        list(root, root, &mut names)?;
        names.sort();
        let command = self.tools.tool("md5sum", "coreutils")?.dir(root).arg("--").args(&names);
        self.tools.run("md5sum", command)
    }

    pub(crate) fn debian_template(&self, action: &str) -> Option<Template> {
        let own = self.source.join(format!("{}-dkms-{action}", self.id.name));
        let etc = self.system.path("/etc/dkms").join(format!("template-dkms-{action}"));
        [own, etc].into_iter().find(|dir| dir.is_dir()).map(Template)
    }

    /// What dpkg-buildpackage makes of a template, beside which the tarball and the source lie.
    pub(crate) fn by_template(&self, template: &Template, options: &[&str]) -> Result<Vec<PathBuf>> {
        let (name, version) = self.debian_identity()?;
        let work = self.dir.join("work").join(format!("{name}-dkms-{version}"));
        let kernel = self.targets.first().map(|target| target.release.to_string()).unwrap_or_default();
        let (date, arch) = (self.date(), self.common_arch());
        let values = [
            ("DEBIAN_PACKAGE", name.as_str()),
            ("MODULE_NAME", self.id.name.as_str()),
            ("MODULE_VERSION", self.id.version.as_str()),
            ("DATE_STAMP", date.as_str()),
            ("DEBIAN_BUILD_ARCH", arch.as_str()),
            ("KERNEL_VERSION", kernel.as_str()),
        ];
        template.fill(&work, &values)?;
        let identity = self.id.source_dir_name();
        if self.content != Content::BinariesOnly {
            self.copy_source(&work.join(&identity))?;
        }
        self.write_tarball(&work.join(format!("{identity}.dkms.tar.gz")), self.content)?;
        let command =
            self.tools.tool("dpkg-buildpackage", "dpkg-dev")?.args(["-d", "-us", "-uc"]).args(options);
        self.tools.run("dpkg-buildpackage", command.dir(&work))?;
        let made = files_with(&self.dir.join("work"), &[".deb", ".dsc", ".tar.gz", ".tar.xz", ".diff.gz"])?;
        if made.is_empty() {
            let template = template.0.display().to_string();
            return Err(self.tools.fails(PackagingProblem::NoResult { template }));
        }
        Ok(made)
    }
}

/// The files in a directory whose names end so.
pub(crate) fn files_with(dir: &Path, ends: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in dir::read(dir)? {
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && ends.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The regular files below `dir` by their names below `top`, without those of the package itself.
fn list(dir: &Path, top: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    for entry in dir::read(dir)? {
        let path = entry.path();
        let data = path.symlink_metadata()?;
        if data.is_dir() && !path.ends_with("DEBIAN") {
            list(&path, top, names)?;
        } else if data.is_file() {
            names.push(path.strip_prefix(top).unwrap_or(&path).to_owned());
        }
    }
    Ok(())
}

/// Bytes of all files below a directory.
fn size_of(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in dir::read(dir)? {
        let path = entry.path();
        let data = path.symlink_metadata()?;
        sum += if data.is_dir() { size_of(&path)? } else { data.len() };
    }
    Ok(sum)
}
