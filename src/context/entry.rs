//! One file as trees show it and as layers hold it.

/// A file, directory, link or device with its metadata.
///
/// The same type serves for what is found (a context, an image's files) and for what is
/// written: clone it, change `path`, `uid`, `gid` and `mode`, and give it to a
/// [`LayerWriter`](super::LayerWriter).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the tree's root, parts joined by `/`, no slash at either end; empty for
    /// the root itself. Bytes that are no UTF-8 are kept as [`name`](super::name) says.
    pub path: String,
    pub kind: Kind,
    /// Permission bits, up to `0o7777`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// In bytes; 0 for everything but files.
    pub size: u64,
    pub mtime: Mtime,
    /// Equal for the names of one file with several names; `None` for a file with one.
    pub link: Option<LinkId>,
    pub(super) origin: Origin,
}

/// What kind of file it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    File,
    Dir,
    /// With what it points to, as written.
    Symlink(String),
    /// Another name of the entry with this path. Only layers have it: a tree shows a file
    /// with [`Entry::link`] instead.
    Hardlink(String),
    Fifo,
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
}

/// A time of change; before 1970 the seconds are negative, the nanoseconds never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtime {
    pub secs: i64,
    pub nanos: u32,
}

/// The identity of a file with several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    pub device: u64,
    pub inode: u64,
}

/// An extended attribute: its name and its value.
pub type Xattr = (String, Vec<u8>);

/// Where the content of an entry is: for the tree that made it, and for nobody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Of a file in a directory.
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) ctime: Mtime,
    /// Of a file in an archive.
    pub(super) offset: u64,
}

impl Entry {
    /// An entry of `kind` that belongs to root, from 1970.
    pub fn new(path: impl Into<String>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Mtime::default(),
            link: None,
            origin: Origin::default(),
        }
    }

    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }

    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}
