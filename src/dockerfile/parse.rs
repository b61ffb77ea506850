//! From text to instructions.

use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics};
use crate::dockerfile::ast::{Dockerfile, Instruction};
use crate::source::SourceFile;

/// A file that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub dockerfile: Dockerfile,
    /// What is doubtful and not the business of a lint rule.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a Dockerfile.
///
/// # Errors
/// With every independent error of the file, in its order.
pub fn parse(source: &Arc<SourceFile>) -> Result<Parsed, Diagnostics> {
    let _ = source;
    todo!()
}

/// Reads one instruction that is not in a Dockerfile, such as an `ONBUILD` trigger of
/// a base image (whose escape character is always a backslash).
///
/// # Errors
/// When it cannot be read, or is not exactly one instruction.
pub fn parse_instruction(
    source: &Arc<SourceFile>,
    escape: char,
) -> Result<Instruction, Diagnostics> {
    let _ = (source, escape);
    todo!()
}
