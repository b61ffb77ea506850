//! What builds gave, remembered between builds: with the same steps, inputs and config, an image
//! that the engine still has under the ID of last time is the result, whatever it is called now.
//!
//! Only a shortcut: a client without this memory finds the same image step by step.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Built, Ended, remembered};
use crate::build::{self, Builder};
use crate::engine::{Engine, EngineInfo};
use crate::image::Digest;
use crate::output::Described;
use crate::plan::Plan;
use crate::request::{BuildRequest, OutputKind};

/// Changes when what was remembered must not be found any more.
const VERSION: u32 = 1;
/// From this many on, those are forgotten that nobody has built for long.
const MANY: usize = 500;
const LONG: Duration = Duration::from_hours(720);

/// The memory of results; without a directory it has none.
pub(super) struct Results {
    dir: Option<PathBuf>,
    engine: String,
}

/// The place of one result.
pub(super) struct Known {
    file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    image: String,
    config_digest: String,
    #[serde(default)]
    described: Option<Described>,
}

impl Results {
    /// Builds that ignore the cache, or whose result goes elsewhere, have no memory.
    pub(super) fn open(request: &BuildRequest, engine: &EngineInfo) -> Self {
        let one = match request.outputs.as_slice() {
            [one] => one.kind == OutputKind::Engine && one.image.annotations.is_empty(),
            _ => false,
        };
        let asks = !request.no_cache && request.no_cache_filter.is_empty();
        let caches = !request.caches.to.is_empty() || request.caches.inline;
        let plain = one && asks && !caches && request.epoch.is_none();
        Self {
            dir: plain.then(|| request.cache_dir.join("results")),
            engine: format!("{} {:?}", engine.id, engine.store),
        }
    }

    /// Where the result of this plan is remembered.
    pub(super) async fn of(
        &self,
        plan: &Plan,
        builder: &Arc<Builder>,
    ) -> Result<Option<Known>, Ended> {
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        let stage = plan.stage(plan.target).expect("the target is planned");
        let key = builder.target_key().await;
        let key = key.map_err(|failure| (*failure).clone())?;
        let document = (VERSION, &self.engine, key.as_str(), &stage.config);
        let document = serde_json::to_vec(&document).expect("a config is plain data");
        Ok(Some(Known {
            file: dir.join(Digest::sha256(&document).hex()),
        }))
    }
}

impl Known {
    /// The result of last time, if the engine still has it; with the names that are wanted now.
    pub(super) async fn find(
        &self,
        request: &BuildRequest,
        engine: &dyn Engine,
    ) -> Result<Option<Built>, Ended> {
        let Some(kept) = self.read() else {
            return Ok(None);
        };
        let names = request.outputs.iter().flat_map(|output| &output.names);
        let names: Vec<_> = names.cloned().collect();
        let tags: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut found = None;
        // Most often it has the first name already; then that question was the only one.
        for name in tags.first().into_iter().chain([&kept.image]) {
            let named = engine.named(name).await;
            let named = named.map_err(|error| build::of_engine(&error))?;
            if let Some(named) = named.filter(|named| named.id == kept.image) {
                found = Some(named);
                break;
            }
        }
        let Some(found) = found else {
            return Ok(None);
        };
        for tag in tags.iter().filter(|tag| !found.tags.contains(tag)) {
            let tagged = engine.tag(&found.id, tag).await;
            tagged.map_err(|error| build::of_engine(&error))?;
        }
        Ok(Some(Built {
            image: Some(kept.image),
            config_digest: Some(kept.config_digest),
            described: kept.described,
            names,
            ..Built::default()
        }))
    }

    fn read(&self) -> Option<Kept> {
        // A file that was cut short or is of another version counts as none.
        serde_json::from_slice(&fs_err::read(&self.file).ok()?).ok()
    }

    /// Remembers a result. Not being able to costs time and nothing else.
    pub(super) fn keep(&self, built: &Built) {
        let (Some(image), Some(config_digest)) = (&built.image, &built.config_digest) else {
            return;
        };
        let kept = Kept {
            image: image.clone(),
            config_digest: config_digest.clone(),
            described: built.described.clone(),
        };
        if let Err(error) = remembered::write(&self.file, &kept) {
            tracing::debug!(%error, "the result is not remembered");
        }
        if let Some(dir) = self.file.parent() {
            forget_old(dir);
        }
    }
}

fn forget_old(dir: &Path) {
    let Ok(files) = fs_err::read_dir(dir) else {
        return;
    };
    let files: Vec<_> = files.flatten().collect();
    if files.len() < MANY {
        return;
    }
    let is_old = |metadata: std::fs::Metadata| {
        let age = metadata
            .modified()
            .ok()
            .and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age > LONG)
    };
    for file in files {
        if file.metadata().is_ok_and(is_old) {
            // Another build may have removed it meanwhile.
            let _ = fs_err::remove_file(file.path());
        }
    }
}
