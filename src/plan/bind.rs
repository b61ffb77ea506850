//! The heart of planning: every instruction of every needed stage, with the base images known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::args::{self};
use super::errors::{at, of_trigger};
use super::graph::{Command, Graph};
use super::history;
use super::lints::{Noticed, Seen};
use super::name::{self, Titles};
use super::outline::Own;
use super::run::Surroundings;
use super::state::State;
use super::trace::Trace;
use super::{
    Action, ContextIndex, Copy, CopyFrom, Plan, Stage, StageBase, StageIndex, Step, Workdir,
};
use crate::diag::{Diagnostic, Diagnostics};
use crate::dockerfile::ast::{Instruction, Kind, Word};
use crate::dockerfile::expand::Mode;
use crate::image::{Config, ImageConfig};
use crate::lint::Lint;

impl Graph {
    /// Binds the graph to its base images: expands every word, gives the steps and the configs.
    ///
    /// # Errors
    /// With every mistake.
    pub fn bind(self, lint: &mut Lint) -> Result<Plan, Diagnostics> {
        let mut stages = Vec::new();
        let mut states: BTreeMap<StageIndex, State> = BTreeMap::new();
        let mut owns = BTreeMap::new();
        let mut errors = Diagnostics::new();
        let reachable = self.reachable();
        self.lint_platforms(lint, &reachable);
        for index in 0..self.nodes.len() {
            let needed = reachable.contains(&index);
            if !needed && !lint.wants_every_stage() {
                continue;
            }
            let mut own = Own::default();
            let (stage, state) =
                self.bind_stage(index, &states, &stages, &mut own, lint, &mut errors);
            owns.insert(index, own);
            if needed {
                stages.push(stage);
            }
            states.insert(index, state);
        }
        errors.into_result()?;
        let target = self.target;
        if let Some(stage) = stages.iter_mut().find(|stage| stage.index == target) {
            self.finish(&mut stage.config);
            history::unlisted(&mut stage.config, &states[&target]);
        }
        Ok(Plan {
            outline: self.outline(&owns),
            stages,
            target,
            warnings: Vec::new(),
        })
    }

    fn bind_stage(
        &self,
        index: StageIndex,
        states: &BTreeMap<StageIndex, State>,
        before: &[Stage],
        own: &mut Own,
        lint: &mut Lint,
        errors: &mut Diagnostics,
    ) -> (Stage, State) {
        let node = &self.nodes[index];
        // `scratch` has no platform, so the flag chooses nothing.
        let chosen = node.platform.clone();
        let platform = chosen
            .filter(|_| node.base != StageBase::Scratch)
            .unwrap_or_else(|| self.options.target_platform.clone());
        let mut state = match node.base {
            StageBase::Scratch | StageBase::Files(_) => {
                State::from_image(ImageConfig::scratch(&platform), self.escape)
            }
            StageBase::Image(base) => {
                // Only those of stages that the result does not need were not supplied.
                let config = self.bases[base].config.clone();
                let config = config.unwrap_or_else(|| ImageConfig::scratch(&platform));
                State::from_image(
                    ImageConfig {
                        created: None,
                        ..config
                    },
                    self.escape,
                )
            }
            StageBase::Stage(base) => State::from_stage(&states[&base]),
        };
        let shown = if self.nodes.len() == 1 && !self.reads_elsewhere() {
            String::new()
        } else {
            self.shown_name(index)
        };
        let is_image = matches!(node.base, StageBase::Image(_) | StageBase::Files(_));
        let layers = node
            .commands
            .iter()
            .filter(|command| makes_layer(&command.instruction));
        let mut titles = Titles::new(&shown, None, usize::from(is_image) + layers.count());
        let from_title = match node.base {
            StageBase::Image(base) => {
                let reference = self.bases[base].wanted.reference.canonical();
                titles.next(&format!("FROM {reference}"), false)
            }
            StageBase::Scratch | StageBase::Stage(_) | StageBase::Files(_) => String::new(),
        };
        let mut steps = Vec::new();
        let parent = before
            .iter()
            .find(|stage| node.base == StageBase::Stage(stage.index));
        let parent = parent.map(|stage| stage.lines.as_slice());
        let mut trace = Trace::open(self, node, &state, parent);
        if let StageBase::Files(context) = node.base {
            if node.replaced {
                state.image.config.working_dir.clear();
            }
            steps.push(self.load_step(context, &node.from, &mut state));
            trace.load(&state);
        }
        let mut seen = Seen::default();
        for command in &node.commands {
            let from = (Arc::clone(&node.from.source), node.from.span);
            let trigger = command.on_build.then_some(from);
            let vars = trace.before(&state);
            lint.count_as(command.on_build.then_some(&node.from));
            let applied = self.apply(&mut state, command);
            own.add(self, &command.instruction, &state);
            seen.look(lint, &command.instruction, command.from, &state);
            let applied = applied.unwrap_or_else(|error| {
                errors.push(of_trigger(error, trigger.as_ref()));
                None
            });
            let made = applied
                .as_ref()
                .map(|(_, text)| (steps.len(), text.as_str()));
            trace.add(self, command, &state, vars, made);
            if let Some((action, text)) = applied {
                let title = titles.next(&text, command.on_build);
                state.last_layer = history::described(&action, &title);
                steps.push(Step {
                    title,
                    action,
                    source: command.instruction.source.clone(),
                    span: command.instruction.span,
                    trigger,
                    config: run_config(&state.image.config),
                });
            }
        }
        lint.count_as(None);
        let stage = Stage {
            index,
            name: node.name.clone(),
            shown,
            base: node.base,
            from_title,
            platform,
            steps,
            config: state.image.clone(),
            lines: trace.into_lines(),
        };
        (stage, state)
    }

    /// Whether an instruction names something that is no stage: it counts as one more for
    /// BuildKit, which then names stages in its titles.
    fn reads_elsewhere(&self) -> bool {
        let commands = self.nodes.iter().flat_map(|node| &node.commands);
        let mut own = commands.filter(|command| !command.on_build);
        own.any(|command| {
            !matches!(command.from, CopyFrom::Context | CopyFrom::Stage(_))
                || matches!(&command.instruction.kind, Kind::Run(run) if !run.mounts.is_empty())
        })
    }

    /// The step that puts the files of a named context where a stage starts.
    fn load_step(&self, context: ContextIndex, from: &Instruction, state: &mut State) -> Step {
        let (name, _) = &self.options.contexts[context];
        state.last_layer = format!("local source for {name}");
        state.unlisted = true;
        Step {
            title: format!("[context {name}] load from client"),
            action: Action::Copy(Copy::whole(CopyFrom::Named(context))),
            source: from.source.clone(),
            span: from.span,
            trigger: None,
            config: run_config(&state.image.config),
        }
    }

    /// One instruction: changes the state, and gives an action when files change.
    fn apply(
        &self,
        state: &mut State,
        command: &Command,
    ) -> Result<Option<(Action, String)>, Diagnostic> {
        let inst = &command.instruction;
        match &inst.kind {
            Kind::Run(run) => {
                let build_args = &self.options.build_args;
                let namespace = build_args.get(args::CACHE_NAMESPACE);
                let surroundings = Surroundings {
                    proxy: &args::proxies(build_args),
                    froms: &command.mounts,
                    cache_namespace: namespace.map_or("", String::as_str),
                    hostname: build_args.get(args::HOSTNAME),
                };
                return state.run(inst, run, &surroundings).map(Some);
            }
            Kind::Copy(copy) => return state.copy(inst, copy, command.from).map(Some),
            Kind::Add(add) => return state.add(inst, add).map(Some),
            Kind::Workdir(word) => return state.workdir(inst, word),
            Kind::Env(pairs) => state.env(inst, pairs)?,
            Kind::Label(pairs) => state.label(inst, pairs)?,
            Kind::Arg(items) => state.arg(inst, items, &self.options.build_args, &self.globals)?,
            Kind::Expose(words) => state.expose(inst, words)?,
            Kind::Volume { paths, .. } => state.volume(inst, paths)?,
            Kind::User(word) => state.user(inst, word)?,
            Kind::Cmd(cmd) => state.cmd(cmd),
            Kind::Entrypoint(cmd) => state.entrypoint(cmd),
            Kind::Shell(words) => state.shell_form(words),
            Kind::Healthcheck(check) => state.healthcheck(check),
            Kind::StopSignal(word) => state.stop_signal(inst, word)?,
            Kind::Onbuild(onbuild) => state.image.config.on_build.push(onbuild.trigger.clone()),
            Kind::Maintainer(word) => state.maintainer(word),
            Kind::From(_) => return Err(at(inst, inst.span, "`FROM` cannot be a trigger")),
        }
        Ok(None)
    }

    /// What the command line adds to the result.
    fn finish(&self, image: &mut ImageConfig) {
        for (name, value) in &self.options.labels {
            image.config.labels.insert(name.clone(), value.clone());
        }
        if self.options.platform_given {
            let platform = &self.options.target_platform;
            let same = image.os == platform.os && image.architecture == platform.architecture;
            image.os.clone_from(&platform.os);
            image.architecture.clone_from(&platform.architecture);
            if platform.variant.is_some() || !same {
                image.variant.clone_from(&platform.variant);
            }
        }
    }
}

impl State {
    /// `WORKDIR`: the root needs no step.
    fn workdir(
        &mut self,
        inst: &Instruction,
        word: &Word,
    ) -> Result<Option<(Action, String)>, Diagnostic> {
        let text = self.expand(inst, word)?;
        let first = !std::mem::replace(&mut self.workdir_set, true);
        let path = super::state::join(self.cwd(), &text);
        self.notice(Noticed::Workdir { path: text, first });
        self.image.config.working_dir.clone_from(&path);
        let with_layer = path != "/";
        let action = with_layer.then(|| {
            let title = name::shown(self, inst, Mode::word(self.escape));
            let user = self.image.config.user.clone();
            (
                Action::Workdir(Workdir {
                    path: path.clone(),
                    user,
                }),
                title,
            )
        });
        history::workdir(&mut self.image, &path, with_layer);
        Ok(action)
    }
}

fn makes_layer(instruction: &Instruction) -> bool {
    matches!(
        instruction.kind,
        Kind::Run(_) | Kind::Copy(_) | Kind::Add(_) | Kind::Workdir(_)
    )
}

/// The config for a step's own image: what helps a person who runs it, and nothing that an
/// engine would act on by itself (volumes, health checks, triggers, ports).
fn run_config(config: &Config) -> Config {
    Config {
        user: config.user.clone(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        working_dir: config.working_dir.clone(),
        shell: config.shell.clone(),
        ..Config::default()
    }
}
