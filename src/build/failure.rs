//! Why a build ended early, as a diagnostic with the instruction's words.

use std::sync::Arc;

use super::user::UserError;
use crate::diag::{Class, Diagnostic};
use crate::engine::EngineError;
use crate::plan::{Step, of_trigger};

/// The end of a build. Shared, because several stages may wait for the one that failed.
pub type Failure = Arc<Diagnostic>;

/// The engine failed while it worked on a step.
pub(super) fn engine(step: &Step, error: &EngineError) -> Failure {
    Arc::new(of_engine(error).with_label(&step.source, step.span, ""))
}

/// The engine failed, whatever it was doing.
pub fn of_engine(error: &EngineError) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.to_string()).with_class(Class::Environment);
    match error {
        EngineError::Unreachable { .. } => {
            diagnostic.with_hint("is the engine running, and is `DOCKER_HOST` or `--host` right?")
        }
        EngineError::PermissionDenied { .. } => {
            diagnostic.with_hint("run as a user of the socket's group (often `docker`), or as root")
        }
        EngineError::NoSpace { .. } => {
            diagnostic.with_hint("the engine's disk is full: `docker system df` says with what")
        }
        _ => diagnostic,
    }
}

/// What a containerd store says of an image that an equal build is just making or renaming.
const RACES: [&str; 4] = [
    "No such image: sha256:",
    "failed to resolve image id",
    "data changed during operation, retry",
    "already exists",
];

/// Whether it may go well once an equal build is done.
pub fn is_race(failure: &Diagnostic) -> bool {
    failure.class == Class::Environment && RACES.iter().any(|words| failure.message.contains(words))
}

/// The person's Dockerfile or context is wrong in this step.
pub(super) fn yours(step: &Step, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(message).with_label(&step.source, step.span, "")
}

pub(super) fn user(step: &Step, error: &UserError) -> Failure {
    match error {
        UserError::Engine(error) => engine(step, error),
        UserError::NoFile { .. } => {
            Arc::new(yours(step, error.to_string()).with_hint("use numbers: `--chown=1000:1000`"))
        }
    }
}

/// With the `FROM` that brings the step, if it is a trigger.
pub(super) fn of_step(step: &Step, failure: Failure) -> Failure {
    if step.trigger.is_none() {
        return failure;
    }
    let diagnostic = Arc::unwrap_or_clone(failure);
    Arc::new(of_trigger(diagnostic, step.trigger.as_ref()))
}

/// Something that cannot happen did.
pub(super) fn internal(what: &str) -> Diagnostic {
    Diagnostic::error(format!("internal error: {what}")).with_class(Class::Environment)
}
