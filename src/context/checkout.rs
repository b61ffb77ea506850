//! Files that git checked out: as they are, but with the modes that they have wherever and by
//! whomever they are checked out.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::entry::{Entry, Kind, Xattr};
use super::error::Result;
use super::ignore::IgnoreRules;
use super::tree::FileTree;
use super::walk::Context;

/// A directory of ours, which goes away with this.
pub struct Checkout {
    files: Context,
    _folder: TempDir,
}

impl Checkout {
    /// The files below `root`, somewhere in `folder`; `place` is what messages call them.
    pub fn open(folder: TempDir, root: &Path, place: impl Into<String>) -> Result<Self> {
        Ok(Self {
            files: Context::open(root, IgnoreRules::default())?.called(place),
            _folder: folder,
        })
    }
}

/// What a file's mode is with the usual umask: its owner may write, everybody may do the rest.
fn usual(mode: u32) -> u32 {
    let others = mode & 0o500;
    mode & 0o700 | others >> 3 | others >> 6
}

fn with_usual_mode(entry: Arc<Entry>) -> Arc<Entry> {
    if matches!(entry.kind, Kind::Symlink(_)) || usual(entry.mode) == entry.mode {
        return entry;
    }
    let mut changed = Entry::clone(&entry);
    changed.mode = usual(entry.mode);
    Arc::new(changed)
}

impl FileTree for Checkout {
    fn place(&self) -> &str {
        self.files.place()
    }

    fn lstat(&self, path: &str) -> Result<Option<Arc<Entry>>> {
        Ok(self.files.lstat(path)?.map(with_usual_mode))
    }

    fn list(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        let list = self.files.list(dir)?;
        Ok(list.into_iter().map(with_usual_mode).collect())
    }

    fn below(&self, dir: &str) -> Result<Vec<Arc<Entry>>> {
        let all = self.files.below(dir)?;
        Ok(all.into_iter().map(with_usual_mode).collect())
    }

    fn xattrs(&self, _entry: &Entry) -> Result<Vec<Xattr>> {
        Ok(Vec::new())
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        self.files.open(entry)
    }

    fn check(&self, entry: &Entry) -> Result<()> {
        self.files.check(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::usual;

    #[test]
    fn a_tight_umask_does_not_count() {
        for (mode, expected) in [
            (0o600, 0o644),
            (0o700, 0o755),
            (0o664, 0o644),
            (0o444, 0o444),
            (0o755, 0o755),
        ] {
            assert_eq!(usual(mode), expected, "{mode:o}");
        }
    }
}
