//! Source texts and places in them.
//!
//! A [`SourceFile`] owns one text for the whole run (a Dockerfile, or a trigger
//! found in a base image); a [`Span`] is a range of bytes in it. Everything that
//! is said about a Dockerfile is said with a span, so a message can always show
//! the line and underline the words.
//!
//! Reads no files and parses nothing. Names nothing else of the crate.

use std::sync::Arc;

/// A range of bytes in one source file, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span from `start` to `end`; an `end` before `start` gives an empty span.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// An empty span at one place.
    #[must_use]
    pub fn at(offset: usize) -> Self {
        Self::new(offset, offset)
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// How many bytes it covers.
    #[must_use]
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it covers nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A place as people name it. Both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One text with a name to show for it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    name: String,
    text: String,
    line_starts: Vec<usize>,
    /// Where bytes stood that are not UTF-8.
    replaced: Vec<usize>,
}

impl SourceFile {
    /// A source with this name (shown in messages) and text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::with_replaced(name.into(), text.into(), Vec::new())
    }

    fn with_replaced(name: String, text: String, replaced: Vec<usize>) -> Arc<Self> {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(breaks.map(|(at, _)| at + 1))
            .collect();
        Arc::new(Self {
            name,
            text,
            line_starts,
            replaced,
        })
    }

    /// Like [`SourceFile::new`], from bytes. What is not UTF-8 becomes `U+FFFD`;
    /// spans then point into the text after that replacement.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Arc<Self> {
        let mut text = String::with_capacity(bytes.len());
        let mut replaced = Vec::new();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                replaced.push(text.len());
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Self::with_replaced(name.into(), text, replaced)
    }

    /// The first place in a span where the file has bytes that are not UTF-8.
    #[must_use]
    pub fn not_utf8(&self, span: Span) -> Option<Span> {
        let mut replaced = self.replaced.iter();
        let at = replaced.find(|at| (span.start..span.end).contains(*at))?;
        Some(Span::new(*at, at + char::REPLACEMENT_CHARACTER.len_utf8()))
    }

    /// The name to show.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text under a span; empty when the span does not lie in the file.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Line and column of a byte; places after the end give the end.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1];
        let before = self.text.as_bytes()[start..offset].iter();
        // Bytes that do not continue a character start one.
        let column = before.filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
        Position { line, column }
    }

    /// The line number of a byte, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        self.position(offset).line
    }

    /// First and last line that a span touches, from 1.
    #[must_use]
    pub fn lines(&self, span: Span) -> (usize, usize) {
        let last = if span.is_empty() {
            span.start
        } else {
            span.end - 1
        };
        (self.line(span.start), self.line(last))
    }

    /// How many lines there are; an empty text has one.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// The span of a line (from 1) without its line break; empty when there is no such line.
    #[must_use]
    pub fn line_span(&self, line: usize) -> Span {
        let Some(&start) = line
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index))
        else {
            return Span::at(self.text.len());
        };
        let end = self
            .line_starts
            .get(line)
            .map_or(self.text.len(), |next| next - 1);
        let text = self.text[start..end].trim_end_matches('\r');
        Span::new(start, start + text.len())
    }

    /// The text of a line (from 1) without its line break.
    #[must_use]
    pub fn line_text(&self, line: usize) -> &str {
        self.slice(self.line_span(line))
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, SourceFile, Span};

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let source = SourceFile::new("f", "ab\nçd\r\n\nx");
        for (offset, line, column) in [
            (0, 1, 1),
            (2, 1, 3),
            (3, 2, 1),
            (5, 2, 2),
            (8, 3, 1),
            (9, 4, 1),
        ] {
            assert_eq!(
                source.position(offset),
                Position { line, column },
                "{offset}"
            );
        }
        assert_eq!(source.position(99), Position { line: 4, column: 2 });
    }

    #[test]
    fn lines_come_without_their_breaks() {
        let source = SourceFile::new("f", "ab\nçd\r\n\nx");
        let lines: Vec<_> = (0..=5).map(|line| source.line_text(line)).collect();
        assert_eq!(lines, ["", "ab", "çd", "", "x", ""]);
        assert_eq!(source.lines(Span::new(0, 8)), (1, 2));
        assert_eq!(source.lines(Span::new(3, 9)), (2, 3));
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        let source = SourceFile::from_bytes("f", b"a\xffb");
        assert_eq!(source.text(), "a\u{fffd}b");
        assert_eq!(source.not_utf8(Span::new(0, 5)), Some(Span::new(1, 4)));
        assert_eq!(source.not_utf8(Span::new(2, 5)), None);
        let whole = SourceFile::from_bytes("f", "\u{fffd}".as_bytes());
        assert_eq!(whole.not_utf8(Span::new(0, 3)), None);
    }

    #[test]
    fn an_empty_text_has_one_line() {
        let source = SourceFile::new("f", "");
        assert_eq!(
            (source.line_count(), source.line_text(1), source.line(0)),
            (1, "", 1)
        );
    }
}
