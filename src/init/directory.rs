//! Makes directories and files the way a builder must: links are followed to the end, what is
//! made belongs to whom it should, and nothing that is meant for a mount lands in the image.

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Makes `path` and what is missing above it, 0755 and owned by `uid` and `gid`, and gives the
/// path without links. A link that dangles gets its target made.
pub(crate) fn make(path: &Path, uid: u32, gid: u32) -> io::Result<PathBuf> {
    walk(path, &mut |missing| {
        fs::create_dir(missing)?;
        chown(missing, Some(uid), Some(gid))?;
        fs::set_permissions(missing, fs::Permissions::from_mode(0o755))
    })
}

/// Gives `path` without links; `create` makes what is missing on the way, and may make nothing.
pub(crate) fn walk(
    path: &Path,
    create: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let mut done = PathBuf::from("/");
    let mut left = parts(path);
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part.as_os_str() == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        match fs::symlink_metadata(&next) {
            Ok(data) if data.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other("too many levels of symbolic links"));
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                left.extend(parts(&target));
            }
            Ok(_) => done = next,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(&next)?;
                done = next;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes a file whose content must not stay: refuses a place on the root file system.
pub(crate) fn write(
    path: &Path,
    content: &[u8],
    mode: u32,
    (uid, gid): (u32, u32),
    root_device: u64,
) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let existing = parent.ancestors().find(|p| p.exists());
    let on_root = |p: &Path| fs::metadata(p).map(|data| data.dev() == root_device);
    if existing.is_none_or(|p| on_root(p).unwrap_or(true)) {
        return Err(io::Error::other("it would become part of the image"));
    }
    let path = make(parent, 0, 0)?.join(name);
    if on_root(path.parent().unwrap_or(&path))? {
        return Err(io::Error::other("it would become part of the image"));
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(content)?;
    chown(&path, Some(uid), Some(gid))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))
}

/// The names in a path, last first, `..` among them.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir))
        .map(|c| PathBuf::from(std::ffi::OsStr::from_bytes(c.as_os_str().as_bytes())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn me(dir: &Path) -> (u32, u32) {
        let data = fs::metadata(dir).unwrap();
        (data.uid(), data.gid())
    }

    #[test]
    fn makes_the_targets_of_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (uid, gid) = me(&root);
        symlink("there/deep", root.join("relative")).unwrap();
        symlink(root.join("absolute-target"), root.join("absolute")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (path, target) in [
            ("a/b", "a/b"),
            ("a/b", "a/b"),
            ("relative/x", "there/deep/x"),
            ("absolute", "absolute-target"),
            ("a/../c", "c"),
        ] {
            assert_eq!(make(&root.join(path), uid, gid).unwrap(), root.join(target));
            assert!(root.join(target).is_dir(), "{path}");
        }
        assert!(make(&root.join("loop/x"), uid, gid).is_err());
        fs::write(root.join("file"), "").unwrap();
        assert!(make(&root.join("file/x"), uid, gid).is_err());
    }

    #[test]
    fn writes_only_outside_the_root_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let device = fs::metadata(dir.path()).unwrap().dev();
        let path = dir.path().join("d/file");
        let owner = me(dir.path());
        let error = write(&path, b"secret", 0o640, owner, device).unwrap_err();
        assert_eq!(error.to_string(), "it would become part of the image");
        assert!(!dir.path().join("d").exists());
        if owner == (0, 0) {
            write(&path, b"secret", 0o640, owner, device + 1).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"secret");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        }
    }
}
