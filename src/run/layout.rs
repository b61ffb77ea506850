//! Images in OCI layouts on the client's disk: found by tag or digest, and put into the engine.
//!
//! Every blob is checked against its digest. The layers are loaded one by one, those that the
//! engine has not; the result is named after the manifest, so that the next build finds it.

use std::io::{Read, Seek as _};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use serde::Deserialize;
use sha2::Digest as _;

use super::environment;
use crate::build;
use crate::cache::Key;
use crate::context::archive;
use crate::diag::Diagnostic;
use crate::engine::{BaseImage, Engine, LoadRequest, NewLayer};
use crate::image::{Digest, ImageConfig, Layer, Platform};
use crate::progress::Running;

/// The largest document of a layout that is read.
const MAX_DOCUMENT: u64 = 16 << 20;
/// How deep an index may hold others.
const MAX_DEPTH: usize = 4;
/// How much is handed over at once.
const PIECE: usize = 256 * 1024;

/// A layout, and which image of it is meant.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) path: PathBuf,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
    /// Where files go that are needed only for a while.
    pub(super) scratch: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
struct Descriptor {
    digest: Digest,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    platform: Option<Here>,
}

#[derive(Debug, Clone, Deserialize)]
struct Here {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// An index or a manifest: each has the fields of its own.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// An image of a layout.
struct Found {
    manifest: Digest,
    config: ImageConfig,
    layers: Vec<Digest>,
}

/// Puts the image into the engine, if it is not there, and tells what it is.
pub(super) async fn load(
    layout: &Layout,
    platform: &Platform,
    engine: &dyn Engine,
    step: &Running,
) -> Result<BaseImage, Diagnostic> {
    let found = {
        let (layout, platform) = (layout.clone(), platform.clone());
        run(move || layout.find(&platform)).await?
    };
    let failed = |error: crate::engine::EngineError| build::of_engine(&error);
    let name = Key::image(&format!("layout {}", found.manifest)).image_name();
    let known = engine.image(&name).await.map_err(failed)?;
    let there = known.is_some_and(|known| known.diff_ids == found.config.rootfs.diff_ids);
    if !there {
        put(layout, found, &name, engine, step).await?;
    }
    engine.base_image(&name, platform).await.map_err(failed)
}

async fn put(
    layout: &Layout,
    found: Found,
    name: &str,
    engine: &dyn Engine,
    step: &Running,
) -> Result<(), Diagnostic> {
    let failed = |error: crate::engine::EngineError| build::of_engine(&error);
    let Found { config, layers, .. } = found;
    if layers.len() != config.rootfs.diff_ids.len() {
        return Err(layout.broken("its config and its manifest have different numbers of layers"));
    }
    let mut below: Vec<Layer> = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let count = layers.len();
    for at in 0..count.max(1) {
        let last = at + 1 >= count;
        let new_layer = match layers.get(at) {
            None => None,
            Some(digest) => {
                step.part(digest.as_str(), "loading", 0, 0);
                let (layout, digest) = (layout.clone(), digest.clone());
                let wanted = config.rootfs.diff_ids[at].clone();
                Some(run(move || layout.layer(&digest, &wanted)).await?)
            }
        };
        let config = config.clone();
        let request = LoadRequest {
            below,
            new_layer,
            take_names: true,
            tags: if last {
                vec![name.to_owned()]
            } else {
                Vec::new()
            },
            config: Box::new(move |layers| {
                let mut config = config;
                if !last {
                    config.history.clear();
                    config.rootfs.diff_ids =
                        layers.iter().map(|layer| layer.diff_id.clone()).collect();
                }
                config
            }),
        };
        let loaded = engine.load(request).await.map_err(failed)?;
        below = loaded.layers;
        if !last {
            parts.push(loaded.id);
        }
    }
    for part in parts {
        engine.remove_image(&part, true).await.map_err(failed)?;
    }
    Ok(())
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Diagnostic> + Send + 'static,
) -> Result<T, Diagnostic> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(environment(format!("internal error: {error}"))))
}

impl Layout {
    fn broken(&self, why: &str) -> Diagnostic {
        let path = self.path.display();
        Diagnostic::error(format!("the OCI layout `{path}` cannot be used: {why}"))
    }

    fn find(&self, platform: &Platform) -> Result<Found, Diagnostic> {
        let mut digest = match &self.digest {
            Some(digest) => Digest::new(digest.clone()),
            None => self.tagged()?,
        };
        for _ in 0..MAX_DEPTH {
            let document: Document = self.document(&digest)?;
            match (document.manifests, document.config) {
                (Some(manifests), _) => digest = self.choose(&manifests, platform)?,
                (None, Some(config)) => {
                    let config = self.document(&config.digest)?;
                    return Ok(Found {
                        manifest: digest,
                        config,
                        layers: document
                            .layers
                            .into_iter()
                            .map(|layer| layer.digest)
                            .collect(),
                    });
                }
                (None, None) => break,
            }
        }
        Err(self.broken(&format!(
            "`{digest}` is neither an image nor a list of images"
        )))
    }

    /// The image of the tag (`latest` without one), or the only one there is.
    fn tagged(&self) -> Result<Digest, Diagnostic> {
        let path = self.path.join("index.json");
        let bytes = read(&path).map_err(|error| self.broken(&error.to_string()))?;
        let index: Document = serde_json::from_slice(&bytes)
            .map_err(|error| self.broken(&format!("`index.json` cannot be read: {error}")))?;
        let manifests = index.manifests.unwrap_or_default();
        let tag = self.tag.as_deref().unwrap_or("latest");
        let by = |name: &str| {
            let named = |found: &&Descriptor| found.annotations.get(name).is_some_and(|t| t == tag);
            manifests.iter().find(named)
        };
        let found =
            by("io.containerd.image.name").or_else(|| by("org.opencontainers.image.ref.name"));
        match (found, manifests.as_slice()) {
            (Some(found), _) | (None, [found]) => Ok(found.digest.clone()),
            _ => {
                let names = manifests
                    .iter()
                    .filter_map(|found| found.annotations.get("org.opencontainers.image.ref.name"));
                let names: Vec<&str> = names.map(String::as_str).collect();
                let refused = self.broken(&format!("it has no image `{tag}`"));
                Err(if names.is_empty() {
                    refused
                } else {
                    refused.with_hint(format!("it has `{}`", names.join("`, `")))
                })
            }
        }
    }

    fn choose(&self, manifests: &[Descriptor], wanted: &Platform) -> Result<Digest, Diagnostic> {
        let fits = |found: &&Descriptor| match &found.platform {
            None => manifests.len() == 1,
            Some(here) => {
                let here = Platform::new(&here.os, &here.architecture, here.variant.as_deref());
                let variant = wanted.variant.is_none()
                    || here.variant.is_none()
                    || here.variant == wanted.variant;
                here.os == wanted.os && here.architecture == wanted.architecture && variant
            }
        };
        let found = manifests.iter().find(fits);
        found
            .map(|found| found.digest.clone())
            .ok_or_else(|| self.broken(&format!("it has no image for the platform {wanted}")))
    }

    fn blob(&self, digest: &Digest) -> Result<PathBuf, Diagnostic> {
        let hex = digest.hex();
        let is_sha256 = digest.as_str().starts_with("sha256:")
            && hex.len() == 64
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_sha256 {
            return Err(self.broken(&format!("`{digest}` is no digest of a blob")));
        }
        Ok(self.path.join("blobs/sha256").join(hex))
    }

    fn document<T: serde::de::DeserializeOwned>(&self, digest: &Digest) -> Result<T, Diagnostic> {
        let bytes = read(&self.blob(digest)?).map_err(|error| self.broken(&error.to_string()))?;
        if Digest::sha256(&bytes) != *digest {
            return Err(self.broken(&format!("the blob `{digest}` is another one")));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| self.broken(&format!("the blob `{digest}` cannot be read: {error}")))
    }

    /// A layer, unpacked to a temporary file.
    fn layer(&self, digest: &Digest, diff_id: &Digest) -> Result<NewLayer, Diagnostic> {
        let broken = |error: std::io::Error| self.broken(&error.to_string());
        let blob = fs_err::File::open(self.blob(digest)?).map_err(broken)?;
        let mut packed = Hashing::new(blob);
        let file = tempfile::tempfile_in(&self.scratch)
            .map_err(|error| environment(format!("the layer cannot be kept: {error}")))?;
        let mut file = std::io::BufWriter::with_capacity(PIECE, file);
        let size = {
            let content = archive::decompressed(&mut packed).map_err(broken)?;
            let mut content = Hashing::new(content);
            let size = std::io::copy(&mut content, &mut file).map_err(broken)?;
            if content.digest() != *diff_id {
                return Err(
                    self.broken(&format!("the layer `{digest}` is not what the config says"))
                );
            }
            size
        };
        // What may follow the compressed data counts too.
        std::io::copy(&mut packed, &mut std::io::sink()).map_err(broken)?;
        if packed.digest() != *digest {
            return Err(self.broken(&format!("the blob `{digest}` is another one")));
        }
        let mut file = file
            .into_inner()
            .map_err(|error| broken(error.into_error()))?;
        file.rewind().map_err(broken)?;
        let file = tokio::fs::File::from_std(file);
        let content = tokio_util::io::ReaderStream::with_capacity(file, PIECE).boxed();
        Ok(NewLayer { size, content })
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs_err::File::open(path)?
        .take(MAX_DOCUMENT)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Hashes what is read through it.
struct Hashing<R> {
    input: R,
    hasher: sha2::Sha256,
}

impl<R> Hashing<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            hasher: sha2::Sha256::new(),
        }
    }

    fn digest(self) -> Digest {
        Digest::from_sha256(&self.hasher.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.hasher.update(&buffer[..got]);
        Ok(got)
    }
}
