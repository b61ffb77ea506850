//! Physical lines into logical lines.
//!
//! Knows comments, blank lines, continuations and where a heredoc's body ends; knows
//! no instruction. Every physical line of the file goes into exactly one [`Piece`].

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::diag::Diagnostics;
use crate::dockerfile::ast::{Directives, Word};
use crate::dockerfile::directive::DirectiveReader;
use crate::dockerfile::joined::Joined;
use crate::source::{SourceFile, Span};

/// What some lines of the file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A byte order mark.
    Mark,
    Directive,
    Comment,
    Blank,
    Instruction,
    /// A heredoc's body with its last line.
    Heredoc,
}

/// Some whole lines, line breaks included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: PieceKind,
    pub(super) span: Span,
}

/// An instruction's text with continuations joined, leading white space dropped.
#[derive(Debug)]
pub(super) struct LogicalLine {
    pub(super) joined: Joined,
    pub(super) comments: Vec<Word>,
    pub(super) empty_continuations: Vec<Span>,
}

/// The body of a heredoc.
pub(super) struct Body {
    pub(super) span: Span,
    pub(super) terminated: bool,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    pieces: Vec<Piece>,
    directives: DirectiveReader<'a>,
    comments: Vec<Word>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a Arc<SourceFile>, escape: char) -> Self {
        let mut lexer = Self {
            text: source.text(),
            at: 0,
            pieces: Vec::new(),
            directives: DirectiveReader::new(source, escape),
            comments: Vec::new(),
        };
        if lexer.text.starts_with('\u{feff}') {
            lexer.at = '\u{feff}'.len_utf8();
            lexer.record(PieceKind::Mark, 0);
        }
        lexer
    }

    pub(super) fn escape(&self) -> char {
        self.directives.escape()
    }

    /// How far the file has been read.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The directives, what is wrong with them, and all pieces of the file.
    pub(super) fn finish(self) -> (Directives, Diagnostics, Vec<Piece>) {
        let (directives, errors) = self.directives.finish();
        (directives, errors, self.pieces)
    }

    fn record(&mut self, kind: PieceKind, start: usize) {
        let span = Span::new(start, self.at);
        self.pieces.push(Piece { kind, span });
    }

    /// The next physical line, its line break included.
    fn next_line(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        let line = rest.split_inclusive('\n').next()?;
        self.at += line.len();
        Some(line)
    }

    /// The next instruction's text; comments and blank lines before it are passed over.
    pub(super) fn next_logical(&mut self) -> Option<LogicalLine> {
        loop {
            let start = self.at;
            let whole = self.next_line()?;
            let line = whole.trim_end_matches(['\r', '\n']);
            let trimmed = line.trim_start();
            let offset = start + (line.len() - trimmed.len());
            if self.directives.read(trimmed, offset) {
                self.record(PieceKind::Directive, start);
            } else if trimmed.starts_with('#') {
                self.note_comment(line, start);
                self.record(PieceKind::Comment, start);
            } else if trimmed.is_empty() {
                self.record(PieceKind::Blank, start);
            } else {
                let logical = self.join(trimmed, offset);
                self.record(PieceKind::Instruction, start);
                return Some(logical);
            }
        }
    }

    /// A comment describes the instruction below it, unless an empty one stands between.
    fn note_comment(&mut self, line: &str, start: usize) {
        let mut joined = Joined::at(start);
        // BuildKit drops the first character, whether it is the `#` or white space before it.
        let first = line.chars().next().map_or(0, char::len_utf8);
        joined.push_str(&line[first..], start + first);
        let text = joined.trim(joined.whole());
        if text.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(joined.word(text));
        }
    }

    fn join(&mut self, first: &str, offset: usize) -> LogicalLine {
        let escape = self.escape();
        let mut joined = Joined::at(offset);
        let mut empty_continuations = Vec::new();
        let mut continued = continuation(first, escape);
        joined.push_str(continued.unwrap_or(first), offset);
        while continued.is_some() {
            let start = self.at;
            let Some(whole) = self.next_line() else { break };
            let line = whole.trim_end_matches(['\r', '\n']);
            let trimmed = line.trim_start();
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.is_empty() {
                empty_continuations.push(Span::new(start, start + line.len()));
                continue;
            }
            continued = continuation(line, escape);
            joined.push_str(continued.unwrap_or(line), start);
        }
        LogicalLine {
            joined,
            comments: std::mem::take(&mut self.comments),
            empty_continuations,
        }
    }

    /// Reads lines up to the one that is `name`.
    pub(super) fn take_heredoc(&mut self, name: &str, chomp: bool) -> Body {
        let start = self.at;
        loop {
            let before = self.at;
            let Some(whole) = self.next_line() else {
                if start < self.at {
                    self.record(PieceKind::Heredoc, start);
                }
                return Body {
                    span: Span::new(start, self.at),
                    terminated: false,
                };
            };
            let line = whole.trim_end_matches(['\r', '\n']);
            let line = if chomp {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if line == name {
                self.record(PieceKind::Heredoc, start);
                return Body {
                    span: Span::new(start, before),
                    terminated: true,
                };
            }
        }
    }
}

/// The line without its continuation mark, if it has one: an escape at the end
/// (blanks may follow) that is not itself escaped.
fn continuation(line: &str, escape: char) -> Option<&str> {
    let rest = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!rest.ends_with(escape)).then_some(rest)
}
