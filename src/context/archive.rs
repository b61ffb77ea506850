//! `ADD` of archives: recognises them by content and puts their entries into a layer.
//!
//! As BuildKit does: owners and modes stay unless `--chown`, an entry for `./` changes
//! nothing, an entry outside (`../x`) fails, hard links point inside the destination, links
//! on the way are followed inside the destination. Nothing is kept in memory but names.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use super::entry::{Entry, Kind, Mtime, Xattr};
use super::error::Error;
use super::name;
use super::path::{clean, join, parents, split};
use super::tar::{LayerError, LayerWriter};
use super::tar_tree;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// Whether the content is an archive that `ADD` unpacks: it decodes, and holds at least one
/// valid entry. Errors of reading count as no.
pub fn detect(content: &mut dyn Read) -> Option<Compression> {
    let mut start = Vec::new();
    content.take(6).read_to_end(&mut start).ok()?;
    let compression = if start.starts_with(&[0x1f, 0x8b]) {
        Compression::Gzip
    } else if start.starts_with(b"BZh") {
        Compression::Bzip2
    } else if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Compression::Xz
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Compression::Zstd
    } else {
        Compression::None
    };
    let whole = start.chain(content);
    let mut archive = tar::Archive::new(decoder(whole, compression).ok()?);
    let first = archive.entries().ok()?.next()?;
    first.ok().map(|_| compression)
}

fn decoder<'a>(
    content: impl Read + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(content),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(content)),
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(content)),
        Compression::Xz => Box::new(liblzma::read::XzDecoder::new_multi_decoder(content)),
        Compression::Zstd => Box::new(zstd::Decoder::new(content)?),
    })
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
    /// A name that a layer cannot hold; another way than a layer is needed.
    #[error("the archive's entry `{path}` cannot be stored in a layer")]
    Whiteout { path: String },
    /// A hard link to a file that only the image has; another way than a layer is needed.
    #[error("the archive's entry `{path}` is a hard link to `{target}`, which it does not hold")]
    LinkOutside { path: String, target: String },
    #[error("the archive's entry `{path}` is of the unknown type {kind:?}")]
    UnknownType { path: String, kind: char },
    #[error("`{path}` leads through something that is not a directory")]
    NotADirectory { path: String },
    #[error("the engine cannot tell what is at `{path}`: {source}")]
    Lookup { path: String, source: io::Error },
    #[error(transparent)]
    Layer(#[from] LayerError),
}

/// Puts the entries of an archive into a layer, in the archive's order.
pub fn unpack<W: Write>(
    content: &mut dyn Read,
    compression: Compression,
    options: Unpack<'_>,
    layer: &mut LayerWriter<W>,
) -> Result<(), UnpackError> {
    let decoded = decoder(content, compression).map_err(UnpackError::Broken)?;
    let mut archive = tar::Archive::new(decoded);
    let mut unpacker = Unpacker {
        options,
        written: HashMap::new(),
        layer,
    };
    for entry in archive.entries().map_err(UnpackError::Broken)? {
        unpacker.entry(&mut entry.map_err(UnpackError::Broken)?)?;
    }
    Ok(())
}

struct Unpacker<'a, 'b, W: Write> {
    options: Unpack<'a>,
    /// What the layer has at paths below the destination.
    written: HashMap<String, Kind>,
    layer: &'b mut LayerWriter<W>,
}

/// How many links a name may lead through.
const MAX_LINKS: usize = 40;

impl<W: Write> Unpacker<'_, '_, W> {
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), UnpackError> {
        let shown = name::from_bytes(&entry.path_bytes());
        let Some(path) = Self::inside(&shown)? else {
            return Ok(());
        };
        let Some(kind) = self.kind(entry, &shown)? else {
            return Ok(());
        };
        if kind == Kind::Dir
            && self.leads_to_directory(&path)?
            && matches!(self.lookup(&path)?, Some(Kind::Symlink(_)))
        {
            // A link to a directory serves as the directory.
            return Ok(());
        }
        let (dir, name) = split(&path);
        let dir = self.real_directory(dir)?;
        let path = join(&dir, name);
        let mut out = Entry::new(join(self.options.dest, &path), kind.clone(), 0);
        let (mtime, xattrs) = metadata(entry, &mut out)?;
        out.mtime = mtime;
        if let Some((uid, gid)) = self.options.owner {
            (out.uid, out.gid) = (uid, gid);
        }
        let added = if out.is_file() {
            self.layer.add_file(&out, &xattrs, entry)
        } else {
            self.layer.add(&out, &xattrs)
        };
        added.map_err(|error| match error {
            LayerError::Whiteout { path } => UnpackError::Whiteout { path },
            LayerError::Read { source, .. } => UnpackError::Broken(source),
            LayerError::Changed { .. } => {
                UnpackError::Broken(io::Error::other("an entry ends early"))
            }
            error @ LayerError::Write(_) => UnpackError::Layer(error),
        })?;
        self.written.insert(path, kind);
        Ok(())
    }

    /// The name below the destination; `None` is the destination itself.
    fn inside(shown: &str) -> Result<Option<String>, UnpackError> {
        let cleaned = clean(shown.trim_start_matches('/'));
        if cleaned == ".." || cleaned.starts_with("../") {
            return Err(UnpackError::Outside {
                path: shown.to_owned(),
            });
        }
        Ok((cleaned != "." && !cleaned.is_empty()).then_some(cleaned))
    }

    fn kind<R: Read>(
        &self,
        entry: &tar::Entry<'_, R>,
        shown: &str,
    ) -> Result<Option<Kind>, UnpackError> {
        let header = entry.header();
        let link = || name::from_bytes(&entry.link_name_bytes().unwrap_or_default());
        let device = || -> io::Result<(u32, u32)> {
            Ok((
                header.device_major()?.unwrap_or(0),
                header.device_minor()?.unwrap_or(0),
            ))
        };
        Ok(Some(match header.entry_type() {
            tar::EntryType::Directory => Kind::Dir,
            tar::EntryType::Symlink => Kind::Symlink(link()),
            tar::EntryType::Link => {
                let target = link();
                let Some(inner) = Self::inside(&target)? else {
                    return Err(UnpackError::LinkOutside {
                        path: shown.to_owned(),
                        target,
                    });
                };
                if !self.written.contains_key(&inner) {
                    return Err(UnpackError::LinkOutside {
                        path: shown.to_owned(),
                        target,
                    });
                }
                Kind::Hardlink(join(self.options.dest, &inner))
            }
            tar::EntryType::Fifo => Kind::Fifo,
            tar::EntryType::Char => {
                let (major, minor) = device().map_err(UnpackError::Broken)?;
                Kind::Char { major, minor }
            }
            tar::EntryType::Block => {
                let (major, minor) = device().map_err(UnpackError::Broken)?;
                Kind::Block { major, minor }
            }
            tar::EntryType::XGlobalHeader => return Ok(None),
            kind if kind.is_file() || kind == tar::EntryType::GNUSparse => Kind::File,
            other => {
                let kind = char::from(other.as_byte());
                return Err(UnpackError::UnknownType {
                    path: shown.to_owned(),
                    kind,
                });
            }
        }))
    }

    fn lookup(&mut self, path: &str) -> Result<Option<Kind>, UnpackError> {
        if let Some(kind) = self.written.get(path) {
            return Ok(Some(kind.clone()));
        }
        let full = join(self.options.dest, path);
        (self.options.lookup)(&full).map_err(|source| UnpackError::Lookup {
            path: full.clone(),
            source,
        })
    }

    fn leads_to_directory(&mut self, path: &str) -> Result<bool, UnpackError> {
        let real = self.real(path)?;
        Ok(self.lookup(&real)? == Some(Kind::Dir))
    }

    /// A path with its links followed, inside the destination.
    fn real(&mut self, path: &str) -> Result<String, UnpackError> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut done = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.truncate(done.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&done, &part);
            let Some(Kind::Symlink(target)) = self.lookup(&next)? else {
                done = next;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(UnpackError::NotADirectory {
                    path: path.to_owned(),
                });
            }
            if target.starts_with('/') {
                done.clear();
            }
            todo.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(done)
    }

    /// The directory that a name is in, made with what is missing above it.
    fn real_directory(&mut self, dir: &str) -> Result<String, UnpackError> {
        let real = self.real(dir)?;
        let steps: Vec<String> = parents(&real)
            .chain((!real.is_empty()).then_some(real.as_str()))
            .map(str::to_owned)
            .collect();
        for path in steps {
            match self.lookup(&path)? {
                Some(Kind::Dir) => {}
                Some(_) => return Err(UnpackError::NotADirectory { path }),
                None => {
                    let mut made = Entry::new(join(self.options.dest, &path), Kind::Dir, 0o755);
                    made.mtime = self.options.implied_mtime;
                    if let Some((uid, gid)) = self.options.owner {
                        (made.uid, made.gid) = (uid, gid);
                    }
                    self.layer.add(&made, &[])?;
                    self.written.insert(path, Kind::Dir);
                }
            }
        }
        Ok(real)
    }
}

fn metadata<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    out: &mut Entry,
) -> Result<(Mtime, Vec<Xattr>), UnpackError> {
    let header = entry.header();
    let id = |number: io::Result<u64>| {
        let number = number.map_err(UnpackError::Broken)?;
        u32::try_from(number)
            .map_err(|_| UnpackError::Broken(io::Error::other("an owner is out of range")))
    };
    out.mode = header.mode().map_err(UnpackError::Broken)? & 0o7777;
    out.uid = id(header.uid())?;
    out.gid = id(header.gid())?;
    if out.is_file() {
        out.size = entry.size();
    }
    tar_tree::extensions(entry).map_err(|error| match error {
        Error::Archive(error) | Error::Io(error) => UnpackError::Broken(error),
        other => UnpackError::Broken(io::Error::other(other.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_ustar();
            header.set_size(1);
            header.set_mode(0o600);
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, &b"x"[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<String>, UnpackError> {
        let mut layer = LayerWriter::new(Vec::new());
        let mut lookup = |path: &str| {
            Ok(match path {
                "dest/link" => Some(Kind::Symlink("/real".into())),
                "dest/real" => Some(Kind::Dir),
                _ => None,
            })
        };
        let options = Unpack {
            dest: "dest",
            owner: None,
            implied_mtime: Mtime::default(),
            lookup: &mut lookup,
        };
        unpack(&mut &bytes[..], Compression::None, options, &mut layer)?;
        let (bytes, _) = layer.finish().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let paths = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap());
        Ok(paths.collect())
    }

    #[test]
    fn entries_go_below_the_destination_and_through_its_links() {
        let paths = unpacked(&archive(&["/a", "./b/c", "link/d"])).unwrap();
        assert_eq!(paths, ["dest/a", "dest/b/", "dest/b/c", "dest/real/d"]);
    }

    #[test]
    fn what_a_layer_cannot_hold_or_leads_out_is_refused() {
        let outside = unpacked(&archive(&["a/../../x"]));
        assert!(matches!(outside, Err(UnpackError::Outside { .. })));
        let whiteout = unpacked(&archive(&["d/.wh.x"]));
        assert!(matches!(whiteout, Err(UnpackError::Whiteout { .. })));
    }

    #[test]
    fn archives_are_known_by_their_content() {
        use std::io::Write as _;
        let plain = archive(&["a"]);
        assert_eq!(detect(&mut plain.as_slice()), Some(Compression::None));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(detect(&mut gzip.as_slice()), Some(Compression::Gzip));
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        assert_eq!(detect(&mut zstd.as_slice()), Some(Compression::Zstd));
        let text = zstd::encode_all(&b"no archive"[..], 1).unwrap();
        assert_eq!(detect(&mut text.as_slice()), None);
        assert_eq!(detect(&mut &b"plain text"[..]), None);
        assert_eq!(detect(&mut &[0; 2048][..]), None);
        assert_eq!(detect(&mut &b""[..]), None);
    }
}
