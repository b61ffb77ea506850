//! Volumes and networks.

use std::collections::BTreeMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{InspectNetworkOptions, RemoveVolumeOptions};

use super::{DockerEngine, if_there, is_plain};
use crate::engine::{EngineError, Result};

impl DockerEngine {
    /// Two that create at the same time may both be told that they made it.
    pub(super) async fn create_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool> {
        if !is_plain(name) {
            return Err(EngineError::Local(format!(
                "`{name}` cannot be a volume's name"
            )));
        }
        let found = self.docker.inspect_volume(name).await;
        if if_there(found.map_err(|error| self.error(error)))?.is_some() {
            return Ok(false);
        }
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        self.docker
            .create_volume(request)
            .await
            .map_err(|error| self.error(error))?;
        Ok(true)
    }

    pub(super) async fn drop_volume(&self, name: &str) -> Result<()> {
        let removed = self
            .docker
            .remove_volume(name, None::<RemoveVolumeOptions>)
            .await;
        if_there(removed.map_err(|error| self.error(error)))?;
        Ok(())
    }

    pub(super) async fn find_network(&self, name: &str) -> Result<Option<String>> {
        if !is_plain(name) {
            return Ok(None);
        }
        let found = self
            .docker
            .inspect_network(name, None::<InspectNetworkOptions>)
            .await;
        Ok(if_there(found.map_err(|error| self.error(error)))?.and_then(|found| found.id))
    }
}
