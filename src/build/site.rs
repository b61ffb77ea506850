//! One stop of a debugger: an instruction of a stage, what is known of it, and its states.

use std::sync::{Arc, Mutex, PoisonError};

use super::builder::Builder;
use super::exec::layers_over;
use super::failed::Remains;
use super::failure::{self, Failure};
use super::gate::Verdict;
use super::held::{Held, Purpose};
use super::mounts::Mounting;
use super::snapshot::Snapshot;
use crate::cache::Key;
use crate::diag::Diagnostic;
use crate::plan::{Action, Line, MountSource, Network, Plan, Run, Scene, Stage, StageIndex, Step};
use crate::progress::StepOutcome;

/// A state of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    After,
    /// As its command died.
    Failed,
}

/// What a site is made of.
pub(super) struct Parts {
    pub(super) builder: Arc<Builder>,
    pub(super) stage: StageIndex,
    pub(super) line: usize,
    pub(super) callers: Vec<(StageIndex, usize)>,
    pub(super) states: Vec<Option<Arc<Snapshot>>>,
    pub(super) after: Option<Arc<Snapshot>>,
    pub(super) failure: Option<Failure>,
    pub(super) remains: Option<Arc<Remains>>,
    pub(super) verdict: Verdict,
}

/// An instruction that is about to be carried out, or was.
pub struct Site {
    parts: Parts,
    kept: Mutex<Option<Arc<Snapshot>>>,
}

impl Site {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            kept: Mutex::default(),
        }
    }

    pub fn plan(&self) -> &Plan {
        self.parts.builder.plan()
    }

    pub fn stage(&self) -> &Stage {
        self.parts.builder.stage_of(self.parts.stage)
    }

    /// Its place in [`Stage::lines`].
    pub fn index(&self) -> usize {
        self.parts.line
    }

    pub fn line(&self) -> &Line {
        &self.stage().lines[self.parts.line]
    }

    /// Who waits for this stage, the nearest first.
    pub fn callers(&self) -> &[(StageIndex, usize)] {
        &self.parts.callers
    }

    pub fn failure(&self) -> Option<&Diagnostic> {
        self.parts.failure.as_deref()
    }

    pub fn verdict(&self) -> &Verdict {
        &self.parts.verdict
    }

    /// The last moment of it that has come.
    pub fn moment(&self) -> Moment {
        match (&self.parts.failure, &self.parts.after) {
            (Some(_), _) => Moment::Failed,
            (None, Some(_)) => Moment::After,
            (None, None) => Moment::Before,
        }
    }

    /// The stage's variables and config.
    pub fn scene(&self) -> &Scene {
        let lines = &self.stage().lines;
        match (self.moment(), self.parts.line) {
            (Moment::After, line) => &lines[line].after,
            (_, line) => &lines[line.saturating_sub(1)].after,
        }
    }

    pub fn step(&self) -> Option<&Step> {
        self.line().step.map(|step| &self.stage().steps[step])
    }

    /// What a command of this place joins, as `--network` spells it, and whether its own
    /// instruction says so.
    pub fn network(&self) -> (String, bool) {
        match self.own_run().map(|run| run.network) {
            Some(Network::None) => ("none".into(), true),
            Some(Network::Host) => ("host".into(), true),
            Some(Network::Default) | None => (self.parts.builder.settings.network.as_api(), false),
        }
    }

    /// The name of the container whose network is joined.
    pub async fn network_owner(&self) -> Option<String> {
        let (network, _) = self.network();
        let id = network.strip_prefix("container:")?;
        // It is only a name for people; that the container is gone is told where it matters.
        let found = self.parts.builder.engine.inspect(id).await.ok()??;
        Some(found.name)
    }

    pub fn extra_hosts(&self) -> &[String] {
        &self.parts.builder.settings.extra_hosts
    }

    /// The instruction's own mounts, in words; of secrets and agents the names alone.
    pub fn mounts(&self) -> Vec<String> {
        let Some(run) = self.own_run() else {
            return Vec::new();
        };
        let mut all: Vec<String> = run
            .mounts
            .iter()
            .map(|mount| {
                let what = match &mount.source {
                    MountSource::Bind { source, .. } => format!("bind of {source}"),
                    MountSource::Cache(cache) => format!("cache {}", cache.id),
                    MountSource::Tmpfs { .. } => "tmpfs".into(),
                    MountSource::Secret { secret, .. } => format!("secret {}", secret.id),
                    MountSource::Agent { id, .. } => format!("ssh agent {id}"),
                };
                format!("{}: {what}", mount.target)
            })
            .collect();
        let secrets = run.secret_env.iter();
        all.extend(secrets.map(|secret| format!("${}: secret {}", secret.name, secret.id)));
        all
    }

    fn own_run(&self) -> Option<&Run> {
        match &self.step()?.action {
            Action::Run(run) => Some(run),
            Action::Copy(_) | Action::Workdir(_) => None,
        }
    }

    /// What a command of this place finds; where there is none of its own, a shell.
    fn run(&self) -> Run {
        if let Some(run) = self.own_run() {
            return run.clone();
        }
        let scene = self.scene();
        let pairs = scene.variables.iter();
        Run {
            argv: scene.shell.clone(),
            env: pairs
                .map(|variable| (variable.name.clone(), variable.value.clone()))
                .collect(),
            proxy: Vec::new(),
            cwd: scene.cwd.clone(),
            user: scene.config.config.user.clone(),
            network: Network::Default,
            insecure: false,
            mounts: Vec::new(),
            secret_env: Vec::new(),
            devices: Vec::new(),
            script: None,
            hostname: None,
        }
    }

    fn snapshot(&self, moment: Moment) -> Result<&Arc<Snapshot>, Diagnostic> {
        let parts = &self.parts;
        let found = match moment {
            Moment::After => parts.after.as_ref(),
            Moment::Before | Moment::Failed => {
                parts.states.get(parts.line).and_then(Option::as_ref)
            }
        };
        found.ok_or_else(|| {
            Diagnostic::error(match moment {
                Moment::After => "the instruction has not been carried out yet",
                Moment::Before | Moment::Failed => "there are no files before the stage's `FROM`",
            })
        })
    }

    /// The states of this stage that there are: before which lines.
    pub fn reached(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.parts.line
    }

    /// A container with the files of a moment of this instruction.
    ///
    /// # Errors
    /// When there is no such moment, or the engine fails.
    pub async fn hold(&self, moment: Moment, purpose: Purpose) -> Result<Held, Diagnostic> {
        let builder = &self.parts.builder;
        let below = self.snapshot(moment)?;
        let platform = &self.stage().platform;
        let engine_failed = |error| failure::of_engine(&error);
        let image = match (&self.parts.remains, moment) {
            (Some(remains), Moment::Failed) => remains.image.clone(),
            _ => {
                let image = builder.image_of(below, platform).await;
                image.map_err(engine_failed)?
            }
        };
        let run = self.run();
        let mounting = match purpose {
            Purpose::Look => None,
            Purpose::Work => Some(self.mounting(&run, &image).await?),
        };
        let held = builder.hold(&run, mounting, image, platform).await;
        held.map_err(engine_failed)
    }

    /// The mounts of the instruction's own command.
    async fn mounting(&self, run: &Run, image: &str) -> Result<Mounting, Diagnostic> {
        let builder = &self.parts.builder;
        let Some(step) = self.step().filter(|_| self.own_run().is_some()) else {
            return Ok(Mounting::default());
        };
        let ready = builder.init_is_ready(image).await;
        ready.map_err(|error| failure::of_engine(&error))?;
        let made = async {
            let sources = builder.sources(step).await?;
            let progress = builder.numbering().start("[debug] mounts of a shell");
            let files = builder.mount_files(step, run, &sources, &progress).await?;
            let mounting = builder
                .mounting(step, run, files, image, false, &progress)
                .await?;
            progress.finish(StepOutcome::Done);
            Ok::<_, Failure>(mounting)
        };
        made.await.map_err(|failure| (*failure).clone())
    }

    /// A container that shows the files before a line of this stage, `FROM` being 0; the line
    /// after this one stands for the files after it.
    ///
    /// # Errors
    /// As [`Site::hold`].
    pub async fn look_before(&self, line: usize) -> Result<Held, Diagnostic> {
        if line > self.parts.line {
            let moment = self.moment();
            return self.hold(moment, Purpose::Look).await;
        }
        let found = self.parts.states.get(line).and_then(Option::as_ref);
        let below = found
            .ok_or_else(|| Diagnostic::error("there are no files before the stage's `FROM`"))?;
        let builder = &self.parts.builder;
        let platform = &self.stage().platform;
        let held = async {
            let image = builder.image_of(below, platform).await?;
            builder.hold(&self.run(), None, image, platform).await
        };
        held.await.map_err(|error| failure::of_engine(&error))
    }

    /// Lets the build go on with what a container of this site holds now: in place of the state
    /// it was made from; a failed step counts as done.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn keep(&self, held: &Held, moment: Moment) -> Result<(), Diagnostic> {
        let below = self.snapshot(moment)?;
        let builder = &self.parts.builder;
        let kept = async {
            let committed = builder.ledger.commit(held.container()).await?;
            builder.ledger.drop_image(&committed);
            let now = jiff::Timestamp::now().to_string();
            let layers = layers_over(&*builder.engine, below, &committed, &now, &[]).await?;
            let key = Key::image(&committed);
            Ok(builder.snapshot_of(committed, layers, &key))
        };
        let kept = kept.await.map_err(|error| failure::of_engine(&error))?;
        *self.kept() = Some(Arc::new(kept));
        Ok(())
    }

    pub(super) fn take_kept(&self) -> Option<Arc<Snapshot>> {
        self.kept().take()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
