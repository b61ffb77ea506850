//! Text put together from pieces of a file, that remembers where each byte came from.
//!
//! A logical line is one (its continuations joined), and so is the value of a flag
//! (its quotes removed). This is how a word keeps its exact place.

use std::ops::Range;

use crate::dockerfile::ast::Word;
use crate::source::Span;

#[derive(Clone, Debug)]
pub(super) struct Joined {
    text: String,
    /// For every byte of the text, its offset in the file.
    places: Vec<usize>,
    /// The offset in the file that follows the last piece.
    end: usize,
}

impl Joined {
    /// An empty text at a place.
    pub(super) fn at(offset: usize) -> Self {
        Self {
            text: String::new(),
            places: Vec::new(),
            end: offset,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Appends text that stands in the file at `offset`.
    pub(super) fn push_str(&mut self, text: &str, offset: usize) {
        self.text.push_str(text);
        self.places.extend(offset..offset + text.len());
        self.end = offset + text.len();
    }

    /// Appends a part of another.
    pub(super) fn push_part(&mut self, other: &Self, range: Range<usize>) {
        self.end = other.span(&range).end;
        self.text.push_str(&other.text[range.clone()]);
        self.places.extend_from_slice(&other.places[range]);
    }

    /// Where a part of the text stands in the file.
    pub(super) fn span(&self, range: &Range<usize>) -> Span {
        if range.is_empty() {
            // Right behind what is before it, rather than on the far side of a continuation.
            let before = range
                .start
                .checked_sub(1)
                .and_then(|at| self.places.get(at));
            let here = self.places.get(range.start).copied().unwrap_or(self.end);
            return Span::at(before.map_or(here, |before| before + 1));
        }
        Span::new(self.places[range.start], self.places[range.end - 1] + 1)
    }

    pub(super) fn whole(&self) -> Range<usize> {
        0..self.text.len()
    }

    /// A part of the text as a word.
    pub(super) fn word(&self, range: Range<usize>) -> Word {
        let span = self.span(&range);
        Word::new(&self.text[range], span)
    }

    /// The range without white space at either end.
    pub(super) fn trim(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.end - text.trim_start().len();
        let end = start + self.text[start..range.end].trim_end().len();
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::Joined;
    use crate::source::Span;

    #[test]
    fn a_part_knows_its_place() {
        let mut joined = Joined::at(0);
        joined.push_str("ab", 3);
        joined.push_str(" cd ", 10);
        assert_eq!(joined.text(), "ab cd ");
        assert_eq!(joined.word(3..5).span, Span::new(11, 13));
        assert_eq!(joined.word(1..4).span, Span::new(4, 12));
        assert_eq!(joined.word(2..2).span, Span::at(5));
        assert_eq!(joined.word(6..6).span, Span::at(14));
        assert_eq!(joined.trim(2..6), 3..5);
        assert_eq!(joined.trim(2..3), 3..3);
    }
}
