//! What a failed step leaves for those who want to look: the files before it and, of a `RUN`,
//! those of its container as it died.
//!
//! Under a debugger they are images without a name, gone with the build. A build that keeps them
//! for later names them, one failed step a build.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::builder::Builder;
use super::failure::Failure;
use super::snapshot::Snapshot;
use crate::diag::Class;
use crate::engine::Result;
use crate::plan::{StageIndex, Step};

/// The repository of images that failed steps left.
pub const FAILED: &str = "bowline/failed";

/// The files of a failed step's container as it died.
#[derive(Debug, Clone)]
pub struct Remains {
    pub image: String,
}

/// A failed step whose files are kept, by the names that their images have.
#[derive(Debug, Clone)]
pub struct FailedStep {
    pub stage: StageIndex,
    /// Its place in the stage's list of steps.
    pub step: usize,
    /// The files before it; of `scratch` there are none.
    pub before: Option<String>,
    /// The files of its container, if it had one.
    pub remains: Option<String>,
    /// The network that its command was on, as the engine's API spells it.
    pub network: String,
    pub failure: Failure,
}

/// Asks a build to keep its failed step, and gives it.
#[derive(Debug, Default)]
pub struct Keep {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The step that failed first: steps side by side may fail as well.
    title: Option<String>,
    remains: Option<String>,
    failed: Option<FailedStep>,
}

impl Keep {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this step is the one that is kept.
    fn claim(&self, title: &str) -> bool {
        let mut state = self.state();
        state.title.get_or_insert_with(|| title.to_owned()) == title
    }

    /// What the build has kept.
    pub fn take(&self) -> Option<FailedStep> {
        self.state().failed.take()
    }
}

impl Builder {
    /// Keeps what a failed step's container holds, where somebody may want it.
    pub(super) async fn keep_remains(&self, step: &Step, container: &str) {
        let kept = match (&self.gated, &self.keep) {
            (Some(gated), _) => {
                let committed = self.ledger.commit(container).await;
                committed.map(|image| {
                    self.ledger.drop_image(&image);
                    gated.leave_remains(&step.title, Arc::new(Remains { image }));
                })
            }
            (None, Some(keep)) if keep.claim(&step.title) => {
                let name = format!("{FAILED}:{}", self.ledger.build());
                let kept = self.commit_as(container, &name).await;
                kept.map(|()| keep.state().remains = Some(name))
            }
            _ => Ok(()),
        };
        if let Err(error) = kept {
            // The failure itself is told all the same.
            tracing::warn!(%error, "the failed step's files cannot be kept");
        }
    }

    async fn commit_as(&self, container: &str, name: &str) -> Result<()> {
        let image = self.ledger.commit(container).await?;
        let named = self.engine.tag(&image, name).await;
        if named.is_err() {
            self.ledger.drop_image(&image);
        }
        named
    }

    /// Keeps the files before a failed step, and what is to be known of it. What failed because
    /// of the machine is not in the step's files.
    pub(super) async fn keep_failed(
        &self,
        (stage, step): (StageIndex, usize),
        below: &Snapshot,
        failure: &Failure,
    ) {
        let Some(keep) = &self.keep else { return };
        let title = &self.stage_of(stage).steps[step].title;
        if failure.class == Class::Environment || !keep.claim(title) {
            return;
        }
        let mut before = None;
        if let Some(image) = &below.image {
            let name = format!("{FAILED}:{}-before", self.ledger.build());
            if let Err(error) = self.engine.tag(image, &name).await {
                tracing::warn!(%error, "the failed step cannot be kept");
                return;
            }
            before = Some(name);
        }
        let mut state = keep.state();
        state.failed = Some(FailedStep {
            stage,
            step,
            before,
            remains: state.remains.take(),
            network: self.settings.network.as_api(),
            failure: Arc::clone(failure),
        });
    }
}
