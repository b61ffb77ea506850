//! What `bowline plan` prints: each step of each needed stage, what it reads, and whether the
//! cache has it.

use std::fmt::Write as _;

use super::builder::Builder;
use super::failure::{self, Failure};
use crate::cache::Key;
use crate::plan::{Action, Copy, CopyFrom, CopySource, Plan, Run, Stage, StageBase};
use std::sync::Arc;

/// Why a step would or would not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Hit,
    /// No image of the engine has the step's key.
    Miss,
    /// A step before it in the stage misses, so its own key is new too.
    AfterMiss,
    /// `--no-cache`
    Ignored,
}

/// A stage's steps with their keys and verdicts.
#[derive(Debug, Clone)]
pub struct StagePreview {
    steps: Vec<(Key, Verdict)>,
}

impl Builder {
    /// What building the target would do.
    ///
    /// # Errors
    /// When the engine or the context cannot be read.
    pub async fn preview(self: &Arc<Self>) -> Result<Vec<StagePreview>, Failure> {
        let mut found = Vec::new();
        for stage in &self.plan().stages {
            let keys = self.stage_keys(stage.index).await?;
            let mut steps = Vec::new();
            let mut missed = false;
            for (step, key) in stage.steps.iter().zip(&keys.steps) {
                let verdict = if self.ignores_cache(stage) {
                    Verdict::Ignored
                } else {
                    let image = self.find(key).await;
                    match image.map_err(|error| failure::engine(step, &error))? {
                        Some(_) => Verdict::Hit,
                        None if missed => Verdict::AfterMiss,
                        None => Verdict::Miss,
                    }
                };
                missed |= verdict != Verdict::Hit;
                steps.push((key.clone(), verdict));
            }
            found.push(StagePreview { steps });
        }
        Ok(found)
    }
}

/// The plan as text.
pub fn show_preview(plan: &Plan, found: &[StagePreview]) -> String {
    let mut text = String::new();
    for (stage, preview) in plan.stages.iter().zip(found) {
        let _ = writeln!(text, "{}", headline(plan, stage));
        for (step, (key, verdict)) in stage.steps.iter().zip(&preview.steps) {
            let _ = writeln!(text, "  {}", step.title.lines().next().unwrap_or_default());
            for line in inputs(plan, &step.action) {
                let _ = writeln!(text, "      {line}");
            }
            let _ = writeln!(text, "      cache: {}, key {key}", words(*verdict));
        }
    }
    text
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Hit => "hit",
        Verdict::Miss => "miss, the engine has no step with this key",
        Verdict::AfterMiss => "miss, a step before it misses",
        Verdict::Ignored => "not asked, because of `--no-cache`",
    }
}

fn headline(plan: &Plan, stage: &Stage) -> String {
    let name = if stage.shown.is_empty() {
        "the stage"
    } else {
        &stage.shown
    };
    let base = match stage.base {
        StageBase::Scratch => "scratch".to_owned(),
        StageBase::Files(_) => "a build context".to_owned(),
        StageBase::Stage(other) => plan
            .stage(other)
            .map_or_else(String::new, |stage| format!("stage {}", stage.shown)),
        StageBase::Image(_) => stage
            .from_title
            .rsplit_once("FROM ")
            .map_or_else(String::new, |(_, name)| name.to_owned()),
    };
    let target = if stage.index == plan.target {
        ", the target"
    } else {
        ""
    };
    format!("{name} from {base} for {}{target}", stage.platform)
}

fn inputs(plan: &Plan, action: &Action) -> Vec<String> {
    match action {
        Action::Run(run) => inputs_of_run(run),
        Action::Workdir(workdir) => vec![format!("makes {}", workdir.path)],
        Action::Copy(copy) => vec![inputs_of_copy(plan, copy)],
    }
}

fn inputs_of_run(run: &Run) -> Vec<String> {
    let names: Vec<&str> = run.env.iter().map(|(name, _)| name.as_str()).collect();
    let user = if run.user.is_empty() {
        "root"
    } else {
        &run.user
    };
    vec![format!(
        "as {user} in {}, with {}",
        run.cwd,
        names.join(" ")
    )]
}

fn inputs_of_copy(plan: &Plan, copy: &Copy) -> String {
    let from = match copy.from {
        CopyFrom::Context => "the build context".to_owned(),
        CopyFrom::Stage(stage) => plan
            .stage(stage)
            .map_or_else(String::new, |stage| format!("stage {}", stage.shown)),
        CopyFrom::Image(_) => "an image".to_owned(),
        CopyFrom::Named(_) => "a named build context".to_owned(),
        CopyFrom::Nothing => "nothing".to_owned(),
    };
    let sources: Vec<String> = copy
        .sources
        .iter()
        .map(|source| match source {
            CopySource::Path(text) | CopySource::Url(text) | CopySource::Git { text, .. } => {
                text.clone()
            }
            CopySource::Inline(file) => format!("<<{}", file.name),
        })
        .collect();
    format!("{} from {from} to {}", sources.join(" "), copy.dest)
}
