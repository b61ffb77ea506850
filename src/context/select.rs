//! The sources of `COPY` and `ADD`: what a path or pattern selects in a [`FileTree`].
//!
//! - A source without wildcards must be there. Links on the way and the link that it names
//!   itself are followed inside the tree's root; `..` at the root stays there.
//! - A source with wildcards (`*`, `?`, `[…]`, `\` escapes, as Go's `filepath.Match`) may
//!   match nothing. Links before the first wildcard are followed; a link that is matched is
//!   followed, and must lead to something; a link in between is never gone through.
//! - A file goes to the destination, or into it under [`Match::name`] when it is a directory.
//!   Of a directory the *contents* go to the destination.
//!
//! Where things go is the caller's: this says what, and the name it has there.

use std::sync::Arc;

use super::entry::Entry;
use super::error::Result;
use super::tree::FileTree;

/// What the flags of the instruction say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--exclude`: patterns as in an ignore file, each relative to every source directory.
    /// A file that a source names or matches directly is never excluded.
    pub excludes: Vec<String>,
    /// `--parents`: the path from the root (or from `/./`) is kept at the destination.
    pub parents: bool,
}

/// One file or directory that a source names or matches.
#[derive(Debug, Clone)]
pub struct Match {
    /// The last part of the path before links were followed: the name that a *file* gets in
    /// a destination directory. Empty for the tree's root and with `--parents`.
    pub name: String,
    /// What it is after links were followed. With `--parents`, the directory that kept paths
    /// are relative to.
    ///
    /// A directory is not copied itself: the destination takes only its modification time
    /// (BuildKit does that also when the destination was there).
    pub root: Arc<Entry>,
    /// What is copied of a directory: each directory before what is in it. Empty for a file.
    pub contents: Vec<Selected>,
}

/// Something below a matched directory.
#[derive(Debug, Clone)]
pub struct Selected {
    /// In the source tree.
    pub entry: Arc<Entry>,
    /// A directory that is here only because something in it is selected (`--parents`, or an
    /// exclude with an exception). It is made like the source's when it is not there; when it
    /// is, it takes the source's mode and nothing else.
    pub implied: bool,
    /// Where the name relative to the destination starts in the entry's path.
    start: usize,
}

impl Selected {
    /// The path relative to the destination.
    pub fn name(&self) -> &str {
        &self.entry.path[self.start..]
    }
}

/// What `source` selects in `tree`, in the order in which BuildKit copies it: a later match
/// or entry of the same name replaces an earlier one.
pub fn select(tree: &dyn FileTree, source: &str, options: &Options) -> Result<Vec<Match>> {
    let _ = (tree, source, options);
    todo!()
}

/// The part of a source before its first wildcard, cleaned, and whether there is a wildcard:
/// with it, all files below that directory may be needed; without it, the path itself.
/// With `parents` the path is the directory before the `/./`, or the root.
pub fn fixed_prefix(source: &str, parents: bool) -> (String, bool) {
    let _ = (source, parents);
    todo!()
}
