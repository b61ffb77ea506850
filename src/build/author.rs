//! Step images: a layer on top of the step before, and a config of our own.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;

use super::rootfs::Rootfs;
use super::snapshot::Snapshot;
use crate::cache::{Key, LABEL, Leak, Record, RecordedLayer};
use crate::engine::{Engine, LoadRequest, NewLayer, Result};
use crate::image::{Config, History, ImageConfig, Layer, Platform, RootFs};
use crate::plan::Step;

/// How a step's image is to be known.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) definition: Key,
    pub(super) content: Key,
    /// Whether the step was made in spite of an equal one that may be there (`--no-cache`): this
    /// one is used from now on.
    pub(super) anew: bool,
    /// What its layer may hold of secrets.
    pub(super) leaks: Vec<Leak>,
    /// When it was made, if that was elsewhere.
    pub(super) created: Option<String>,
}

impl Names {
    fn tags(&self) -> Vec<String> {
        let mut tags = vec![self.content.image_name()];
        if self.definition != self.content {
            tags.push(self.definition.image_name());
        }
        tags
    }
}

/// A layer of no files.
pub(super) fn empty_layer() -> NewLayer {
    let zeros = Bytes::from_static(&[0; 1024]);
    let content = futures::stream::once(async move { Ok(zeros) }).boxed();
    NewLayer {
        size: 1024,
        content,
    }
}

/// Makes the image of a step: `below` with one more layer, or exactly `below` when the layer was
/// already put there by a commit.
pub(super) async fn step_image(
    engine: &Arc<dyn Engine>,
    platform: &Platform,
    step: &Step,
    names: Names,
    below: Vec<RecordedLayer>,
    new_layer: Option<NewLayer>,
) -> Result<Authored> {
    let created = names.created.clone();
    let created = created.unwrap_or_else(|| jiff::Timestamp::now().to_string());
    let plain = below.iter().map(RecordedLayer::layer).collect();
    let request = LoadRequest {
        below: plain,
        new_layer,
        tags: names.tags(),
        take_names: names.anew,
        config: {
            let document = Document {
                platform: platform.clone(),
                config: step.config.clone(),
                title: step.title.clone(),
                key: names.content.clone(),
                below: below.clone(),
                created: created.clone(),
                leaks: names.leaks.clone(),
            };
            Box::new(move |layers| document.config(layers))
        },
    };
    let loaded = engine.load(request).await?;
    Ok(Authored {
        image: loaded.id,
        layers: recorded(&loaded.layers, &below, &created, &names.leaks),
        names,
    })
}

/// What was made.
pub(super) struct Authored {
    pub(super) image: String,
    layers: Vec<RecordedLayer>,
    names: Names,
}

impl Authored {
    pub(super) fn snapshot(self, rootfs: Rootfs) -> Snapshot {
        Snapshot {
            image: Some(self.image),
            layers: self.layers,
            definition: self.names.definition,
            content: self.names.content,
            rootfs,
            later: None,
            depth: None,
            place: None,
        }
    }
}

/// Keeps what is recorded of the layers that were there; a new one is of now.
fn recorded(
    layers: &[Layer],
    below: &[RecordedLayer],
    created: &str,
    leaks: &[Leak],
) -> Vec<RecordedLayer> {
    let record = |(index, layer): (usize, &Layer)| {
        let known = below.get(index);
        RecordedLayer {
            diff_id: layer.diff_id.clone(),
            blob: layer.blob.clone(),
            created: known.map_or_else(|| Some(created.to_owned()), |l| l.created.clone()),
            leaks: known.map_or(leaks, |known| &known.leaks).to_vec(),
        }
    };
    layers.iter().enumerate().map(record).collect()
}

struct Document {
    platform: Platform,
    config: Config,
    title: String,
    key: Key,
    below: Vec<RecordedLayer>,
    created: String,
    leaks: Vec<Leak>,
}

impl Document {
    fn config(self, layers: &[Layer]) -> ImageConfig {
        let layers = recorded(layers, &self.below, &self.created, &self.leaks);
        let mut config = self.config;
        let history = layers.iter().map(|layer| History {
            created: layer.created.clone(),
            created_by: self.title.clone(),
            ..History::default()
        });
        let history = history.collect();
        let diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let record = Record {
            key: self.key.as_str().to_owned(),
            title: self.title.clone(),
            layers,
        };
        config.labels.insert(LABEL.to_owned(), record.to_label());
        ImageConfig {
            architecture: self.platform.architecture,
            variant: self.platform.variant,
            os: self.platform.os,
            created: Some(self.created),
            config,
            rootfs: RootFs {
                diff_ids,
                ..RootFs::default()
            },
            history,
            ..ImageConfig::default()
        }
    }
}
