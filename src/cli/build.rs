//! `bowline build`: carries a request out.

use super::args::Global;
use super::connect::{ended, prepare};
use super::environment::Environment;
use super::gc;
use super::result::Outcome;
use super::session::{BuildResult, Session};
use crate::request::BuildRequest;
use crate::run;

/// Connects to the engine and builds.
pub(super) async fn build(
    request: &BuildRequest,
    global: &Global,
    environment: &Environment,
    session: Session,
) -> BuildResult {
    let (recipe, around) = prepare(request, global, environment, session).await?;
    let built = run::build(request, &recipe, &around).await.map_err(ended)?;
    gc::start(global, environment);
    Ok(Outcome {
        image: built.image,
        config_digest: built.config_digest,
        digest: built.digest,
        described: built.described,
        names: built.names,
    })
}
