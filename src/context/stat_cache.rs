//! File digests remembered between builds.
//!
//! The file is a magic text, a digest of the rest, and records of equal size sorted by key: a
//! look-up is a search in the bytes as they were read.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::entry::Mtime;
use super::tree::Stamp;

const MAGIC: &[u8; 16] = b"bowline files 1\n";
const FILE: &str = "files";
/// The most records that are kept; the ones that were used last.
const MOST: usize = 400_000;
/// A key, the day of the last use, a digest.
const RECORD: usize = KEY + DAY + 32;
const KEY: usize = 16;
const DAY: usize = 4;
const HEAD: usize = 16 + 32;

/// How long a file must have rested before it was hashed: longer than a file system's clock
/// takes to tick, so that no later change can have the same time.
const REST: Duration = Duration::from_millis(100);
/// The same where times have no fraction, as on file systems that keep whole seconds.
const COARSE_REST: Duration = Duration::from_millis(2100);

/// The digests of files by (path, size, mtime, ctime, inode, device).
///
/// Never wrong by design: a file whose times are as new as the moment it was hashed is not
/// remembered. A file of the cache that is missing, broken or from another version is an
/// empty cache.
pub struct StatCache {
    path: PathBuf,
    today: u32,
    /// The records as they were read, without the head.
    known: Vec<u8>,
    new: Mutex<BTreeMap<[u8; KEY], [u8; 32]>>,
    /// Records that were used but are from another day.
    used: Mutex<Vec<[u8; KEY]>>,
}

impl StatCache {
    /// Reads the cache in the directory `dir`, which need not exist.
    pub fn open(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let today = u32::try_from(since_1970.as_secs() / 86_400).unwrap_or_default();
        let known = read(&path);
        Self {
            path,
            today,
            known,
            new: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// Writes what is new, together with what other builds wrote meanwhile. Nothing happens
    /// when nothing is new.
    pub fn save(&self) -> io::Result<()> {
        let mut new = lock(&self.new);
        let mut used = lock(&self.used);
        if new.is_empty() && used.is_empty() {
            return Ok(());
        }
        used.sort_unstable();
        let mut records: Vec<[u8; RECORD]> = Vec::new();
        for known in read(&self.path).as_chunks::<RECORD>().0 {
            let mut record = *known;
            let key: [u8; KEY] = *key_of(&record);
            if new.contains_key(&key) {
                continue;
            }
            if used.binary_search(&key).is_ok() {
                record[KEY..KEY + DAY].copy_from_slice(&self.today.to_be_bytes());
            }
            records.push(record);
        }
        for (key, digest) in &*new {
            let mut record = [0; RECORD];
            record[..KEY].copy_from_slice(key);
            record[KEY..KEY + DAY].copy_from_slice(&self.today.to_be_bytes());
            record[KEY + DAY..].copy_from_slice(digest);
            records.push(record);
        }
        if records.len() > MOST {
            records.sort_by(|a, b| day_of(b).cmp(day_of(a)));
            records.truncate(MOST);
        }
        records.sort_unstable();
        write(&self.path, records.as_flattened())?;
        new.clear();
        used.clear();
        Ok(())
    }

    /// How many digests are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.known.len() / RECORD + lock(&self.new).len()
    }

    /// The digest that is remembered for a file.
    pub(super) fn get(&self, stamp: &Stamp) -> Option<[u8; 32]> {
        let records = self.known.as_chunks::<RECORD>().0;
        let Ok(at) = records.binary_search_by(|record| key_of(record).cmp(&stamp.key)) else {
            return lock(&self.new).get(&stamp.key).copied();
        };
        if *day_of(&records[at]) != self.today.to_be_bytes() {
            lock(&self.used).push(stamp.key);
        }
        records[at].last_chunk().copied()
    }

    /// Remembers a digest, if the file had rested when reading it `started`.
    pub(super) fn put(&self, stamp: &Stamp, digest: [u8; 32], started: SystemTime) {
        if has_rested(stamp.changed, started) {
            lock(&self.new).insert(stamp.key, digest);
        }
    }
}

/// Whether a change after `now` is sure to get another time than `changed`.
fn has_rested(changed: Mtime, now: SystemTime) -> bool {
    let rest = if changed.nanos == 0 {
        COARSE_REST
    } else {
        REST
    };
    let Ok(secs) = u64::try_from(changed.secs) else {
        return true;
    };
    let changed = UNIX_EPOCH + Duration::new(secs, changed.nanos);
    now.duration_since(changed).is_ok_and(|age| age > rest)
}

fn key_of(record: &[u8; RECORD]) -> &[u8; KEY] {
    record
        .first_chunk()
        .expect("a record is longer than its key")
}

fn day_of(record: &[u8; RECORD]) -> &[u8; DAY] {
    record[KEY..]
        .first_chunk()
        .expect("a record is longer than its day")
}

/// The records of a cache file; none of one that is not right.
fn read(path: &Path) -> Vec<u8> {
    let Ok(mut bytes) = fs_err::read(path) else {
        return Vec::new();
    };
    let Some((head, records)) = bytes.split_first_chunk::<HEAD>() else {
        return Vec::new();
    };
    let right = head.starts_with(MAGIC)
        && head.ends_with(blake3::hash(records).as_bytes())
        && records.len() % RECORD == 0;
    if !right {
        return Vec::new();
    }
    bytes.drain(..HEAD);
    bytes
}

/// Replaces the cache file at once, so that another build reads the old one or the new one.
fn write(path: &Path, records: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(dir)?;
    let mut file = tempfile::Builder::new()
        .prefix(".files-")
        .tempfile_in(dir)?;
    file.write_all(MAGIC)?;
    file.write_all(blake3::hash(records).as_bytes())?;
    file.write_all(records)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
