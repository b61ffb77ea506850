//! The file tree that sources of a copy are looked up in: a context, or an image's files.

use std::io::Read;
use std::sync::Arc;

use super::entry::{Entry, Kind, Mtime, Xattr};
use super::error::{Error, Result};
use super::ignore::IgnoredBy;
use super::path::{inside, join};

/// How many links a path may lead through, as in BuildKit.
const MAX_LINKS: usize = 255;

/// Files by path, links never followed.
///
/// Paths are as in [`Entry::path`]; a path whose parents are not all directories is nothing.
pub trait FileTree: Send + Sync {
    /// What the tree is called in messages, such as `build context`.
    fn place(&self) -> &str;

    /// What is at `path`; `None` when nothing is, or when it is ignored.
    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>>;

    /// What is in a directory, sorted by name; nothing when it is no directory.
    fn list(&self, dir: &str) -> Result<Vec<Arc<Entry>>>;

    /// Everything below a directory, each directory before what is in it, sorted by name in
    /// each directory.
    fn below(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        let mut all = Vec::new();
        for entry in self.list(dir)? {
            let is_dir = entry.is_dir();
            all.push(Arc::clone(&entry));
            if is_dir {
                all.extend(self.below(&entry.path)?);
            }
        }
        Ok(all)
    }

    /// The extended attributes that a layer carries, sorted by name.
    fn xattrs(&self, entry: &Entry) -> Result<Vec<Xattr>>;

    /// The content of a file. It gives exactly [`Entry::size`] bytes, or fails.
    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>>;

    /// Whether an entry may be copied at all: a context refuses names that are no UTF-8.
    fn check(&self, _entry: &Entry) -> Result<()> {
        Ok(())
    }

    /// The rule that hides `path`, for a hint.
    fn ignored_by(&self, _path: &str) -> Option<IgnoredBy> {
        None
    }

    /// What a [`StatCache`](super::StatCache) knows a file by; `None` when its digest is not
    /// worth remembering, or cannot be.
    fn stamp(&self, _entry: &Entry) -> Option<Stamp> {
        None
    }
}

/// A file at one moment: as long as it stays the same, so does the file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub(super) key: [u8; 16],
    /// When the file last changed.
    pub(super) changed: Mtime,
}

/// The path that `path` really is: every link in it followed, inside the root (`..` at the
/// root stays there). What does not exist stays as it is.
pub fn resolve(tree: &dyn FileTree, path: &str) -> Result<String> {
    let mut todo: Vec<String> = reversed(&inside(path));
    let mut done = String::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        let next = join(&done, &part);
        let entry = tree.lstat(&next)?;
        let Some(Kind::Symlink(target)) = entry.as_deref().map(|entry| &entry.kind) else {
            done = next;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(Error::TooManyLinks {
                path: path.to_owned(),
            });
        }
        let target = if target.starts_with('/') {
            inside(target)
        } else {
            inside(&join(&done, target))
        };
        todo.extend(reversed(&target));
        done.clear();
    }
    Ok(done)
}

fn reversed(path: &str) -> Vec<String> {
    path.rsplit('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
