//! A file tree read from a tar archive: a context that came on standard input, or files of an
//! image as an engine sends them. Contents are kept in an unnamed temporary file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::entry::{Entry, Kind, LinkId, Mtime, Origin, Xattr};
use super::error::{Error, Result};
use super::name;
use super::path::{inside, join, parents, split};
use super::tree::FileTree;

/// Attributes that a layer carries.
const KEPT_XATTRS: &[&str] = &["security.capability"];

/// Files of one or more archives.
pub struct TarTree {
    place: String,
    entries: BTreeMap<String, Arc<Entry>>,
    children: HashMap<String, BTreeSet<String>>,
    xattrs: HashMap<String, Vec<Xattr>>,
    contents: BufWriter<File>,
    length: u64,
    links: u64,
}

impl TarTree {
    /// An empty tree that keeps contents in a temporary file in `scratch`; `place` is what
    /// messages call it.
    pub fn new(scratch: &Path, place: impl Into<String>) -> Result<Self> {
        let mut tree = Self {
            place: place.into(),
            entries: BTreeMap::new(),
            children: HashMap::new(),
            xattrs: HashMap::new(),
            contents: BufWriter::with_capacity(256 << 10, tempfile::tempfile_in(scratch)?),
            length: 0,
            links: 0,
        };
        tree.entries
            .insert(String::new(), Arc::new(Entry::new("", Kind::Dir, 0o755)));
        Ok(tree)
    }

    /// Reads an archive to its end. Entries keep their names, re-rooted below `under`
    /// (empty: the root) after the first `strip` parts are taken off; entries with no more
    /// parts than that are `under` itself. Later entries replace earlier ones.
    pub fn add(&mut self, archive: impl Read, strip: usize, under: &str) -> Result<()> {
        let mut archive = tar::Archive::new(archive);
        let moved = |path: &[u8]| {
            let path = inside(&name::from_bytes(path));
            let rest: Vec<&str> = path
                .split('/')
                .filter(|part| !part.is_empty())
                .skip(strip)
                .collect();
            join(under, &rest.join("/"))
        };
        for entry in archive.entries().map_err(Error::Archive)? {
            let mut entry = entry.map_err(Error::Archive)?;
            let path = moved(&entry.path_bytes());
            let kind = entry.header().entry_type();
            if kind == tar::EntryType::Link {
                let target = entry.link_name_bytes().unwrap_or_default();
                self.link(&path, &moved(&target))?;
                continue;
            }
            let Some(kind) = kind_of(&entry)? else {
                continue;
            };
            let mut found = Entry::new(path.as_str(), kind, mode(&entry)?);
            found.uid = id(entry.header().uid())?;
            found.gid = id(entry.header().gid())?;
            let (mtime, xattrs) = extensions(&mut entry)?;
            found.mtime = mtime;
            if found.is_file() {
                found.origin = Origin {
                    offset: self.length,
                    ..Origin::default()
                };
                found.size = io::copy(&mut entry, &mut self.contents).map_err(Error::Archive)?;
                self.length += found.size;
            }
            self.xattrs.remove(&path);
            if !xattrs.is_empty() {
                self.xattrs.insert(path, xattrs);
            }
            self.insert(found);
        }
        self.contents.flush()?;
        Ok(())
    }

    /// Gives a file one more name.
    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let Some(first) = self
            .entries
            .get(target)
            .filter(|entry| entry.is_file())
            .cloned()
        else {
            return Err(Error::Archive(io::Error::other(format!(
                "`{path}` is a hard link to `{target}`, which is not there"
            ))));
        };
        let link = first.link.unwrap_or_else(|| {
            self.links += 1;
            LinkId {
                device: 0,
                inode: self.links,
            }
        });
        for path in [target, path] {
            let entry = Entry {
                path: path.to_owned(),
                link: Some(link),
                ..(*first).clone()
            };
            self.insert(entry);
        }
        if let Some(xattrs) = self.xattrs.get(target).cloned() {
            self.xattrs.insert(path.to_owned(), xattrs);
        }
        Ok(())
    }

    /// Adds what is known without an archive, such as a link on the way.
    pub fn insert(&mut self, entry: Entry) {
        let path = entry.path.clone();
        for parent in parents(&path) {
            if !self.entries.get(parent).is_some_and(|entry| entry.is_dir()) {
                let made = Entry::new(parent, Kind::Dir, 0o755);
                self.place(made);
            }
        }
        if !entry.is_dir() && self.entries.get(&path).is_some_and(|old| old.is_dir()) {
            self.remove_below(&path);
        }
        self.place(entry);
    }

    fn place(&mut self, entry: Entry) {
        if !entry.path.is_empty() {
            let (dir, name) = split(&entry.path);
            self.children
                .entry(dir.to_owned())
                .or_default()
                .insert(name.to_owned());
        }
        self.entries.insert(entry.path.clone(), Arc::new(entry));
    }

    fn remove_below(&mut self, dir: &str) {
        for name in self.children.remove(dir).unwrap_or_default() {
            let path = join(dir, &name);
            self.remove_below(&path);
            self.entries.remove(&path);
            self.xattrs.remove(&path);
        }
    }
}

fn kind_of<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Option<Kind>> {
    let header = entry.header();
    let device = || -> Result<(u32, u32)> {
        let major = header.device_major().map_err(Error::Archive)?.unwrap_or(0);
        Ok((
            major,
            header.device_minor().map_err(Error::Archive)?.unwrap_or(0),
        ))
    };
    Ok(Some(match header.entry_type() {
        tar::EntryType::Directory => Kind::Dir,
        tar::EntryType::Symlink => Kind::Symlink(name::from_bytes(
            &entry.link_name_bytes().unwrap_or_default(),
        )),
        tar::EntryType::Fifo => Kind::Fifo,
        tar::EntryType::Char => {
            let (major, minor) = device()?;
            Kind::Char { major, minor }
        }
        tar::EntryType::Block => {
            let (major, minor) = device()?;
            Kind::Block { major, minor }
        }
        tar::EntryType::XGlobalHeader => return Ok(None),
        kind if kind.is_file() || kind == tar::EntryType::GNUSparse => Kind::File,
        _ => return Ok(None),
    }))
}

fn mode<R: Read>(entry: &tar::Entry<'_, R>) -> Result<u32> {
    Ok(entry.header().mode().map_err(Error::Archive)? & 0o7777)
}

fn id(number: io::Result<u64>) -> Result<u32> {
    let number = number.map_err(Error::Archive)?;
    u32::try_from(number).map_err(|_| Error::Archive(io::Error::other("an owner is out of range")))
}

/// The time, and the attributes that count.
pub(super) fn extensions<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<(Mtime, Vec<Xattr>)> {
    let plain = entry.header().mtime().unwrap_or(0);
    let mut mtime = Mtime {
        secs: plain.cast_signed(),
        nanos: 0,
    };
    let mut xattrs = Vec::new();
    let Some(pax) = entry.pax_extensions().map_err(Error::Archive)? else {
        return Ok((mtime, xattrs));
    };
    for extension in pax {
        let extension = extension.map_err(Error::Archive)?;
        let Ok(key) = extension.key() else { continue };
        if key == "mtime"
            && let Some(time) = extension.value().ok().and_then(parse_time)
        {
            mtime = time;
        }
        if let Some(name) = key.strip_prefix("SCHILY.xattr.")
            && KEPT_XATTRS.contains(&name)
        {
            xattrs.push((name.to_owned(), extension.value_bytes().to_vec()));
        }
    }
    xattrs.sort();
    Ok((mtime, xattrs))
}

/// `[-]seconds[.fraction]`
fn parse_time(text: &str) -> Option<Mtime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let secs: i64 = whole.parse().ok()?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanos: u32 = digits.parse().ok()?;
    if whole.starts_with('-') && nanos > 0 {
        return Some(Mtime {
            secs: secs - 1,
            nanos: 1_000_000_000 - nanos,
        });
    }
    Some(Mtime { secs, nanos })
}

impl FileTree for TarTree {
    fn place(&self) -> &str {
        &self.place
    }

    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        Ok(self.entries.get(&inside(path)).cloned())
    }

    fn list(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        let names = self.children.get(dir).into_iter().flatten();
        Ok(names
            .filter_map(|name| self.entries.get(&join(dir, name)).cloned())
            .collect())
    }

    fn xattrs(&self, entry: &Entry) -> Result<Vec<Xattr>> {
        Ok(self.xattrs.get(&entry.path).cloned().unwrap_or_default())
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        let file = self.contents.get_ref().try_clone()?;
        Ok(Box::new(Part {
            file,
            offset: entry.origin.offset,
            left: entry.size,
        }))
    }
}

/// A part of the file that holds the contents; several may be read at once.
struct Part {
    file: File,
    offset: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_becomes_a_tree() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |path: &str, content: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o640);
            header.set_uid(7);
            builder
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        };
        add("top/a/b", "one");
        add("top/c", "two");
        add("top/c", "three");
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        builder.append_link(&mut header, "top/d", "top/c").unwrap();
        let bytes = builder.into_inner().unwrap();
        let mut tree = TarTree::new(&std::env::temp_dir(), "archive").unwrap();
        tree.add(bytes.as_slice(), 1, "x").unwrap();
        let below = tree.below("").unwrap();
        let paths: Vec<_> = below.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["x", "x/a", "x/a/b", "x/c", "x/d"]);
        let mut content = String::new();
        tree.open(&below[4])
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "three");
        assert_eq!(below[3].link, below[4].link);
        assert_eq!((below[2].uid, below[2].mode), (7, 0o640));
    }

    #[test]
    fn times_before_1970_have_their_fraction() {
        assert_eq!(
            parse_time("-1.5"),
            Some(Mtime {
                secs: -2,
                nanos: 500_000_000
            })
        );
        assert_eq!(
            parse_time("12.000000001"),
            Some(Mtime { secs: 12, nanos: 1 })
        );
        assert_eq!(parse_time("x"), None);
    }
}
