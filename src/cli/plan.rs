//! `bowline plan`: shows what a build would do.

use super::args::Global;
use super::environment::Environment;
use super::session::{BuildResult, Session};
use crate::diag::Diagnostic;
use crate::request::BuildRequest;

/// Connects to the engine, looks at its cache, and prints the plan.
pub(super) async fn plan(
    _request: &BuildRequest,
    _global: &Global,
    _environment: &Environment,
    _session: Session,
) -> BuildResult {
    Err(vec![Diagnostic::error("`bowline plan` cannot plan yet")])
}
