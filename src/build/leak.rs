//! Secrets where they should not be: the texts that give one away, and the mask that takes them
//! out of what steps print.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;

use aho_corasick::{AhoCorasick, MatchKind};

/// Shorter secrets are in every second file; nothing is looked for.
const SHORTEST: usize = 5;
/// The shortest piece of base64 that is looked for.
const SHORTEST_ENCODED: usize = 8;
/// The shortest line of a secret of several lines that is looked for by itself.
const SHORTEST_LINE: usize = 16;
/// What stands where a secret was.
const MASK: &[u8] = b"****";

/// The texts that give a secret away: itself, its lines, in base64 and as part of a URL.
pub(super) fn texts(secret: &[u8]) -> Vec<Vec<u8>> {
    let secret = secret.trim_ascii();
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let mut texts = vec![secret.to_vec()];
    let lines: Vec<&[u8]> = secret.split(|b| *b == b'\n').collect();
    if lines.len() > 1 {
        let lines = lines.iter().map(|line| line.trim_ascii());
        // The first and last lines of keys are those of everybody's.
        let telling = lines.filter(|l| l.len() >= SHORTEST_LINE && !l.starts_with(b"-----"));
        texts.extend(telling.map(<[u8]>::to_vec));
    }
    for skip in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            texts.extend(encoded(engine, secret, skip));
        }
    }
    texts.extend(wrapped(secret));
    texts.push(percent(secret, b"%20"));
    texts.push(percent(secret, b"+"));
    let mut known = std::collections::BTreeSet::new();
    texts.retain(|text| known.insert(text.clone()));
    texts
}

/// What of the secret's base64 is the same whatever stands around it, when `skip` bytes stand
/// before it in its first group of three.
fn encoded(engine: &base64::engine::GeneralPurpose, secret: &[u8], skip: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; skip];
    bytes.extend_from_slice(secret);
    let whole = bytes.len() / 3 * 3;
    let text = engine.encode(&bytes[..whole]).into_bytes();
    let start = skip.div_ceil(3) * 4;
    let inner = text.get(start..)?;
    (inner.len() >= SHORTEST_ENCODED).then(|| inner.to_vec())
}

/// A line of its base64 that is its own, as programs break them.
fn wrapped(secret: &[u8]) -> Vec<Vec<u8>> {
    let text = STANDARD_NO_PAD.encode(secret).into_bytes();
    let line = |width: usize| {
        let lines = text.len() / width;
        (lines >= 2).then(|| {
            let middle = lines / 2 * width;
            text[middle..middle + width].to_vec()
        })
    };
    [64, 76].into_iter().filter_map(line).collect()
}

fn percent(secret: &[u8], space: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for &byte in secret {
        match byte {
            b' ' => text.extend_from_slice(space),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(byte),
            byte => text.extend(format!("%{byte:02X}").into_bytes()),
        }
    }
    text
}

/// Takes texts out of a stream whose pieces end anywhere.
pub(super) struct Masker {
    texts: Vec<Vec<u8>>,
    search: Option<AhoCorasick>,
    /// What may be the beginning of a text.
    held: Vec<u8>,
    /// How many texts were there.
    pub(super) masked: usize,
}

impl Masker {
    pub(super) fn new(texts: Vec<Vec<u8>>) -> Self {
        let search = (!texts.is_empty()).then(|| {
            let builder = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&texts);
            builder.expect("a few texts are not too many")
        });
        Self {
            texts,
            search,
            held: Vec::new(),
            masked: 0,
        }
    }

    /// What can be shown now.
    pub(super) fn take(&mut self, bytes: Bytes) -> Bytes {
        if self.search.is_none() {
            return bytes;
        }
        self.held.extend_from_slice(&bytes);
        let keep = begins(&self.held, &self.texts);
        let rest = self.held.split_off(self.held.len() - keep);
        let shown = std::mem::replace(&mut self.held, rest);
        self.mask(&shown)
    }

    /// What was held back at the end.
    pub(super) fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        self.mask(&held)
    }

    fn mask(&mut self, bytes: &[u8]) -> Bytes {
        let Some(search) = &self.search else {
            return Bytes::copy_from_slice(bytes);
        };
        let mut shown = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for found in search.find_iter(bytes) {
            shown.extend_from_slice(&bytes[done..found.start()]);
            shown.extend_from_slice(MASK);
            done = found.end();
            self.masked += 1;
        }
        shown.extend_from_slice(&bytes[done..]);
        Bytes::from(shown)
    }
}

/// How many bytes at the end may go on to be one of the texts.
pub(super) fn begins(bytes: &[u8], texts: &[Vec<u8>]) -> usize {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let most = longest.saturating_sub(1).min(bytes.len());
    let end = |length: usize| &bytes[bytes.len() - length..];
    let starts = |length: &usize| {
        let end = end(*length);
        let is_start = |text: &Vec<u8>| text.len() > end.len() && text.starts_with(end);
        texts.iter().any(is_start)
    };
    (1..=most).rev().find(starts).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&str]) -> String {
        let mut masker = Masker::new(texts(b"s3cret value\n"));
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(masker.take(Bytes::copy_from_slice(piece.as_bytes())));
        }
        all.extend(masker.finish());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_secret_is_masked_wherever_it_is_broken() {
        for (pieces, expected) in [
            (vec!["the s3cret value!\n"], "the ****!\n"),
            (vec!["the s3c", "ret", " value"], "the ****"),
            (vec!["s3cs3cret value"], "s3c****"),
            (vec!["s3cret", " vAlue"], "s3cret vAlue"),
            (vec!["s3cret"], "s3cret"),
            (vec!["czNjcmV0IHZhbHVl"], "****"),
            (vec!["?t=s3cret%20value&u=s3cret+value"], "?t=****&u=****"),
        ] {
            assert_eq!(shown(&pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn base64_is_found_whatever_stands_before_and_after() {
        let secret = b"correct horse battery";
        let texts = texts(secret);
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "\n", "xy"] {
                let whole = [before.as_bytes(), secret, after.as_bytes()].concat();
                for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                    let encoded = engine.encode(&whole).into_bytes();
                    let found = texts
                        .iter()
                        .any(|text| encoded.windows(text.len()).any(|w| w == text.as_slice()));
                    assert!(found, "{before} {after}");
                }
            }
        }
    }

    #[test]
    fn short_secrets_are_not_looked_for() {
        assert!(texts(b"root\n").is_empty());
        assert_eq!(Masker::new(texts(b"no")).take("no".into()), "no");
    }
}
