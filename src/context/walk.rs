//! A context directory, listed only where a copy asks.
//!
//! What is found is kept for the whole build, so that all steps see the same files: the ones
//! that were hashed are the ones that are copied, or the copy fails with
//! [`Error::Changed`].

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rayon::prelude::*;

use super::entry::{Entry, Kind, LinkId, Mtime, Origin, Xattr};
use super::error::{Error, Result};
use super::ignore::{IgnoreRules, IgnoredBy, ParentState};
use super::name;
use super::path::{join, parents, split};
use super::tree::{FileTree, Stamp};

/// Directories with fewer files are not worth several threads.
const MANY: usize = 128;

/// The files of a context directory that are not ignored.
///
/// A directory is listed when something in it is asked for, once for the whole build.
/// Owners show as 0:0 and `security.*` attributes are left out, as BuildKit sees a local
/// context. A socket is an empty file.
pub struct Context {
    root: PathBuf,
    place: String,
    rules: IgnoreRules,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    directories: HashMap<String, Arc<[Arc<Entry>]>>,
    /// What was asked for by path in directories that were not listed.
    single: HashMap<String, Option<Arc<Entry>>>,
}

impl Context {
    /// The context in the directory `root`. Reads nothing but the directory's own metadata.
    pub fn open(root: &Path, rules: IgnoreRules) -> Result<Self> {
        let root = fs_err::canonicalize(root)?;
        if !fs_err::metadata(&root)?.is_dir() {
            let message = format!("`{}` is not a directory", root.display());
            return Err(io::Error::new(io::ErrorKind::NotADirectory, message).into());
        }
        let place = "build context".to_owned();
        Ok(Self {
            root,
            place,
            rules,
            known: RwLock::default(),
        })
    }

    /// With another name for messages than `build context`.
    #[must_use]
    pub fn called(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    /// Forgets what was listed: after [`Error::Changed`](super::Error::Changed), before
    /// trying again.
    pub fn forget(&self) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    fn real(&self, path: &str) -> PathBuf {
        self.root.join(OsStr::from_bytes(&name::to_bytes(path)))
    }

    fn known<T>(&self, look: impl FnOnce(&Known) -> Option<T>) -> Option<T> {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn learn<T>(&self, keep: impl FnOnce(&mut Known) -> T) -> T {
        keep(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the rules say of a directory to what is in it; whether it is looked into at all.
    fn judge(&self, dir: &str) -> (bool, ParentState) {
        let mut state = ParentState::default();
        if dir.is_empty() || self.rules.is_empty() {
            return (true, state);
        }
        for part in parents(dir).chain([dir]) {
            let (ignored, next) = self.rules.ignored(part, &state);
            state = next;
            if ignored && !self.rules.may_reinclude_below(part) {
                return (false, state);
            }
        }
        (true, state)
    }

    /// What is seen in a directory that is looked into.
    fn listing(&self, dir: &str, state: &ParentState) -> Result<Arc<[Arc<Entry>]>> {
        if let Some(known) = self.known(|known| known.directories.get(dir).cloned()) {
            return Ok(known);
        }
        let real = self.real(dir);
        let found: Vec<_> = match absent(fs_err::read_dir(&real))? {
            Some(reader) => reader.collect::<io::Result<_>>()?,
            None => Vec::new(),
        };
        let look = |found: &fs_err::DirEntry| self.look(dir, state, found).transpose();
        let entries: Result<Vec<_>> = if found.len() < MANY {
            found.iter().filter_map(look).collect()
        } else {
            found.par_iter().filter_map(look).collect()
        };
        let mut entries = entries?;
        entries.sort_unstable_by(|a, b| name::to_bytes(a.name()).cmp(&name::to_bytes(b.name())));
        let entries: Arc<[_]> = entries.into();
        // The first to come wins, so that everybody sees the same entries.
        Ok(self
            .learn(|known| Arc::clone(known.directories.entry(dir.to_owned()).or_insert(entries))))
    }

    /// What a directory entry is, if it is seen.
    fn look(
        &self,
        dir: &str,
        state: &ParentState,
        found: &fs_err::DirEntry,
    ) -> Result<Option<Arc<Entry>>> {
        let path = join(dir, &name::from_bytes(found.file_name().as_bytes()));
        let Some(file_type) = absent(found.file_type())? else {
            return Ok(None);
        };
        if !self.sees(&path, file_type.is_dir(), state)? {
            return Ok(None);
        }
        let Some(metadata) = absent(found.metadata())? else {
            return Ok(None);
        };
        self.entry(path, &metadata).map(|entry| entry.map(Arc::new))
    }

    /// Whether `path` is not ignored, or is a directory with something in it that is not.
    fn sees(&self, path: &str, is_dir: bool, parent: &ParentState) -> Result<bool> {
        if self.rules.is_empty() {
            return Ok(true);
        }
        if !is_dir {
            return Ok(!self.rules.ignored_leaf(path, parent));
        }
        let (ignored, state) = self.rules.ignored(path, parent);
        if !ignored {
            return Ok(true);
        }
        Ok(self.rules.may_reinclude_below(path)
            && match self.listing(path, &state) {
                Ok(listing) => !listing.is_empty(),
                // Docker leaves out what is ignored and not readable.
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => false,
                Err(error) => return Err(error),
            })
    }

    /// The entry with this metadata; `None` when it vanished meanwhile.
    fn entry(&self, path: String, metadata: &Metadata) -> Result<Option<Entry>> {
        let file_type = metadata.file_type();
        let kind = if file_type.is_dir() {
            Kind::Dir
        } else if file_type.is_symlink() {
            let Some(target) = absent(fs_err::read_link(self.real(&path)))? else {
                return Ok(None);
            };
            Kind::Symlink(name::from_bytes(target.as_os_str().as_bytes()))
        } else if file_type.is_fifo() {
            Kind::Fifo
        } else if file_type.is_char_device() || file_type.is_block_device() {
            let major = rustix::fs::major(metadata.rdev());
            let minor = rustix::fs::minor(metadata.rdev());
            if file_type.is_char_device() {
                Kind::Char { major, minor }
            } else {
                Kind::Block { major, minor }
            }
        } else {
            Kind::File
        };
        let (device, inode) = (metadata.dev(), metadata.ino());
        let linked = metadata.nlink() > 1 && kind == Kind::File;
        Ok(Some(Entry {
            size: if file_type.is_file() {
                metadata.len()
            } else {
                0
            },
            mode: metadata.mode() & 0o7777,
            mtime: mtime(metadata),
            link: linked.then_some(LinkId { device, inode }),
            origin: Origin {
                device,
                inode,
                ctime: ctime(metadata),
                offset: 0,
            },
            ..Entry::new(path, kind, 0)
        }))
    }

    fn single(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        let (parent, _) = split(path);
        // A link on the way is not gone through.
        if !parent.is_empty() && !self.lstat(parent)?.is_some_and(|entry| entry.is_dir()) {
            return Ok(None);
        }
        let (looked_into, state) = self.judge(parent);
        if !looked_into {
            return Ok(None);
        }
        let Some(metadata) = absent(fs_err::symlink_metadata(self.real(path)))? else {
            return Ok(None);
        };
        if !self.sees(path, metadata.is_dir(), &state)? {
            return Ok(None);
        }
        self.entry(path.to_owned(), &metadata)
            .map(|entry| entry.map(Arc::new))
    }

    fn collect(&self, dir: &str, state: &ParentState) -> Result<Vec<Arc<Entry>>> {
        let listing = self.listing(dir, state)?;
        let inside = |entry: &Arc<Entry>| match entry.kind {
            Kind::Dir if self.rules.is_empty() => self.collect(&entry.path, state),
            Kind::Dir => self.collect(&entry.path, &self.rules.ignored(&entry.path, state).1),
            _ => Ok(Vec::new()),
        };
        let directories: Vec<_> = listing.iter().filter(|entry| entry.is_dir()).collect();
        let below: Vec<Vec<_>> = directories
            .into_par_iter()
            .map(inside)
            .collect::<Result<_>>()?;
        let total = listing.len() + below.iter().map(Vec::len).sum::<usize>();
        let mut below = below.into_iter();
        let mut all = Vec::with_capacity(total);
        for entry in &*listing {
            all.push(Arc::clone(entry));
            if entry.is_dir() {
                all.extend(below.next().unwrap_or_default());
            }
        }
        Ok(all)
    }
}

impl FileTree for Context {
    fn place(&self) -> &str {
        &self.place
    }

    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        let (parent, own_name) = split(path);
        let in_listing = |listing: &Arc<[Arc<Entry>]>| {
            let own_name = name::to_bytes(own_name);
            let found =
                listing.binary_search_by(|entry| name::to_bytes(entry.name()).cmp(&own_name));
            found.ok().map(|at| Arc::clone(&listing[at]))
        };
        let known = self.known(|known| match known.directories.get(parent) {
            Some(listing) if !path.is_empty() => Some(in_listing(listing)),
            _ => known.single.get(path).cloned(),
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let entry = if path.is_empty() {
            let metadata = fs_err::metadata(&self.root)?;
            self.entry(String::new(), &metadata)?.map(Arc::new)
        } else {
            self.single(path)?
        };
        Ok(self.learn(|known| known.single.entry(path.to_owned()).or_insert(entry).clone()))
    }

    fn list(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        match self.lstat(dir)? {
            Some(entry) if entry.is_dir() => Ok(self.listing(dir, &self.judge(dir).1)?.to_vec()),
            _ => Ok(Vec::new()),
        }
    }

    fn below(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        match self.lstat(dir)? {
            Some(entry) if entry.is_dir() => self.collect(dir, &self.judge(dir).1),
            _ => Ok(Vec::new()),
        }
    }

    fn xattrs(&self, entry: &Entry) -> Result<Vec<Xattr>> {
        if !entry.is_file() && !entry.is_dir() {
            return Ok(Vec::new());
        }
        let path = self.real(&entry.path);
        let names = match xattr::list(&path) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(Vec::new()),
            Err(error) => return Err(gone(entry, error)),
        };
        let mut all = Vec::new();
        for attribute in names {
            let Some(text) = attribute.to_str().filter(|name| is_carried(name)) else {
                continue;
            };
            if let Some(value) =
                xattr::get(&path, &attribute).map_err(|error| gone(entry, error))?
            {
                all.push((text.to_owned(), value));
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        // Sockets too: they cannot be opened.
        if entry.size == 0 {
            return Ok(Box::new(io::empty()));
        }
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let mut options = fs_err::OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let path = self.real(&entry.path);
        let file = options
            .open(&path)
            .map_err(|error| match fs_err::symlink_metadata(&path) {
                Ok(now) if !now.is_file() => Error::Changed {
                    path: entry.path.clone(),
                },
                _ => gone(entry, error),
            })?;
        let reader = Unchanged {
            file,
            left: entry.size,
            entry: entry.clone(),
        };
        reader.check()?;
        Ok(Box::new(reader))
    }

    fn check(&self, entry: &Entry) -> Result<()> {
        let target = match &entry.kind {
            Kind::Symlink(target) => target.as_str(),
            _ => "",
        };
        if name::is_utf8(&entry.path) && name::is_utf8(target) {
            return Ok(());
        }
        let path = OsStr::from_bytes(&name::to_bytes(&entry.path)).to_owned();
        Err(Error::NotUtf8 { path: path.into() })
    }

    fn ignored_by(&self, path: &str) -> Option<IgnoredBy> {
        let by = self.rules.ignored_by(path)?;
        fs_err::symlink_metadata(self.real(path))
            .is_ok()
            .then_some(by)
    }

    fn stamp(&self, entry: &Entry) -> Option<Stamp> {
        if !entry.is_file() {
            return None;
        }
        let Origin {
            device,
            inode,
            ctime,
            ..
        } = entry.origin;
        let mut hasher = blake3::Hasher::new();
        let root = self.root.as_os_str().as_bytes();
        hasher
            .update(&(root.len() as u64).to_le_bytes())
            .update(root);
        for time in [entry.mtime, ctime] {
            hasher
                .update(&time.secs.to_le_bytes())
                .update(&time.nanos.to_le_bytes());
        }
        for number in [entry.size, device, inode] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(entry.path.as_bytes());
        let key = *hasher.finalize().as_bytes().first_chunk()?;
        Some(Stamp {
            key,
            changed: entry.mtime.max(ctime),
        })
    }
}

/// Gives the content of a file as long as it is the file that was listed.
struct Unchanged {
    file: fs_err::File,
    left: u64,
    entry: Entry,
}

impl Unchanged {
    fn check(&self) -> Result<()> {
        let now = self.file.metadata()?;
        let Origin { device, inode, .. } = self.entry.origin;
        let same = now.len() == self.entry.size
            && mtime(&now) == self.entry.mtime
            && (now.dev(), now.ino()) == (device, inode);
        let changed = || Error::Changed {
            path: self.entry.path.clone(),
        };
        if same { Ok(()) } else { Err(changed()) }
    }
}

impl Read for Unchanged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let got = self.file.read(&mut buffer[..wanted])?;
        self.left -= got as u64;
        if got == 0 || self.left == 0 {
            self.check().map_err(io::Error::other)?;
        }
        Ok(got)
    }
}

/// Whether a layer carries this attribute of a local file. `security.*` never leaves a client,
/// `trusted.overlay.*` would mean something to the engine's storage.
fn is_carried(attribute: &str) -> bool {
    let kept = attribute.starts_with("user.") || attribute.starts_with("trusted.");
    kept && !attribute.starts_with("trusted.overlay.")
}

/// `None` for what is not there (any more).
fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn gone(entry: &Entry, error: io::Error) -> Error {
    match absent(Err::<(), _>(error)) {
        Ok(_) => Error::Changed {
            path: entry.path.clone(),
        },
        Err(error) => Error::Io(error),
    }
}

fn mtime(metadata: &Metadata) -> Mtime {
    Mtime {
        secs: metadata.mtime(),
        nanos: nanos(metadata.mtime_nsec()),
    }
}

fn ctime(metadata: &Metadata) -> Mtime {
    Mtime {
        secs: metadata.ctime(),
        nanos: nanos(metadata.ctime_nsec()),
    }
}

fn nanos(nanos: i64) -> u32 {
    u32::try_from(nanos).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests;
