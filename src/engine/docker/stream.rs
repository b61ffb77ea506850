//! The standard streams of a container.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::query_parameters::{AttachContainerOptionsBuilder, InspectContainerOptions};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::AsyncWrite;

use super::{DockerEngine, error};
use crate::engine::{Attached, Result, Stream};

impl DockerEngine {
    /// Standard input is only attached where the container has one: otherwise its end, which
    /// the caller is right to send, would end the outputs too.
    pub(super) async fn attach_streams(&self, container: &str) -> Result<Attached> {
        let found = self
            .docker
            .inspect_container(container, None::<InspectContainerOptions>)
            .await
            .map_err(|error| self.error(error))?;
        let has_stdin = found
            .config
            .and_then(|config| config.open_stdin)
            .unwrap_or_default();
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(has_stdin)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = self.docker.attach_container(container, Some(options)).await;
        let attached = attached.map_err(|error| self.error(error))?;
        let endpoint = self.info.endpoint.clone();
        let output = pieces(attached.output, endpoint);
        let stdin: Pin<Box<dyn AsyncWrite + Send>> = if has_stdin {
            attached.input
        } else {
            Box::pin(tokio::io::sink())
        };
        Ok(Attached {
            stdin,
            output: output.boxed(),
        })
    }
}

/// What a container or a command in it writes, and where to.
pub(super) fn pieces(
    output: impl futures::Stream<Item = std::result::Result<LogOutput, bollard::errors::Error>>
    + Send
    + 'static,
    endpoint: String,
) -> impl futures::Stream<Item = Result<(Stream, Bytes)>> + Send + 'static {
    output.filter_map(move |piece| {
        let piece = match piece {
            Ok(LogOutput::StdErr { message }) => Some(Ok((Stream::Stderr, message))),
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                Some(Ok((Stream::Stdout, message)))
            }
            Ok(LogOutput::StdIn { .. }) => None,
            Err(error) => Some(Err(error::from_bollard(&endpoint, error))),
        };
        std::future::ready(piece)
    })
}
