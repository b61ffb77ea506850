//! `RUN`: a container from the step before, on the chosen network, committed when it succeeds.

use std::sync::Arc;

use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::author::Names;
use super::builder::Builder;
use super::failure::{self, Failure};
use super::hosts;
use super::identity;
use super::init_volume;
use super::leak;
use super::mounts::{self, MountFiles, Mounting};
use super::said::{Said, Told};
use super::snapshot::Snapshot;
use super::target;
use crate::cache::{Leak, RecordedLayer};
use crate::diag::{Class, Diagnostic};
use crate::engine::{ContainerSpec, Engine, EngineError, Mount, NetworkMode, Result};
use crate::image::Platform;
use crate::init::wire::{File, Needle, Request};
use crate::plan::{Network, Run, Step};
use crate::progress::Running;

/// BuildKit's name for the machine that a step finds itself on.
const HOSTNAME: &str = "buildkitsandbox";

impl Builder {
    /// Runs a `RUN` step and makes its image.
    #[expect(clippy::too_many_arguments, reason = "a step is all of these")]
    pub(super) async fn run_step(
        &self,
        platform: &Platform,
        step: &Step,
        run: &Run,
        files: RunFiles,
        mut names: Names,
        below: &Snapshot,
        progress: &Running,
    ) -> std::result::Result<Snapshot, Failure> {
        let engine_failed = |error: EngineError| failure::engine(step, &error);
        if !self.runs_alone(below)
            && let Some(place) = self.shared_place(platform, run, below).await?
        {
            return self
                .run_shared(platform, step, run, names, below, place, progress)
                .await;
        }
        let below = below.with_image().await?;
        let parent = self
            .image_of(&below, platform)
            .await
            .map_err(engine_failed)?;
        self.init_is_ready(&parent).await.map_err(engine_failed)?;
        let RunFiles { files, fresh } = files;
        let mounting = self
            .mounting(step, run, files, &parent, fresh, progress)
            .await?;
        let seen = mounting.seen.clone();
        let secrets: Vec<Vec<u8>> = seen.values().flat_map(|value| leak::texts(value)).collect();
        let made = self.step_container(run, mounting, parent, platform).await;
        let (spec, request) = made.map_err(engine_failed)?;
        let name = spec.name.clone();
        let ended = self
            .run_container(&spec, &request, &secrets, progress)
            .await;
        let ended = match ended {
            Err(EngineError::Api { message, .. }) if message.contains(init_volume::PROGRAM) => {
                // The volume is there but empty: somebody's build was killed while it filled it.
                self.ledger.leave(&name);
                self.refill(&spec.image).await.map_err(engine_failed)?;
                let again = ContainerSpec {
                    name: self.ledger.enter(),
                    ..spec.clone()
                };
                let ended = self
                    .run_container(&again, &request, &secrets, progress)
                    .await;
                ended.map(|ended| (again.name, ended))
            }
            other => other.map(|ended| (name, ended)),
        };
        let (container, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let engine = &*self.engine;
                return Err(target::start_failed(engine, &spec.network, step, &error).await);
            }
        };
        if ended.status != 0 {
            let failed = self.command_failed(step, run, &container, &ended).await;
            let failed = match target::lost(&*self.engine, &spec.network).await {
                Some(lost) => failed.with_note(lost),
                None => failed,
            };
            if ended.told.leaks.is_empty() {
                self.keep_remains(step, &container).await;
            }
            self.ledger.leave(&container);
            return Err(Arc::new(failed));
        }
        match self.guard(step, &ended.told) {
            Ok(leaks) => names.leaks.extend(leaks),
            Err(leaked) => {
                self.ledger.leave(&container);
                return Err(leaked);
            }
        }
        let keeper = self.keeper(platform, step, names, &below);
        keeper.commit(container).await
    }

    /// The container of a `RUN` step, ready to be created, and what its program is told.
    pub(super) async fn step_container(
        &self,
        run: &Run,
        mounting: Mounting,
        image: String,
        platform: &Platform,
    ) -> Result<(ContainerSpec, Request)> {
        let mut spec = self.run_spec(run, image, platform);
        spec.mounts.extend(self.hosts_mount(&spec).await?);
        let mut request = self.request(run, mounting, &mut spec);
        identity::hand_over(&self.settings.identity, &mut request)?;
        Ok((spec, request))
    }

    pub(super) async fn init_is_ready(&self, image: &str) -> Result<()> {
        let init = self
            .init_ready
            .get_or_try_init(|| init_volume::ensure(&self.engine, &self.ledger, image));
        init.await?;
        Ok(())
    }

    pub(super) async fn refill(&self, image: &str) -> Result<()> {
        init_volume::fill(&self.engine, &self.ledger, image).await
    }

    /// What stands for the `/etc/hosts` of a container whose network is joined, if anything.
    pub(super) async fn hosts_mount(&self, spec: &ContainerSpec) -> Result<Option<Mount>> {
        let NetworkMode::Container(target) = &spec.network else {
            return Ok(None);
        };
        if spec.extra_hosts.is_empty() {
            return Ok(None);
        }
        let extra = &spec.extra_hosts;
        let made = self.hosts.get_or_try_init(|| {
            hosts::mount(&self.engine, &self.ledger, &spec.image, target, extra)
        });
        made.await.cloned().map(Some)
    }

    /// What a step joins.
    pub(super) fn network_of(&self, run: &Run) -> NetworkMode {
        match run.network {
            Network::Default => self.settings.network.clone(),
            Network::None => NetworkMode::None,
            Network::Host => NetworkMode::Host,
        }
    }

    pub(super) fn run_spec(&self, run: &Run, image: String, platform: &Platform) -> ContainerSpec {
        let network = self.network_of(run);
        let own_name = !matches!(network, NetworkMode::Container(_) | NetworkMode::Host);
        let mut limits = self.settings.limits.clone();
        limits.privileged |= run.insecure;
        ContainerSpec {
            name: self.ledger.enter(),
            image,
            platform: Some(platform.clone()),
            entrypoint: vec![init_volume::PROGRAM.to_owned()],
            args: Vec::new(),
            user: "0".into(),
            working_dir: "/".into(),
            labels: self.ledger.labels(),
            network,
            hostname: own_name.then(|| run.hostname.as_deref().unwrap_or(HOSTNAME).to_owned()),
            extra_hosts: self.settings.extra_hosts.clone(),
            mounts: vec![init_volume::mount()],
            stdin: true,
            limits,
        }
    }

    /// What the program is told; the container gets what it needs for that.
    fn request(&self, run: &Run, mounting: Mounting, spec: &mut ContainerSpec) -> Request {
        let mut request = request(run, &super::builder::random_text());
        request.env.extend(mounting.env);
        request.mounts = mounting.mounts;
        spec.mounts.extend(mounting.volumes);
        let needle = |(name, value): (&String, &Arc<Vec<u8>>)| Needle {
            name: name.clone(),
            texts: leak::texts(value),
        };
        request.needles = mounting.seen.iter().map(needle).collect();
        request.needles.retain(|needle| !needle.texts.is_empty());
        if !request.mounts.is_empty() {
            let apparmor = self.engine.info().apparmor;
            let (confinement, profile) = mounts::allow_mounting(&mut spec.limits, apparmor);
            request.confinement = confinement;
            request.apparmor = profile;
        }
        request
    }

    /// Creates, starts and feeds a container, and passes its output on until it ends.
    async fn run_container(
        &self,
        spec: &ContainerSpec,
        request: &Request,
        secrets: &[Vec<u8>],
        progress: &Running,
    ) -> Result<Ended> {
        let token = request.token.clone();
        let request = encoded(request)?;
        self.ledger.create(spec).await?;
        let mut attached = self.engine.attach(&spec.name).await?;
        self.engine.start(&spec.name).await?;
        let feed = async {
            // A container that ended at once does not take it; its status says why.
            let sent = attached.stdin.write_all(&request).await;
            if let Err(error) = sent.and(attached.stdin.shutdown().await) {
                tracing::debug!(%error, "the step's request was not taken");
            }
        };
        let mut said = Said::new(&token, secrets);
        let listen = async {
            while let Some(piece) = attached.output.next().await {
                let (stream, bytes) = piece?;
                said.take(stream, bytes, progress);
            }
            Ok::<(), EngineError>(())
        };
        let ((), listened) = tokio::join!(feed, listen);
        listened?;
        let status = self.engine.wait(&spec.name).await?;
        let told = said.finish(status, progress);
        Ok(Ended { status, told })
    }

    pub(super) async fn command_failed(
        &self,
        step: &Step,
        run: &Run,
        container: &str,
        ended: &Ended,
    ) -> Diagnostic {
        let command = shown(run);
        if let Some(reason) = &ended.told.refused {
            let what = format!("`{command}` could not be started: {reason}");
            return Diagnostic::error(what).with_class(Class::Step).with_label(
                &step.source,
                step.span,
                "",
            );
        }
        let what = format!("`{command}` failed with exit code {}", ended.status);
        let mut failed =
            Diagnostic::error(what)
                .with_class(Class::Step)
                .with_label(&step.source, step.span, "");
        if let Ok(Some(detail)) = self.engine.inspect(container).await
            && detail.oom_killed
        {
            failed = failed
                .with_hint("it ran out of memory and was killed: give it more with `--memory`");
        }
        failed
    }
}

/// The layers of a commit: those of the settled snapshot below it as they are known, and what it
/// added, at a time.
pub(super) async fn layers_over(
    engine: &dyn Engine,
    below: &Snapshot,
    committed: &str,
    ended: &str,
    leaks: &[Leak],
) -> Result<Vec<RecordedLayer>> {
    let known = below.plain_layers();
    let all = engine.layers(committed, &known).await?;
    let mut layers = below.layers.clone();
    layers.extend(
        all.into_iter()
            .skip(known.len())
            .map(|layer| RecordedLayer {
                diff_id: layer.diff_id,
                blob: layer.blob,
                created: Some(ended.to_owned()),
                leaks: leaks.to_vec(),
            }),
    );
    Ok(layers)
}

/// What a step's mounts need besides the step.
pub(super) struct RunFiles {
    /// The files that they show.
    pub(super) files: Vec<MountFiles>,
    /// Whether caches are emptied first.
    pub(super) fresh: bool,
}

/// How a step's command ended.
pub(super) struct Ended {
    pub(super) status: i64,
    pub(super) told: Told,
}

pub(super) fn encoded(request: &Request) -> Result<Vec<u8>> {
    let encoded = request.encode();
    encoded.map_err(|error| EngineError::Local(format!("the step cannot be sent: {error}")))
}

/// What the program in the container is told.
pub(super) fn request(run: &Run, token: &str) -> Request {
    let pair =
        |(name, value): &(String, String)| (name.clone().into_bytes(), value.clone().into_bytes());
    let script = run.script.iter().map(|script| File {
        path: format!("/dev/pipes/{}", script.name).into_bytes(),
        content: script.body.clone().into_bytes(),
        mode: 0o755,
        uid: 0,
        gid: 0,
    });
    Request {
        token: token.to_owned(),
        args: run
            .argv
            .iter()
            .map(|arg| arg.clone().into_bytes())
            .collect(),
        env: run.proxy.iter().chain(&run.env).map(pair).collect(),
        cwd: run.cwd.clone().into_bytes(),
        user: run.user.clone(),
        files: script.collect(),
        ..Request::default()
    }
}

/// The command as a person would write it.
fn shown(run: &Run) -> String {
    let text = run.argv.join(" ");
    let first = text.lines().next().unwrap_or_default();
    let cut: String = first.chars().take(120).collect();
    if cut.len() < text.trim_end().len() {
        format!("{cut}...")
    } else {
        cut
    }
}
