//! `bowline build`: carries a request out.

use super::args::Global;
use super::connect::connect;
use super::environment::Environment;
use super::result::Outcome;
use super::session::{BuildResult, Session};
use crate::diag::Diagnostic;
use crate::request::BuildRequest;
use crate::run::{self, Ended, Surroundings};

/// Connects to the engine and builds.
pub(super) async fn build(
    request: &BuildRequest,
    global: &Global,
    environment: &Environment,
    session: Session,
) -> BuildResult {
    let recipe = run::read(request).map_err(ended)?;
    let engine = connect(global, environment)
        .await
        .map_err(|error| vec![error])?;
    let around = Surroundings {
        engine,
        sink: session.sink,
        world: environment.world(),
        cancel: session.cancelled,
    };
    let built = run::build(request, &recipe, &around).await.map_err(ended)?;
    Ok(Outcome {
        config_digest: Some(built.config_digest),
        image: Some(built.image),
        digest: None,
        names: request.tags.clone(),
    })
}

/// What is said of a build that gave nothing. Of a cancelled one the session says it.
pub(super) fn ended(ended: Ended) -> Vec<Diagnostic> {
    match ended {
        Ended::Failed(diagnostics) => diagnostics.into_iter().collect(),
        Ended::Cancelled => Vec::new(),
    }
}
