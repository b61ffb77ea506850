//! A file tree read from a tar archive: a context that came on standard input, or files of an
//! image as an engine sends them. Contents are kept in an unnamed temporary file.

use std::io::Read;
use std::path::Path;

use super::error::Result;

/// Files of one or more archives.
pub struct TarTree {}

impl TarTree {
    /// An empty tree that keeps contents in a temporary file in `scratch`; `place` is what
    /// messages call it.
    pub fn new(scratch: &Path, place: impl Into<String>) -> Result<Self> {
        let _ = (scratch, place.into());
        todo!()
    }

    /// Reads an archive to its end. Entries keep their names, re-rooted below `under`
    /// (empty: the root) after the first `strip` parts are taken off; entries with no more
    /// parts than that are `under` itself. Later entries replace earlier ones.
    pub fn add(&mut self, archive: impl Read, strip: usize, under: &str) -> Result<()> {
        let _ = (archive, strip, under);
        todo!()
    }

    /// Adds what is known without an archive, such as a link on the way.
    pub fn insert(&mut self, entry: super::Entry) {
        let _ = entry;
        todo!()
    }
}
