//! One pattern of an ignore file.
//!
//! Docker does not match these patterns as such: it writes a regular expression for each and
//! lets that match, except for patterns that are plain, or plain but for `**` at one end. What
//! a pattern means therefore follows from the expression, oddities included: `foo\d` matches
//! `foo1`, a `^` outside of a class is the start of the path, `**foo` matches any path that
//! ends in `foo` while `**fo?` matches whole names only. So this module writes the same
//! expression and reads it with [`Program`].

use super::program::Program;
use crate::context::glob::{BadPattern, Glob};

/// A pattern, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    method: Method,
}

#[derive(Debug, Clone)]
enum Method {
    /// The path is the text.
    Exact,
    /// `text**`
    Prefix,
    /// `**text`
    Suffix,
    Program(Program),
}

impl Pattern {
    /// Reads a cleaned pattern without its `!`.
    pub(super) fn new(text: &str) -> Result<Self, BadPattern> {
        Glob::new(text)?;
        let method = method(text)?;
        Ok(Self {
            text: text.to_owned(),
            method,
        })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.method {
            Method::Exact => path == self.text,
            Method::Prefix => path.starts_with(&self.text[..self.text.len() - 2]),
            Method::Suffix => {
                let suffix = &self.text[2..];
                path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
            }
            Method::Program(program) => program.matches(path),
        }
    }

    /// The text without a `/**` or `/*` at its end.
    pub(super) fn base(&self) -> &str {
        let text = self.text.strip_suffix("/**").unwrap_or(&self.text);
        text.strip_suffix("/*").unwrap_or(text)
    }
}

/// Finds the way to match, which for most patterns is an expression.
fn method(text: &str) -> Result<Method, BadPattern> {
    #[derive(PartialEq)]
    enum Shape {
        Exact,
        Prefix,
        Suffix,
        Expression,
    }
    let mut shape = Shape::Exact;
    let mut expression = String::from("^");
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                if chars.peek().is_some() {
                    expression.push_str("(.*/)?");
                    shape = Shape::Expression;
                } else if shape == Shape::Exact {
                    shape = Shape::Prefix;
                } else {
                    expression.push_str(".*");
                    shape = Shape::Expression;
                }
                if first {
                    shape = Shape::Suffix;
                }
            }
            '*' => {
                expression.push_str("[^/]*");
                shape = Shape::Expression;
            }
            '?' => {
                expression.push_str("[^/]");
                shape = Shape::Expression;
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => {
                expression.push('\\');
                expression.push(char);
            }
            '\\' => {
                expression.push('\\');
                if let Some(escaped) = chars.next() {
                    expression.push(escaped);
                    shape = Shape::Expression;
                }
            }
            '[' | ']' => {
                expression.push(char);
                shape = Shape::Expression;
            }
            _ => expression.push(char),
        }
        first = false;
    }
    Ok(match shape {
        Shape::Exact => Method::Exact,
        Shape::Prefix => Method::Prefix,
        Shape::Suffix => Method::Suffix,
        Shape::Expression => {
            expression.push('$');
            Method::Program(Program::new(&expression)?)
        }
    })
}
