//! What a debugger shows of every instruction: its text before and after expansion, and what the
//! stage looks like after it. Made only when [`Options::trace`](super::Options) asks for it.

use std::sync::Arc;

use super::args::Vars;
use super::graph::{Command, Graph, Node};
use super::name;
use super::state::State;
use crate::dockerfile::ast::{Instruction, Kind};
use crate::dockerfile::expand::Mode;
use crate::image::ImageConfig;
use crate::source::{SourceFile, Span};

/// One instruction of a stage. The first of a stage is its `FROM`.
#[derive(Debug, Clone)]
pub struct Line {
    pub source: Arc<SourceFile>,
    pub span: Span,
    /// In capitals.
    pub keyword: &'static str,
    /// Continuations joined, nothing expanded.
    pub written: String,
    pub expanded: String,
    /// Whether it is a trigger of the base image.
    pub on_build: bool,
    /// The step it makes, by its place in the stage's list.
    pub step: Option<usize>,
    pub after: Scene,
}

/// A stage between two instructions.
#[derive(Debug, Clone)]
pub struct Scene {
    pub variables: Vec<Variable>,
    pub config: ImageConfig,
    pub shell: Vec<String>,
    pub cwd: String,
}

/// An `ARG` or `ENV` in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub value: String,
    pub origin: Origin,
}

/// Where a variable has its value from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The base image's config.
    Base,
    /// `ENV`, in this line.
    Env(usize),
    /// `ARG` in this line, with the value of `--build-arg`.
    BuildArg(usize),
    /// `ARG` in this line, with its own default.
    Default(usize),
    /// `ARG` in this line, with the value of an `ARG` before the first `FROM`, or an automatic one.
    Global(usize),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Base => f.write_str("the base image"),
            Self::Env(line) => write!(f, "ENV, line {line}"),
            Self::BuildArg(line) => write!(f, "--build-arg, ARG in line {line}"),
            Self::Default(line) => write!(f, "default of ARG, line {line}"),
            Self::Global(line) => write!(f, "global ARG, line {line}"),
        }
    }
}

/// Collects the lines of one stage.
pub(super) struct Trace {
    lines: Option<Vec<Line>>,
}

impl Trace {
    /// A stage at its `FROM`; `parent` holds the lines of the stage it is built from.
    pub(super) fn open(graph: &Graph, node: &Node, state: &State, parent: Option<&[Line]>) -> Self {
        if !graph.options.trace {
            return Self { lines: None };
        }
        let known = parent.and_then(<[Line]>::last);
        let known = known.map_or(&[][..], |line| &line.after.variables);
        let lookup = |name: &str| graph.globals.get(name);
        let mode = Mode::word(graph.escape);
        let text = &node.from.original;
        let expanded = crate::dockerfile::expand::expand(text, &lookup, mode)
            .map_or_else(|_| text.clone(), |found| found.text);
        let line = Line {
            source: Arc::clone(&node.from.source),
            span: node.from.span,
            keyword: node.from.kind.name(),
            written: text.clone(),
            expanded,
            on_build: false,
            step: None,
            after: scene(state, known, |_| Origin::Base),
        };
        Self {
            lines: Some(vec![line]),
        }
    }

    /// The step of a `FROM` that names a directory: it is made by no instruction of its own.
    pub(super) fn load(&mut self, state: &State) {
        let Some(lines) = &mut self.lines else {
            return;
        };
        let from = lines.last().expect("the first is `FROM`").clone();
        let after = scene(state, &from.after.variables, |_| Origin::Base);
        lines.push(Line {
            on_build: true,
            step: Some(0),
            after,
            ..from
        });
    }

    /// What expansion needs of the state before an instruction.
    pub(super) fn before(&self, state: &State) -> Option<Vars> {
        self.lines.is_some().then(|| state.vars.clone())
    }

    /// An instruction that has been applied.
    pub(super) fn add(
        &mut self,
        graph: &Graph,
        command: &Command,
        state: &State,
        before: Option<Vars>,
        step: Option<(usize, &str)>,
    ) {
        let (Some(lines), Some(before)) = (&mut self.lines, before) else {
            return;
        };
        let inst = &command.instruction;
        let number = inst.source.line(inst.span.start);
        let expanded = match step {
            Some((_, text)) => text.to_owned(),
            None => {
                let old = State {
                    vars: before,
                    ..state.clone()
                };
                name::shown(&old, inst, Mode::word(graph.escape))
            }
        };
        let known = &lines.last().expect("the first is `FROM`").after.variables;
        let after = scene(state, known, |name| origin(graph, inst, name, number));
        lines.push(Line {
            source: Arc::clone(&inst.source),
            span: inst.span,
            keyword: inst.kind.name(),
            written: inst.original.clone(),
            expanded,
            on_build: command.on_build,
            step: step.map(|(index, _)| index),
            after,
        });
    }

    pub(super) fn into_lines(self) -> Vec<Line> {
        self.lines.unwrap_or_default()
    }
}

/// The state, with the origins that were known and, of what is new or set anew, those that
/// `origin` gives.
fn scene(state: &State, known: &[Variable], origin: impl Fn(&str) -> Origin) -> Scene {
    let variable = |(name, value): &(String, String)| {
        let same = known
            .iter()
            .find(|old| old.name == *name && old.value == *value);
        same.cloned().unwrap_or_else(|| Variable {
            name: name.clone(),
            value: value.clone(),
            origin: origin(name),
        })
    };
    Scene {
        variables: state.vars.pairs().iter().map(variable).collect(),
        config: state.image.clone(),
        shell: state.shell(),
        cwd: state.cwd().to_owned(),
    }
}

fn origin(graph: &Graph, inst: &Instruction, name: &str, line: usize) -> Origin {
    let Kind::Arg(items) = &inst.kind else {
        return Origin::Env(line);
    };
    if graph.options.build_args.contains_key(name) {
        return Origin::BuildArg(line);
    }
    let item = items.iter().find(|item| item.name.text == name);
    match item.and_then(|item| item.default.as_ref()) {
        Some(_) => Origin::Default(line),
        None => Origin::Global(line),
    }
}
