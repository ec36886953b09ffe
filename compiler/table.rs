//! Tables of answers: directories with a file for each, which a rename(2) puts there whole.

use crate::answer::Answer;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `OWN:COMMON`: the build's table, and the one that it only reads, which may be missing.
const VARIABLE: &str = "DKMS_CC_TABLES";
const ANSWER: &str = "answer-";
const PARTS: &str = "parts-";
/// Answers with their keys are far smaller.
const LARGEST: u64 = 256 << 10;

/// The tables that answers are looked up in; new ones go to the first.
#[derive(Debug)]
pub struct Tables {
    own: PathBuf,
    common: Option<PathBuf>,
}

impl Tables {
    /// Those that dkms has given to this build.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let value = std::env::var_os(VARIABLE)?;
        let mut paths = std::env::split_paths(&value).filter(|path| path.is_absolute());
        Some(Self { own: paths.next()?, common: paths.next() })
    }

    /// The answer for a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Answer> {
        let (found, answer) = decode(&self.read(ANSWER, key)?)?;
        // Two keys can have one name.
        (found == key).then_some(answer)
    }

    /// Keeps an answer. What cannot be kept is asked for again.
    pub fn put(&self, key: &str, answer: &Answer) {
        self.write(ANSWER, key, &encode(key, answer));
    }

    /// The programs that a compiler starts, a line each.
    #[must_use]
    pub fn parts(&self, driver: &str) -> Option<String> {
        let text = String::from_utf8(self.read(PARTS, driver)?).ok()?;
        text.strip_prefix(driver).map(str::to_owned)
    }

    /// Keeps the programs that a compiler starts.
    pub fn put_parts(&self, driver: &str, parts: &str) {
        self.write(PARTS, driver, format!("{driver}{parts}").as_bytes());
    }

    fn read(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        let name = name(kind, key);
        self.common.iter().chain([&self.own]).find_map(|dir| read(&dir.join(&name)).ok())
    }

    fn write(&self, kind: &str, key: &str, content: &[u8]) {
        let path = self.own.join(name(kind, key));
        let new = self.own.join(format!("new-{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).open(&new);
        let written = file.and_then(|mut file| file.write_all(content)).and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
    }
}

fn name(kind: &str, key: &str) -> String {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    format!("{kind}{:016x}", hasher.finish())
}

/// The content of a file that a build may have put there.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file =
        fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let mut content = Vec::new();
    file.take(LARGEST).read_to_end(&mut content)?;
    Ok(content)
}

/// Key, status and texts, each with its length in front.
fn encode(key: &str, answer: &Answer) -> Vec<u8> {
    let mut bytes = vec![answer.code, u8::from(answer.object.is_some())];
    let object = answer.object.as_deref().unwrap_or_default();
    for part in [key.as_bytes(), &answer.stdout, &answer.stderr, object] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// `None` for what is not whole.
fn decode(bytes: &[u8]) -> Option<(String, Answer)> {
    let (head, mut rest) = bytes.split_first_chunk::<2>()?;
    let mut part = || {
        let (length, bytes) = rest.split_first_chunk::<8>()?;
        let (part, others) = bytes.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        rest = others;
        Some(part.to_vec())
    };
    let (key, stdout, stderr, object) = (part()?, part()?, part()?, part()?);
    let answer = Answer { code: head[0], stdout, stderr, object: (head[1] == 1).then_some(object) };
    Some((String::from_utf8(key).ok()?, answer)).filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let (stdout, stderr) = (b"out".to_vec(), b"gcc: error: no".to_vec());
        Answer { code: 1, stdout, stderr, object: Some(vec![0, 255]) }
    }

    fn tables(own: &Path, common: Option<&Path>) -> Tables {
        Tables { own: own.to_owned(), common: common.map(Path::to_owned) }
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect()
    }

    #[test]
    fn answer_comes_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let tables = tables(dir.path(), None);
        tables.put("key", &answer());
        assert_eq!(tables.get("key"), Some(answer()));
        assert_eq!(tables.get("other"), None);
        tables.put_parts("driver\n", "as\n");
        assert_eq!(tables.parts("driver\n").as_deref(), Some("as\n"));
        assert_eq!(tables.parts("other\n"), None);
    }

    #[test]
    fn common_table_is_read_and_not_written() {
        let (own, common) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tables(common.path(), None).put("known", &answer());
        let tables = tables(own.path(), Some(common.path()));
        assert_eq!(tables.get("known"), Some(answer()));
        tables.put("new", &answer());
        assert_eq!((files(own.path()).len(), files(common.path()).len()), (1, 1));
    }

    #[test]
    fn half_a_file_is_no_answer() {
        let bytes = encode("key", &answer());
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None);
        }
        assert_eq!(decode(&[bytes.as_slice(), b"x"].concat()), None);
        assert_eq!(decode(&bytes), Some(("key".to_owned(), answer())));
    }

    #[test]
    fn link_in_a_table_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let tables = tables(dir.path(), None);
        tables.put("key", &answer());
        let entry = files(dir.path()).remove(0);
        fs::rename(&entry, dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &entry).unwrap();
        assert_eq!(tables.get("key"), None);
    }
}
