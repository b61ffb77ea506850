//! `COPY`, `ADD` and `WORKDIR`: which files, where they go, and the layer they make.
//!
//! [`gather`] finds the files and gives their digest, for the cache; [`place`] decides where
//! each goes; [`layer`] writes the tar. No container runs for any of it.

mod chmod;
mod gather;
mod handed;
mod layer;
mod place;
mod remote;
pub(super) mod send;
mod sent;
mod spool;
mod unpack;

pub(super) use gather::{Files, Problem};
use place::Placed;
pub(super) use place::{PlaceError, Placement};
pub use remote::one_file;
pub(super) use spool::tree_of;

use std::sync::Arc;

use super::author::Names;
use super::builder::Builder;
use super::failure::{self, Failure};
use super::snapshot::{self, Snapshot, StageResult};
use super::user;
use crate::diag::Diagnostic;
use crate::engine::NewLayer;
use crate::plan::{Copy, Stage, Step, Workdir};
use crate::progress::Running;

/// Larger copies are not handed over to a container besides the engine.
const LARGEST_HANDED: u64 = 32 << 20;

impl Builder {
    /// Copies gathered files and makes the step's image.
    #[expect(clippy::too_many_arguments, reason = "a step is all of these")]
    pub(super) async fn copy_step(
        &self,
        stage: &Stage,
        step: &Step,
        copy: &Copy,
        files: Files,
        names: Names,
        below: &Snapshot,
        progress: &Running,
    ) -> Result<Snapshot, Failure> {
        let owner = match &copy.chown {
            Some(text) => {
                let owner = user::owner(&below.rootfs, text).await;
                Some(owner.map_err(|error| failure::user(step, &error))?)
            }
            None => None,
        };
        let mut placement = Placement::new(&below.rootfs, owner, copy.chmod.clone());
        for source in &files.sources {
            let put = placement
                .put(source, &copy.dest, &self.settings.scratch)
                .await;
            put.map_err(|error| place_failed(step, &error))?;
        }
        let placed = placement
            .finish()
            .await
            .map_err(|error| place_failed(step, &error))?;
        let placed = Arc::new(placed);
        let layer = layer::new_layer(&placed, progress).await;
        let layer = layer.map_err(|problem| Arc::new(problem.at(step)))?;
        self.keep_copied(stage, step, names, below, placed, layer)
            .await
    }

    /// Makes the step's image: beside the steps after it, where a container that is to run one of
    /// them can have the files right away.
    async fn keep_copied(
        &self,
        stage: &Stage,
        step: &Step,
        names: Names,
        below: &Snapshot,
        placed: Arc<Placed>,
        layer: NewLayer,
    ) -> StageResult {
        let (definition, content) = (names.definition.clone(), names.content.clone());
        let size = layer.size;
        let known = placed.metas();
        let making = {
            let keeper = self.keeper(&stage.platform, step, names, below);
            async move {
                let rootfs = keeper.below.rootfs.clone();
                let made = keeper.author(layer).await?;
                let image = made.image.clone().unwrap_or_default();
                Ok(Snapshot {
                    rootfs: rootfs.with_layer(image, known),
                    ..made
                })
            }
        };
        if size > LARGEST_HANDED {
            return making.await;
        }
        let Some(run) = self.run_after(stage, step) else {
            return making.await;
        };
        let later = snapshot::start(making);
        let place = self.shared_place(&stage.platform, run, below).await?;
        let handed = match place {
            Some(place) => self.hand_over(place, handed::parts(placed)).await,
            None => None,
        };
        match handed {
            None => later.await,
            Some(place) => Ok(self.snapshot_in(place, later, definition, content)),
        }
    }

    /// Makes the directories of a `WORKDIR`.
    pub(super) async fn workdir_step(
        &self,
        stage: &Stage,
        step: &Step,
        workdir: &Workdir,
        names: Names,
        below: &Snapshot,
    ) -> Result<Snapshot, Failure> {
        let owner = match workdir.user.as_str() {
            "" => None,
            name => {
                let owner = user::owner(&below.rootfs, name).await;
                Some(owner.map_err(|error| failure::user(step, &error))?)
            }
        };
        let mut placement = Placement::new(&below.rootfs, owner, None);
        let made = placement.make_directory(&workdir.path).await;
        made.map_err(|error| place_failed(step, &error))?;
        let placed = placement
            .finish()
            .await
            .map_err(|error| place_failed(step, &error))?;
        let layer = layer::of_directories(&placed).map_err(|problem| Arc::new(problem.at(step)))?;
        let placed = Arc::new(placed);
        self.keep_copied(stage, step, names, below, placed, layer)
            .await
    }
}

fn place_failed(step: &Step, error: &PlaceError) -> Failure {
    match error {
        PlaceError::Engine(error) => failure::engine(step, error),
        other => {
            Arc::new(Diagnostic::error(other.to_string()).with_label(&step.source, step.span, ""))
        }
    }
}
