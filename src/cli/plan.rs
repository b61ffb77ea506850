//! `bowline plan`: shows what a build would do.

use std::io::{self, Write as _};

use super::args::Global;
use super::build::ended;
use super::connect::connect;
use super::environment::Environment;
use super::result::Outcome;
use super::session::{BuildResult, Session};
use crate::diag::{Class, Diagnostic};
use crate::request::BuildRequest;
use crate::run::{self, Surroundings};

/// Connects to the engine, looks at its cache, and prints the plan.
pub(super) async fn plan(
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
    let text = run::preview(request, &recipe, &around)
        .await
        .map_err(ended)?;
    let printed = io::stdout().write_all(text.as_bytes());
    printed.map_err(|error| {
        vec![Diagnostic::error(error.to_string()).with_class(Class::Environment)]
    })?;
    Ok(Outcome::default())
}
