//! Templates: words in capitals that are replaced by what they stand for.

use crate::model::Result;
use crate::system::dir;
use crate::system::files;
use std::path::{Path, PathBuf};

/// A directory that a driver's author or an administrator wrote.
pub(crate) struct Template(pub PathBuf);

impl Template {
    /// Copies it, with every word replaced in the texts.
    pub(crate) fn fill(&self, to: &Path, values: &[(&str, &str)]) -> Result<()> {
        files::copy_tree(&self.0, to)?;
        fill_dir(to, values)
    }
}

fn fill_dir(dir: &Path, values: &[(&str, &str)]) -> Result<()> {
    for entry in dir::read(dir)? {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            fill_dir(&path, values)?;
        } else if kind.is_file() {
            // What is no text is no template.
            let Ok(text) = fs_err::read_to_string(&path) else { continue };
            let mode = std::os::unix::fs::MetadataExt::mode(&entry.metadata()?);
            files::publish_file(&path, replaced(&text, values).as_bytes(), mode & 0o777)?;
        }
    }
    Ok(())
}

fn replaced(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}

/// One of our own texts, whose words stand between `@`.
pub(crate) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (word, value)| text.replace(&format!("@{word}@"), value))
}
