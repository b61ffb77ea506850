//! Writes layers: deterministic tar archives, hashed on the way.
//!
//! The form is the one that Docker and containerd give layers themselves: ustar headers, PAX
//! records only for what these cannot hold (long or non-ASCII names, large sizes and ids,
//! times before 1970, extended attributes), no user names, whole seconds.

mod header;
mod pax;
pub(super) mod read;
mod sparse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::image::Digest;

use super::entry::{Entry, Kind, LinkId, Xattr};
use super::error::Error;
use super::path::{join, split};

const BLOCK: usize = 512;
/// What is collected before it is hashed and written.
const BUFFER: usize = 256 * 1024;
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Writes the tar of a layer in the order in which entries are given.
///
/// The caller keeps each directory before what is in it; a later entry of the same path
/// replaces an earlier one, but a directory leaves what is in it. Equal entries give equal
/// bytes. After an error the layer is unusable.
pub struct LayerWriter<W: Write> {
    out: W,
    hash: Option<Sha256>,
    buffer: Vec<u8>,
    written: u64,
    fractions: bool,
}

/// What a finished layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDigest {
    /// The SHA-256 of the uncompressed tar.
    pub diff_id: Digest,
    /// Of the tar, in bytes.
    pub size: u64,
}

/// Why a layer cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The content ended early or went on after the entry's size.
    #[error("`{path}` changed while the build read it")]
    Changed { path: String },
    #[error("cannot read `{path}`: {source}")]
    Read { path: String, source: io::Error },
    #[error("cannot write the layer: {0}")]
    Write(#[source] io::Error),
}

impl<W: Write> LayerWriter<W> {
    pub fn new(out: W) -> Self {
        let buffer = Vec::with_capacity(BUFFER);
        Self {
            out,
            hash: Some(Sha256::new()),
            buffer,
            written: 0,
            fractions: false,
        }
    }

    /// Writes without hashing, for whoever hashes what is written anyway; it is ended by
    /// [`end`](Self::end).
    #[must_use]
    pub fn unhashed(mut self) -> Self {
        self.hash = None;
        self
    }

    /// Writes times with their fractions of a second. Each entry with one grows by 1 KiB, and
    /// the layer is no longer what Docker would write of the same files.
    #[must_use]
    pub fn with_fractions(mut self) -> Self {
        self.fractions = true;
        self
    }

    /// Adds an entry without content: anything but a file, or an empty file.
    pub fn add(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        self.add_file(entry, xattrs, &mut io::empty())
    }

    /// Adds a file; `content` must give exactly [`Entry::size`] bytes. A name with `.wh.` is a
    /// deletion, which has none.
    pub fn add_file(
        &mut self,
        entry: &Entry,
        xattrs: &[Xattr],
        content: &mut dyn Read,
    ) -> Result<(), LayerError> {
        self.header(entry, xattrs)?;
        if entry.is_file() {
            self.content(entry, content)
        } else {
            Ok(())
        }
    }

    /// Counts a file as [`add_file`](Self::add_file) does, without its content: for a writer
    /// that only reckons a size, and whose digest means nothing.
    pub fn reserve_file(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        self.header(entry, xattrs)?;
        self.written += entry.size.next_multiple_of(BLOCK as u64);
        Ok(())
    }

    /// Removes `path` of the layers below.
    pub fn whiteout(&mut self, path: &str) -> Result<(), LayerError> {
        let (dir, name) = split(path);
        let path = join(dir, &format!("{WHITEOUT}{name}"));
        self.header(&Entry::new(path, Kind::File, 0), &[])
    }

    /// Hides everything that the layers below have in the directory `dir`; the directory's own
    /// entry comes first.
    pub fn opaque(&mut self, dir: &str) -> Result<(), LayerError> {
        self.header(&Entry::new(join(dir, OPAQUE), Kind::File, 0), &[])
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.written == 0 && self.buffer.is_empty()
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<(W, LayerDigest), LayerError> {
        self.close()?;
        let hash = self.hash.expect("what is not hashed is ended otherwise");
        let diff_id = Digest::from_sha256(&hash.finalize());
        let size = self.written;
        Ok((self.out, LayerDigest { diff_id, size }))
    }

    /// Ends the archive; gives its size.
    pub fn end(mut self) -> Result<(W, u64), LayerError> {
        self.close()?;
        Ok((self.out, self.written))
    }

    fn close(&mut self) -> Result<(), LayerError> {
        self.put(&[0; 2 * BLOCK])?;
        self.write_out()?;
        self.out.flush().map_err(LayerError::Write)
    }

    fn header(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        let bytes = header::encode(entry, xattrs, self.fractions);
        self.put(&bytes)
    }

    fn content(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), LayerError> {
        let changed = || LayerError::Changed {
            path: entry.path.clone(),
        };
        let failed = |error: io::Error| match error.downcast::<Error>() {
            Ok(Error::Changed { .. }) => changed(),
            Ok(error) => LayerError::Read {
                path: entry.path.clone(),
                source: io::Error::other(error),
            },
            Err(source) => LayerError::Read {
                path: entry.path.clone(),
                source,
            },
        };
        let mut left = entry.size;
        while left > 0 {
            if self.buffer.len() >= BUFFER {
                self.write_out()?;
            }
            let start = self.buffer.len();
            let room = (BUFFER - start).min(usize::try_from(left).unwrap_or(BUFFER));
            self.buffer.resize(start + room, 0);
            let got = read(content, &mut self.buffer[start..]);
            self.buffer
                .truncate(start + got.as_ref().copied().unwrap_or(0));
            match got.map_err(failed)? {
                0 => return Err(changed()),
                got => left -= got as u64,
            }
        }
        if read(content, &mut [0]).map_err(failed)? > 0 {
            return Err(changed());
        }
        self.put(&[0; BLOCK][..padding(entry.size)])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.write_out()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), LayerError> {
        if let Some(hash) = &mut self.hash {
            hash.update(&self.buffer);
        }
        self.out
            .write_all(&self.buffer)
            .map_err(LayerError::Write)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// What is missing to a whole block.
fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    (BLOCK - over) % BLOCK
}

fn read(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match content.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Remembers where the files with several names went, so that later names become hard links.
/// BuildKit does that within one [`Match`](super::Match): use a fresh one for each.
#[derive(Debug, Default)]
pub struct Links {
    earlier: HashMap<LinkId, String>,
}

impl Links {
    /// The destination that an earlier name of the same file has, or `None` and `dest` is
    /// remembered.
    pub fn earlier(&mut self, entry: &Entry, dest: &str) -> Option<String> {
        let id = entry.link?;
        if let Some(earlier) = self.earlier.get(&id) {
            return Some(earlier.clone());
        }
        self.earlier.insert(id, dest.to_owned());
        None
    }
}
