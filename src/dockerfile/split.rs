//! Cutting a logical line into parts: the keyword, the flags, the arguments; then the
//! arguments at white space, or at white space outside quotes.

use std::ops::Range;

use crate::dockerfile::ast::Word;
use crate::dockerfile::joined::Joined;

/// A line cut in three.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) keyword: Word,
    /// What starts with `--`, quotes and escapes removed.
    pub(super) flags: Vec<Joined>,
    /// The rest of the line, trimmed.
    pub(super) args: Range<usize>,
}

/// White space between words. Others (a non-breaking space, say) are part of words.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

pub(super) fn statement(line: &Joined, range: Range<usize>, escape: char) -> Statement {
    let range = line.trim(range);
    let text = &line.text()[range.clone()];
    let keyword_end = range.start + text.find(is_blank).unwrap_or(text.len());
    let keyword = line.word(range.start..keyword_end);
    let mut rest = Rest {
        line,
        at: skip_blanks(line, keyword_end..range.end),
        end: range.end,
        escape,
    };
    let flags = rest.take_flags();
    Statement {
        keyword,
        flags,
        args: line.trim(rest.at..range.end),
    }
}

fn skip_blanks(line: &Joined, range: Range<usize>) -> usize {
    let text = &line.text()[range.clone()];
    range.end - text.trim_start_matches(is_blank).len()
}

/// The arguments with the flags still before them.
struct Rest<'a> {
    line: &'a Joined,
    at: usize,
    end: usize,
    escape: char,
}

impl Rest<'_> {
    fn text(&self) -> &str {
        &self.line.text()[self.at..self.end]
    }

    fn take_flags(&mut self) -> Vec<Joined> {
        let mut flags = Vec::new();
        loop {
            let trimmed = self.text().trim_start();
            let start = self.end - trimmed.len();
            if !trimmed.starts_with("--") {
                // Blanks stay for the arguments, which are trimmed anyway.
                return flags;
            }
            self.at = start;
            let flag = self.take_flag();
            if flag.text() == "--" {
                return flags;
            }
            flags.push(flag);
        }
    }

    /// One word, its quotes and escapes removed.
    fn take_flag(&mut self) -> Joined {
        let mut flag = Joined::at(self.line.span(&(self.at..self.end)).start);
        let mut quote = None;
        while let Some(next) = self.text().chars().next() {
            let start = self.at;
            if quote.is_none() && next.is_whitespace() {
                break;
            }
            self.at += next.len_utf8();
            match (quote, next) {
                (None, '\'' | '"') => quote = Some(next),
                (Some(open), _) if open == next => quote = None,
                _ if next == self.escape => {
                    if let Some(escaped) = self.text().chars().next() {
                        let start = self.at;
                        self.at += escaped.len_utf8();
                        flag.push_part(self.line, start..self.at);
                    }
                }
                _ => flag.push_part(self.line, start..self.at),
            }
        }
        flag
    }
}

/// The parts between white space.
pub(super) fn at_blanks(line: &Joined, range: Range<usize>) -> Vec<Word> {
    let text = &line.text()[range.clone()];
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        if !is_blank(c) {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            words.push(line.word(range.start + start..range.start + at));
        }
    }
    if let Some(start) = start {
        words.push(line.word(range.start + start..range.end));
    }
    words
}

/// The parts between white space that is neither quoted nor escaped; quotes and
/// escapes stay, for the expansion. An escape at the very end is dropped.
pub(super) fn outside_quotes(
    line: &Joined,
    range: Range<usize>,
    escape: char,
) -> Vec<Range<usize>> {
    let text = &line.text()[range.clone()];
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut end = text.len();
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            if let Some(start) = start.take() {
                words.push(start..at);
            }
            continue;
        }
        if c == escape && quote != Some('\'') {
            if rest.next().is_none() {
                end = at;
                break;
            }
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '\'' | '"') {
            quote = Some(c);
        }
        start.get_or_insert(at);
    }
    if let Some(start) = start.filter(|&start| start < end) {
        words.push(start..end);
    }
    words
        .into_iter()
        .map(|word| range.start + word.start..range.start + word.end)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{at_blanks, outside_quotes, statement};
    use crate::dockerfile::joined::Joined;

    fn line(text: &str) -> Joined {
        let mut line = Joined::at(0);
        line.push_str(text, 0);
        line
    }

    #[test]
    fn a_line_is_keyword_flags_and_arguments() {
        for (text, keyword, flags, args) in [
            ("RUN a b", "RUN", &[][..], "a b"),
            ("RUN", "RUN", &[], ""),
            ("  RUN \t a  ", "RUN", &[], "a"),
            ("COPY --a --b=c d", "COPY", &["--a", "--b=c"], "d"),
            ("COPY --a", "COPY", &["--a"], ""),
            ("COPY a --b", "COPY", &[], "a --b"),
            ("COPY -a b", "COPY", &[], "-a b"),
            ("RUN --a -- --b", "RUN", &["--a"], "--b"),
            ("RUN -- a", "RUN", &[], "a"),
            ("RUN --", "RUN", &[], ""),
            ("RUN --- a", "RUN", &["---"], "a"),
            ("RUN --a=\"b c\" d", "RUN", &["--a=b c"], "d"),
            ("RUN --a='b c'd e", "RUN", &["--a=b cd"], "e"),
            ("RUN --a=b\\ c d", "RUN", &["--a=b c"], "d"),
            ("RUN --a='b\\'c' d", "RUN", &["--a=b'c"], "d"),
            ("RUN --a=\"b c", "RUN", &["--a=b c"], ""),
            ("RUN --a=b\\", "RUN", &["--a=b"], ""),
            ("RUN \"--a\"", "RUN", &[], "\"--a\""),
            ("ЗАПУСК --é=ü ж", "ЗАПУСК", &["--é=ü"], "ж"),
        ] {
            let line = line(text);
            let statement = statement(&line, line.whole(), '\\');
            assert_eq!(statement.keyword.text, keyword, "{text}");
            let found: Vec<_> = statement.flags.iter().map(Joined::text).collect();
            assert_eq!(found, flags, "{text}");
            assert_eq!(&text[statement.args], args, "{text}");
        }
    }

    #[test]
    fn arguments_are_split_at_blanks() {
        for (text, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a  b\tc", &["a", "b", "c"]),
            ("\"a b\"", &["\"a", "b\""]),
            ("a\u{a0}b", &["a\u{a0}b"]),
        ] {
            let line = line(text);
            let found = at_blanks(&line, line.whole());
            let found: Vec<_> = found.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn arguments_are_split_outside_quotes() {
        for (text, expected) in [
            ("", &[][..]),
            (" a  b ", &["a", "b"]),
            ("a=\"b c\" d", &["a=\"b c\"", "d"]),
            ("a='b \\' c", &["a='b \\'", "c"]),
            ("a=b\\ c d", &["a=b\\ c", "d"]),
            ("a=\"b\\\" c\" d", &["a=\"b\\\" c\"", "d"]),
            ("a=\"b c", &["a=\"b c"]),
            ("\"\"", &["\"\""]),
            ("a\\", &["a"]),
            ("a \\", &["a"]),
            ("a=\"b\\", &["a=\"b"]),
            ("a=\\\"b c", &["a=\\\"b", "c"]),
        ] {
            let line = line(text);
            let found = outside_quotes(&line, line.whole(), '\\');
            let found: Vec<_> = found.into_iter().map(|word| &text[word]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
