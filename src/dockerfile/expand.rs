//! Expansion of words: `$NAME`, `${NAME...}`, quotes and escapes, as BuildKit's shell lexer does it.
//!
//! A pure function of the word, the variables and the [`Mode`]. Runs no command
//! substitution, no globbing, no arithmetic.

mod lexer;
mod pattern;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::dockerfile::ast::Word;
use crate::source::SourceFile;

/// Looks up a variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How quotes, escapes and unset variables are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// The escape character.
    pub escape: char,
    /// Quotes stay in the result (they still quote).
    pub raw_quotes: bool,
    /// Escape characters stay in the result (they still escape).
    pub raw_escapes: bool,
    /// Quotes are ordinary characters.
    pub skip_quotes: bool,
    /// References to unset variables stay as they are written.
    pub skip_unset: bool,
}

impl Mode {
    /// For words of instructions.
    #[must_use]
    pub fn word(escape: char) -> Self {
        Self {
            escape,
            raw_quotes: false,
            raw_escapes: false,
            skip_quotes: false,
            skip_unset: false,
        }
    }

    /// For the body of a heredoc of `COPY` and `ADD`: the escape is always a backslash.
    #[must_use]
    pub fn heredoc() -> Self {
        Self {
            skip_quotes: true,
            ..Self::word('\\')
        }
    }

    /// For the text that progress shows of a `RUN`: quotes and unset variables stay.
    #[must_use]
    pub fn display(escape: char) -> Self {
        Self {
            raw_quotes: true,
            skip_unset: true,
            ..Self::word(escape)
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The whole text.
    pub text: String,
    /// The text split at white space that was neither quoted nor escaped.
    pub words: Vec<String>,
    /// Where each of the words comes from.
    pub word_ranges: Vec<Range<usize>>,
    /// References to variables, in order of evaluation.
    pub references: Vec<Reference>,
}

impl Expansion {
    /// The references that found nothing.
    pub fn undefined(&self) -> impl Iterator<Item = &Reference> {
        self.references
            .iter()
            .filter(|reference| !reference.defined)
    }
}

/// A variable that a word asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Whether it has a value.
    pub defined: bool,
    /// Where in the word, from the `$` to the end of the name.
    pub range: Range<usize>,
}

/// Why a word cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandError {
    /// What is wrong.
    pub kind: ExpandErrorKind,
    /// Where in the word.
    pub range: Range<usize>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandErrorKind {
    /// A quote without its partner.
    #[error("missing closing `{0}`")]
    UnclosedQuote(char),
    /// `${` without `}`.
    #[error("missing `}}` after `${{`")]
    UnclosedBrace,
    /// `${X/a` without the second `/`.
    #[error("missing second `/` in `${{...}}`")]
    MissingSlash,
    /// `${}`, `${{`, `${:`.
    #[error("bad substitution")]
    BadSubstitution,
    /// `${X:=...}` and the like.
    #[error("unsupported modifier `{0}` in substitution")]
    UnsupportedModifier(String),
    /// A pattern with an escape that means nothing.
    #[error("invalid pattern `{pattern}` in substitution: `\\{escaped}` is not an escape")]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// The escaped character.
        escaped: String,
    },
    /// `${` inside `${`, more often than anyone writes.
    #[error("substitutions are nested too deeply")]
    TooDeep,
    /// `${X:?message}` and `${X?message}`.
    #[error("`{name}`: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The message of the word, or that it must be set.
        message: String,
    },
}

impl fmt::Display for ExpandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

impl std::error::Error for ExpandError {}

impl ExpandError {
    /// The error, shown at its place in `word`.
    #[must_use]
    pub fn into_diagnostic(self, source: &Arc<SourceFile>, word: &Word) -> Diagnostic {
        let span = word.locate(source, self.range);
        Diagnostic::error(self.kind.to_string()).with_label(source, span, "")
    }
}

/// The word with everything expanded and a report of what it asked for.
///
/// # Errors
/// When a quote or brace is open, a substitution is malformed, or `:?` says so.
pub fn expand(word: &str, env: Env<'_>, mode: Mode) -> Result<Expansion, ExpandError> {
    lexer::Lexer::new(word, env, mode).run()
}

/// The word as one text.
///
/// # Errors
/// As [`expand`].
pub fn expand_word(word: &str, env: Env<'_>, escape: char) -> Result<String, ExpandError> {
    Ok(expand(word, env, Mode::word(escape))?.text)
}

/// The word split at white space after expansion, as `EXPOSE` does it.
///
/// # Errors
/// As [`expand`].
pub fn expand_words(word: &str, env: Env<'_>, escape: char) -> Result<Vec<String>, ExpandError> {
    Ok(expand(word, env, Mode::word(escape))?.words)
}
