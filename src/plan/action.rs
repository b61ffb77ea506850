//! What a step does, as data: read by the executor, the cache, `plan` and `--explain` alike.

use serde::Serialize;

use super::{BaseIndex, ContextIndex, StageIndex};
use crate::dockerfile::mount::Sharing;
use crate::request::address::GitUrl;
use crate::source::Span;

/// What a step does. Serialised, it is part of the step's cache key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Run(Run),
    Copy(Copy),
    Workdir(Workdir),
}

/// A command in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The shell, if any, is already in it.
    pub argv: Vec<String>,
    /// All that the command sees: `ENV` and `ARG`.
    pub env: Vec<(String, String)>,
    /// The predefined proxy variables, which are seen but never count for the cache.
    #[serde(skip)]
    pub proxy: Vec<(String, String)>,
    pub cwd: String,
    /// As `USER` has it; empty is root.
    pub user: String,
    pub network: Network,
    pub insecure: bool,
    /// In the order in which they are made; of two on one target the later counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<RunMount>,
    /// Secrets as variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_env: Vec<Secret>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// A heredoc with its own interpreter.
    pub script: Option<Script>,
    /// What the machine is called, when not as BuildKit calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// `RUN --network=`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// What the build uses.
    Default,
    None,
    Host,
}

/// `RUN --mount=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunMount {
    /// Absolute and clean.
    pub target: String,
    pub read_only: bool,
    pub source: MountSource,
    #[serde(skip)]
    pub span: Span,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// Files; what they hold is among the step's inputs.
    Bind {
        #[serde(skip)]
        from: CopyFrom,
        /// Absolute and clean.
        #[serde(skip)]
        source: String,
    },
    Cache(CacheDir),
    /// A size of 0 is no limit.
    Tmpfs {
        size: i64,
    },
    Secret {
        secret: Secret,
        file: FileOf,
    },
    Agent {
        /// Empty for the default one.
        id: String,
        required: bool,
        file: FileOf,
    },
}

/// A directory that outlives the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheDir {
    /// With the namespace before it.
    #[serde(skip)]
    pub id: String,
    /// The ID, if it counts for the step's key.
    pub counted: Option<String>,
    #[serde(skip)]
    pub sharing: Sharing,
    /// Of the directory, when it is not the default or that of the files it begins with.
    pub owner: Option<FileOf>,
    /// Where the files are that it begins with, if any.
    #[serde(skip)]
    pub from: Option<CopyFrom>,
    #[serde(skip)]
    pub source: String,
}

/// Whose a file is, and its permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileOf {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

/// A secret that a step wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    pub id: String,
    /// The variable, if it becomes one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub required: bool,
    #[serde(skip)]
    pub span: Span,
}

/// `RUN --device=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    pub name: String,
    pub required: bool,
    #[serde(skip)]
    pub span: Span,
}

/// A file below `/dev/pipes` that exists for the time of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Script {
    pub name: String,
    pub body: String,
}

/// `WORKDIR`: a directory that is there afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workdir {
    /// Absolute, as stored in the config.
    pub path: String,
    /// Owns the directories that are made.
    pub user: String,
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// Whether it is `ADD`.
    pub add: bool,
    #[serde(skip)]
    pub from: CopyFrom,
    pub sources: Vec<CopySource>,
    /// Absolute; a slash at its end, or `/.`, means a directory.
    pub dest: String,
    pub chown: Option<String>,
    pub chmod: Option<Chmod>,
    /// The mode as it was written, for the history.
    #[serde(skip)]
    pub chmod_text: Option<String>,
    pub link: bool,
    pub parents: bool,
    pub excludes: Vec<String>,
    /// `ADD --checksum=`
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    /// `ADD --unpack=`: without it `ADD` unpacks archives that are no downloads.
    pub unpack: Option<bool>,
}

impl Copy {
    /// Whether an archive is unpacked.
    pub fn unpacks(&self, from_url: bool) -> bool {
        self.add && self.unpack.unwrap_or(!from_url)
    }
}

fn only_name<S: serde::Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::url_name(url))
}

impl Run {
    /// Where the files of its mounts are, and what of them.
    pub fn files(&self) -> impl Iterator<Item = (CopyFrom, &str)> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Bind { from, source } => Some((*from, source.as_str())),
            MountSource::Cache(cache) => cache.from.map(|from| (from, cache.source.as_str())),
            _ => None,
        })
    }
}

/// Where the sources of a copy are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyFrom {
    #[default]
    Context,
    Stage(StageIndex),
    Image(BaseIndex),
    /// Files that a named context brings.
    Named(ContextIndex),
    /// No files at all: a named context that is `scratch`.
    Nothing,
}

/// One source of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CopySource {
    /// A path or pattern in the build context, a stage or an image.
    Path(String),
    /// `http://` or `https://`. What counts is the name that the file gets, and its content.
    Url(#[serde(serialize_with = "only_name")] String),
    /// A repository. What counts is what is in it.
    Git {
        #[serde(skip)]
        text: String,
        #[serde(skip)]
        url: GitUrl,
    },
    Inline(Inline),
}

/// A file whose content stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inline {
    pub name: String,
    pub content: String,
}

/// `--chmod=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chmod {
    /// Permission bits up to 07777.
    Octal(u32),
    /// `u=rwX,go=rX`
    Symbolic(String),
}
