//! The planner's refusals, each with the words of the file it is about.

use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Instruction, Word};
use crate::dockerfile::expand::ExpandError;
use crate::source::Span;

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
