//! What an image is, in our own words: references, digests, platforms and the image config.
//!
//! The types follow the OCI image-spec (`application/vnd.oci.image.config.v1+json`) with the
//! Docker additions that engines write (`OnBuild`, `Healthcheck`, `Shell`). Nothing here talks
//! to an engine or to a registry.

mod config;
mod platform;
mod reference;

pub use config::{
    Config, Empty, Healthcheck, History, ImageConfig, RootFs, default_path, ordered_env_set,
};
pub use platform::Platform;
pub use reference::{Reference, ReferenceError};

/// A content digest as `algorithm:hex`, for example `sha256:9f86d0…`.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Takes the text of a digest as an engine or a registry gives it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The SHA-256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_sha256(&sha2::Sha256::digest(bytes))
    }

    /// A digest from a finished SHA-256 state.
    pub fn from_sha256(hash: &[u8]) -> Self {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in hash {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the algorithm.
    pub fn hex(&self) -> &str {
        self.0
            .split_once(':')
            .map_or(self.0.as_str(), |(_, hex)| hex)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a layer of no files: a tar of 1,024 zero bytes.
/// A step that changes nothing still adds this layer, as BuildKit does.
pub const EMPTY_LAYER_DIFF_ID: &str =
    "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// Media types of the OCI image-spec and of Docker's image manifest v2.
pub mod media_type {
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
}

/// Where a stored blob is found: the OCI content descriptor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Descriptor {
    #[serde(rename = "mediaType")]
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// One layer of an image: the digest of its uncompressed tar and, where the engine keeps
/// layers as blobs (the containerd image store), the blob that holds it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Layer {
    pub diff_id: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Descriptor>,
}

impl Layer {
    pub fn empty() -> Self {
        Self {
            diff_id: Digest::new(EMPTY_LAYER_DIFF_ID),
            blob: None,
        }
    }
}
