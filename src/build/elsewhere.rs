//! Steps that other engines made: found in a cache outside this engine, and brought here when a
//! build needs them. What cannot be brought is made.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use tokio_util::io::ReaderStream;

use super::author::{self, Names};
use super::builder::Builder;
use super::failure::{self, Failure};
use super::keys::StageKeys;
use super::rootfs::Rootfs;
use super::snapshot::Snapshot;
use crate::cache::{KeptStep, Key, Record, RecordedLayer};
use crate::engine::{EngineError, LoadRequest, NewLayer};
use crate::image::{Digest, ImageConfig, Platform};
use crate::plan::{Stage, StageBase, StageIndex, Step};

/// A cache outside the engine.
#[async_trait]
pub trait Elsewhere: Send + Sync {
    /// The step that is known by this key, if the cache has it.
    async fn step(&self, key: &Key) -> Option<KeptStep>;
    /// A layer's plain tar, in a file that stays as long as this.
    async fn layer(&self, diff_id: &Digest) -> io::Result<PathBuf>;
}

type Found = Result<Option<Snapshot>, Failure>;

impl Builder {
    /// A step of a stage, if the engine has it or a cache elsewhere does.
    pub(super) fn find_or_bring<'a>(
        self: &'a Arc<Self>,
        stage: &'a Stage,
        keys: &'a StageKeys,
        index: usize,
    ) -> BoxFuture<'a, Found> {
        async move {
            let (key, step) = (&keys.steps[index], &stage.steps[index]);
            let of_engine = |error: EngineError| failure::engine(step, &error);
            if let Some(found) = self.find(key).await.map_err(of_engine)? {
                return Ok(Some(found));
            }
            let Some(elsewhere) = &self.elsewhere else {
                return Ok(None);
            };
            let Some(kept) = elsewhere.step(key).await else {
                return Ok(None);
            };
            // Equal steps are brought once.
            let turn = self.turn(&Key::from_text(&kept.content));
            let mut made = turn.lock_owned().await;
            if let Some(found) = self.find(key).await.map_err(of_engine)? {
                return Ok(Some(found));
            }
            for before in (0..index).rev() {
                if let Some(below) = self.find_or_bring(stage, keys, before).await?
                    && stands_on(&kept, &below)
                {
                    let brought = self.bring(&stage.platform, step, key, &below, &kept).await;
                    *made |= brought.is_some();
                    return Ok(brought);
                }
            }
            let Some(below) = self.known_start(stage, keys).await? else {
                return Ok(None);
            };
            let brought = self.bring(&stage.platform, step, key, &below, &kept).await;
            *made |= brought.is_some();
            Ok(brought)
        }
        .boxed()
    }

    /// What a stage starts from, if it need not be made.
    async fn known_start(self: &Arc<Self>, stage: &Stage, keys: &StageKeys) -> Found {
        match stage.base {
            StageBase::Scratch | StageBase::Files(_) => {
                Ok(Some(self.base_snapshot(None, Vec::new(), &keys.start)))
            }
            StageBase::Image(base) => Ok(Some(self.image_snapshot(base))),
            StageBase::Stage(other) => self.known_end(other).await,
        }
    }

    async fn known_end(self: &Arc<Self>, index: StageIndex) -> Found {
        let stage = self.stage_of(index);
        let keys = self.stage_keys(index).await?;
        match stage.steps.len() {
            0 => Box::pin(self.known_start(stage, &keys)).await,
            steps => self.find_or_bring(stage, &keys, steps - 1).await,
        }
    }

    /// The step that is known by what it reads, if a cache elsewhere has it.
    pub(super) async fn bring_by_content(
        &self,
        platform: &Platform,
        step: &Step,
        names: &Names,
        below: &Snapshot,
    ) -> Found {
        let Some(elsewhere) = &self.elsewhere else {
            return Ok(None);
        };
        let Some(kept) = elsewhere.step(&names.content).await else {
            return Ok(None);
        };
        let below = below.settled().await?;
        let key = &names.definition;
        Ok(self.bring(platform, step, key, &below, &kept).await)
    }

    /// Makes the step's image here. A failure is told and costs what the cache would have saved.
    async fn bring(
        &self,
        platform: &Platform,
        step: &Step,
        key: &Key,
        below: &Snapshot,
        kept: &KeptStep,
    ) -> Option<Snapshot> {
        if !stands_on(kept, below) {
            return None;
        }
        match self.try_to_bring(platform, step, key, below, kept).await {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                self.numbering.note(format!(
                    "`{}` is made anew, since the cache does not give it: {error}",
                    step.title
                ));
                None
            }
        }
    }

    async fn try_to_bring(
        &self,
        platform: &Platform,
        step: &Step,
        key: &Key,
        below: &Snapshot,
        kept: &KeptStep,
    ) -> io::Result<Snapshot> {
        let elsewhere = self.elsewhere.as_ref().expect("the step came from there");
        let mut layers = below.layers.clone();
        let new = &kept.layers[layers.len()..];
        let (last, between) = match new.split_last() {
            Some((last, between)) => (Some(last), between),
            None => (None, new),
        };
        let names = Names {
            definition: key.clone(),
            content: Key::from_text(&kept.content),
            anew: false,
            leaks: last.map_or(Vec::new(), |layer| layer.leaks.clone()),
            created: last.and_then(|layer| layer.created.clone()),
        };
        for layer in between {
            let new_layer = open(&elsewhere.layer(&layer.diff_id).await?).await?;
            layers = self.with_layer(platform, layers, layer, new_layer).await?;
        }
        let new_layer = match last {
            Some(layer) => Some(open(&elsewhere.layer(&layer.diff_id).await?).await?),
            None => None,
        };
        let authored = author::step_image(&self.engine, platform, step, names, layers, new_layer);
        let authored = authored.await.map_err(io::Error::other)?;
        let image = authored.image.clone();
        let rootfs = Rootfs::of_image(&self.engine, &self.ledger, Some(image));
        Ok(authored.snapshot(rootfs))
    }

    /// Adds a layer that no step has for itself.
    async fn with_layer(
        &self,
        platform: &Platform,
        below: Vec<RecordedLayer>,
        layer: &RecordedLayer,
        new_layer: NewLayer,
    ) -> io::Result<Vec<RecordedLayer>> {
        let mut config = ImageConfig::scratch(platform);
        let request = LoadRequest {
            below: below.iter().map(RecordedLayer::layer).collect(),
            new_layer: Some(new_layer),
            tags: Vec::new(),
            take_names: false,
            config: Box::new(move |layers| {
                config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
                config
            }),
        };
        let loaded = self.engine.load(request).await.map_err(io::Error::other)?;
        self.ledger.drop_image(&loaded.id);
        let known = below.iter().chain([layer]);
        let layers = loaded.layers.into_iter().zip(known);
        Ok(layers
            .map(|(made, known)| RecordedLayer {
                blob: made.blob,
                ..known.clone()
            })
            .collect())
    }

    /// The steps of this build that the engine has, each with an image that holds it: of all
    /// stages, or only those the result stands on.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn kept(
        self: &Arc<Self>,
        everything: bool,
    ) -> Result<Vec<(KeptStep, String)>, Failure> {
        let mut stages = Vec::new();
        if everything {
            stages.extend(self.plan().stages.iter().map(|stage| stage.index));
        } else {
            let mut next = Some(self.plan().target);
            while let Some(index) = next {
                stages.push(index);
                next = match self.stage_of(index).base {
                    StageBase::Stage(other) => Some(other),
                    _ => None,
                };
            }
        }
        let mut kept = Vec::new();
        for index in stages {
            let keys = self.stage_keys(index).await?;
            for (key, step) in keys.steps.iter().zip(&self.stage_of(index).steps) {
                let image = self.engine.image(&key.image_name()).await;
                let image = image.map_err(|error| failure::engine(step, &error))?;
                let Some(image) = image else { continue };
                let Some(record) = Record::from_labels(&image.labels) else {
                    continue;
                };
                let layers = record.layers.into_iter().map(|layer| RecordedLayer {
                    blob: None,
                    ..layer
                });
                let mut names = vec![key.as_str().to_owned(), record.key.clone()];
                names.dedup();
                let step = KeptStep {
                    keys: names,
                    content: record.key,
                    title: record.title,
                    layers: layers.collect(),
                };
                kept.push((step, image.id));
            }
        }
        Ok(kept)
    }
}

/// Whether a step's layers begin with those.
fn stands_on(kept: &KeptStep, below: &Snapshot) -> bool {
    let layers = kept.layers.iter().map(|layer| &layer.diff_id);
    let begins = layers.zip(&below.layers).all(|(a, b)| *a == b.diff_id);
    begins && kept.layers.len() >= below.layers.len()
}

async fn open(path: &PathBuf) -> io::Result<NewLayer> {
    let file = fs_err::tokio::File::open(path).await?;
    let size = file.metadata().await?.len();
    Ok(NewLayer {
        size,
        content: ReaderStream::with_capacity(file, 256 << 10).boxed(),
    })
}
