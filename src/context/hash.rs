//! The content digest of what a copy selects: equal when the copy would do the same.
//!
//! Covered: names relative to the destination, kinds, modes, owners (a context directory shows
//! 0:0, see [`Context`](super::Context)), targets of links, device numbers, extended
//! attributes, content. Not covered: modification times, and the names of matched directories.

use std::fmt;

use super::error::Result;
use super::select::Match;
use super::stat_cache::StatCache;
use super::tree::FileTree;

/// A BLAKE3 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigest(pub [u8; 32]);

/// The digest of matches; their order counts. Files are read in parallel, large ones in
/// pieces. What `cache` remembers is not read.
pub fn digest(
    tree: &dyn FileTree,
    matches: &[Match],
    cache: Option<&StatCache>,
) -> Result<ContentDigest> {
    let _ = (tree, matches, cache);
    todo!()
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
