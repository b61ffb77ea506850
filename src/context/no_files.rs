//! A tree without files.

use std::sync::Arc;

use super::entry::{Entry, Xattr};
use super::error::Result;
use super::tree::FileTree;

/// Nothing: where a copy needs no files, or the context is only a Dockerfile.
#[derive(Debug)]
pub struct NoFiles;

impl FileTree for NoFiles {
    fn place(&self) -> &'static str {
        "build context"
    }

    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        let root = || Arc::new(Entry::new("", super::Kind::Dir, 0o755));
        Ok(path.is_empty().then(root))
    }

    fn list(&self, _dir: &str) -> Result<Vec<Arc<Entry>>> {
        Ok(Vec::new())
    }

    fn xattrs(&self, _entry: &Entry) -> Result<Vec<Xattr>> {
        Ok(Vec::new())
    }

    fn open(&self, _entry: &Entry) -> Result<Box<dyn std::io::Read + Send>> {
        Ok(Box::new(std::io::empty()))
    }
}
