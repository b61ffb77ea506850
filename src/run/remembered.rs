//! What base images are, remembered between builds.
//!
//! An image's ID is a digest, so what it stands for never changes; asking a containerd store for
//! it costs far more than reading a file. Only answers of such a store are kept.

use std::path::{Path, PathBuf};

use crate::engine::{BaseImage, EngineInfo, ImageStore};
use crate::image::{Digest, Platform};

/// The memory of base images; without a directory it has none.
pub(super) struct Remembered {
    dir: Option<PathBuf>,
}

impl Remembered {
    pub(super) fn open(cache_dir: &Path, engine: &EngineInfo) -> Self {
        let slow = engine.store == ImageStore::Containerd;
        Self {
            dir: slow.then(|| cache_dir.join("bases")),
        }
    }

    fn file(&self, id: &str, platform: &Platform) -> Option<PathBuf> {
        let name = Digest::sha256(format!("1 {id} {platform}").as_bytes());
        Some(self.dir.as_ref()?.join(name.hex()))
    }

    /// The image of this ID, if an earlier build read it.
    pub(super) fn get(&self, id: &str, platform: &Platform) -> Option<BaseImage> {
        let bytes = fs_err::read(self.file(id, platform)?).ok()?;
        // A file that was cut short or is of another version counts as none.
        let base: BaseImage = serde_json::from_slice(&bytes).ok()?;
        (base.id == id).then_some(base)
    }

    /// Keeps an image for the next build. Not being able to costs time and nothing else.
    pub(super) fn put(&self, base: &BaseImage, platform: &Platform) {
        let Some(file) = self.file(&base.id, platform) else {
            return;
        };
        if let Err(error) = write(&file, base) {
            tracing::debug!(%error, "the base image is not remembered");
        }
    }
}

/// Writes a document at once, so that another build reads the old one or the new one.
pub(super) fn write(file: &Path, document: &impl serde::Serialize) -> std::io::Result<()> {
    let dir = file.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(dir)?;
    let temporary = tempfile::NamedTempFile::new_in(dir)?;
    fs_err::write(temporary.path(), serde_json::to_vec(document)?)?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}
