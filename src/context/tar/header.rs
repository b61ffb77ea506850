//! The blocks before an entry's content: PAX records where they are needed, and the header.

use std::borrow::Cow;

use tar::{EntryType, Header};

use super::pax::Records;
use super::{BLOCK, padding};
use crate::context::entry::{Entry, Kind, Mtime, Xattr};
use crate::context::name;

/// What fits into the octal fields of a header.
const MAX_ID: u32 = 0o777_7777;
const MAX_LONG: u64 = 0o777_7777_7777;
/// The length of the fields for names.
const NAME: usize = 100;

/// All blocks of an entry but its content.
pub(super) fn encode(entry: &Entry, xattrs: &[Xattr], fractions: bool) -> Vec<u8> {
    let mut path = name::to_bytes(&entry.path).into_owned();
    if entry.is_dir() {
        path.push(b'/');
    }
    let target = match &entry.kind {
        Kind::Symlink(target) | Kind::Hardlink(target) => name::to_bytes(target),
        _ => Cow::default(),
    };
    let records = records(entry, &path, &target, xattrs, fractions);
    let mut bytes = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let records = records.finish();
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        let (dir, base) = match entry.path.rsplit_once('/') {
            Some((dir, base)) => (format!("{dir}/"), base),
            None => (String::new(), &*entry.path),
        };
        set_name(&mut header, format!("{dir}PaxHeaders.0/{base}").as_bytes());
        set_numbers(&mut header, 0, 0, 0, records.len() as u64, 0);
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&records);
        bytes.resize(bytes.len() + padding(records.len() as u64), 0);
    }
    let mut header = Header::new_ustar();
    let (entry_type, device) = match entry.kind {
        Kind::File => (EntryType::Regular, None),
        Kind::Dir => (EntryType::Directory, None),
        Kind::Symlink(_) => (EntryType::Symlink, None),
        Kind::Hardlink(_) => (EntryType::Link, None),
        Kind::Fifo => (EntryType::Fifo, None),
        Kind::Char { major, minor } => (EntryType::Char, Some((major, minor))),
        Kind::Block { major, minor } => (EntryType::Block, Some((major, minor))),
    };
    header.set_entry_type(entry_type);
    set_name(&mut header, &path);
    let linkname = &mut header.as_old_mut().linkname;
    fill(linkname, &target);
    if let (Some((major, minor)), Some(ustar)) = (device, header.as_ustar_mut()) {
        ustar.set_device_major(major);
        ustar.set_device_minor(minor);
    }
    let size = if entry.is_file() { entry.size } else { 0 };
    set_numbers(
        &mut header,
        entry.mode,
        entry.uid,
        entry.gid,
        size,
        entry.mtime.secs,
    );
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

/// The records for what the header cannot hold.
fn records(
    entry: &Entry,
    path: &[u8],
    target: &[u8],
    xattrs: &[Xattr],
    fractions: bool,
) -> Records {
    let mut records = Records::default();
    let fits = |name: &[u8]| name.len() <= NAME && name.is_ascii();
    if !fits(path) {
        records.add("path", path);
    }
    if !fits(target) {
        records.add("linkpath", target);
    }
    if entry.is_file() && entry.size > MAX_LONG {
        records.add("size", entry.size.to_string().as_bytes());
    }
    for (key, id) in [("uid", entry.uid), ("gid", entry.gid)] {
        if id > MAX_ID {
            records.add(key, id.to_string().as_bytes());
        }
    }
    let Mtime { secs, nanos } = entry.mtime;
    if fractions && nanos > 0 {
        records.add("mtime", fraction(secs, nanos).as_bytes());
    } else if u64::try_from(secs).is_ok_and(|secs| secs <= MAX_LONG) {
        // The header holds it.
    } else {
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

/// The name in the header, which counts only when no record has it.
fn set_name(header: &mut Header, path: &[u8]) {
    fill(&mut header.as_old_mut().name, path);
}

fn fill(field: &mut [u8; NAME], text: &[u8]) {
    let ascii: Vec<u8> = text.iter().copied().filter(u8::is_ascii).collect();
    let mut cut = &ascii[..ascii.len().min(NAME)];
    if cut.len() < ascii.len() {
        // A name that happens to be cut at a slash must not look like a directory's.
        while let [start @ .., b'/'] = cut {
            cut = start;
        }
    }
    field[..cut.len()].copy_from_slice(cut);
}

fn set_numbers(header: &mut Header, mode: u32, uid: u32, gid: u32, size: u64, secs: i64) {
    header.set_mode(mode);
    header.set_uid(if uid > MAX_ID { 0 } else { u64::from(uid) });
    header.set_gid(if gid > MAX_ID { 0 } else { u64::from(gid) });
    header.set_size(if size > MAX_LONG { 0 } else { size });
    let secs = u64::try_from(secs).ok().filter(|secs| *secs <= MAX_LONG);
    header.set_mtime(secs.unwrap_or(0));
    header.set_cksum();
}
