//! The leak guard: tells of secrets that steps leave behind, or refuses their results.
//!
//! Where a secret was found stands in the record of the layer, so that a build that finds the
//! step in the cache says the same as the one that made it. A copy from a stage takes along what
//! is known of that stage: nobody looks into the copy.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::builder::Builder;
use super::failure::Failure;
use super::said::Told;
use super::snapshot::Snapshot;
use crate::cache::Leak;
use crate::diag::{Class, Diagnostic, Style};
use crate::plan::{CopyFrom, Step};
use crate::request::LeakGuard;

/// What was told of already.
#[derive(Default)]
pub(super) struct Guarded(Mutex<BTreeSet<Leak>>);

impl Guarded {
    fn is_new(&self, leak: &Leak) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(leak.clone())
    }
}

/// What a step's layer may hold because of what it copies from.
pub(super) fn brought(sources: &[(CopyFrom, Snapshot)]) -> Vec<Leak> {
    let layers = sources.iter().flat_map(|(_, source)| &source.layers);
    let leaks = layers.flat_map(|layer| layer.leaks.iter().cloned());
    leaks.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Builder {
    /// Gives what a step that has just run has left in its files.
    pub(super) fn guard(&self, step: &Step, told: &Told) -> Result<Vec<Leak>, Failure> {
        let leak = |(secret, path): &(String, String)| Leak {
            secret: secret.clone(),
            path: path.clone(),
            step: step.title.clone(),
        };
        let leaks: Vec<Leak> = told.leaks.iter().map(leak).collect();
        for leak in &leaks {
            self.tell(leak)?;
        }
        if told.printed {
            let what = "the step has printed a secret";
            let hint = "it is masked here and in the log; do not print it";
            self.refuse_or_warn(what, hint, Some(step))?;
        }
        Ok(leaks)
    }

    /// Tells of what is known of a step that was found in the cache.
    pub(super) fn guard_known(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        let mut leaks = snapshot.layers.iter().flat_map(|layer| &layer.leaks);
        leaks.try_for_each(|leak| self.tell(leak))
    }

    fn tell(&self, leak: &Leak) -> Result<(), Failure> {
        if !self.guarded.is_new(leak) {
            return Ok(());
        }
        let what = format!("the secret `{}` is in `{}`", leak.secret, leak.path);
        let hint = "delete it in the same step, or do not write it";
        let mut steps = self.plan().stages.iter().flat_map(|stage| &stage.steps);
        let step = steps.find(|step| step.title == leak.step);
        self.refuse_or_warn(&what, hint, step)
    }

    fn refuse_or_warn(&self, what: &str, hint: &str, step: Option<&Step>) -> Result<(), Failure> {
        let place = |told: Diagnostic| match step {
            Some(step) => told.with_label(&step.source, step.span, ""),
            None => told,
        };
        match self.settings.leak_guard {
            LeakGuard::Off => {}
            LeakGuard::Warn => {
                let warned = place(Diagnostic::warning(what)).with_hint(hint);
                self.numbering.warning(warned.render(Style::default()));
            }
            LeakGuard::Fail => {
                let leaked = place(Diagnostic::error(what)).with_class(Class::Step);
                return Err(Arc::new(leaked.with_hint(hint)));
            }
        }
        Ok(())
    }
}
