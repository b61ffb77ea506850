//! Caches outside the engine, as a build reads and writes them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Ended, Surroundings, environment, registries};
use crate::build::{Builder, Elsewhere};
use crate::cache::{Kept, KeptStep, Key, Record, RecordedLayer};
use crate::caches::{self, Place, Sent, Sources};
use crate::diag::Diagnostic;
use crate::image::{Digest, Layer, Platform};
use crate::output;
use crate::progress::{Numbering, StepOutcome};
use crate::request::BuildRequest;

/// What a build may read.
pub(super) fn sources(
    request: &BuildRequest,
    around: &Surroundings,
    numbering: &Arc<Numbering>,
) -> Result<Option<Arc<dyn Elsewhere>>, Diagnostic> {
    let from = &request.caches.from;
    if from.is_empty() || request.no_cache {
        return Ok(None);
    }
    let registries = registries(request, around)?;
    let places = from.iter().map(|place| Place::new(place, &registries));
    let numbering = Arc::clone(numbering);
    let told = Arc::new(move |words: String| numbering.note(words));
    let sources = Sources::new(
        places.collect(),
        platform(request, around),
        &request.scratch_dir,
        told,
    );
    let sources = sources.map_err(|error| environment(error.to_string()))?;
    Ok(Some(Arc::new(Read(sources))))
}

fn platform(request: &BuildRequest, around: &Surroundings) -> Platform {
    let platform = request.platforms.first();
    platform.unwrap_or(&around.engine.info().platform).clone()
}

struct Read(Sources);

#[async_trait]
impl Elsewhere for Read {
    async fn step(&self, key: &Key) -> Option<KeptStep> {
        self.0.step(key).await
    }

    async fn layer(&self, diff_id: &Digest) -> io::Result<PathBuf> {
        self.0.layer(diff_id).await
    }
}

/// What the result shall say of its own making, if it shall.
pub(super) async fn inline(
    request: &BuildRequest,
    builder: &Arc<Builder>,
) -> Result<Option<String>, Ended> {
    if !request.caches.inline {
        return Ok(None);
    }
    let kept = builder.kept(false).await;
    let kept = kept.map_err(|failure| (*failure).clone())?;
    let steps = kept.into_iter().map(|(step, _)| step).collect();
    let kept = Kept::new(steps, BTreeMap::new());
    let text = serde_json::to_string(&kept).map_err(|error| environment(error.to_string()))?;
    Ok(Some(text))
}

/// Sends the steps of a build to every cache that wants them.
pub(super) async fn send(
    request: &BuildRequest,
    around: &Surroundings,
    builder: &Arc<Builder>,
    numbering: &Numbering,
) -> Result<(), Ended> {
    if request.caches.to.is_empty() {
        return Ok(());
    }
    let registries = registries(request, around)?;
    for to in &request.caches.to {
        let place = Place::new(&to.place, &registries);
        let step = numbering.start(&format!("exporting cache to {place}"));
        let kept = builder.kept(to.everything).await;
        let kept = kept.map_err(|failure| (*failure).clone())?;
        let images: Vec<_> = kept.clone();
        let steps = kept.into_iter().map(|(step, _)| step).collect();
        let mut packed = Vec::new();
        let pack =
            async |missing: Vec<Digest>| pack(around, request, &images, missing, &mut packed).await;
        let platform = platform(request, around);
        let sent = caches::send(&place, &platform, steps, &request.scratch_dir, pack).await;
        match sent {
            Ok(()) => step.finish(StepOutcome::Done),
            Err(error) => {
                let message = format!("the cache `{place}` cannot be written: {error}");
                step.finish(StepOutcome::Failed(message.clone()));
                if !to.ignore_error {
                    let hint = "add `,ignore-error=true` where the build may go on without it";
                    return Err(environment(message).with_hint(hint).into());
                }
            }
        }
    }
    Ok(())
}

/// Takes layers out of the engine and packs them; `files` keeps them.
async fn pack(
    around: &Surroundings,
    request: &BuildRequest,
    images: &[(KeptStep, String)],
    missing: Vec<Digest>,
    files: &mut Vec<Arc<output::Saved>>,
) -> io::Result<BTreeMap<String, Sent>> {
    let mut sent = BTreeMap::new();
    // The images with the most layers first: they hold those of the others.
    let mut images: Vec<_> = images.iter().collect();
    images.sort_by_key(|(step, _)| std::cmp::Reverse(step.layers.len()));
    for (step, image) in images {
        let wanted = |diff_id: &Digest| missing.contains(diff_id);
        let new = step.layers.iter().enumerate().filter(|(_, layer)| {
            wanted(&layer.diff_id) && !sent.contains_key(layer.diff_id.as_str())
        });
        let new: Vec<usize> = new.map(|(index, _)| index).collect();
        if new.is_empty() {
            continue;
        }
        let found = around.engine.image(image).await.map_err(io::Error::other)?;
        let record = found.and_then(|image| Record::from_labels(&image.labels));
        let layers: Vec<Layer> = match &record {
            Some(record) => record.layers.iter().map(RecordedLayer::layer).collect(),
            None => continue,
        };
        let saved = output::save(&*around.engine, Some(image), &layers, &request.scratch_dir);
        let saved = Arc::new(saved.await?);
        for index in new {
            let (blob, path) = output::packed(&saved, index).await?;
            let diff_id = layers[index].diff_id.as_str().to_owned();
            sent.insert(diff_id, Sent { blob, path });
        }
        files.push(saved);
    }
    Ok(sent)
}
