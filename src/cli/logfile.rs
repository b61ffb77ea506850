//! The file that a build's log goes to: one per build, the newest are kept.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use jiff::Timestamp;

/// How many logs are kept, this one among them.
const KEPT: usize = 50;

/// Makes the file in `directory`, and the directory. Old logs are removed.
///
/// # Errors
/// When the file cannot be made.
pub(super) fn create(directory: &Path, now: Timestamp) -> io::Result<(PathBuf, fs::File)> {
    fs::create_dir_all(directory)?;
    let time = now.strftime("%Y%m%dT%H%M%S%.3fZ");
    let path = directory.join(format!("{time}-{}.log", std::process::id()));
    let file = fs::File::create(&path)?;
    // Old logs that stay do no harm.
    let _ = remove_old(directory);
    Ok((path, file))
}

/// The names begin with the time, so their order is that of the builds.
fn remove_old(directory: &Path) -> io::Result<()> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    logs.sort();
    for old in logs.iter().rev().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("a/b");
        let time = |second: i64| Timestamp::from_second(second).unwrap();
        let (first, _) = create(&directory, time(0)).unwrap();
        let name = first.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("19700101T000000.000Z-"), "{name}");
        fs::write(directory.join("other"), "").unwrap();
        for second in 1..=60 {
            create(&directory, time(second)).unwrap();
        }
        let count = fs::read_dir(&directory).unwrap().count();
        assert_eq!(count, KEPT + 1);
        assert!(!first.exists() && directory.join("other").exists());
    }
}
