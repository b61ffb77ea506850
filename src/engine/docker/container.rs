//! The life of a container: create, start, wait, commit, inspect, list, remove.

use bollard::errors::Error;
use bollard::models::{ContainerConfig, ContainerInspectResponse, NetworkSettings};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use futures::StreamExt as _;

use super::{DockerEngine, if_there, is_plain, label_filter, spec};
use crate::engine::{ContainerDetail, ContainerSpec, ContainerSummary, EngineError, Result};

/// How often a create is tried again whose snapshot went away under it.
const SNAPSHOT_TRIES: usize = 4;

/// containerd's collector may take an unpacked layer between the moment when the engine finds
/// it there and the one when it builds on it. The next create unpacks it again.
fn is_lost_snapshot(error: &EngineError) -> bool {
    let text = error.to_string();
    text.contains("parent snapshot") && text.contains("does not exist")
}

impl DockerEngine {
    pub(super) async fn create_container(&self, spec: &ContainerSpec) -> Result<String> {
        let platform = spec
            .platform
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let options = CreateContainerOptionsBuilder::new()
            .name(&spec.name)
            .platform(&platform)
            .build();
        for _ in 0..SNAPSHOT_TRIES {
            let options = options.clone();
            let created = self
                .docker
                .create_container(Some(options), spec::body(spec))
                .await;
            match created.map_err(|error| self.error(error)) {
                Ok(created) => return Ok(created.id),
                Err(error) if is_lost_snapshot(&error) => {
                    tracing::debug!(%error, "the engine unpacks the image again");
                }
                Err(error) => return Err(error),
            }
        }
        let created = self
            .docker
            .create_container(Some(options), spec::body(spec))
            .await;
        created
            .map(|created| created.id)
            .map_err(|error| self.error(error))
    }

    pub(super) async fn start_container(&self, container: &str) -> Result<()> {
        let started = self
            .docker
            .start_container(container, None::<StartContainerOptions>)
            .await;
        started.map_err(|error| match self.error(error) {
            // The container whose network it joins; newer engines call that their own fault.
            EngineError::Api { message, .. } if message.contains("No such container") => {
                EngineError::NotFound { message }
            }
            error => error,
        })
    }

    /// Asked after the start, `not-running` cannot miss the end: it answers at once when the
    /// container has ended already, and nothing here ever starts one twice.
    pub(super) async fn wait_container(&self, container: &str) -> Result<i64> {
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let mut answers = Box::pin(self.docker.wait_container(container, Some(options)));
        match answers.next().await {
            // bollard makes an error of a status that is not zero.
            Some(Err(Error::DockerContainerWaitError { error, code })) if error.is_empty() => {
                Ok(code)
            }
            Some(Err(Error::DockerContainerWaitError { error, .. })) => {
                Err(EngineError::Unexpected(error))
            }
            Some(Err(error)) => Err(self.error(error)),
            Some(Ok(answer)) => match answer.error.and_then(|error| error.message) {
                Some(message) if !message.is_empty() => Err(EngineError::Unexpected(message)),
                _ => Ok(answer.status_code),
            },
            None => Err(EngineError::Broken {
                endpoint: self.info.endpoint.clone(),
                reason: "it stopped waiting for a container".into(),
            }),
        }
    }

    pub(super) async fn commit_container(&self, container: &str) -> Result<String> {
        let options = CommitContainerOptionsBuilder::new()
            .container(container)
            .pause(false)
            .build();
        let committed = self
            .docker
            .commit_container(options, ContainerConfig::default())
            .await;
        committed
            .map(|committed| committed.id)
            .map_err(|error| self.error(error))
    }

    pub(super) async fn inspect_container(&self, name: &str) -> Result<Option<ContainerDetail>> {
        if !is_plain(name) {
            return Ok(None);
        }
        let found = self
            .docker
            .inspect_container(name, None::<InspectContainerOptions>)
            .await;
        Ok(if_there(found.map_err(|error| self.error(error)))?.map(detail))
    }

    pub(super) async fn remove_container(&self, container: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        match self.docker.remove_container(container, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) => match self.error(error) {
                EngineError::NotFound { .. } => Ok(()),
                EngineError::Conflict { message } if message.contains("already in progress") => {
                    Ok(())
                }
                error => Err(error),
            },
        }
    }

    pub(super) async fn list_containers(
        &self,
        labels: &[(&str, &str)],
    ) -> Result<Vec<ContainerSummary>> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&label_filter(labels))
            .build();
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| self.error(error))?;
        let summary = |container: bollard::models::ContainerSummary| ContainerSummary {
            id: container.id.unwrap_or_default(),
            names: container
                .names
                .unwrap_or_default()
                .into_iter()
                .map(|name| bare(&name))
                .collect(),
            labels: container.labels.unwrap_or_default().into_iter().collect(),
            running: container
                .state
                .is_some_and(|state| state.to_string() == "running"),
        };
        Ok(listed.into_iter().map(summary).collect())
    }
}

/// The API puts a slash in front of names.
fn bare(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

fn detail(found: ContainerInspectResponse) -> ContainerDetail {
    let state = found.state.unwrap_or_default();
    let config = found.config.unwrap_or_default();
    ContainerDetail {
        id: found.id.unwrap_or_default(),
        name: bare(&found.name.unwrap_or_default()),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        running: state.running.unwrap_or_default(),
        status: state
            .status
            .map(|status| status.to_string())
            .unwrap_or_default(),
        network_mode: found
            .host_config
            .and_then(|host| host.network_mode)
            .unwrap_or_default(),
        hostname: config.hostname.unwrap_or_default(),
        ip_addresses: found.network_settings.map(addresses).unwrap_or_default(),
        hosts_path: found.hosts_path.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        exit_code: state.exit_code.unwrap_or_default(),
        created: found.created.as_deref().map_or(0, seconds),
    }
}

fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_second)
}

fn addresses(settings: NetworkSettings) -> Vec<String> {
    let mut networks: Vec<_> = settings.networks.unwrap_or_default().into_iter().collect();
    networks.sort_by(|(a, _), (b, _)| a.cmp(b));
    networks
        .into_iter()
        .flat_map(|(_, network)| [network.ip_address, network.global_ipv6_address])
        .flatten()
        .filter(|address| !address.is_empty())
        .collect()
}
