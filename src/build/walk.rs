//! A stage under a debugger: instruction by instruction, each shown to the gate before and after.
//!
//! Cached steps are walked too, so that breakpoints on them stop. The keys are the same as
//! without a gate, and so is what is stored; only where something was changed by hand are the
//! steps after it known by their content alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::author;
use super::builder::{Builder, sources_of};
use super::failure::{self, Failure};
use super::gate::{Gated, Turn, Verdict};
use super::keys::StageKeys;
use super::rootfs::Rootfs;
use super::site::Site;
use super::snapshot::{Snapshot, StageFuture, StageResult};
use crate::cache::Key;
use crate::diag::{Class, Diagnostic};
use crate::engine::LoadRequest;
use crate::image::ImageConfig;
use crate::plan::{CopyFrom, Stage, StageBase, StageIndex, Step};

/// What ends a build that its gate has stopped.
fn stopped() -> Failure {
    Arc::new(Diagnostic::error("the debugger ended the build").with_class(Class::Yours))
}

/// The stages a step reads.
fn needs(step: &Step) -> Vec<StageIndex> {
    let stages = sources_of(step).into_iter().filter_map(|from| match from {
        CopyFrom::Stage(other) => Some(other),
        CopyFrom::Context | CopyFrom::Named(_) | CopyFrom::Image(_) | CopyFrom::Nothing => None,
    });
    stages.collect()
}

/// The stages a line of a stage needs.
fn needed_by(stage: &Stage, line: usize) -> Vec<StageIndex> {
    if line == 0 {
        return match stage.base {
            StageBase::Stage(other) => vec![other],
            StageBase::Scratch | StageBase::Files(_) | StageBase::Image(_) => Vec::new(),
        };
    }
    let step = stage.lines[line].step;
    step.map_or_else(Vec::new, |step| needs(&stage.steps[step]))
}

/// A stage on its way.
struct Walk<'a> {
    builder: &'a Arc<Builder>,
    gated: &'a Gated,
    stage: &'a Stage,
    keys: Arc<StageKeys>,
    /// The last step that the engine has.
    deepest: Option<(usize, Snapshot)>,
    /// The files before each line that has been reached; none before `FROM`.
    states: Vec<Option<Arc<Snapshot>>>,
    /// Lines from here on do not look at the cache.
    fresh: Option<usize>,
    /// The first line whose step was not known.
    missed: Option<usize>,
}

impl Builder {
    /// Makes a stage under the gate.
    pub(super) async fn walk(self: &Arc<Self>, index: StageIndex) -> StageResult {
        let gated = self.gated.as_ref().expect("only a build with a gate walks");
        let stage = self.stage_of(index);
        let keys = self.stage_keys(index).await?;
        let deepest = self.deepest_known(stage, &keys).await?;
        let walk = Walk {
            builder: self,
            gated,
            stage,
            keys,
            deepest,
            states: vec![None],
            fresh: None,
            missed: None,
        };
        walk.run().await
    }

    /// As [`Builder::deepest_hit`], but `--no-cache` lets steps of this session count.
    async fn deepest_known(
        &self,
        stage: &Stage,
        keys: &StageKeys,
    ) -> Result<Option<(usize, Snapshot)>, Failure> {
        for (index, key) in keys.steps.iter().enumerate().rev() {
            if !self.may_be_known(stage, key) {
                continue;
            }
            let found = self.find(key).await;
            let found = found.map_err(|error| failure::engine(&stage.steps[index], &error))?;
            if let Some(snapshot) = found {
                return Ok(Some((index, snapshot)));
            }
        }
        Ok(None)
    }

    fn may_be_known(&self, stage: &Stage, key: &Key) -> bool {
        let made = |gated: &Gated| gated.has_made(key);
        !self.ignores_cache(stage) || self.gated.as_ref().is_some_and(made)
    }

    /// Whether the engine has a whole stage, and those it needs.
    async fn is_all_known(self: &Arc<Self>, index: StageIndex) -> Result<bool, Failure> {
        let (mut todo, mut seen) = (vec![index], BTreeSet::new());
        while let Some(index) = todo.pop() {
            if !seen.insert(index) {
                continue;
            }
            let stage = self.stage_of(index);
            let keys = self.stage_keys(index).await?;
            let deepest = self.deepest_known(stage, &keys).await?;
            if deepest.map_or(0, |(last, _)| last + 1) < stage.steps.len() {
                return Ok(false);
            }
            todo.extend((0..stage.lines.len()).flat_map(|line| needed_by(stage, line)));
        }
        Ok(true)
    }
}

impl Walk<'_> {
    async fn run(mut self) -> StageResult {
        let gate = Arc::clone(&self.gated.gate);
        let mut ahead = Vec::new();
        let mut at = 0;
        let mut asked = false;
        while at < self.stage.lines.len() {
            self.states.truncate(at + 1);
            if !asked {
                let verdict = self.verdict(at).await?;
                let site = self.site(at, verdict, None, None);
                match gate.before(&site).await {
                    Turn::Go | Turn::Retry => {}
                    Turn::BackTo { line, fresh } => {
                        at = self.go_back(line.min(at), fresh);
                        continue;
                    }
                    Turn::Stop => return Err(stopped()),
                }
                if let Some(kept) = site.take_kept() {
                    self.states[at] = Some(kept);
                }
                if gate.is_running_freely() && ahead.is_empty() {
                    ahead = self.start_ahead(at);
                }
            }
            asked = false;
            let result = self.perform(at).await;
            let (after, failure) = match &result {
                Ok((snapshot, _)) => (Some(Arc::new(snapshot.clone())), None),
                Err(failure) => (None, Some(Arc::clone(failure))),
            };
            if matches!(result, Ok((_, false))) || failure.is_some() {
                self.missed = Some(self.missed.map_or(at, |missed| missed.min(at)));
            }
            let verdict = self.verdict_after(at, result.as_ref().is_ok_and(|(_, known)| *known));
            let site = self.site(at, verdict, after, failure);
            match gate.after(&site).await {
                Turn::Go => {
                    let snapshot = match (site.take_kept(), result) {
                        (Some(kept), _) => kept,
                        (None, result) => Arc::new(result?.0),
                    };
                    self.states.push(Some(snapshot));
                    at += 1;
                }
                Turn::Retry => {
                    self.fresh = Some(self.fresh.map_or(at, |fresh| fresh.min(at)));
                    asked = true;
                }
                Turn::BackTo { line, fresh } => at = self.go_back(line.min(at), fresh),
                Turn::Stop => return Err(stopped()),
            }
        }
        drop(ahead);
        let last = self.states.pop().flatten();
        Ok((*last.expect("a stage has at least its `FROM`")).clone())
    }

    /// Stages that were needed since the line are walked again when they are needed again.
    fn go_back(&mut self, line: usize, fresh: bool) -> usize {
        for at in line..self.states.len().min(self.stage.lines.len()) {
            for other in needed_by(self.stage, at) {
                self.builder.forget_stage(other);
                self.gated.forget_caller(other);
            }
        }
        self.states.truncate(line + 1);
        self.missed = self.missed.filter(|missed| *missed < line);
        self.fresh = if fresh {
            Some(line)
        } else {
            self.fresh.filter(|fresh| *fresh < line)
        };
        line
    }

    /// Starts what the remaining lines need, side by side.
    fn start_ahead(&self, from: usize) -> Vec<StageFuture> {
        let done = self.deepest.as_ref().map_or(0, |(last, _)| last + 1);
        let lines = from..self.stage.lines.len();
        let unknown = lines.filter(|&at| {
            self.stage.lines[at]
                .step
                .is_none_or(|step| step >= done || self.fresh.is_some())
        });
        let mut started = Vec::new();
        for at in unknown {
            for other in needed_by(self.stage, at) {
                if at == 0 && done > 0 {
                    continue;
                }
                self.gated.called(other, (self.stage.index, at));
                started.push(self.builder.stage(other));
            }
        }
        started
    }

    fn site(
        &self,
        at: usize,
        verdict: Verdict,
        after: Option<Arc<Snapshot>>,
        failure: Option<Failure>,
    ) -> Arc<Site> {
        let step = self.stage.lines[at]
            .step
            .map(|step| &self.stage.steps[step]);
        let remains = match (&failure, step) {
            (Some(_), Some(step)) => self.gated.remains_of(&step.title),
            _ => None,
        };
        Arc::new(Site::new(super::site::Parts {
            builder: Arc::clone(self.builder),
            stage: self.stage.index,
            line: at,
            callers: self.gated.callers_of(self.stage.index),
            states: self.states.clone(),
            after,
            failure,
            remains,
            verdict,
        }))
    }

    fn is_fresh(&self, at: usize) -> bool {
        self.fresh.is_some_and(|fresh| at >= fresh)
    }

    /// Whether everything below a step is what its definition key says.
    fn is_clean(&self, at: usize, step: usize) -> bool {
        let expected = match step.checked_sub(1) {
            Some(before) => &self.keys.steps[before],
            None => &self.keys.start,
        };
        let below = self.states[at].as_ref();
        below.is_none_or(|below| below.definition == *expected)
    }

    async fn verdict(&self, at: usize) -> Result<Verdict, Failure> {
        let Some(step) = self.stage.lines[at].step else {
            return Ok(Verdict::NoStep);
        };
        let key = &self.keys.steps[step];
        if self.is_fresh(at) {
            return Ok(Verdict::Again);
        }
        if !self.is_clean(at, step) {
            return Ok(Verdict::Changed);
        }
        let shown = key.to_string();
        let may_be = self.builder.may_be_known(self.stage, key);
        if may_be {
            let found = self.builder.find(key).await;
            let found = found.map_err(|error| failure::engine(&self.stage.steps[step], &error))?;
            if found.is_some() {
                return Ok(Verdict::Hit { key: shown });
            }
        }
        Ok(match (&self.deepest, self.missed) {
            (Some((last, _)), _) if step <= *last => Verdict::Within {
                line: self.line_of(*last),
            },
            _ if !may_be => Verdict::Ignored,
            (_, Some(line)) => Verdict::AfterMiss { line },
            _ => Verdict::Miss { key: shown },
        })
    }

    /// What came of it: a step may be found by what it reads after all.
    fn verdict_after(&self, at: usize, known: bool) -> Verdict {
        match self.stage.lines[at].step {
            Some(step) if known => Verdict::Hit {
                key: self.keys.steps[step].to_string(),
            },
            Some(_) if self.is_fresh(at) => Verdict::Again,
            Some(step) => Verdict::Miss {
                key: self.keys.steps[step].to_string(),
            },
            None => Verdict::NoStep,
        }
    }

    fn line_of(&self, step: usize) -> usize {
        let found = self
            .stage
            .lines
            .iter()
            .position(|line| line.step == Some(step));
        found.unwrap_or(0)
    }

    /// Carries a line out; says whether it was known.
    async fn perform(&mut self, at: usize) -> Result<(Snapshot, bool), Failure> {
        if at == 0 {
            return self.start().await.map(|snapshot| (snapshot, true));
        }
        let below = self.states[at]
            .clone()
            .expect("a line before it was `FROM`");
        let Some(index) = self.stage.lines[at].step else {
            return Ok(((*below).clone(), true));
        };
        let step = &self.stage.steps[index];
        let key = self.keys.steps[index].clone();
        let clean = self.is_clean(at, index);
        if clean
            && !self.is_fresh(at)
            && let Some((last, deepest)) = &self.deepest
            && index <= *last
        {
            // Its sources are shown as well, where they are there.
            let mut sources_are_clean = true;
            for other in needs(step) {
                if self.builder.is_started(other) || self.builder.is_all_known(other).await? {
                    self.gated.called(other, (self.stage.index, at));
                    sources_are_clean &= self.is_clean_stage(other).await?;
                }
            }
            if !sources_are_clean {
                return self.make(at, step, &below, None).await;
            }
            self.builder.numbering().cached(&step.title);
            let found = self.builder.find(&key).await;
            let found = found.map_err(|error| failure::engine(step, &error))?;
            let snapshot = match found {
                Some(found) => found,
                None => self.cut(step, deepest, *last - index, &key).await?,
            };
            return Ok((snapshot, true));
        }
        for other in needs(step) {
            self.gated.called(other, (self.stage.index, at));
        }
        let mut clean = clean;
        for other in needs(step) {
            clean &= self.is_clean_stage(other).await?;
        }
        self.make(at, step, &below, clean.then_some(&key)).await
    }

    async fn make(
        &self,
        at: usize,
        step: &Step,
        below: &Snapshot,
        definition: Option<&Key>,
    ) -> Result<(Snapshot, bool), Failure> {
        let builder = self.builder;
        let fresh = self.is_fresh(at);
        let made = builder.step(self.stage, step, definition, below, fresh);
        let (made, known) = made.await?;
        // A stop looks at the layers.
        let made = made.settled().await?;
        if let Some(key) = definition {
            self.gated.made(key);
        }
        Ok((made, known))
    }

    /// Whether a stage is what its definition key says.
    async fn is_clean_stage(&self, other: StageIndex) -> Result<bool, Failure> {
        let keys = self.builder.stage_keys(other).await?;
        Ok(self.builder.stage(other).await?.definition == *keys.last())
    }

    /// What the stage starts from.
    async fn start(&self) -> StageResult {
        let builder = self.builder;
        if let StageBase::Stage(other) = self.stage.base {
            if let Some((last, deepest)) = &self.deepest
                && self.fresh.is_none()
                && !builder.is_started(other)
                && !builder.is_all_known(other).await?
            {
                // The stage below is gone, but nothing needs it: it is in what is known.
                let step = &self.stage.steps[0];
                return self.cut(step, deepest, *last + 1, &self.keys.start).await;
            }
            self.gated.called(other, (self.stage.index, 0));
        }
        let snapshot = builder.start_of(self.stage, &self.keys).await?;
        if !self.stage.from_title.is_empty() {
            builder.numbering().cached(&self.stage.from_title);
        }
        Ok(snapshot)
    }

    /// The files some steps before a known one: its lower layers. Every step has one layer.
    async fn cut(&self, step: &Step, deepest: &Snapshot, steps: usize, key: &Key) -> StageResult {
        let builder = self.builder;
        let mut layers = deepest.layers.clone();
        layers.truncate(layers.len().saturating_sub(steps));
        let mut config = ImageConfig::scratch(&self.stage.platform);
        let request = LoadRequest {
            below: layers
                .iter()
                .map(crate::cache::RecordedLayer::layer)
                .collect(),
            new_layer: layers.is_empty().then(author::empty_layer),
            tags: Vec::new(),
            take_names: false,
            config: Box::new(move |layers| {
                config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
                config
            }),
        };
        let loaded = builder.engine.load(request).await;
        let image = loaded.map_err(|error| failure::engine(step, &error))?.id;
        builder.ledger.drop_image(&image);
        Ok(Snapshot {
            rootfs: Rootfs::of_image(&builder.engine, &builder.ledger, Some(image.clone())),
            image: Some(image),
            layers,
            definition: key.clone(),
            content: key.clone(),
            later: None,
            depth: None,
            place: None,
        })
    }
}
