//! What a build of the target takes from outside: arguments, secrets, ssh agents
//! (`--call=outline`).

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::state::State;
use super::{CopyFrom, StageBase, StageIndex};
use crate::dockerfile::ast::{Instruction, Kind, RunInst, Word};
use crate::dockerfile::expand::{Mode, expand};
use crate::dockerfile::mount::MountKind;

/// The parameters of a stage and of the stages that it needs, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The name of the stage, if it has one.
    pub name: String,
    pub description: String,
    pub args: Vec<Parameter>,
    pub secrets: Vec<Parameter>,
    pub ssh: Vec<Parameter>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// What an argument is when nobody gives it.
    pub value: String,
    pub description: String,
    /// Whether a secret or an agent has to be there.
    pub required: bool,
    /// First and last line of its instruction.
    pub lines: (usize, usize),
}

/// What one stage says itself.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Its arguments, without those that are only taken over from before the first `FROM`.
    args: Vec<Parameter>,
    used: BTreeSet<String>,
    secrets: Vec<Parameter>,
    ssh: Vec<Parameter>,
}

impl Own {
    /// Adds an instruction; `state` is what it is after it.
    pub(super) fn add(&mut self, graph: &Graph, inst: &Instruction, state: &State) {
        match &inst.kind {
            Kind::Arg(items) => {
                let values = state.args.len().saturating_sub(items.len());
                for (item, (name, value)) in items.iter().zip(&state.args[values..]) {
                    self.used.insert(name.clone());
                    let given = graph.options.build_args.contains_key(name);
                    if item.default.is_none() && !given && value.is_some() {
                        continue;
                    }
                    let value = value.clone().unwrap_or_default();
                    let argument = parameter(inst, name, value);
                    self.args.retain(|known| known.name != *name);
                    self.args.push(argument);
                }
            }
            Kind::Run(run) => self.add_mounts(inst, run, state),
            _ => {}
        }
    }

    fn add_mounts(&mut self, inst: &Instruction, run: &RunInst, state: &State) {
        for mount in &run.mounts {
            let mut plain = |word: &Word| {
                let lookup = |name: &str| state.vars.get(name);
                let found = expand(&word.text, &lookup, Mode::word(state.escape));
                Ok(found.map_or_else(|_| word.text.clone(), |expansion| expansion.text))
            };
            let Ok(mount) = mount.resolve(&inst.source, &mut plain) else {
                continue;
            };
            let list = match mount.kind {
                MountKind::Secret => &mut self.secrets,
                MountKind::Ssh => &mut self.ssh,
                _ => continue,
            };
            // A secret may be named by its source, or by where it goes.
            let base = mount.target.rsplit('/').next().unwrap_or_default();
            let name = match mount.kind {
                MountKind::Secret if !mount.source.is_empty() => mount.source.as_str(),
                MountKind::Secret if mount.id.is_empty() => base,
                _ => mount.id.as_str(),
            };
            if list.iter().all(|known| known.name != name) {
                list.push(Parameter {
                    required: mount.required,
                    ..parameter(inst, name, String::new())
                });
            }
        }
    }
}

fn parameter(inst: &Instruction, name: &str, value: String) -> Parameter {
    Parameter {
        name: name.to_owned(),
        value,
        description: description(inst, name),
        required: false,
        lines: inst.source.lines(inst.span),
    }
}

/// The comment before the instruction that begins with the name.
#[must_use]
pub fn description(inst: &Instruction, name: &str) -> String {
    let mut comments = inst.comments.iter();
    let found = comments.find_map(|comment| comment.text.strip_prefix(name)?.strip_prefix(' '));
    if name.is_empty() {
        return String::new();
    }
    found.unwrap_or_default().to_owned()
}

/// An argument before the first `FROM`, and the arguments that its default names.
#[derive(Debug)]
pub(super) struct Global {
    parameter: Parameter,
    needs: Vec<String>,
}

impl Global {
    pub(super) fn new(inst: &Instruction, name: &str, value: String, needs: Vec<String>) -> Self {
        let parameter = parameter(inst, name, value);
        Self { parameter, needs }
    }
}

/// Gathers along the arrows of the graph.
struct Gathering<'a> {
    graph: &'a Graph,
    own: &'a BTreeMap<StageIndex, Own>,
    args: Vec<Parameter>,
    secrets: Vec<Parameter>,
    ssh: Vec<Parameter>,
    visited: BTreeSet<StageIndex>,
}

impl Graph {
    pub(super) fn outline(&self, own: &BTreeMap<StageIndex, Own>) -> Outline {
        let mut gathering = Gathering {
            graph: self,
            own,
            args: Vec::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            visited: BTreeSet::new(),
        };
        gathering.visit(self.target);
        let sorted = |mut list: Vec<Parameter>| {
            list.sort_by_key(|parameter| parameter.lines.0);
            list
        };
        let node = &self.nodes[self.target];
        let name = node.name.clone().unwrap_or_default().to_lowercase();
        Outline {
            description: description(&node.from, &name),
            name,
            args: sorted(gathering.args),
            secrets: sorted(gathering.secrets),
            ssh: sorted(gathering.ssh),
        }
    }

    /// The arguments that a `FROM` names.
    fn used_by_from(&self, stage: StageIndex) -> Vec<String> {
        let Kind::From(from) = &self.nodes[stage].from.kind else {
            return Vec::new();
        };
        let words = [Some(&from.image), from.platform.as_ref()];
        let lookup = |name: &str| self.globals.get(name);
        let expansions = words
            .into_iter()
            .flatten()
            .filter_map(|word| expand(&word.text, &lookup, Mode::word(self.escape)).ok());
        expansions
            .flat_map(|expansion| expansion.references)
            .filter(|reference| reference.defined)
            .map(|reference| reference.name)
            .collect()
    }
}

impl Gathering<'_> {
    fn visit(&mut self, stage: StageIndex) {
        if !self.visited.insert(stage) {
            return;
        }
        let own = self.own.get(&stage);
        let mut todo = self.graph.used_by_from(stage);
        let empty = Own::default();
        let own = own.unwrap_or(&empty);
        todo.extend(own.used.iter().cloned());
        let mut seen = BTreeSet::new();
        while let Some(name) = todo.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let local = own.args.iter().find(|argument| argument.name == name);
            let global = self.graph.global_args.iter().rev();
            let mut global = global.filter(|global| global.parameter.name == name);
            let found = match (local, global.next()) {
                (Some(local), _) => local,
                (None, Some(global)) => {
                    todo.extend(global.needs.iter().cloned());
                    &global.parameter
                }
                (None, None) => continue,
            };
            add(&mut self.args, found);
        }
        for secret in &own.secrets {
            add(&mut self.secrets, secret);
        }
        for agent in &own.ssh {
            add(&mut self.ssh, agent);
        }
        let node = &self.graph.nodes[stage];
        if let StageBase::Stage(base) = node.base {
            self.visit(base);
        }
        for command in &node.commands {
            if let CopyFrom::Stage(from) = command.from {
                self.visit(from);
            }
        }
    }
}

fn add(list: &mut Vec<Parameter>, parameter: &Parameter) {
    if list.iter().all(|known| known.name != parameter.name) {
        list.push(parameter.clone());
    }
}
