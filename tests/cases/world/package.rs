//! The source of a package.

use super::{elf, script, write};
use std::fs;
use std::path::{Path, PathBuf};

/// Builds a source directory step by step; every step is on disk at once.
#[derive(Debug)]
pub struct Package {
    pub dir: PathBuf,
    name: String,
    version: String,
}

impl Package {
    pub(super) fn new(dir: &Path, name: &str, version: &str) -> Self {
        let package = Self { dir: dir.to_owned(), name: name.into(), version: version.into() };
        let conf = format!(
            "PACKAGE_NAME={name}\nPACKAGE_VERSION={version}\nBUILT_MODULE_NAME[0]={name}\n\
             DEST_MODULE_LOCATION[0]=/kernel/drivers/misc\nAUTOINSTALL=yes\n"
        );
        package.whole_conf(&conf).file("Makefile", "obj-m := m.o\n").module(name)
    }

    /// Lines behind those that every package has.
    pub fn conf(self, lines: &str) -> Self {
        let conf = format!("{}{lines}\n", fs::read_to_string(self.dir.join("dkms.conf")).unwrap());
        self.whole_conf(&conf)
    }

    /// This dkms.conf and nothing else.
    pub fn whole_conf(self, text: &str) -> Self {
        self.file("dkms.conf", text)
    }

    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        write(&self.dir.join(name), content.as_ref());
        self
    }

    pub fn script(self, name: &str, body: &str) -> Self {
        fs::create_dir_all(self.dir.join(name).parent().unwrap()).unwrap();
        script(&self.dir.join(name), body);
        self
    }

    /// What `make` does before it compiles, as shell.
    pub fn recipe(self, body: &str) -> Self {
        self.file("recipe", format!("{body}\n"))
    }

    /// A module that `make` makes, of the package's version.
    pub fn module(self, name: &str) -> Self {
        let (version, source) = (self.version.clone(), format!("SRC{}{}", self.name, self.version));
        self.module_of(name, &version, &source)
    }

    /// A module that `make` makes.
    pub fn module_of(self, name: &str, version: &str, srcversion: &str) -> Self {
        let stem = name.rsplit('/').next().unwrap();
        self.file(&format!("{name}.ko.in"), elf::versioned(stem, version, srcversion))
    }

    /// The module's bytes as `make` leaves them.
    pub fn built(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(format!("{name}.ko.in"))).unwrap()
    }

    pub fn without(self, name: &str) -> Self {
        fs::remove_file(self.dir.join(name)).unwrap();
        self
    }
}
