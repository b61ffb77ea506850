//! Parser directives: `# name=value` lines at the head of a file.
//!
//! The first line that is anything else ends them: an unknown name, an ordinary
//! comment, a blank line.

use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics};
use crate::dockerfile::ast::{Directives, Word};
use crate::source::{SourceFile, Span};

pub(super) struct DirectiveReader<'a> {
    source: &'a Arc<SourceFile>,
    directives: Directives,
    errors: Diagnostics,
    done: bool,
    /// Behind a `#!` line only `syntax` and `check` are looked for.
    shebang: bool,
    seen: Vec<(&'static str, Span)>,
}

impl<'a> DirectiveReader<'a> {
    pub(super) fn new(source: &'a Arc<SourceFile>, escape: char) -> Self {
        Self {
            source,
            directives: Directives {
                syntax: None,
                check: None,
                escape_word: None,
                escape,
            },
            errors: Diagnostics::new(),
            done: false,
            shebang: false,
            seen: Vec::new(),
        }
    }

    pub(super) fn escape(&self) -> char {
        self.directives.escape
    }

    pub(super) fn finish(self) -> (Directives, Diagnostics) {
        (self.directives, self.errors)
    }

    /// Reads one line (without white space before it); whether it is a directive.
    pub(super) fn read(&mut self, line: &str, offset: usize) -> bool {
        if self.done {
            return false;
        }
        let first = self.seen.is_empty() && !self.shebang;
        if first && line.starts_with("#!") {
            self.shebang = true;
            return false;
        }
        let Some((name, value)) = split(line, offset) else {
            self.done = true;
            return false;
        };
        if self.shebang && name.text == "escape" {
            self.done = true;
            return false;
        }
        let known = ["syntax", "check", "escape"];
        let Some(key) = known.into_iter().find(|key| *key == name.text) else {
            self.done = true;
            return false;
        };
        if let Some(&(_, before)) = self.seen.iter().find(|(seen, _)| *seen == key) {
            let error = Diagnostic::error(format!("directive `{key}` is given twice"))
                .with_label(self.source, name.span, "only one is allowed")
                .with_context(self.source, before, "the first is here");
            self.errors.push(error);
            return true;
        }
        self.seen.push((key, name.span));
        self.set(key, value);
        true
    }

    fn set(&mut self, key: &str, value: Word) {
        match key {
            "syntax" => self.directives.syntax = Some(value),
            "check" => self.directives.check = Some(value),
            _ => {
                match value.text.as_str() {
                    "\\" => self.directives.escape = '\\',
                    "`" => self.directives.escape = '`',
                    _ => {
                        let message = "the escape character can only be a backslash or a backtick";
                        let error =
                            Diagnostic::error(message).with_label(self.source, value.span, "");
                        self.errors.push(error);
                    }
                }
                self.directives.escape_word = Some(value);
            }
        }
    }
}

/// `# name = value`: the name in lower case.
fn split(line: &str, offset: usize) -> Option<(Word, Word)> {
    let rest = line.strip_prefix('#')?;
    let (left, right) = rest.split_once('=')?;
    let name = left.trim_start().trim_end_matches(is_space);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let value = right.trim_matches(is_space);
    if value.is_empty() {
        return None;
    }
    let place = |part: &str| {
        // Both are parts of the line.
        let start = offset + (part.as_ptr() as usize - line.as_ptr() as usize);
        Span::new(start, start + part.len())
    };
    Some((
        Word::new(name.to_ascii_lowercase(), place(name)),
        Word::new(value, place(value)),
    ))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}
