//! What a step leaves behind.

use crate::cache::{Key, RecordedLayer};
use crate::image::Layer;

use super::rootfs::Rootfs;

/// The files after a step, as an image in the engine.
#[derive(Clone)]
pub struct Snapshot {
    /// The engine's ID or name of it; `None` is `scratch`.
    pub image: Option<String>,
    /// All layers, lowest first.
    pub layers: Vec<RecordedLayer>,
    /// What the step is known by when only its definition is known.
    pub definition: Key,
    /// What the step is known by when its inputs are.
    pub content: Key,
    pub(super) rootfs: Rootfs,
}

impl Snapshot {
    pub(super) fn plain_layers(&self) -> Vec<Layer> {
        self.layers.iter().map(RecordedLayer::layer).collect()
    }
}
