//! What a step has changed: reads the upper directory of its overlay, as entries of a layer.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::sys::room::{self, BLOCK, CHAR, FIFO};
use super::wire::share::{LayerFile, LayerKind};

/// Hides what the layers below have in a directory.
const OPAQUE: &str = "trusted.overlay.opaque";
/// The one extended attribute that engines keep in layers.
const CAPABILITY: &str = "security.capability";

/// How many bytes are in the files below a directory.
pub(crate) fn size(upper: &Path) -> io::Result<u64> {
    let mut size = 0;
    for name in names(upper)? {
        let path = upper.join(OsStr::from_bytes(&name));
        let data = fs::symlink_metadata(&path)?;
        if data.is_dir() {
            size += self::size(&path)?;
        } else if data.is_file() {
            size += data.len();
        }
    }
    Ok(size)
}

/// Gives the entries of a layer, each directory before what is in it, to `take`, together with
/// the path that a file's content is at; the entries' own content is empty.
pub(crate) fn walk(
    upper: &Path,
    take: &mut dyn FnMut(LayerFile, &Path) -> io::Result<()>,
) -> io::Result<()> {
    directory(upper, &[], &mut BTreeMap::new(), take)
}

/// The first names of files with several.
type Names = BTreeMap<(u64, u64), Vec<u8>>;

fn directory(
    at: &Path,
    above: &[u8],
    linked: &mut Names,
    take: &mut dyn FnMut(LayerFile, &Path) -> io::Result<()>,
) -> io::Result<()> {
    for name in names(at)? {
        let path = at.join(OsStr::from_bytes(&name));
        let mut shown = above.to_vec();
        if !shown.is_empty() {
            shown.push(b'/');
        }
        shown.extend(&name);
        let data = fs::symlink_metadata(&path)?;
        let Some(kind) = kind(&path, &data, &shown, linked)? else {
            continue;
        };
        let capability = match kind {
            LayerKind::File => room::attribute(&path, CAPABILITY)?,
            _ => None,
        };
        let capability = capability.map(|value| (CAPABILITY.into(), value));
        let is_directory = data.is_dir();
        let file = LayerFile {
            path: shown.clone(),
            kind,
            mode: data.mode() & 0o7777,
            uid: data.uid(),
            gid: data.gid(),
            seconds: data.mtime(),
            nanos: u32::try_from(data.mtime_nsec()).unwrap_or_default(),
            xattrs: capability.into_iter().collect(),
            content: Vec::new(),
        };
        take(file, &path)?;
        if is_directory {
            directory(&path, &shown, linked, take)?;
        }
    }
    Ok(())
}

fn kind(
    path: &Path,
    data: &Metadata,
    shown: &[u8],
    linked: &mut Names,
) -> io::Result<Option<LayerKind>> {
    let found = data.file_type();
    if found.is_char_device() && data.rdev() == 0 {
        return Ok(Some(LayerKind::Whiteout));
    }
    if found.is_dir() {
        let opaque = room::attribute(path, OPAQUE)?.is_some_and(|value| value == b"y");
        return Ok(Some(LayerKind::Directory { opaque }));
    }
    // Layers cannot hold what somebody listens at.
    if found.is_socket() {
        return Ok(None);
    }
    if data.nlink() > 1 {
        let id = (data.dev(), data.ino());
        if let Some(first) = linked.get(&id) {
            return Ok(Some(LayerKind::Hardlink(first.clone())));
        }
        linked.insert(id, shown.to_vec());
    }
    Ok(Some(if found.is_symlink() {
        LayerKind::Symlink(fs::read_link(path)?.into_os_string().into_vec())
    } else if found.is_fifo() {
        LayerKind::Fifo
    } else if found.is_char_device() {
        LayerKind::Char(data.rdev())
    } else if found.is_block_device() {
        LayerKind::Block(data.rdev())
    } else {
        LayerKind::File
    }))
}

fn names(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().into_vec());
    }
    names.sort();
    Ok(names)
}

/// Does to the files below `root` what a layer says.
pub(crate) fn apply(upper: &Path, root: &Path) -> io::Result<()> {
    let mut putting = Putting::new(root);
    walk(upper, &mut |file, from| putting.put(file, Some(from)))?;
    putting.finish()
}

/// Files on their way to a place.
pub(crate) struct Putting<'a> {
    root: &'a Path,
    directories: Vec<LayerFile>,
}

impl<'a> Putting<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self {
            root,
            directories: Vec::new(),
        }
    }

    /// Puts a file, with the content of another or its own.
    pub(crate) fn put(&mut self, file: LayerFile, from: Option<&Path>) -> io::Result<()> {
        let to = self.root.join(OsStr::from_bytes(&file.path));
        put(&file, from, &to, self.root)?;
        match file.kind {
            LayerKind::Directory { .. } => self.directories.push(file),
            LayerKind::Whiteout | LayerKind::Hardlink(_) => {}
            _ => room::set_modified(&to, file.seconds, i64::from(file.nanos))?,
        }
        Ok(())
    }

    /// What was put into a directory has changed its time.
    pub(crate) fn finish(self) -> io::Result<()> {
        for file in self.directories.iter().rev() {
            let to = self.root.join(OsStr::from_bytes(&file.path));
            room::set_modified(&to, file.seconds, i64::from(file.nanos))?;
        }
        Ok(())
    }
}

fn put(file: &LayerFile, from: Option<&Path>, to: &Path, root: &Path) -> io::Result<()> {
    let there = fs::symlink_metadata(to);
    let stays = matches!(file.kind, LayerKind::Directory { opaque: false })
        && there.as_ref().is_ok_and(Metadata::is_dir);
    match there {
        Ok(data) if data.is_dir() && !stays => fs::remove_dir_all(to)?,
        Ok(data) if !data.is_dir() => fs::remove_file(to)?,
        _ => {}
    }
    match &file.kind {
        LayerKind::Whiteout => return Ok(()),
        LayerKind::Hardlink(first) => {
            return fs::hard_link(root.join(OsStr::from_bytes(first)), to);
        }
        LayerKind::Symlink(target) => {
            std::os::unix::fs::symlink(OsStr::from_bytes(target), to)?;
            return std::os::unix::fs::lchown(to, Some(file.uid), Some(file.gid));
        }
        LayerKind::Directory { .. } if stays => {}
        LayerKind::Directory { .. } => fs::create_dir(to)?,
        LayerKind::File => match from {
            Some(from) => {
                fs::copy(from, to)?;
            }
            None => fs::write(to, &file.content)?,
        },
        LayerKind::Fifo => room::make_node(to, FIFO | file.mode, 0)?,
        LayerKind::Char(device) => room::make_node(to, CHAR | file.mode, *device)?,
        LayerKind::Block(device) => room::make_node(to, BLOCK | file.mode, *device)?,
    }
    // Whoever owns it first: that takes special modes and capabilities away.
    std::os::unix::fs::lchown(to, Some(file.uid), Some(file.gid))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(file.mode);
    fs::set_permissions(to, mode)?;
    for (name, value) in &file.xattrs {
        let name = OsStr::from_bytes(name).to_string_lossy();
        room::set_attribute(to, &name, value)?;
    }
    Ok(())
}
