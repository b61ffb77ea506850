//! What a step does, as data: read by the executor, the cache, `plan` and `--explain` alike.

use serde::Serialize;

use super::{BaseIndex, ContextIndex, StageIndex};
use crate::request::address::GitUrl;

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
    /// A heredoc with its own interpreter.
    pub script: Option<Script>,
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
