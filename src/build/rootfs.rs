//! The file system of a step's image, as far as a copy must know it: which directories are
//! there and whose they are, where links lead, who is in `/etc/passwd`.
//!
//! What a layer that bowline wrote holds is known without asking. The rest is read through a
//! container that is made from the image and never started, one for as many steps as possible.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use tokio::io::AsyncReadExt as _;
use tokio::sync::OnceCell;

use super::ledger::Ledger;
use super::probe;
use crate::context::{Kind, Mtime, Xattr};
use crate::engine::{Engine, EngineError, Result, TarStream};
use crate::plan::clean;

/// How many links a path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) kind: MetaKind,
    /// Permission bits up to 07777.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Mtime,
    pub(super) xattrs: Vec<Xattr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MetaKind {
    Dir,
    File,
    Symlink(String),
    Other,
}

impl Meta {
    pub(super) fn is_dir(&self) -> bool {
        self.kind == MetaKind::Dir
    }

    /// A link to itself, or to others that lead back to it.
    fn circular(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        Self {
            kind: MetaKind::Symlink(name.to_owned()),
            mode: 0o777,
            uid: 0,
            gid: 0,
            mtime: Mtime::default(),
            xattrs: Vec::new(),
        }
    }
}

/// The file system after a step.
#[derive(Clone)]
pub(super) struct Rootfs {
    lower: Arc<Lower>,
    /// What layers that bowline wrote put over it, by absolute path.
    authored: Arc<BTreeMap<String, Meta>>,
    /// The image with those layers; equal to the lower one's when there are none.
    image: Option<String>,
}

/// An image and the container that shows its files.
struct Lower {
    engine: Arc<dyn Engine>,
    ledger: Arc<Ledger>,
    image: Option<String>,
    container: OnceCell<String>,
    /// Whether a command ran in the container: then the engine shows its own files in it.
    ran: bool,
    /// When the container was made, in seconds since 1970.
    created: OnceCell<i64>,
    known: Mutex<HashMap<String, Option<Meta>>>,
}

impl Rootfs {
    /// The files of an image; of nothing at all when there is no image.
    pub(super) fn of_image(
        engine: &Arc<dyn Engine>,
        ledger: &Arc<Ledger>,
        image: Option<String>,
    ) -> Self {
        let lower = Lower {
            engine: Arc::clone(engine),
            ledger: Arc::clone(ledger),
            image: image.clone(),
            container: OnceCell::new(),
            ran: false,
            created: OnceCell::new(),
            known: Mutex::new(HashMap::new()),
        };
        Self {
            lower: Arc::new(lower),
            authored: Arc::default(),
            image,
        }
    }

    /// The files of an image that a container was committed to; the container shows them.
    pub(super) fn of_container(
        engine: &Arc<dyn Engine>,
        ledger: &Arc<Ledger>,
        image: String,
        container: String,
    ) -> Self {
        let mut rootfs = Self::of_image(engine, ledger, Some(image));
        if let Some(lower) = Arc::get_mut(&mut rootfs.lower) {
            lower.container = OnceCell::new_with(Some(container));
            lower.ran = true;
        }
        rootfs
    }

    /// The files after a layer was put on top.
    #[must_use]
    pub(super) fn with_layer(&self, image: String, entries: BTreeMap<String, Meta>) -> Self {
        let mut authored = (*self.authored).clone();
        authored.extend(entries);
        Self {
            lower: Arc::clone(&self.lower),
            authored: Arc::new(authored),
            image: Some(image),
        }
    }

    /// Whether there is nothing at all yet.
    pub(super) fn is_scratch(&self) -> bool {
        self.image.is_none()
    }

    /// Remembers what a layer in the making puts at a path.
    pub(super) fn put(&mut self, path: &str, meta: Meta) {
        Arc::make_mut(&mut self.authored).insert(path.to_owned(), meta);
    }

    /// Whether [`Rootfs::lstat`] answers without asking the engine.
    pub(super) fn knows(&self, path: &str) -> bool {
        self.authored.contains_key(path) || self.lower.known().contains_key(path)
    }

    /// What `path` is, links in its parents not followed: ask [`Rootfs::resolve`] first.
    pub(super) async fn lstat(&self, path: &str) -> Result<Option<Meta>> {
        if let Some(meta) = self.authored.get(path) {
            return Ok(Some(meta.clone()));
        }
        self.lower.lstat(path).await
    }

    /// The path that `path` really is: every link in it followed, inside the root. The last
    /// part is followed too when `follow_last` says so. What does not exist stays as it is.
    pub(super) async fn resolve(&self, path: &str, follow_last: bool) -> Result<String> {
        self.foresee(path).await?;
        let mut todo: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        let mut done = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            let next = format!("{done}/{part}");
            let follow = follow_last || !todo.is_empty();
            let target = match self.lstat(&next).await? {
                Some(Meta {
                    kind: MetaKind::Symlink(target),
                    ..
                }) if follow => target,
                _ => {
                    done = next;
                    continue;
                }
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(EngineError::Local(format!(
                    "too many links on the way to `{path}`"
                )));
            }
            if target.starts_with('/') {
                done.clear();
            }
            todo.extend(parts(&target).rev().map(str::to_owned));
        }
        Ok(if done.is_empty() { "/".into() } else { done })
    }

    /// Asks for a path and all its parents at once, so that a walk down need not wait for each.
    pub(super) async fn foresee(&self, path: &str) -> Result<()> {
        let path = clean(path);
        let ends = path.match_indices('/').skip(1).map(|(at, _)| at);
        let mut asked = Vec::new();
        for end in ends.chain([path.len()]) {
            let prefix = &path[..end];
            if prefix.len() > 1 && !self.authored.contains_key(prefix) {
                asked.push(self.lower.lstat(prefix));
            }
        }
        let answers = join_all(asked).await;
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// The bytes of a file, links followed; `None` when it is not there or not a file.
    pub(super) async fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let real = self.resolve(path, true).await?;
        let fresh;
        let lower = if self.authored.contains_key(&real) {
            fresh = Self::of_image(&self.lower.engine, &self.lower.ledger, self.image.clone());
            &fresh.lower
        } else {
            &self.lower
        };
        let Some(tar) = lower.read(&real).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let mut limited = tar.take(MAX_FILE);
        limited
            .read_to_end(&mut bytes)
            .await
            .map_err(|e| broken(&e))?;
        let mut archive = tar::Archive::new(bytes.as_slice());
        let first = archive.entries().map_err(|e| broken(&e))?.next();
        let Some(entry) = first else { return Ok(None) };
        let mut entry = entry.map_err(|e| broken(&e))?;
        if !entry.header().entry_type().is_file() {
            return Ok(None);
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|e| broken(&e))?;
        Ok(Some(content))
    }

    /// What kind of file is at a path below the root, for the unpacking of archives.
    pub(super) async fn kind_at(&self, path: &str) -> Result<Option<Kind>> {
        let path = format!("/{}", path.trim_start_matches('/'));
        let found = self.lstat(&path).await?;
        Ok(found.map(|meta| match meta.kind {
            MetaKind::Dir => Kind::Dir,
            MetaKind::File => Kind::File,
            MetaKind::Symlink(target) => Kind::Symlink(target),
            MetaKind::Other => Kind::Fifo,
        }))
    }

    /// The files of this very image, in a container in which nothing ran.
    pub(super) fn plain(&self) -> Self {
        if self.authored.is_empty() && !self.lower.ran {
            return self.clone();
        }
        Self::of_image(&self.lower.engine, &self.lower.ledger, self.image.clone())
    }

    /// A tar of everything below `path`, of a [`plain`](Self::plain) one; [`Self::is_own`] says
    /// what of it is not the image's.
    pub(super) async fn read_tree(&self, path: &str) -> Result<Option<TarStream>> {
        self.lower.read(path).await
    }

    /// Whether a file of a [`plain`](Self::plain) one is the image's, and not made by the engine
    /// for the container.
    pub(super) async fn is_own(&self, path: &str, modified: i64) -> Result<bool> {
        self.lower.is_own(path, modified).await
    }

    /// Whether a directory with nothing of the image's in it is the image's all the same, of a
    /// [`plain`](Self::plain) one. Engines put files into an image's own `/dev` too, which then
    /// has another time; an image that has `/proc` or `/sys` is taken to have that too.
    pub(super) async fn is_own_directory(&self, path: &str, modified: i64) -> Result<bool> {
        if self.lower.is_older_than_container(modified).await? {
            return Ok(true);
        }
        if path != "/dev" {
            return Ok(false);
        }
        for other in ["/proc", "/sys"] {
            let time = self.lower.lstat(other).await?.map(|meta| meta.mtime.secs);
            if self
                .lower
                .is_older_than_container(time.unwrap_or(i64::MAX))
                .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The directories that engines make in the same way.
pub(super) const DIRECTORIES_MADE_BY_ENGINES: [&str; 4] = ["/dev", "/etc", "/proc", "/sys"];

/// What engines make in every container where the image has none of that name. Containers that
/// ran show other files there.
pub(super) const MADE_BY_ENGINES: [&str; 8] = [
    "/.dockerenv",
    "/dev/console",
    "/dev/pts",
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
];

/// The largest file that is read whole: `/etc/passwd` of a very large site.
const MAX_FILE: u64 = 16 << 20;

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
}

fn broken(error: &std::io::Error) -> EngineError {
    EngineError::Unexpected(format!(
        "the archive of a container's files cannot be read: {error}"
    ))
}

impl Lower {
    async fn container(&self, image: &str) -> Result<&String> {
        let create = || async {
            let spec = probe::spec(&self.ledger, image);
            self.ledger.create(&spec).await?;
            Ok(spec.name)
        };
        self.container.get_or_try_init(create).await
    }

    async fn is_own(&self, path: &str, modified: i64) -> Result<bool> {
        if self.ran || !MADE_BY_ENGINES.contains(&path) {
            return Ok(true);
        }
        self.is_older_than_container(modified).await
    }

    /// The image was there before the container.
    async fn is_older_than_container(&self, modified: i64) -> Result<bool> {
        let Some(image) = &self.image else {
            return Ok(true);
        };
        let container = self.container(image).await?;
        let ask = || async {
            let found = self.engine.inspect(container).await?;
            Ok::<_, EngineError>(found.map_or(i64::MAX, |found| found.created))
        };
        Ok(modified < *self.created.get_or_try_init(ask).await?)
    }

    async fn read(&self, path: &str) -> Result<Option<TarStream>> {
        let Some(image) = &self.image else {
            return Ok(None);
        };
        let container = self.container(image).await?;
        match self.engine.read(container, path).await {
            Ok(tar) => Ok(Some(tar)),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn lstat(&self, path: &str) -> Result<Option<Meta>> {
        if path == "/" {
            // The root itself never needs to be asked for.
            return Ok(Some(Meta {
                kind: MetaKind::Dir,
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime: Mtime::default(),
                xattrs: Vec::new(),
            }));
        }
        if let Some(known) = self.known().get(path) {
            return Ok(known.clone());
        }
        let meta = match self.read(path).await {
            Ok(Some(tar)) => probe::first_entry(tar).await?,
            Ok(None) => None,
            // The engine follows the link that it is asked for, and this one leads to itself.
            Err(EngineError::Api { message, .. }) if message.contains("too many links") => {
                Some(Meta::circular(path))
            }
            // Nothing can be below a file.
            Err(EngineError::Api { message, .. }) if message.contains("not a directory") => None,
            Err(error) => return Err(error),
        };
        let meta = match meta {
            Some(meta) if !self.is_own(path, meta.mtime.secs).await? => None,
            meta => meta,
        };
        self.known().insert(path.to_owned(), meta.clone());
        Ok(meta)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Meta>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lower {
    fn drop(&mut self) {
        if let Some(container) = self.container.get() {
            self.ledger.leave(container);
        }
    }
}
