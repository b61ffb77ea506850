//! An engine of a few containers and networks, for tests of what only looks them up.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Attached, BaseImage, ByteStream, ContainerDetail, ContainerSpec, ContainerSummary, Engine,
    EngineError, EngineInfo, Exec, ExecSpec, ImageStore, ImageSummary, LoadRequest, Loaded,
    NamedImage, OnPull, PathStat, Result, TarStream, VolumeSummary,
};
use crate::image::{Digest, Layer, Platform, Reference};

/// The engine. Whatever it is not made for panics.
pub(crate) struct FakeEngine {
    info: EngineInfo,
    containers: Vec<ContainerDetail>,
    networks: Vec<String>,
    /// What it was asked, in order: `inspect ID`, `containers LABEL=VALUE`.
    pub(crate) asked: Mutex<Vec<String>>,
}

impl FakeEngine {
    pub(crate) fn new(containers: Vec<ContainerDetail>) -> Self {
        Self {
            info: EngineInfo {
                endpoint: "unix:///var/run/docker.sock".into(),
                version: "28.5.2".into(),
                api_version: "1.51".into(),
                id: "fake".into(),
                store: ImageStore::GraphDriver,
                platform: Platform {
                    os: "linux".into(),
                    architecture: "amd64".into(),
                    variant: None,
                },
                apparmor: false,
            },
            containers,
            networks: vec!["bridge".into(), "ci".into()],
            asked: Mutex::default(),
        }
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

/// A running container.
pub(crate) fn container(id: &str, name: &str, network_mode: &str) -> ContainerDetail {
    ContainerDetail {
        id: id.into(),
        name: name.into(),
        labels: BTreeMap::new(),
        running: true,
        status: "running".into(),
        network_mode: network_mode.into(),
        hostname: String::new(),
        ip_addresses: Vec::new(),
        hosts_path: String::new(),
        oom_killed: false,
        exit_code: 0,
        created: 0,
    }
}

#[async_trait]
impl Engine for FakeEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// As the engine does it: the full id, a name, the start of an id.
    async fn inspect(&self, name: &str) -> Result<Option<ContainerDetail>> {
        self.note(format!("inspect {name}"));
        let exact = |container: &&ContainerDetail| container.id == name || container.name == name;
        if let Some(found) = self.containers.iter().find(exact) {
            return Ok(Some(found.clone()));
        }
        let found: Vec<_> = self
            .containers
            .iter()
            .filter(|one| one.id.starts_with(name))
            .collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).clone())),
            _ => Err(EngineError::Api {
                status: 400,
                message: format!("multiple IDs found with provided prefix: {name}"),
            }),
        }
    }

    async fn containers(&self, labels: &[(&str, &str)]) -> Result<Vec<ContainerSummary>> {
        let asked: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.note(format!("containers {}", asked.join(" ")));
        let has = |container: &&ContainerDetail| {
            labels.iter().all(|(name, value)| {
                let found = container.labels.get(*name);
                found.is_some_and(|found| value.is_empty() || found == value)
            })
        };
        let summary = |container: &ContainerDetail| ContainerSummary {
            id: container.id.clone(),
            names: vec![container.name.clone()],
            labels: container.labels.clone(),
            running: container.running,
        };
        Ok(self.containers.iter().filter(has).map(summary).collect())
    }

    async fn network(&self, name: &str) -> Result<Option<String>> {
        Ok(self.networks.iter().find(|known| *known == name).cloned())
    }

    async fn image(&self, _: &str) -> Result<Option<ImageSummary>> {
        unimplemented!()
    }

    async fn named(&self, _name: &str) -> Result<Option<NamedImage>> {
        unimplemented!()
    }

    async fn base_image(&self, _: &str, _: &Platform) -> Result<BaseImage> {
        unimplemented!()
    }

    async fn pull(&self, _: &Reference, _: Option<&Platform>, _: OnPull<'_>) -> Result<()> {
        unimplemented!()
    }

    async fn push(&self, _: &Reference, _: OnPull<'_>) -> Result<Digest> {
        unimplemented!()
    }

    async fn save(&self, _: &str) -> Result<TarStream> {
        unimplemented!()
    }

    async fn load(&self, _: LoadRequest) -> Result<Loaded> {
        unimplemented!()
    }

    async fn tag(&self, _: &str, _: &str) -> Result<()> {
        unimplemented!()
    }

    async fn remove_image(&self, _: &str, _: bool) -> Result<()> {
        unimplemented!()
    }

    async fn images_of(&self, _: &str) -> Result<Vec<ImageSummary>> {
        unimplemented!()
    }

    async fn untagged_images(&self, _: &str) -> Result<Vec<ImageSummary>> {
        unimplemented!()
    }

    async fn layer_sizes(&self, _image: &str) -> Result<Vec<u64>> {
        unimplemented!()
    }

    async fn layers(&self, _: &str, _: &[Layer]) -> Result<Vec<Layer>> {
        unimplemented!()
    }

    async fn create(&self, _: &ContainerSpec) -> Result<String> {
        unimplemented!()
    }

    async fn attach(&self, _: &str) -> Result<Attached> {
        unimplemented!()
    }

    async fn start(&self, _: &str) -> Result<()> {
        unimplemented!()
    }

    async fn wait(&self, _: &str) -> Result<i64> {
        unimplemented!()
    }

    async fn commit(&self, _: &str) -> Result<String> {
        unimplemented!()
    }

    async fn remove(&self, _: &str) -> Result<()> {
        unimplemented!()
    }

    async fn exec(&self, _: &str, _: &ExecSpec) -> Result<Exec> {
        unimplemented!()
    }

    async fn resize(&self, _: &str, _: (u16, u16)) -> Result<()> {
        unimplemented!()
    }

    async fn exec_status(&self, _: &str) -> Result<Option<i64>> {
        unimplemented!()
    }

    async fn stat(&self, _: &str, _: &str) -> Result<Option<PathStat>> {
        unimplemented!()
    }

    async fn read(&self, _: &str, _: &str) -> Result<TarStream> {
        unimplemented!()
    }

    async fn write(&self, _: &str, _: &str, _: Bytes) -> Result<()> {
        unimplemented!()
    }

    async fn ensure_volume(&self, _: &str, _: &BTreeMap<String, String>) -> Result<bool> {
        unimplemented!()
    }

    async fn remove_volume(&self, _: &str) -> Result<()> {
        unimplemented!()
    }

    async fn write_stream(&self, _container: &str, _path: &str, _tar: ByteStream) -> Result<()> {
        unimplemented!()
    }

    async fn volumes(&self, _labels: &[(&str, &str)]) -> Result<Vec<VolumeSummary>> {
        unimplemented!()
    }
}
