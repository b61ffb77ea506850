//! A failed step of a build that is over, as a [`Site`] to look at: nothing is built for it.

use std::sync::Arc;

use super::builder::Builder;
use super::failed::{FailedStep, Remains};
use super::failure;
use super::gate::Verdict;
use super::site::{Parts, Site};
use super::snapshot::Snapshot;
use crate::cache::Key;
use crate::diag::{Class, Diagnostic};
use crate::plan::Stage;

impl Builder {
    /// The site of a step that an earlier build of the same plan kept.
    ///
    /// # Errors
    /// When the engine does not have the files any more.
    pub async fn reopen(self: &Arc<Self>, kept: &FailedStep) -> Result<Arc<Site>, Diagnostic> {
        let stage = self.plan().stage(kept.stage);
        let stage = stage.ok_or_else(|| gone("its stage is not planned any more"))?;
        let line = stage
            .lines
            .iter()
            .position(|line| line.step == Some(kept.step));
        let line = line.ok_or_else(|| gone("its step is not planned any more"))?;
        let before = self.kept_before(stage, kept).await?;
        let remains = match &kept.remains {
            Some(name) => Some(self.kept_image(name).await?),
            None => None,
        };
        let failure = (*kept.failure).clone();
        let place = &stage.lines[line];
        let failure = failure.with_label(&place.source, place.span, "");
        let mut states = vec![None; line];
        states.push(Some(Arc::new(before)));
        Ok(Arc::new(Site::new(Parts {
            builder: Arc::clone(self),
            stage: kept.stage,
            line,
            callers: Vec::new(),
            states,
            after: None,
            failure: Some(Arc::new(failure)),
            remains: remains.map(|image| Arc::new(Remains { image })),
            verdict: Verdict::NoStep,
        })))
    }

    async fn kept_before(&self, stage: &Stage, kept: &FailedStep) -> Result<Snapshot, Diagnostic> {
        let Some(name) = &kept.before else {
            return Ok(self.scratch_snapshot(&Key::scratch(&stage.platform)));
        };
        let image = self.kept_image(name).await?;
        // A base image may have to be replaced before containers are made from it.
        Ok(match self.base_of_image(&image) {
            Some(base) => self.image_snapshot(base),
            None => self.snapshot_of(image.clone(), Vec::new(), &Key::image(&image)),
        })
    }

    async fn kept_image(&self, name: &str) -> Result<String, Diagnostic> {
        let found = self.engine.image(name).await;
        let found = found.map_err(|error| failure::of_engine(&error))?;
        let found = found.ok_or_else(|| gone(&format!("the engine has no `{name}`")))?;
        Ok(found.id)
    }
}

fn gone(why: &str) -> Diagnostic {
    Diagnostic::error(format!("the failed step cannot be opened: {why}"))
        .with_class(Class::Environment)
        .with_hint("build again; the failure of that build can be opened then")
}
