//! A container in which a step could run, held for those who want to look or to try.
//!
//! Its first process is `init hold`, which ends when its standard input does: nothing is left
//! running when bowline dies, however it dies.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::builder::{Builder, random_text};
use super::init_volume;
use super::ledger::Ledger;
use super::mounts::Mounting;
use crate::engine::{
    Attached, ContainerSpec, Engine, EngineError, Exec, ExecSpec, NetworkMode, Result, Stream,
};
use crate::image::Platform;
use crate::init::wire::{PREFIX, Request};
use crate::plan::Run;

/// What a container is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To look at its files.
    Look,
    /// To run commands as its step would, on its network and with its mounts.
    Work,
}

/// A running container. Dropping it removes it.
pub struct Held {
    engine: Arc<dyn Engine>,
    ledger: Arc<Ledger>,
    container: String,
    /// Its end is the container's.
    _attached: Mutex<Attached>,
}

impl Builder {
    /// Starts a container of an image in the place of a step; without its mounts only to look.
    pub(super) async fn hold(
        &self,
        run: &Run,
        mounting: Option<Mounting>,
        image: String,
        platform: &Platform,
    ) -> Result<Held> {
        self.init_is_ready(&image).await?;
        let (mut spec, request) = match mounting {
            Some(mounting) => self.step_container(run, mounting, image, platform).await?,
            None => self.look_container(run, image, platform),
        };
        spec.args = vec!["hold".into()];
        match self.start_held(&spec, &request).await {
            Err(EngineError::Api { message, .. }) if message.contains(init_volume::PROGRAM) => {
                // As for a step: the volume is there but empty.
                self.ledger.leave(&spec.name);
                self.refill(&spec.image).await?;
                spec.name = self.ledger.enter();
                self.start_held(&spec, &request).await
            }
            held => held,
        }
    }

    /// A container to look at files: without a network and mounts.
    fn look_container(
        &self,
        run: &Run,
        image: String,
        platform: &Platform,
    ) -> (ContainerSpec, Request) {
        let mut spec = self.run_spec(run, image, platform);
        spec.network = NetworkMode::None;
        spec.extra_hosts.clear();
        spec.limits.privileged = false;
        let request = Request {
            token: random_text(),
            ..Request::default()
        };
        (spec, request)
    }

    async fn start_held(&self, spec: &ContainerSpec, request: &Request) -> Result<Held> {
        let token = &request.token;
        let request = request
            .encode()
            .map_err(|error| EngineError::Local(format!("the step cannot be sent: {error}")))?;
        self.ledger.create(spec).await?;
        let mut attached = self.engine.attach(&spec.name).await?;
        self.engine.start(&spec.name).await?;
        let broken = |error: std::io::Error| EngineError::Local(error.to_string());
        attached.stdin.write_all(&request).await.map_err(broken)?;
        attached.stdin.flush().await.map_err(broken)?;
        let mut said = Vec::new();
        while let Some(piece) = attached.output.next().await {
            let (_, bytes) = piece?;
            said.extend_from_slice(&bytes);
            if said.ends_with(b"ready\n") {
                return Ok(Held {
                    engine: Arc::clone(&self.engine),
                    ledger: Arc::clone(&self.ledger),
                    container: spec.name.clone(),
                    _attached: Mutex::new(attached),
                });
            }
        }
        let said = String::from_utf8_lossy(&said);
        let reason = said.strip_prefix(PREFIX).unwrap_or(&said);
        let reason = reason.strip_prefix(token.as_str()).unwrap_or(reason);
        let reason = reason.trim_start_matches(": ").trim_end();
        Err(EngineError::Unexpected(format!(
            "the step's container did not start: {reason}"
        )))
    }
}

impl Held {
    pub fn container(&self) -> &str {
        &self.container
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Runs the program in the container, as root, and gives all it wrote.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn ask(&self, args: &[&str]) -> Result<Answer> {
        let program = [init_volume::PROGRAM].into_iter();
        let spec = ExecSpec {
            args: program
                .chain(args.iter().copied())
                .map(str::to_owned)
                .collect(),
            stdin: false,
            tty: None,
        };
        let mut exec = self.engine.exec(&self.container, &spec).await?;
        let mut answer = Answer::default();
        while let Some(piece) = exec.streams.output.next().await {
            match piece? {
                (Stream::Stdout, bytes) => answer.output.extend_from_slice(&bytes),
                (Stream::Stderr, bytes) => answer.errors.extend_from_slice(&bytes),
            }
        }
        answer.status = self.engine.exec_status(&exec.id).await?.unwrap_or(-1);
        Ok(answer)
    }

    /// Starts a command as the step would run it.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn start(&self, command: &Command) -> Result<Exec> {
        self.engine.exec(&self.container, &command.spec()).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.leave(&self.container);
    }
}

/// What a program in a held container wrote.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: i64,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
}

/// A command in a held container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The step's own when empty.
    pub args: Vec<String>,
    /// In place of the step's.
    pub user: Option<String>,
    pub directory: Option<String>,
    /// Besides the step's.
    pub env: Vec<(String, String)>,
    pub stdin: bool,
    /// The size of its terminal and its `TERM`.
    pub tty: Option<((u16, u16), String)>,
}

impl Command {
    #[must_use]
    pub fn spec(&self) -> ExecSpec {
        let mut args = vec![init_volume::PROGRAM.to_owned(), "join".to_owned()];
        if let Some((_, term)) = &self.tty {
            args.extend(["-t".to_owned(), term.clone()]);
        }
        args.extend(self.flags());
        ExecSpec {
            args,
            stdin: self.stdin,
            tty: self.tty.as_ref().map(|(size, _)| *size),
        }
    }

    /// What the program in the container is told, besides its terminal.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut flag = |name: &str, value: &str| {
            args.extend([name.to_owned(), value.to_owned()]);
        };
        if let Some(user) = &self.user {
            flag("-u", user);
        }
        if let Some(directory) = &self.directory {
            flag("-w", directory);
        }
        for (name, value) in &self.env {
            flag("-e", &format!("{name}={value}"));
        }
        if !self.args.is_empty() {
            args.push("--".to_owned());
            args.extend(self.args.iter().cloned());
        }
        args
    }

    /// The command that [`Command::flags`] tells of.
    #[must_use]
    pub fn of_flags(flags: &[String]) -> Self {
        let mut command = Self::default();
        let mut flags = flags.iter().cloned();
        while let Some(flag) = flags.next() {
            if flag == "--" {
                command.args = flags.collect();
                break;
            }
            let value = flags.next().unwrap_or_default();
            match flag.as_str() {
                "-u" => command.user = Some(value),
                "-w" => command.directory = Some(value),
                "-e" => {
                    let (name, value) = value.split_once('=').unwrap_or((&value, ""));
                    command.env.push((name.to_owned(), value.to_owned()));
                }
                _ => {}
            }
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_and_understood() {
        let command = Command {
            args: vec!["sh".into(), "-c".into(), "--".into()],
            user: Some("app".into()),
            directory: Some("/w".into()),
            env: vec![("A".into(), "b=c".into())],
            ..Command::default()
        };
        assert_eq!(Command::of_flags(&command.flags()), command);
    }
}
