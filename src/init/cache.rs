//! The pool of directories behind a cache mount, in a volume of its own.
//!
//! `lock` guards the pool while it is looked through. Each directory is `N/data` beside `N/lock`;
//! who uses it holds a lock on that file, shared or alone. These are locks of the kernel under
//! all containers of the engine: a killed step holds none.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::sys::{self, Lock};
use super::wire::{Cache, DATA, Sharing};

/// How often a locked directory is asked for.
const PAUSE: Duration = Duration::from_millis(40);

/// As many names of builds that emptied the pool are remembered.
const REMEMBERED: usize = 32;

/// A directory in use.
pub(crate) struct Held {
    pub(crate) directory: PathBuf,
    _lock: File,
}

/// Takes a directory out of the pool, or makes one.
pub(crate) fn take(pool: &Path, wanted: &Cache) -> io::Result<Held> {
    loop {
        let guard = open(&pool.join("lock"))?;
        sys::lock(&guard, Lock::Wait)?;
        refresh(pool, &wanted.fresh)?;
        let mut numbers = numbers(pool)?;
        numbers.sort_unstable();
        let how = match wanted.sharing {
            Sharing::Shared => Lock::TryShared,
            Sharing::Private | Sharing::Locked => Lock::TryAlone,
        };
        for number in &numbers {
            let place = pool.join(number.to_string());
            let lock = open(&place.join("lock"))?;
            let directory = place.join(DATA);
            // A step that was killed while it made one leaves it without the directory.
            if sys::lock(&lock, how)? && directory.is_dir() {
                drop_seed(pool, wanted)?;
                return Ok(Held {
                    directory,
                    _lock: lock,
                });
            }
        }
        if wanted.sharing == Sharing::Locked && !numbers.is_empty() {
            drop(guard);
            thread::sleep(PAUSE);
            continue;
        }
        let number = numbers.last().map_or(0, |last| last + 1);
        return make(pool, number, wanted, how);
    }
}

fn make(pool: &Path, number: u64, wanted: &Cache, how: Lock) -> io::Result<Held> {
    let place = pool.join(number.to_string());
    fs::create_dir(&place)?;
    let lock = open(&place.join("lock"))?;
    if !sys::lock(&lock, how)? {
        return Err(io::Error::other("a new directory is locked"));
    }
    let directory = place.join(DATA);
    if wanted.seed.is_empty() {
        fs::create_dir(&directory)?;
        chown(&directory, Some(wanted.uid), Some(wanted.gid))?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(wanted.mode))?;
    } else {
        fs::rename(seed(pool, wanted), &directory)?;
    }
    Ok(Held {
        directory,
        _lock: lock,
    })
}

fn seed(pool: &Path, wanted: &Cache) -> PathBuf {
    pool.join(std::ffi::OsStr::from_bytes(&wanted.seed))
}

/// What was brought to begin with is not needed.
fn drop_seed(pool: &Path, wanted: &Cache) -> io::Result<()> {
    if wanted.seed.is_empty() {
        return Ok(());
    }
    match fs::remove_dir_all(seed(pool, wanted)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Empties the pool once for a build that ignores what was cached. What others still use is put
/// aside, and goes when they have ended.
fn refresh(pool: &Path, fresh: &[u8]) -> io::Result<()> {
    for entry in fs::read_dir(pool)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(b"old-") {
            remove_unused(&entry.path())?;
        }
    }
    if fresh.is_empty() {
        return Ok(());
    }
    let known = pool.join("fresh");
    let text = fs::read(&known).unwrap_or_default();
    let mut names: Vec<&[u8]> = text
        .split(|b| *b == b'\n')
        .filter(|n| !n.is_empty())
        .collect();
    if names.contains(&fresh) {
        return Ok(());
    }
    for number in numbers(pool)? {
        let place = pool.join(number.to_string());
        if !remove_unused(&place)? {
            let name = String::from_utf8_lossy(fresh).into_owned();
            fs::rename(&place, pool.join(format!("old-{name}-{number}")))?;
        }
    }
    names.push(fresh);
    let first = names.len().saturating_sub(REMEMBERED);
    fs::write(&known, names[first..].join(&b'\n'))
}

fn remove_unused(place: &Path) -> io::Result<bool> {
    let lock = open(&place.join("lock"))?;
    let unused = sys::lock(&lock, Lock::TryAlone)?;
    if unused {
        fs::remove_dir_all(place)?;
    }
    Ok(unused)
}

fn numbers(pool: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(pool)? {
        if let Some(number) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn wanted(sharing: Sharing, pool: &Path) -> Cache {
        let owner = fs::metadata(pool).unwrap();
        Cache {
            number: 0,
            sharing,
            mode: 0o750,
            uid: owner.uid(),
            gid: owner.gid(),
            seed: Vec::new(),
            fresh: Vec::new(),
        }
    }

    fn number(held: &Held) -> String {
        let place = held.directory.parent().unwrap();
        place.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn who_shares_shares_and_others_are_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pool = dir.path();
        let take = |sharing| take(pool, &wanted(sharing, pool)).unwrap();
        let first = take(Sharing::Shared);
        let second = take(Sharing::Shared);
        let third = take(Sharing::Private);
        let numbers = [&first, &second, &third].map(number);
        assert_eq!(numbers, ["0", "0", "1"]);
        drop((first, second));
        assert_eq!(number(&take(Sharing::Locked)), "0");
        let mode = fs::metadata(third.directory).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o750);
    }

    #[test]
    fn who_locks_waits() {
        let dir = tempfile::tempdir().unwrap();
        let pool = dir.path().to_owned();
        let held = take(&pool, &wanted(Sharing::Locked, &pool)).unwrap();
        fs::write(held.directory.join("turn"), "first").unwrap();
        let (began, begins) = std::sync::mpsc::channel();
        let other = thread::spawn(move || {
            began.send(()).unwrap();
            let held = take(&pool, &wanted(Sharing::Locked, &pool)).unwrap();
            fs::read_to_string(held.directory.join("turn")).unwrap()
        });
        begins.recv().unwrap();
        fs::write(held.directory.join("turn"), "second").unwrap();
        drop(held);
        assert_eq!(other.join().unwrap(), "second");
    }

    #[test]
    fn a_build_empties_the_pool_once_and_takes_nothing_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let pool = dir.path();
        let plain = wanted(Sharing::Shared, pool);
        let fresh = |build: &str| Cache {
            fresh: build.into(),
            ..plain.clone()
        };
        fs::write(take(pool, &plain).unwrap().directory.join("old"), "").unwrap();
        let held = take(pool, &plain).unwrap();
        let other = take(pool, &fresh("b1")).unwrap();
        assert!(!other.directory.join("old").exists());
        fs::write(other.directory.join("new"), "").unwrap();
        drop(other);
        for build in ["b1", ""] {
            let again = take(pool, &fresh(build)).unwrap();
            assert!(again.directory.join("new").exists(), "{build}");
        }
        assert!(
            !take(pool, &fresh("b2"))
                .unwrap()
                .directory
                .join("new")
                .exists()
        );
        // Whoever was there before still has its own.
        assert!(fs::read_dir(pool).unwrap().flatten().any(|entry| {
            entry.file_name().to_string_lossy().starts_with("old-b1-")
                && entry.path().join("data/old").exists()
        }));
        drop(held);
    }

    #[test]
    fn what_was_brought_to_begin_with_is_used_once() {
        let dir = tempfile::tempdir().unwrap();
        let pool = dir.path();
        let seeded = Cache {
            seed: b"seed-1".to_vec(),
            ..wanted(Sharing::Shared, pool)
        };
        for content in ["one", "two"] {
            fs::create_dir(pool.join("seed-1")).unwrap();
            fs::write(pool.join("seed-1/file"), content).unwrap();
            let held = take(pool, &seeded).unwrap();
            let found = fs::read_to_string(held.directory.join("file")).unwrap();
            assert_eq!(found, "one");
            assert!(!pool.join("seed-1").exists());
        }
    }
}
