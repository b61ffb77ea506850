//! The definition keys of a stage's steps: known before anything runs.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::builder::{Builder, random_text};
use super::failure::{self, Failure};
use crate::cache::{Inputs, Key};
use crate::plan::{Action, CopyFrom, Run, Stage, StageBase, StageIndex, Step};

/// The definition keys of a stage: of what it starts from, and of each step.
#[derive(Debug, Clone)]
pub(super) struct StageKeys {
    pub(super) start: Key,
    pub(super) steps: Vec<Key>,
    /// What each step reads.
    pub(super) inputs: Vec<Inputs>,
}

impl StageKeys {
    pub(super) fn last(&self) -> &Key {
        self.steps.last().unwrap_or(&self.start)
    }
}

impl Builder {
    /// The definition keys of a stage and, on the way, of the stages it needs.
    pub(super) fn stage_keys(
        self: &Arc<Self>,
        index: StageIndex,
    ) -> BoxFuture<'_, Result<Arc<StageKeys>, Failure>> {
        async move {
            let slot = self.key_slot(index);
            slot.get_or_try_init(|| self.compute_keys(self.stage_of(index)))
                .await
                .cloned()
        }
        .boxed()
    }

    async fn compute_keys(self: &Arc<Self>, stage: &Stage) -> Result<Arc<StageKeys>, Failure> {
        let start = match stage.base {
            StageBase::Scratch | StageBase::Files(_) => Key::scratch(&stage.platform),
            StageBase::Image(base) => Key::image(&self.base(base).id),
            StageBase::Stage(other) => self.stage_keys(other).await?.last().clone(),
        };
        let mut steps = Vec::with_capacity(stage.steps.len());
        let mut all_inputs = Vec::with_capacity(stage.steps.len());
        let mut parent = start.clone();
        for step in &stage.steps {
            let inputs = match self.step_inputs(step).await {
                // A debugger stops where it fails, and not before anything has run.
                Err(_) if self.gated.is_some() => Inputs::Content(random_text()),
                inputs => inputs?,
            };
            parent = Key::step(&parent, &step.action, &inputs);
            steps.push(parent.clone());
            all_inputs.push(inputs);
        }
        Ok(Arc::new(StageKeys {
            start,
            steps,
            inputs: all_inputs,
        }))
    }

    async fn step_inputs(self: &Arc<Self>, step: &Step) -> Result<Inputs, Failure> {
        Ok(match &step.action {
            Action::Run(run) => self.mount_inputs(step, run).await?,
            Action::Workdir(_) => Inputs::None,
            Action::Copy(copy) => match copy.from {
                CopyFrom::Context | CopyFrom::Named(_) | CopyFrom::Nothing => {
                    let inputs = self.context_inputs(step, copy).await;
                    inputs.map_err(|failure| failure::of_step(step, failure))?
                }
                CopyFrom::Stage(other) => {
                    let keys = self.stage_keys(other).await?;
                    Inputs::Stage(keys.last().as_str().to_owned())
                }
                CopyFrom::Image(base) => {
                    Inputs::Stage(Key::image(&self.base(base).id).as_str().to_owned())
                }
            },
        })
    }

    /// What the mounts of a step read, as far as it is known before anything runs.
    async fn mount_inputs(self: &Arc<Self>, step: &Step, run: &Run) -> Result<Inputs, Failure> {
        let mut all = Vec::new();
        for (from, source) in run.files() {
            let key = match from {
                CopyFrom::Nothing => continue,
                CopyFrom::Context | CopyFrom::Named(_) => {
                    all.push(self.context_mount(step, from, source).await?);
                    continue;
                }
                CopyFrom::Stage(other) => self.stage_keys(other).await?.last().clone(),
                CopyFrom::Image(base) => Key::image(&self.base(base).id),
            };
            all.push(Inputs::Stage(format!("{key} {source}")));
        }
        Ok(if all.is_empty() {
            Inputs::None
        } else {
            Inputs::Many(all)
        })
    }
}
