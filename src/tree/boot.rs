//! The entry of the boot loader that we made its default, so that it is known from one that a person chose.
//!
//! The file is `<tree>/.dkms-boot.json`, and is gone when the default is not ours.

use super::{Tree, Writer};
use crate::model::Result;
use crate::system::files;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A default that we chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptDefault {
    /// As the boot loader knows it.
    pub entry: String,
    pub release: String,
}

impl Tree {
    fn default_file(&self) -> PathBuf {
        self.root().join(".dkms-boot.json")
    }

    /// The default that we chose, if there is one.
    #[must_use]
    pub(crate) fn kept_default(&self) -> Option<KeptDefault> {
        serde_json::from_slice(&fs_err::read(self.default_file()).ok()?).ok()
    }
}

impl Writer {
    /// Writes down which default is ours, or that none is.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub(crate) fn note_default(&self, kept: Option<&KeptDefault>) -> Result<()> {
        let file = self.tree.default_file();
        match kept {
            Some(kept) => {
                let text = serde_json::to_vec(kept).map_err(std::io::Error::other)?;
                Ok(files::publish_file(&file, &text, 0o644)?)
            }
            None => Ok(files::remove_file(&file)?),
        }
    }
}
