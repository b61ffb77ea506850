//! The content digest of what a copy selects: equal when the copy would do the same.
//!
//! Covered: names relative to the destination, kinds, modes, owners (a context directory shows
//! 0:0, see [`Context`](super::Context)), targets of links, device numbers, which names are the
//! same file, extended attributes, content. Not covered: modification times, and a matched
//! directory's own metadata, of which the copy takes nothing but the time.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::time::SystemTime;

use blake3::Hasher;
use rayon::prelude::*;

use super::entry::{Entry, Kind};
use super::error::{Error, Result};
use super::select::Match;
use super::stat_cache::StatCache;
use super::tree::FileTree;

/// How much of a file is read at once.
const CHUNK: usize = 256 * 1024;

/// A BLAKE3 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigest(pub [u8; 32]);

/// The digest of matches; their order counts. Files are read in parallel, large ones in
/// pieces. What `cache` remembers is not read.
pub fn digest(
    tree: &dyn FileTree,
    matches: &[Match],
    cache: Option<&StatCache>,
) -> Result<ContentDigest> {
    let mut whole = Hasher::new();
    for found in matches {
        let mut text = Record::default();
        text.text("match").text(&found.name);
        if !found.root.is_dir() {
            text.entry(&found.root, "", false, None);
            text.bytes(&content(tree, &found.root, cache)?);
        }
        let contents: Result<Vec<[u8; 32]>> = found
            .contents
            .par_iter()
            .map(|item| content(tree, &item.entry, cache))
            .collect();
        let mut links = HashMap::new();
        for (at, (item, content)) in found.contents.iter().zip(contents?).enumerate() {
            let earlier = item.entry.link.map(|id| *links.entry(id).or_insert(at));
            let earlier = earlier.filter(|&earlier| earlier != at);
            text.entry(&item.entry, item.name(), item.implied, earlier);
            text.bytes(&content);
            if text.0.len() > CHUNK {
                whole.update(&text.0);
                text.0.clear();
            }
        }
        text.text("end");
        whole.update(&text.0);
    }
    Ok(ContentDigest(*whole.finalize().as_bytes()))
}

/// Fields one after the other, so that no two lists of fields are the same bytes.
#[derive(Default)]
struct Record(Vec<u8>);

impl Record {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn entry(&mut self, entry: &Entry, name: &str, implied: bool, earlier: Option<usize>) {
        self.text(name).number(u64::from(implied));
        match &entry.kind {
            Kind::File => self.text("file").number(entry.size),
            Kind::Dir => self.text("directory"),
            Kind::Symlink(target) => self.text("link").text(target),
            Kind::Hardlink(target) => self.text("name").text(target),
            Kind::Fifo => self.text("pipe"),
            Kind::Char { major, minor } => self.text("characters").device(*major, *minor),
            Kind::Block { major, minor } => self.text("blocks").device(*major, *minor),
        };
        self.number(u64::from(entry.mode))
            .number(u64::from(entry.uid));
        self.number(u64::from(entry.gid));
        self.number(earlier.map_or(0, |at| at as u64 + 1));
    }

    fn device(&mut self, major: u32, minor: u32) -> &mut Self {
        self.number(u64::from(major)).number(u64::from(minor))
    }
}

/// The digest of an entry's content and extended attributes.
fn content(tree: &dyn FileTree, entry: &Entry, cache: Option<&StatCache>) -> Result<[u8; 32]> {
    let cached = cache.zip(tree.stamp(entry));
    if let Some((cache, stamp)) = cached
        && let Some(known) = cache.get(&stamp)
    {
        return Ok(known);
    }
    let started = SystemTime::now();
    let mut hasher = Hasher::new();
    if entry.is_file() && entry.size > 0 {
        read_into(&mut hasher, tree, entry)?;
    }
    let mut record = Record::default();
    for (name, value) in tree.xattrs(entry)? {
        record.text(&name).bytes(&value);
    }
    let mut both = Hasher::new();
    both.update(hasher.finalize().as_bytes()).update(&record.0);
    let digest = *both.finalize().as_bytes();
    if let Some((cache, stamp)) = cached {
        cache.put(&stamp, digest, started);
    }
    Ok(digest)
}

fn read_into(hasher: &mut Hasher, tree: &dyn FileTree, entry: &Entry) -> Result<()> {
    let mut content = tree.open(entry)?;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(entry.size).unwrap_or(CHUNK))];
    let mut total = 0;
    loop {
        let got = match content.read(&mut buffer) {
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.downcast::<Error>().unwrap_or_else(Error::Io)),
        };
        if got == 0 {
            break;
        }
        total += got as u64;
        hasher.update(&buffer[..got]);
    }
    if total == entry.size {
        Ok(())
    } else {
        Err(Error::Changed {
            path: entry.path.clone(),
        })
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
