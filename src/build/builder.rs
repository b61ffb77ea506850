//! The scheduler: makes what the target needs, each thing once, stages side by side.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};

use super::author::{self, Names};
use super::elsewhere::Elsewhere;
use super::exec::RunFiles;
use super::explain::Costs;
use super::failed::Keep;
use super::failure::{self, Failure};
use super::gate::{Gate, Gated, Session};
use super::guard::{self, Guarded};
use super::keys::StageKeys;
use super::ledger::Ledger;
use super::mounts::{Secrets, Volumes};
use super::rootfs::Rootfs;
use super::share::Shares;
use super::snapshot::{self, Snapshot, StageFuture, StageResult};
use super::source::Contexts;
use crate::cache::{Inputs, Key, Record, RecordedLayer};
use crate::diag::Class;
use crate::engine::{BaseImage, Engine, Limits, LoadRequest, Mount, NetworkMode, Result};
use crate::fetch::Remotes;
use crate::image::{ImageConfig, Platform};
use crate::plan::{Action, BaseIndex, CopyFrom, Plan, Stage, StageBase, StageIndex, Step};
use crate::progress::StepOutcome;
use crate::progress::{Numbering, Running};
use crate::request::{Identity, LeakGuard};

/// How often, and how long apart, a lost image is looked for under its name.
const LOOKS: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The choices of a build that concern its running.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What `RUN` steps join.
    pub network: NetworkMode,
    /// `host:ip`
    pub extra_hosts: Vec<String>,
    pub identity: Identity,
    pub limits: Limits,
    /// `--no-cache`
    pub no_cache: bool,
    /// `--no-cache-filter`: stages by name, in lower case.
    pub no_cache_stages: Vec<String>,
    /// How many steps may run at once.
    pub parallel: usize,
    /// Where temporary files go.
    pub scratch: PathBuf,
    pub secrets: Secrets,
    pub leak_guard: LeakGuard,
    /// Whether `RUN` steps may share containers.
    pub share: bool,
}

/// Builds the stages of a plan.
pub struct Builder {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) settings: Settings,
    pub(super) contexts: Contexts,
    pub(super) remotes: Arc<Remotes>,
    pub(super) init_ready: OnceCell<()>,
    /// The file of hosts that steps on another container's network get.
    pub(super) hosts: OnceCell<Mount>,
    pub(super) volumes: Volumes,
    pub(super) shares: Shares,
    plan: Arc<Plan>,
    bases: BTreeMap<BaseIndex, BaseImage>,
    pub(super) numbering: Arc<Numbering>,
    stages: Mutex<HashMap<StageIndex, StageFuture>>,
    keys: Mutex<HashMap<StageIndex, Arc<OnceCell<Arc<StageKeys>>>>>,
    /// Steps that are being made, so that equal ones are made once.
    making: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<bool>>>>,
    places: Semaphore,
    pub(super) elsewhere: Option<Arc<dyn Elsewhere>>,
    /// By title.
    costs: Mutex<Costs>,
    pub(super) guarded: Guarded,
    /// A debugger's, if there is one.
    pub(super) gated: Option<Gated>,
    /// Where a failed step is left for later, if it is.
    pub(super) keep: Option<Arc<Keep>>,
}

/// What a build is made of.
pub struct Parts {
    pub engine: Arc<dyn Engine>,
    pub ledger: Arc<Ledger>,
    pub plan: Arc<Plan>,
    pub bases: BTreeMap<BaseIndex, BaseImage>,
    pub contexts: Contexts,
    pub remotes: Arc<Remotes>,
    pub settings: Settings,
    pub numbering: Arc<Numbering>,
    /// Asked at every instruction; the plan must have been traced.
    pub gate: Option<(Arc<dyn Gate>, Arc<Session>)>,
    /// Asks to keep the files of a step that fails.
    pub keep: Option<Arc<Keep>>,
    /// A cache outside the engine.
    pub elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl Builder {
    pub fn new(parts: Parts) -> Arc<Self> {
        let places = Semaphore::new(parts.settings.parallel.max(1));
        Arc::new(Self {
            engine: parts.engine,
            ledger: parts.ledger,
            settings: parts.settings,
            contexts: parts.contexts,
            remotes: parts.remotes,
            init_ready: OnceCell::new(),
            hosts: OnceCell::new(),
            volumes: Volumes::default(),
            shares: Shares::default(),
            plan: parts.plan,
            bases: parts.bases,
            numbering: parts.numbering,
            stages: Mutex::default(),
            keys: Mutex::default(),
            making: Mutex::default(),
            places,
            elsewhere: parts.elsewhere,
            costs: Mutex::default(),
            guarded: Guarded::default(),
            gated: parts.gate.map(|(gate, session)| Gated::new(gate, session)),
            keep: parts.keep,
        })
    }

    /// Builds the target.
    ///
    /// # Errors
    /// With the first thing that failed. Everything else of the build is stopped.
    pub async fn build(self: &Arc<Self>) -> StageResult {
        // Stages nobody waits for any more stop when this ends, also when it is dropped.
        let _stop = StopStages(self);
        self.stage(self.plan.target).await
    }

    /// What the target's last step is known by before anything runs.
    ///
    /// # Errors
    /// When the context cannot be read.
    pub async fn target_key(self: &Arc<Self>) -> std::result::Result<Key, Failure> {
        let keys = self.stage_keys(self.plan.target).await?;
        Ok(keys.last().clone())
    }

    /// Shows that nothing of the target had to be made.
    pub fn show_target_cached(&self) {
        let stage = self.stage_of(self.plan.target);
        self.show_cached(stage, stage.steps.len());
    }

    /// A stage's result. The first who asks starts it; it stops when nobody waits any more.
    pub(super) fn stage(self: &Arc<Self>, index: StageIndex) -> StageFuture {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = stages.entry(index).or_insert_with(|| {
            let builder = Arc::clone(self);
            snapshot::start(async move {
                match builder.gated {
                    Some(_) => builder.walk(index).await,
                    None => builder.make_stage(index).await,
                }
            })
        });
        entry.clone()
    }

    async fn make_stage(self: &Arc<Self>, index: StageIndex) -> StageResult {
        let stage = self.stage_of(index);
        let keys = self.stage_keys(index).await?;
        let (done, mut snapshot) = match self.deepest_hit(stage, &keys).await? {
            Some((last, snapshot)) => (last + 1, Some(snapshot)),
            None => (0, None),
        };
        // What the remaining steps copy from is started now, side by side.
        let sources: Vec<StageFuture> = stage.steps[done..]
            .iter()
            .flat_map(sources_of)
            .filter_map(|from| match from {
                CopyFrom::Stage(other) => Some(self.stage(other)),
                _ => None,
            })
            .collect();
        if let Some(snapshot) = &snapshot {
            self.guard_known(snapshot)?;
        } else {
            snapshot = Some(self.start_of(stage, &keys).await?);
        }
        self.show_cached(stage, done);
        let mut snapshot = snapshot.expect("a stage starts from something");
        for at in done..stage.steps.len() {
            let (step, definition) = (&stage.steps[at], &keys.steps[at]);
            let made = self
                .step(stage, step, Some(definition), &snapshot, false)
                .await;
            snapshot = match made {
                Ok((made, _)) => made,
                Err(failure) => {
                    // The step before is kept for the next build, whatever became of this one;
                    // that it could not be kept matters less than what failed.
                    let below = snapshot.settled().await.unwrap_or(snapshot);
                    self.keep_failed((index, at), &below, &failure).await;
                    return Err(failure);
                }
            };
        }
        drop(sources);
        snapshot.settled().await
    }

    fn show_cached(&self, stage: &Stage, done: usize) {
        if !stage.from_title.is_empty() {
            self.numbering.cached(&stage.from_title);
        }
        for step in &stage.steps[..done] {
            self.numbering.cached(&step.title);
        }
    }

    /// The last step of a stage that the engine has, or can be given, looked for from the end.
    async fn deepest_hit(
        self: &Arc<Self>,
        stage: &Stage,
        keys: &StageKeys,
    ) -> std::result::Result<Option<(usize, Snapshot)>, Failure> {
        if self.ignores_cache(stage) {
            return Ok(None);
        }
        for index in (0..keys.steps.len()).rev() {
            if let Some(snapshot) = self.find_or_bring(stage, keys, index).await? {
                return Ok(Some((index, snapshot)));
            }
        }
        Ok(None)
    }

    pub(super) fn ignores_cache(&self, stage: &Stage) -> bool {
        let name = stage.name.as_ref().map(|name| name.to_lowercase());
        let named = |name: String| self.settings.no_cache_stages.contains(&name);
        self.settings.no_cache || name.is_some_and(named)
    }

    /// The step that is known by this key, if the engine still has it.
    pub(super) async fn find(&self, key: &Key) -> Result<Option<Snapshot>> {
        let Some(image) = self.engine.image(&key.image_name()).await? else {
            return Ok(None);
        };
        let Some(record) = Record::from_labels(&image.labels) else {
            return Ok(None);
        };
        let recorded = record.layers.iter().map(|layer| &layer.diff_id);
        if !recorded.eq(image.diff_ids.iter()) {
            return Ok(None);
        }
        Ok(Some(Snapshot {
            rootfs: Rootfs::of_image(&self.engine, &self.ledger, Some(image.id.clone())),
            image: Some(image.id),
            content: record.content_key(),
            layers: record.layers,
            definition: key.clone(),
            later: None,
            depth: None,
            place: None,
        }))
    }

    /// What a stage starts from.
    pub(super) async fn start_of(self: &Arc<Self>, stage: &Stage, keys: &StageKeys) -> StageResult {
        match stage.base {
            StageBase::Stage(other) => self.stage(other).await,
            StageBase::Scratch | StageBase::Files(_) => {
                Ok(self.base_snapshot(None, Vec::new(), &keys.start))
            }
            StageBase::Image(base) => Ok(self.image_snapshot(base)),
        }
    }

    pub(super) fn image_snapshot(&self, base: BaseIndex) -> Snapshot {
        let image = self.base(base);
        let layers = image.layers.iter().map(|layer| RecordedLayer {
            diff_id: layer.diff_id.clone(),
            blob: layer.blob.clone(),
            created: None,
            leaks: Vec::new(),
        });
        self.base_snapshot(
            Some(image.id.clone()),
            layers.collect(),
            &Key::image(&image.id),
        )
    }

    pub(super) fn base_snapshot(
        &self,
        image: Option<String>,
        layers: Vec<RecordedLayer>,
        key: &Key,
    ) -> Snapshot {
        Snapshot {
            rootfs: Rootfs::of_image(&self.engine, &self.ledger, image.clone()),
            image,
            layers,
            definition: key.clone(),
            content: key.clone(),
            later: None,
            depth: None,
            place: None,
        }
    }

    /// One step: found by what it reads, or made, and whether it was found. Without a definition
    /// it is known by its content alone; a fresh one is made in any case.
    pub(super) async fn step(
        self: &Arc<Self>,
        stage: &Stage,
        step: &Step,
        definition: Option<&Key>,
        below: &Snapshot,
        fresh: bool,
    ) -> std::result::Result<(Snapshot, bool), Failure> {
        let mut sources = self.sources(step).await?;
        let progress = self.numbering.start(&step.title);
        let mut below = below.clone();
        let mut attempts = 0..LOOKS;
        let result = loop {
            let result = self
                .found_or_made(
                    stage,
                    step,
                    (definition, fresh),
                    &below,
                    &sources,
                    &progress,
                )
                .await;
            let Err(failure) = &result else { break result };
            if failure.class != Class::Environment || attempts.next().is_none() {
                break result;
            }
            let equal_below = self.equal_to_lost(failure, &below).await;
            let mut found = equal_below.is_some();
            for (_, source) in &mut sources {
                if let Some(equal) = self.equal_to_lost(failure, source).await {
                    *source = equal;
                    found = true;
                }
            }
            if !found {
                break result;
            }
            below = equal_below.unwrap_or(below);
        };
        let outcome = match &result {
            Ok((_, true)) => StepOutcome::Cached,
            Ok((_, false)) => StepOutcome::Done,
            Err(failure) => StepOutcome::Failed(failure.message.clone()),
        };
        let cost = (outcome.clone(), progress.took());
        self.lock_costs().insert(step.title.clone(), cost);
        progress.finish(outcome);
        result.map_err(|failure| failure::of_step(step, failure))
    }

    /// What another build made of the same, when the engine has lost a snapshot of ours: giving a
    /// name to an equal step takes it from ours, and a containerd store then drops it.
    async fn equal_to_lost(&self, failure: &Failure, snapshot: &Snapshot) -> Option<Snapshot> {
        let image = snapshot.image.as_ref()?;
        let named = failure.message.contains(image.as_str());
        if !named && !matches!(self.engine.image(image).await, Ok(None)) {
            return None;
        }
        // While the name changes hands there is a moment when nobody has it.
        for _ in 0..LOOKS {
            if let Ok(Some(mut equal)) = self.find(&snapshot.content).await {
                equal.definition = snapshot.definition.clone();
                return Some(equal);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        None
    }

    /// The stages and images that a step copies from or mounts.
    pub(super) async fn sources(
        self: &Arc<Self>,
        step: &Step,
    ) -> std::result::Result<Vec<(CopyFrom, Snapshot)>, Failure> {
        let mut sources = Vec::new();
        for from in sources_of(step) {
            let snapshot = match from {
                CopyFrom::Context | CopyFrom::Named(_) | CopyFrom::Nothing => continue,
                CopyFrom::Stage(other) => self.stage(other).await?,
                CopyFrom::Image(base) => self.image_snapshot(base),
            };
            sources.push((from, snapshot));
        }
        Ok(sources)
    }

    async fn found_or_made(
        &self,
        stage: &Stage,
        step: &Step,
        (definition, fresh): (Option<&Key>, bool),
        below: &Snapshot,
        sources: &[(CopyFrom, Snapshot)],
        progress: &Running,
    ) -> std::result::Result<(Snapshot, bool), Failure> {
        let _place = self
            .places
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let mut files = None;
        let mut mounts = Vec::new();
        let inputs = match &step.action {
            Action::Copy(copy) => {
                let source = sources.first().map(|(_, source)| source);
                let found = self.gather(step, copy, source, progress).await?;
                files.insert(found).inputs()
            }
            Action::Run(run) => {
                mounts = self.mount_files(step, run, sources, progress).await?;
                super::mounts::inputs(&mounts)
            }
            Action::Workdir(_) => Inputs::None,
        };
        let content = Key::step(&below.content, &step.action, &inputs);
        let by_content = definition.is_none_or(|definition| content != *definition);
        let definition = definition.unwrap_or(&content);
        let names = Names {
            definition: definition.clone(),
            content: content.clone(),
            anew: self.ignores_cache(stage),
            leaks: guard::brought(sources),
            created: None,
        };
        let turn = self.turn(&content);
        let mut made = turn.lock_owned().await;
        // A step whose definition was not found may still be known by its content, from another
        // road to the same files; and an equal step may just have been made beside this one.
        let may_look = *made || (!self.ignores_cache(stage) && by_content);
        if may_look && !fresh {
            let found = self
                .find(&content)
                .await
                .map_err(|e| failure::engine(step, &e))?;
            let found = match found {
                None if !*made => {
                    self.bring_by_content(&stage.platform, step, &names, below)
                        .await?
                }
                found => found,
            };
            if let Some(mut snapshot) = found {
                self.guard_known(&snapshot)?;
                self.alias(&snapshot, definition)
                    .await
                    .map_err(|e| failure::engine(step, &e))?;
                snapshot.definition = definition.clone();
                return Ok((snapshot, true));
            }
        }
        let platform = &stage.platform;
        let settled;
        let below = match &step.action {
            Action::Run(_) => below,
            Action::Copy(_) | Action::Workdir(_) => {
                settled = below.settled().await?;
                &settled
            }
        };
        let snapshot = match (&step.action, files) {
            (Action::Run(run), _) => {
                let mounts = RunFiles {
                    files: mounts,
                    fresh: self.ignores_cache(stage),
                };
                self.run_step(platform, step, run, mounts, names, below, progress)
                    .await?
            }
            (Action::Workdir(workdir), _) => {
                self.workdir_step(stage, step, workdir, names, below)
                    .await?
            }
            (Action::Copy(copy), files) => {
                let files = files.expect("a copy has gathered its files");
                self.copy_step(stage, step, copy, files, names, below, progress)
                    .await?
            }
        };
        *made = true;
        if let Some(later) = snapshot.later.clone() {
            // Equal steps wait until it can be found.
            tokio::spawn(async move {
                let _ = later.await;
                drop(made);
            });
        }
        Ok((snapshot, false))
    }

    pub(super) fn turn(&self, key: &Key) -> Arc<tokio::sync::Mutex<bool>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(making.entry(key.clone()).or_default())
    }

    /// Lets a step be found by one more definition.
    async fn alias(&self, snapshot: &Snapshot, definition: &Key) -> Result<()> {
        match &snapshot.image {
            Some(image) if snapshot.content != *definition => {
                self.engine.tag(image, &definition.image_name()).await
            }
            _ => Ok(()),
        }
    }

    /// An image to create containers from. `scratch` has none until it is needed, and a base
    /// image with volumes is replaced by one without: a container would hide what is below them.
    pub(super) async fn image_of(&self, below: &Snapshot, platform: &Platform) -> Result<String> {
        let base = self
            .bases
            .values()
            .find(|base| Some(&base.id) == below.image.as_ref());
        let volumes = base.is_some_and(|base| !base.config.config.volumes.is_empty());
        match &below.image {
            Some(image) if !volumes => Ok(image.clone()),
            _ => self.plain_image(below, platform).await,
        }
    }

    async fn plain_image(&self, below: &Snapshot, platform: &Platform) -> Result<String> {
        let mut config = ImageConfig::scratch(platform);
        let new_layer = below.layers.is_empty().then(author::empty_layer);
        let request = LoadRequest {
            take_names: true,
            below: below.plain_layers(),
            new_layer,
            tags: vec![below.content.image_name()],
            config: Box::new(move |layers| {
                config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
                config
            }),
        };
        self.engine.load(request).await.map(|loaded| loaded.id)
    }

    pub(super) fn scratch_snapshot(&self, key: &Key) -> Snapshot {
        self.base_snapshot(None, Vec::new(), key)
    }

    /// The base image that has this ID.
    pub(super) fn base_of_image(&self, id: &str) -> Option<BaseIndex> {
        let found = self.bases.iter().find(|(_, base)| base.id == id);
        found.map(|(index, _)| *index)
    }

    pub(super) fn snapshot_of(
        &self,
        image: String,
        layers: Vec<RecordedLayer>,
        key: &Key,
    ) -> Snapshot {
        self.base_snapshot(Some(image), layers, key)
    }

    pub(super) fn numbering(&self) -> &Numbering {
        &self.numbering
    }

    pub(super) fn is_started(&self, index: StageIndex) -> bool {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.contains_key(&index)
    }

    /// Lets a stage be made again when it is asked for.
    pub(super) fn forget_stage(&self, index: StageIndex) {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.remove(&index);
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn stage_of(&self, index: StageIndex) -> &Stage {
        self.plan
            .stage(index)
            .expect("only planned stages are asked for")
    }

    pub(super) fn base(&self, index: BaseIndex) -> &BaseImage {
        &self.bases[&index]
    }

    fn lock_costs(&self) -> std::sync::MutexGuard<'_, Costs> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn costs(&self) -> Costs {
        self.lock_costs().clone()
    }

    /// The keys of a stage, if anybody has asked for them.
    pub(super) fn known_keys(&self, index: StageIndex) -> Option<Arc<StageKeys>> {
        self.key_slot(index).get().cloned()
    }

    pub(super) fn key_slot(&self, index: StageIndex) -> Arc<OnceCell<Arc<StageKeys>>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(keys.entry(index).or_default())
    }
}

/// Where the files are that a step copies or mounts.
pub(super) fn sources_of(step: &Step) -> Vec<CopyFrom> {
    match &step.action {
        Action::Copy(copy) => vec![copy.from],
        Action::Run(run) => run.files().map(|(from, _)| from).collect(),
        Action::Workdir(_) => Vec::new(),
    }
}

/// Stops the stages that still run. They hold the builder, so it would never go away by itself.
struct StopStages<'a>(&'a Arc<Builder>);

impl Drop for StopStages<'_> {
    fn drop(&mut self) {
        let mut stages = self.0.stages.lock();
        let stages = stages.as_deref_mut().map(std::mem::take);
        drop(stages.unwrap_or_default());
    }
}

/// A name for a build that no other build has.
pub fn new_id() -> String {
    random_text()[..12].to_owned()
}

/// Some text that nobody can guess and that no other build uses.
pub(super) fn random_text() -> String {
    let state = std::collections::hash_map::RandomState::new();
    let mut hasher = state.build_hasher();
    hasher.write_u128(std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos()));
    format!("{:016x}", hasher.finish())
}
