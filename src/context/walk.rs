//! A context directory, listed only where a copy asks.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rayon::prelude::*;

use super::entry::{Entry, Kind, LinkId, Mtime, Origin, Xattr};
use super::error::{Error, Result};
use super::ignore::{IgnoreRules, IgnoredBy, ParentState};
use super::path::{inside, join, parents, split};
use super::tree::FileTree;

/// The files of a context directory that are not ignored.
///
/// A directory is listed when something in it is asked for, once for the whole build.
/// Owners show as 0:0, as BuildKit sees a local context. Sockets are left out.
pub struct Context {
    root: PathBuf,
    rules: IgnoreRules,
    place: String,
    lists: Mutex<HashMap<String, Arc<Vec<Arc<Entry>>>>>,
}

impl Context {
    /// The context in the directory `root`. Reads nothing but the directory's own metadata.
    pub fn open(root: &Path, rules: IgnoreRules) -> Result<Self> {
        let root = fs_err::canonicalize(root)?;
        fs_err::metadata(&root)?;
        Ok(Self {
            root,
            rules,
            place: "build context".to_owned(),
            lists: Mutex::default(),
        })
    }

    /// With another name for messages than `build context`.
    #[must_use]
    pub fn called(self, place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            ..self
        }
    }

    /// Forgets what was listed: after [`Error::Changed`](super::Error::Changed), before
    /// trying again.
    pub fn forget(&self) {
        self.lists().clear();
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Vec<Arc<Entry>>>>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the rules said of a directory and those above it.
    fn state_of(&self, dir: &str) -> ParentState {
        let mut state = ParentState::default();
        if !dir.is_empty() {
            for part in parents(dir).chain([dir]) {
                state = self.rules.ignored(part, &state).1;
            }
        }
        state
    }

    /// Whether an entry is part of the context, given the state of its directory.
    fn shows(&self, entry: &Entry, state: &ParentState) -> Result<bool> {
        if self.rules.is_empty() {
            return Ok(true);
        }
        if !entry.is_dir() {
            return Ok(!self.rules.ignored_leaf(&entry.path, state));
        }
        let (ignored, below) = self.rules.ignored(&entry.path, state);
        if !ignored {
            return Ok(true);
        }
        // An ignored directory is there when an exception brings back something in it.
        Ok(self.rules.may_reinclude_below(&entry.path) && self.shows_any(&entry.path, &below)?)
    }

    fn shows_any(&self, dir: &str, state: &ParentState) -> Result<bool> {
        for name in names(&self.root.join(dir))? {
            if let Some(entry) = self.entry(&join(dir, &name))?
                && self.shows(&entry, state)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The entry of a path, whether ignored or not.
    fn entry(&self, path: &str) -> Result<Option<Entry>> {
        let full = self.root.join(path);
        let meta = match fs_err::symlink_metadata(&full) {
            Ok(meta) => meta,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let kind = if meta.is_dir() {
            Kind::Dir
        } else if meta.is_file() {
            Kind::File
        } else if meta.is_symlink() {
            let target = fs_err::read_link(&full)?;
            let text = target.to_str().ok_or_else(|| Error::NotUtf8 {
                path: target.clone(),
            })?;
            Kind::Symlink(text.to_owned())
        } else if meta.file_type().is_fifo() {
            Kind::Fifo
        } else if meta.file_type().is_socket() {
            return Ok(None);
        } else {
            let (major, minor) = (
                rustix::fs::major(meta.rdev()),
                rustix::fs::minor(meta.rdev()),
            );
            if meta.file_type().is_char_device() {
                Kind::Char { major, minor }
            } else {
                Kind::Block { major, minor }
            }
        };
        let link = LinkId {
            device: meta.dev(),
            inode: meta.ino(),
        };
        Ok(Some(Entry {
            mode: meta.mode() & 0o7777,
            size: if kind == Kind::File { meta.size() } else { 0 },
            link: (kind == Kind::File && meta.nlink() > 1).then_some(link),
            mtime: time(meta.mtime(), meta.mtime_nsec()),
            origin: Origin {
                device: meta.dev(),
                inode: meta.ino(),
                ctime: time(meta.ctime(), meta.ctime_nsec()),
                offset: 0,
            },
            path: path.to_owned(),
            kind,
            uid: 0,
            gid: 0,
        }))
    }
}

fn time(secs: i64, nanos: i64) -> Mtime {
    Mtime {
        secs,
        nanos: u32::try_from(nanos).unwrap_or(0),
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        let name = entry?.file_name();
        match name.into_string() {
            Ok(name) => names.push(name),
            Err(name) => {
                return Err(Error::NotUtf8 {
                    path: dir.join(name),
                });
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

impl FileTree for Context {
    fn place(&self) -> &str {
        &self.place
    }

    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        let path = inside(path);
        let (dir, name) = split(&path);
        if let Some(list) = self.lists().get(dir) {
            return Ok(list.iter().find(|entry| entry.name() == name).cloned());
        }
        // A link on the way is nobody's directory.
        for parent in parents(&path) {
            if self.entry(parent)?.is_none_or(|entry| !entry.is_dir()) {
                return Ok(None);
            }
        }
        let Some(entry) = self.entry(&path)? else {
            return Ok(None);
        };
        let shown = path.is_empty() || self.shows(&entry, &self.state_of(dir))?;
        Ok(shown.then(|| Arc::new(entry)))
    }

    fn list(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        if let Some(list) = self.lists().get(dir) {
            return Ok(list.to_vec());
        }
        if self.entry(dir)?.is_none_or(|entry| !entry.is_dir()) {
            return Ok(Vec::new());
        }
        let state = self.state_of(dir);
        let mut list = Vec::new();
        for name in names(&self.root.join(dir))? {
            if let Some(entry) = self.entry(&join(dir, &name))?
                && self.shows(&entry, &state)?
            {
                list.push(Arc::new(entry));
            }
        }
        self.lists().insert(dir.to_owned(), Arc::new(list.clone()));
        Ok(list)
    }

    fn below(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        let parts: Result<Vec<Vec<Arc<Entry>>>> = self
            .list(dir)?
            .into_par_iter()
            .map(|entry| {
                let mut all = vec![Arc::clone(&entry)];
                if entry.is_dir() {
                    all.extend(self.below(&entry.path)?);
                }
                Ok(all)
            })
            .collect();
        Ok(parts?.into_iter().flatten().collect())
    }

    /// None: BuildKit gives the files of a local context none that a layer would carry.
    fn xattrs(&self, _entry: &Entry) -> Result<Vec<Xattr>> {
        Ok(Vec::new())
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        let changed = || Error::Changed {
            path: entry.path.clone(),
        };
        let file = fs_err::OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(self.root.join(&entry.path));
        let file = match file {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Err(changed()),
            Err(error) => return Err(error.into()),
        };
        let meta = file.metadata()?;
        let same = meta.ino() == entry.origin.inode
            && meta.size() == entry.size
            && time(meta.mtime(), meta.mtime_nsec()) == entry.mtime;
        if same {
            Ok(Box::new(file))
        } else {
            Err(changed())
        }
    }

    fn ignored_by(&self, path: &str) -> Option<IgnoredBy> {
        self.rules.ignored_by(&inside(path))
    }

    fn identity(&self, entry: &Entry) -> Option<[u8; 16]> {
        let mut hasher = blake3::Hasher::new();
        let full = self.root.join(&entry.path);
        hasher.update(full.as_os_str().as_encoded_bytes());
        let Origin {
            device,
            inode,
            ctime,
            ..
        } = entry.origin;
        for number in [device, inode, entry.size] {
            hasher.update(&number.to_le_bytes());
        }
        for time in [entry.mtime, ctime] {
            hasher.update(&time.secs.to_le_bytes());
            hasher.update(&time.nanos.to_le_bytes());
        }
        hasher.finalize().as_bytes()[..16].try_into().ok()
    }
}
