//! The Docker Engine API through bollard: the one place that names it.
//!
//! [`resolve_endpoint`] finds out which engine is meant, [`DockerEngine::connect_with`] reaches
//! it, and the other files do what [`Engine`] asks, a noun each. What differs between an engine
//! with a graph driver and one with the containerd image store is in `base`, `load` and `peek`.
#![expect(
    clippy::disallowed_types,
    reason = "this is the module that speaks to Docker"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bollard::Docker;
use bytes::Bytes;

use super::{
    Attached, BaseImage, ByteStream, ContainerDetail, ContainerSpec, ContainerSummary, Engine,
    EngineError, EngineInfo, Exec, ExecSpec, ImageStore, ImageSummary, LoadRequest, Loaded,
    NamedImage, OnPull, PathStat, Result, TarStream, VolumeSummary,
};
use crate::image::{Digest, Layer, Platform, Reference};

mod archive;
mod auth;
mod base;
mod connect;
mod container;
mod context;
mod error;
mod exec;
mod export;
mod files;
mod history;
mod image;
mod load;
mod manifest;
mod peek;
mod pull;
mod push;
mod spec;
mod stream;
mod tcp;
mod untar;
mod volume;

pub use auth::{Credential, Credentials};
pub use context::resolve_endpoint;

/// An engine that was reached.
pub struct DockerEngine {
    docker: Docker,
    /// The same, for image inspects that tell an index's manifests: they take twice as long.
    detailed: Docker,
    info: EngineInfo,
    credentials: Credentials,
    /// What images of the containerd store are, by ID. An ID is a digest: it stays true.
    roots: Mutex<HashMap<String, image::Root>>,
}

impl DockerEngine {
    fn new(docker: Docker, detailed: Docker, info: EngineInfo, credentials: Credentials) -> Self {
        Self {
            docker,
            detailed,
            info,
            credentials,
            roots: Mutex::default(),
        }
    }

    fn error(&self, error: bollard::errors::Error) -> EngineError {
        error::from_bollard(&self.info.endpoint, error)
    }

    fn is_containerd(&self) -> bool {
        self.info.store == ImageStore::Containerd
    }

    fn root(&self, id: &str) -> Option<image::Root> {
        self.roots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    fn remember(&self, id: &str, root: image::Root) {
        self.roots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned(), root);
    }
}

/// Whether a name may stand in a request's path as it is. Names of containers, networks and
/// volumes that engines accept do.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The filter of a listing: an empty value matches any.
fn label_filter(labels: &[(&str, &str)]) -> HashMap<&'static str, Vec<String>> {
    let text = |(name, value): &(&str, &str)| match *value {
        "" => (*name).to_owned(),
        value => format!("{name}={value}"),
    };
    HashMap::from([("label", labels.iter().map(text).collect())])
}

/// A few letters that nobody else has: for names that must not meet.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}", random())
}

/// What is not there is not an error.
fn if_there<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Engine for DockerEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    async fn image(&self, name: &str) -> Result<Option<ImageSummary>> {
        self.image_summary(name).await
    }

    async fn named(&self, name: &str) -> Result<Option<NamedImage>> {
        self.image_names(name).await
    }

    async fn base_image(&self, name: &str, platform: &Platform) -> Result<BaseImage> {
        self.read_base(name, platform).await
    }

    async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        on_pull: OnPull<'_>,
    ) -> Result<()> {
        self.pull_image(reference, platform, on_pull).await
    }

    async fn push(&self, reference: &Reference, on_push: OnPull<'_>) -> Result<Digest> {
        self.push_image(reference, on_push).await
    }

    async fn save(&self, image: &str) -> Result<TarStream> {
        Ok(self.saved(image))
    }

    async fn load(&self, request: LoadRequest) -> Result<Loaded> {
        self.load_image(request).await
    }

    async fn tag(&self, image: &str, name: &str) -> Result<()> {
        self.tag_image(image, name).await
    }

    async fn remove_image(&self, name: &str, force: bool) -> Result<()> {
        self.drop_image(name, force).await
    }

    async fn images_of(&self, repository: &str) -> Result<Vec<ImageSummary>> {
        let filters = HashMap::from([("reference", vec![repository])]);
        self.list_images(filters).await
    }

    async fn untagged_images(&self, label: &str) -> Result<Vec<ImageSummary>> {
        let filters = HashMap::from([("dangling", vec!["true"]), ("label", vec![label])]);
        self.list_images(filters).await
    }

    async fn layer_sizes(&self, image: &str) -> Result<Vec<u64>> {
        self.history_sizes(image).await
    }

    async fn layers(&self, image: &str, known: &[Layer]) -> Result<Vec<Layer>> {
        self.read_layers(image, known).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        self.create_container(spec).await
    }

    async fn attach(&self, container: &str) -> Result<Attached> {
        self.attach_streams(container).await
    }

    async fn start(&self, container: &str) -> Result<()> {
        self.start_container(container).await
    }

    async fn wait(&self, container: &str) -> Result<i64> {
        self.wait_container(container).await
    }

    async fn commit(&self, container: &str) -> Result<String> {
        self.commit_container(container).await
    }

    async fn inspect(&self, container: &str) -> Result<Option<ContainerDetail>> {
        self.inspect_container(container).await
    }

    async fn remove(&self, container: &str) -> Result<()> {
        self.remove_container(container).await
    }

    async fn containers(&self, labels: &[(&str, &str)]) -> Result<Vec<ContainerSummary>> {
        self.list_containers(labels).await
    }

    async fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Exec> {
        self.start_command(container, spec).await
    }

    async fn resize(&self, exec: &str, size: (u16, u16)) -> Result<()> {
        self.resize_command(exec, size).await
    }

    async fn exec_status(&self, exec: &str) -> Result<Option<i64>> {
        self.command_status(exec).await
    }

    async fn stat(&self, container: &str, path: &str) -> Result<Option<PathStat>> {
        self.stat_path(container, path).await
    }

    async fn read(&self, container: &str, path: &str) -> Result<TarStream> {
        self.read_path(container, path).await
    }

    async fn write(&self, container: &str, path: &str, tar: Bytes) -> Result<()> {
        let tar = futures::stream::iter([Ok(tar)]);
        self.write_path(container, path, Box::pin(tar)).await
    }

    async fn write_stream(&self, container: &str, path: &str, tar: ByteStream) -> Result<()> {
        self.write_path(container, path, tar).await
    }

    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<bool> {
        self.create_volume(name, labels).await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.drop_volume(name).await
    }

    async fn volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<VolumeSummary>> {
        self.list_volumes(labels).await
    }

    async fn network(&self, name: &str) -> Result<Option<String>> {
        self.find_network(name).await
    }
}
