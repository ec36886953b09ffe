//! What a module says of itself in its `.modinfo` section. Pure: bytes in, values out, whatever the bytes are.

use super::signature::has_signature;
use crate::model::text::shown_in_line;
use object::{Object, ObjectSection};
use std::fmt;

/// The `.modinfo` fields that matter here; the first of several where only one is expected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ModuleInfo {
    pub name: Option<String>,
    /// As written; see [`ModuleInfo::version_word`].
    pub version: Option<String>,
    pub srcversion: Option<String>,
    /// The kernel release and the properties that a kernel compares before it loads the module.
    pub vermagic: Option<String>,
    pub license: Option<String>,
    /// The modules that this one needs.
    pub depends: Vec<String>,
    pub aliases: Vec<String>,
    /// A signature is appended; whether a kernel trusts it is another question.
    pub signed: bool,
}

impl ModuleInfo {
    /// The version without what some packages write behind it; empty without one.
    #[must_use]
    pub(crate) fn version_word(&self) -> &str {
        word(self.version.as_deref(), 0)
    }

    /// What tells two sources of one version apart: the hash of the sources, else the second word of the version.
    #[must_use]
    pub(crate) fn source_id(&self) -> &str {
        match word(self.srcversion.as_deref(), 0) {
            "" => word(self.version.as_deref(), 1),
            hash => hash,
        }
    }

    /// The kernel release that the module was built for.
    #[must_use]
    pub(crate) fn release(&self) -> &str {
        word(self.vermagic.as_deref(), 0)
    }

    fn take(&mut self, key: &str, value: String) {
        let list =
            |value: &str| value.split(',').filter(|v| !v.is_empty()).map(String::from).collect::<Vec<_>>();
        let field = match key {
            "name" => &mut self.name,
            "version" => &mut self.version,
            "srcversion" => &mut self.srcversion,
            "vermagic" => &mut self.vermagic,
            "license" => &mut self.license,
            "depends" => return self.depends.extend(list(&value)),
            "alias" => return self.aliases.push(value),
            _ => return,
        };
        field.get_or_insert(value);
    }
}

fn word(text: Option<&str>, index: usize) -> &str {
    text.and_then(|text| text.split_ascii_whitespace().nth(index)).unwrap_or_default()
}

/// Why bytes are not a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InfoError {
    NotElf,
    Damaged(String),
    /// An ELF file without `.modinfo`.
    NoModinfo,
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => f.write_str("not an ELF file"),
            Self::Damaged(why) => write!(f, "damaged ELF file: {why}"),
            Self::NoModinfo => f.write_str("not a kernel module: it has no .modinfo section"),
        }
    }
}

impl std::error::Error for InfoError {}

/// Reads the `.modinfo` of an uncompressed module of any word size and byte order.
///
/// # Errors
/// The bytes are not a module.
pub(crate) fn parse_module_info(content: &[u8]) -> Result<ModuleInfo, InfoError> {
    if !content.starts_with(b"\x7fELF") {
        return Err(InfoError::NotElf);
    }
    let damaged = |e: object::Error| InfoError::Damaged(e.to_string());
    let file = object::File::parse(content).map_err(damaged)?;
    let mut info = ModuleInfo { signed: has_signature(content), ..ModuleInfo::default() };
    let mut found = false;
    for section in file.sections().filter(|section| section.name_bytes() == Ok(b".modinfo")) {
        found = true;
        for (key, value) in entries(section.data().map_err(damaged)?) {
            info.take(&key, value);
        }
    }
    if found { Ok(info) } else { Err(InfoError::NoModinfo) }
}

/// The section is a sequence of `key=value`, each ended by one or more NUL bytes.
fn entries(section: &[u8]) -> impl Iterator<Item = (String, String)> + '_ {
    section.split(|byte| *byte == 0).filter_map(|entry| {
        let text = String::from_utf8_lossy(entry);
        text.split_once('=').map(|(key, value)| (key.to_owned(), shown_in_line(value).into_owned()))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rstest::rstest;

    /// A relocatable ELF file whose only content is this `.modinfo`.
    pub(crate) fn elf(entries: &[&str], wide: bool, little: bool) -> Vec<u8> {
        let modinfo: Vec<u8> = entries.iter().flat_map(|e| e.bytes().chain([0])).collect();
        let names = b"\0.modinfo\0.shstrtab\0";
        let (header, record) = if wide { (64, 64) } else { (52, 40) };
        let bytes = |value: u64, size: usize| {
            let mut bytes = value.to_le_bytes()[..size].to_vec();
            if !little {
                bytes.reverse();
            }
            bytes
        };
        let word = if wide { 8 } else { 4 };
        let table = header + modinfo.len() + names.len();
        let mut out = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 2 - u8::from(little), 1, 0];
        out.extend([0; 8]);
        // type, machine, version, entry, program headers, section headers, flags, sizes and counts
        for (value, size) in [(1, 2), (62, 2), (1, 4), (0, word), (0, word), (table as u64, word), (0, 4)] {
            out.extend(bytes(value, size));
        }
        for value in [header as u64, 0, 0, record, 3, 2] {
            out.extend(bytes(value, 2));
        }
        out.extend(&modinfo);
        out.extend(names);
        let strings = header + modinfo.len();
        for (name, kind, offset, size) in
            [(0, 0, 0, 0), (1, 1, header, modinfo.len()), (10, 3, strings, names.len())]
        {
            out.extend([bytes(name, 4), bytes(kind, 4), bytes(0, word), bytes(0, word)].concat());
            out.extend([bytes(offset as u64, word), bytes(size as u64, word)].concat());
            out.extend([bytes(0, 4), bytes(0, 4), bytes(1, word), bytes(0, word)].concat());
        }
        out
    }

    const ENTRIES: [&str; 9] = [
        "license=GPL",
        "version=1.2 r7",
        "version=9",
        "srcversion=ABCDEF",
        "alias=pci:v1",
        "alias=pci:v2=x",
        "depends=drm,i2c-core",
        "name=demo",
        "vermagic=6.1.0-55-amd64 SMP preempt mod_unload ",
    ];

    #[rstest]
    fn fields_are_read_from_any_elf(#[values(true, false)] wide: bool, #[values(true, false)] little: bool) {
        let info = parse_module_info(&elf(&ENTRIES, wide, little)).unwrap();
        assert_eq!(info.name.as_deref(), Some("demo"));
        assert_eq!(info.version.as_deref(), Some("1.2 r7"));
        assert_eq!((info.version_word(), info.source_id()), ("1.2", "ABCDEF"));
        assert_eq!(info.release(), "6.1.0-55-amd64");
        assert_eq!(info.depends, ["drm", "i2c-core"]);
        assert_eq!(info.aliases, ["pci:v1", "pci:v2=x"]);
        assert!(!info.signed);
    }

    #[rstest]
    #[case(&["version=1.2 r7"], "1.2", "r7")]
    #[case(&["version=1.2"], "1.2", "")]
    #[case(&["srcversion=A"], "", "A")]
    #[case(&[], "", "")]
    fn version_and_source_id(#[case] entries: &[&str], #[case] version: &str, #[case] id: &str) {
        let info = parse_module_info(&elf(entries, true, true)).unwrap();
        assert_eq!((info.version_word(), info.source_id()), (version, id));
    }

    #[test]
    fn a_signed_module_says_so() {
        let content = [elf(&ENTRIES, true, true), b"~Module signature appended~\n".to_vec()].concat();
        assert!(parse_module_info(&content).unwrap().signed);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        assert_eq!(parse_module_info(b""), Err(InfoError::NotElf));
        assert!(matches!(parse_module_info(b"\x7fELF"), Err(InfoError::Damaged(_))));
        let whole = elf(&ENTRIES, true, true);
        for end in 0..whole.len() {
            let _ = parse_module_info(&whole[..end]);
        }
        for position in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[position] = value;
                let _ = parse_module_info(&broken);
            }
        }
    }
}
