//! What the reader of one instruction is given, and how it says no.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Heredoc, Word};
use crate::dockerfile::flags::{Flags, Known};
use crate::dockerfile::joined::Joined;
use crate::dockerfile::json::{self, Form};
use crate::dockerfile::split::{self, Statement};
use crate::source::{SourceFile, Span};

pub(super) struct Request<'a> {
    pub(super) source: &'a Arc<SourceFile>,
    pub(super) line: &'a Joined,
    pub(super) escape: char,
    pub(super) statement: &'a Statement,
    pub(super) heredocs: &'a [Heredoc],
    pub(super) warnings: Vec<Diagnostic>,
}

/// Why an instruction cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) diagnostic: Box<Diagnostic>,
    /// Whether the text itself is malformed, rather than what it means. BuildKit looks
    /// at the first alone when it stores an `ONBUILD` trigger.
    pub(super) malformed: bool,
}

impl Fault {
    pub(super) fn malformed(diagnostic: Diagnostic) -> Self {
        Self {
            diagnostic: Box::new(diagnostic),
            malformed: true,
        }
    }
}

impl From<Diagnostic> for Fault {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            diagnostic: Box::new(diagnostic),
            malformed: false,
        }
    }
}

impl Request<'_> {
    /// The keyword in capitals, for messages.
    pub(super) fn name(&self) -> String {
        self.statement.keyword.text.to_ascii_uppercase()
    }

    pub(super) fn error(&self, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic::error(message).with_label(self.source, span, "")
    }

    /// An error about what is missing behind the keyword.
    pub(super) fn missing(&self, message: impl Into<String>) -> Diagnostic {
        self.error(message, self.statement.keyword.span)
    }

    pub(super) fn flags(&self, known: &Known) -> Result<Flags, Diagnostic> {
        Flags::read(self.source, &self.name(), &self.statement.flags, known)
    }

    /// All arguments as one word, as they are written.
    pub(super) fn whole(&self) -> Word {
        self.line.word(self.statement.args.clone())
    }

    /// The arguments when they are a JSON list.
    pub(super) fn json(&self) -> Result<Option<Vec<Word>>, Fault> {
        match json::form(self.line, self.statement.args.clone()) {
            Form::Plain => Ok(None),
            Form::Strings(words) => Ok(Some(words)),
            Form::Other(place) => {
                let message = "a JSON list of arguments may hold only strings";
                let error = self.error(message, self.line.span(&place));
                Err(Fault::malformed(error))
            }
        }
    }

    /// The arguments, split at white space.
    pub(super) fn blank_separated(&self) -> Vec<Word> {
        split::at_blanks(self.line, self.statement.args.clone())
    }

    /// The arguments as a JSON list, or split at white space; and whether they were JSON.
    pub(super) fn list(&self) -> Result<(Vec<Word>, bool), Fault> {
        Ok(match self.json()? {
            Some(words) => (words, true),
            None => (self.blank_separated(), false),
        })
    }
}
