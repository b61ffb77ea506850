//! Registries, by way of the engine: it has the image and pushes it itself.

use crate::diag::{Class, Diagnostic};
use crate::engine::{Engine, EngineError, PullEvent};
use crate::image::{Digest, Reference};
use crate::progress::{Numbering, StepOutcome};

/// Pushes every name; gives the digest that the registries know the image by.
///
/// # Errors
/// With the first name that a registry refuses. What was pushed before it stays there.
pub async fn push(
    engine: &dyn Engine,
    names: &[Reference],
    numbering: &Numbering,
) -> Result<Option<Digest>, Diagnostic> {
    let mut digest = None;
    for name in names {
        let step = numbering.start(&format!("pushing {name} with docker"));
        let on_push = |event: PullEvent| {
            if let Some((done, total)) = event.progress {
                step.part("layers", &event.status, done, total);
            }
        };
        match engine.push(name, &on_push).await {
            Ok(pushed) => {
                step.finish(StepOutcome::Done);
                digest = Some(pushed);
            }
            Err(error) => {
                let error = refused(name, &error);
                step.finish(StepOutcome::Failed(error.message.clone()));
                return Err(error);
            }
        }
    }
    Ok(digest)
}

fn refused(name: &Reference, error: &EngineError) -> Diagnostic {
    let unauthorized = matches!(error, EngineError::Unauthorized { .. });
    cannot_push(name, error.to_string(), unauthorized)
}

pub(super) fn cannot_push(name: &Reference, why: String, unauthorized: bool) -> Diagnostic {
    let message = format!("cannot push `{name}`");
    let diagnostic = Diagnostic::error(message)
        .with_class(Class::Environment)
        .with_note(why);
    if !unauthorized {
        return diagnostic;
    }
    diagnostic.with_hint(match &name.registry {
        Some(registry) => format!("log in with `docker login {registry}`"),
        None => "log in with `docker login`, and check that the name is one of yours".into(),
    })
}
