//! What a build makes in the engine besides images, and how it goes away again.
//!
//! Every container's name is in the ledger before the container exists, and carries labels that
//! say whose it is. The end of a build, good or bad, removes what is in the ledger; the next
//! start removes what builds left that were killed. Builds that still run are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::join_all;

use super::owner::Owner;
use crate::engine::{ContainerSpec, Engine, EngineError, Result};

/// The build that a container belongs to.
const LABEL_BUILD: &str = "bowline.build";
/// Who runs that build; see [`Owner`].
const LABEL_OWNER: &str = "bowline.owner";

/// The container that the owner's process cannot outlive: its pod's sandbox.
const LABEL_HOME: &str = "bowline.home";

/// How long the end of a build waits for what is under way.
const LONGEST_REQUEST: Duration = Duration::from_secs(20);

/// How often, and how long apart, the engine is asked for what a cut-off build left.
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The containers of one build.
pub struct Ledger {
    engine: Arc<dyn Engine>,
    build: String,
    owner: Owner,
    home: OnceLock<String>,
    /// Whether the result has its names; locked while it gets them.
    named: tokio::sync::Mutex<bool>,
    count: AtomicU32,
    names: Mutex<BTreeSet<String>>,
    images: Mutex<Vec<String>>,
    volumes: Mutex<BTreeSet<String>>,
    /// Requests that make something.
    making: tokio_util::task::TaskTracker,
    /// How many containers of killed builds were found.
    swept: AtomicUsize,
    /// Removals that nobody waits for until the end.
    leaving: tokio_util::task::TaskTracker,
}

impl Ledger {
    pub fn new(engine: Arc<dyn Engine>, build: String) -> Self {
        Self {
            engine,
            build,
            owner: Owner::this_process(),
            home: OnceLock::new(),
            named: tokio::sync::Mutex::new(false),
            count: AtomicU32::new(0),
            names: Mutex::new(BTreeSet::new()),
            images: Mutex::default(),
            volumes: Mutex::default(),
            making: tokio_util::task::TaskTracker::new(),
            swept: AtomicUsize::new(0),
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

    /// Says that this process lives in a container, or in a pod of which it is the sandbox.
    /// Whoever comes later, in another pod, can then tell that it is gone.
    pub fn lives_in(&self, container: &str) {
        // A process does not move.
        let _ = self.home.set(container.to_owned());
    }

    /// A name for a volume that is about to be created, and goes with the build.
    pub fn enter_volume(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("bowline-{}-{number}", self.build);
        self.volumes().insert(name.clone());
        name
    }

    /// The build's own name.
    pub fn build(&self) -> &str {
        &self.build
    }

    /// Held while the result gets its names, and set when it has them: an engine goes on with
    /// that whether somebody waits or not, so a build that is told to stop in the meantime waits.
    pub async fn naming(&self) -> tokio::sync::MutexGuard<'_, bool> {
        self.named.lock().await
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = [
            (LABEL_BUILD, self.build.clone()),
            (LABEL_OWNER, self.owner.to_string()),
        ];
        let home = self.home.get().map(|home| (LABEL_HOME, home.clone()));
        let labels = labels.into_iter().chain(home);
        labels.map(|(name, value)| (name.into(), value)).collect()
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

    /// Creates a container.
    ///
    /// # Errors
    /// As [`Engine::create`].
    pub async fn create(&self, spec: &ContainerSpec) -> Result<()> {
        let spec = spec.clone();
        self.to_the_end(|engine| async move { engine.create(&spec).await })
            .await?;
        Ok(())
    }

    /// Makes a volume that goes with the build, with a name that was [entered](Self::enter_volume).
    ///
    /// # Errors
    /// As [`Engine::ensure_volume`].
    pub async fn create_volume(&self, name: &str) -> Result<()> {
        let (name, labels) = (name.to_owned(), self.labels());
        self.to_the_end(|engine| async move { engine.ensure_volume(&name, &labels).await })
            .await?;
        Ok(())
    }

    /// Commits a container.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    pub async fn commit(&self, container: &str) -> Result<String> {
        let container = container.to_owned();
        self.to_the_end(|engine| async move { engine.commit(&container).await })
            .await
    }

    /// Makes something. An engine goes on with that when its asker has gone, so the request does
    /// too, and the end of the build waits for it: only then is what it made found and removed.
    async fn to_the_end<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        request: impl FnOnce(Arc<dyn Engine>) -> F,
    ) -> Result<T> {
        let request = request(Arc::clone(&self.engine));
        match self.making.spawn(request).await {
            Ok(made) => made,
            Err(error) => Err(EngineError::Local(error.to_string())),
        }
    }

    /// Takes an untagged image that a commit made and an authored image has replaced. It goes
    /// at the build's end: until then it keeps a containerd store from collecting layers that
    /// the next step builds on.
    pub fn drop_image(&self, id: &str) {
        lock(&self.images).push(id.to_owned());
    }

    /// Removes everything that is left and waits for it.
    ///
    /// # Errors
    /// With the first removal that failed, after all were tried.
    pub async fn close(&self) -> Result<()> {
        self.making.close();
        // An engine that never answers is not waited for.
        let made = tokio::time::timeout(LONGEST_REQUEST, self.making.wait()).await;
        if made.is_err() {
            tracing::debug!("the engine is still busy with what the build has asked for");
        }
        self.leaving.close();
        self.leaving.wait().await;
        let left: Vec<String> = self.names().iter().cloned().collect();
        let removed = join_all(left.iter().map(|name| self.engine.remove(name)));
        let results = if self.count.load(Ordering::Relaxed) == 0 {
            removed.await
        } else {
            // A build that was killed just before this one may have asked for something that
            // was not there yet when this one began.
            let (results, swept) = tokio::join!(removed, self.sweep());
            if let Err(error) = swept {
                tracing::debug!(%error, "leftovers of killed builds stay");
            }
            results
        };
        let images = std::mem::take(&mut *lock(&self.images));
        remove_images(&*self.engine, &images).await;
        results.into_iter().collect::<Result<Vec<()>>>()?;
        self.names().clear();
        self.drop_volumes().await
    }

    /// Once no container uses them.
    async fn drop_volumes(&self) -> Result<()> {
        let volumes: Vec<String> = self.volumes().iter().cloned().collect();
        let removed = volumes.iter().map(|name| self.engine.remove_volume(name));
        let removed = join_all(removed).await;
        removed.into_iter().collect::<Result<Vec<()>>>()?;
        self.volumes().clear();
        Ok(())
    }

    /// Removes everything of a build that was cut off. A request that was under way may still
    /// make a container after its name was tried, or an image, so the engine is asked until it
    /// has none.
    ///
    /// # Errors
    /// As [`Ledger::close`], or when the engine cannot be asked.
    pub async fn abandon(&self) -> Result<()> {
        let closed = self.close().await;
        for _ in 0..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let left = self
                .engine
                .containers(&[(LABEL_BUILD, &self.build)])
                .await?;
            let label = format!("{LABEL_BUILD}={}", self.build);
            let images = self.engine.untagged_images(&label).await?;
            let images: Vec<String> = images.into_iter().map(|image| image.id).collect();
            if left.is_empty() && images.is_empty() {
                break;
            }
            let removed = join_all(left.iter().map(|found| self.engine.remove(&found.id))).await;
            removed.into_iter().collect::<Result<Vec<()>>>()?;
            remove_images(&*self.engine, &images).await;
        }
        let left = self.engine.volumes(&[(LABEL_BUILD, &self.build)]).await?;
        let removed = left
            .iter()
            .map(|found| self.engine.remove_volume(&found.name));
        let removed = join_all(removed).await;
        removed.into_iter().collect::<Result<Vec<()>>>()?;
        closed
    }

    /// Removes what killed builds left in the engine; gives the number of containers.
    ///
    /// # Errors
    /// When the engine cannot be asked or a removal fails.
    pub async fn sweep(&self) -> Result<usize> {
        let found = self.engine.containers(&[(LABEL_BUILD, "")]).await?;
        let judged = found.iter().map(|found| self.is_dead(&found.labels));
        let judged = join_all(judged).await;
        let dead = found.iter().zip(judged).filter(|(_, dead)| *dead);
        let dead: Vec<_> = dead.map(|(found, _)| found).collect();
        let swept = self.swept.fetch_add(dead.len(), Ordering::Relaxed) + dead.len();
        let removed = dead.iter().map(|found| self.engine.remove(&found.id));
        let removed = join_all(removed).await;
        // An engine takes long to list its images, and a build that left some left a container.
        if swept > 0 {
            self.sweep_images().await?;
        }
        removed.into_iter().collect::<Result<Vec<()>>>()?;
        let found = self.engine.volumes(&[(LABEL_BUILD, "")]).await?;
        let judged = found.iter().map(|found| self.is_dead(&found.labels));
        let judged = join_all(judged).await;
        let left = found.iter().zip(judged).filter(|(_, dead)| *dead);
        let removed = left.map(|(found, _)| self.engine.remove_volume(&found.name));
        let removed = join_all(removed).await;
        removed.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(dead.len())
    }

    /// Whether the build that these labels name was killed.
    async fn is_dead(&self, labels: &BTreeMap<String, String>) -> bool {
        let Some(owner) = labels.get(LABEL_OWNER) else {
            return false;
        };
        match (Owner::is_dead(owner), labels.get(LABEL_HOME)) {
            (Some(dead), _) => dead,
            // Its pod is known to this engine, or was.
            (None, Some(home)) => match self.engine.inspect(home).await {
                Ok(home) => home.is_none_or(|home| !home.running),
                Err(_) => false,
            },
            (None, None) => false,
        }
    }

    /// Removes what commits of killed builds made: the engine gives such an image its container's
    /// labels, and a build replaces it at once by one of its own making, which has none of them.
    async fn sweep_images(&self) -> Result<()> {
        let found = self.engine.untagged_images(LABEL_OWNER).await?;
        let judged = found.iter().map(|image| self.is_dead(&image.labels));
        let judged = join_all(judged).await;
        let dead = found.into_iter().zip(judged).filter(|(_, dead)| *dead);
        let dead: Vec<String> = dead.map(|(image, _)| image.id).collect();
        remove_images(&*self.engine, &dead).await;
        Ok(())
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.names)
    }

    fn volumes(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.volumes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn remove_images(engine: &dyn Engine, ids: &[String]) {
    let removed = ids.iter().map(|id| engine.remove_image(id, true));
    for (id, removed) in ids.iter().zip(join_all(removed).await) {
        if let Err(error) = removed {
            // It costs no more than its config, and the next build tries again.
            tracing::debug!(%id, %error, "an intermediate image stays");
        }
    }
}
