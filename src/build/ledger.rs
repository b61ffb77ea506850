//! What a build makes in the engine besides images, and how it goes away again.
//!
//! Every container's name is in the ledger before the container exists, and carries labels that
//! say whose it is. The end of a build, good or bad, removes what is in the ledger; the next
//! start removes what builds left that were killed. Builds that still run are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;

use super::owner::Owner;
use crate::engine::{Engine, Result};

/// The build that a container belongs to.
const LABEL_BUILD: &str = "bowline.build";
/// Who runs that build; see [`Owner`].
const LABEL_OWNER: &str = "bowline.owner";

/// The containers of one build.
pub struct Ledger {
    engine: Arc<dyn Engine>,
    build: String,
    owner: Owner,
    count: AtomicU32,
    names: Mutex<BTreeSet<String>>,
    images: Mutex<Vec<String>>,
    /// Removals that nobody waits for until the end.
    leaving: tokio_util::task::TaskTracker,
}

impl Ledger {
    pub fn new(engine: Arc<dyn Engine>, build: String) -> Self {
        Self {
            engine,
            build,
            owner: Owner::this_process(),
            count: AtomicU32::new(0),
            names: Mutex::new(BTreeSet::new()),
            images: Mutex::default(),
            leaving: tokio_util::task::TaskTracker::new(),
        }
    }

    /// A name for a container that is about to be created.
    pub fn enter(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("bowline-{}-{number}", self.build);
        self.names().insert(name.clone());
        name
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_BUILD.into(), self.build.clone()),
            (LABEL_OWNER.into(), self.owner.to_string()),
        ])
    }

    /// Removes a container in the background.
    pub fn leave(self: &Arc<Self>, name: &str) {
        let (ledger, name) = (Arc::clone(self), name.to_owned());
        self.leaving.spawn(async move {
            // A removal that fails stays in the ledger; the end of the build tries again.
            if ledger.engine.remove(&name).await.is_ok() {
                ledger.names().remove(&name);
            }
        });
    }

    /// Takes an untagged image that a commit made and an authored image has replaced. It goes
    /// at the build's end: until then it keeps a containerd store from collecting layers that
    /// the next step builds on.
    pub fn drop_image(&self, id: &str) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.push(id.to_owned());
    }

    /// Removes everything that is left and waits for it.
    ///
    /// # Errors
    /// With the first removal that failed, after all were tried.
    pub async fn close(&self) -> Result<()> {
        self.leaving.close();
        self.leaving.wait().await;
        let left: Vec<String> = self.names().iter().cloned().collect();
        let results = join_all(left.iter().map(|name| self.engine.remove(name))).await;
        let images: Vec<String> = {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.drain(..).collect()
        };
        let dropped = images.iter().map(|id| self.engine.remove_image(id, true));
        for (id, dropped) in images.iter().zip(join_all(dropped).await) {
            if let Err(error) = dropped {
                // It costs no more than its config.
                tracing::debug!(%id, %error, "an intermediate image stays");
            }
        }
        results.into_iter().collect::<Result<Vec<()>>>()?;
        self.names().clear();
        Ok(())
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what killed builds left in the engine; gives the number of containers.
///
/// # Errors
/// When the engine cannot be asked or a removal fails.
pub async fn sweep(engine: &dyn Engine) -> Result<usize> {
    let found = engine.containers(&[(LABEL_BUILD, "")]).await?;
    let dead: Vec<_> = found
        .iter()
        .filter(|container| {
            container
                .labels
                .get(LABEL_OWNER)
                .is_some_and(|owner| Owner::is_dead(owner))
        })
        .collect();
    let results = join_all(dead.iter().map(|container| engine.remove(&container.id))).await;
    results.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(dead.len())
}
