//! The files of an image: its layers put on top of each other, in memory without their contents.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::rc::Rc;

use super::layer::{Whiteout, relative, whiteout};
use super::saved::{Saved, spool};
use crate::context::{Entry, Kind, TarReader, Xattr};

/// The merged files.
pub(super) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    /// The layers' tars, not compressed.
    contents: Vec<std::fs::File>,
}

/// A file, and where its content is.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) entry: Entry,
    pub(super) xattrs: Vec<Xattr>,
    /// The layer, and where in its tar; names of one file have the same.
    pub(super) place: (usize, u64),
    layer: usize,
}

impl Tree {
    /// Puts the layers on top of each other.
    pub(super) fn merge(saved: &Saved) -> io::Result<Self> {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            contents: Vec::new(),
        };
        for layer in &saved.layers {
            let mut file = spool(&saved.dir)?;
            io::copy(&mut layer.open()?, &mut file)?;
            file.flush()?;
            file.seek(SeekFrom::Start(0))?;
            tree.add(&file)?;
            tree.contents.push(file);
        }
        Ok(tree)
    }

    fn add(&mut self, file: &std::fs::File) -> io::Result<()> {
        let layer = self.contents.len();
        let position = Rc::new(Cell::new(0));
        let mut archive = TarReader::new(Counted {
            input: BufReader::with_capacity(256 << 10, file),
            position: Rc::clone(&position),
        });
        while let Some(header) = archive.next()? {
            if let Some(kind) = header.unknown {
                let path = header.entry.path;
                let message =
                    format!("a layer has the entry `{path}` of the unknown type `{kind}`");
                return Err(io::Error::other(message));
            }
            let mut entry = header.entry;
            entry.path = relative(&entry.path)?;
            match whiteout(&entry.path) {
                Some(Whiteout::Opaque(dir)) => {
                    self.remove_below(dir, layer);
                    continue;
                }
                Some(Whiteout::Removed(path)) => {
                    self.remove(&path, layer);
                    continue;
                }
                None => {}
            }
            if entry.path.is_empty() {
                continue;
            }
            let mut node = Node {
                entry,
                xattrs: header.xattrs,
                place: (layer, position.get()),
                layer,
            };
            if let Kind::Hardlink(target) = &node.entry.kind {
                let target = relative(target)?;
                let Some(found) = self.nodes.get(&key(&target)) else {
                    let message = format!("a layer links `{}` to nothing", node.entry.path);
                    return Err(io::Error::other(message));
                };
                let path = node.entry.path;
                node = found.clone();
                node.entry.path = path;
                node.layer = layer;
            }
            self.insert(node);
        }
        Ok(())
    }

    fn insert(&mut self, node: Node) {
        let path = node.entry.path.clone();
        // Whatever is no directory above it gives way, as it would when a layer is applied.
        for (end, _) in path.match_indices('/') {
            let above = &path[..end];
            let is_dir = self.nodes.get(&key(above)).map(|node| node.entry.is_dir());
            if is_dir != Some(true) {
                self.remove(above, usize::MAX);
                let entry = Entry::new(above, Kind::Dir, 0o755);
                let implied = Node {
                    entry,
                    xattrs: Vec::new(),
                    place: node.place,
                    layer: node.layer,
                };
                self.nodes.insert(key(above), implied);
            }
        }
        if !node.entry.is_dir() {
            self.remove_below(&path, usize::MAX);
        }
        self.nodes.insert(key(&path), node);
    }

    /// Removes what layers before `layer` have there.
    fn remove(&mut self, path: &str, layer: usize) {
        let key = key(path);
        if self.nodes.get(&key).is_some_and(|node| node.layer < layer) {
            self.nodes.remove(&key);
        }
        self.remove_below(path, layer);
    }

    fn remove_below(&mut self, dir: &str, layer: usize) {
        let mut start = key(dir);
        if !start.is_empty() {
            start.push(0);
        }
        let below = self
            .nodes
            .range((Bound::Included(start.clone()), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&start))
            .filter(|(_, node)| node.layer < layer)
            .map(|(key, _)| key.clone());
        let below: Vec<_> = below.collect();
        for key in below {
            self.nodes.remove(&key);
        }
    }

    /// All files in the order of a walk: a directory, what is in it, its neighbours.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// A file's content.
    pub(super) fn content(&self, node: &Node) -> io::Result<impl Read + use<>> {
        let (layer, offset) = node.place;
        let mut file = self.contents[layer].try_clone()?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file.take(node.entry.size))
    }
}

/// Sorts a directory's content right behind it.
fn key(path: &str) -> Vec<u8> {
    let bytes = path.bytes();
    bytes.map(|b| if b == b'/' { 0 } else { b }).collect()
}

struct Counted<R> {
    input: R,
    position: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.position.set(self.position.get() + got as u64);
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::LayerWriter;

    fn merged(layers: Vec<LayerWriter<Vec<u8>>>) -> Vec<(String, String)> {
        let mut tree = Tree {
            nodes: BTreeMap::new(),
            contents: Vec::new(),
        };
        for layer in layers {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&layer.finish().unwrap().0).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            tree.add(&file).unwrap();
            tree.contents.push(file);
        }
        tree.nodes()
            .map(|node| {
                let mut content = String::new();
                if node.entry.is_file() {
                    tree.content(node)
                        .unwrap()
                        .read_to_string(&mut content)
                        .unwrap();
                }
                (node.entry.path.clone(), content)
            })
            .collect()
    }

    fn layer(entries: &[(&str, &str)]) -> LayerWriter<Vec<u8>> {
        let mut layer = LayerWriter::new(Vec::new());
        for (path, content) in entries {
            if let Some(dir) = path.strip_suffix('/') {
                layer.add(&Entry::new(dir, Kind::Dir, 0o755), &[]).unwrap();
            } else if let Some(target) = content.strip_prefix("=") {
                let kind = Kind::Hardlink(target.into());
                layer.add(&Entry::new(*path, kind, 0o644), &[]).unwrap();
            } else {
                let mut entry = Entry::new(*path, Kind::File, 0o644);
                entry.size = content.len() as u64;
                layer
                    .add_file(&entry, &[], &mut content.as_bytes())
                    .unwrap();
            }
        }
        layer
    }

    #[test]
    fn later_layers_win_and_remove() {
        let first = layer(&[
            ("a/", ""),
            ("a/one", "1"),
            ("a/two", "2"),
            ("a-b", "x"),
            ("b/", ""),
            ("b/in", "b"),
            ("c", "file"),
            ("d/", ""),
            ("d/in", "d"),
            ("link", "=a/one"),
        ]);
        let mut second = layer(&[("a/", ""), ("a/three", "3")]);
        second.whiteout("a/one").unwrap();
        second.add(&Entry::new("b", Kind::Dir, 0o700), &[]).unwrap();
        second.opaque("b").unwrap();
        let third = layer(&[("c/deep", "now a directory"), ("d", "now a file")]);
        let expected = [
            ("a", ""),
            ("a/three", "3"),
            ("a/two", "2"),
            ("a-b", "x"),
            ("b", ""),
            ("c", ""),
            ("c/deep", "now a directory"),
            ("d", "now a file"),
            ("link", "1"),
        ];
        let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned()));
        assert_eq!(merged(vec![first, second, third]), expected);
    }
}
