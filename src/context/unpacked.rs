//! What an archive holds once it is unpacked: later entries have replaced earlier ones. Contents
//! are kept in an unnamed temporary file.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::archive::{Target, UnpackError};
use super::entry::{Entry, Kind, Xattr};
use super::error::Result;
use super::tar_tree::TarTree;
use super::tree::FileTree as _;

/// Entries by their path, and their contents.
pub struct Unpacked {
    tree: TarTree,
    /// What the archive holds; the tree has also what is above it.
    paths: BTreeSet<String>,
}

impl Unpacked {
    pub fn new(scratch: &Path) -> Result<Self> {
        Ok(Self {
            tree: TarTree::new(scratch, "archive")?,
            paths: BTreeSet::new(),
        })
    }

    /// The entries, a directory before what is in it, and the tree that has their contents.
    pub fn finish(self) -> Result<(Vec<Arc<Entry>>, TarTree)> {
        let mut entries = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            entries.extend(self.tree.lstat(path)?);
        }
        Ok((entries, self.tree))
    }
}

impl Target for Unpacked {
    fn add(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), UnpackError> {
        self.paths.insert(entry.path.clone());
        match &entry.kind {
            Kind::Hardlink(target) => self.tree.link(&entry.path, target),
            _ => self.tree.store(entry.clone(), xattrs.to_vec()),
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        entry: &Entry,
        xattrs: &[Xattr],
        content: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        self.paths.insert(entry.path.clone());
        let added = self
            .tree
            .store_file(entry.clone(), xattrs.to_vec(), content);
        added.map_err(UnpackError::keep)
    }
}
