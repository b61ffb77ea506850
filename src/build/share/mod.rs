//! `RUN` steps that share a container.
//!
//! Starting and ending a container costs an engine a quarter of a second, so steps that can do
//! without one of their own run in a container that is there already: each over an overlay of the
//! layers below it, in namespaces of its own (`src/init/room.rs`), so that it sees no difference.
//! The upper directory of its overlay is its layer, which is authored beside the next step.

mod container;
mod layer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, mpsc};

pub(super) use container::SharedContainer;

use super::author::{self, Names};
use super::builder::Builder;
use super::exec::Ended;
use super::failure::{self, Failure};
use super::keep::Keeper;
use super::ledger::Ledger;
use super::rootfs::Rootfs;
use super::said::Said;
use super::snapshot::{self, Snapshot, StageFuture, StageResult};
use super::{identity, mounts, target};
use crate::cache::Key;
use crate::engine::{
    ContainerSpec, Engine, EngineError, Limits, Mount, NetworkMode, Result, Stream,
};
use crate::image::Platform;
use crate::init::wire::share::{Frame, LAYERS, Order};
use crate::plan::{Action, Run, Stage, Step};
use crate::progress::Running;

/// Larger layers do not travel: a container of the step's own takes them over in the engine.
const LARGEST_SENT: u64 = 8 << 20;

/// How many layers stand upon each other in one container: the kernel takes a page of names.
const HIGHEST: usize = 100;

/// The containers of a build that steps share, by image and network.
#[derive(Default)]
pub(super) struct Shares {
    containers: Mutex<HashMap<(String, NetworkMode), Slot>>,
    numbers: AtomicU32,
}

impl Shares {
    /// The number of a new layer.
    fn next(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }
}

type Slot = Arc<OnceCell<Option<Arc<SharedContainer>>>>;

/// Where a step can go on: in a container, upon layers.
#[derive(Clone)]
pub(super) struct Place {
    container: Arc<SharedContainer>,
    network: NetworkMode,
    /// The topmost first.
    layers: Vec<u32>,
}

impl Builder {
    /// Whether a step can share a container.
    fn can_share(&self, run: &Run) -> bool {
        self.settings.share
            && !run.insecure
            && run.mounts.is_empty()
            && run.secret_env.is_empty()
            && self.settings.limits == Limits::default()
    }

    /// Whether nobody would share the container that a step is given: then what it changes, which
    /// may be large, is better committed at once.
    pub(super) fn runs_alone(&self, below: &Snapshot) -> bool {
        let steps = self.plan().stages.iter().flat_map(|stage| &stage.steps);
        let runs = steps.filter(|step| matches!(step.action, Action::Run(_)));
        below.place.is_none() && runs.count() < 2
    }

    /// The next `RUN` of a stage after a step, if it can share a container.
    pub(super) fn run_after<'a>(&self, stage: &'a Stage, step: &Step) -> Option<&'a Run> {
        let at = stage.steps.iter().position(|one| std::ptr::eq(one, step))?;
        let mut after = stage.steps[at + 1..].iter();
        let next = after.find_map(|step| match &step.action {
            Action::Run(run) => Some(run),
            _ => None,
        })?;
        self.can_share(next).then_some(next)
    }

    /// Where a step runs that can share a container.
    pub(super) async fn shared_place(
        &self,
        platform: &Platform,
        run: &Run,
        below: &Snapshot,
    ) -> std::result::Result<Option<Place>, Failure> {
        if !self.can_share(run) {
            return Ok(None);
        }
        let network = self.network_of(run);
        // The namespace outlives the container that it belongs to; a container of the step's own
        // says what has happened.
        if target::lost(&*self.engine, &network).await.is_some() {
            return Ok(None);
        }
        if let Some(place) = &below.place
            && place.network == network
            && place.layers.len() < HIGHEST
        {
            return Ok(Some(place.clone()));
        }
        let below = below.with_image().await?;
        // What keeps it from starting is told by the container that the step gets instead.
        let Ok(image) = self.image_of(&below, platform).await else {
            return Ok(None);
        };
        let slot = {
            let containers = self.shares.containers.lock();
            let mut containers = containers.unwrap_or_else(PoisonError::into_inner);
            let key = (image.clone(), network.clone());
            Arc::clone(containers.entry(key).or_default())
        };
        let start = || self.start_shared(run, image, platform);
        let container = match slot.get_or_try_init(start).await {
            Ok(container) => container.clone(),
            Err(error) => {
                tracing::debug!(%error, "no container is shared by steps");
                None
            }
        };
        Ok(container.map(|container| Place {
            container,
            network,
            layers: Vec::new(),
        }))
    }

    async fn start_shared(
        &self,
        run: &Run,
        image: String,
        platform: &Platform,
    ) -> Result<Option<Arc<SharedContainer>>> {
        self.init_is_ready(&image).await?;
        let mut spec = self.run_spec(run, image, platform);
        spec.args = vec!["share".into()];
        spec.mounts.extend(self.hosts_mount(&spec).await?);
        let volume = self.ledger.enter_volume();
        self.ledger.create_volume(&volume).await?;
        spec.mounts.push(layers_mount(&volume, false));
        let apparmor = self.engine.info().apparmor;
        let confinement = mounts::allow_mounting(&mut spec.limits, apparmor);
        let (engine, ledger) = (&self.engine, &self.ledger);
        let started = SharedContainer::start(engine, ledger, &spec, volume, confinement).await?;
        Ok(started.map(Arc::new))
    }

    /// What stands in a container, and will have an image later.
    pub(super) fn snapshot_in(
        &self,
        place: Place,
        later: StageFuture,
        definition: Key,
        content: Key,
    ) -> Snapshot {
        Snapshot {
            image: None,
            layers: Vec::new(),
            definition,
            content,
            rootfs: Rootfs::of_image(&self.engine, &self.ledger, None),
            later: Some(later),
            depth: None,
            place: Some(place),
        }
    }

    /// Puts a layer of entries into a container; `None` where it does not take them.
    pub(super) async fn hand_over(
        &self,
        place: Place,
        parts: mpsc::Receiver<Vec<u8>>,
    ) -> Option<Place> {
        let number = self.shares.next();
        match place.container.put(number, &place.layers, parts).await {
            Ok(()) => Some(place.with(number)),
            Err(error) => {
                tracing::debug!(%error, "a copy is not handed over");
                None
            }
        }
    }

    /// Runs a step in a container that others run in too.
    #[expect(clippy::too_many_arguments, reason = "a step is all of these")]
    pub(super) async fn run_shared(
        &self,
        platform: &Platform,
        step: &Step,
        run: &Run,
        names: Names,
        below: &Snapshot,
        place: Place,
        progress: &Running,
    ) -> std::result::Result<Snapshot, Failure> {
        let engine_failed = |error: EngineError| failure::engine(step, &error);
        let container = &place.container;
        let number = self.shares.next();
        let ended = self.run_in(&place, number, run, progress).await;
        let (ended, size) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let engine = &*self.engine;
                return Err(target::start_failed(engine, &place.network, step, &error).await);
            }
        };
        if ended.status != 0 {
            let failed = self
                .command_failed(step, run, &container.name, &ended)
                .await;
            if self.keep.is_some()
                && let Ok(dead) = self.applied(platform, run, below, container, number).await
            {
                self.keep_remains(step, &dead).await;
                self.ledger.leave(&dead);
            }
            let lost = target::lost(&*self.engine, &place.network).await;
            return Err(Arc::new(match lost {
                Some(lost) => failed.with_note(lost),
                None => failed,
            }));
        }
        let kept = self.keeper(platform, step, names.clone(), below);
        let later = if size > LARGEST_SENT {
            let spec = self.taking_over(platform, run, below, container, number);
            let spec = spec.await.map_err(engine_failed)?;
            snapshot::start(keep_large(kept, Arc::clone(container), spec))
        } else {
            snapshot::start(keep_small(kept, Arc::clone(container), number))
        };
        let place = place.with(number);
        let Names {
            definition,
            content,
            ..
        } = names;
        Ok(self.snapshot_in(place, later, definition, content))
    }

    /// A container that takes a layer over, to be created once the image below is there; its own
    /// image is named where it can be by now.
    async fn taking_over(
        &self,
        platform: &Platform,
        run: &Run,
        below: &Snapshot,
        container: &SharedContainer,
        number: u32,
    ) -> Result<ContainerSpec> {
        let image = match &below.later {
            None => self.image_of(below, platform).await?,
            Some(_) => String::new(),
        };
        let mut spec = self.run_spec(run, image, platform);
        spec.args = vec!["apply".into(), number.to_string()];
        spec.network = NetworkMode::None;
        spec.mounts.push(layers_mount(&container.volume, true));
        Ok(spec)
    }

    /// A container with the files that a failed step has left.
    async fn applied(
        &self,
        platform: &Platform,
        run: &Run,
        below: &Snapshot,
        container: &SharedContainer,
        number: u32,
    ) -> std::result::Result<String, Failure> {
        let below = below.settled().await?;
        let spec = self.taking_over(platform, run, &below, container, number);
        let taken = async {
            let spec = spec.await?;
            take_over(&self.ledger, &*self.engine, &spec).await?;
            Ok(spec.name)
        };
        let taken: Result<String> = taken.await;
        taken.map_err(|error| Arc::new(failure::of_engine(&error)))
    }

    async fn run_in(
        &self,
        place: &Place,
        number: u32,
        run: &Run,
        progress: &Running,
    ) -> Result<(Ended, u64)> {
        let mut request = super::exec::request(run, &super::builder::random_text());
        identity::hand_over(&self.settings.identity, &mut request)?;
        let (confinement, profile) = &place.container.confinement;
        request.confinement = *confinement;
        request.apparmor.clone_from(profile);
        let token = request.token.clone();
        let order = Order::Run {
            number,
            below: place.layers.clone(),
            request: super::exec::encoded(&request)?,
        };
        let mut told = place.container.order(number, &order).await?;
        let mut said = Said::new(&token, &[]);
        loop {
            match told.recv().await {
                Some(Frame::Stdout(bytes)) => said.take(Stream::Stdout, bytes.into(), progress),
                Some(Frame::Stderr(bytes)) => said.take(Stream::Stderr, bytes.into(), progress),
                Some(Frame::Ended { status, size }) => {
                    let status = i64::from(status);
                    let told = said.finish(status, progress);
                    return Ok((Ended { status, told }, size));
                }
                Some(Frame::Failed(reason)) => {
                    let what = format!("a step cannot share a container: {reason}");
                    return Err(EngineError::Unexpected(what));
                }
                Some(_) => {}
                None => return Err(place.container.gone()),
            }
        }
    }
}

impl Place {
    /// Upon one more layer.
    fn with(mut self, number: u32) -> Self {
        self.layers.insert(0, number);
        self
    }
}

/// The image of a step whose layer is authored from what came out of the container.
async fn keep_small(keeper: Keeper, container: Arc<SharedContainer>, number: u32) -> StageResult {
    let step = keeper.step.clone();
    let engine_failed = |error: EngineError| failure::engine(&step, &error);
    let files = container.take(number).await.map_err(engine_failed)?;
    let new_layer = if files.is_empty() {
        author::empty_layer()
    } else {
        let made = layer::of_files(&files);
        made.map_err(|error| Arc::new(failure::yours(&step, error.to_string())))?
    };
    drop(files);
    keeper.author(new_layer).await
}

/// The image of a step whose layer is taken over by a container and committed.
async fn keep_large(
    keeper: Keeper,
    shared: Arc<SharedContainer>,
    mut spec: ContainerSpec,
) -> StageResult {
    let below = keeper.below.settled().await?;
    if let Some(image) = below.image.clone().filter(|_| spec.image.is_empty()) {
        spec.image = image;
    }
    let keeper = Keeper { below, ..keeper };
    let taken = take_over(&keeper.ledger, &*keeper.engine, &spec).await;
    taken.map_err(|error| failure::engine(&keeper.step, &error))?;
    let made = keeper.commit(spec.name).await?.settled().await;
    drop(shared);
    made
}

async fn take_over(ledger: &Arc<Ledger>, engine: &dyn Engine, spec: &ContainerSpec) -> Result<()> {
    ledger.create(spec).await?;
    engine.start(&spec.name).await?;
    match engine.wait(&spec.name).await? {
        0 => Ok(()),
        status => Err(EngineError::Unexpected(format!(
            "a container that takes a layer over ended with status {status}"
        ))),
    }
}

fn layers_mount(volume: &str, read_only: bool) -> Mount {
    Mount::Volume {
        name: volume.to_owned(),
        target: LAYERS.into(),
        read_only,
    }
}
