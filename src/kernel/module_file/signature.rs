//! The signature that stands behind the ELF image of a signed module, by its trailer alone; nothing is verified.
//!
//! Layout (`include/linux/module_signature.h`): image, signer's name, key id, signature, a 12-byte header with their
//! lengths, and a magic line.

const MAGIC: &[u8] = b"~Module signature appended~\n";
const HEADER: usize = 12;

/// Whether a signature is appended to this uncompressed module.
#[must_use]
pub(crate) fn has_signature(content: &[u8]) -> bool {
    content.ends_with(MAGIC)
}

/// Removes every appended signature: sign-file puts a new one behind an old one, and only the last would be looked at.
///
/// A trailer whose lengths do not fit is left alone.
#[must_use]
pub(crate) fn strip_signature(mut content: Vec<u8>) -> Vec<u8> {
    while let Some(length) = image_length(&content) {
        content.truncate(length);
    }
    content
}

/// The image and the last signature that is appended to it, if one is.
#[must_use]
pub(crate) fn split_signature(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (image, rest) = content.split_at(image_length(content)?);
    let (names, trailer) = rest.split_at(rest.len() - HEADER - MAGIC.len());
    let skipped = usize::from(trailer[3]) + usize::from(trailer[4]);
    Some((image, &names[skipped..]))
}

/// How long the content is without its last signature.
fn image_length(content: &[u8]) -> Option<usize> {
    let rest = content.strip_suffix(MAGIC)?;
    let (rest, header) = rest.split_at(rest.len().checked_sub(HEADER)?);
    let size = u32::from_be_bytes(header.get(8..)?.try_into().ok()?);
    let size = usize::try_from(size).ok()? + usize::from(header[3]) + usize::from(header[4]);
    rest.len().checked_sub(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn sign(image: &[u8], signature: &[u8], claimed: u32) -> Vec<u8> {
        let header = [0, 0, 2, 0, 0, 0, 0, 0];
        [image, signature, &header, &claimed.to_be_bytes(), MAGIC].concat()
    }

    #[test]
    fn signatures_are_found_and_removed() {
        let once = sign(b"image", b"signature", 9);
        let twice = sign(&once, b"again", 5);
        assert!(has_signature(&once) && has_signature(&twice) && !has_signature(b"image"));
        assert_eq!(split_signature(&once), Some((&b"image"[..], &b"signature"[..])));
        assert_eq!(split_signature(b"image"), None);
        assert_eq!(strip_signature(once), b"image");
        assert_eq!(strip_signature(twice), b"image");
        assert_eq!(strip_signature(b"image".to_vec()), b"image");
    }

    #[rstest]
    #[case(sign(b"image", b"", 6))]
    #[case(sign(b"image", b"", u32::MAX))]
    #[case(MAGIC.to_vec())]
    #[case([b"short", MAGIC].concat())]
    #[case(Vec::new())]
    fn a_trailer_that_does_not_fit_stays(#[case] content: Vec<u8>) {
        assert_eq!(strip_signature(content.clone()), content);
    }
}
