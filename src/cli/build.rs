//! `bowline build`: carries a request out.

use super::args::Global;
use super::environment::Environment;
use super::session::{BuildResult, Session};
use crate::diag::Diagnostic;
use crate::request::BuildRequest;

/// Connects to the engine and builds.
pub(super) async fn build(
    _request: &BuildRequest,
    _global: &Global,
    _environment: &Environment,
    _session: Session,
) -> BuildResult {
    Err(vec![Diagnostic::error("`bowline build` cannot build yet")])
}
