//! `RUN`.

use super::action::{Action, CopyFrom, Device, Network, Run, Script, Secret};
use super::errors::at;
use super::history;
use super::name;
use super::state::State;
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{
    self, Command, Heredoc, Instruction, RunInst, RunNetwork, RunSecurity,
};
use crate::dockerfile::expand::Mode;

/// Where programs look for an ssh agent.
const AGENT: &str = "SSH_AUTH_SOCK";

/// What a `RUN` depends on besides itself and the instructions before it.
pub(super) struct Surroundings<'a> {
    pub(super) proxy: &'a [(String, String)],
    /// For each of its mounts, where its files are.
    pub(super) froms: &'a [CopyFrom],
    pub(super) cache_namespace: &'a str,
    pub(super) hostname: Option<&'a String>,
}

impl State {
    /// The action of a `RUN`, its title's text, and its line in the history.
    pub(super) fn run(
        &mut self,
        inst: &Instruction,
        run: &RunInst,
        surroundings: &Surroundings<'_>,
    ) -> Result<(Action, String), Diagnostic> {
        let mounts = self.mounts(inst, run, surroundings.froms, surroundings.cache_namespace)?;
        let mut more = String::new();
        let (argv, script) = match &run.command {
            Command::Exec(words) => (
                words
                    .iter()
                    .map(|word| word.text.clone())
                    .collect::<Vec<_>>(),
                None,
            ),
            Command::Shell(word) => match only_heredoc(&word.text, &inst.heredocs) {
                Some(heredoc) => {
                    more = format!(" ({})", name::summary(heredoc));
                    self.heredoc_command(heredoc)
                }
                None => (
                    self.with_shell(&with_bodies(&word.text, &inst.heredocs)),
                    None,
                ),
            },
        };
        let text = self.run_title(inst, &more, &mounts.secret_env);
        if argv.is_empty() {
            let refused = at(inst, inst.span, "`RUN []` names no command");
            return Err(refused.with_hint("write the command as the list's first word"));
        }
        is_utf8(inst, &argv)?;
        let line = format!("RUN {}", self.history_command(&argv));
        history::layer(&mut self.image, &line);
        let mut env = self.vars.clone();
        if let Some(agent) = mounts.agent
            && env.get(AGENT).is_none()
        {
            env.set(AGENT, agent);
        }
        let action = Run {
            argv,
            env: env.into_pairs(),
            proxy: surroundings.proxy.to_vec(),
            cwd: self.cwd().to_owned(),
            user: self.image.config.user.clone(),
            network: match run.network.map(|network| network.value) {
                None | Some(RunNetwork::Default) => Network::Default,
                Some(RunNetwork::None) => Network::None,
                Some(RunNetwork::Host) => Network::Host,
            },
            insecure: run
                .security
                .is_some_and(|s| s.value == RunSecurity::Insecure),
            mounts: mounts.mounts,
            secret_env: mounts.secret_env,
            devices: self.devices(inst, run)?,
            script,
            hostname: surroundings
                .hostname
                .filter(|name| !name.is_empty())
                .cloned(),
        };
        Ok((Action::Run(action), text))
    }

    /// The title does not show what a variable was before it became a secret.
    fn run_title(&self, inst: &Instruction, more: &str, secrets: &[Secret]) -> String {
        let mode = Mode::display(self.escape);
        if secrets.is_empty() {
            return name::shown_with(self, inst, more, mode);
        }
        let mut masked = self.clone();
        for secret in secrets {
            masked.vars.set(&secret.name, "****");
        }
        name::shown_with(&masked, inst, more, mode)
    }

    fn devices(&self, inst: &Instruction, run: &RunInst) -> Result<Vec<Device>, Diagnostic> {
        let device = |device: &ast::Device| {
            Ok(Device {
                name: self.expand(inst, &device.name)?,
                required: device.required,
                span: device.span,
            })
        };
        run.devices.iter().map(device).collect()
    }

    /// `RUN <<EOF`: the body goes to the shell, or runs as a file when it names its interpreter.
    fn heredoc_command(&self, heredoc: &Heredoc) -> (Vec<String>, Option<Script>) {
        let body = heredoc.body();
        if body.starts_with("#!") && self.image.os != "windows" {
            let path = format!("/dev/pipes/{}", heredoc.name);
            let script = Script {
                name: heredoc.name.clone(),
                body,
            };
            // BuildKit gives the path to the shell, like any command in shell form.
            return (self.with_shell(&path), Some(script));
        }
        (self.with_shell(&body), None)
    }

    /// `|2 A=1 B=2 /bin/sh -c make`: the arguments in force and the command.
    fn history_command(&self, argv: &[String]) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.args {
            let value = self
                .vars
                .get(name)
                .or_else(|| value.clone())
                .unwrap_or_default();
            match pairs.iter_mut().find(|(seen, _)| seen == name) {
                Some((_, old)) => *old = value,
                None => pairs.push((name, value)),
            }
        }
        let mut words = Vec::new();
        if !pairs.is_empty() {
            words.push(format!("|{}", pairs.len()));
            words.extend(
                pairs
                    .into_iter()
                    .map(|(name, value)| format!("{name}={value}")),
            );
        }
        words.extend(argv.iter().cloned());
        words.join(" ")
    }
}

/// Refuses a command whose bytes in the file are not UTF-8, as BuildKit does. Everywhere else
/// such bytes are replaced, and what a comment says does not matter.
fn is_utf8(inst: &Instruction, argv: &[String]) -> Result<(), Diagnostic> {
    let replaced = |word: &String| word.contains(char::REPLACEMENT_CHARACTER);
    match inst.source.not_utf8(inst.span) {
        Some(place) if argv.iter().any(replaced) => {
            let refused = at(inst, place, "this is not UTF-8, as a command must be");
            Err(refused.with_hint("save the Dockerfile as UTF-8"))
        }
        _ => Ok(()),
    }
}

/// The heredoc, when the whole command is `<<NAME`.
fn only_heredoc<'a>(command: &str, heredocs: &'a [Heredoc]) -> Option<&'a Heredoc> {
    let first = heredocs.first()?;
    let rest = command
        .trim()
        .trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix("<<")?;
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let bare: String = rest.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    (bare == first.name).then_some(first)
}

/// The command with the bodies of its heredocs put back, for the shell to read.
fn with_bodies(command: &str, heredocs: &[Heredoc]) -> String {
    let mut text = command.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    text
}
