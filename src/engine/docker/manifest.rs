//! Manifests and indexes of images, as blobs of the containerd store hold them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, Result};
use crate::image::{Descriptor, Digest, Layer, Platform, media_type};

/// A manifest: one image for one platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) schema_version: u32,
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// An index: manifests to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    #[serde(default)]
    pub(super) schema_version: u32,
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) manifests: Vec<IndexEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct IndexEntry {
    #[serde(flatten)]
    pub(super) descriptor: Descriptor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<EntryPlatform>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EntryPlatform {
    pub(super) architecture: String,
    pub(super) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) variant: Option<String>,
}

impl EntryPlatform {
    pub(super) fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

/// What a JSON blob is; told by its members, since the media type in it is optional.
pub(super) enum Document {
    Manifest(Manifest),
    Index(Index),
}

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if let Ok(manifest) = serde_json::from_slice(bytes) {
            return Some(Self::Manifest(manifest));
        }
        serde_json::from_slice(bytes).ok().map(Self::Index)
    }
}

impl Manifest {
    pub(super) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        let media_type = media_type::OCI_MANIFEST.into();
        Self {
            schema_version: 2,
            media_type,
            config,
            layers,
        }
    }

    /// The layers with their diff IDs.
    pub(super) fn layers(&self, diff_ids: &[Digest]) -> Result<Vec<Layer>> {
        if diff_ids.len() != self.layers.len() {
            return Err(EngineError::Unexpected(format!(
                "a manifest of {} layers with a config of {}",
                self.layers.len(),
                diff_ids.len()
            )));
        }
        let both = diff_ids.iter().zip(&self.layers);
        Ok(both
            .map(|(id, blob)| Layer {
                diff_id: id.clone(),
                blob: Some(blob.clone()),
            })
            .collect())
    }
}

impl Index {
    pub(super) fn new(manifests: Vec<IndexEntry>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::OCI_INDEX.into(),
            manifests,
        }
    }

    /// The entry for a platform, as containerd would choose.
    pub(super) fn choose(&self, wanted: &Platform) -> Option<&IndexEntry> {
        let platforms = self.manifests.iter().filter_map(|entry| {
            let attestation = entry.annotations.contains_key("vnd.docker.reference.type");
            let platform = entry.platform.as_ref().filter(|_| !attestation)?.platform();
            Some((rank(&platform, wanted)?, entry))
        });
        let best = platforms
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, entry)| entry);
        best.or_else(|| match self.manifests.as_slice() {
            [only] if only.platform.is_none() => Some(only),
            _ => None,
        })
    }
}

/// How well a platform does for a wanted one; the least is the best. Variants of ARM run what
/// was made for older ones.
pub(super) fn rank(platform: &Platform, wanted: &Platform) -> Option<u32> {
    if (&platform.os, &platform.architecture) != (&wanted.os, &wanted.architecture) {
        return None;
    }
    let number = |variant: &Option<String>| -> Option<u32> {
        variant
            .as_deref()
            .unwrap_or("v0")
            .strip_prefix('v')?
            .parse()
            .ok()
    };
    if platform.variant == wanted.variant {
        return Some(0);
    }
    let (has, wants) = (number(&platform.variant)?, number(&wanted.variant)?);
    (has <= wants).then(|| wants - has)
}

/// The OCI media type of a layer. Docker's own do not belong in an OCI manifest.
pub(super) fn oci_layer_type(media_type: &str) -> String {
    match media_type {
        "application/vnd.docker.image.rootfs.diff.tar" => {
            "application/vnd.oci.image.layer.v1.tar".into()
        }
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.v1.tar+gzip".into()
        }
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            "application/vnd.oci.image.layer.v1.tar+zstd".into()
        }
        "application/vnd.docker.image.rootfs.foreign.diff.tar" => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar".into()
        }
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".into()
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, platform: Option<(&str, &str, Option<&str>)>) -> IndexEntry {
        IndexEntry {
            descriptor: Descriptor {
                media_type: media_type::OCI_MANIFEST.into(),
                digest: Digest::new(name),
                size: 1,
            },
            platform: platform.map(|(os, architecture, variant)| EntryPlatform {
                os: os.into(),
                architecture: architecture.into(),
                variant: variant.map(str::to_owned),
            }),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn chooses_the_platform() {
        let mut attestation = entry("attestation", Some(("unknown", "unknown", None)));
        attestation
            .annotations
            .insert("vnd.docker.reference.type".into(), "x".into());
        let index = Index::new(vec![
            attestation,
            entry("amd64", Some(("linux", "amd64", None))),
            entry("v6", Some(("linux", "arm", Some("v6")))),
            entry("v5", Some(("linux", "arm", Some("v5")))),
            entry("arm64", Some(("linux", "arm64", Some("v8")))),
        ]);
        for (wanted, expected) in [
            (Platform::new("linux", "amd64", None), Some("amd64")),
            (Platform::new("linux", "amd64", Some("v3")), Some("amd64")),
            (Platform::new("linux", "arm", Some("v7")), Some("v6")),
            (Platform::new("linux", "arm", Some("v5")), Some("v5")),
            (Platform::new("linux", "arm64", None), Some("arm64")),
            (Platform::new("linux", "s390x", None), None),
            (Platform::new("windows", "amd64", None), None),
        ] {
            let chosen = index
                .choose(&wanted)
                .map(|entry| entry.descriptor.digest.as_str());
            assert_eq!(chosen, expected, "{wanted}");
        }
        let only = Index::new(vec![entry("only", None)]);
        assert!(
            only.choose(&Platform::new("linux", "s390x", None))
                .is_some()
        );
    }

    #[test]
    fn tells_manifests_from_indexes() {
        let manifest = br#"{"schemaVersion":2,"config":{"mediaType":"c","digest":"sha256:1","size":1},"layers":[]}"#;
        assert!(matches!(
            Document::parse(manifest),
            Some(Document::Manifest(_))
        ));
        let index = br#"{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":"sha256:1","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}"#;
        assert!(matches!(Document::parse(index), Some(Document::Index(_))));
        assert!(Document::parse(br#"{"rootfs":{}}"#).is_none());
    }
}
