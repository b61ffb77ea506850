//! The content digest of what a copy selects: equal when the copy would do the same.
//!
//! Covered: names relative to the destination, kinds, modes, owners (a context directory shows
//! 0:0, see [`Context`](super::Context)), targets of links, device numbers, extended
//! attributes, content. Not covered: modification times, and the names of matched directories.

use std::fmt;
use std::io::Read;

use rayon::prelude::*;

use super::entry::{Entry, Kind};
use super::error::{Error, Result};
use super::select::Match;
use super::stat_cache::StatCache;
use super::tree::FileTree;

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
    let mut files: Vec<&Entry> = Vec::new();
    for found in matches {
        let contents = found.contents.iter().map(|selected| &*selected.entry);
        files.extend(
            contents
                .chain([&*found.root])
                .filter(|entry| entry.is_file()),
        );
    }
    let digests: Result<Vec<[u8; 32]>> = files
        .into_par_iter()
        .map(|entry| file_digest(tree, entry, cache))
        .collect();
    let mut digests = digests?.into_iter();
    let mut hasher = blake3::Hasher::new();
    for found in matches {
        let root = &found.root;
        hasher.update(b"match");
        for selected in &found.contents {
            let content = selected.entry.is_file().then(|| digests.next()).flatten();
            add(
                &mut hasher,
                tree,
                selected.name(),
                &selected.entry,
                selected.implied,
                content,
            )?;
        }
        if !root.is_dir() {
            let content = root.is_file().then(|| digests.next()).flatten();
            add(&mut hasher, tree, &found.name, root, false, content)?;
        }
    }
    Ok(ContentDigest(*hasher.finalize().as_bytes()))
}

fn add(
    hasher: &mut blake3::Hasher,
    tree: &dyn FileTree,
    name: &str,
    entry: &Entry,
    implied: bool,
    content: Option<[u8; 32]>,
) -> Result<()> {
    let (kind, detail) = match &entry.kind {
        Kind::File => ("file", String::new()),
        Kind::Dir => ("dir", String::new()),
        Kind::Symlink(target) => ("symlink", target.clone()),
        Kind::Hardlink(target) => ("hardlink", target.clone()),
        Kind::Fifo => ("fifo", String::new()),
        Kind::Char { major, minor } => ("char", format!("{major}:{minor}")),
        Kind::Block { major, minor } => ("block", format!("{major}:{minor}")),
    };
    let numbers = [entry.mode, entry.uid, entry.gid, u32::from(implied)];
    for text in [name, kind, &detail] {
        field(hasher, text.as_bytes());
    }
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    for (name, value) in tree.xattrs(entry)? {
        field(hasher, name.as_bytes());
        field(hasher, &value);
    }
    field(
        hasher,
        content.as_ref().map_or(&[], |content| content.as_slice()),
    );
    Ok(())
}

/// Bytes that cannot run into the next ones.
fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn file_digest(tree: &dyn FileTree, entry: &Entry, cache: Option<&StatCache>) -> Result<[u8; 32]> {
    let key = cache.and_then(|_| tree.identity(entry));
    if let (Some(cache), Some(key)) = (cache, key)
        && let Some(known) = cache.get(&key)
    {
        return Ok(known);
    }
    let mut content = tree.open(entry)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE.min(usize::try_from(entry.size).unwrap_or(PIECE).max(1))];
    let mut total = 0;
    loop {
        let read = fill(&mut content, &mut piece)?;
        if read == 0 {
            break;
        }
        total += read as u64;
        if read >= PARALLEL_FROM {
            hasher.update_rayon(&piece[..read]);
        } else {
            hasher.update(&piece[..read]);
        }
    }
    if total != entry.size {
        return Err(Error::Changed {
            path: entry.path.clone(),
        });
    }
    let digest = *hasher.finalize().as_bytes();
    if let (Some(cache), Some(key)) = (cache, key) {
        cache.put(entry, key, digest);
    }
    Ok(digest)
}

/// How much of a file is in memory at once, and from where on it is worth several threads.
const PIECE: usize = 4 << 20;
const PARALLEL_FROM: usize = 256 << 10;

/// Reads until the buffer is full or the content ends.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
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
