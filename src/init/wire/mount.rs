//! The mounts of a request, which the program makes before the command and takes away after it.
//!
//! What an engine mounts on a path that the image lacks stays behind as a directory. So the
//! engine mounts below `/dev` only, at [`STAGE`], and the program binds from there.

/// Where the engine mounts the volume number `n` of a step: `STAGE/n`.
pub const STAGE: &str = "/dev/.bowline-mounts";

/// The directory of a volume's files that a [`Source::Volume`] shows.
pub const DATA: &str = "data";

/// Something that appears at a path for the time of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute; links are followed.
    pub target: Vec<u8>,
    pub read_only: bool,
    pub source: Source,
}

/// What appears there.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// An empty directory in memory; a size of 0 is no limit.
    Tmpfs { size: u64 },
    /// A file in memory.
    Secret(super::File),
    /// The entry [`DATA`] of the volume with this number, a directory or a file.
    Volume { number: u32 },
    /// A directory of the pool in the volume with this number.
    Cache(Cache),
    /// What is at a path already, such as a socket; links are not followed.
    Path(Vec<u8>),
}

/// A directory out of a pool of directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    pub number: u32,
    pub sharing: Sharing,
    /// Of a directory that is made.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// What a directory that is made holds: an entry of the volume that becomes it.
    pub seed: Vec<u8>,
    /// When not empty, the pool is emptied by the first step that brings this name.
    pub fresh: Vec<u8>,
}

/// Who may use a directory at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Everybody who shares too.
    Shared,
    /// One; others take another directory.
    Private,
    /// One; others wait.
    Locked,
}

impl std::fmt::Debug for Source {
    /// Without the content of a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tmpfs { size } => write!(f, "Tmpfs({size})"),
            Self::Secret(_) => f.write_str("Secret(…)"),
            Self::Volume { number } => write!(f, "Volume({number})"),
            Self::Cache(cache) => cache.fmt(f),
            Self::Path(path) => write!(f, "Path({})", String::from_utf8_lossy(path)),
        }
    }
}
