//! Looks for secrets in what a command has left on the root file system.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::wire::Needle;

const PIECE: usize = 256 * 1024;

/// The secrets in files that changed since `since` (seconds since 1970), each with the first
/// place it is in. Names and links count like contents.
pub(crate) fn find(needles: &[Needle], root: &Path, since: i64) -> Vec<(String, PathBuf)> {
    let search = Search::new(needles);
    let device = fs::metadata(root).map_or(0, |data| data.dev());
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        // What cannot be read by root is not in an image either.
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(data) = fs::symlink_metadata(&path) else {
                continue;
            };
            if data.is_dir() {
                if data.dev() == device {
                    todo.push(path.clone());
                } else {
                    continue;
                }
            }
            if data.ctime() < since {
                continue;
            }
            for index in search.in_entry(&path, &data) {
                if seen.insert(index) {
                    found.push((needles[index].name.clone(), path.clone()));
                }
            }
        }
    }
    found
}

/// All texts of all needles.
struct Search<'a> {
    texts: Vec<(usize, &'a [u8])>,
    /// Whether a text begins with these two bytes.
    starts: Vec<bool>,
    longest: usize,
}

impl<'a> Search<'a> {
    fn new(needles: &'a [Needle]) -> Self {
        let mut texts = Vec::new();
        let mut starts = vec![false; 1 << 16];
        for (index, needle) in needles.iter().enumerate() {
            for text in needle.texts.iter().filter(|text| text.len() > 1) {
                starts[pair(text)] = true;
                texts.push((index, text.as_slice()));
            }
        }
        let longest = texts.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
        Self {
            texts,
            starts,
            longest,
        }
    }

    fn in_entry(&self, path: &Path, data: &Metadata) -> HashSet<usize> {
        let mut found = HashSet::new();
        if let Some(name) = path.file_name() {
            self.in_bytes(name.as_bytes(), &mut found);
        }
        if data.is_symlink() {
            if let Ok(target) = fs::read_link(path) {
                self.in_bytes(target.as_os_str().as_bytes(), &mut found);
            }
        } else if data.is_file() {
            // A file that goes away meanwhile is not left.
            let _ = self.in_file(path, &mut found);
        }
        found
    }

    fn in_file(&self, path: &Path, found: &mut HashSet<usize>) -> io::Result<()> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; PIECE + self.longest];
        let mut kept = 0;
        loop {
            let got = file.read(&mut buffer[kept..])?;
            if got == 0 {
                return Ok(());
            }
            let end = kept + got;
            self.in_bytes(&buffer[..end], found);
            // A text may go on in the next piece.
            let keep = self.longest.saturating_sub(1).min(end);
            buffer.copy_within(end - keep..end, 0);
            kept = keep;
        }
    }

    fn in_bytes(&self, bytes: &[u8], found: &mut HashSet<usize>) {
        for at in 0..bytes.len().saturating_sub(1) {
            let rest = &bytes[at..];
            if self.starts[pair(rest)] {
                for (index, text) in &self.texts {
                    if rest.starts_with(text) {
                        found.insert(*index);
                    }
                }
            }
        }
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_names_and_links_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let needle = |name: &str, text: &str| Needle {
            name: name.into(),
            texts: vec![text.as_bytes().to_vec()],
        };
        let needles = ["content", "name", "link", "broken", "nowhere"]
            .map(|name| needle(name, &format!("secret-{name}")));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "x secret-content y").unwrap();
        fs::write(root.join("secret-name"), "").unwrap();
        std::os::unix::fs::symlink("/x/secret-link", root.join("l")).unwrap();
        let mut long = vec![b'.'; PIECE - 3];
        long.extend(b"secret-broken");
        fs::write(root.join("long"), &long).unwrap();
        let mut found = find(&needles, root, 0);
        found.sort();
        let at = |name: &str, path: &str| (name.to_owned(), root.join(path));
        let expected = [
            at("broken", "long"),
            at("content", "a/b/file"),
            at("link", "l"),
            at("name", "secret-name"),
        ];
        assert_eq!(found, expected);
        assert!(find(&needles, root, i64::MAX).is_empty());
    }
}
