//! `ADD` of archives: recognises them by content and puts their entries into a layer.
//!
//! As BuildKit does: owners and modes stay unless `--chown`, an entry for `./` changes
//! nothing, an entry outside (`../x`) fails, hard links point inside the destination, links
//! on the way are followed inside the destination. Nothing is kept in memory but names.

use std::io::{self, Read, Write};

use super::entry::{Kind, Mtime};
use super::tar::{LayerError, LayerWriter};

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// Whether the content is an archive that `ADD` unpacks: it decodes, and holds at least one
/// valid entry. Errors of reading count as no.
pub fn detect(content: &mut dyn Read) -> Option<Compression> {
    let _ = content;
    todo!()
}

/// Where and how to unpack.
pub struct Unpack<'a> {
    /// The destination directory as in [`Entry::path`](super::Entry::path), links resolved;
    /// the caller adds it to the layer if the image lacks it.
    pub dest: &'a str,
    /// `--chown`, as uid and gid.
    pub owner: Option<(u32, u32)>,
    /// The time of directories that the archive only implies.
    pub implied_mtime: Mtime,
    /// What the image has at a path below the destination, links not followed.
    pub lookup: &'a mut dyn FnMut(&str) -> io::Result<Option<Kind>>,
}

/// Why an archive cannot be put into a layer.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("the archive is broken: {0}")]
    Broken(#[source] io::Error),
    #[error("the archive's entry `{path}` is outside of the destination")]
    Outside { path: String },
    /// A name that a layer cannot hold; another way than a layer is needed.
    #[error("the archive's entry `{path}` cannot be stored in a layer")]
    Whiteout { path: String },
    /// A hard link to a file that only the image has; another way than a layer is needed.
    #[error("the archive's entry `{path}` is a hard link to `{target}`, which it does not hold")]
    LinkOutside { path: String, target: String },
    #[error("the archive's entry `{path}` is of the unknown type {kind:?}")]
    UnknownType { path: String, kind: char },
    #[error("`{path}` leads through something that is not a directory")]
    NotADirectory { path: String },
    #[error("the engine cannot tell what is at `{path}`: {source}")]
    Lookup { path: String, source: io::Error },
    #[error(transparent)]
    Layer(#[from] LayerError),
}

/// Puts the entries of an archive into a layer, in the archive's order.
pub fn unpack<W: Write>(
    content: &mut dyn Read,
    compression: Compression,
    options: Unpack<'_>,
    layer: &mut LayerWriter<W>,
) -> Result<(), UnpackError> {
    let _ = (content, compression, options, layer);
    todo!()
}
