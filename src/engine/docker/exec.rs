//! Commands in a running container.

use std::pin::Pin;

use bollard::exec::{ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures::StreamExt as _;
use tokio::io::AsyncWrite;

use super::{DockerEngine, stream};
use crate::engine::{Attached, EngineError, Exec, ExecSpec, Result};

impl DockerEngine {
    pub(super) async fn start_command(&self, container: &str, spec: &ExecSpec) -> Result<Exec> {
        let tty = spec.tty.is_some();
        let config = ExecConfig {
            attach_stdin: Some(spec.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty),
            cmd: Some(spec.args.clone()),
            user: Some("0".into()),
            ..ExecConfig::default()
        };
        let created = self.docker.create_exec(container, config).await;
        let id = created.map_err(|error| self.error(error))?.id;
        let options = StartExecOptions {
            tty,
            ..StartExecOptions::default()
        };
        let started = self.docker.start_exec(&id, Some(options)).await;
        let StartExecResults::Attached { output, input } =
            started.map_err(|error| self.error(error))?
        else {
            let reason = "it did not attach to a command";
            return Err(EngineError::Unexpected(reason.into()));
        };
        if let Some(size) = spec.tty {
            // Older engines take no size before the start.
            self.resize_command(&id, size).await?;
        }
        let stdin: Pin<Box<dyn AsyncWrite + Send>> = if spec.stdin {
            input
        } else {
            Box::pin(tokio::io::sink())
        };
        let output = stream::pieces(output, self.info.endpoint.clone()).boxed();
        Ok(Exec {
            id,
            streams: Attached { stdin, output },
        })
    }

    /// A command that has ended has no terminal any more, which is no error.
    pub(super) async fn resize_command(
        &self,
        exec: &str,
        (width, height): (u16, u16),
    ) -> Result<()> {
        let options = ResizeExecOptions { height, width };
        let resized = self.docker.resize_exec(exec, options).await;
        match resized.map_err(|error| self.error(error)) {
            Err(
                EngineError::NotFound { .. }
                | EngineError::Conflict { .. }
                | EngineError::Api { .. },
            )
            | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn command_status(&self, exec: &str) -> Result<Option<i64>> {
        let found = self.docker.inspect_exec(exec).await;
        Ok(found.map_err(|error| self.error(error))?.exit_code)
    }
}
