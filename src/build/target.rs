//! The container whose network `RUN` joins, when it is lost on the way.

use std::sync::Arc;

use super::failure::{self, Failure};
use crate::diag::{Class, Diagnostic};
use crate::engine::{Engine, EngineError, NetworkMode};
use crate::plan::Step;

/// Says that the container whose network is joined does not run any more; `None` while it does,
/// or when the engine cannot tell.
pub(super) async fn lost(engine: &dyn Engine, network: &NetworkMode) -> Option<String> {
    let NetworkMode::Container(target) = network else {
        return None;
    };
    let short = target.get(..12).unwrap_or(target);
    match engine.inspect(target).await.ok()? {
        None => Some(format!(
            "the container `{short}`, whose network `RUN` joins, is gone"
        )),
        Some(detail) if !detail.running => Some(format!(
            "the container `{}` ({short}), whose network `RUN` joins, is not running any more: it is {}",
            detail.name, detail.status
        )),
        Some(_) => None,
    }
}

/// Why a step's container could not be run.
pub(super) async fn start_failed(
    engine: &dyn Engine,
    network: &NetworkMode,
    step: &Step,
    error: &EngineError,
) -> Failure {
    let Some(what) = lost(engine, network).await else {
        return failure::engine(step, error);
    };
    let failed = Diagnostic::error(what)
        .with_class(Class::Environment)
        .with_label(&step.source, step.span, "")
        .with_hint("steps that are done stay cached: start the build again when it runs");
    Arc::new(failed)
}
