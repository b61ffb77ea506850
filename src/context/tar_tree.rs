//! A file tree read from a tar archive: a context that came on standard input, or files of an
//! image as an engine sends them. Contents are kept in an unnamed temporary file.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::entry::{Entry, Kind, LinkId, Mtime, Xattr};
use super::error::{Error, Result};
use super::one_file::Part;
use super::path::{inside, join, parents, split};
use super::tar::read::TarReader;
use super::tree::FileTree;

/// Files of one or more archives.
pub struct TarTree {
    place: String,
    contents: Arc<File>,
    end: u64,
    entries: HashMap<String, Arc<Entry>>,
    /// The names in each directory.
    names: HashMap<String, BTreeMap<Vec<u8>, String>>,
    xattrs: HashMap<String, Vec<Xattr>>,
    /// How many files have several names.
    links: u64,
}

impl TarTree {
    /// An empty tree that keeps contents in a temporary file in `scratch`; `place` is what
    /// messages call it.
    pub fn new(scratch: &Path, place: impl Into<String>) -> Result<Self> {
        let mut tree = Self {
            place: place.into(),
            contents: Arc::new(tempfile::tempfile_in(scratch)?),
            end: 0,
            entries: HashMap::new(),
            names: HashMap::new(),
            xattrs: HashMap::new(),
            links: 0,
        };
        tree.entries.insert(String::new(), Arc::new(implied("")));
        Ok(tree)
    }

    /// Reads an archive to its end. Entries keep their names, re-rooted below `under`
    /// (empty: the root) after the first `strip` parts are taken off; entries with no more
    /// parts than that are `under` itself. Later entries replace earlier ones.
    pub fn add(&mut self, archive: impl Read, strip: usize, under: &str) -> Result<()> {
        let mut archive = TarReader::new(BufReader::with_capacity(64 * 1024, archive));
        let place = |path: &str| {
            let path = inside(path);
            let rest = path.splitn(strip + 1, '/').nth(strip).unwrap_or_default();
            join(under, rest)
        };
        while let Some(header) = archive.next().map_err(Error::Archive)? {
            let mut entry = header.entry;
            entry.path = place(&entry.path);
            if header.unknown.is_some() {
                continue;
            }
            if let Kind::Hardlink(target) = &entry.kind {
                let target = place(target);
                self.link(&entry.path, &target);
                continue;
            }
            let kept = header.xattrs.into_iter();
            let kept = kept.filter(|(name, _)| is_carried(name)).collect();
            if entry.is_file() {
                self.store_file(entry, kept, &mut archive)?;
            } else {
                self.store(entry, kept);
            }
        }
        Ok(())
    }

    /// Adds a file with its content.
    pub(super) fn store_file(
        &mut self,
        mut entry: Entry,
        xattrs: Vec<Xattr>,
        content: &mut dyn Read,
    ) -> Result<()> {
        entry.origin.offset = self.end;
        self.keep(content, entry.size)?;
        self.store(entry, xattrs);
        Ok(())
    }

    /// Adds an entry, in place of what was there.
    pub(super) fn store(&mut self, entry: Entry, xattrs: Vec<Xattr>) {
        if xattrs.is_empty() {
            self.xattrs.remove(&entry.path);
        } else {
            self.xattrs.insert(entry.path.clone(), xattrs);
        }
        self.insert(entry);
    }

    /// Adds what is known without an archive, such as a link on the way.
    pub fn insert(&mut self, entry: Entry) {
        if let Some(old) = self.entries.get(&entry.path)
            && old.is_dir()
            && !entry.is_dir()
        {
            self.remove_below(&entry.path);
        }
        let path = entry.path.clone();
        for dir in parents(&path) {
            if !self.entries.get(dir).is_some_and(|entry| entry.is_dir()) {
                self.enter(implied(dir));
            }
        }
        self.enter(entry);
    }

    fn enter(&mut self, entry: Entry) {
        let (dir, name) = split(&entry.path);
        if !entry.path.is_empty() {
            let names = self.names.entry(dir.to_owned()).or_default();
            names.insert(super::name::to_bytes(name).into_owned(), entry.path.clone());
        }
        self.entries.insert(entry.path.clone(), Arc::new(entry));
    }

    /// Takes away what is at a path, and everything below.
    pub fn remove(&mut self, path: &str) {
        self.remove_below(path);
        self.entries.remove(path);
        self.xattrs.remove(path);
        let (dir, name) = split(path);
        if let Some(names) = self.names.get_mut(dir) {
            names.remove(&*super::name::to_bytes(name));
        }
    }

    fn remove_below(&mut self, dir: &str) {
        for path in self.names.remove(dir).unwrap_or_default().into_values() {
            self.remove_below(&path);
            self.entries.remove(&path);
            self.xattrs.remove(&path);
        }
    }

    /// Another name for a file; nothing when the file is not there.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        let Some(file) = self.entries.get(target).cloned() else {
            return;
        };
        let mut file = Entry::clone(&file);
        if !file.is_dir() && file.link.is_none() {
            self.links += 1;
            file.link = Some(LinkId {
                device: 0,
                inode: self.links,
            });
            self.entries
                .insert(target.to_owned(), Arc::new(file.clone()));
        }
        if let Some(xattrs) = self.xattrs.get(target).cloned() {
            self.xattrs.insert(path.to_owned(), xattrs);
        }
        path.clone_into(&mut file.path);
        self.insert(file);
    }

    fn keep(&mut self, content: &mut dyn Read, size: u64) -> Result<()> {
        let mut buffer = vec![0; 128 * 1024];
        let mut kept = 0;
        while kept < size {
            let got = match content.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                got => got.map_err(Error::Archive)?,
            };
            self.contents
                .write_all_at(&buffer[..got], self.end + kept)?;
            kept += got as u64;
        }
        self.end += kept;
        Ok(())
    }
}

impl FileTree for TarTree {
    fn place(&self) -> &str {
        &self.place
    }

    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        let real_parents =
            parents(path).all(|dir| self.entries.get(dir).is_some_and(|entry| entry.is_dir()));
        Ok(self.entries.get(path).filter(|_| real_parents).cloned())
    }

    fn list(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        if !self.lstat(dir)?.is_some_and(|entry| entry.is_dir()) {
            return Ok(Vec::new());
        }
        let names = self.names.get(dir).into_iter().flat_map(BTreeMap::values);
        Ok(names
            .filter_map(|path| self.entries.get(path).cloned())
            .collect())
    }

    fn xattrs(&self, entry: &Entry) -> Result<Vec<Xattr>> {
        Ok(self.xattrs.get(&entry.path).cloned().unwrap_or_default())
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        let contents = Arc::clone(&self.contents);
        Ok(Box::new(Part {
            content: contents,
            at: entry.origin.offset,
            left: entry.size,
        }))
    }
}

/// A directory that an archive does not hold but needs.
fn implied(path: &str) -> Entry {
    Entry {
        mtime: Mtime::default(),
        ..Entry::new(path, Kind::Dir, 0o755)
    }
}

/// Whether a layer carries this attribute of an image's file.
pub(super) fn is_carried(attribute: &str) -> bool {
    let kept = ["user.", "trusted."]
        .iter()
        .any(|prefix| attribute.starts_with(prefix));
    attribute == "security.capability" || kept && !attribute.starts_with("trusted.overlay.")
}

mod unpack;

#[cfg(test)]
mod tests;
