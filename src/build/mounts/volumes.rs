//! Volumes behind mounts: those of caches, which stay, and those of bind mounts, which go with
//! the build.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::files::{self, MountFiles};
use crate::build::builder::{Builder, random_text};
use crate::build::failure::{self, Failure};
use crate::build::probe;
use crate::engine::{self, Engine, EngineError, Result};
use crate::init::wire::DATA;
use crate::plan::{CacheDir, Step};
use crate::progress::Running;

/// On the volume of a cache mount: the cache's ID.
pub const LABEL_CACHE: &str = "bowline.cache";

/// Where a volume is mounted while it is filled.
const FILL: &str = "/dev/.bowline-fill";

/// The volumes of bind mounts that steps share, by the digest of what they hold.
#[derive(Default)]
pub(in crate::build) struct Volumes(Mutex<HashMap<String, Arc<OnceCell<String>>>>);

impl Volumes {
    fn of(&self, digest: &str) -> Arc<OnceCell<String>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(digest.to_owned()).or_default())
    }
}

/// The volume of a cache. Another owner or other files to begin with make it another cache.
pub(super) fn cache_name(cache: &CacheDir, begins: Option<&str>) -> String {
    let owner = cache
        .owner
        .map(|owner| format!("{} {} {:o}", owner.uid, owner.gid, owner.mode));
    let key = format!(
        "1\0{}\0{}\0{}",
        cache.id,
        owner.unwrap_or_default(),
        begins.unwrap_or_default()
    );
    let hash = blake3::hash(key.as_bytes()).to_hex();
    format!("bowline-cache-{}", &hash[..24])
}

pub(super) fn cache_labels(cache: &CacheDir) -> BTreeMap<String, String> {
    let id = cache.id.strip_prefix('/').unwrap_or(&cache.id);
    BTreeMap::from([(LABEL_CACHE.to_owned(), id.to_owned())])
}

impl Builder {
    /// A volume with files. One that is only read serves every step that shows the same.
    pub(super) async fn bind_volume(
        &self,
        step: &Step,
        files: MountFiles,
        image: &str,
        share: bool,
        progress: &Running,
    ) -> std::result::Result<String, Failure> {
        let slot = if share {
            self.volumes.of(files.digest())
        } else {
            Arc::default()
        };
        let made = slot.get_or_try_init(|| async {
            let name = self.ledger.enter_volume();
            self.ledger.create_volume(&name).await?;
            self.fill(&name, files, DATA, image, progress).await?;
            Ok(name)
        });
        made.await
            .cloned()
            .map_err(|error: EngineError| failure::engine(step, &error))
    }

    /// Brings what a cache begins with; gives the name of the entry in its volume.
    pub(super) async fn seed(
        &self,
        step: &Step,
        files: MountFiles,
        image: &str,
        volume: &str,
        progress: &Running,
    ) -> std::result::Result<String, Failure> {
        let name = format!("seed-{}", random_text());
        let filled = self.fill(volume, files, &name, image, progress).await;
        filled.map_err(|error| failure::engine(step, &error))?;
        Ok(name)
    }

    /// Writes files into a volume, through a container that is never started.
    async fn fill(
        &self,
        volume: &str,
        files: MountFiles,
        name: &str,
        image: &str,
        progress: &Running,
    ) -> Result<()> {
        progress.part(name, "sending files", 0, 0);
        let mut spec = probe::spec(&self.ledger, image);
        spec.mounts = vec![engine::Mount::Volume {
            name: volume.to_owned(),
            target: FILL.into(),
            read_only: false,
        }];
        self.ledger.create(&spec).await?;
        // From the root: Docker 20.10 looks for the first name of a hard link there, when it gives
        // the set-user-ID bit back that the change of the owner has taken.
        let below = format!("{}/{name}", FILL.trim_start_matches('/'));
        let archive = files::archive(files, &below);
        let written = self.engine.write_stream(&spec.name, "/", archive).await;
        self.ledger.leave(&spec.name);
        written
    }
}

/// A cache that lives in an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheVolume {
    /// As the Dockerfile names it, or its default.
    pub id: String,
    /// The volume.
    pub name: String,
}

/// The caches in an engine, by ID.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn cache_volumes(engine: &dyn Engine) -> Result<Vec<CacheVolume>> {
    let found = engine.volumes(&[(LABEL_CACHE, "")]).await?;
    let mut caches: Vec<CacheVolume> = found
        .into_iter()
        .filter_map(|volume| {
            let id = volume.labels.get(LABEL_CACHE)?.clone();
            Some(CacheVolume {
                id,
                name: volume.name,
            })
        })
        .collect();
    caches.sort_by(|a, b| (&a.id, &a.name).cmp(&(&b.id, &b.name)));
    Ok(caches)
}
