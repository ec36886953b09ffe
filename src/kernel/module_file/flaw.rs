//! Whether bytes can be a module of a kernel: a whole relocatable ELF file for its machine.

use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, elf};
use std::fmt;

/// Why a kernel would not load a file, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Empty,
    NotElf,
    /// The file ends before what its header announces, or the header makes no sense.
    CutShort,
    /// An executable, a shared library or a core file.
    NotRelocatable,
    OtherMachine {
        found: u16,
        wanted: u16,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::NotElf => f.write_str("not an ELF file"),
            Self::CutShort => f.write_str("a damaged ELF file: it is cut short"),
            Self::NotRelocatable => f.write_str("an ELF file, but not a kernel module"),
            Self::OtherMachine { found, wanted } => {
                write!(f, "built for {}, the kernel is for {}", machine_name(*found), machine_name(*wanted))
            }
        }
    }
}

/// The machine that an ELF file is for (`e_machine`, elf(5)).
#[must_use]
pub(crate) fn machine(content: &[u8]) -> Option<u16> {
    match header(content)? {
        Header::Wide(file, endian) => Some(file.e_machine(endian)),
        Header::Narrow(file, endian) => Some(file.e_machine(endian)),
    }
}

/// Looks at an uncompressed module. `wanted` is the machine of the kernel, where it is known.
#[must_use]
pub(crate) fn flaw(content: &[u8], wanted: Option<u16>) -> Option<Flaw> {
    if content.is_empty() {
        return Some(Flaw::Empty);
    }
    if !content.starts_with(b"\x7fELF") {
        return Some(Flaw::NotElf);
    }
    match header(content) {
        None => Some(Flaw::CutShort),
        Some(Header::Wide(file, endian)) => flaw_of(file, endian, content, wanted),
        Some(Header::Narrow(file, endian)) => flaw_of(file, endian, content, wanted),
    }
}

enum Header<'a> {
    Wide(&'a elf::FileHeader64<Endianness>, Endianness),
    Narrow(&'a elf::FileHeader32<Endianness>, Endianness),
}

fn header(content: &[u8]) -> Option<Header<'_>> {
    if let Ok(file) = elf::FileHeader64::<Endianness>::parse(content) {
        return Some(Header::Wide(file, file.endian().ok()?));
    }
    let file = elf::FileHeader32::<Endianness>::parse(content).ok()?;
    Some(Header::Narrow(file, file.endian().ok()?))
}

fn flaw_of<H: FileHeader<Endian = Endianness>>(
    file: &H,
    endian: Endianness,
    content: &[u8],
    wanted: Option<u16>,
) -> Option<Flaw> {
    let found = file.e_machine(endian);
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        return Some(Flaw::OtherMachine { found, wanted });
    }
    if file.e_type(endian) != elf::ET_REL {
        return Some(Flaw::NotRelocatable);
    }
    let Ok(sections) = file.section_headers(endian, content) else { return Some(Flaw::CutShort) };
    let is_whole =
        !sections.is_empty() && sections.iter().all(|section| section.data(endian, content).is_ok());
    (!is_whole).then_some(Flaw::CutShort)
}

fn machine_name(machine: u16) -> String {
    let name = match machine {
        elf::EM_386 => "i386",
        elf::EM_X86_64 => "x86_64",
        elf::EM_ARM => "arm",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_RISCV => "riscv",
        elf::EM_PPC => "powerpc",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_S390 => "s390",
        elf::EM_MIPS => "mips",
        elf::EM_LOONGARCH => "loongarch",
        other => return format!("ELF machine {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::info::tests::elf as module;
    use super::*;
    use rstest::rstest;

    #[rstest]
    fn whole_module_has_no_flaw(#[values(true, false)] wide: bool, #[values(true, false)] little: bool) {
        let content = module(&["license=GPL"], wide, little);
        assert_eq!(flaw(&content, Some(elf::EM_X86_64)), None);
        assert_eq!(machine(&content), Some(elf::EM_X86_64));
    }

    #[test]
    fn each_flaw_is_recognised() {
        let whole = module(&["license=GPL"], true, true);
        assert_eq!(flaw(b"", None), Some(Flaw::Empty));
        assert_eq!(flaw(b"#!/bin/sh", None), Some(Flaw::NotElf));
        for end in 4..whole.len() {
            assert_eq!(flaw(&whole[..end], None), Some(Flaw::CutShort), "{end}");
        }
        let other = Flaw::OtherMachine { found: elf::EM_X86_64, wanted: elf::EM_AARCH64 };
        assert_eq!(other.to_string(), "built for x86_64, the kernel is for aarch64");
        assert_eq!(flaw(&whole, Some(elf::EM_AARCH64)), Some(other));
        let mut program = whole;
        program[16] = 2;
        assert_eq!(flaw(&program, None), Some(Flaw::NotRelocatable));
    }
}
