//! The one seam to a container engine, in our own words.
//!
//! [`Engine`] speaks of images, layers, containers and volumes; it knows no instruction, no
//! plan and no cache. [`docker`] implements it over the Docker Engine API. What an engine can
//! do and how it stores images is said once, in [`EngineInfo`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::image::{Descriptor, ImageConfig, Layer, Platform, Reference};

pub mod docker;
mod error;
#[cfg(test)]
pub(crate) mod fake;

pub use error::EngineError;

pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// What is known of the engine once it has answered.
#[derive(Debug, Clone)]
pub struct EngineInfo {
    /// Where it was reached, for messages: `unix:///var/run/docker.sock`.
    pub endpoint: String,
    /// The engine's own version, `28.5.2`.
    pub version: String,
    /// The API version both sides agreed on, `1.41` or later.
    pub api_version: String,
    /// A stable identity of the engine (`/info`'s `ID`).
    pub id: String,
    pub store: ImageStore,
    /// The platform of its containers.
    pub platform: Platform,
    /// Whether containers get an `AppArmor` profile unless they say otherwise.
    pub apparmor: bool,
}

/// How the engine keeps images, which decides what a load must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageStore {
    /// Layers live in a graph driver and are known by their chain of diff IDs.
    GraphDriver,
    /// Layers live as blobs in containerd's content store and are known by descriptors.
    Containerd,
}

/// An image as an inspect call shows it.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// The engine's ID of it (`sha256:…`): of the config (graph driver) or manifest (containerd).
    pub id: String,
    pub diff_ids: Vec<crate::image::Digest>,
    pub labels: BTreeMap<String, String>,
    pub platform: Platform,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    /// In seconds since 1970; 0 where the engine does not tell.
    pub created: i64,
}

/// An image and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    /// As [`ImageSummary::id`].
    pub id: String,
    /// `repository:tag`, short forms of Docker Hub.
    pub tags: Vec<String>,
}

/// Everything needed to build on top of an image. For one ID and platform, config and layers
/// never change.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct BaseImage {
    pub id: String,
    pub config: ImageConfig,
    /// Lowest first, one for each of the config's diff IDs.
    pub layers: Vec<Layer>,
    pub repo_digests: Vec<String>,
}

/// A layer to be loaded: its tar comes as a stream whose length is known beforehand,
/// because the archive that carries it is itself a tar.
pub struct NewLayer {
    /// In bytes, of the uncompressed tar.
    pub size: u64,
    pub content: BoxStream<'static, std::io::Result<Bytes>>,
}

/// Makes an image config for layers, lowest first.
pub type MakeConfig = Box<dyn FnOnce(&[Layer]) -> ImageConfig + Send>;

/// An image to be authored over layers that the engine already has.
pub struct LoadRequest {
    /// Layers the engine has, lowest first.
    pub below: Vec<Layer>,
    /// One more layer on top, if any. The engine's answer names it.
    pub new_layer: Option<NewLayer>,
    /// Makes the image config, once the diff IDs are known (all of them, lowest first).
    pub config: MakeConfig,
    /// Names the image gets, `repository:tag`.
    pub tags: Vec<String>,
    /// Whether it takes names that other images have. Where it need not, a containerd store
    /// leaves them: taking one drops what the other image holds, under those who build upon it.
    pub take_names: bool,
}

/// What a load made.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub id: String,
    pub layers: Vec<Layer>,
    /// What names the image's manifest, in a store that keeps manifests.
    pub manifest: Option<Descriptor>,
}

/// The network of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NetworkMode {
    /// The engine's default bridge.
    Default,
    None,
    Host,
    /// Another container's network namespace, by id or name.
    Container(String),
    /// A network of the engine, by id or name.
    Named(String),
}

impl NetworkMode {
    /// As the API and `--network` spell it.
    pub fn as_api(&self) -> String {
        match self {
            Self::Default => "default".into(),
            Self::None => "none".into(),
            Self::Host => "host".into(),
            Self::Container(id) => format!("container:{id}"),
            Self::Named(name) => name.clone(),
        }
    }
}

/// A mount of the engine's own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    Volume {
        name: String,
        target: String,
        read_only: bool,
    },
    Tmpfs {
        target: String,
        size: Option<u64>,
        mode: Option<u32>,
    },
    /// A file that the engine itself keeps for another container, such as
    /// [`ContainerDetail::hosts_path`]; never one of ours.
    EngineFile { path: String, target: String },
}

/// Resource limits and security settings of a step's container; absent means the engine's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    pub memory: Option<i64>,
    pub memory_swap: Option<i64>,
    pub cpu_shares: Option<i64>,
    pub cpu_period: Option<i64>,
    pub cpu_quota: Option<i64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
    /// In bytes.
    pub shm_size: Option<i64>,
    /// `(name, soft, hard)`.
    pub ulimits: Vec<(String, i64, i64)>,
    pub cgroup_parent: Option<String>,
    pub security_opt: Vec<String>,
    pub privileged: bool,
    /// Capabilities besides the engine's default ones, `SYS_ADMIN`.
    pub capabilities: Vec<String>,
}

/// A container to create.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    pub name: String,
    /// An image ID or name.
    pub image: String,
    pub platform: Option<Platform>,
    pub entrypoint: Vec<String>,
    pub args: Vec<String>,
    /// `uid[:gid]`; empty is the image's own.
    pub user: String,
    pub working_dir: String,
    pub labels: BTreeMap<String, String>,
    /// Where it is another container's, that one's `/etc/hosts`, `/etc/hostname` and
    /// `/etc/resolv.conf` are there too, and cannot be written to.
    pub network: NetworkMode,
    /// Ignored where the network mode has no host name of its own (container, host).
    pub hostname: Option<String>,
    /// `host:ip`; refused by engines together with a container's network.
    pub extra_hosts: Vec<String>,
    pub mounts: Vec<Mount>,
    /// Whether standard input will be attached.
    pub stdin: bool,
    pub limits: Limits,
}

/// A container as a listing shows it.
#[derive(Debug, Clone)]
pub struct ContainerSummary {
    pub id: String,
    pub names: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub running: bool,
}

/// A container as an inspect call shows it: what joining its network needs.
#[derive(Debug, Clone)]
pub struct ContainerDetail {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub running: bool,
    pub status: String,
    /// As the engine stores it: `default`, `bridge`, `host`, `none`, `container:<id>` or a name.
    pub network_mode: String,
    pub hostname: String,
    pub ip_addresses: Vec<String>,
    /// Where the engine keeps its `/etc/hosts`, on the engine's machine; empty before it is
    /// started for the first time.
    pub hosts_path: String,
    pub oom_killed: bool,
    pub exit_code: i64,
    /// In seconds since 1970; 0 when the engine does not tell.
    pub created: i64,
}

/// Which of its two output streams a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The standard streams of a running container.
pub struct Attached {
    pub stdin: Pin<Box<dyn AsyncWrite + Send>>,
    /// Ends when the container has closed its outputs.
    pub output: BoxStream<'static, Result<(Stream, Bytes)>>,
}

/// A command in a running container.
#[derive(Debug, Clone)]
pub struct ExecSpec {
    pub args: Vec<String>,
    pub stdin: bool,
    /// The size of its terminal, columns and rows; without one it has pipes.
    pub tty: Option<(u16, u16)>,
}

/// A started command.
pub struct Exec {
    pub id: String,
    /// With a terminal, everything comes as standard output.
    pub streams: Attached,
}

/// What a path in a container's file system is, from the archive API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    pub name: String,
    /// Unix `st_mode`: type and permission bits.
    pub mode: u32,
    pub size: u64,
    /// Where a symbolic link points, resolved by the engine inside the container's root.
    pub link_target: String,
}

/// A step in a pull or a push, for progress.
#[derive(Debug, Clone)]
pub struct PullEvent {
    /// The layer or, empty, the image.
    pub id: String,
    pub status: String,
    /// Bytes done and in all.
    pub progress: Option<(u64, u64)>,
}

/// Receives the events of a pull or a push.
pub type OnPull<'a> = &'a (dyn Fn(PullEvent) + Send + Sync);

/// A volume as a listing shows it.
#[derive(Debug, Clone)]
pub struct VolumeSummary {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// Bytes on their way to the engine.
pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

/// A tar stream out of an engine.
pub type TarStream = Pin<Box<dyn AsyncRead + Send>>;

/// An engine that runs containers and keeps images.
///
/// Every method can be dropped in the middle; what it was making is then found by its name.
#[async_trait]
pub trait Engine: Send + Sync {
    fn info(&self) -> &EngineInfo;

    // ---- images

    /// Looks an image up by name or ID; `None` when the engine has none.
    async fn image(&self, name: &str) -> Result<Option<ImageSummary>>;
    /// The ID and the names of an image, by the cheapest question there is; `None` when the
    /// engine has none.
    async fn named(&self, name: &str) -> Result<Option<NamedImage>>;
    /// Reads what is needed to build on top of an image that the engine has. Where it has an
    /// index, the manifest for the platform is read, and none is [`EngineError::NotFound`]; an
    /// image for one platform only is read whatever that is.
    async fn base_image(&self, name: &str, platform: &Platform) -> Result<BaseImage>;
    /// Pulls an image, with the credentials of Docker's configuration.
    async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        on_pull: OnPull<'_>,
    ) -> Result<()>;
    /// Pushes a name of an image, with the credentials of Docker's configuration; gives the
    /// digest that the registry knows it by.
    async fn push(
        &self,
        reference: &Reference,
        on_push: OnPull<'_>,
    ) -> Result<crate::image::Digest>;
    /// A tar with the layers of an image, as `docker save` writes it.
    async fn save(&self, image: &str) -> Result<TarStream>;
    /// Authors an image: exactly this config over exactly these layers.
    async fn load(&self, request: LoadRequest) -> Result<Loaded>;
    /// Names an image `repository:tag`.
    async fn tag(&self, image: &str, name: &str) -> Result<()>;
    /// Removes a name, and the image with its last name, but not its untagged parents. Nothing
    /// happens when it is not there.
    async fn remove_image(&self, name: &str, force: bool) -> Result<()>;
    /// The names in a repository (`docker images REPOSITORY`), with IDs and labels; a listing
    /// knows no diff IDs.
    async fn images_of(&self, repository: &str) -> Result<Vec<ImageSummary>>;
    /// Images without any name that have a label, as [`Engine::images_of`] shows them.
    async fn untagged_images(&self, label: &str) -> Result<Vec<ImageSummary>>;
    /// The bytes of an image's layers, lowest first, by its history: for images that have a line
    /// of it for each layer.
    async fn layer_sizes(&self, image: &str) -> Result<Vec<u64>>;
    /// The layers of images that `load` or `commit` made, with blobs where the store has them.
    /// `known` holds the layers that are already known, lowest first.
    async fn layers(&self, image: &str, known: &[Layer]) -> Result<Vec<Layer>>;

    // ---- containers

    /// Creates a container, not started; gives its ID.
    async fn create(&self, spec: &ContainerSpec) -> Result<String>;
    /// Attaches to the standard streams of a container that is not yet started. Shutting its
    /// standard input down is what ends it.
    async fn attach(&self, container: &str) -> Result<Attached>;
    async fn start(&self, container: &str) -> Result<()>;
    /// Waits for the end of a started container; gives its exit code.
    async fn wait(&self, container: &str) -> Result<i64>;
    /// Commits a container's changes to a new untagged image and gives its ID. Its config is not
    /// to be trusted: engines merge the container's config into it.
    async fn commit(&self, container: &str) -> Result<String>;
    async fn inspect(&self, container: &str) -> Result<Option<ContainerDetail>>;
    /// Kills and removes a container with its anonymous volumes. Fine when it is gone.
    async fn remove(&self, container: &str) -> Result<()>;
    /// Containers with all these labels, running or not. An empty value matches any.
    async fn containers(&self, labels: &[(&str, &str)]) -> Result<Vec<ContainerSummary>>;
    /// Starts a command of root's in a running container.
    async fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Exec>;
    /// Sets the size of a command's terminal, columns and rows.
    async fn resize(&self, exec: &str, size: (u16, u16)) -> Result<()>;
    /// The exit status of a command that has ended.
    async fn exec_status(&self, exec: &str) -> Result<Option<i64>>;
    /// What `path` is in a container's file system; parents are followed, the last part is not.
    /// `None` when it is not there, or the container is not.
    async fn stat(&self, container: &str, path: &str) -> Result<Option<PathStat>>;
    /// A tar of `path` (recursive; its entries start with the base name).
    async fn read(&self, container: &str, path: &str) -> Result<TarStream>;
    /// Extracts a tar below `path`, which must be a directory.
    async fn write(&self, container: &str, path: &str, tar: Bytes) -> Result<()>;
    /// As [`write`](Self::write), while the tar is made.
    async fn write_stream(&self, container: &str, path: &str, tar: ByteStream) -> Result<()>;

    // ---- volumes

    /// Creates a named volume if there is none; `true` when it was made now. Two that do it at
    /// the same time may both be told so.
    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<bool>;
    async fn remove_volume(&self, name: &str) -> Result<()>;
    /// Volumes with all these labels. An empty value matches any.
    async fn volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<VolumeSummary>>;
    /// Network names or IDs that match `name`.
    async fn network(&self, name: &str) -> Result<Option<String>>;
}

/// How to reach an engine, decided by the command line and the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    Unix(PathBuf),
    /// `host:port`, with the folder of `ca.pem`, `cert.pem` and `key.pem` for TLS.
    Tcp {
        address: String,
        tls: Option<PathBuf>,
    },
}
