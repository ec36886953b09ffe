//! Variables of the firmware, as efivarfs shows them.

use std::path::Path;

/// Every variable begins with its attributes.
const ATTRIBUTES: usize = 4;

/// The content of a variable; `None` if there is none.
#[must_use]
pub(crate) fn variable(root: &Path, name: &str, vendor: &str) -> Option<Vec<u8>> {
    let path = root.join("sys/firmware/efi/efivars").join(format!("{name}-{vendor}"));
    fs_err::read(path).ok()?.get(ATTRIBUTES..).map(<[u8]>::to_vec)
}

/// A variable that holds a text: UTF-16, with a zero behind it. `None` if it is empty.
#[must_use]
pub(crate) fn text_variable(root: &Path, name: &str, vendor: &str) -> Option<String> {
    let content = variable(root, name, vendor)?;
    let units = content.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    (!text.is_empty()).then_some(text)
}
