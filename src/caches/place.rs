//! Where a cache is: a repository, or a directory that is an OCI layout.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::image::{Descriptor, Digest, media_type};
use crate::registry::{Content, Manifest, Registries, RegistryError, Repository};
use crate::request::caches::CachePlace;

pub enum Place {
    Registry {
        repository: Repository,
        tag: String,
        name: String,
    },
    Directory {
        path: PathBuf,
        tag: String,
    },
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Local(#[from] io::Error),
}

type Result<T> = std::result::Result<T, PlaceError>;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { name, .. } => f.write_str(name),
            Self::Directory { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

impl Place {
    pub fn new(place: &CachePlace, registries: &Registries) -> Self {
        match place {
            CachePlace::Registry {
                reference,
                insecure,
            } => Self::Registry {
                repository: registries.repository(reference, *insecure),
                tag: match (&reference.digest, &reference.tag) {
                    (Some(digest), _) => digest.clone(),
                    (None, tag) => tag.clone().unwrap_or_else(|| "latest".into()),
                },
                name: reference.to_string(),
            },
            CachePlace::Directory { path, tag } => Self::Directory {
                path: path.clone(),
                tag: tag.clone(),
            },
        }
    }

    /// The manifest of the cache; `None` when there is none yet.
    pub(super) async fn manifest(&self) -> Result<Option<Manifest>> {
        match self {
            Self::Registry {
                repository, tag, ..
            } => Ok(repository.manifest(tag).await?),
            Self::Directory { path, tag } => {
                let index = path.join("index.json");
                let text = match fs_err::tokio::read(&index).await {
                    Ok(text) => text,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let index: Value = serde_json::from_slice(&text).map_err(io::Error::other)?;
                let Some(entry) = entries(&index).find(|entry| is_named(entry, tag)) else {
                    return Ok(None);
                };
                let named: Descriptor =
                    serde_json::from_value(entry.clone()).map_err(io::Error::other)?;
                self.manifest_of(&named).await.map(Some)
            }
        }
    }

    /// A manifest that another one names.
    pub(super) async fn manifest_of(&self, named: &Descriptor) -> Result<Manifest> {
        match self {
            Self::Registry { repository, .. } => {
                let found = repository.manifest(named.digest.as_str()).await?;
                let missing = || RegistryError::Refused(format!("there is no `{}`", named.digest));
                Ok(found.ok_or_else(missing)?)
            }
            Self::Directory { path, .. } => {
                let bytes = fs_err::tokio::read(blob_path(path, &named.digest)?).await?;
                check(&bytes, &named.digest)?;
                Ok(Manifest {
                    media_type: named.media_type.clone(),
                    digest: named.digest.clone(),
                    bytes,
                })
            }
        }
    }

    /// Writes a blob to a file, and checks it.
    pub(super) async fn blob(&self, blob: &Descriptor, to: &Path) -> Result<()> {
        match self {
            Self::Registry { repository, .. } => Ok(repository.blob(blob, to).await?),
            Self::Directory { path, .. } => {
                let from = blob_path(path, &blob.digest)?;
                fs_err::tokio::copy(&from, to).await?;
                Ok(())
            }
        }
    }

    pub(super) async fn put_blob(&self, blob: &Descriptor, content: Content<'_>) -> Result<()> {
        match self {
            Self::Registry { repository, .. } => Ok(repository.put_blob(blob, content).await?),
            Self::Directory { path, .. } => {
                let to = blob_path(path, &blob.digest)?;
                if to.exists() {
                    return Ok(());
                }
                fs_err::tokio::create_dir_all(path.join("blobs/sha256")).await?;
                let bytes = match content {
                    Content::Bytes(bytes) => bytes.to_vec(),
                    Content::File(from) => fs_err::tokio::read(from).await?,
                };
                write(&to, &bytes)?;
                Ok(())
            }
        }
    }

    /// Stores the manifest of the cache, after everything that it names.
    pub(super) async fn put_manifest(&self, bytes: &[u8]) -> Result<()> {
        let media_type = media_type::OCI_MANIFEST;
        match self {
            Self::Registry {
                repository, tag, ..
            } => Ok(repository.put_manifest(tag, media_type, bytes).await?),
            Self::Directory { path, tag } => {
                let named = Descriptor {
                    media_type: media_type.into(),
                    digest: Digest::sha256(bytes),
                    size: bytes.len() as u64,
                };
                self.put_blob(&named, Content::Bytes(bytes)).await?;
                let index = path.join("index.json");
                let old = fs_err::read(&index).unwrap_or_default();
                let old: Value = serde_json::from_slice(&old).unwrap_or_default();
                let others = entries(&old).filter(|entry| !is_named(entry, tag)).cloned();
                let mut all: Vec<Value> = others.collect();
                let mut entry = serde_json::to_value(&named).map_err(io::Error::other)?;
                entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
                all.push(entry);
                let new = json!({
                    "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": all,
                });
                write(
                    &path.join("oci-layout"),
                    br#"{"imageLayoutVersion":"1.0.0"}"#,
                )?;
                write(&index, new.to_string().as_bytes())?;
                Ok(())
            }
        }
    }
}

fn entries(index: &Value) -> impl Iterator<Item = &Value> {
    index["manifests"].as_array().into_iter().flatten()
}

fn is_named(entry: &Value, tag: &str) -> bool {
    entry["annotations"]["org.opencontainers.image.ref.name"] == tag
}

/// Where a blob is in a layout; a digest of another form is none of ours.
fn blob_path(root: &Path, digest: &Digest) -> io::Result<PathBuf> {
    let hex = digest.hex();
    let plain = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain || !digest.as_str().starts_with("sha256:") {
        return Err(io::Error::other(format!("`{digest}` is not a digest")));
    }
    Ok(root.join("blobs/sha256").join(hex))
}

fn check(bytes: &[u8], digest: &Digest) -> io::Result<()> {
    if Digest::sha256(bytes) == *digest {
        return Ok(());
    }
    Err(io::Error::other(format!("`{digest}` has other bytes")))
}

/// Writes a file so that nobody sees half of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(parent)?;
    fresh.write_all(bytes)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fresh.as_file().set_permissions(mode)?;
    fresh.persist(path).map_err(|error| error.error)?;
    Ok(())
}
