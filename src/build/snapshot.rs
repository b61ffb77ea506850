//! What a step leaves behind.

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

use super::failure::{self, Failure};
use super::rootfs::Rootfs;
use super::share::Place;
use crate::cache::{Key, RecordedLayer};
use crate::image::Layer;

/// A snapshot, or why there is none.
pub(super) type StageResult = Result<Snapshot, Failure>;
/// One that several may wait for. The work stops when nobody does any more.
pub(super) type StageFuture = Shared<BoxFuture<'static, StageResult>>;

/// The files after a step, as an image in the engine.
#[derive(Clone)]
pub struct Snapshot {
    /// The engine's ID or name of it; `None` is `scratch`.
    pub image: Option<String>,
    /// All layers, lowest first; not known before it is [`settled`](Self::settled).
    pub layers: Vec<RecordedLayer>,
    /// What the step is known by when only its definition is known.
    pub definition: Key,
    /// What the step is known by when its inputs are.
    pub content: Key,
    pub(super) rootfs: Rootfs,
    /// The step's own image, while it is still being made. Containers can be created from
    /// `image` already.
    pub(super) later: Option<StageFuture>,
    /// How many layers `image` has, as long as they are not known.
    pub(super) depth: Option<usize>,
    /// Where the next step can go on in a container that is there; `image` is then not known
    /// before the step's own is made.
    pub(super) place: Option<Place>,
}

impl Snapshot {
    /// The snapshot with its layers, and with the step's own image.
    pub(super) async fn settled(&self) -> StageResult {
        match &self.later {
            None => Ok(self.clone()),
            Some(later) => Ok(Self {
                place: self.place.clone(),
                ..later.clone().await?
            }),
        }
    }

    /// The snapshot with an image that containers can be created from.
    pub(super) async fn with_image(&self) -> StageResult {
        match &self.place {
            Some(_) => self.settled().await,
            None => Ok(self.clone()),
        }
    }

    pub(super) fn plain_layers(&self) -> Vec<Layer> {
        self.layers.iter().map(RecordedLayer::layer).collect()
    }
}

/// Starts work that several may wait for.
pub(super) fn start(work: impl Future<Output = StageResult> + Send + 'static) -> StageFuture {
    let task = AbortOnDropHandle::new(tokio::spawn(work));
    let joined = async move {
        match task.await {
            Ok(result) => result,
            Err(error) => Err(Arc::new(failure::internal(&error.to_string()))),
        }
    };
    joined.boxed().shared()
}
