//! One build, with every choice made and nothing looked up.
//!
//! The command line makes it from flags and the environment, skaffold's contract from its own
//! variables; below it no flag and no variable is read. Paths are as they were given, relative
//! ones to the current directory; whether anything is there is the reader's business.

pub mod address;
pub mod attest;
pub mod caches;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Limits;
use crate::image::{Platform, Reference};

/// What to build, from what, how, and where the result goes.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildRequest {
    pub context: ContextSource,
    pub dockerfile: DockerfileSource,
    /// Contexts by name, which stand before images and stages of that name.
    pub build_contexts: Vec<(String, NamedContext)>,
    /// The stage to build; the last one of the file when absent.
    pub target: Option<String>,
    /// With their values, each name once.
    pub build_args: Vec<(String, String)>,
    /// `SOURCE_DATE_EPOCH`: the time after which nothing in the result is, in seconds.
    pub epoch: Option<i64>,
    /// Each name once.
    pub labels: Vec<(String, String)>,
    /// The names of the result, each with a tag.
    pub tags: Vec<Reference>,
    /// For which platforms; the engine's own when empty.
    pub platforms: Vec<Platform>,
    /// The network of RUN steps that say nothing themselves.
    pub network: NetworkChoice,
    pub add_hosts: Vec<ExtraHost>,
    pub limits: Limits,
    /// What steps may do besides the usual.
    pub allow: Allow,
    pub secrets: Vec<Secret>,
    pub identity: Identity,
    pub ssh: Vec<SshAgent>,
    pub leak_guard: LeakGuard,
    /// Whether base images are looked up in their registry even when the engine has them.
    pub pull: bool,
    pub no_cache: bool,
    /// Stages that ignore the cache, in lower case.
    pub no_cache_filter: Vec<String>,
    /// Where the result goes, never empty.
    pub outputs: Vec<Output>,
    pub attest: attest::Attest,
    /// Caches outside the engine.
    pub caches: caches::Caches,
    /// How long a registry may be silent.
    pub patience: Duration,
    /// Whether it is told why each step ran that was not found in the cache.
    pub explain: bool,
    /// How many steps may run at once.
    pub parallel: usize,
    /// How many failed steps are kept to be opened later.
    pub keep_failed: usize,
    /// Whether `RUN` steps may share containers.
    pub share: bool,
    /// Through what URLs are fetched.
    pub proxies: Proxies,
    /// Where bowline keeps what it remembers between builds.
    pub cache_dir: PathBuf,
    /// Where files go that a build needs only while it runs.
    pub scratch_dir: PathBuf,
    pub report: Report,
}

/// The proxies for what bowline fetches itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    pub http: Option<String>,
    pub https: Option<String>,
    /// Hosts that are asked directly, with commas.
    pub exempt: Option<String>,
}

/// Where the files come from that COPY and ADD see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    Directory(PathBuf),
    /// Standard input: an archive, or a Dockerfile without any context. Its first bytes tell.
    Stdin,
    /// A repository with `#ref:subdirectory`.
    Git(String),
    /// An archive or a Dockerfile behind a URL.
    Url(String),
}

/// Where the Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileSource {
    /// `Dockerfile`, or else `dockerfile`, at the root of the context.
    InContext,
    /// In a remote context a path inside it, otherwise one of the machine.
    Path(PathBuf),
    Stdin,
    Url(String),
}

/// What the name of a build context stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    Directory(PathBuf),
    Git(String),
    Url(String),
    Image(Reference),
    /// A directory with an OCI layout, and which image in it.
    OciLayout {
        path: PathBuf,
        tag: Option<String>,
        digest: Option<String>,
    },
    /// Another stage.
    Target(String),
}

/// The network of RUN steps, before anything has been looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkChoice {
    /// The pod's or own container's when bowline runs in one on this engine, else the default.
    Auto,
    /// As [`Auto`](Self::Auto), but an error where there is none.
    Sandbox,
    Default,
    None,
    Host,
    /// A container's, by id, unique short id or name.
    Container(String),
    /// A network of the engine, by name or id.
    Named(String),
}

impl fmt::Display for NetworkChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Sandbox => "sandbox",
            Self::Default => "default",
            Self::None => "none",
            Self::Host => "host",
            Self::Container(name) => return write!(f, "container:{name}"),
            Self::Named(name) => name,
        })
    }
}

/// A line for `/etc/hosts` of RUN steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    pub name: String,
    /// An address without brackets, or `host-gateway`.
    pub address: String,
}

impl fmt::Display for ExtraHost {
    /// As the engine's API has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.address)
    }
}

/// `--allow`: what steps may do besides the usual, when they ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// `security.insecure`
    pub insecure: bool,
    /// `device`, for all, or `device=NAME`.
    pub devices: Vec<String>,
    pub all_devices: bool,
}

/// What happens when a step leaves a secret in its files or prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeakGuard {
    /// Nothing; nothing is looked for.
    Off,
    #[default]
    Warn,
    /// The build ends.
    Fail,
}

/// A secret that RUN steps may mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub id: String,
    pub source: SecretSource,
}

/// Where a secret's bytes are.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    Value(Vec<u8>),
}

impl fmt::Debug for SecretSource {
    /// Without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(…)"),
        }
    }
}

/// What carries an identity into RUN steps, besides the network.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub variables: Vec<(String, String)>,
    /// The variable that names the file in a step, and where the file is here.
    pub files: Vec<(String, PathBuf)>,
}

impl fmt::Debug for Identity {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = self.variables.iter().map(|(name, _)| name);
        let names: Vec<&String> = self
            .files
            .iter()
            .map(|(name, _)| name)
            .chain(variables)
            .collect();
        f.debug_tuple("Identity").field(&names).finish()
    }
}

/// An ssh agent that RUN steps may mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAgent {
    pub id: String,
    /// An agent's socket, or files of keys; never empty.
    pub paths: Vec<PathBuf>,
}

/// One place for the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub kind: OutputKind,
    /// The names the image gets there, each with a tag.
    pub names: Vec<Reference>,
    pub image: ImageOptions,
    /// Whether files go into a directory of their platform; by default where there are several.
    pub platform_split: Option<bool>,
    /// Whether a directory loses what the result does not have.
    pub delete: bool,
}

/// How an image is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageOptions {
    pub compression: Compression,
    pub compression_level: Option<i32>,
    /// Whether layers of another compression are compressed anew.
    pub force_compression: bool,
    /// OCI's media types, or Docker's; which, when nothing is said, is the output's business.
    pub oci_types: Option<bool>,
    /// Whether no file is younger than `SOURCE_DATE_EPOCH`.
    pub rewrite_timestamp: bool,
    /// Whether its registry may be spoken to without TLS.
    pub insecure: bool,
    pub annotations: Vec<Annotation>,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    Uncompressed,
    #[default]
    Gzip,
    Zstd,
}

/// A word about an image that is no part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub place: AnnotationPlace,
    /// Only for this platform.
    pub platform: Option<Platform>,
    pub key: String,
    pub value: String,
}

/// What an annotation stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationPlace {
    Manifest,
    ManifestDescriptor,
    Index,
    IndexDescriptor,
}

impl ImageOptions {
    /// The annotations of one place, whatever platform they name.
    pub fn annotations_of(
        &self,
        place: AnnotationPlace,
    ) -> std::collections::BTreeMap<String, String> {
        let annotations = self.annotations.iter();
        annotations
            .filter(|one| one.place == place)
            .map(|one| (one.key.clone(), one.value.clone()))
            .collect()
    }

    /// The annotations of one place, for one platform.
    pub fn annotations_for(
        &self,
        place: AnnotationPlace,
        platform: &Platform,
    ) -> std::collections::BTreeMap<String, String> {
        let annotations = self.annotations.iter();
        annotations
            .filter(|one| one.place == place)
            .filter(|one| one.platform.as_ref().is_none_or(|only| only == platform))
            .map(|one| (one.key.clone(), one.value.clone()))
            .collect()
    }
}

/// What is written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputKind {
    /// The engine's images, under the request's tags.
    Engine,
    /// The engine's images and, with `push`, the tags' registries.
    Image {
        push: bool,
    },
    /// An archive for `docker load`.
    DockerArchive(Destination),
    /// An OCI layout, as an archive or a directory.
    Oci(Destination),
    OciDirectory(PathBuf),
    /// The files of the result, in a directory.
    Local(PathBuf),
    /// The files of the result, in an archive.
    Tar(Destination),
    /// Nowhere: the build only warms the cache.
    Nothing,
}

/// A file, or standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    File(PathBuf),
}

/// What the build tells, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub progress: ProgressMode,
    /// Whether colours are welcome: drawn on a terminal, passed on from the steps' output.
    pub color: bool,
    /// Whether the image's ID goes to standard output.
    pub print_id: bool,
    /// Whether bowline tells what it does itself.
    pub debug: bool,
    /// Whether it tells at the end where the time went.
    pub timing: bool,
    pub iidfile: Option<PathBuf>,
    pub metadata_file: Option<PathBuf>,
    /// How much of the provenance stands in the metadata file.
    pub metadata_provenance: Option<attest::Detail>,
    /// Where the logs of builds are kept; none is kept without.
    pub log_dir: Option<PathBuf>,
    /// A socket of the docker CLI that started this program as its plugin, as it names it
    /// (`@NAME`): when that closes, the CLI has gone.
    pub docker_cli: Option<String>,
}

/// How the build shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    Plain,
    Tty,
    RawJson,
    /// Nothing but errors.
    Quiet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_its_value() {
        let secret = Secret {
            id: "token".into(),
            source: SecretSource::Value(b"hunter2".to_vec()),
        };
        assert_eq!(
            format!("{secret:?}"),
            r#"Secret { id: "token", source: Value(…) }"#
        );
    }
}
