//! What servers said of files, between builds: enough to ask whether a file is still the same.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::Digest;

/// The memory, one small file for each URL.
pub(super) struct Memory {
    dir: PathBuf,
}

/// A file as it was the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) etag: String,
    pub(super) digest: Digest,
}

impl Memory {
    pub(super) fn new(cache_dir: &Path) -> Self {
        Self {
            dir: cache_dir.join("urls"),
        }
    }

    fn file(&self, url: &str) -> PathBuf {
        self.dir.join(Digest::sha256(url.as_bytes()).hex())
    }

    /// A file that was cut short or is of another version counts as none.
    pub(super) fn get(&self, url: &str) -> Option<Remembered> {
        let bytes = fs_err::read(self.file(url)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps what a server said. Not being able to costs time and nothing else.
    pub(super) fn put(&self, url: &str, remembered: &Remembered) {
        if let Err(error) = self.write(url, remembered) {
            tracing::debug!(%error, "what the server said is not remembered");
        }
    }

    fn write(&self, url: &str, remembered: &Remembered) -> std::io::Result<()> {
        fs_err::create_dir_all(&self.dir)?;
        let temporary = tempfile::NamedTempFile::new_in(&self.dir)?;
        fs_err::write(temporary.path(), serde_json::to_vec(remembered)?)?;
        temporary
            .persist(self.file(url))
            .map_err(|error| error.error)?;
        Ok(())
    }
}
