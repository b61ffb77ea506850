//! A manifest that holds what an image attests of itself, as registries show it.

use std::io;

use serde_json::{Value, json};

use super::image::{Described, DescribedPlatform, Document};
use super::provenance::{MEDIA_TYPE, PREDICATE};
use crate::image::{Digest, media_type};

pub(super) struct Attestation {
    pub(super) statement: Document,
    pub(super) config: Document,
    pub(super) manifest: Document,
    /// As the index beside the image names it.
    pub(super) described: Described,
}

/// Wraps a statement about the image with this manifest.
pub(super) fn attestation(statement: &Value, image: &Digest) -> io::Result<Attestation> {
    let statement = Document::new(MEDIA_TYPE, serde_json::to_vec(statement)?);
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [statement.descriptor.digest] },
    });
    let config = Document::new(media_type::OCI_CONFIG, serde_json::to_vec(&config)?);
    let mut layer = serde_json::to_value(&statement.descriptor)?;
    layer["annotations"] = json!({ "in-toto.io/predicate-type": PREDICATE });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config.descriptor,
        "layers": [layer],
    });
    let manifest = Document::new(
        media_type::OCI_MANIFEST,
        serde_json::to_vec_pretty(&manifest)?,
    );
    let annotations = [
        ("vnd.docker.reference.digest", image.as_str()),
        ("vnd.docker.reference.type", "attestation-manifest"),
    ];
    let described = Described {
        descriptor: manifest.descriptor.clone(),
        annotations: annotations
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        platform: Some(DescribedPlatform {
            architecture: "unknown".into(),
            os: "unknown".into(),
            variant: None,
        }),
    };
    Ok(Attestation {
        statement,
        config,
        manifest,
        described,
    })
}
