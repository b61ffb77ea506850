//! A tree of one file, such as one that was downloaded.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::entry::{Entry, Kind, Xattr};
use super::error::Result;
use super::select::Match;
use super::tree::FileTree;

/// One file at the root.
pub struct OneFile {
    root: Arc<Entry>,
    entry: Arc<Entry>,
    content: Arc<File>,
    place: String,
}

impl OneFile {
    /// The file `entry` with this content; `place` is what messages call the tree.
    pub fn new(entry: Entry, content: Arc<File>, place: impl Into<String>) -> Self {
        Self {
            root: Arc::new(Entry::new("", Kind::Dir, 0o755)),
            entry: Arc::new(entry),
            content,
            place: place.into(),
        }
    }

    /// The file, as if a source had named it.
    pub fn whole(&self) -> Match {
        Match {
            name: self.entry.path.clone(),
            root: Arc::clone(&self.entry),
            contents: Vec::new(),
        }
    }
}

impl FileTree for OneFile {
    fn place(&self) -> &str {
        &self.place
    }

    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        let found = [&self.root, &self.entry];
        let found = found.into_iter().find(|entry| entry.path == path);
        Ok(found.cloned())
    }

    fn list(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        let list = dir.is_empty().then(|| Arc::clone(&self.entry));
        Ok(list.into_iter().collect())
    }

    fn xattrs(&self, _entry: &Entry) -> Result<Vec<Xattr>> {
        Ok(Vec::new())
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Part {
            content: Arc::clone(&self.content),
            at: 0,
            left: entry.size,
        }))
    }
}

/// A part of a file that several may read at the same time.
pub(super) struct Part {
    pub(super) content: Arc<File>,
    pub(super) at: u64,
    pub(super) left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(most);
        let got = self.content.read_at(&mut buffer[..wanted], self.at)?;
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}
