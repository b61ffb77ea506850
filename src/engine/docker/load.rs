//! Authors an image: exactly a config over layers that the engine has, and one new layer.
//!
//! Neither store needs the layers that it has already in the archive:
//! - A graph driver takes a docker-archive whose `manifest.json` names them without their tars.
//! - The containerd store takes an OCI layout whose manifest names them by their descriptors.
//!
//! In both, what names the digest of the new layer comes after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::query_parameters::ImportImageOptionsBuilder;
use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use futures::stream::BoxStream;
use serde_json::json;

use super::archive::{self, File};
use super::manifest::{EntryPlatform, Index, IndexEntry, Manifest, oci_layer_type};
use super::peek::{OCI_LAYOUT, blob};
use super::{DockerEngine, error, image, nonce};
use crate::engine::{EngineError, LoadRequest, Loaded, Result};
use crate::image::{Descriptor, Digest, ImageConfig, Layer, media_type};

type MakeConfig = Box<dyn FnOnce(&[Layer]) -> ImageConfig + Send>;

/// What the archive turned out to hold, known when its last byte is made.
struct Made {
    loaded: Loaded,
    /// The manifest, where that is what an image hangs from.
    root: Option<Descriptor>,
}

impl DockerEngine {
    pub(super) async fn load_image(&self, request: LoadRequest) -> Result<Loaded> {
        let LoadRequest {
            below,
            new_layer,
            config,
            tags,
            take_names,
        } = request;
        let size = new_layer.as_ref().map(|layer| layer.size);
        let made = Arc::new(Mutex::new(None));
        let result = Arc::clone(&made);
        let keep =
            move |it: Made| *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(it);
        // The containerd store drops the image that had a name when a load takes it, though
        // somebody may be building upon it, and two loads of one name get in each other's way. So
        // the image is loaded without any, and named afterwards: that leaves the other one.
        let (named, named_afterwards) = if self.is_containerd() {
            (Vec::new(), tags)
        } else {
            (tags, Vec::new())
        };
        let has_names = !named.is_empty();
        let body = if self.is_containerd() {
            // containerd resumes an upload of the same name: no two loads may share one. It
            // stores every file under the digest of its content, whatever it is called.
            let layer = new_layer.map(|layer| (format!("blobs/{}", nonce()), layer));
            archive::body(
                vec![File::new("oci-layout", OCI_LAYOUT)],
                layer,
                move |digest| {
                    let layers = with_new(below, digest, size);
                    let (made, files) = oci_layout(layers, config);
                    keep(made);
                    files
                },
            )
        } else {
            let layer = new_layer.map(|layer| (NEW_LAYER.to_owned(), layer));
            archive::body(Vec::new(), layer, move |digest| {
                let layers = with_new(below, digest, None);
                let (made, files) = docker_archive(layers, config, &named, size.is_some());
                keep(made);
                files
            })
        };
        let said = self.import(body).await;
        let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (said, Made { loaded, root }) = match (said, made) {
            (Ok(said), Some(made)) => (said, made),
            (Ok(_), None) => {
                let early = "it took an image before it was sent";
                return Err(EngineError::Unexpected(early.into()));
            }
            (Err(error), Some(made)) if self.is_containerd() => {
                // Equal loads at once get in each other's way, though either makes the same.
                if !error.to_string().contains("already exists") {
                    self.undo(&made.loaded.id).await;
                    return Err(error);
                }
                if self.image_summary(&made.loaded.id).await?.is_none() {
                    return Err(error);
                }
                (Vec::new(), made)
            }
            (Err(error), _) => return Err(error),
        };
        self.check(&loaded, &said, has_names).await?;
        if let Some(descriptor) = root {
            let diff_ids = loaded
                .layers
                .iter()
                .map(|layer| layer.diff_id.clone())
                .collect();
            self.remember(
                &loaded.id,
                image::Root {
                    descriptor,
                    diff_ids,
                },
            );
        }
        let tagged = named_afterwards.iter().map(async |name| {
            if !take_names && self.image_summary(name).await?.is_some() {
                return Ok(());
            }
            self.tag_image(&loaded.id, name).await
        });
        try_join_all(tagged).await?;
        Ok(loaded)
    }

    /// Sends an archive; gives what the engine says of it.
    pub(super) async fn import(
        &self,
        body: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Vec<String>> {
        // hyper wraps an error of the body in its own; the first cause is kept here.
        let ours = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&ours);
        let body = body.inspect_err(move |error| {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        });
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let lines: std::result::Result<Vec<_>, _> = self
            .docker
            .import_image_stream(options, body, None)
            .try_collect()
            .await;
        if let Some(reason) = ours.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(EngineError::Local(reason));
        }
        let lines = lines.map_err(|error| self.error(error))?;
        let said: Vec<String> = lines.into_iter().filter_map(|line| line.stream).collect();
        // The containerd store calls this a success.
        match said
            .iter()
            .find(|line| line.starts_with("Error unpacking image"))
        {
            Some(failed) => Err(error::from_answer(500, failed.trim())),
            None => Ok(said),
        }
    }

    /// The containerd store keeps an image that it could not unpack.
    async fn undo(&self, id: &str) {
        if let Err(error) = self.drop_image(id, true).await {
            tracing::debug!(%id, %error, "an image that failed to load stays");
        }
    }

    /// Makes sure that the engine made what we meant.
    async fn check(&self, loaded: &Loaded, said: &[String], named: bool) -> Result<()> {
        let ids: Vec<&str> = said
            .iter()
            .filter_map(|line| line.trim().strip_prefix("Loaded image ID: "))
            .collect();
        let right = match ids.as_slice() {
            [] if !named || !self.is_containerd() => {
                self.image_summary(&loaded.id).await?.is_some()
            }
            [] => said.iter().any(|line| line.starts_with("Loaded image")),
            ids => ids.contains(&loaded.id.as_str()),
        };
        if right {
            return Ok(());
        }
        Err(EngineError::Unexpected(format!(
            "it was to load the image `{}` and says: {}",
            loaded.id,
            said.join(" ").trim()
        )))
    }
}

/// The new layer's file in a docker-archive. Nobody else sees it there.
const NEW_LAYER: &str = "layer.tar";

/// The layers below and, if there is one, the new layer. Only the containerd store, which knows
/// layers as blobs, is told its size.
fn with_new(mut layers: Vec<Layer>, digest: Option<Digest>, size: Option<u64>) -> Vec<Layer> {
    if let Some(diff_id) = digest {
        let blob = size.map(|size| Descriptor {
            media_type: media_type::OCI_LAYER.into(),
            digest: diff_id.clone(),
            size,
        });
        layers.push(Layer { diff_id, blob });
    }
    layers
}

fn config_json(config: MakeConfig, layers: &[Layer]) -> (ImageConfig, Vec<u8>) {
    let mut config = config(layers);
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let bytes = serde_json::to_vec(&config).unwrap_or_default();
    (config, bytes)
}

fn docker_archive(
    layers: Vec<Layer>,
    config: MakeConfig,
    tags: &[String],
    has_new: bool,
) -> (Made, Vec<File>) {
    let (_, config) = config_json(config, &layers);
    let id = Digest::sha256(&config);
    let config_name = format!("{}.json", id.hex());
    // Files that are not in the archive: the engine does not look, since it has those layers.
    let mut tars: Vec<String> = layers
        .iter()
        .map(|layer| format!("{}.tar", layer.diff_id.hex()))
        .collect();
    if has_new && let Some(last) = tars.last_mut() {
        *last = NEW_LAYER.into();
    }
    let manifest = json!([{ "Config": config_name, "RepoTags": tags, "Layers": tars }]);
    let files = vec![
        File::new(config_name, config),
        File::new("manifest.json", manifest.to_string()),
    ];
    (
        Made {
            loaded: Loaded {
                id: id.to_string(),
                layers,
                manifest: None,
            },
            root: None,
        },
        files,
    )
}

fn oci_layout(layers: Vec<Layer>, config: MakeConfig) -> (Made, Vec<File>) {
    let (config, config_bytes) = config_json(config, &layers);
    let (config_blob, config_file) = blob(media_type::OCI_CONFIG, config_bytes);
    let blobs = layers.iter().map(|layer| match &layer.blob {
        Some(blob) => Descriptor {
            media_type: oci_layer_type(&blob.media_type),
            ..blob.clone()
        },
        // A layer of unknown blob: if it was stored uncompressed, this is it, but for the size.
        None => Descriptor {
            media_type: media_type::OCI_LAYER.into(),
            digest: layer.diff_id.clone(),
            size: 0,
        },
    });
    let manifest = Manifest::new(config_blob, blobs.collect());
    let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
    let (manifest, manifest_file) = blob(media_type::OCI_MANIFEST, manifest);
    // Without a name the engine keeps the image under one of its own, by its ID.
    let entry = IndexEntry {
        descriptor: manifest.clone(),
        platform: Some(EntryPlatform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
        }),
        annotations: BTreeMap::new(),
    };
    let index = serde_json::to_vec(&Index::new(vec![entry])).unwrap_or_default();
    let files = vec![config_file, manifest_file, File::new("index.json", index)];
    let id = manifest.digest.to_string();
    (
        Made {
            loaded: Loaded {
                id,
                layers,
                manifest: Some(manifest.clone()),
            },
            root: Some(manifest),
        },
        files,
    )
}
