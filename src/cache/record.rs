//! What a step's image says about itself, in a label of its config.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Key;
use crate::image::{Descriptor, Digest, Layer};

/// The label that holds the record. It is on step images only, never on a result.
pub const LABEL: &str = "bowline.step";

/// What must be known of a step's image to build on it, or to author a result over it,
/// without asking the engine anything more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The content key of the step.
    pub key: String,
    /// The step, for people.
    #[serde(default)]
    pub title: String,
    /// All layers, lowest first.
    pub layers: Vec<RecordedLayer>,
}

/// A layer and when a step made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLayer {
    #[serde(rename = "d")]
    pub diff_id: Digest,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Descriptor>,
    /// RFC 3339; absent for layers of the base image.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Secrets that are in it, or may have been copied into it.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
}

/// A secret that a step left in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leak {
    /// The secret's ID.
    pub secret: String,
    /// The file, with every secret in its name masked.
    pub path: String,
    /// The title of the step.
    pub step: String,
}

impl RecordedLayer {
    pub fn layer(&self) -> Layer {
        Layer {
            diff_id: self.diff_id.clone(),
            blob: self.blob.clone(),
        }
    }
}

impl Record {
    /// Reads the record of a step's image; `None` when there is none or it is not ours to read.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        serde_json::from_str(labels.get(LABEL)?).ok()
    }

    pub fn to_label(&self) -> String {
        serde_json::to_string(self).expect("a record is plain data")
    }

    pub fn content_key(&self) -> Key {
        Key::from_text(&self.key)
    }
}
