//! The standard streams of a container.

use bollard::container::LogOutput;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures::StreamExt as _;

use super::{DockerEngine, error};
use crate::engine::{Attached, Result, Stream};

impl DockerEngine {
    /// Standard input is asked for in any case; a container without one throws it away.
    pub(super) async fn attach_streams(&self, container: &str) -> Result<Attached> {
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = self.docker.attach_container(container, Some(options)).await;
        let attached = attached.map_err(|error| self.error(error))?;
        let endpoint = self.info.endpoint.clone();
        let output = attached.output.filter_map(move |piece| {
            let piece = match piece {
                Ok(LogOutput::StdErr { message }) => Some(Ok((Stream::Stderr, message))),
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                    Some(Ok((Stream::Stdout, message)))
                }
                Ok(LogOutput::StdIn { .. }) => None,
                Err(error) => Some(Err(error::from_bollard(&endpoint, error))),
            };
            std::future::ready(piece)
        });
        Ok(Attached {
            stdin: attached.input,
            output: output.boxed(),
        })
    }
}
