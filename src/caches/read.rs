//! Caches as a build reads them: what they have is asked for when the engine misses something for
//! the first time, and layers come one by one, as they are needed.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::Digest as _;
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};

use super::place::{Place, PlaceError};
use super::{CONFIG, INLINE};
use crate::cache::{Kept, KeptStep, Key};
use crate::image::{Descriptor, Digest, ImageConfig, Platform};

/// No cache says as much of itself.
const LARGEST_CONFIG: u64 = 64 << 20;

/// One cache, read.
pub struct Document {
    pub kept: Kept,
    /// By the layers' diff IDs.
    pub blobs: BTreeMap<String, Descriptor>,
}

/// All caches that a build may read.
pub struct Sources {
    places: Vec<Place>,
    platform: Platform,
    /// Where what is read goes.
    dir: TempDir,
    read: OnceCell<Vec<(usize, Document)>>,
    layers: Mutex<HashMap<String, PathBuf>>,
    /// Told of caches that cannot be read.
    told: Arc<dyn Fn(String) + Send + Sync>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(flatten)]
    descriptor: Descriptor,
    platform: Option<EntryPlatform>,
}

#[derive(Deserialize)]
struct EntryPlatform {
    os: String,
    architecture: String,
}

impl Sources {
    /// # Errors
    /// When there is no place for files.
    pub fn new(
        places: Vec<Place>,
        platform: Platform,
        scratch: &Path,
        told: Arc<dyn Fn(String) + Send + Sync>,
    ) -> io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("bowline-cache-")
            .tempdir_in(scratch)?;
        Ok(Self {
            places,
            platform,
            dir,
            read: OnceCell::new(),
            layers: Mutex::default(),
            told,
        })
    }

    /// The step that is known by this key.
    pub async fn step(&self, key: &Key) -> Option<KeptStep> {
        let read = self.read.get_or_init(|| self.read_all()).await;
        let mut steps = read.iter().flat_map(|(_, document)| &document.kept.steps);
        steps.find(|step| step.is_known_by(key)).cloned()
    }

    async fn read_all(&self) -> Vec<(usize, Document)> {
        let mut all = Vec::new();
        for (index, place) in self.places.iter().enumerate() {
            match Document::read(place, &self.platform, self.dir.path()).await {
                Ok(Some(document)) => all.push((index, document)),
                Ok(None) => (self.told)(format!("there is no cache in `{place}` yet")),
                Err(error) => {
                    (self.told)(format!("the cache `{place}` cannot be read: {error}"));
                }
            }
        }
        all
    }

    /// A layer's plain tar.
    ///
    /// # Errors
    /// When no cache gives it.
    pub async fn layer(&self, diff_id: &Digest) -> io::Result<PathBuf> {
        let mut layers = self.layers.lock().await;
        if let Some(path) = layers.get(diff_id.as_str()) {
            return Ok(path.clone());
        }
        let read = self.read.get_or_init(|| self.read_all()).await;
        let mut failed = io::Error::other(format!("no cache has the layer `{diff_id}`"));
        for (index, document) in read {
            let Some(blob) = document.blobs.get(diff_id.as_str()) else {
                continue;
            };
            let packed = self.dir.path().join(format!("blob-{}", layers.len()));
            let plain = self.dir.path().join(format!("layer-{}", layers.len()));
            if let Err(error) = self.places[*index].blob(blob, &packed).await {
                failed = io::Error::other(error);
                continue;
            }
            let (from, to, wanted) = (packed.clone(), plain.clone(), diff_id.clone());
            let unpacked = tokio::task::spawn_blocking(move || unpack(&from, &to, &wanted));
            unpacked.await.map_err(io::Error::other)??;
            fs_err::remove_file(&packed)?;
            layers.insert(diff_id.as_str().to_owned(), plain.clone());
            return Ok(plain);
        }
        Err(failed)
    }
}

impl Document {
    /// Reads what a cache, or an image, says of the steps it has.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub async fn read(
        place: &Place,
        platform: &Platform,
        dir: &Path,
    ) -> Result<Option<Self>, PlaceError> {
        let Some(found) = place.manifest().await? else {
            return Ok(None);
        };
        let mut manifest = parse(&found.bytes)?;
        if !manifest.manifests.is_empty() {
            let fits = |entry: &&Entry| {
                let fits = |one: &EntryPlatform| {
                    one.os == platform.os && one.architecture == platform.architecture
                };
                entry.platform.as_ref().is_some_and(fits)
            };
            let Some(entry) = manifest.manifests.iter().find(fits) else {
                return Ok(None);
            };
            let found = place.manifest_of(&entry.descriptor).await?;
            manifest = parse(&found.bytes)?;
        }
        let Some(config) = &manifest.config else {
            return Ok(None);
        };
        if config.size > LARGEST_CONFIG {
            let why = format!("its config has {} bytes", config.size);
            return Err(io::Error::other(why).into());
        }
        let file = tempfile::NamedTempFile::new_in(dir)?;
        place.blob(config, file.path()).await?;
        let text = fs_err::read(file.path())?;
        if config.media_type == CONFIG {
            let kept = Kept::read(&text);
            return Ok(kept.map(|kept| Self {
                blobs: kept.blobs.clone(),
                kept,
            }));
        }
        let image: ImageConfig = serde_json::from_slice(&text).map_err(io::Error::other)?;
        let inline = image.other.get(INLINE).and_then(|value| value.as_str());
        let Some(kept) = inline.and_then(|text| Kept::read(text.as_bytes())) else {
            return Ok(None);
        };
        let diff_ids = image.rootfs.diff_ids.iter();
        let diff_ids = diff_ids.map(|digest| digest.as_str().to_owned());
        Ok(Some(Self {
            kept,
            blobs: diff_ids.zip(manifest.layers).collect(),
        }))
    }
}

fn parse(bytes: &[u8]) -> io::Result<Manifest> {
    serde_json::from_slice(bytes).map_err(io::Error::other)
}

/// Writes a layer's plain tar; it must be the layer.
fn unpack(from: &Path, to: &Path, wanted: &Digest) -> io::Result<()> {
    let mut file = io::BufReader::with_capacity(256 << 10, fs_err::File::open(from)?);
    let start = io::BufRead::fill_buf(&mut file)?;
    let mut plain: Box<dyn Read> = match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    };
    let mut out = io::BufWriter::new(fs_err::File::create(to)?);
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = plain.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        out.write_all(&buffer[..read])?;
    }
    out.flush()?;
    if Digest::from_sha256(&hash.finalize()) != *wanted {
        return Err(io::Error::other(format!(
            "it gives other bytes for `{wanted}`"
        )));
    }
    Ok(())
}
