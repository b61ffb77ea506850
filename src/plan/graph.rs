//! Stages and the arrows between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::args::{self, Vars};
use super::context::Stand;
use super::errors::{at, expand_failed};
use super::lints;
use super::outline::Global;
use super::{BaseIndex, BaseWanted, CopyFrom, Options, StageBase, StageIndex};
use crate::diag::{Diagnostic, Diagnostics};
use crate::dockerfile::ast::{Dockerfile, FromInst, Instruction, Kind, Word};
use crate::dockerfile::expand::expand_word;
use crate::image::{ImageConfig, Platform, Reference, ReferenceError};
use crate::lint::Lint;
use crate::source::{SourceFile, Span};

/// The stages of a file, before their base images are known.
#[derive(Debug)]
pub struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) bases: Vec<Base>,
    pub(super) names: BTreeMap<String, StageIndex>,
    pub(super) globals: Vars,
    pub(super) global_args: Vec<Global>,
    pub(super) target: StageIndex,
    /// Stages that copy from stages after them: which, from which, and what is to be said.
    too_early: Vec<(StageIndex, StageIndex, Diagnostic)>,
    pub(super) escape: char,
    pub(super) options: Options,
}

/// A stage as the file has it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Option<String>,
    pub(super) base: StageBase,
    /// `FROM --platform=`, expanded.
    pub(super) platform: Option<Platform>,
    pub(super) from: Instruction,
    pub(super) commands: Vec<Command>,
    /// Whether the triggers of the base are already among the commands.
    pub(super) triggered: bool,
    /// Whether a named context stands in for the whole stage: its instructions do not count.
    pub(super) replaced: bool,
}

/// An instruction of a stage, and where its sources are.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) instruction: Instruction,
    pub(super) on_build: bool,
    pub(super) from: CopyFrom,
    /// Of a `RUN`, where the files of each mount are.
    pub(super) mounts: Vec<CopyFrom>,
}

impl Command {
    /// Everything that files come from.
    fn sources(&self) -> impl Iterator<Item = CopyFrom> {
        std::iter::once(self.from).chain(self.mounts.iter().copied())
    }
}

/// An image that is not a stage.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) wanted: BaseWanted,
    pub(super) config: Option<ImageConfig>,
}

/// Groups the instructions into stages and links them.
///
/// # Errors
/// With every independent mistake in the names of stages and images.
pub fn graph(
    dockerfile: &Dockerfile,
    options: Options,
    lint: &mut Lint,
) -> Result<Graph, Diagnostics> {
    let mut errors = Diagnostics::new();
    let mut globals = args::automatic(&options, &target_stage_name(dockerfile, &options));
    lints::default_arguments(lint, dockerfile, &globals);
    let global_args =
        args::add_global(&mut globals, dockerfile, &options.build_args).map_err(one)?;
    let mut graph = Graph {
        nodes: Vec::new(),
        bases: Vec::new(),
        names: BTreeMap::new(),
        globals,
        global_args,
        target: 0,
        too_early: Vec::new(),
        escape: dockerfile.directives.escape,
        options,
    };
    let declared = lints::declared(&graph.globals, dockerfile);
    let stages = dockerfile
        .instructions
        .iter()
        .skip_while(|i| !args::is_from(i));
    for instruction in stages {
        match &instruction.kind {
            Kind::From(from) => {
                if let Err(error) = graph.open_stage(instruction, from, &declared, lint) {
                    errors.push(error);
                }
            }
            _ => {
                if let Some(node) = graph.nodes.last_mut().filter(|node| !node.replaced) {
                    node.commands.push(Command {
                        instruction: instruction.clone(),
                        on_build: false,
                        from: CopyFrom::Context,
                        mounts: Vec::new(),
                    });
                }
            }
        }
    }
    errors.into_result()?;
    graph.link_all().into_result()?;
    let target = graph.find_target(dockerfile).map_err(one)?;
    graph.target = target;
    graph.pull_all_triggers()?;
    Ok(graph)
}

pub(super) fn one(error: Diagnostic) -> Diagnostics {
    let mut errors = Diagnostics::new();
    errors.push(error);
    errors
}

/// The value of `TARGETSTAGE`.
fn target_stage_name(dockerfile: &Dockerfile, options: &Options) -> String {
    options.target.clone().unwrap_or_else(|| {
        let last = dockerfile
            .instructions
            .iter()
            .rev()
            .find_map(|i| match &i.kind {
                Kind::From(from) => Some(from.stage_name().unwrap_or_default()),
                _ => None,
            });
        last.unwrap_or_default()
    })
}

impl Graph {
    fn open_stage(
        &mut self,
        instruction: &Instruction,
        from: &FromInst,
        declared: &[String],
        lint: &mut Lint,
    ) -> Result<(), Diagnostic> {
        self.lint_from(lint, instruction, from, declared);
        // The stage is opened even when its base is wrong, so that the instructions after it
        // do not count as those of the stage before.
        let platform = self.platform_of(instruction, from);
        let wanted = platform.as_ref().ok().and_then(Option::as_ref);
        let name = from.stage_name();
        let context = name.as_deref().and_then(|name| self.context_named(name));
        let base = match context {
            Some(context) => {
                let platform = wanted.unwrap_or(&self.options.target_platform).clone();
                let span = from
                    .name
                    .as_ref()
                    .map_or(instruction.span, |name| name.span);
                self.stand(context, &instruction.source, span, platform)
                    .map(Stand::base)
            }
            None => self.base_of(instruction, from, wanted),
        };
        let index = self.nodes.len();
        self.nodes.push(Node {
            name: from.name.as_ref().map(|name| name.text.clone()),
            base: *base.as_ref().unwrap_or(&StageBase::Scratch),
            platform: platform.as_ref().cloned().unwrap_or(None),
            from: instruction.clone(),
            commands: Vec::new(),
            triggered: context.is_some(),
            replaced: context.is_some(),
        });
        if let Some(name) = name {
            self.names.insert(name, index);
        }
        platform?;
        base.map(drop)
    }

    fn platform_of(
        &self,
        instruction: &Instruction,
        from: &FromInst,
    ) -> Result<Option<Platform>, Diagnostic> {
        let Some(word) = &from.platform else {
            return Ok(None);
        };
        let text = self.expand_global(instruction, word)?;
        if text.is_empty() {
            if word.text.is_empty() {
                return Ok(None);
            }
            let message = format!("the platform `{word}` is empty");
            return Err(at(instruction, word.span, message).with_hint(
                "give the variable a value with `--build-arg` or a default in its `ARG`",
            ));
        }
        Platform::parse(&text, &self.options.build_platform)
            .map(Some)
            .map_err(|message| at(instruction, word.span, message))
    }

    fn base_of(
        &mut self,
        instruction: &Instruction,
        from: &FromInst,
        platform: Option<&Platform>,
    ) -> Result<StageBase, Diagnostic> {
        let word = &from.image;
        let text = self.expand_global(instruction, word)?;
        if text.is_empty() {
            let message = format!("the base image `{word}` is empty");
            return Err(at(instruction, word.span, message).with_hint(
                "declare the variable with `ARG NAME=default` before the first `FROM`, or give it with `--build-arg`",
            ));
        }
        if let Some(&stage) = self.names.get(&text) {
            return Ok(StageBase::Stage(stage));
        }
        if text == "scratch" {
            return Ok(StageBase::Scratch);
        }
        let platform = platform.unwrap_or(&self.options.target_platform).clone();
        if let Some(context) = self.context_named(&text) {
            return self
                .stand(context, &instruction.source, word.span, platform)
                .map(Stand::base);
        }
        self.base(&instruction.source, word.span, &text, platform)
            .map(StageBase::Image)
    }

    fn expand_global(&self, instruction: &Instruction, word: &Word) -> Result<String, Diagnostic> {
        expand_word(&word.text, &|name| self.globals.get(name), self.escape)
            .map_err(|error| expand_failed(instruction, word, error))
    }

    /// The number of a base image; the same image for the same platform is one.
    fn base(
        &mut self,
        source: &Arc<SourceFile>,
        span: Span,
        text: &str,
        platform: Platform,
    ) -> Result<BaseIndex, Diagnostic> {
        let reference = Reference::parse(text)
            .map_err(|error| {
                let refused = Diagnostic::error(error.to_string()).with_label(source, span, "");
                let stage = self.names.get_key_value(&text.to_lowercase());
                match (error, stage) {
                    (ReferenceError::Uppercase(_), Some((name, _))) => {
                        refused.with_hint(format!("the stage goes by its lower-case name `{name}`"))
                    }
                    _ => refused,
                }
            })?
            .with_default_tag();
        Ok(self.add_base(source, span, text, reference, platform, None))
    }

    fn link_all(&mut self) -> Diagnostics {
        let mut errors = Diagnostics::new();
        for stage in 0..self.nodes.len() {
            for index in 0..self.nodes[stage].commands.len() {
                let instruction = self.nodes[stage].commands[index].instruction.clone();
                match self.link(stage, &instruction) {
                    Ok(from) => self.nodes[stage].commands[index].from = from,
                    Err(error) => errors.push(error),
                }
                match self.link_mounts(stage, &instruction) {
                    Ok(mounts) => self.nodes[stage].commands[index].mounts = mounts,
                    Err(error) => errors.push(error),
                }
            }
        }
        errors
    }

    /// Where the files of the mounts of an instruction are. A number is the name of an image.
    pub(super) fn link_mounts(
        &mut self,
        stage: StageIndex,
        instruction: &Instruction,
    ) -> Result<Vec<CopyFrom>, Diagnostic> {
        let Kind::Run(run) = &instruction.kind else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for mount in &run.mounts {
            let from = match mount.from() {
                Some(word) if !word.text.is_empty() => {
                    let named = self.names.get(&word.text.to_lowercase()).copied();
                    self.source_of(stage, instruction, word, named)?
                }
                _ => CopyFrom::Context,
            };
            found.push(from);
        }
        Ok(found)
    }

    /// Where the sources of an instruction of `stage` are.
    pub(super) fn link(
        &mut self,
        stage: StageIndex,
        instruction: &Instruction,
    ) -> Result<CopyFrom, Diagnostic> {
        let Kind::Copy(copy) = &instruction.kind else {
            return Ok(CopyFrom::Context);
        };
        let Some(word) = copy.from.as_ref().filter(|word| !word.text.is_empty()) else {
            return Ok(CopyFrom::Context);
        };
        let plain = expand_word(&word.text, &|_| None, self.escape)
            .map_err(|error| expand_failed(instruction, word, error))?;
        if plain != word.text {
            let refused = at(
                instruction,
                word.span,
                "variables are not expanded in `--from`",
            );
            return Err(refused.with_hint(
                "name a stage there, and start that stage with `FROM ${...}`, where variables work",
            ));
        }
        let found = match word.text.parse::<i64>() {
            Ok(number) => Some(self.stage_by_number(instruction, word, number)?),
            Err(_) => self.names.get(&word.text.to_lowercase()).copied(),
        };
        self.source_of(stage, instruction, word, found)
    }

    /// The files that a name stands for in `--from`, when it is not the stage `found`: a named
    /// context or an image.
    pub(super) fn source_of(
        &mut self,
        stage: StageIndex,
        instruction: &Instruction,
        word: &Word,
        found: Option<StageIndex>,
    ) -> Result<CopyFrom, Diagnostic> {
        let platform = self.options.target_platform.clone();
        if found.is_none() && word.text == "scratch" {
            return Ok(CopyFrom::Nothing);
        }
        let found = match (found, self.context_named(&word.text)) {
            (None, Some(context)) => {
                let stand =
                    self.stand(context, &instruction.source, word.span, platform.clone())?;
                match stand {
                    Stand::Stage(stage) => Some(stage),
                    Stand::Files(context) => return Ok(CopyFrom::Named(context)),
                    Stand::Image(base) => return Ok(CopyFrom::Image(base)),
                    Stand::Scratch => return Ok(CopyFrom::Nothing),
                }
            }
            (found, _) => found,
        };
        match found {
            Some(other) if other == stage => Err(at(
                instruction,
                word.span,
                format!("stage `{word}` copies from itself"),
            )),
            Some(other) if other > stage => {
                let later = format!("stage `{word}` is defined after this one");
                let place = self.nodes[other].from.keyword.span;
                let refused = at(instruction, word.span, later)
                    .with_context(&instruction.source, place, "defined here")
                    .with_hint("move the stage up: a stage can copy only from stages before it");
                self.too_early.push((stage, other, refused));
                Ok(CopyFrom::Stage(other))
            }
            // Of a stage that is replaced, what stands in for it is read directly.
            Some(other) if self.nodes[other].replaced => Ok(self.nodes[other].base.as_source()),
            Some(other) => Ok(CopyFrom::Stage(other)),
            None => {
                let base = self.base(&instruction.source, word.span, &word.text, platform);
                base.map(CopyFrom::Image)
            }
        }
    }

    /// Copies from stages further down, where they matter: in a circle, or in a stage that the
    /// result needs.
    pub(super) fn check_order(&self) -> Result<(), Diagnostics> {
        let needed = self.reachable();
        let wrong = self.too_early.iter();
        let wrong = wrong.filter(|(stage, other, _)| {
            needed.contains(stage) || self.reachable_from(*other).contains(stage)
        });
        let errors: Diagnostics = wrong.map(|(_, _, error)| error.clone()).collect();
        errors.into_result()
    }

    fn stage_by_number(
        &self,
        instruction: &Instruction,
        word: &Word,
        number: i64,
    ) -> Result<StageIndex, Diagnostic> {
        let found = usize::try_from(number)
            .ok()
            .filter(|&n| n < self.nodes.len());
        found.ok_or_else(|| {
            let count = self.nodes.len();
            at(
                instruction,
                word.span,
                format!("there is no stage number {number}"),
            )
            .with_hint(format!(
                "the file has {count} stage{}, counted from 0",
                if count == 1 { "" } else { "s" }
            ))
        })
    }

    /// The stages that the target needs.
    pub(super) fn reachable(&self) -> BTreeSet<StageIndex> {
        self.reachable_from(self.target)
    }

    fn reachable_from(&self, stage: StageIndex) -> BTreeSet<StageIndex> {
        let mut found = BTreeSet::new();
        let mut todo = vec![stage];
        while let Some(index) = todo.pop() {
            if !found.insert(index) {
                continue;
            }
            let node = &self.nodes[index];
            if let StageBase::Stage(base) = node.base {
                todo.push(base);
            }
            let sources = node.commands.iter().flat_map(Command::sources);
            todo.extend(sources.filter_map(|source| match source {
                CopyFrom::Stage(from) => Some(from),
                _ => None,
            }));
        }
        found
    }

    /// The base images that reachable stages need and whose config is not yet supplied.
    pub fn wanted(&self) -> Vec<BaseWanted> {
        let mut needed = BTreeSet::new();
        for index in self.reachable() {
            let node = &self.nodes[index];
            if let StageBase::Image(base) = node.base {
                needed.insert(base);
            }
            let sources = node.commands.iter().flat_map(Command::sources);
            needed.extend(sources.filter_map(|source| match source {
                CopyFrom::Image(base) => Some(base),
                _ => None,
            }));
        }
        let missing = needed.into_iter().map(|base| &self.bases[base]);
        missing
            .filter(|base| base.config.is_none())
            .map(|base| base.wanted.clone())
            .collect()
    }
}
