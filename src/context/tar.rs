//! Writes layers: deterministic tar archives, hashed on the way.

use std::io::{self, Read, Write};

use crate::image::Digest;

use super::entry::{Entry, Xattr};

/// Writes the tar of a layer in the order in which entries are given.
///
/// The caller keeps each directory before what is in it. Equal entries give equal bytes.
pub struct LayerWriter<W: Write> {
    out: W,
}

/// What a finished layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDigest {
    /// The SHA-256 of the uncompressed tar.
    pub diff_id: Digest,
    /// Of the tar, in bytes.
    pub size: u64,
}

/// Why a layer cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The content ended early or went on after the entry's size.
    #[error("`{path}` changed while it was read")]
    Changed { path: String },
    /// A name that would delete instead of add: `.wh.…`. A layer cannot hold it as a file.
    #[error("`{path}` cannot be stored in a layer, where names with `.wh.` mean deletion")]
    Whiteout { path: String },
    #[error("cannot read `{path}`: {source}")]
    Read { path: String, source: io::Error },
    #[error("cannot write the layer: {0}")]
    Write(#[source] io::Error),
}

impl<W: Write> LayerWriter<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds an entry without content: anything but a file, or an empty file.
    pub fn add(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        let _ = (entry, xattrs);
        todo!()
    }

    /// Adds a file; `content` must give exactly [`Entry::size`] bytes.
    pub fn add_file(
        &mut self,
        entry: &Entry,
        xattrs: &[Xattr],
        content: &mut dyn Read,
    ) -> Result<(), LayerError> {
        let _ = (entry, xattrs, content);
        todo!()
    }

    /// Removes `path` of the layers below.
    pub fn whiteout(&mut self, path: &str) -> Result<(), LayerError> {
        let _ = path;
        todo!()
    }

    /// Hides everything that the layers below have in the directory `dir`; the directory's own
    /// entry comes first.
    pub fn opaque(&mut self, dir: &str) -> Result<(), LayerError> {
        let _ = dir;
        todo!()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<(W, LayerDigest), LayerError> {
        todo!()
    }
}

/// Remembers where the files with several names went, so that later names become hard links.
/// BuildKit does that within one [`Match`](super::Match): use a fresh one for each.
#[derive(Debug, Default)]
pub struct Links {}

impl Links {
    /// The destination that an earlier name of the same file has, or `None` and `dest` is
    /// remembered.
    pub fn earlier(&mut self, entry: &Entry, dest: &str) -> Option<String> {
        let _ = (entry, dest);
        todo!()
    }
}
