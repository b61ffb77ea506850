//! What a cache outside the engine says of the steps it has.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Key, RecordedLayer};
use crate::image::{Descriptor, Digest};

/// Changes when older caches must not be read any more.
const VERSION: u32 = 1;

/// A step that some engine made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStep {
    /// What it is known by: its definition, its content.
    pub keys: Vec<String>,
    pub content: String,
    pub title: String,
    /// All layers, lowest first, without what an engine stores them as.
    pub layers: Vec<RecordedLayer>,
}

/// The steps of a cache, and where their layers are in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    version: u32,
    pub steps: Vec<KeptStep>,
    /// By the layers' diff IDs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blobs: BTreeMap<String, Descriptor>,
}

impl Kept {
    pub fn new(steps: Vec<KeptStep>, blobs: BTreeMap<String, Descriptor>) -> Self {
        Self {
            version: VERSION,
            steps,
            blobs,
        }
    }

    /// Reads one; `None` when it is not ours to read.
    pub fn read(text: &[u8]) -> Option<Self> {
        let kept: Self = serde_json::from_slice(text).ok()?;
        (kept.version == VERSION).then_some(kept)
    }

    /// The layers that steps made, each once.
    pub fn made(&self) -> Vec<Digest> {
        let mut made: Vec<Digest> = Vec::new();
        let mut seen = HashMap::new();
        let layers = self.steps.iter().flat_map(|step| &step.layers);
        for layer in layers.filter(|layer| layer.created.is_some()) {
            if seen.insert(&layer.diff_id, ()).is_none() {
                made.push(layer.diff_id.clone());
            }
        }
        made
    }
}

impl KeptStep {
    pub fn is_known_by(&self, key: &Key) -> bool {
        self.keys.iter().any(|known| known == key.as_str())
    }
}
