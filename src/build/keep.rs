//! A step that has run, on its way to an image of its own.

use std::sync::Arc;

use super::author::{self, Names};
use super::builder::Builder;
use super::exec::layers_over;
use super::failure;
use super::ledger::Ledger;
use super::rootfs::Rootfs;
use super::snapshot::{self, Snapshot, StageResult};
use crate::cache::RecordedLayer;
use crate::engine::{Engine, EngineError, NewLayer};
use crate::image::Platform;
use crate::plan::Step;

/// All that the image of a step is made from, besides its layer.
#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) platform: Platform,
    pub(super) step: Step,
    pub(super) names: Names,
    pub(super) below: Snapshot,
}

/// What a commit made.
struct Committed {
    image: String,
    /// When the step ended.
    ended: String,
    rootfs: Rootfs,
}

impl Builder {
    pub(super) fn keeper(
        &self,
        platform: &Platform,
        step: &Step,
        names: Names,
        below: &Snapshot,
    ) -> Keeper {
        Keeper {
            engine: Arc::clone(&self.engine),
            ledger: Arc::clone(&self.ledger),
            platform: platform.clone(),
            step: step.clone(),
            names,
            below: below.clone(),
        }
    }
}

impl Keeper {
    /// Turns a container's changes into the step's image. Containers can be created from what
    /// the commit gives; the image with our config and names is made beside the next step. Only
    /// where nothing changed it is made first: it has an empty layer, which the commit has not, and
    /// the layers of the next step must stand upon that.
    pub(super) async fn commit(self, container: String) -> StageResult {
        let failed = |error: EngineError| failure::engine(&self.step, &error);
        let committed = self.ledger.commit(&container).await.map_err(failed)?;
        self.ledger.drop_image(&committed);
        let found = self.engine.image(&committed).await.map_err(failed)?;
        let depth = found.map(|image| image.diff_ids.len());
        let below = self.below.depth.unwrap_or(self.below.layers.len());
        let image = committed.clone();
        let rootfs = Rootfs::of_container(&self.engine, &self.ledger, image, container);
        let made = Committed {
            image: committed.clone(),
            ended: jiff::Timestamp::now().to_string(),
            rootfs: rootfs.clone(),
        };
        if depth == Some(below) {
            return self.keep(made).await;
        }
        Ok(Snapshot {
            image: Some(committed),
            layers: Vec::new(),
            definition: self.names.definition.clone(),
            content: self.names.content.clone(),
            rootfs,
            later: Some(snapshot::start(self.keep(made))),
            depth,
            place: None,
        })
    }

    async fn keep(self, made: Committed) -> StageResult {
        let engine_failed = |error: EngineError| failure::engine(&self.step, &error);
        let below = self.below.settled().await?;
        let (engine, leaks) = (&*self.engine, &self.names.leaks);
        let layers = layers_over(engine, &below, &made.image, &made.ended, leaks).await;
        let layers = layers.map_err(engine_failed)?;
        let unchanged = layers.len() == below.layers.len();
        let new_layer = unchanged.then(author::empty_layer);
        let authored = self.authored(layers, new_layer).await?;
        Ok(authored.snapshot(made.rootfs))
    }

    /// Makes the step's image from the one below and a layer.
    pub(super) async fn author(self, layer: NewLayer) -> StageResult {
        let below = self.below.settled().await?;
        let authored = self.authored(below.layers, Some(layer)).await?;
        let image = Some(authored.image.clone());
        let rootfs = Rootfs::of_image(&self.engine, &self.ledger, image);
        Ok(authored.snapshot(rootfs))
    }

    async fn authored(
        &self,
        layers: Vec<RecordedLayer>,
        new_layer: Option<NewLayer>,
    ) -> Result<author::Authored, failure::Failure> {
        let (engine, platform, names) = (&self.engine, &self.platform, self.names.clone());
        let made = author::step_image(engine, platform, &self.step, names, layers, new_layer);
        made.await
            .map_err(|error| failure::engine(&self.step, &error))
    }
}
