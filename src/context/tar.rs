//! Writes layers: deterministic tar archives, hashed on the way.
//!
//! The format is what Go's `archive/tar` writes for containerd and Docker: USTAR, with a PAX
//! header only for what USTAR cannot say. Modification times are cut to whole seconds, as
//! those engines cut them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};

use sha2::Digest as _;

use crate::image::Digest;

use super::entry::{Entry, Kind, LinkId, Xattr};
use super::name;

/// Writes the tar of a layer in the order in which entries are given.
///
/// The caller keeps each directory before what is in it. Equal entries give equal bytes.
pub struct LayerWriter<W: Write> {
    out: W,
    hasher: sha2::Sha256,
    size: u64,
    empty: bool,
    buffer: Vec<u8>,
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
    #[error("`{path}` changed while it was read")]
    Changed { path: String },
    /// A name that would delete instead of add: `.wh.…`. A layer cannot hold it as a file.
    #[error("`{path}` cannot be stored in a layer, where names with `.wh.` mean deletion")]
    Whiteout { path: String },
    #[error("cannot read `{path}`: {source}")]
    Read { path: String, source: io::Error },
    #[error("cannot write the layer: {0}")]
    Write(#[source] io::Error),
}

/// How much of a file is read at once.
const PIECE: usize = 256 << 10;
const BLOCK: usize = 512;

/// The largest numbers that the fields of a USTAR header hold.
const MAX_ID: u32 = 0o7_777_777;
const MAX_SIZE: u64 = 0o77_777_777_777;
const MAX_TIME: i64 = 0o77_777_777_777;
const MAX_NAME: usize = 100;

impl<W: Write> LayerWriter<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            hasher: sha2::Sha256::new(),
            size: 0,
            empty: true,
            buffer: Vec::new(),
        }
    }

    /// Adds an entry without content: anything but a file, or an empty file.
    pub fn add(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        self.header(entry, xattrs)
    }

    /// Adds a file; `content` must give exactly [`Entry::size`] bytes.
    pub fn add_file(
        &mut self,
        entry: &Entry,
        xattrs: &[Xattr],
        content: &mut dyn Read,
    ) -> Result<(), LayerError> {
        self.header(entry, xattrs)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(PIECE, 0);
        let copied = self.copy(entry, content, &mut buffer);
        self.buffer = buffer;
        copied?;
        self.pad(entry.size)
    }

    /// Counts a file as [`add_file`](Self::add_file) would, without its content: for a writer
    /// that only reckons a size, and whose digest means nothing.
    pub fn reserve_file(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        self.header(entry, xattrs)?;
        self.size += entry.size.next_multiple_of(BLOCK as u64);
        Ok(())
    }

    fn copy(
        &mut self,
        entry: &Entry,
        content: &mut dyn Read,
        buffer: &mut [u8],
    ) -> Result<(), LayerError> {
        let changed = || LayerError::Changed {
            path: entry.path.clone(),
        };
        let mut left = entry.size;
        loop {
            let read = match content.read(buffer) {
                Ok(0) if left == 0 => return Ok(()),
                Ok(0) => return Err(changed()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(LayerError::Read {
                        path: entry.path.clone(),
                        source,
                    });
                }
            };
            left = left.checked_sub(read as u64).ok_or_else(changed)?;
            self.put(&buffer[..read])?;
        }
    }

    /// Removes `path` of the layers below.
    pub fn whiteout(&mut self, path: &str) -> Result<(), LayerError> {
        let (dir, name) = path
            .rsplit_once('/')
            .map_or(("", path), |(dir, name)| (dir, name));
        let slash = if dir.is_empty() { "" } else { "/" };
        self.raw(
            &Entry::new(format!("{dir}{slash}.wh.{name}"), Kind::File, 0o644),
            &[],
        )
    }

    /// Hides everything that the layers below have in the directory `dir`; the directory's own
    /// entry comes first.
    pub fn opaque(&mut self, dir: &str) -> Result<(), LayerError> {
        let slash = if dir.is_empty() { "" } else { "/" };
        self.raw(
            &Entry::new(format!("{dir}{slash}.wh..wh..opq"), Kind::File, 0o644),
            &[],
        )
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<(W, LayerDigest), LayerError> {
        self.put(&[0; 2 * BLOCK])?;
        let digest = LayerDigest {
            diff_id: Digest::from_sha256(&self.hasher.finalize()),
            size: self.size,
        };
        Ok((self.out, digest))
    }

    fn header(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        if entry.name().starts_with(".wh.") {
            return Err(LayerError::Whiteout {
                path: entry.path.clone(),
            });
        }
        self.raw(entry, xattrs)
    }

    fn raw(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), LayerError> {
        self.empty = false;
        let mut path = name::to_bytes(&entry.path).into_owned();
        let mut link = Vec::new();
        let kind = match &entry.kind {
            Kind::File => tar::EntryType::Regular,
            Kind::Dir => {
                path.push(b'/');
                tar::EntryType::Directory
            }
            Kind::Symlink(target) => {
                link = name::to_bytes(target).into_owned();
                tar::EntryType::Symlink
            }
            Kind::Hardlink(target) => {
                link = name::to_bytes(target).into_owned();
                tar::EntryType::Link
            }
            Kind::Fifo => tar::EntryType::Fifo,
            Kind::Char { .. } => tar::EntryType::Char,
            Kind::Block { .. } => tar::EntryType::Block,
        };
        let mut pax = Pax::default();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(entry.mode & 0o7777);
        header.set_uid(u64::from(pax.number("uid", entry.uid, MAX_ID)));
        header.set_gid(u64::from(pax.number("gid", entry.gid, MAX_ID)));
        let size = if entry.is_file() { entry.size } else { 0 };
        header.set_size(if size > MAX_SIZE {
            pax.add("size", size.to_string().as_bytes())
        } else {
            size
        });
        let time = entry.mtime.secs;
        header.set_mtime(match u64::try_from(time) {
            Ok(plain) if time <= MAX_TIME => plain,
            _ => pax.add("mtime", time.to_string().as_bytes()),
        });
        if let Kind::Char { major, minor } | Kind::Block { major, minor } = entry.kind {
            for set in [
                header.set_device_major(major),
                header.set_device_minor(minor),
            ] {
                set.map_err(LayerError::Write)?;
            }
        }
        let fields = header.as_ustar_mut().expect("the header is a USTAR header");
        if path.len() > MAX_NAME || !path.is_ascii() {
            pax.add("path", &path);
        }
        if link.len() > MAX_NAME || !link.is_ascii() {
            pax.add("linkpath", &link);
        }
        put_text(&mut fields.name, &path);
        put_text(&mut fields.linkname, &link);
        for (name, value) in xattrs {
            pax.add(&format!("SCHILY.xattr.{name}"), value);
        }
        header.set_cksum();
        if !pax.records.is_empty() {
            self.pax(&path, &pax.sorted())?;
        }
        self.put(header.as_bytes())
    }

    fn pax(&mut self, path: &[u8], records: &[u8]) -> Result<(), LayerError> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(records.len() as u64);
        let base = path.strip_suffix(b"/").unwrap_or(path);
        let (dir, base) = match base.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (&base[..at], &base[at + 1..]),
            None => (&base[..0], base),
        };
        let parts: [&[u8]; 3] = [dir, b"PaxHeaders.0", base];
        let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let fields = header.as_ustar_mut().expect("the header is a USTAR header");
        put_text(&mut fields.name, &parts.join(&b'/'));
        header.set_cksum();
        self.put(header.as_bytes())?;
        self.put(records)?;
        self.pad(records.len() as u64)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.out.write_all(bytes).map_err(LayerError::Write)
    }

    fn pad(&mut self, size: u64) -> Result<(), LayerError> {
        let rest = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        if rest == 0 {
            Ok(())
        } else {
            self.put(&[0; BLOCK][rest..])
        }
    }
}

/// Puts as much as fits into a field; bytes that are no ASCII are left to the PAX header.
fn put_text(field: &mut [u8], text: &[u8]) {
    let plain = text.iter().copied().filter(u8::is_ascii);
    for (place, byte) in field.iter_mut().zip(plain) {
        *place = byte;
    }
}

/// The records of a PAX header.
#[derive(Default)]
struct Pax {
    records: Vec<(String, Vec<u8>)>,
}

impl Pax {
    /// Adds a record; gives the zero that stands in the plain header instead.
    fn add(&mut self, key: &str, value: &[u8]) -> u64 {
        self.records.push((key.to_owned(), value.to_vec()));
        0
    }

    fn number(&mut self, key: &str, number: u32, most: u32) -> u32 {
        if number > most {
            self.add(key, number.to_string().as_bytes());
            return 0;
        }
        number
    }

    fn sorted(mut self) -> Vec<u8> {
        self.records.sort();
        let mut bytes = Vec::new();
        for (key, value) in &self.records {
            // The length counts its own digits.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            let mut start = String::new();
            let _ = write!(start, "{length} {key}=");
            bytes.extend_from_slice(start.as_bytes());
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// Remembers where the files with several names went, so that later names become hard links.
/// BuildKit does that within one [`Match`](super::Match): use a fresh one for each.
#[derive(Debug, Default)]
pub struct Links {
    first: HashMap<LinkId, String>,
}

impl Links {
    /// The destination that an earlier name of the same file has, or `None` and `dest` is
    /// remembered.
    pub fn earlier(&mut self, entry: &Entry, dest: &str) -> Option<String> {
        let link = entry.link?;
        if let Some(first) = self.first.get(&link) {
            return Some(first.clone());
        }
        self.first.insert(link, dest.to_owned());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Mtime;

    #[test]
    fn the_tar_crate_reads_what_is_written() {
        let mut writer = LayerWriter::new(Vec::new());
        let long = "d/".repeat(80) + "ü";
        let mut file = Entry::new(long.as_str(), Kind::File, 0o4755);
        (file.size, file.uid, file.gid) = (3, 5_000_000, 7);
        file.mtime = Mtime {
            secs: -5,
            nanos: 900,
        };
        let xattr = ("security.capability".to_owned(), vec![1, 0, b'\n', 255]);
        writer
            .add(&Entry::new("d", Kind::Dir, 0o1777), &[])
            .unwrap();
        writer.add_file(&file, &[xattr], &mut &b"abc"[..]).unwrap();
        writer
            .add(&Entry::new("l", Kind::Symlink("x".repeat(200)), 0o777), &[])
            .unwrap();
        writer.whiteout("d/gone").unwrap();
        let (bytes, digest) = writer.finish().unwrap();
        assert_eq!(digest.size, bytes.len() as u64);
        assert_eq!(digest.diff_id, Digest::sha256(&bytes));
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            if path == long {
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                assert_eq!(content, "abc");
                assert_eq!(entry.header().uid().unwrap(), 5_000_000);
                assert_eq!(entry.header().mode().unwrap(), 0o4755);
                let pax = entry.pax_extensions().unwrap().unwrap();
                let pax: Vec<_> = pax.map(|p| p.unwrap().key().unwrap().to_owned()).collect();
                assert_eq!(
                    pax,
                    ["SCHILY.xattr.security.capability", "mtime", "path", "uid"]
                );
            }
            names.push(path);
        }
        assert_eq!(names, ["d/", &long, "l", "d/.wh.gone"]);
    }

    #[test]
    fn content_of_another_size_is_refused() {
        let mut file = Entry::new("f", Kind::File, 0o644);
        file.size = 2;
        for content in ["a", "abc"] {
            let added = LayerWriter::new(io::sink()).add_file(&file, &[], &mut content.as_bytes());
            assert!(
                matches!(added, Err(LayerError::Changed { .. })),
                "{content}"
            );
        }
        let file = Entry::new("d/.wh.x", Kind::File, 0o644);
        let added = LayerWriter::new(io::sink()).add(&file, &[]);
        assert!(matches!(added, Err(LayerError::Whiteout { .. })));
    }

    #[test]
    fn a_reserved_file_counts_like_an_added_one() {
        let mut file = Entry::new("f", Kind::File, 0o644);
        file.size = 1025;
        let mut added = LayerWriter::new(io::sink());
        added
            .add_file(&file, &[], &mut io::repeat(1).take(1025))
            .unwrap();
        let mut reserved = LayerWriter::new(io::sink());
        reserved.reserve_file(&file, &[]).unwrap();
        assert_eq!(
            added.finish().unwrap().1.size,
            reserved.finish().unwrap().1.size
        );
    }
}
