//! The planner's refusals, each with the words of the file it is about.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Instruction, Word};
use crate::dockerfile::expand::ExpandError;
use crate::source::{SourceFile, Span};

/// An error about a place in an instruction.
pub(super) fn at(instruction: &Instruction, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(message).with_label(&instruction.source, span, "")
}

/// A word that could not be expanded.
pub(super) fn expand_failed(
    instruction: &Instruction,
    word: &Word,
    error: ExpandError,
) -> Diagnostic {
    error.into_diagnostic(&instruction.source, word)
}

/// What went wrong with a trigger, with the `FROM` that brings it.
#[must_use]
pub fn of_trigger(diagnostic: Diagnostic, from: Option<&(Arc<SourceFile>, Span)>) -> Diagnostic {
    match from {
        Some((source, span)) => diagnostic.with_context(source, *span, "it is a trigger of this"),
        None => diagnostic,
    }
}
