//! The smallest file that every tool takes for a kernel module.

/// A 64-bit little-endian relocatable ELF file with these `.modinfo` entries.
#[must_use]
pub fn module(entries: &[String]) -> Vec<u8> {
    const HEADER: usize = 64;
    let modinfo: Vec<u8> = entries.iter().flat_map(|entry| entry.bytes().chain([0])).collect();
    let names = b"\0.modinfo\0.shstrtab\0";
    let strings = HEADER + modinfo.len();
    let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    out.extend([0; 8]);
    // type: relocatable; machine: x86_64; version
    out.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    // entry, program headers, section headers
    for value in [0, 0, strings + names.len()] {
        out.extend((value as u64).to_le_bytes());
    }
    // flags; then the sizes and counts of the tables
    out.extend([0; 4]);
    for value in [HEADER as u16, 0, 0, 64, 3, 2] {
        out.extend(value.to_le_bytes());
    }
    out.extend(&modinfo);
    out.extend(names);
    let sections = [(0_u32, 0_u32, 0, 0), (1, 1, HEADER, modinfo.len()), (10, 3, strings, names.len())];
    for (name, kind, offset, size) in sections {
        out.extend([name.to_le_bytes(), kind.to_le_bytes()].concat());
        let align = 1;
        for value in [0, 0, offset, size, 0, align, 0] {
            out.extend((value as u64).to_le_bytes());
        }
    }
    out
}

/// A module that says its name, version and the hash of its sources.
#[must_use]
pub fn versioned(name: &str, version: &str, srcversion: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| (!value.is_empty()).then(|| format!("{key}={value}"));
    let entries = [
        entry("license", "GPL"),
        entry("version", version),
        entry("srcversion", srcversion),
        entry("name", name),
    ];
    module(&entries.into_iter().flatten().collect::<Vec<_>>())
}
