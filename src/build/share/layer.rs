//! The layer of a step that ran in a shared container, from the entries that came out of it.

use bytes::Bytes;
use futures::StreamExt as _;

use crate::context::{Entry, Kind, LayerError, LayerWriter, Mtime, name};
use crate::engine::NewLayer;
use crate::init::wire::share::{LayerFile, LayerKind};

/// Writes the layer as engines write those of containers.
pub(super) fn of_files(files: &[LayerFile]) -> Result<NewLayer, LayerError> {
    let mut writer = LayerWriter::new(Vec::new()).unhashed();
    for file in files {
        let path = text(&file.path);
        let kind = match &file.kind {
            LayerKind::Whiteout => {
                writer.whiteout(&path)?;
                continue;
            }
            LayerKind::File => Kind::File,
            LayerKind::Directory { .. } => Kind::Dir,
            LayerKind::Symlink(to) => Kind::Symlink(text(to)),
            LayerKind::Hardlink(first) => Kind::Hardlink(text(first)),
            LayerKind::Fifo => Kind::Fifo,
            LayerKind::Char(device) => {
                let (major, minor) = numbers(*device);
                Kind::Char { major, minor }
            }
            LayerKind::Block(device) => {
                let (major, minor) = numbers(*device);
                Kind::Block { major, minor }
            }
        };
        let opaque = matches!(file.kind, LayerKind::Directory { opaque: true });
        let mut entry = Entry::new(path, kind, file.mode);
        (entry.uid, entry.gid) = (file.uid, file.gid);
        entry.mtime = Mtime {
            secs: file.seconds,
            nanos: file.nanos,
        };
        entry.size = file.content.len() as u64;
        let xattrs = file.xattrs.iter();
        let xattrs = xattrs.map(|(name, value)| (text(name), value.clone()));
        let xattrs: Vec<_> = xattrs.collect();
        writer.add_file(&entry, &xattrs, &mut file.content.as_slice())?;
        if opaque {
            writer.opaque(&entry.path)?;
        }
    }
    let (bytes, size) = writer.end()?;
    let content = futures::stream::once(async move { Ok(Bytes::from(bytes)) }).boxed();
    Ok(NewLayer { size, content })
}

fn text(bytes: &[u8]) -> String {
    name::from_bytes(bytes)
}

/// As the kernel packs them.
fn numbers(device: u64) -> (u32, u32) {
    let major = device >> 8 & 0xfff | device >> 32 & !0xfff;
    let minor = device & 0xff | device >> 12 & !0xff;
    let number = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or_default();
    (number(major), number(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_two_numbers() {
        assert_eq!(numbers(0x0103), (1, 3));
        assert_eq!(numbers(0x0010_0800), (8, 256));
    }
}
