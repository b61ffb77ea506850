//! Where copied files go, by BuildKit's rules: what a destination means, whose modes and owners
//! win, what may replace what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::chmod;
use super::gather::Source;
use super::layer::Tree;
use crate::build::rootfs::{Meta, MetaKind, Rootfs};
use crate::context::archive::UnpackError;
use crate::context::{Entry, Kind, LinkId, Match, Mtime, Selected, Xattr};
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
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error("internal error: {0}")]
    Internal(String),
}

/// A layer in the making.
pub(in crate::build) struct Placement {
    /// The files as they are with this layer.
    pub(super) view: Rootfs,
    pub(super) files: BTreeMap<String, LayerFile>,
    /// Directories that this layer makes: nothing was below them before.
    pub(super) fresh: BTreeSet<String>,
    /// How many trees were put so far.
    pub(super) trees: usize,
    pub(super) owner: Option<(u32, u32)>,
    chmod: Option<Chmod>,
    /// The time of what has none of its own.
    pub(super) now: Mtime,
}

/// What stands in the layer at a path.
pub(super) struct LayerFile {
    pub(super) entry: Entry,
    pub(super) content: Content,
    /// The same for all names of one file.
    pub(super) names: Option<Names>,
}

/// A file with several names: the number of the copied tree, and the file in it. Two trees never
/// share a file, even if they are the same.
pub(super) type Names = (usize, LinkId);

/// Where the rest of a layer's file is.
pub(super) enum Content {
    None {
        xattrs: Vec<Xattr>,
    },
    Bytes(Bytes),
    /// With the entry as its tree knows it.
    Tree {
        tree: Tree,
        entry: Arc<Entry>,
    },
}

/// A layer that only has to be written.
pub(super) struct Placed {
    /// By absolute path; a directory comes before what is in it.
    pub(super) files: BTreeMap<String, LayerFile>,
}

impl Placed {
    /// What the layer puts where, for the steps after it.
    pub(super) fn metas(&self) -> BTreeMap<String, Meta> {
        let metas = self.files.iter();
        metas
            .map(|(path, file)| (path.clone(), Meta::of_entry(&file.entry)))
            .collect()
    }
}

impl Placement {
    pub(in crate::build) fn new(
        rootfs: &Rootfs,
        owner: Option<(u32, u32)>,
        chmod: Option<Chmod>,
    ) -> Self {
        let now = jiff::Timestamp::now();
        Self {
            view: rootfs.clone(),
            files: BTreeMap::new(),
            fresh: BTreeSet::new(),
            trees: 0,
            owner,
            chmod,
            now: Mtime {
                secs: now.as_second(),
                nanos: 0,
            },
        }
    }

    /// Puts one source at a destination, absolute and as it was written.
    pub(super) async fn put(
        &mut self,
        source: &Source,
        dest: &str,
        scratch: &Path,
    ) -> Result<(), PlaceError> {
        match source {
            Source::Inline { name, content } => {
                let mut entry = Entry::new("", Kind::File, 0o644);
                entry.size = content.len() as u64;
                entry.mtime = self.now;
                let target = self.file_target(name, dest).await?;
                self.set_file(&target, entry, Content::Bytes(content.clone()))
                    .await?;
                self.touch(parent_of(&target)).await
            }
            Source::Tree { tree, found } if found.root.is_dir() => {
                self.put_tree(tree, found, dest).await
            }
            Source::Tree { tree, found } => {
                let target = self.file_target(&found.name, dest).await?;
                let content = Content::Tree {
                    tree: tree.clone(),
                    entry: found.root.clone(),
                };
                self.set_file(&target, (*found.root).clone(), content)
                    .await?;
                self.touch(parent_of(&target)).await
            }
            Source::Archive {
                tree,
                found,
                compression,
            } => {
                let target = self.view.resolve(&clean(dest), true).await?;
                // A mode is for files, not for what is unpacked nor for where it goes.
                let chmod = self.chmod.take();
                let made = self.make_dirs(&target).await;
                self.chmod = chmod;
                made?;
                self.touch(&target).await?;
                let opened = tree.open(&found.root).map_err(UnpackError::keep)?;
                self.unpack(opened, *compression, &target, scratch).await
            }
        }
    }

    /// Makes a directory and what is missing above it, links on the way followed.
    pub(in crate::build) async fn make_directory(&mut self, path: &str) -> Result<(), PlaceError> {
        let real = self.view.resolve(path, true).await?;
        self.make_dirs(&real).await
    }

    /// Makes the directory that a destination needs, and gives the path it leads to:
    /// `/a/b` needs `/a`, `/a/b/` and `/a/b/.` need `/a/b`.
    async fn enter(&mut self, dest: &str) -> Result<String, PlaceError> {
        let (folder, last) = dest.rsplit_once('/').unwrap_or(("", dest));
        let needed = if last.is_empty() || last == "." {
            dest
        } else {
            folder
        };
        let needed = self.view.resolve(&clean(needed), true).await?;
        self.make_dirs(&needed).await?;
        Ok(self.view.resolve(&clean(dest), true).await?)
    }

    /// Where a file goes: to the destination, or into it when that is a directory.
    async fn file_target(&mut self, name: &str, dest: &str) -> Result<String, PlaceError> {
        let inside = join(&clean(dest), name);
        self.view.foresee(&inside).await?;
        let target = self.enter(dest).await?;
        let target = match self.lstat(&target).await? {
            Some(meta) if meta.is_dir() => join(&target, name),
            _ => target,
        };
        self.make_dirs(parent_of(&target)).await?;
        match self.lstat(&target).await? {
            Some(meta) if meta.is_dir() => Err(PlaceError::FileOverDirectory(target)),
            _ => Ok(target),
        }
    }

    async fn put_tree(&mut self, tree: &Tree, found: &Match, dest: &str) -> Result<(), PlaceError> {
        let target = self.enter(dest).await?;
        match self.lstat(&target).await? {
            None => self.make_dirs(&target).await?,
            Some(meta) if meta.is_dir() => {}
            Some(_) => return Err(PlaceError::DirectoryOverFile(target)),
        }
        self.foresee(found, &target).await?;
        self.trees += 1;
        for selected in &found.contents {
            self.put_selected(tree, selected, &target).await?;
        }
        // The destination keeps its mode and owner, and takes the source's time. The root of a
        // tree has none that a builder could know.
        let is_root = found.root.path.is_empty();
        let time = if is_root { self.now } else { found.root.mtime };
        self.set_time(&target, time).await
    }

    /// Something was put into a directory: it has changed now.
    pub(super) async fn touch(&mut self, dir: &str) -> Result<(), PlaceError> {
        self.set_time(dir, self.now).await
    }

    /// Gives a directory a time, and leaves the rest as it is.
    async fn set_time(&mut self, dir: &str, time: Mtime) -> Result<(), PlaceError> {
        if dir == "/" {
            return Ok(());
        }
        if let Some(file) = self.files.get_mut(dir) {
            file.entry.mtime = time;
        } else if let Some(meta) = self.lstat(dir).await? {
            let xattrs = meta.xattrs.clone();
            let mut entry = meta.to_entry();
            entry.mtime = time;
            self.set(dir, entry, Content::None { xattrs });
        }
        Ok(())
    }

    async fn put_selected(
        &mut self,
        tree: &Tree,
        selected: &Selected,
        target: &str,
    ) -> Result<(), PlaceError> {
        let path = join(target, selected.name());
        let source = &selected.entry;
        if selected.implied && self.lstat(&path).await?.is_some_and(|meta| meta.is_dir()) {
            return self.take_mode(&path, source.mode).await;
        }
        let mut entry = (**source).clone();
        if selected.implied {
            // Made first and filled later.
            entry.mtime = self.now;
        }
        let content = Content::Tree {
            tree: tree.clone(),
            entry: Arc::clone(source),
        };
        if entry.is_dir() {
            return self.set_dir(&path, entry, content).await;
        }
        let names = entry.link.filter(|_| entry.is_file());
        self.set_file(&path, entry, content).await?;
        if let Some(file) = self.files.get_mut(&path) {
            file.names = names.map(|id| (self.trees, id));
        }
        Ok(())
    }

    /// A directory that is there anyway takes the source's mode.
    async fn take_mode(&mut self, path: &str, mode: u32) -> Result<(), PlaceError> {
        if let Some(meta) = self.lstat(path).await? {
            let xattrs = meta.xattrs.clone();
            let mtime = self.now;
            let entry = Meta {
                mode,
                mtime,
                ..meta
            }
            .to_entry();
            self.set(path, entry, Content::None { xattrs });
        }
        Ok(())
    }

    /// Asks for everything that a tree's files may meet, many at a time.
    async fn foresee(&self, found: &Match, target: &str) -> Result<(), PlaceError> {
        if self.is_fresh(target) {
            return Ok(());
        }
        // Level by level: below what is not there nothing needs to be asked.
        let few = found.contents.len() <= FEW;
        let mut by_parent: HashMap<&str, Vec<&Selected>> = HashMap::new();
        for item in &found.contents {
            let parent = item
                .name()
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent);
            by_parent.entry(parent).or_default().push(item);
        }
        let mut level = vec![String::new()];
        while !level.is_empty() {
            let children = level
                .iter()
                .filter_map(|path| by_parent.get(path.as_str()))
                .flatten();
            let mut asked = Vec::new();
            for item in children.filter(|item| few || item.entry.is_dir()) {
                asked.push(self.descend(item, target).boxed());
            }
            let answers = futures::stream::iter(asked).buffer_unordered(16);
            let found: Vec<Option<String>> = answers.try_collect().await?;
            level = found.into_iter().flatten().collect();
        }
        Ok(())
    }

    /// The path of a directory that is at its destination already.
    async fn descend(&self, item: &Selected, target: &str) -> Result<Option<String>, EngineError> {
        let there = self.view.lstat(&join(target, item.name())).await?;
        let descend = item.entry.is_dir() && there.is_some_and(|meta| meta.is_dir());
        Ok(descend.then(|| item.name().to_owned()))
    }

    async fn set_dir(
        &mut self,
        path: &str,
        entry: Entry,
        content: Content,
    ) -> Result<(), PlaceError> {
        match self.lstat(path).await? {
            Some(meta) if meta.is_dir() => {}
            Some(_) => return Err(PlaceError::DirectoryOverFile(path.to_owned())),
            None => {
                self.fresh.insert(path.to_owned());
            }
        }
        let entry = self.changed(entry);
        self.set(path, entry, content);
        Ok(())
    }

    async fn set_file(
        &mut self,
        path: &str,
        entry: Entry,
        content: Content,
    ) -> Result<(), PlaceError> {
        // One file among very many is not worth a question each: whatever is there, the
        // layer's file replaces it.
        if self.knows(path) && self.lstat(path).await?.is_some_and(|meta| meta.is_dir()) {
            return Err(PlaceError::FileOverDirectory(path.to_owned()));
        }
        let entry = self.changed(entry);
        self.set(path, entry, content);
        Ok(())
    }

    /// The entry with `--chown` and `--chmod`. A block device becomes a character device, which is
    /// what BuildKit makes of one.
    fn changed(&self, mut entry: Entry) -> Entry {
        if let Kind::Block { major, minor } = entry.kind {
            entry.kind = Kind::Char { major, minor };
        }
        if let Some((uid, gid)) = self.owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        if !matches!(entry.kind, Kind::Symlink(_)) {
            match &self.chmod {
                Some(Chmod::Octal(mode)) => entry.mode = *mode,
                Some(Chmod::Symbolic(text)) => {
                    entry.mode = chmod::apply(text, entry.mode, entry.is_dir());
                }
                None => {}
            }
        }
        entry
    }

    /// Makes a directory and what is missing above it. The path has no links in it.
    async fn make_dirs(&mut self, path: &str) -> Result<(), PlaceError> {
        // Directories made on the way take an octal mode, less what the umask takes.
        let mode = match self.chmod {
            Some(Chmod::Octal(mode)) => mode & 0o777 & !0o022,
            _ => 0o755,
        };
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        let missing = self.missing_dirs(path).await?;
        if let Some(first) = missing.first() {
            self.touch(parent_of(first)).await?;
        }
        for path in missing {
            let mut entry = Entry::new("", Kind::Dir, mode);
            (entry.uid, entry.gid, entry.mtime) = (uid, gid, self.now);
            self.fresh.insert(path.clone());
            self.set(&path, entry, Content::None { xattrs: Vec::new() });
        }
        Ok(())
    }

    /// The directories that are missing on the way to `path`, itself included, parents first.
    async fn missing_dirs(&self, path: &str) -> Result<Vec<String>, PlaceError> {
        let mut missing = Vec::new();
        let mut path = path;
        while path != "/" {
            match self.lstat(path).await? {
                Some(meta) if meta.is_dir() => break,
                Some(_) => return Err(PlaceError::NotADirectory(path.to_owned())),
                None => missing.push(path.to_owned()),
            }
            path = parent_of(path);
        }
        missing.reverse();
        Ok(missing)
    }

    pub(super) fn set(&mut self, path: &str, mut entry: Entry, content: Content) {
        path.trim_start_matches('/').clone_into(&mut entry.path);
        self.view.put(path, Meta::of_entry(&entry));
        let file = LayerFile {
            entry,
            content,
            names: None,
        };
        self.files.insert(path.to_owned(), file);
    }

    pub(super) async fn lstat(&self, path: &str) -> Result<Option<Meta>, PlaceError> {
        if !self.files.contains_key(path) && self.is_fresh(path) {
            return Ok(None);
        }
        Ok(self.view.lstat(path).await?)
    }

    fn knows(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.is_fresh(path) || self.view.knows(path)
    }

    /// Whether the path is, or is in, a directory that this layer makes.
    fn is_fresh(&self, path: &str) -> bool {
        let mut path = path;
        while path != "/" {
            if self.fresh.contains(path) {
                return true;
            }
            path = parent_of(path);
        }
        false
    }

    /// The whole layer: what was put, and the directories above it as they are, so that an
    /// engine that unpacks the layer by itself gives those no other mode or owner.
    pub(super) async fn finish(mut self) -> Result<Placed, PlaceError> {
        let mut above = BTreeSet::new();
        for path in self.files.keys().map(String::as_str).map(parent_of) {
            let mut path = path;
            while path != "/" && !self.files.contains_key(path) && above.insert(path.to_owned()) {
                path = parent_of(path);
            }
        }
        for path in above {
            if let Some(meta) = self.view.lstat(&path).await? {
                let xattrs = meta.xattrs.clone();
                self.set(&path, meta.to_entry(), Content::None { xattrs });
            }
        }
        self.link_names();
        self.files = deletions(self.files);
        Ok(Placed { files: self.files })
    }
}

impl Placement {
    /// Of the names of one file the first in the layer carries the content, the others are links
    /// to it.
    fn link_names(&mut self) {
        let mut first: HashMap<Names, String> = HashMap::new();
        for (path, file) in &mut self.files {
            let Some(names) = file.names else { continue };
            if let Some(first) = first.get(&names) {
                let target = first.trim_start_matches('/').to_owned();
                file.entry.kind = Kind::Hardlink(target);
                file.entry.size = 0;
                file.content = Content::None { xattrs: Vec::new() };
            } else {
                first.insert(names, path.clone());
            }
        }
    }
}

/// What is named like a deletion is one in every layer: nothing of it can be kept.
fn deletions(files: BTreeMap<String, LayerFile>) -> BTreeMap<String, LayerFile> {
    let is_deletion = |path: &str| path.contains("/.wh.");
    if !files.keys().any(|path| is_deletion(path)) {
        return files;
    }
    let mut kept = BTreeMap::new();
    for (path, mut file) in files {
        if is_deletion(parent_of(&path)) {
            continue;
        }
        if is_deletion(&path) {
            file.entry.kind = Kind::File;
            file.entry.size = 0;
            file.content = Content::None { xattrs: Vec::new() };
        }
        kept.insert(path, file);
    }
    kept
}

/// Below this number every file of a tree is looked up at its destination.
const FEW: usize = 256;

pub(super) fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        (folder, "") => folder.to_owned(),
        ("/", name) => format!("/{name}"),
        (folder, name) => format!("{folder}/{name}"),
    }
}

impl Meta {
    fn of_entry(entry: &Entry) -> Self {
        let kind = match &entry.kind {
            Kind::Dir => MetaKind::Dir,
            Kind::File | Kind::Hardlink(_) => MetaKind::File,
            Kind::Symlink(target) => MetaKind::Symlink(target.clone()),
            Kind::Fifo | Kind::Char { .. } | Kind::Block { .. } => MetaKind::Other,
        };
        Self {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: Vec::new(),
        }
    }

    /// As a layer's entry; only directories are ever needed.
    fn to_entry(&self) -> Entry {
        let mut entry = Entry::new("", Kind::Dir, self.mode);
        (entry.uid, entry.gid, entry.mtime) = (self.uid, self.gid, self.mtime);
        entry
    }
}
