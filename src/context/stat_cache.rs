//! File digests remembered between builds.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::entry::{Entry, Mtime};

/// Changes when the files of old versions must not be read any more.
const MAGIC: &[u8; 8] = b"bwlstat1";
const RECORD: usize = 16 + 32;

/// How many files are remembered at most: 48 MB.
const MOST: usize = 1_000_000;

/// A file changed within this many seconds of being read may change again within its
/// file system's resolution of time, and is not remembered.
const SETTLED_AFTER: i64 = 2;

type Key = [u8; 16];
type Value = [u8; 32];

/// The digests of files by (path, size, mtime, ctime, inode, device).
///
/// Never wrong by design: a file whose times are as new as the moment it was hashed is not
/// remembered. A file of the cache that is missing, broken or from another version is an
/// empty cache.
pub struct StatCache {
    file: PathBuf,
    known: HashMap<Key, Value>,
    learned: Mutex<HashMap<Key, Value>>,
}

impl StatCache {
    /// Reads the cache in the directory `dir`, which need not exist.
    pub fn open(dir: &Path) -> Self {
        let file = dir.join("file-digests");
        let known = read(&file).into_iter().collect();
        Self {
            file,
            known,
            learned: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Value> {
        self.known.get(key).or(self.learned().get(key)).copied()
    }

    /// Remembers a digest, unless the file is so new that it may change unnoticed.
    pub(super) fn put(&self, entry: &Entry, key: Key, value: Value) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let settled = |time: Mtime| time.secs <= now - SETTLED_AFTER;
        if settled(entry.mtime) && settled(entry.origin.ctime) {
            self.learned().insert(key, value);
        }
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Value>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is new, together with what other builds wrote meanwhile. Nothing happens
    /// when nothing is new.
    pub fn save(&self) -> io::Result<()> {
        let learned = self.learned();
        if learned.is_empty() {
            return Ok(());
        }
        let dir = self.file.parent().unwrap_or(Path::new("."));
        fs_err::create_dir_all(dir)?;
        // What is new goes last, and the front is what is forgotten first.
        let mut records: Vec<(Key, Value)> = read(&self.file);
        records.retain(|(key, _)| !learned.contains_key(key));
        records.extend(learned.iter().map(|(key, value)| (*key, *value)));
        let forgotten = records.len().saturating_sub(MOST);
        let mut bytes = Vec::with_capacity(MAGIC.len() + RECORD * (records.len() - forgotten));
        bytes.extend_from_slice(MAGIC);
        for (key, value) in &records[forgotten..] {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
        }
        let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
        temporary.write_all(&bytes)?;
        temporary.persist(&self.file).map_err(|error| error.error)?;
        Ok(())
    }
}

fn read(file: &Path) -> Vec<(Key, Value)> {
    let bytes = fs_err::read(file).unwrap_or_default();
    let Some(records) = bytes.strip_prefix(MAGIC) else {
        return Vec::new();
    };
    let records = records.chunks_exact(RECORD).filter_map(|record| {
        let (key, value) = record.split_at(16);
        Some((key.try_into().ok()?, value.try_into().ok()?))
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Kind;

    #[test]
    fn remembers_settled_files_and_survives_a_broken_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut entry = Entry::new("a", Kind::File, 0o644);
        let cache = StatCache::open(dir.path());
        cache.put(&entry, [1; 16], [2; 32]);
        cache.save().unwrap();
        let again = StatCache::open(dir.path());
        assert_eq!(again.get(&[1; 16]), Some([2; 32]));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        entry.mtime.secs = now.cast_signed();
        again.put(&entry, [3; 16], [4; 32]);
        assert_eq!(again.get(&[3; 16]), None);
        fs_err::write(dir.path().join("file-digests"), b"something else").unwrap();
        assert_eq!(StatCache::open(dir.path()).get(&[1; 16]), None);
    }
}
