//! The file system of an image, put together from its layers, as lines that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tar::EntryType;

/// Longer content is shown by its digest.
const SHOWN: usize = 1500;

/// Times between 2020 and 2033 are those of a build, which is another one each time.
const NOW: std::ops::Range<i64> = 1_600_000_000..2_000_000_000;

/// Paths without a leading slash, as in the layers' archives.
#[derive(Clone, Default)]
pub struct Tree(BTreeMap<Vec<u8>, Node>);

#[derive(Clone, Debug, PartialEq)]
struct Node {
    /// Hard links of one file have the same.
    inode: u64,
    kind: Kind,
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: i64,
    attributes: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Fifo,
    Device(char, u32, u32),
}

impl Node {
    fn same_as(&self, other: &Node) -> bool {
        self.kind == other.kind
            && self.mode == other.mode
            && (self.uid, self.gid) == (other.uid, other.gid)
            && self.attributes == other.attributes
    }
}

impl Tree {
    pub fn of_layers(layers: &[Vec<u8>]) -> Result<Self, String> {
        let mut tree = Self::default();
        for (index, layer) in layers.iter().enumerate() {
            tree.apply(layer)
                .map_err(|error| format!("layer {index}: {error}"))?;
        }
        Ok(tree)
    }

    fn apply(&mut self, layer: &[u8]) -> Result<(), String> {
        // What a layer removes, it removes from the layers below, wherever its entries stand.
        for entry in entries(layer)? {
            let (parent, name) = split(&entry.path);
            let Some(hidden) = name.strip_prefix(b".wh.") else {
                continue;
            };
            if hidden == b".wh..opq" {
                self.remove_children(parent);
            } else if !hidden.starts_with(b".wh.") {
                self.remove(&join(parent, hidden));
            }
        }
        for entry in entries(layer)? {
            if entry.path.is_empty() || split(&entry.path).1.starts_with(b".wh.") {
                continue;
            }
            self.add(entry)?;
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let Some(mut node) = entry.node else {
            let target = self.0.get(&entry.link).cloned().ok_or_else(|| {
                format!(
                    "{} is a hard link to the missing {}",
                    text(&entry.path),
                    text(&entry.link)
                )
            })?;
            self.remove(&entry.path);
            self.0.insert(entry.path, target);
            return Ok(());
        };
        static INODES: AtomicU64 = AtomicU64::new(0);
        node.inode = INODES.fetch_add(1, Ordering::Relaxed);
        if node.kind != Kind::Directory {
            self.remove_children(&entry.path);
        }
        self.0.insert(entry.path, node);
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) {
        self.remove_children(path);
        self.0.remove(path);
    }

    fn remove_children(&mut self, path: &[u8]) {
        let prefix = join(path, b"");
        self.0
            .retain(|other, _| !other.starts_with(&prefix) || *other == prefix);
    }

    /// The entries that `base` lacks or has otherwise, one line each; times only at and below the
    /// paths in `timed`.
    pub fn lines(&self, base: &Tree, timed: &[String]) -> Vec<String> {
        let mut first_of: BTreeMap<u64, &[u8]> = BTreeMap::new();
        let mut linked = BTreeSet::new();
        for (path, node) in &self.0 {
            if first_of.insert(node.inode, path).is_some() {
                linked.insert(node.inode);
            }
        }
        // The first path of a group names it.
        for (path, node) in self.0.iter().rev() {
            first_of.insert(node.inode, path);
        }
        let mut lines = Vec::new();
        for (path, node) in &self.0 {
            let timed = timed.iter().any(|root| within(path, root));
            let same = base.0.get(path).is_some_and(|node_of_base| {
                node.inode == node_of_base.inode
                    || node.same_as(node_of_base) && !(timed && node.mtime != node_of_base.mtime)
            });
            if same {
                continue;
            }
            let group = linked
                .contains(&node.inode)
                .then(|| first_of[&node.inode])
                .filter(|first| *first != path.as_slice());
            lines.push(line(path, node, group, timed));
        }
        lines
    }

    /// The paths that `base` has and this tree has not, without those below another such path.
    pub fn missing(&self, base: &Tree) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        let mut last: Option<&[u8]> = None;
        for path in base.0.keys().filter(|path| !self.0.contains_key(*path)) {
            if last.is_some_and(|last| path.starts_with(&join(last, b""))) {
                continue;
            }
            last = Some(path);
            missing.push(format!("/{}", text(path)));
        }
        missing
    }
}

fn within(path: &[u8], root: &str) -> bool {
    let root = root.trim_start_matches('/').as_bytes();
    root.is_empty() || path == root || path.starts_with(&join(root, b""))
}

/// `/app/run.sh  file 0755 0:0 "echo hi\n"`
fn line(path: &[u8], node: &Node, group: Option<&[u8]>, timed: bool) -> String {
    let (kind, slash, content) = match &node.kind {
        Kind::Directory => ("dir", "/", String::new()),
        Kind::File(content) => ("file", "", show(content)),
        Kind::Symlink(target) => ("link", "", format!("-> {}", text(target))),
        Kind::Fifo => ("fifo", "", String::new()),
        Kind::Device('c', major, minor) => ("char", "", format!("{major},{minor}")),
        Kind::Device(_, major, minor) => ("block", "", format!("{major},{minor}")),
    };
    let mut line = format!("/{}{slash}  {kind}", text(path));
    // A symlink's mode means nothing, and archives differ in what they put there.
    if !matches!(node.kind, Kind::Symlink(_)) {
        let _ = write!(line, " {:04o}", node.mode);
    }
    let _ = write!(line, " {}:{}", node.uid, node.gid);
    if timed && NOW.contains(&node.mtime) {
        line.push_str(" @now");
    } else if timed {
        let _ = write!(line, " @{}", node.mtime);
    }
    if let Some(first) = group {
        let _ = write!(line, " same file as /{}", text(first));
    } else if !content.is_empty() {
        let _ = write!(line, " {content}");
    }
    for (name, value) in &node.attributes {
        let _ = write!(line, " {name}={}", hex(value));
    }
    line
}

fn show(content: &[u8]) -> String {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    match std::str::from_utf8(content) {
        Ok(content) if content.len() <= SHOWN && content.chars().all(plain) => {
            format!("{content:?}")
        }
        _ => format!(
            "{} bytes, sha256 {}",
            content.len(),
            hex(&Sha256::digest(content))
        ),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A path as text: control characters and bytes that are no UTF-8 are escaped.
fn text(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        return name.to_vec();
    }
    [parent, b"/", name].concat()
}

struct Entry {
    path: Vec<u8>,
    /// None: a hard link to `link`.
    node: Option<Node>,
    link: Vec<u8>,
}

fn entries(layer: &[u8]) -> Result<Vec<Entry>, String> {
    let mut archive = tar::Archive::new(layer);
    let mut found = Vec::new();
    for entry in archive.entries().map_err(|error| error.to_string())? {
        found.push(read(entry.map_err(|error| error.to_string())?).map_err(|e| e.to_string())?);
    }
    Ok(found)
}

fn read(mut entry: tar::Entry<'_, &[u8]>) -> std::io::Result<Entry> {
    let path = clean(&entry.path_bytes());
    let link = entry
        .link_name_bytes()
        .map(|link| link.into_owned())
        .unwrap_or_default();
    let mut attributes = BTreeMap::new();
    let mut mtime = i64::try_from(entry.header().mtime()?).unwrap_or_default();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let key = String::from_utf8_lossy(extension.key_bytes()).into_owned();
            if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                attributes.insert(name.to_owned(), extension.value_bytes().to_vec());
            } else if key == "mtime" {
                let seconds = String::from_utf8_lossy(extension.value_bytes()).into_owned();
                let seconds: f64 = seconds.parse().unwrap_or_default();
                #[allow(clippy::cast_possible_truncation)]
                {
                    mtime = seconds.floor() as i64;
                }
            }
        }
    }
    let header = entry.header().clone();
    let device = |letter| -> std::io::Result<Kind> {
        Ok(Kind::Device(
            letter,
            header.device_major()?.unwrap_or_default(),
            header.device_minor()?.unwrap_or_default(),
        ))
    };
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link.clone()),
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char => device('c')?,
        EntryType::Block => device('b')?,
        EntryType::Link => {
            return Ok(Entry {
                path,
                node: None,
                link: clean(&link),
            });
        }
        _ => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Kind::File(content)
        }
    };
    let node = Node {
        inode: 0,
        kind,
        mode: header.mode()? & 0o7777,
        uid: header.uid()?,
        gid: header.gid()?,
        mtime,
        attributes,
    };
    Ok(Entry {
        path,
        node: Some(node),
        link: Vec::new(),
    })
}

fn clean(path: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    parts.join(&b'/')
}
