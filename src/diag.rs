//! What is said to the person: one [`Diagnostic`] for every error, warning and note.
//!
//! The message says what is wrong, a label says where (and, near the words, what
//! was probably meant), a hint says what to do. Text is lower case, with backticks
//! round words of the file, without a full stop, and readable without colour.
//!
//! Prints nothing and knows no terminal: [`Diagnostic::render`] is a function of
//! the diagnostic and a [`Style`].

mod render;
mod suggest;

pub use suggest::suggest;

use std::fmt;
use std::sync::Arc;

use crate::source::{SourceFile, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant, but the build goes on.
    Warning,
    /// The build cannot go on.
    Error,
}

/// Whose turn it is. The exit code follows from this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The Dockerfile, the flags or the context are wrong.
    Yours,
    /// A step ran and failed.
    Step,
    /// The engine, the registry, the network or the disk failed.
    Environment,
}

impl Class {
    /// The exit code of a run that ends with an error of this class.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Yours => 1,
            Self::Step => 2,
            Self::Environment => 3,
        }
    }
}

/// Words in a source with something to say about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The text that the span lies in.
    pub source: Arc<SourceFile>,
    /// The words.
    pub span: Span,
    /// What is said beside them; may be empty.
    pub text: String,
    /// Whether this is the place of the problem (`^^^`) or only helps to see it (`---`).
    pub primary: bool,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Whose turn it is.
    pub class: Class,
    /// The name of the lint rule, for findings of a lint.
    pub code: Option<&'static str>,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub labels: Vec<Label>,
    /// What to do.
    pub hints: Vec<String>,
    /// What else helps to understand it.
    pub notes: Vec<String>,
}

impl Diagnostic {
    fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            class: Class::Yours,
            code: None,
            message: message.into(),
            labels: Vec::new(),
            hints: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// An error of class [`Class::Yours`].
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// A warning.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    /// A note.
    #[must_use]
    pub fn note(message: impl Into<String>) -> Self {
        Self::new(Severity::Note, message)
    }

    /// With another class.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// With the name of a lint rule.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// With the place of the problem; `text` may be empty.
    #[must_use]
    pub fn with_label(self, source: &Arc<SourceFile>, span: Span, text: impl Into<String>) -> Self {
        self.push_label(source, span, text.into(), true)
    }

    /// With another place that helps to see the problem.
    #[must_use]
    pub fn with_context(
        self,
        source: &Arc<SourceFile>,
        span: Span,
        text: impl Into<String>,
    ) -> Self {
        self.push_label(source, span, text.into(), false)
    }

    fn push_label(
        mut self,
        source: &Arc<SourceFile>,
        span: Span,
        text: String,
        primary: bool,
    ) -> Self {
        self.labels.push(Label {
            source: Arc::clone(source),
            span,
            text,
            primary,
        });
        self
    }

    /// With advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With an explanation.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Whether it stops the build.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The first place of the problem, if it has one.
    #[must_use]
    pub fn primary_label(&self) -> Option<&Label> {
        self.labels.iter().find(|label| label.primary)
    }
}

impl fmt::Display for Diagnostic {
    /// The message, with the place before it: one line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = self.primary_label() {
            let place = label.source.position(label.span.start);
            let name = label.source.name();
            write!(formatter, "{name}:{}:{}: ", place.line, place.column)?;
        }
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// How to write a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// How wide the reader's window is, in columns.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            color: false,
            width: 140,
        }
    }
}

/// Several diagnostics of one run, in the order in which they are to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether one of them stops the build.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(Diagnostic::is_error)
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// `Ok` when nothing in here stops the build.
    ///
    /// # Errors
    /// With itself when something does.
    pub fn into_result(self) -> Result<(), Self> {
        if self.has_errors() { Err(self) } else { Ok(()) }
    }

    /// All of them as text, an empty line between two.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let texts: Vec<_> = self.iter().map(|item| item.render(style)).collect();
        texts.join("\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{item}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            items: vec![diagnostic],
        }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
        }
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, items: I) {
        self.items.extend(items);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}
