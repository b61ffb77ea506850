//! The files of a copy as entries for a container in which a later step runs.

use std::io::{self, Read as _};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::gather::Problem;
use super::place::{Content, LayerFile, Placed};
use crate::context::{Kind, Xattr, name};
use crate::init::wire::share;

/// How much goes at once, if it is not all of one file.
const PART: usize = 256 << 10;

/// Gives the entries in parts, as long as somebody takes them.
pub(super) fn parts(placed: Arc<Placed>) -> mpsc::Receiver<Vec<u8>> {
    let (give, take) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut part = Vec::new();
        for file in placed.files.values() {
            match entry(file) {
                Ok(entry) => part.extend(entry.encode()),
                // Whoever sends the layer to the engine meets it too, and tells it. Bytes that
                // are no entry end the work in the container.
                Err(_) => part = vec![0],
            }
            if part.len() >= PART && give.blocking_send(std::mem::take(&mut part)).is_err() {
                return;
            }
        }
        let _ = give.blocking_send(part);
    });
    take
}

fn entry(file: &LayerFile) -> Result<share::LayerFile, Problem> {
    let mut content = Vec::new();
    let xattrs = match &file.content {
        Content::None { xattrs } => xattrs.clone(),
        Content::Bytes(bytes) => {
            content.extend_from_slice(bytes);
            Vec::new()
        }
        Content::Tree { tree, entry } => {
            if file.entry.is_file() {
                let size = file.entry.size;
                let read = tree.open(entry)?.take(size + 1).read_to_end(&mut content);
                let read = read.map_err(|error| Problem::Other(failed(&error)))?;
                if read as u64 != size {
                    let changed = io::Error::other("it changed while the build read it");
                    return Err(Problem::Other(failed(&changed)));
                }
            }
            tree.xattrs(entry)?
        }
    };
    let bytes = |text: &str| name::to_bytes(text).into_owned();
    let kind = match &file.entry.kind {
        Kind::File => share::LayerKind::File,
        Kind::Dir => share::LayerKind::Directory { opaque: false },
        Kind::Symlink(to) => share::LayerKind::Symlink(bytes(to)),
        Kind::Hardlink(first) => share::LayerKind::Hardlink(bytes(first)),
        Kind::Fifo => share::LayerKind::Fifo,
        Kind::Char { major, minor } => share::LayerKind::Char(device(*major, *minor)),
        Kind::Block { major, minor } => share::LayerKind::Block(device(*major, *minor)),
    };
    let xattr = |(name, value): &Xattr| (bytes(name), value.clone());
    Ok(share::LayerFile {
        path: bytes(&file.entry.path),
        kind,
        mode: file.entry.mode,
        uid: file.entry.uid,
        gid: file.entry.gid,
        seconds: file.entry.mtime.secs,
        nanos: file.entry.mtime.nanos,
        xattrs: xattrs.iter().map(xattr).collect(),
        content,
    })
}

fn failed(error: &io::Error) -> crate::diag::Diagnostic {
    crate::diag::Diagnostic::error(error.to_string())
}

/// As the kernel packs them.
fn device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}
