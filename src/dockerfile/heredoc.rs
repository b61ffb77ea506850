//! `<<NAME`: which words of a line open here-documents.
//!
//! The rules are BuildKit's, odd ones included: the escape is a backslash whatever
//! the file says, a line that a shell could not split opens none, and `<< NAME` is
//! one while `<<- NAME` is not.

use std::ops::Range;

use crate::dockerfile::expand::{Mode, expand};

/// A `<<NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) fd: u32,
    /// The name had no quotes, so the body is expanded.
    pub(super) expand: bool,
    pub(super) chomp: bool,
}

/// All openings of a line with their places in it. `Err` is the place of a name that
/// cannot be read.
pub(super) fn openings(line: &str) -> Result<Vec<(Opening, Range<usize>)>, Range<usize>> {
    if !line.contains("<<") {
        return Ok(Vec::new());
    }
    let Some(split) = split(line, true) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (word, range) in split.words.iter().zip(split.word_ranges) {
        match opening(word) {
            Ok(Some(opening)) => found.push((opening, range)),
            Ok(None) => {}
            Err(Unreadable) => return Err(range),
        }
    }
    Ok(found)
}

/// A word that has the form of an opening, but whose name has an open quote or brace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads a word as an opening, if it is one.
pub(super) fn opening(word: &str) -> Result<Option<Opening>, Unreadable> {
    let after_fd = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &word[..word.len() - after_fd.len()];
    let Some(rest) = after_fd.strip_prefix("<<") else {
        return Ok(None);
    };
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let name = split(rest, false).ok_or(Unreadable)?;
    let [name] = name.words.as_slice() else {
        return Ok(None);
    };
    let raw = expand(rest, &|_| None, raw_mode(false)).map_err(|_| Unreadable)?;
    let [raw] = raw.words.as_slice() else {
        return Err(Unreadable);
    };
    Ok(Some(Opening {
        name: name.clone(),
        fd: digits.parse().unwrap_or(0),
        expand: quotes(name) == quotes(raw),
        chomp,
    }))
}

fn quotes(text: &str) -> usize {
    text.matches(['\'', '"']).count()
}

fn raw_mode(raw_escapes: bool) -> Mode {
    Mode {
        raw_quotes: true,
        raw_escapes,
        skip_unset: true,
        ..Mode::word('\\')
    }
}

fn split(text: &str, raw: bool) -> Option<crate::dockerfile::expand::Expansion> {
    let mode = if raw {
        raw_mode(true)
    } else {
        Mode {
            skip_unset: true,
            ..Mode::word('\\')
        }
    };
    expand(text, &|_| None, mode).ok()
}
