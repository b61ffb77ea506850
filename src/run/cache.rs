//! `bowline cache`: what the engine keeps of steps, and less of it.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};

use super::{Ended, Surroundings};
use crate::build::{self, CacheVolume};
use crate::cache::{Bounds, REPOSITORY, Record, Steps, StoredStep};
use crate::engine::{Engine, EngineError};
use crate::image::Digest;

/// How many questions and removals are under way at once.
const AT_ONCE: usize = 4;

/// All steps that the engine keeps.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn cached_steps(around: &Surroundings) -> Result<Steps, Ended> {
    let found = read(&*around.engine).await;
    Ok(found.map_err(|error| build::of_engine(&error))?)
}

async fn read(engine: &dyn Engine) -> Result<Steps, EngineError> {
    let listed = engine.images_of(REPOSITORY).await?;
    let steps: Vec<StoredStep> = listed
        .into_iter()
        .filter_map(|image| {
            Some(StoredStep {
                record: Record::from_labels(&image.labels)?,
                id: image.id,
                names: image.repo_tags,
                created: image.created,
            })
        })
        .collect();
    let ends = Steps::ends(&steps).into_iter().cloned();
    let asked = futures::stream::iter(ends.collect::<Vec<_>>()).map(|step| async move {
        let sizes = match engine.layer_sizes(&step.id).await {
            Ok(sizes) => sizes,
            // Somebody has just removed it.
            Err(EngineError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        // A containerd store does not always know what a layer takes unpacked.
        let blobs = step.record.layers.iter().map(|layer| layer.blob.as_ref());
        let blobs = blobs.map(|blob| blob.map_or(0, |blob| blob.size));
        let sizes = sizes
            .into_iter()
            .zip(blobs)
            .map(|(size, blob)| size.max(blob));
        let sizes: Vec<u64> = sizes.collect();
        let layers = step.record.layers.into_iter().map(|layer| layer.diff_id);
        Ok((layers.collect::<Vec<Digest>>(), sizes))
    });
    let answers: Vec<(Vec<Digest>, Vec<u64>)> =
        asked.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut sizes = HashMap::new();
    for (layers, bytes) in answers {
        for (end, bytes) in (1..=layers.len()).zip(bytes) {
            sizes.insert(layers[..end].to_vec(), bytes);
        }
    }
    Ok(Steps::new(steps, &sizes))
}

/// What a prune did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    pub steps: usize,
    /// In bytes, as far as no image needs the layers.
    pub size: u64,
}

/// Removes the steps that are beyond the bounds; with `dry`, only counts them.
///
/// # Errors
/// When the engine refuses for another reason than that a step is in use.
pub async fn prune(around: &Surroundings, bounds: &Bounds, dry: bool) -> Result<Pruned, Ended> {
    let steps = cached_steps(around).await?;
    let going = steps.beyond(bounds);
    let own: HashMap<&str, u64> = steps
        .iter()
        .map(|(step, own)| (step.id.as_str(), own))
        .collect();
    let size = going.iter().map(|step| own[step.id.as_str()]).sum();
    let pruned = Pruned {
        steps: going.len(),
        size,
    };
    if dry {
        return Ok(pruned);
    }
    for step in going {
        for name in &step.names {
            match around.engine.remove_image(name, false).await {
                // A container of it runs: somebody builds on it right now.
                Ok(()) | Err(EngineError::Conflict { .. }) => {}
                Err(error) => return Err(build::of_engine(&error).into()),
            }
        }
    }
    Ok(pruned)
}

/// The volumes of cache mounts that the engine keeps.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn cache_mounts(around: &Surroundings) -> Result<Vec<CacheVolume>, Ended> {
    let found = build::cache_volumes(&*around.engine).await;
    Ok(found.map_err(|error| build::of_engine(&error))?)
}

/// Removes the volumes of cache mounts; gives how many went. One that a step uses right now
/// stays.
///
/// # Errors
/// When the engine refuses for another reason.
pub async fn remove_cache_mounts(around: &Surroundings) -> Result<usize, Ended> {
    let mut removed = 0;
    for volume in cache_mounts(around).await? {
        match around.engine.remove_volume(&volume.name).await {
            Ok(()) => removed += 1,
            Err(EngineError::Conflict { .. }) => {}
            Err(error) => return Err(build::of_engine(&error).into()),
        }
    }
    Ok(removed)
}
