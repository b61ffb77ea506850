//! The linter's rules that need the values of variables: where the planner calls them.

#[cfg(test)]
mod golden;

use std::collections::{BTreeMap, BTreeSet};

use super::args::{self, Vars};
use super::graph::Graph;
use super::state::State;
use super::{CopyFrom, StageBase, StageIndex};
use crate::dockerfile::ast::{Dockerfile, FromInst, Instruction, Kind};
use crate::dockerfile::expand::{Mode, expand};
use crate::image::{Platform, Reference};
use crate::lint::Lint;
use crate::lint::rules::{
    copy_ignored_file, expose_invalid_format, expose_proto_casing,
    from_platform_flag_const_disallowed, invalid_base_image_platform, invalid_default_arg_in_from,
    json_args_recommended, legacy_key_value_format, multiple_instructions_disallowed,
    redundant_target_platform, secrets_used_in_arg_or_env, undefined_arg_in_from, undefined_var,
    workdir_relative_path,
};
use crate::source::Span;

/// What an instruction did that a rule wants to know, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Noticed {
    /// A word asked for a variable that has no value.
    Undefined {
        word: Span,
        name: String,
    },
    /// `ENV` or `ARG` names a variable.
    Variable(String),
    /// A word of `EXPOSE`, expanded.
    Port(String),
    Workdir {
        path: String,
        first: bool,
    },
    /// A path in the context, expanded.
    Source(String),
}

/// The instructions of a stage of which only the last counts.
#[derive(Default)]
pub(super) struct Seen<'a> {
    cmd: Option<&'a Instruction>,
    entrypoint: Option<&'a Instruction>,
    healthcheck: Option<&'a Instruction>,
}

impl<'a> Seen<'a> {
    /// Looks at an instruction; `state` is what it is after it.
    pub(super) fn look(
        &mut self,
        lint: &mut Lint,
        inst: &'a Instruction,
        from: CopyFrom,
        state: &State,
    ) {
        for noticed in state.noticed.take() {
            look_at(lint, inst, from, state, noticed);
        }
        let last = match &inst.kind {
            Kind::Cmd(_) => &mut self.cmd,
            Kind::Entrypoint(_) => &mut self.entrypoint,
            Kind::Healthcheck(_) => &mut self.healthcheck,
            Kind::Label(pairs) => return legacy_key_value_format::check(lint, inst, pairs),
            _ => return,
        };
        multiple_instructions_disallowed::check(lint, inst, last.replace(inst));
        if let Kind::Cmd(command) | Kind::Entrypoint(command) = &inst.kind {
            let shell_chosen = !state.image.config.shell.is_empty();
            json_args_recommended::check(lint, inst, command, shell_chosen);
        }
    }
}

fn look_at(lint: &mut Lint, inst: &Instruction, from: CopyFrom, state: &State, noticed: Noticed) {
    match noticed {
        Noticed::Undefined { name, .. } => {
            let declared: Vec<&str> = state.args.iter().map(|(name, _)| name.as_str()).collect();
            undefined_var::check(lint, inst, &name, &declared, &state.vars.names());
        }
        Noticed::Variable(name) => {
            if let Kind::Env(pairs) = &inst.kind {
                legacy_key_value_format::check(lint, inst, pairs);
                secrets_used_in_arg_or_env::check(lint, inst, "ENV", &name);
            } else {
                secrets_used_in_arg_or_env::check(lint, inst, "ARG", &name);
            }
        }
        Noticed::Port(port) => {
            expose_proto_casing::check(lint, inst, &port);
            expose_invalid_format::check(lint, inst, &port);
        }
        Noticed::Workdir { path, first } => workdir_relative_path::check(lint, inst, &path, first),
        Noticed::Source(path) => {
            if from == CopyFrom::Context {
                copy_ignored_file::check(lint, inst, &path, matches!(inst.kind, Kind::Add(_)));
            }
        }
    }
}

/// Whether `FROM` works without build arguments.
pub(super) fn default_arguments(lint: &mut Lint, dockerfile: &Dockerfile, automatic: &Vars) {
    let mut defaults = automatic.clone();
    if args::add_global(&mut defaults, dockerfile, &BTreeMap::new()).is_err() {
        return;
    }
    let mode = Mode::word(dockerfile.directives.escape);
    for inst in &dockerfile.instructions {
        let Kind::From(from) = &inst.kind else {
            continue;
        };
        let Ok(image) = expand(&from.image.text, &|name| defaults.get(name), mode) else {
            return;
        };
        let is_image = Reference::parse(&image.text).is_ok();
        invalid_default_arg_in_from::check(lint, inst, from, is_image);
    }
}

/// The names that a `FROM` may use, also those without a value.
pub(super) fn declared(globals: &Vars, dockerfile: &Dockerfile) -> Vec<String> {
    let mut names = globals.names();
    let before = dockerfile.instructions.iter();
    for inst in before.take_while(|inst| !args::is_from(inst)) {
        if let Kind::Arg(items) = &inst.kind {
            names.extend(items.iter().map(|item| item.name.text.clone()));
        }
    }
    names
}

impl Graph {
    pub(super) fn lint_from(
        &self,
        lint: &mut Lint,
        inst: &Instruction,
        from: &FromInst,
        declared: &[String],
    ) {
        let lookup = |name: &str| self.globals.get(name);
        let mode = Mode::word(self.escape);
        if let Ok(image) = expand(&from.image.text, &lookup, mode) {
            undefined_arg_in_from::check(lint, inst, &image, declared);
        }
        let Some(word) = &from.platform else { return };
        let Ok(platform) = expand(&word.text, &lookup, mode) else {
            return;
        };
        undefined_arg_in_from::check(lint, inst, &platform, declared);
        let target = self.globals.get("TARGETPLATFORM");
        redundant_target_platform::check(lint, inst, word, &platform, target.as_deref());
        if let Ok(parsed) = Platform::parse(&platform.text, &self.options.build_platform) {
            from_platform_flag_const_disallowed::check(lint, inst, from, &platform, &parsed);
        }
    }

    /// Whether the base images are of the platforms that were asked for.
    pub(super) fn lint_platforms(&self, lint: &mut Lint, reachable: &BTreeSet<StageIndex>) {
        for &index in reachable {
            let node = &self.nodes[index];
            let StageBase::Image(base) = node.base else {
                continue;
            };
            let Some(config) = &self.bases[base].config else {
                continue;
            };
            let expected = &self.bases[base].wanted.platform;
            let actual = Platform {
                os: config.os.clone(),
                architecture: config.architecture.clone(),
                variant: config.variant.clone(),
            };
            let name = self.bases[base].wanted.text.as_str();
            invalid_base_image_platform::check(lint, &node.from, name, expected, &actual);
        }
    }
}

/// The paths among the sources of a copy.
pub(super) fn paths(sources: &[super::CopySource]) -> impl Iterator<Item = &str> {
    sources.iter().filter_map(|source| match source {
        super::CopySource::Path(path) => Some(path.as_str()),
        _ => None,
    })
}
