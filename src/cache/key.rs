//! Cache keys.

use std::fmt;

use serde::Serialize;

use super::REPOSITORY;
use crate::image::Platform;
use crate::plan::Action;

/// Changes when keys of old versions must not be found any more.
const VERSION: u32 = 1;

/// The identity of a step and of everything before it: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// What a step reads besides the state before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Inputs {
    /// Nothing.
    None,
    /// Files with this content digest.
    Content(String),
    /// The result of a stage or an image, by its key.
    Stage(String),
    /// Several of these.
    Many(Vec<Inputs>),
}

#[derive(Serialize)]
struct StepDocument<'a> {
    version: u32,
    parent: &'a str,
    action: &'a Action,
    inputs: &'a Inputs,
}

impl Key {
    /// The key of an image that a stage starts from.
    pub fn image(id: &str) -> Self {
        Self::digest(&("image", VERSION, id))
    }

    /// The key of nothing.
    pub fn scratch(platform: &Platform) -> Self {
        Self::digest(&("scratch", VERSION, platform.to_string()))
    }

    /// The key of a step.
    pub fn step(parent: &Key, action: &Action, inputs: &Inputs) -> Self {
        Self::digest(&StepDocument {
            version: VERSION,
            parent: &parent.0,
            action,
            inputs,
        })
    }

    fn digest(document: &impl Serialize) -> Self {
        let text = serde_json::to_vec(document).expect("a key document is plain data");
        Self(blake3::hash(&text).to_hex()[..32].to_owned())
    }

    /// A key as a record has it.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the step's image in the engine.
    pub fn image_name(&self) -> String {
        format!("{REPOSITORY}:{}", self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
