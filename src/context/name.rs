//! File names that are no UTF-8, kept in a `String` without loss.
//!
//! Every byte that is not part of valid UTF-8 becomes the private-use character U+10FF00 plus
//! the byte; characters that already lie in that range are kept the same way, byte by byte, so
//! the way back is exact. Names of a context directory are never like this (they are an error,
//! as in BuildKit); names in images and archives may be.

use std::borrow::Cow;

/// The text that stands for `bytes`.
pub fn from_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if is_escape(char) {
                let mut buffer = [0; 4];
                text.extend(char.encode_utf8(&mut buffer).bytes().map(escape));
            } else {
                text.push(char);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escape));
    }
    text
}

/// The bytes that `text` stands for.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    // Such characters start with this byte.
    if !text.as_bytes().contains(&0xf4) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for char in text.chars() {
        if is_escape(char) {
            bytes.push((u32::from(char) & 0xff) as u8);
        } else {
            bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Cow::Owned(bytes)
}

/// Whether the bytes that `text` stands for are UTF-8.
pub(super) fn is_utf8(text: &str) -> bool {
    match to_bytes(text) {
        Cow::Borrowed(_) => true,
        Cow::Owned(bytes) => std::str::from_utf8(&bytes).is_ok(),
    }
}

fn is_escape(char: char) -> bool {
    ('\u{10FF80}'..='\u{10FFFF}').contains(&char)
}

fn escape(byte: u8) -> char {
    char::from_u32(0x10_FF00 + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive() {
        let names: &[&[u8]] = &[
            b"plain",
            "gr\u{fc}n".as_bytes(),
            b"latin-\xfcber",
            b"\xff\xfe",
            "\u{10FF80}\u{10FFFF}x".as_bytes(),
            b"cut \xe2\x82",
        ];
        for name in names {
            assert_eq!(to_bytes(&from_bytes(name)).as_ref(), *name);
        }
        assert_eq!(from_bytes(b"plain"), "plain");
    }
}
