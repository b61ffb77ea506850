//! Writes a cache: the layers that are not there yet, then what says which steps they are.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde_json::json;

use super::CONFIG;
use super::place::{Place, PlaceError};
use super::read::Document;
use crate::cache::{Kept, KeptStep};
use crate::image::{Descriptor, Digest, Platform, media_type};
use crate::registry::Content;

/// A layer that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub blob: Descriptor,
    pub path: PathBuf,
}

/// Sends the steps. `pack` is asked for the layers that the cache does not have: once, with all
/// of them.
///
/// # Errors
/// When the place does not take them.
pub async fn send(
    place: &Place,
    platform: &Platform,
    steps: Vec<KeptStep>,
    scratch: &std::path::Path,
    pack: impl AsyncFnOnce(Vec<Digest>) -> io::Result<BTreeMap<String, Sent>>,
) -> Result<(), PlaceError> {
    // One that cannot be read is written anew.
    let old = Document::read(place, platform, scratch).await;
    let old = old.ok().flatten();
    let mut known = old.map(|document| document.blobs).unwrap_or_default();
    let made = Kept::new(steps, BTreeMap::new());
    let layers = made.made();
    let missing = layers.iter().filter(|id| !known.contains_key(id.as_str()));
    let missing: Vec<Digest> = missing.cloned().collect();
    if !missing.is_empty() {
        for (diff_id, sent) in pack(missing).await? {
            place
                .put_blob(&sent.blob, Content::File(&sent.path))
                .await?;
            known.insert(diff_id, sent.blob);
        }
    }
    known.retain(|id, _| layers.iter().any(|layer| layer.as_str() == id));
    let blobs: Vec<Descriptor> = layers
        .iter()
        .filter_map(|id| known.get(id.as_str()).cloned())
        .collect();
    let kept = Kept::new(made.steps, known);
    let config = serde_json::to_vec(&kept).map_err(io::Error::other)?;
    let named = Descriptor {
        media_type: CONFIG.into(),
        digest: Digest::sha256(&config),
        size: config.len() as u64,
    };
    place.put_blob(&named, Content::Bytes(&config)).await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": named,
        "layers": blobs,
    });
    place.put_manifest(manifest.to_string().as_bytes()).await
}
