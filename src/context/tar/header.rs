//! The blocks before an entry's content: PAX records where they are needed, and the header.
//!
//! Byte for byte what Go's `archive/tar` writes for Docker and containerd, so that the layer
//! of a copy is the very one that BuildKit makes of the same files, with the same digest.

use super::pax::Records;
use super::{BLOCK, padding};
use crate::context::entry::{Entry, Kind, Mtime, Xattr};
use crate::context::name;

/// What fits into the octal fields of a header.
const MAX_SHORT: u32 = 0o777_7777;
const MAX_LONG: u64 = 0o777_7777_7777;
/// The lengths of the fields for names.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// All blocks of an entry but its content.
pub(super) fn encode(entry: &Entry, xattrs: &[Xattr], fractions: bool) -> Vec<u8> {
    let mut path = name::to_bytes(&entry.path).into_owned();
    if entry.is_dir() {
        path.push(b'/');
    }
    let target = match &entry.kind {
        Kind::Symlink(target) | Kind::Hardlink(target) => name::to_bytes(target).into_owned(),
        _ => Vec::new(),
    };
    let mut records = records(entry, &target, xattrs, fractions);
    let mut parts = split(&path);
    if parts.is_none() || (path.len() > NAME && !records.is_empty()) {
        records.add("path", &path);
        parts = None;
    }
    let mut bytes = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let records = records.finish();
        let mut block = Block::default();
        let base = path
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |at| at + 1);
        let middle: &[u8] = if base == path.len() {
            b"PaxHeaders.0"
        } else {
            b"PaxHeaders.0/"
        };
        block.text(0, NAME, &[&path[..base], middle, &path[base..]].concat());
        block.numbers(&Entry::new("", Kind::File, 0), records.len() as u64);
        block.finish(b'x', &mut bytes);
        bytes.extend_from_slice(&records);
        bytes.resize(bytes.len() + padding(records.len() as u64), 0);
    }
    let mut block = Block::default();
    let (prefix, name) = parts.unwrap_or((b"", &path));
    block.text(0, NAME, name);
    block.text(345, PREFIX, prefix);
    block.text(157, NAME, &target);
    block.numbers(entry, if entry.is_file() { entry.size } else { 0 });
    let (flag, major, minor) = match entry.kind {
        Kind::File => (b'0', 0, 0),
        Kind::Hardlink(_) => (b'1', 0, 0),
        Kind::Symlink(_) => (b'2', 0, 0),
        Kind::Char { major, minor } => (b'3', major, minor),
        Kind::Block { major, minor } => (b'4', major, minor),
        Kind::Dir => (b'5', 0, 0),
        Kind::Fifo => (b'6', 0, 0),
    };
    block.octal(329, 8, u64::from(major));
    block.octal(337, 8, u64::from(minor));
    block.finish(flag, &mut bytes);
    bytes
}

/// A path as prefix and name, as the fields of a header hold it; `None` when they cannot.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= NAME {
        return Some((b"", path));
    }
    let searched = path.strip_suffix(b"/").unwrap_or(path);
    let searched = &searched[..searched.len().min(PREFIX + 1)];
    let slash = searched
        .iter()
        .rposition(|&byte| byte == b'/')
        .filter(|&at| at > 0)?;
    let name = &path[slash + 1..];
    (!name.is_empty() && name.len() <= NAME).then_some((&path[..slash], name))
}

/// The records for what the header cannot hold, the path left out.
fn records(entry: &Entry, target: &[u8], xattrs: &[Xattr], fractions: bool) -> Records {
    let mut records = Records::default();
    if target.len() > NAME || !target.is_ascii() {
        records.add("linkpath", target);
    }
    if entry.is_file() && entry.size > MAX_LONG {
        records.add("size", entry.size.to_string().as_bytes());
    }
    for (key, id) in [("uid", entry.uid), ("gid", entry.gid)] {
        if id > MAX_SHORT {
            records.add(key, id.to_string().as_bytes());
        }
    }
    let Mtime { secs, nanos } = entry.mtime;
    if fractions && nanos > 0 {
        records.add("mtime", fraction(secs, nanos).as_bytes());
    } else if u64::try_from(secs).map_or(true, |secs| secs > MAX_LONG) {
        records.add("mtime", secs.to_string().as_bytes());
    }
    for (key, value) in xattrs {
        records.add(&format!("SCHILY.xattr.{key}"), value);
    }
    records
}

/// A time as a decimal number. Half a second before 1970 is -1 s and 500,000,000 ns, or -0.5.
fn fraction(secs: i64, nanos: u32) -> String {
    let (sign, secs, nanos) = if secs < 0 {
        ("-", secs.unsigned_abs() - 1, 1_000_000_000 - nanos)
    } else {
        ("", secs.unsigned_abs(), nanos)
    };
    let text = format!("{sign}{secs}.{nanos:09}");
    text.trim_end_matches('0').to_owned()
}

/// A header block that is filled in.
struct Block([u8; BLOCK]);

impl Default for Block {
    fn default() -> Self {
        Self([0; BLOCK])
    }
}

impl Block {
    /// As much of a text as fits, without what is no ASCII. When it is cut, or loses
    /// characters, a record has it whole.
    fn text(&mut self, start: usize, length: usize, text: &[u8]) {
        let ascii: Vec<u8> = text.iter().copied().filter(u8::is_ascii).collect();
        let mut cut = &ascii[..ascii.len().min(length)];
        if cut.len() < ascii.len() {
            // A name that happens to be cut at a slash must not look like a directory's.
            while let [start @ .., b'/'] = cut {
                cut = start;
            }
        }
        self.0[start..start + cut.len()].copy_from_slice(cut);
    }

    /// Octal digits and a zero byte; 0 for what does not fit, which a record has.
    fn octal(&mut self, start: usize, length: usize, number: u64) {
        let digits = format!("{number:0width$o}", width = length - 1);
        let digits = if digits.len() < length {
            digits
        } else {
            "0".repeat(length - 1)
        };
        self.0[start..start + digits.len()].copy_from_slice(digits.as_bytes());
    }

    fn numbers(&mut self, entry: &Entry, size: u64) {
        self.octal(100, 8, u64::from(entry.mode));
        self.octal(108, 8, u64::from(entry.uid));
        self.octal(116, 8, u64::from(entry.gid));
        self.octal(124, 12, size);
        self.octal(136, 12, u64::try_from(entry.mtime.secs).unwrap_or_default());
    }

    fn finish(mut self, flag: u8, bytes: &mut Vec<u8>) {
        self.0[156] = flag;
        self.0[257..265].copy_from_slice(b"ustar\x0000");
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        self.octal(148, 7, u64::from(sum));
        self.0[154] = 0;
        bytes.extend_from_slice(&self.0);
    }
}
