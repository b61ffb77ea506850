//! The engine's own image store.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::Product;
use super::image::{Described, DescribedPlatform};
use super::layer::encode;
use crate::engine::{Engine, EngineError, ImageStore, LoadRequest, NewLayer, Result};
use crate::image::{ImageConfig, Layer};
use crate::request::{Compression, ImageOptions};

/// An image in the engine.
pub struct Stored {
    pub id: String,
    pub described: Option<Described>,
}

/// Makes the image and names it. An image that is there already is only named.
///
/// # Errors
/// When the engine refuses.
pub async fn to_engine(
    engine: &dyn Engine,
    config: ImageConfig,
    layers: Vec<Layer>,
    tags: &[String],
) -> Result<Stored> {
    if engine.info().store == ImageStore::GraphDriver {
        // There the ID is the digest of the config.
        let id = config.digest();
        if let Some(image) = engine.image(id.as_str()).await? {
            for tag in tags {
                engine.tag(&image.id, tag).await?;
            }
            return Ok(Stored {
                id: image.id,
                described: None,
            });
        }
    }
    let platform = config.platform();
    let request = LoadRequest {
        take_names: true,
        below: layers,
        new_layer: None,
        config: Box::new(move |_| config),
        tags: tags.to_vec(),
    };
    let loaded = engine.load(request).await?;
    let described = loaded.manifest.map(|descriptor| Described {
        descriptor,
        annotations: BTreeMap::new(),
        platform: Some(DescribedPlatform::of(&platform)),
    });
    Ok(Stored {
        id: loaded.id,
        described,
    })
}

/// Gives the engine the layers of a build with no time after the epoch; those of the base image
/// stay. Gives all layers, and the untagged images on the way, which are to be removed when the
/// result exists.
///
/// # Errors
/// When the engine refuses, or a layer cannot be read.
pub async fn rewritten(
    engine: &dyn Engine,
    product: &Arc<Product>,
    layers: &[Layer],
) -> Result<(Vec<Layer>, Vec<String>)> {
    let local = |error: std::io::Error| EngineError::Local(error.to_string());
    let mut below = layers[..product.base].to_vec();
    let mut steps = Vec::new();
    for index in product.base..layers.len() {
        let work = Arc::clone(product);
        let blob = tokio::task::spawn_blocking(move || {
            let options = ImageOptions {
                compression: Compression::Uncompressed,
                ..ImageOptions::default()
            };
            let layer = &work.saved.layers[index];
            encode(layer, &options, work.epoch, work.saved.dir.path())
        });
        let blob = blob
            .await
            .map_err(|error| local(std::io::Error::other(error)))?;
        let blob = blob.map_err(local)?;
        let file = fs_err::tokio::File::open(&blob.path).await.map_err(local)?;
        let platform = product.config.platform();
        let request = LoadRequest {
            below,
            new_layer: Some(NewLayer {
                size: blob.size,
                content: ReaderStream::new(file).boxed(),
            }),
            config: Box::new(move |layers| {
                let mut config = ImageConfig::scratch(&platform);
                config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
                config
            }),
            tags: Vec::new(),
            take_names: false,
        };
        let loaded = engine.load(request).await?;
        steps.push(loaded.id);
        below = loaded.layers;
    }
    Ok((below, steps))
}
