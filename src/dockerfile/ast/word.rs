//! A word and its place.

use std::fmt;
use std::ops::Range;

use crate::source::{SourceFile, Span};

/// Some text of an instruction and where it stands.
///
/// The text is what the instruction means: continuations joined, JSON strings
/// decoded, and in flags quotes and escapes already resolved. Elsewhere quotes and
/// escapes are kept, for the expansion. The span is the place in the file, so its
/// text there may be longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// The place.
    pub span: Span,
}

impl Word {
    /// A word.
    #[must_use]
    pub fn new(text: impl Into<String>, span: Span) -> Self {
        Self {
            text: text.into(),
            span,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where a part of the text stands in the file. Exact when the word is written as
    /// it is meant; through continuations the characters are matched one after the
    /// other; the whole word when that fails.
    #[must_use]
    pub fn locate(&self, source: &SourceFile, part: Range<usize>) -> Span {
        let written = source.slice(self.span);
        if written == self.text {
            return Span::new(self.span.start + part.start, self.span.start + part.end);
        }
        let mut places = Vec::with_capacity(self.text.len() + 1);
        let mut rest = written.char_indices();
        for wanted in self.text.chars() {
            let Some((at, _)) = rest.find(|&(_, found)| found == wanted) else {
                return self.span;
            };
            places.extend(std::iter::repeat_n(at, wanted.len_utf8()));
        }
        let (Some(&start), Some(&last)) = (
            places.get(part.start),
            places.get(part.end.saturating_sub(1)),
        ) else {
            return self.span;
        };
        let width = written[last..].chars().next().map_or(0, char::len_utf8);
        Span::new(self.span.start + start, self.span.start + last + width)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A value that was read from some words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What they mean.
    pub value: T,
    /// Where they stand.
    pub span: Span,
}

#[cfg(test)]
mod tests {
    use super::Word;
    use crate::source::{SourceFile, Span};

    #[test]
    fn parts_are_found_through_continuations() {
        let source = SourceFile::new("f", "x ab\\\n  # no\n${c} \"\\u0061b\"");
        let word = Word::new("ab${c}", Span::new(2, 18));
        for (part, expected) in [(0..2, "ab"), (2..6, "${c}"), (1..3, "b\\\n  # no\n$")] {
            assert_eq!(source.slice(word.locate(&source, part)), expected);
        }
        let exact = Word::new("ab", Span::new(2, 4));
        assert_eq!(exact.locate(&source, 1..2), Span::new(3, 4));
        // Decoded text is not found as it is written, so the whole word has to do.
        let decoded = Word::new("ab", Span::new(19, 28));
        assert_eq!(decoded.locate(&source, 0..1), Span::new(19, 28));
    }
}
