//! Which compiler made a kernel, by the image itself. Reads only the few parts of the image that say so.

use object::{Object, ObjectSection, ReadCache};
use std::path::Path;

/// Whether clang compiled this kernel image; `None` when there is no image.
///
/// An image that says nothing, or that cannot be read, was not made by clang as far as anyone can tell.
#[must_use]
pub(crate) fn is_built_by_clang(vmlinux: &Path) -> Option<bool> {
    vmlinux.is_file().then(|| comment(vmlinux).is_some_and(|text| contains(&text, b"clang")))
}

/// The compilers' names, as the linker collected them. An image with debug information has hundreds of megabytes,
/// hence the cache in place of reading it whole.
fn comment(vmlinux: &Path) -> Option<Vec<u8>> {
    let cache = ReadCache::new(fs_err::File::open(vmlinux).ok()?.into_file());
    let file = object::File::parse(&cache).ok()?;
    let section = file.section_by_name(".comment")?;
    section.data().ok().map(<[u8]>::to_vec)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// An ELF file of 64 bits with a `.comment` section.
    fn image(comment: &[u8]) -> Vec<u8> {
        let names = b"\0.comment\0.shstrtab\0";
        let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let table = (64 + comment.len() + names.len()) as u64;
        out.extend([2u16, 62].map(u16::to_le_bytes).concat());
        out.extend(1u32.to_le_bytes());
        out.extend([0, 0, table].map(u64::to_le_bytes).concat());
        out.extend(0u32.to_le_bytes());
        out.extend([64u16, 0, 0, 64, 3, 2].map(u16::to_le_bytes).concat());
        out.extend(comment);
        out.extend(names);
        for (name, kind, offset, size) in
            [(0u32, 0u32, 0, 0), (1, 1, 64, comment.len()), (10, 3, 64 + comment.len(), names.len())]
        {
            out.extend([name, kind].map(u32::to_le_bytes).concat());
            out.extend([0, 0, offset as u64, size as u64, 0, 1, 0].map(u64::to_le_bytes).concat());
        }
        out
    }

    #[rstest]
    #[case(image(b"Debian clang version 14.0.6\0Debian LLD 14.0.6\0"), true)]
    #[case(image(b"GCC: (Debian 12.2.0-14) 12.2.0\0"), false)]
    #[case(image(b""), false)]
    #[case(b"clang".to_vec(), false)]
    #[case(image(b"clang")[..100].to_vec(), false)]
    fn the_image_names_its_compiler(#[case] content: Vec<u8>, #[case] expected: bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vmlinux");
        assert_eq!(is_built_by_clang(&path), None);
        fs_err::write(&path, content).unwrap();
        assert_eq!(is_built_by_clang(&path), Some(expected));
    }
}
