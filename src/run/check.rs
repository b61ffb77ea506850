//! `bowline check`: everything that a build looks at before its first step.

use super::{Ended, Recipe, Remembered, Surroundings, bases, lint, recipe as recipes};
use crate::diag::{Diagnostic, Diagnostics};
use crate::lint::{Finding, Lint};
use crate::plan::{self, Outline};
use crate::request::BuildRequest;

/// What is doubtful about a Dockerfile, and what is wrong with it.
#[derive(Debug)]
pub struct Checked {
    pub findings: Vec<Finding>,
    pub errors: Diagnostics,
}

/// Looks at the Dockerfile as a build would, and at all its stages when none is named.
///
/// # Errors
/// When it was cancelled.
pub async fn check(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
) -> Result<Checked, Ended> {
    let dockerfile = &recipe.parsed.dockerfile;
    let mut lint = lint::linter(request, dockerfile, recipe.ignore.as_deref())?
        .of_every_stage(request.target.is_none());
    crate::lint::file(&mut lint, dockerfile);
    let work = look(request, recipe, around, &mut lint);
    let looked = tokio::select! {
        looked = work => looked.map(drop),
        () = around.cancel.cancelled() => return Err(Ended::Cancelled),
    };
    let mut errors = match looked {
        Ok(()) => Diagnostics::new(),
        Err(Ended::Failed(errors)) => errors,
        Err(Ended::Cancelled) => return Err(Ended::Cancelled),
    };
    if errors.is_empty()
        && let Some(violation) = lint.violation()
    {
        errors.push(Diagnostic::error(violation));
    }
    Ok(Checked {
        findings: lint.findings().to_vec(),
        errors,
    })
}

async fn look(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    lint: &mut Lint,
) -> Result<Outline, Ended> {
    let engine = &*around.engine;
    let options = recipes::plan_options(request, engine.info())?;
    let mut graph = plan::graph(&recipe.parsed.dockerfile, options, lint)?;
    let remembered = Remembered::open(&request.cache_dir, engine.info());
    bases::supply(&mut graph, engine, request, &remembered, &recipe.numbering).await?;
    Ok(graph.bind(lint)?.outline)
}

/// What a build of the target takes from outside.
///
/// # Errors
/// As a build that fails before its first step.
pub async fn outline(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
) -> Result<Outline, Ended> {
    let mut lint = Lint::default();
    tokio::select! {
        looked = look(request, recipe, around, &mut lint) => looked,
        () = around.cancel.cancelled() => Err(Ended::Cancelled),
    }
}
