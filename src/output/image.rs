//! The documents of an image: config, manifest, descriptor, as BuildKit writes them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layer::{Blob, encode};
use super::saved::Saved;
use crate::image::{Descriptor, Digest, ImageConfig, Platform, media_type};
use crate::request::{AnnotationPlace, ImageOptions};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// An image that can be written anywhere.
pub(super) struct Image {
    pub(super) layers: Vec<Blob>,
    pub(super) config: Document,
    pub(super) manifest: Document,
    pub(super) platform: Platform,
    /// Annotations of the manifest's descriptor.
    pub(super) annotations: BTreeMap<String, String>,
}

/// A document and what names it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
}

impl Document {
    pub(super) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        let descriptor = Descriptor {
            media_type: media_type.into(),
            digest: Digest::sha256(&bytes),
            size: bytes.len() as u64,
        };
        Self { descriptor, bytes }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: &'a Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// Makes the image's documents and gives its layers the wanted form. `base` layers are of the
/// base image, whose times never change.
pub(super) fn assemble(
    saved: &Saved,
    mut config: ImageConfig,
    options: &ImageOptions,
    oci: bool,
    epoch: Option<i64>,
    base: usize,
) -> io::Result<Image> {
    let dir: &Path = saved.dir.path();
    let clamp = epoch.filter(|_| options.rewrite_timestamp);
    let mut layers = Vec::with_capacity(saved.layers.len());
    for (index, layer) in saved.layers.iter().enumerate() {
        let clamp = clamp.filter(|_| index >= base);
        layers.push(encode(layer, options, clamp, dir)?);
    }
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let platform = config.platform();
    let (manifest_type, config_type) = if oci {
        (media_type::OCI_MANIFEST, media_type::OCI_CONFIG)
    } else {
        (DOCKER_MANIFEST, DOCKER_CONFIG)
    };
    let config = Document::new(config_type, serde_json::to_vec(&config)?);
    let annotations = |place| options.annotations_for(place, &platform);
    let manifest = Manifest {
        schema_version: 2,
        media_type: manifest_type,
        config: &config.descriptor,
        layers: layers.iter().map(|layer| layer.descriptor(oci)).collect(),
        annotations: annotations(AnnotationPlace::Manifest),
    };
    let manifest = Document::new(manifest_type, serde_json::to_vec_pretty(&manifest)?);
    let annotations = annotations(AnnotationPlace::ManifestDescriptor);
    Ok(Image {
        layers,
        config,
        manifest,
        platform,
        annotations,
    })
}

/// A descriptor with everything that an index says of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    #[serde(flatten)]
    pub descriptor: Descriptor,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescribedPlatform>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DescribedPlatform {
    pub architecture: String,
    pub os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Names several images.
pub(super) fn index(
    manifests: Vec<Described>,
    options: &ImageOptions,
    oci: bool,
) -> io::Result<Document> {
    let media_type = if oci {
        media_type::OCI_INDEX
    } else {
        DOCKER_LIST
    };
    let index = Index {
        schema_version: 2,
        media_type,
        manifests,
        annotations: options.annotations_of(AnnotationPlace::Index),
    };
    Ok(Document::new(
        media_type,
        serde_json::to_vec_pretty(&index)?,
    ))
}

impl DescribedPlatform {
    pub(super) fn of(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
        }
    }
}

/// An index as another names it, made at `created`.
pub(super) fn describe_index(index: &Document, options: &ImageOptions, created: &str) -> Described {
    let mut annotations = options.annotations_of(AnnotationPlace::IndexDescriptor);
    note_creation(&mut annotations, created);
    Described {
        descriptor: index.descriptor.clone(),
        annotations,
        platform: None,
    }
}

fn note_creation(annotations: &mut BTreeMap<String, String>, created: &str) {
    let key = "org.opencontainers.image.created";
    annotations
        .entry(key.into())
        .or_insert_with(|| created.into());
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'a str,
    manifests: Vec<Described>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Image {
    /// As an index names it, made at `created`.
    pub(super) fn described(&self, created: &str) -> Described {
        let mut annotations = self.annotations.clone();
        note_creation(&mut annotations, created);
        self.named(annotations)
    }

    /// As an index beside others names it.
    pub(super) fn named_plainly(&self) -> Described {
        self.named(self.annotations.clone())
    }

    fn named(&self, annotations: BTreeMap<String, String>) -> Described {
        Described {
            descriptor: self.manifest.descriptor.clone(),
            annotations,
            platform: Some(DescribedPlatform::of(&self.platform)),
        }
    }
}
