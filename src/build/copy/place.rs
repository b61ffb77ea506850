//! Where copied files go, by BuildKit's rules: what a destination means, whose modes and owners
//! win, what may replace what.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt as _, TryStreamExt as _};

use super::chmod;
use super::item::{Content, Item, Root};
use crate::build::rootfs::{Meta, MetaKind, Rootfs};
use crate::engine::EngineError;
use crate::plan::{Chmod, clean};

/// Why files cannot go where they should.
#[derive(Debug, thiserror::Error)]
pub(in crate::build) enum PlaceError {
    #[error("{0}")]
    Engine(#[from] EngineError),
    #[error("cannot replace the directory `{0}` with a file")]
    FileOverDirectory(String),
    #[error("cannot copy a directory over `{0}`, which is not a directory")]
    DirectoryOverFile(String),
    #[error("`{0}` is not a directory")]
    NotADirectory(String),
}

/// A layer in the making.
pub(in crate::build) struct Placement {
    /// The files as they are with this layer.
    view: Rootfs,
    entries: BTreeMap<String, Entry>,
    /// Directories that this layer makes: nothing was below them before.
    fresh: Vec<String>,
    owner: Option<(u64, u64)>,
    chmod: Option<Chmod>,
    /// The time of what has none of its own.
    now: i64,
}

/// What stands in the layer at a path.
#[derive(Debug, Clone)]
pub(in crate::build) struct Entry {
    pub(in crate::build) meta: Meta,
    pub(in crate::build) content: Content,
}

impl Placement {
    pub(in crate::build) fn new(
        rootfs: &Rootfs,
        owner: Option<(u64, u64)>,
        chmod: Option<Chmod>,
        now: i64,
    ) -> Self {
        Self {
            view: rootfs.clone(),
            entries: BTreeMap::new(),
            fresh: Vec::new(),
            owner,
            chmod,
            now,
        }
    }

    /// Puts one source at a destination, absolute and as it was written.
    pub(in crate::build) async fn put(&mut self, root: &Root, dest: &str) -> Result<(), PlaceError> {
        let Some(first) = root.items.first() else {
            return Ok(());
        };
        // `/a/b` needs `/a`; `/a/b/` and `/a/b/.` need `/a/b`.
        let (folder, last) = dest.rsplit_once('/').unwrap_or(("", dest));
        let needed = if last.is_empty() || last == "." { dest } else { folder };
        let needed = self.view.resolve(&clean(needed), true).await?;
        self.make_dirs(&needed).await?;
        let target = self.view.resolve(&clean(dest), true).await?;
        let there = self.lstat(&target).await?;
        for parent in &root.parents {
            self.put_item(&format!("{target}/{}", parent.path), parent, false).await?;
        }
        if first.meta.is_dir() {
            self.put_tree(root, &target, there).await
        } else {
            let target = match there {
                Some(meta) if meta.is_dir() => join(&target, &root.name),
                _ => target,
            };
            self.make_dirs(parent_of(&target)).await?;
            self.put_item(&target, first, false).await
        }
    }

    async fn put_tree(
        &mut self,
        root: &Root,
        target: &str,
        there: Option<Meta>,
    ) -> Result<(), PlaceError> {
        let top = &root.items[0];
        match there {
            None => self.make_dirs(target).await?,
            Some(meta) if meta.is_dir() => {}
            Some(_) => return Err(PlaceError::DirectoryOverFile(target.to_owned())),
        }
        // The destination keeps its mode and owner, and takes the source's time.
        if target != "/"
            && let Some(meta) = self.lstat(target).await?
        {
            self.set(target, Meta { mtime: top.meta.mtime, mtime_nanos: top.meta.mtime_nanos, ..meta }, Content::None);
        }
        self.foresee(root, target).await?;
        let mut first_of: HashMap<(u64, u64), String> = HashMap::new();
        for item in &root.items[1..] {
            let path = join(target, &item.path);
            let linked = item.identity.and_then(|identity| {
                let first = first_of.entry(identity).or_insert_with(|| path.clone());
                (*first != path).then(|| first.clone())
            });
            match linked {
                Some(first) => {
                    let content = Content::Link(first);
                    self.put_item(&path, &Item { content, ..item.clone() }, true).await?;
                }
                None => self.put_item(&path, item, true).await?,
            }
        }
        Ok(())
    }

    /// Asks for everything that the items of a tree may meet, many at a time.
    async fn foresee(&self, root: &Root, target: &str) -> Result<(), PlaceError> {
        if self.is_fresh(target) {
            return Ok(());
        }
        // Level by level: below what is not there nothing needs to be asked.
        let mut level: Vec<String> = vec![String::new()];
        let few = root.items.len() <= FEW;
        let mut by_parent: HashMap<&str, Vec<&Item>> = HashMap::new();
        for item in &root.items[1..] {
            let parent = item.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            by_parent.entry(parent).or_default().push(item);
        }
        while !level.is_empty() {
            let children = level.iter().filter_map(|path| by_parent.get(path.as_str())).flatten();
            let asked: Vec<&&Item> = children.filter(|item| few || item.meta.is_dir()).collect();
            let view = &self.view;
            let answers = futures::stream::iter(asked).map(|item| async move {
                let found = view.lstat(&join(target, &item.path)).await?;
                let descend = item.meta.is_dir() && found.is_some_and(|meta| meta.is_dir());
                Ok::<_, EngineError>(descend.then(|| item.path.clone()))
            });
            let found: Vec<Option<String>> = answers.buffer_unordered(16).try_collect().await?;
            level = found.into_iter().flatten().collect();
        }
        Ok(())
    }

    /// Puts one item at its final path; its parent is there.
    async fn put_item(&mut self, path: &str, item: &Item, in_tree: bool) -> Result<(), PlaceError> {
        let there = if in_tree && !item.meta.is_dir() && !self.knows(path) {
            // One file among very many: not worth a question each. A layer's file replaces
            // whatever is there.
            None
        } else {
            self.lstat(path).await?
        };
        match there {
            Some(meta) if meta.is_dir() && !item.meta.is_dir() => {
                return Err(PlaceError::FileOverDirectory(path.to_owned()));
            }
            Some(meta) if item.meta.is_dir() && !meta.is_dir() => {
                return Err(PlaceError::DirectoryOverFile(path.to_owned()));
            }
            None if item.meta.is_dir() => self.fresh.push(path.to_owned()),
            _ => {}
        }
        let meta = self.changed(&item.meta);
        self.set(path, meta, item.content.clone());
        Ok(())
    }

    /// The item's metadata with `--chown` and `--chmod`.
    fn changed(&self, meta: &Meta) -> Meta {
        let mut meta = meta.clone();
        if let Some((uid, gid)) = self.owner {
            (meta.uid, meta.gid) = (uid, gid);
        }
        if !matches!(meta.kind, MetaKind::Symlink(_)) {
            match &self.chmod {
                Some(Chmod::Octal(mode)) => meta.mode = *mode,
                Some(Chmod::Symbolic(text)) => {
                    meta.mode = chmod::apply(text, meta.mode, meta.is_dir());
                }
                None => {}
            }
        }
        meta
    }

    /// Makes a directory and what is missing above it. The path has no links in it.
    async fn make_dirs(&mut self, path: &str) -> Result<(), PlaceError> {
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        // Directories made on the way take an octal mode, less what the umask takes.
        let mode = match self.chmod {
            Some(Chmod::Octal(mode)) => mode & 0o777 & !0o022,
            _ => 0o755,
        };
        let made = Meta { mode, uid, gid, ..Meta::dir(self.now) };
        let missing = missing_dirs(&self.view, path).await?;
        for path in missing {
            self.fresh.push(path.clone());
            self.set(&path, made.clone(), Content::None);
        }
        Ok(())
    }

    fn set(&mut self, path: &str, meta: Meta, content: Content) {
        self.view.put(path, meta.clone());
        self.entries.insert(path.to_owned(), Entry { meta, content });
    }

    async fn lstat(&self, path: &str) -> Result<Option<Meta>, PlaceError> {
        if !self.entries.contains_key(path) && self.is_fresh(path) {
            return Ok(None);
        }
        Ok(self.view.lstat(path).await?)
    }

    fn knows(&self, path: &str) -> bool {
        self.entries.contains_key(path) || self.is_fresh(path) || self.view.knows(path)
    }

    /// Whether the path is in a directory that this layer makes.
    fn is_fresh(&self, path: &str) -> bool {
        self.fresh.iter().rev().any(|dir| {
            path == dir || path.strip_prefix(dir.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// The layer's entries: those that were put, and the directories above them as they are, so
    /// that an engine that unpacks the layer by itself gives those no other mode or owner.
    pub(in crate::build) async fn finish(self) -> Result<BTreeMap<String, Entry>, PlaceError> {
        let mut entries = self.entries;
        let mut above: Vec<String> = Vec::new();
        for path in entries.keys() {
            let mut parent = parent_of(path);
            while parent != "/" && !entries.contains_key(parent) {
                above.push(parent.to_owned());
                parent = parent_of(parent);
            }
        }
        above.sort();
        above.dedup();
        for path in above {
            if let Some(meta) = self.view.lstat(&path).await? {
                entries.insert(path, Entry { meta, content: Content::None });
            }
        }
        Ok(entries)
    }
}

/// Below this number every item of a tree is looked up at its destination.
const FEW: usize = 256;

/// The directories that are missing on the way to `path`, itself included, parents first.
pub(in crate::build) async fn missing_dirs(
    rootfs: &Rootfs,
    path: &str,
) -> Result<Vec<String>, PlaceError> {
    let mut missing = Vec::new();
    let mut path = path;
    while path != "/" {
        match rootfs.lstat(path).await? {
            Some(meta) if meta.is_dir() => break,
            Some(_) => return Err(PlaceError::NotADirectory(path.to_owned())),
            None => missing.push(path.to_owned()),
        }
        path = parent_of(path);
    }
    missing.reverse();
    Ok(missing)
}

pub(in crate::build) fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder == "/" { format!("/{name}") } else { format!("{folder}/{name}") }
}
