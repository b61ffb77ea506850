//! The files of a result: in a directory, or as an archive.
//!
//! A directory that is there keeps what the result does not have. Everything written belongs to
//! whoever runs bowline, as with BuildKit. No link in the directory is followed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};

use super::saved::os_path;
use super::tree::{Node, Tree};
use crate::context::{Entry, Kind, LayerWriter, LinkId, Links, Mtime};

/// Writes the files into a directory; with an epoch, all of that time.
pub(super) fn write_directory(tree: &Tree, root: &Path, epoch: Option<i64>) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(|error| at(root, &error))?;
    let mut firsts: HashMap<(usize, u64), PathBuf> = HashMap::new();
    let mut directories = Vec::new();
    for node in tree.nodes() {
        let path = root.join(os_path(&node.entry.path));
        let time = time_of(node, epoch);
        write_node(tree, node, &path, &mut firsts)?;
        if node.entry.is_dir() {
            // Until everything is in it, it must let us in.
            let mode = node.entry.mode | 0o700;
            set_metadata(node, mode, &path)?;
            directories.push((path, node.entry.mode, time));
        } else {
            set_metadata(node, node.entry.mode, &path)?;
            set_time(&path, time)?;
        }
    }
    // What is written into a directory changes its time.
    for (path, mode, time) in directories.iter().rev() {
        let mode = std::fs::Permissions::from_mode(*mode);
        fs_err::set_permissions(path, mode)?;
        set_time(path, *time)?;
    }
    Ok(())
}

/// Gives a platform's directory the mode that BuildKit gives it.
pub(super) fn open_to_all(root: &Path) -> io::Result<()> {
    fs_err::set_permissions(root, std::fs::Permissions::from_mode(0o755))
}

/// Removes what is in a directory and not in the result.
pub(super) fn remove_others(tree: &Tree, root: &Path) -> io::Result<()> {
    let kept: std::collections::HashSet<PathBuf> = tree
        .nodes()
        .map(|node| root.join(os_path(&node.entry.path)))
        .collect();
    remove_but(root, &kept)
}

fn remove_but(dir: &Path, kept: &std::collections::HashSet<PathBuf>) -> io::Result<()> {
    for found in fs_err::read_dir(dir)? {
        let found = found?;
        let path = found.path();
        let is_dir = found.file_type()?.is_dir();
        if !kept.contains(&path) {
            if is_dir {
                fs_err::remove_dir_all(&path)?;
            } else {
                fs_err::remove_file(&path)?;
            }
        } else if is_dir {
            remove_but(&path, kept)?;
        }
    }
    Ok(())
}

fn write_node(
    tree: &Tree,
    node: &Node,
    path: &Path,
    firsts: &mut HashMap<(usize, u64), PathBuf>,
) -> io::Result<()> {
    let there = match fs_err::symlink_metadata(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let is_dir = there.as_ref().is_some_and(std::fs::Metadata::is_dir);
    if node.entry.is_dir() {
        if !is_dir {
            if there.is_some() {
                fs_err::remove_file(path)?;
            }
            fs_err::create_dir(path)?;
        }
        return Ok(());
    }
    // Made beside its place and moved there: who reads the old file never sees half of the new.
    let parent = path.parent().unwrap_or(Path::new("."));
    let fresh =
        tempfile::Builder::new()
            .prefix(".bowline-")
            .make_in(parent, |fresh| match &node.entry.kind {
                Kind::File => match firsts.get(&node.place) {
                    Some(first) => fs_err::hard_link(first, fresh),
                    None => fs_err::File::create_new(fresh).map(drop),
                },
                Kind::Symlink(target) => fs_err::os::unix::fs::symlink(os_path(target), fresh),
                Kind::Fifo => device(fresh, FileType::Fifo, 0, 0),
                Kind::Char { major, minor } => {
                    device(fresh, FileType::CharacterDevice, *major, *minor)
                }
                Kind::Block { major, minor } => {
                    device(fresh, FileType::BlockDevice, *major, *minor)
                }
                Kind::Dir | Kind::Hardlink(_) => Ok(()),
            })?;
    if node.entry.is_file() && !firsts.contains_key(&node.place) {
        let mut file = fs_err::File::options().write(true).open(fresh.path())?;
        let written = io::copy(&mut tree.content(node)?, &mut file)?;
        if written != node.entry.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if is_dir {
        fs_err::remove_dir_all(path)?;
    }
    fs_err::rename(fresh.path(), path)?;
    // Its place has a new name; there is nothing to remove. A link to itself is not moved, and
    // its second name goes here.
    drop(fresh);
    if node.entry.is_file() {
        firsts.entry(node.place).or_insert_with(|| path.to_owned());
    }
    Ok(())
}

fn device(path: &Path, kind: FileType, major: u32, minor: u32) -> io::Result<()> {
    let device = rustix::fs::makedev(major, minor);
    Ok(rustix::fs::mknodat(
        CWD,
        path,
        kind,
        Mode::from_raw_mode(0o600),
        device,
    )?)
}

fn set_metadata(node: &Node, mode: u32, path: &Path) -> io::Result<()> {
    for (name, value) in &node.xattrs {
        // File systems take those they know, as with BuildKit.
        if let Err(error) = xattr::set(path, OsStr::new(name), value) {
            tracing::debug!(path = %path.display(), name, %error, "an extended attribute is lost");
        }
    }
    match node.entry.kind {
        Kind::Symlink(_) => Ok(()),
        _ => fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)),
    }
}

fn set_time(path: &Path, time: Mtime) -> io::Result<()> {
    let time = Timespec {
        tv_sec: time.secs,
        tv_nsec: time.nanos.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(rustix::fs::utimensat(
        CWD,
        path,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn time_of(node: &Node, epoch: Option<i64>) -> Mtime {
    epoch.map_or(node.entry.mtime, |secs| Mtime { secs, nanos: 0 })
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// Writes the files of trees as a tar, each tree in its directory if it has one.
pub(super) fn write_tar(
    trees: &[(Option<String>, Tree)],
    out: impl Write,
    epoch: Option<i64>,
) -> io::Result<()> {
    let mut archive = LayerWriter::new(out);
    for (below, tree) in trees {
        if let Some(below) = below {
            let mut entry = Entry::new(below, Kind::Dir, 0o755);
            entry.mtime.secs = epoch.unwrap_or(0);
            archive.add(&entry, &[]).map_err(io::Error::other)?;
        }
        let mut links = Links::default();
        for node in tree.nodes() {
            let mut entry = node.entry.clone();
            if let Some(below) = below {
                entry.path = format!("{below}/{}", entry.path);
            }
            entry.mtime = time_of(node, epoch);
            if entry.is_file() {
                entry.link = Some(LinkId {
                    device: node.place.0 as u64,
                    inode: node.place.1,
                });
                if let Some(first) = links.earlier(&entry, &entry.path) {
                    entry.kind = Kind::Hardlink(first);
                    entry.size = 0;
                }
            }
            archive
                .add_file(&entry, &node.xattrs, &mut tree.content(node)?)
                .map_err(io::Error::other)?;
        }
    }
    archive.finish().map_err(io::Error::other)?;
    Ok(())
}
