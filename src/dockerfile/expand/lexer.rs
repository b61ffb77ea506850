//! The walk over a word: quotes, escapes, `$`.
//!
//! Two results grow side by side, the text and its split into words, because what is
//! quoted or escaped must not be split. `take_*` functions consume input.

use std::ops::Range;

use crate::dockerfile::expand::pattern::{self, Reach};
use crate::dockerfile::expand::{Env, ExpandError, ExpandErrorKind, Expansion, Mode, Reference};

/// More nesting than this is an error rather than an overflow of the stack.
const MAX_DEPTH: usize = 100;

type Step<T> = Result<T, ExpandError>;

pub(super) struct Lexer<'a> {
    input: &'a str,
    at: usize,
    env: Env<'a>,
    mode: Mode,
    depth: usize,
    references: Vec<Reference>,
    words: Words,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a str, env: Env<'a>, mode: Mode) -> Self {
        Self {
            input,
            // BuildKit's scanner drops a byte order mark at the start of a word.
            at: if input.starts_with('\u{feff}') { 3 } else { 0 },
            env,
            mode,
            depth: 0,
            references: Vec::new(),
            words: Words::default(),
        }
    }

    pub(super) fn run(mut self) -> Step<Expansion> {
        let text = self.take_until(None)?.unwrap_or_default();
        self.words.finish(self.at);
        Ok(Expansion {
            text,
            words: self.words.words,
            word_ranges: self.words.ranges,
            references: self.references,
        })
    }

    fn peek(&self) -> Option<char> {
        self.input[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn error<T>(&self, start: usize, kind: ExpandErrorKind) -> Step<T> {
        let range = start..self.at;
        Err(ExpandError { kind, range })
    }

    /// Expands up to `stop`, which is consumed too, or up to the end when there is no
    /// `stop`. `None` when the input ended before `stop`.
    fn take_until(&mut self, stop: Option<char>) -> Step<Option<String>> {
        let mut text = String::new();
        let outermost = self.depth == 0;
        while let Some(next) = self.peek() {
            let start = self.at;
            if Some(next) == stop {
                self.next();
                return Ok(Some(text));
            }
            match next {
                '$' => {
                    let value = self.take_dollar()?;
                    if outermost {
                        self.words.push_splitting(&value, start, self.at);
                    }
                    text.push_str(&value);
                }
                '<' => {
                    let opening = self.take_angle();
                    if outermost {
                        self.words.push_whole(opening, start);
                    }
                    text.push_str(opening);
                }
                '\'' | '"' if !self.mode.skip_quotes => {
                    let quoted = if next == '"' {
                        self.take_double_quoted()?
                    } else {
                        self.take_single_quoted()?
                    };
                    if outermost {
                        self.words.push_whole(&quoted, start);
                    }
                    text.push_str(&quoted);
                }
                _ if next == self.mode.escape => {
                    let escaped = self.take_escaped();
                    if outermost {
                        self.words.push_whole(escaped, start);
                    }
                    text.push_str(escaped);
                }
                _ => {
                    self.next();
                    if outermost {
                        self.words.push_char(next, start);
                    }
                    text.push(next);
                }
            }
        }
        Ok(stop.is_none().then_some(text))
    }

    /// [`Lexer::take_until`] one level deeper.
    fn take_part(&mut self, stop: char, raw_escapes: bool) -> Step<Option<String>> {
        if self.depth == MAX_DEPTH {
            return self.error(self.at, ExpandErrorKind::TooDeep);
        }
        // BuildKit's levels share one buffer: what the current word held so far is lost
        // from the split (not from the text).
        self.words.forget();
        let outer = std::mem::replace(&mut self.mode.raw_escapes, raw_escapes);
        self.depth += 1;
        let part = self.take_until(Some(stop));
        self.depth -= 1;
        self.mode.raw_escapes = outer;
        part
    }

    /// An escape and what it escapes; at the end of the input there is nothing to escape.
    fn take_escaped(&mut self) -> &'a str {
        let with_escape = self.at;
        self.next();
        let without_escape = self.at;
        self.next();
        let start = if self.mode.raw_escapes {
            with_escape
        } else {
            without_escape
        };
        &self.input[start..self.at]
    }

    /// `<`, or `<<` with the blanks behind it: `<< NAME` is to stay one word.
    fn take_angle(&mut self) -> &'a str {
        let start = self.at;
        self.next();
        if self.peek() == Some('<') {
            self.next();
            while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
                self.next();
            }
        }
        &self.input[start..self.at]
    }

    fn take_single_quoted(&mut self) -> Step<String> {
        let start = self.at;
        self.next();
        while let Some(next) = self.next() {
            if next == '\'' {
                let inset = usize::from(!self.mode.raw_quotes);
                return Ok(self.input[start + inset..self.at - inset].to_owned());
            }
        }
        self.error(start, ExpandErrorKind::UnclosedQuote('\''))
    }

    fn take_double_quoted(&mut self) -> Step<String> {
        let start = self.at;
        let mut text = String::new();
        self.next();
        if self.mode.raw_quotes {
            text.push('"');
        }
        while let Some(next) = self.peek() {
            match next {
                '"' => {
                    self.next();
                    if self.mode.raw_quotes {
                        text.push('"');
                    }
                    return Ok(text);
                }
                '$' => text.push_str(&self.take_dollar()?),
                _ if next == self.mode.escape => {
                    self.next();
                    if self.mode.raw_escapes {
                        text.push(next);
                    }
                    match self.peek() {
                        Some(escaped) if matches!(escaped, '"' | '$') || escaped == next => {
                            self.next();
                            text.push(escaped);
                        }
                        Some(_) => text.push(next),
                        None => {}
                    }
                }
                _ => {
                    self.next();
                    text.push(next);
                }
            }
        }
        self.error(start, ExpandErrorKind::UnclosedQuote('"'))
    }

    fn take_dollar(&mut self) -> Step<String> {
        let start = self.at;
        self.next();
        if self.peek() == Some('{') {
            self.next();
            return self.take_braced(start);
        }
        let name = self.take_name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        let value = self.look_up(name, start);
        Ok(match value {
            None if self.mode.skip_unset => format!("${name}"),
            value => value.unwrap_or_default(),
        })
    }

    /// What follows `${`.
    fn take_braced(&mut self, start: usize) -> Step<String> {
        match self.peek() {
            None => return self.error(start, ExpandErrorKind::UnclosedBrace),
            Some('{' | '}' | ':') => {
                self.next();
                return self.error(start, ExpandErrorKind::BadSubstitution);
            }
            Some(_) => {}
        }
        let name = self.take_name();
        let name_end = self.at;
        let Some(operator) = self.next() else {
            return self.error(start, ExpandErrorKind::UnclosedBrace);
        };
        match operator {
            '}' => {
                let value = self.look_up_in(name, start..name_end);
                Ok(match value {
                    None if self.mode.skip_unset => format!("${{{name}}}"),
                    value => value.unwrap_or_default(),
                })
            }
            '/' => self.take_replacement(name, start..name_end),
            ':' => {
                let Some(modifier) = self.next() else {
                    return self.error(start, ExpandErrorKind::UnclosedBrace);
                };
                if matches!(modifier, '#' | '%') {
                    return self.unsupported(start, name_end);
                }
                self.take_modified(name, start..name_end, modifier)
            }
            '+' | '-' | '?' | '#' | '%' => self.take_modified(name, start..name_end, operator),
            _ => self.unsupported(start, name_end),
        }
    }

    fn unsupported<T>(&self, start: usize, name_end: usize) -> Step<T> {
        let modifier = self.input[name_end..self.at].to_owned();
        self.error(start, ExpandErrorKind::UnsupportedModifier(modifier))
    }

    /// `${name` has been read with an operator: `-`, `+`, `?`, `#`, `%`, a `:` perhaps before it.
    fn take_modified(&mut self, name: &str, asked: Range<usize>, modifier: char) -> Step<String> {
        let start = asked.start;
        let operator_range = asked.end..self.at;
        let operator = &self.input[operator_range.clone()];
        let null_is_unset = operator.starts_with(':');
        let cuts = matches!(modifier, '#' | '%');
        let Some(word) = self.take_part('}', cuts)? else {
            return self.error(start, ExpandErrorKind::UnclosedBrace);
        };
        let value = self.look_up_in(name, asked);
        if self.mode.skip_unset && value.is_none() {
            return Ok(format!("${{{name}{operator}{word}}}"));
        }
        let is_set = value.is_some();
        let usable = value
            .as_ref()
            .is_some_and(|value| !null_is_unset || !value.is_empty());
        match modifier {
            '-' if usable => Ok(value.unwrap_or_default()),
            '-' => Ok(word),
            '+' if usable => Ok(word),
            '+' => Ok(String::new()),
            '?' if usable => Ok(value.unwrap_or_default()),
            '?' => {
                let message = match (word.is_empty(), is_set) {
                    (false, _) => word,
                    (true, false) => "is not allowed to be unset".to_owned(),
                    (true, true) => "is not allowed to be empty".to_owned(),
                };
                let name = name.to_owned();
                self.error(start, ExpandErrorKind::Required { name, message })
            }
            '#' | '%' => {
                let (pattern, reach) = match word.strip_prefix(modifier) {
                    Some(rest) => (rest, Reach::Longest),
                    None => (word.as_str(), Reach::Shortest),
                };
                let value = value.unwrap_or_default();
                let cut = if modifier == '#' {
                    pattern::trim_start(pattern, &value, reach)
                } else {
                    pattern::trim_end(pattern, &value, reach)
                };
                cut.or_else(|kind| self.error(start, kind))
            }
            _ => {
                let operator = operator.to_owned();
                let range = start..operator_range.end;
                Err(ExpandError {
                    kind: ExpandErrorKind::UnsupportedModifier(operator),
                    range,
                })
            }
        }
    }

    /// `${name/` has been read.
    fn take_replacement(&mut self, name: &str, asked: Range<usize>) -> Step<String> {
        let start = asked.start;
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let Some(pattern) = self.take_part('/', true)? else {
            return self.error(start, ExpandErrorKind::MissingSlash);
        };
        let Some(replacement) = self.take_part('}', true)? else {
            return self.error(start, ExpandErrorKind::UnclosedBrace);
        };
        let value = self.look_up_in(name, asked);
        let value = match value {
            None if self.mode.skip_unset => {
                return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
            }
            value => value.unwrap_or_default(),
        };
        let replaced = if all {
            pattern::replace_all(&pattern, &value, &replacement)
        } else {
            pattern::replace_first(&pattern, &value, &replacement)
        };
        replaced.or_else(|kind| self.error(start, kind))
    }

    /// Letters, digits and `_`; or only digits; or one of the shell's special parameters.
    fn take_name(&mut self) -> &'a str {
        let rest = &self.input[self.at..];
        let length = match rest.chars().next() {
            Some(first) if first.is_ascii_digit() => {
                rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len()
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => {
                let is_part = |c: char| c.is_alphanumeric() || c == '_';
                rest.len() - rest.trim_start_matches(is_part).len()
            }
        };
        self.at += length;
        &rest[..length]
    }

    fn look_up(&mut self, name: &str, start: usize) -> Option<String> {
        self.look_up_in(name, start..self.at)
    }

    fn look_up_in(&mut self, name: &str, range: Range<usize>) -> Option<String> {
        let value = (self.env)(name);
        self.references.push(Reference {
            name: name.to_owned(),
            defined: value.is_some(),
            range,
        });
        value
    }
}

/// The split into words.
#[derive(Default)]
struct Words {
    current: String,
    in_word: bool,
    start: Option<usize>,
    words: Vec<String>,
    ranges: Vec<Range<usize>>,
}

impl Words {
    /// A character that counts as white space when it is.
    fn push_char(&mut self, next: char, at: usize) {
        if !next.is_whitespace() {
            self.start.get_or_insert(at);
            self.current.push(next);
            self.in_word = true;
        } else if self.in_word {
            self.finish(at);
        }
    }

    /// A value, from one place of the input, that is split too.
    fn push_splitting(&mut self, value: &str, start: usize, end: usize) {
        for next in value.chars() {
            if next.is_whitespace() {
                self.push_char(next, end);
            } else {
                self.push_char(next, start);
            }
        }
    }

    /// Quoted or escaped text, in which white space does not split.
    fn push_whole(&mut self, text: &str, at: usize) {
        self.start.get_or_insert(at);
        self.current.push_str(text);
        self.in_word = true;
    }

    fn forget(&mut self) {
        self.current.clear();
    }

    fn finish(&mut self, end: usize) {
        if self.current.is_empty() {
            return;
        }
        self.words.push(std::mem::take(&mut self.current));
        self.ranges.push(self.start.take().unwrap_or(end)..end);
        self.in_word = false;
    }
}
