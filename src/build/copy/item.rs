//! The files a copy brings, before they have a place.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::build::rootfs::Meta;

/// One source of a copy: a file, or a directory with what is in it.
#[derive(Debug, Clone)]
pub(in crate::build) struct Root {
    /// What it is called when it goes into a directory.
    pub(in crate::build) name: String,
    /// The source as the Dockerfile has it, for messages.
    pub(in crate::build) shown: String,
    /// The root itself first (its `path` is empty), then everything below it, parents first.
    pub(in crate::build) items: Vec<Item>,
    /// For `--parents`: the directories above it that come along, by destination path.
    pub(in crate::build) parents: Vec<Item>,
}

/// A file, directory, link or device.
#[derive(Debug, Clone)]
pub(in crate::build) struct Item {
    /// Relative to the root.
    pub(in crate::build) path: String,
    pub(in crate::build) meta: Meta,
    pub(in crate::build) content: Content,
    /// Files with the same identity in one root are hard links of each other.
    pub(in crate::build) identity: Option<(u64, u64)>,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub(in crate::build) enum Content {
    None,
    Bytes(Bytes),
    /// A file of the client, of this size when it was looked at.
    Path { path: PathBuf, size: u64 },
    /// A part of a file that holds what was read from the engine.
    Spool { file: Arc<File>, offset: u64, size: u64 },
    /// A hard link to another path of the same layer.
    Link(String),
}

impl Content {
    pub(in crate::build) fn size(&self) -> u64 {
        match self {
            Self::None | Self::Link(_) => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Path { size, .. } | Self::Spool { size, .. } => *size,
        }
    }
}
