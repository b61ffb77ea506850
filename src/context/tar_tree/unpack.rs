//! An archive that is a build context: its entries are put into the tree as Docker unpacks them.
//!
//! Everything stays inside the tree: `../x` fails, links on the way are followed inside the
//! root, hard links point to what the archive holds. A later entry replaces an earlier one, and
//! two directories become one.

use std::io::Read;

use super::{TarTree, implied, is_carried};
use crate::context::archive::{UnpackError, decompressed, leaves};
use crate::context::entry::{Kind, Mtime};
use crate::context::error::{Error, Result};
use crate::context::path::{inside, join, parents, split};
use crate::context::tar::read::{Header, TarReader};
use crate::context::tree::{FileTree as _, resolve};

impl TarTree {
    /// Reads a context to its end, compressed or not. Directories that the archive only implies
    /// are of the time `now`.
    pub fn unpack(&mut self, content: impl Read, now: Mtime) -> Result<()> {
        let content = decompressed(content).map_err(Error::Archive)?;
        let mut archive = TarReader::new(content);
        while let Some(header) = archive.next().map_err(Error::Archive)? {
            self.unpack_entry(header, &mut archive, now)?;
        }
        Ok(())
    }

    fn unpack_entry(&mut self, header: Header, content: &mut impl Read, now: Mtime) -> Result<()> {
        let mut entry = header.entry;
        if leaves(&entry.path) {
            return Err(UnpackError::Outside { path: entry.path }.into());
        }
        let path = inside(&entry.path);
        if path.is_empty() {
            return Ok(());
        }
        if let Some(kind) = header.unknown {
            return Err(UnpackError::UnknownType { path, kind }.into());
        }
        let (dir, name) = split(&path);
        entry.path = join(&self.directory(dir, &path, now)?, name);
        if let Kind::Hardlink(target) = &entry.kind {
            let target = target.clone();
            return self.hard_link(entry, &target);
        }
        if entry.is_file() {
            entry.origin.offset = self.end;
            self.keep(content, entry.size)?;
        }
        let carried: Vec<_> = header
            .xattrs
            .into_iter()
            .filter(|(name, _)| is_carried(name))
            .collect();
        if carried.is_empty() {
            self.xattrs.remove(&entry.path);
        } else {
            self.xattrs.insert(entry.path.clone(), carried);
        }
        self.insert(entry);
        Ok(())
    }

    /// The real directory at `path`, made where it is missing; `of` is the entry that needs it.
    fn directory(&mut self, path: &str, of: &str, now: Mtime) -> Result<String> {
        let real = self.resolve_inside(path)?;
        for at in parents(&real).chain([real.as_str()]) {
            match self.entries.get(at) {
                Some(entry) if entry.is_dir() => {}
                Some(_) => {
                    let path = of.to_owned();
                    return Err(UnpackError::NotADirectory { path }.into());
                }
                None => {
                    let mut dir = implied(at);
                    dir.mtime = now;
                    self.insert(dir);
                }
            }
        }
        Ok(real)
    }

    /// The path that `path` really is. As in Docker an absolute link counts from the root, and a
    /// relative one that leads out is refused.
    fn resolve_inside(&self, path: &str) -> Result<String> {
        for at in parents(path).chain([path]) {
            let real = resolve(self, split(at).0)?;
            let link = self.lstat(&join(&real, split(at).1))?;
            if let Some(Kind::Symlink(target)) = link.as_deref().map(|link| &link.kind)
                && !target.starts_with('/')
                && leaves(&join(&real, target))
            {
                let path = at.to_owned();
                return Err(UnpackError::Outside { path }.into());
            }
        }
        resolve(self, path)
    }

    /// Another name for a file. Both have the owner, mode and time that the link's entry says.
    fn hard_link(&mut self, link: super::Entry, target: &str) -> Result<()> {
        if leaves(target) {
            let path = target.to_owned();
            return Err(UnpackError::Outside { path }.into());
        }
        let (dir, name) = split(target.trim_end_matches('/'));
        let target_path = join(&resolve(self, dir)?, name);
        let found = self.lstat(&inside(&target_path))?;
        let Some(file) = found.filter(|file| !file.is_dir()) else {
            return Err(UnpackError::LinkOutside {
                path: link.path,
                target: target.to_owned(),
            }
            .into());
        };
        self.link(&link.path, &file.path);
        if matches!(file.kind, Kind::Symlink(_)) {
            return Ok(());
        }
        let id = self.entries.get(&link.path).and_then(|entry| entry.link);
        let stale = (file.mode, file.uid, file.gid, file.mtime)
            != (link.mode, link.uid, link.gid, link.mtime);
        if id.is_some() && stale {
            for entry in self.entries.values_mut().filter(|entry| entry.link == id) {
                let mut changed = super::Entry::clone(entry);
                (changed.mode, changed.uid, changed.gid) = (link.mode, link.uid, link.gid);
                changed.mtime = link.mtime;
                *entry = changed.into();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::entry::Entry;

    /// An entry of a made-up archive: its name, its type, its link, its content.
    type Item<'a> = (&'a str, tar::EntryType, &'a str, &'a [u8]);

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const DIR: tar::EntryType = tar::EntryType::Directory;
    const LINK: tar::EntryType = tar::EntryType::Link;
    const SYMLINK: tar::EntryType = tar::EntryType::Symlink;

    fn archive(items: &[Item]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, link, content) in items {
            let mut header = tar::Header::new_gnu();
            // As written, `..` and all: the crate's own setters refuse such names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o640);
            header.set_uid(7);
            header.set_gid(8);
            header.set_mtime(9);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<TarTree> {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = TarTree::new(scratch.path(), "build context")?;
        tree.unpack(bytes, Mtime { secs: 5, nanos: 0 })?;
        Ok(tree)
    }

    fn shown(bytes: &[u8]) -> String {
        let tree = match unpacked(bytes) {
            Ok(tree) => tree,
            Err(error) => return error.to_string(),
        };
        let line = |entry: &std::sync::Arc<Entry>| {
            let mut text = String::new();
            tree.open(entry).unwrap().read_to_string(&mut text).unwrap();
            let kind = match &entry.kind {
                Kind::Symlink(target) => format!(" -> {target}"),
                Kind::Dir => "/".into(),
                _ => format!("={text}"),
            };
            format!("{}{kind}", entry.path)
        };
        let all = tree.below("").unwrap();
        all.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn entries_stay_inside_and_later_ones_win() {
        let cases: &[(&[Item], &str)] = &[
            (&[("a", FILE, "", b"1"), ("./a", FILE, "", b"2")], "a=2"),
            (&[("./", DIR, "", b""), ("/a", FILE, "", b"1")], "a=1"),
            (&[("d/x", FILE, "", b"1"), ("d", FILE, "", b"2")], "d=2"),
            (&[("d/x", FILE, "", b"1"), ("d", DIR, "", b"")], "d/ d/x=1"),
            (
                &[
                    ("d", DIR, "", b""),
                    ("e", SYMLINK, "d", b""),
                    ("e/x", FILE, "", b"1"),
                ],
                "d/ d/x=1 e -> d",
            ),
            (
                &[("e", SYMLINK, "/etc", b""), ("e/x", FILE, "", b"1")],
                "e -> /etc etc/ etc/x=1",
            ),
            (
                &[("e", SYMLINK, "../../..", b""), ("e/x", FILE, "", b"1")],
                "the archive's entry `e` is outside of the destination",
            ),
            (&[("a", FILE, "", b"1"), ("h", LINK, "a", b"")], "a=1 h=1"),
            (
                &[("../evil", FILE, "", b"1")],
                "the archive's entry `../evil` is outside of the destination",
            ),
            (
                &[("a/../../evil", FILE, "", b"1")],
                "the archive's entry `a/../../evil` is outside of the destination",
            ),
            (
                &[("h", LINK, "../etc/passwd", b"")],
                "the archive's entry `../etc/passwd` is outside of the destination",
            ),
            (
                &[("h", LINK, "none", b"")],
                "the archive's entry `h` is a hard link to `none`, which it does not hold",
            ),
            (
                &[("d", FILE, "", b"1"), ("d/x", FILE, "", b"1")],
                "the archive's entry `d/x` leads through something that is not a directory",
            ),
            (
                &[("l", SYMLINK, "l", b""), ("l/x", FILE, "", b"1")],
                "too many symbolic links on the way to `l`",
            ),
        ];
        for (items, expected) in cases {
            assert_eq!(shown(&archive(items)), *expected);
        }
    }

    #[test]
    fn owners_modes_and_times_are_the_archives() {
        let tree = unpacked(&archive(&[
            ("d/a", FILE, "", b"1"),
            ("h", LINK, "d/a", b""),
        ]))
        .unwrap();
        let file = tree.lstat("d/a").unwrap().unwrap();
        assert_eq!(
            (file.mode, file.uid, file.gid, file.mtime.secs),
            (0o640, 7, 8, 9)
        );
        assert_eq!(tree.lstat("h").unwrap().unwrap().link, file.link);
        assert!(file.link.is_some());
        let dir = tree.lstat("d").unwrap().unwrap();
        assert_eq!((dir.mode, dir.uid, dir.mtime.secs), (0o755, 0, 5));
    }

    proptest::proptest! {
        /// Whatever the bytes: no panic, and nothing that leaves the tree.
        #[test]
        fn broken_archives_are_refused(at in 0_usize..2560, byte: u8, cut in 0_usize..2560) {
            let mut bytes = archive(&[("d/a", FILE, "", b"1"), ("h", LINK, "d/a", b"")]);
            let end = bytes.len();
            bytes[at % end] = byte;
            bytes.truncate(end - cut % end);
            if let Ok(tree) = unpacked(&bytes) {
                let all = tree.below("").unwrap();
                let inside = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
                proptest::prop_assert!(all.iter().all(|entry| inside(&entry.path)));
            }
        }
    }
}
