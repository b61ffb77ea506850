//! Failed steps that are kept for `bowline debug --last`: a record of each beside what else
//! bowline remembers, and its images in the engine, few, young and small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::remembered;
use crate::build::{FAILED, FailedStep};
use crate::diag::{Class, Diagnostic};
use crate::engine::{Engine, Result};
use crate::source::SourceFile;

/// Changes when old records must not be read any more.
const VERSION: u32 = 1;

/// How old they get.
const LONGEST: Duration = Duration::from_hours(24);

/// How much all of them may take, in bytes. The last one stays, however large it is.
const MOST: u64 = 4 << 30;

/// What is needed to open a failed step again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// The engine that has its images.
    engine: String,
    /// The command line of the build, and where it was given.
    pub words: Vec<String>,
    pub directory: PathBuf,
    /// Its Dockerfile, by name and text: the file may have changed since.
    pub dockerfile: (String, String),
    pub build_args: Vec<(String, String)>,
    pub platforms: Vec<String>,
    pub network: String,
    stage: usize,
    step: usize,
    before: Option<String>,
    remains: Option<String>,
    message: String,
    notes: Vec<String>,
    hints: Vec<String>,
}

/// How a build was asked for.
pub struct Asked {
    pub words: Vec<String>,
    pub directory: PathBuf,
    pub build_args: Vec<(String, String)>,
    pub platforms: Vec<String>,
}

impl Record {
    pub fn new(
        asked: Asked,
        dockerfile: &SourceFile,
        engine: &dyn Engine,
        kept: FailedStep,
    ) -> Self {
        Self {
            version: VERSION,
            engine: engine.info().id.clone(),
            words: asked.words,
            directory: asked.directory,
            dockerfile: (dockerfile.name().to_owned(), dockerfile.text().to_owned()),
            build_args: asked.build_args,
            platforms: asked.platforms,
            network: kept.network,
            stage: kept.stage,
            step: kept.step,
            before: kept.before,
            remains: kept.remains,
            message: kept.failure.message.clone(),
            notes: kept.failure.notes.clone(),
            hints: kept.failure.hints.clone(),
        }
    }

    pub fn failed_step(&self) -> FailedStep {
        let failure = Diagnostic::error(self.message.clone()).with_class(Class::Step);
        let notes = self.notes.iter().cloned();
        let failure = notes.fold(failure, Diagnostic::with_note);
        let hints = self.hints.iter().cloned();
        let failure = hints.fold(failure, Diagnostic::with_hint);
        FailedStep {
            stage: self.stage,
            step: self.step,
            before: self.before.clone(),
            remains: self.remains.clone(),
            network: self.network.clone(),
            failure: Arc::new(failure),
        }
    }

    /// The part of its images' names that is its own.
    fn id(&self) -> &str {
        let name = self.remains.as_deref().or(self.before.as_deref());
        name.map_or("scratch", id_of)
    }
}

/// The build that an image's name speaks of.
fn id_of(name: &str) -> &str {
    let tag = name.rsplit(':').next().unwrap_or(name);
    tag.strip_suffix("-before").unwrap_or(tag)
}

fn folder(cache_dir: &Path) -> PathBuf {
    cache_dir.join("failed")
}

/// Keeps a failed step, and lets go of those that are beyond the bounds: of all that the engine
/// has, `count` stay.
///
/// # Errors
/// When the record cannot be written; its images go then.
pub async fn keep(
    record: &Record,
    cache_dir: &Path,
    count: usize,
    engine: &dyn Engine,
) -> std::io::Result<()> {
    let folder = folder(cache_dir);
    let written = remembered::write(&folder.join(record.id()), record);
    if written.is_err() {
        for name in record.before.iter().chain(&record.remains) {
            // A later build lets go of it.
            let _ = engine.remove_image(name, false).await;
        }
        return written;
    }
    if let Err(error) = bound(&folder, record.id(), count, engine).await {
        tracing::debug!(%error, "old failed steps stay in the engine");
    }
    Ok(())
}

/// What the engine has of one failed build.
#[derive(Default)]
struct Images {
    names: Vec<String>,
    /// In seconds since 1970.
    made: i64,
    size: u64,
}

async fn bound(folder: &Path, last: &str, count: usize, engine: &dyn Engine) -> Result<()> {
    let mut builds: BTreeMap<String, Images> = BTreeMap::new();
    for image in engine.images_of(FAILED).await? {
        for name in image.repo_tags {
            let build = builds.entry(id_of(&name).to_owned()).or_default();
            if !name.ends_with("-before") {
                let sizes = engine.layer_sizes(&image.id).await?;
                build.size = sizes.last().copied().unwrap_or(0);
                build.made = image.created;
            }
            build.names.push(name);
        }
    }
    let now = seconds(SystemTime::now());
    for (id, build) in &mut builds {
        // What was before a step may be old; the record tells when it failed.
        let written = fs_err::metadata(folder.join(id)).and_then(|found| found.modified());
        if let Ok(time) = written {
            build.made = seconds(time);
        }
    }
    let mut builds: Vec<(String, Images)> = builds.into_iter().collect();
    builds.sort_by_key(|(id, build)| (id != last, std::cmp::Reverse(build.made)));
    let (mut kept, mut size) = (0, 0);
    for (id, build) in builds {
        let age = u64::try_from(now - build.made).unwrap_or(0);
        size += build.size;
        let stays = kept < count && age < LONGEST.as_secs() && size <= MOST;
        if stays || id == last {
            kept += 1;
            continue;
        }
        for name in &build.names {
            engine.remove_image(name, false).await?;
        }
        // It may be another client's, whose record is elsewhere.
        let _ = fs_err::remove_file(folder.join(id));
    }
    Ok(())
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// The failed step that was kept last on this engine.
///
/// # Errors
/// When there is none.
pub fn last(cache_dir: &Path, engine: &dyn Engine) -> std::result::Result<Record, Diagnostic> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    // Without the directory nothing was kept.
    for entry in fs_err::read_dir(folder(cache_dir)).into_iter().flatten() {
        let Ok(entry) = entry else { continue };
        if let Ok(time) = entry.metadata().and_then(|metadata| metadata.modified()) {
            files.push((time, entry.path()));
        }
    }
    files.sort();
    let read = |(_, path): (SystemTime, PathBuf)| {
        let record: Record = serde_json::from_slice(&fs_err::read(path).ok()?).ok()?;
        let own = record.version == VERSION && record.engine == engine.info().id;
        own.then_some(record)
    };
    files.into_iter().rev().find_map(read).ok_or_else(|| {
        Diagnostic::error("there is no failed step of a build on this engine to open").with_hint(
            "failed steps are kept for a day, in CI only with `BOWLINE_KEEP_FAILED=3` or more",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_images_of_a_build_have_its_id() {
        assert_eq!(id_of("bowline/failed:1a2b"), "1a2b");
        assert_eq!(id_of("bowline/failed:1a2b-before"), "1a2b");
    }
}
