//! `RUN`.

use super::action::{Action, Network, Run, Script};
use super::errors::at;
use super::history;
use super::name;
use super::state::State;
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Command, Heredoc, Instruction, RunInst, RunNetwork, RunSecurity};
use crate::dockerfile::expand::Mode;

impl State {
    /// The action of a `RUN`, its title's text, and its line in the history.
    pub(super) fn run(
        &mut self,
        inst: &Instruction,
        run: &RunInst,
        proxy: &[(String, String)],
    ) -> Result<(Action, String), Diagnostic> {
        refuse_unsupported(inst, run)?;
        let mut text = name::shown(self, inst, Mode::display(self.escape));
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
                    text.push_str(&format!(" ({})", name::summary(heredoc)));
                    self.heredoc_command(heredoc)
                }
                None => (
                    self.with_shell(&with_bodies(&word.text, &inst.heredocs)),
                    None,
                ),
            },
        };
        if argv.is_empty() {
            let refused = at(inst, inst.span, "`RUN []` names no command");
            return Err(refused.with_hint("write the command as the list's first word"));
        }
        let line = format!("RUN {}", self.history_command(&argv));
        history::layer(&mut self.image, &line);
        let action = Run {
            argv,
            env: self.vars.clone().into_pairs(),
            proxy: proxy.to_vec(),
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
            script,
        };
        Ok((Action::Run(action), text))
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

/// Flags that are read but cannot be carried out yet: refused, never ignored.
fn refuse_unsupported(inst: &Instruction, run: &RunInst) -> Result<(), Diagnostic> {
    if let Some(mount) = run.mounts.first() {
        return Err(at(inst, mount.span, "`RUN --mount` is not supported yet"));
    }
    if let Some(device) = run.devices.first() {
        return Err(at(inst, device.span, "`RUN --device` is not supported yet"));
    }
    match run.security {
        Some(security) if security.value == RunSecurity::Insecure => Err(at(
            inst,
            security.span,
            "`RUN --security=insecure` is not supported yet",
        )),
        _ => Ok(()),
    }
}
