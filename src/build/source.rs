//! The build context as the build uses it: opened when the first copy asks, on a thread that may
//! wait for a disk.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::context::{FileTree, StatCache};
use crate::diag::Diagnostic;

/// Opens the context.
pub type Open =
    Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn FileTree>, Diagnostic>> + Send + Sync>;

/// The build context.
pub struct ContextFiles {
    open: Open,
    tree: OnceCell<Arc<dyn FileTree>>,
    stat_cache: Option<Arc<StatCache>>,
}

impl ContextFiles {
    /// A context that is opened by `open`, and remembers file digests in a directory.
    pub fn new(open: Open, cache: Option<PathBuf>) -> Self {
        let stat_cache = cache.map(|dir| Arc::new(StatCache::open(&dir)));
        Self {
            open,
            tree: OnceCell::new(),
            stat_cache,
        }
    }

    pub(super) async fn tree(&self) -> Result<Arc<dyn FileTree>, Diagnostic> {
        self.tree.get_or_try_init(|| (self.open)()).await.cloned()
    }

    pub(super) fn stat_cache(&self) -> Option<Arc<StatCache>> {
        self.stat_cache.clone()
    }

    /// Writes what was learned for the next build. A cache that cannot be written costs time,
    /// not the build.
    pub fn save(&self) {
        if let Some(cache) = &self.stat_cache
            && let Err(error) = cache.save()
        {
            tracing::warn!(%error, "the cache of file digests cannot be written");
        }
    }
}
