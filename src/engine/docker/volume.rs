//! Volumes and networks.

use std::collections::BTreeMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{
    InspectNetworkOptions, ListVolumesOptionsBuilder, RemoveVolumeOptions,
};

use super::{DockerEngine, if_there, is_plain, label_filter};
use crate::engine::{EngineError, Result, VolumeSummary};

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

    pub(super) async fn list_volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<VolumeSummary>> {
        let options = ListVolumesOptionsBuilder::new()
            .filters(&label_filter(labels))
            .build();
        let listed = self.docker.list_volumes(Some(options)).await;
        let listed = listed.map_err(|error| self.error(error))?;
        let volumes = listed.volumes.unwrap_or_default();
        let summary = |volume: bollard::models::Volume| VolumeSummary {
            name: volume.name,
            labels: volume.labels.into_iter().collect(),
        };
        Ok(volumes.into_iter().map(summary).collect())
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
