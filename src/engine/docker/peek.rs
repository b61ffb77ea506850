//! One small blob out of the containerd store, by its digest.
//!
//! The API has no call for it, and an export of the whole image passes through containerd at
//! some 40 MB/s. But a manifest may call anything a layer: a tiny image is loaded whose only
//! "layer" is the wanted blob, which the store has already, and is exported again. Its platform
//! is nobody's, so nothing is unpacked. It has no name, so what a crash leaves behind goes with
//! `docker image prune`, and it is labelled.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::archive::{self, File};
use super::manifest::{Index, IndexEntry, Manifest};
use super::untar::Untar;
use super::{DockerEngine, nonce};
use crate::engine::{EngineError, Result};
use crate::image::{Descriptor, Digest, media_type};

/// The label of images that `peek` makes.
const LABEL: &str = "bowline.peek";

impl DockerEngine {
    /// The content of a blob; meant for manifests and configs.
    pub(super) async fn peek(&self, wanted: &Descriptor) -> Result<Bytes> {
        // Two peeks at the same blob must not remove each other's image.
        let config = json!({
            "architecture": "none",
            "os": "none",
            "config": { "Labels": { LABEL: nonce() } },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let (config, config_file) = blob(media_type::OCI_CONFIG, config.to_string());
        let opaque = Descriptor {
            media_type: "application/octet-stream".into(),
            ..wanted.clone()
        };
        let manifest = json(&Manifest::new(config, vec![opaque]))?;
        let (manifest, manifest_file) = blob(media_type::OCI_MANIFEST, manifest);
        let id = manifest.digest.clone();
        let entry = IndexEntry {
            descriptor: manifest,
            platform: None,
            annotations: BTreeMap::new(),
        };
        let files = vec![
            File::new("oci-layout", OCI_LAYOUT),
            config_file,
            manifest_file,
            File::new("index.json", json(&Index::new(vec![entry]))?),
        ];
        self.import(archive::body(files, None, |_| Vec::new()))
            .await?;
        let content = self.exported_blob(&id, wanted).await;
        let (docker, image) = (self.docker.clone(), id.to_string());
        tokio::spawn(async move {
            let options = bollard::query_parameters::RemoveImageOptionsBuilder::new();
            let options = options.force(true).noprune(true).build();
            if let Err(error) = docker.remove_image(&image, Some(options), None).await {
                tracing::debug!(%image, %error, "a peek's image stays");
            }
        });
        content
    }

    async fn exported_blob(&self, image: &Digest, wanted: &Descriptor) -> Result<Bytes> {
        let name = format!("blobs/sha256/{}", wanted.digest.hex());
        let mut untar = Untar::new(self.export(image.as_str()));
        while let Some(entry) = untar.next().await? {
            if entry.name != name {
                continue;
            }
            let content = untar.read(&entry).await?;
            if Digest::sha256(&content) != wanted.digest {
                break;
            }
            return Ok(content);
        }
        Err(EngineError::Unexpected(format!(
            "it does not export the blob `{}`",
            wanted.digest
        )))
    }
}

pub(super) const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| EngineError::Local(error.to_string()))
}

/// A blob's descriptor, and its file in an OCI layout.
pub(super) fn blob(media_type: &str, content: impl Into<Vec<u8>>) -> (Descriptor, File) {
    let content = content.into();
    let digest = Digest::sha256(&content);
    let name = format!("blobs/sha256/{}", digest.hex());
    let size = content.len() as u64;
    (
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
        },
        File::new(name, content),
    )
}
