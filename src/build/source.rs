//! The build context as the build uses it: opened when the first copy asks, on a thread that may
//! wait for a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::context::{FileTree, StatCache};
use crate::diag::Diagnostic;
use crate::plan::{ContextIndex, CopyFrom};

/// Opens the context.
pub type Open =
    Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn FileTree>, Diagnostic>> + Send + Sync>;

/// All that a build reads files from besides stages and images.
#[derive(Clone)]
pub struct Contexts {
    /// What `COPY` without `--from` reads.
    pub main: Arc<ContextFiles>,
    /// Those of `--build-context` that are files, by their number in the plan.
    pub named: BTreeMap<ContextIndex, Arc<ContextFiles>>,
    /// The digests of files of directories, between builds.
    pub stat_cache: Arc<StatCache>,
}

impl Contexts {
    /// The files that a step names, where they are no stage's and no image's.
    pub(super) fn of(&self, from: CopyFrom) -> Option<&ContextFiles> {
        match from {
            CopyFrom::Context => Some(&self.main),
            CopyFrom::Named(context) => self.named.get(&context).map(|context| &**context),
            CopyFrom::Stage(_) | CopyFrom::Image(_) | CopyFrom::Nothing => None,
        }
    }

    /// Writes what was learned for the next build. A cache that cannot be written costs time,
    /// not the build.
    pub fn save(&self) {
        if let Err(error) = self.stat_cache.save() {
            tracing::warn!(%error, "the cache of file digests cannot be written");
        }
    }
}

/// One build context.
pub struct ContextFiles {
    open: Open,
    tree: OnceCell<Arc<dyn FileTree>>,
}

impl ContextFiles {
    /// A context that is opened by `open`.
    pub fn new(open: Open) -> Self {
        Self {
            open,
            tree: OnceCell::new(),
        }
    }

    /// A context whose files are known already.
    pub fn of_tree(tree: Arc<dyn FileTree>) -> Self {
        Self {
            open: Box::new(|| futures::future::pending().boxed()),
            tree: OnceCell::new_with(Some(tree)),
        }
    }

    /// Its files.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn tree(&self) -> Result<Arc<dyn FileTree>, Diagnostic> {
        self.tree.get_or_try_init(|| (self.open)()).await.cloned()
    }
}
