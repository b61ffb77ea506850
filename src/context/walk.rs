//! A context directory, listed only where a copy asks.

use std::path::Path;

use super::error::Result;
use super::ignore::IgnoreRules;

/// The files of a context directory that are not ignored.
///
/// A directory is listed when something in it is asked for, once for the whole build.
/// Owners show as 0:0, as BuildKit sees a local context. Sockets are left out.
pub struct Context {}

impl Context {
    /// The context in the directory `root`. Reads nothing but the directory's own metadata.
    pub fn open(root: &Path, rules: IgnoreRules) -> Result<Self> {
        let _ = (root, rules);
        todo!()
    }

    /// With another name for messages than `build context`.
    #[must_use]
    pub fn called(self, place: impl Into<String>) -> Self {
        let _ = place.into();
        self
    }

    /// Forgets what was listed: after [`Error::Changed`](super::Error::Changed), before
    /// trying again.
    pub fn forget(&self) {
        todo!()
    }
}
