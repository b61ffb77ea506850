//! `bowline plan`: shows what a build would do.

use super::args::Global;
use super::connect::{ended, prepare};
use super::environment::Environment;
use super::result::{self, Outcome};
use super::session::{BuildResult, Session};
use crate::request::BuildRequest;
use crate::run;

/// Connects to the engine, looks at its cache, and prints the plan.
pub(super) async fn plan(
    request: &BuildRequest,
    global: &Global,
    environment: &Environment,
    session: Session,
) -> BuildResult {
    let (recipe, around) = prepare(request, global, environment, session).await?;
    let text = run::preview(request, &recipe, &around)
        .await
        .map_err(ended)?;
    result::print(&text)?;
    Ok(Outcome::default())
}
