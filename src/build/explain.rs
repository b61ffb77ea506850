//! Why a step was not found in the cache: what this build made of it, beside what the last build
//! of the same Dockerfile in this place made of it. And what it cost.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::builder::Builder;
use super::keys::StageKeys;
use crate::plan::{Action, Stage, StageBase};
use crate::progress::StepOutcome;

/// What is remembered of a build, by stage and step.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    stages: BTreeMap<String, StageMemory>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StageMemory {
    start: String,
    steps: Vec<StepMemory>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StepMemory {
    key: String,
    action: Value,
    inputs: String,
}

/// How a step went, for those that were not found from the end of their stage.
pub(super) type Costs = BTreeMap<String, (StepOutcome, Duration)>;

impl Memory {
    /// What the last build left; nothing when there was none.
    pub fn read(file: &Path) -> Self {
        let bytes = fs_err::read(file).unwrap_or_default();
        // A file that was cut short or is of another version counts as none.
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

impl Builder {
    /// One line for each step that was run, copied or found on the way.
    pub fn explain(&self, last: &Memory) -> Vec<String> {
        let costs = self.costs();
        let mut lines = Vec::new();
        for stage in &self.plan().stages {
            let Some(keys) = self.known_keys(stage.index) else {
                continue;
            };
            let now = remember(stage, &keys);
            let before = last.stages.get(&name_of(stage));
            let mut again = None;
            for (at, step) in stage.steps.iter().enumerate() {
                let Some((outcome, took)) = costs.get(&step.title) else {
                    continue;
                };
                let reason = match outcome {
                    StepOutcome::Cached => "found by the files it reads".to_owned(),
                    _ if self.ignores_cache(stage) => "the cache is not asked".to_owned(),
                    _ => match again {
                        Some(earlier) => format!("`{earlier}` before it is new"),
                        None => reason(stage, &now, before, at),
                    },
                };
                if *outcome != StepOutcome::Cached && again.is_none() {
                    again = Some(instruction(&step.title));
                }
                let took = took.as_secs_f64();
                lines.push(format!("{}: {reason}, {took:.2}s", step.title));
            }
        }
        lines
    }

    /// What the next build compares with.
    pub fn memory(&self) -> Memory {
        let stages = self.plan().stages.iter();
        let known = stages.filter_map(|stage| {
            let keys = self.known_keys(stage.index)?;
            Some((name_of(stage), remember(stage, &keys)))
        });
        Memory {
            stages: known.collect(),
        }
    }
}

fn name_of(stage: &Stage) -> String {
    format!("{} {}", stage.shown, stage.platform)
}

fn instruction(title: &str) -> &str {
    let text = title.split_once("] ").map_or(title, |(_, text)| text);
    text.lines().next().unwrap_or_default()
}

fn remember(stage: &Stage, keys: &StageKeys) -> StageMemory {
    let all = stage.steps.iter().zip(&keys.steps).zip(&keys.inputs);
    let steps = all.map(|((step, key), inputs)| StepMemory {
        key: key.as_str().to_owned(),
        action: veiled(&step.action),
        inputs: serde_json::to_string(inputs).expect("inputs are plain data"),
    });
    StageMemory {
        start: keys.start.as_str().to_owned(),
        steps: steps.collect(),
    }
}

/// An action to compare with, without the values of its variables: they are nobody's business.
fn veiled(action: &Action) -> Value {
    let mut value = serde_json::to_value(action).expect("an action is plain data");
    let env = value.pointer_mut("/run/env").and_then(Value::as_array_mut);
    for pair in env.into_iter().flatten() {
        if let Some(Value::String(text)) = pair.get_mut(1) {
            *text = blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        }
    }
    value
}

/// Why the first new step of a stage is new.
fn reason(stage: &Stage, now: &StageMemory, before: Option<&StageMemory>, at: usize) -> String {
    let Some(before) = before else {
        return "this client has not built the stage before".into();
    };
    if before.start != now.start {
        return match stage.base {
            StageBase::Stage(_) => "the stage it starts from is another one".into(),
            StageBase::Files(_) => "the files it starts from have changed".into(),
            StageBase::Image(_) | StageBase::Scratch => "the base image is another one".into(),
        };
    }
    let step = &now.steps[at];
    let Some(old) = before.steps.get(at) else {
        return "the instruction is new".into();
    };
    if old.key == step.key {
        return "its image is gone from the engine".into();
    }
    if old.action != step.action {
        return changed(&old.action, &step.action);
    }
    if old.inputs != step.inputs {
        return match &stage.steps[at].action {
            Action::Copy(_) => "the files it copies have changed".into(),
            Action::Run(_) | Action::Workdir(_) => "the files it mounts have changed".into(),
        };
    }
    "a step before it has changed".into()
}

/// What differs between two actions of one place.
fn changed(old: &Value, new: &Value) -> String {
    let (Some(old), Some(new)) = (old.get("run"), new.get("run")) else {
        return "the instruction has changed".into();
    };
    let but_env = |run: &Value| {
        let mut run = run.clone();
        run.as_object_mut().map(|fields| fields.shift_remove("env"));
        run
    };
    if but_env(old) != but_env(new) {
        return "the instruction has changed".into();
    }
    let pairs = |run: &Value| -> Vec<Value> {
        let env = run.get("env").and_then(Value::as_array);
        env.cloned().unwrap_or_default()
    };
    let (old, new) = (pairs(old), pairs(new));
    let differ = old.iter().filter(|pair| !new.contains(pair));
    let differ = differ.chain(new.iter().filter(|pair| !old.contains(pair)));
    let mut names: Vec<&str> = differ.filter_map(|pair| pair.get(0)?.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("the value of {} has changed", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_what_has_changed_in_an_instruction() {
        let run = |argv: &str, env: &[(&str, &str)]| json!({"run": {"argv": [argv], "env": env}});
        let old = run("make", &[("A", "1"), ("B", "2")]);
        for (new, expected) in [
            (
                run("make all", &[("A", "1"), ("B", "2")]),
                "the instruction has changed",
            ),
            (
                run("make", &[("A", "2"), ("B", "2")]),
                "the value of `A` has changed",
            ),
            (
                run("make", &[("A", "1"), ("C", "2")]),
                "the value of `B`, `C` has changed",
            ),
            (json!({"copy": {}}), "the instruction has changed"),
        ] {
            assert_eq!(changed(&old, &new), expected);
        }
    }
}
