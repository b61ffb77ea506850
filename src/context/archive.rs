//! `ADD` of archives: recognises them by content and puts their entries into a layer.
//!
//! As BuildKit does: owners and modes stay unless `--chown`, an entry for `./` changes
//! nothing, an entry outside (`../x`) fails, hard links point inside the destination, links
//! on the way are followed inside the destination. Nothing is kept in memory but names.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use super::Xattr;
use super::entry::{Entry, Kind, Mtime};
use super::path::{clean, inside, join, split};
use super::tar::LayerError;
use super::tar::read::{Header, TarReader};
use super::tar_tree::is_carried;

/// The memory that an xz archive may make its decoder want.
const XZ_MEMORY: u64 = 256 << 20;
const MAX_LINKS: usize = 40;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    /// What the first bytes of a content say.
    pub(in crate::context) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // The magic number of a frame, or of one to skip.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    pub(in crate::context) fn open<'a>(
        self,
        content: impl Read + 'a,
    ) -> io::Result<Box<dyn Read + 'a>> {
        let content = BufReader::with_capacity(64 * 1024, content);
        Ok(match self {
            Self::None => return Ok(Box::new(content)),
            Self::Gzip => buffered(flate2::bufread::MultiGzDecoder::new(content)),
            Self::Bzip2 => buffered(bzip2::bufread::MultiBzDecoder::new(content)),
            Self::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
                buffered(liblzma::bufread::XzDecoder::new_stream(content, stream))
            }
            Self::Zstd => buffered(zstd::Decoder::with_buffer(content)?),
        })
    }
}

/// Headers are read by the block, which is slow without a buffer.
fn buffered<'a>(decoder: impl Read + 'a) -> Box<dyn Read + 'a> {
    Box::new(BufReader::with_capacity(64 * 1024, decoder))
}

/// Whether the content is an archive that `ADD` unpacks: it decodes, and holds at least one
/// valid entry. Errors of reading count as no.
pub fn detect(content: &mut dyn Read) -> Option<Compression> {
    let mut head = Vec::with_capacity(6);
    content.take(6).read_to_end(&mut head).ok()?;
    let compression = Compression::of(&head);
    let whole = head.chain(content);
    let mut archive = TarReader::new(compression.open(whole).ok()?);
    archive.next().ok()?.is_some().then_some(compression)
}

/// A content without its compression, if it has one.
pub fn decompressed<'a>(mut content: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(6);
    content.by_ref().take(6).read_to_end(&mut head)?;
    let compression = Compression::of(&head);
    compression.open(io::Cursor::new(head).chain(content))
}

/// Whether the first bytes of what came as a context say that it is an archive. An empty archive
/// says nothing, and counts as none.
pub fn is_archive(head: &[u8]) -> bool {
    Compression::of(head) != Compression::None || TarReader::<&[u8]>::is_header(head)
}

/// Where and how to unpack.
pub struct Unpack<'a> {
    /// The destination directory as in [`Entry::path`](super::Entry::path), links resolved;
    /// the caller adds it to the layer if the image lacks it.
    pub dest: &'a str,
    /// `--chown`, as uid and gid.
    pub owner: Option<(u32, u32)>,
    /// The time of directories that the archive only implies.
    pub implied_mtime: Mtime,
    /// What the image has at a path below the destination, links not followed.
    pub lookup: &'a mut dyn FnMut(&str) -> io::Result<Option<Kind>>,
}

/// Why an archive cannot be put into a layer.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("the archive is broken: {0}")]
    Broken(#[source] io::Error),
    #[error("the archive's entry `{path}` is outside of the destination")]
    Outside { path: String },
    /// A hard link to a file that the archive does not hold; if the image holds it, another
    /// way than a layer is needed.
    #[error("the archive's entry `{path}` is a hard link to `{target}`, which it does not hold")]
    LinkOutside { path: String, target: String },
    #[error("the archive's entry `{path}` is of the unknown type `{kind}`")]
    UnknownType { path: String, kind: char },
    #[error("the archive's entry `{path}` leads through something that is not a directory")]
    NotADirectory { path: String },
    #[error("cannot tell what is at `{path}`: {source}")]
    Lookup { path: String, source: io::Error },
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("the archive cannot be kept: {0}")]
    Keep(#[source] Box<super::Error>),
}

impl UnpackError {
    /// The archive cannot be read, or its files cannot be kept.
    pub fn keep(error: super::Error) -> Self {
        Self::Keep(Box::new(error))
    }
}

/// Takes what an archive holds.
pub trait Target {
    /// Anything but a file.
    fn add(&mut self, entry: &Entry, xattrs: &[Xattr]) -> Result<(), UnpackError>;
    fn add_file(
        &mut self,
        entry: &Entry,
        xattrs: &[Xattr],
        content: &mut dyn Read,
    ) -> Result<(), UnpackError>;
}

/// Gives the entries of an archive to a target, in the archive's order. After an error the
/// target is unusable.
pub fn unpack(
    content: &mut dyn Read,
    compression: Compression,
    options: Unpack<'_>,
    target: &mut dyn Target,
) -> Result<(), UnpackError> {
    let content = compression.open(content).map_err(UnpackError::Broken)?;
    let mut archive = TarReader::new(content);
    let mut unpacking = Unpacking {
        options,
        target,
        known: BTreeMap::new(),
    };
    while let Some(header) = archive.next().map_err(UnpackError::Broken)? {
        unpacking.entry(header, &mut archive)?;
    }
    Ok(())
}

/// What is at a path below the destination by now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// In a new one there is nothing of the image's.
    Dir {
        new: bool,
    },
    /// An own one is the archive's; hard links can point to it.
    Link {
        target: String,
        own: bool,
    },
    Other {
        own: bool,
    },
}

struct Unpacking<'a, 'b> {
    options: Unpack<'a>,
    target: &'b mut dyn Target,
    /// By path relative to the destination; `None` is nothing.
    known: BTreeMap<String, Option<Known>>,
}

impl Unpacking<'_, '_> {
    fn entry(&mut self, header: Header, content: &mut dyn Read) -> Result<(), UnpackError> {
        let Header {
            mut entry,
            xattrs,
            unknown,
        } = header;
        let written = std::mem::take(&mut entry.path);
        if leaves(&written) {
            return Err(UnpackError::Outside { path: written });
        }
        let path = inside(&written);
        if path.is_empty() {
            return Ok(());
        }
        if let Some(kind) = unknown {
            return Err(UnpackError::UnknownType { path, kind });
        }
        let (dir, name) = split(&path);
        let dir = self.directory(dir, &path)?;
        let place = join(&dir, name);
        // What was there goes away, unless two directories become one. Only then it matters
        // what it was: asking for each file would take long.
        let there = if entry.is_dir() {
            self.look(&place)?
        } else {
            None
        };
        let merged = matches!(there, Some(Known::Dir { .. }));
        if !merged {
            self.forget(&place);
        }
        if let Kind::Hardlink(target) = &entry.kind {
            let target = self.link_target(&path, target)?;
            entry.kind = Kind::Hardlink(join(self.options.dest, &target));
        }
        let known = match &entry.kind {
            Kind::Dir => Known::Dir {
                new: !matches!(there, Some(Known::Dir { new: false })),
            },
            Kind::Symlink(target) => Known::Link {
                target: target.clone(),
                own: true,
            },
            _ => Known::Other { own: true },
        };
        entry.path = join(self.options.dest, &place);
        if let Some((uid, gid)) = self.options.owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        entry.mtime = bounded(entry.mtime);
        let xattrs: Vec<_> = xattrs
            .into_iter()
            .filter(|(name, _)| is_carried(name))
            .collect();
        if entry.is_file() {
            // What the archive breaks off at is the archive's fault, not that of reading.
            let size = entry.size;
            let mut content = Archived {
                content,
                left: size,
                error: None,
            };
            let added = self.target.add_file(&entry, &xattrs, &mut content);
            if let Some(error) = content.error {
                return Err(UnpackError::Broken(error));
            }
            added?;
        } else {
            self.target.add(&entry, &xattrs)?;
        }
        self.known.insert(place, Some(known));
        Ok(())
    }

    /// The real directory at `path` below the destination, made where it is missing; `of` is
    /// the entry that needs it.
    fn directory(&mut self, path: &str, of: &str) -> Result<String, UnpackError> {
        let blocked = || UnpackError::NotADirectory {
            path: of.to_owned(),
        };
        let reversed = |path: &str| -> Vec<String> {
            path.rsplit('/')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let mut todo = reversed(path);
        let mut done = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let next = join(&done, &part);
            match self.look(&next)? {
                Some(Known::Dir { .. }) => done = next,
                Some(Known::Link { target, .. }) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(blocked());
                    }
                    let absolute = target.starts_with('/');
                    let target = if absolute {
                        target
                    } else {
                        join(&done, &target)
                    };
                    if !absolute && leaves(&target) {
                        return Err(UnpackError::Outside {
                            path: of.to_owned(),
                        });
                    }
                    todo.extend(reversed(&inside(&target)));
                    done.clear();
                }
                Some(Known::Other { .. }) => return Err(blocked()),
                None => {
                    let mut entry = Entry::new(join(self.options.dest, &next), Kind::Dir, 0o755);
                    entry.mtime = self.options.implied_mtime;
                    self.target.add(&entry, &[])?;
                    self.known
                        .insert(next.clone(), Some(Known::Dir { new: true }));
                    done = next;
                }
            }
        }
        Ok(done)
    }

    /// The path below the destination that a hard link points to.
    fn link_target(&mut self, path: &str, target: &str) -> Result<String, UnpackError> {
        let outside = || UnpackError::LinkOutside {
            path: path.to_owned(),
            target: target.to_owned(),
        };
        if leaves(target) {
            return Err(UnpackError::Outside {
                path: target.to_owned(),
            });
        }
        let cleaned = inside(target);
        let (dir, name) = split(&cleaned);
        // Directories on the way are not made for a target that is not there.
        let mut at = String::new();
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            at = join(&at, part);
            match self.look(&at)? {
                Some(Known::Dir { .. }) => {}
                Some(Known::Link { .. }) => at = self.directory(&at.clone(), path)?,
                _ => return Err(outside()),
            }
        }
        let place = join(&at, name);
        match self.known.get(&place) {
            Some(Some(Known::Other { own: true } | Known::Link { own: true, .. })) => Ok(place),
            _ => Err(outside()),
        }
    }

    fn look(&mut self, path: &str) -> Result<Option<Known>, UnpackError> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        if !path.is_empty()
            && let Some(Some(Known::Dir { new: true })) = self.known.get(split(path).0)
        {
            return Ok(None);
        }
        let full = join(self.options.dest, path);
        let found = (self.options.lookup)(&full)
            .map_err(|source| UnpackError::Lookup { path: full, source })?;
        let known = found.map(|kind| match kind {
            Kind::Dir => Known::Dir { new: false },
            Kind::Symlink(target) => Known::Link { target, own: false },
            _ => Known::Other { own: false },
        });
        self.known.insert(path.to_owned(), known.clone());
        Ok(known)
    }

    /// Nothing is at a path, nor below it, any more.
    fn forget(&mut self, path: &str) {
        let below = format!("{path}/");
        let after = format!("{path}0");
        let gone: Vec<String> = self
            .known
            .range(below..after)
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.known.insert(path, None);
        }
        self.known.insert(path.to_owned(), None);
    }
}

/// Docker takes times before 1970, and those after what nanoseconds in 64 bits can say, for 1970
/// when it unpacks.
fn bounded(time: Mtime) -> Mtime {
    const LAST: i64 = i64::MAX / 1_000_000_000;
    if (0..=LAST).contains(&time.secs) {
        time
    } else {
        Mtime::default()
    }
}

/// Whether a path goes out of the directory that it is relative to, at its end.
pub(in crate::context) fn leaves(path: &str) -> bool {
    let cleaned = clean(path.trim_start_matches('/'));
    cleaned == ".." || cleaned.starts_with("../")
}

/// The content of an entry, which tells errors of the archive from others.
struct Archived<'a> {
    content: &'a mut dyn Read,
    left: u64,
    error: Option<io::Error>,
}

impl Read for Archived<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        match self.content.read(buffer) {
            Ok(got) => {
                self.left -= got as u64;
                Ok(got)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let copy = io::Error::from(error.kind());
                self.error = Some(error);
                Err(copy)
            }
        }
    }
}
