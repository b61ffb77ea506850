//! The mounts of a step: made before its command, and taken away after it together with what
//! was made only to mount on.

use std::ffi::{CString, OsStr};
use std::fs::{self, FileTimes};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::cache;
use super::directory;
use super::sys::{self, BIND, NODEV, NOEXEC, NOSUID, RDONLY, REC, REMOUNT};
use super::wire::{DATA, File, Mount, STAGE, Source};

/// Where secrets are, in memory that is never swapped out.
const MEMORY: &str = "/dev/.bowline-memory";

/// What was mounted, and what has to go away afterwards.
#[derive(Default)]
pub(crate) struct Mounted {
    targets: Vec<PathBuf>,
    /// Made on the root file system to mount on, in order.
    stubs: Vec<PathBuf>,
    /// Held as long as the command runs.
    caches: Vec<(u32, cache::Held)>,
    secrets: u32,
}

/// Makes the mounts, in order.
pub(crate) fn mount_all(mounts: &[Mount], root_device: u64) -> Result<Mounted, String> {
    let mut mounted = Mounted::default();
    for mount in mounts {
        let made = mounted.mount(mount, root_device);
        made.map_err(|error| {
            let target = String::from_utf8_lossy(&mount.target);
            format!("cannot mount {target}: {}", super::lookup::reason(&error))
        })?;
    }
    // The command sees what is mounted and nothing of where it came from. What cannot be taken
    // away is in the container's own memory or read-only.
    if mounted.secrets > 0 {
        let _ = sys::unmount(Path::new(MEMORY));
        let _ = fs::remove_dir(MEMORY);
    }
    for entry in fs::read_dir(STAGE).into_iter().flatten().flatten() {
        let _ = sys::unmount(&entry.path());
        let _ = fs::remove_dir(entry.path());
    }
    let _ = fs::remove_dir(STAGE);
    Ok(mounted)
}

impl Mounted {
    fn mount(&mut self, mount: &Mount, root_device: u64) -> io::Result<()> {
        let target = Path::new(OsStr::from_bytes(&mount.target));
        let read_only = if mount.read_only { RDONLY } else { 0 };
        match &mount.source {
            Source::Tmpfs { size } => {
                let (real, existed) = self.stub(target, true, root_device)?;
                let size = if *size > 0 {
                    format!("size={size}")
                } else {
                    String::new()
                };
                // As runc has it: the mode of what is hidden.
                let mode = existed.then(|| fs::metadata(&real)).transpose()?;
                sys::mount("tmpfs", &real, "tmpfs", NOSUID, &size)?;
                self.targets.push(real.clone());
                if let Some(mode) = mode {
                    fs::set_permissions(&real, fs::Permissions::from_mode(mode.mode() & 0o7777))?;
                }
                if read_only != 0 {
                    sys::mount("tmpfs", &real, "tmpfs", REMOUNT | RDONLY | NOSUID, &size)?;
                }
                Ok(())
            }
            Source::Secret(file) => {
                let from = self.secret(file)?;
                let exec = if file.mode & 0o111 == 0 { NOEXEC } else { 0 };
                self.bind(&from, target, RDONLY | NODEV | NOSUID | exec, root_device)
            }
            Source::Volume { number } => {
                let from = Path::new(STAGE).join(number.to_string()).join(DATA);
                self.bind(&from, target, read_only, root_device)
            }
            Source::Cache(wanted) => {
                let known = self.caches.iter().find(|(n, _)| *n == wanted.number);
                let from = match known {
                    Some((_, held)) => held.directory.clone(),
                    None => {
                        let pool = Path::new(STAGE).join(wanted.number.to_string());
                        let held = cache::take(&pool, wanted)?;
                        let from = held.directory.clone();
                        self.caches.push((wanted.number, held));
                        from
                    }
                };
                self.bind(&from, target, read_only, root_device)
            }
            Source::Path(path) => {
                let from = PathBuf::from(OsStr::from_bytes(path));
                self.bind(&from, target, read_only, root_device)
            }
        }
    }

    fn bind(&mut self, from: &Path, target: &Path, flags: u64, root: u64) -> io::Result<()> {
        let is_dir = fs::symlink_metadata(from)?.is_dir();
        let (real, _) = self.stub(target, is_dir, root)?;
        let from = from.to_string_lossy();
        sys::mount(&from, &real, "", BIND | REC, "")?;
        self.targets.push(real.clone());
        if flags != 0 {
            let kept = sys::mount_flags(&real)?;
            sys::mount("", &real, "", BIND | REMOUNT | flags | kept, "")?;
        }
        Ok(())
    }

    /// A new file in memory.
    fn secret(&mut self, file: &File) -> io::Result<PathBuf> {
        if self.secrets == 0 {
            fs::create_dir_all(MEMORY)?;
            let flags = NODEV | NOSUID;
            sys::mount("bowline", Path::new(MEMORY), "ramfs", flags, "mode=0700")?;
        }
        let path = Path::new(MEMORY).join(self.secrets.to_string());
        self.secrets += 1;
        fs::write(&path, &file.content)?;
        chown(&path, Some(file.uid), Some(file.gid))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode & 0o777))?;
        Ok(path)
    }

    /// The place to mount on, made where it is missing; whether it was there.
    fn stub(&mut self, target: &Path, is_dir: bool, root: u64) -> io::Result<(PathBuf, bool)> {
        let mut made = Vec::new();
        let parent = target.parent().unwrap_or(Path::new("/"));
        let name = target.file_name();
        let mut create = |missing: &Path| {
            make_quietly(missing, true)?;
            made.push(missing.to_owned());
            Ok(())
        };
        let real = if is_dir || name.is_none() {
            directory::walk(target, &mut create)?
        } else {
            // A link at the end leads to the file that is hidden, or made.
            let above = directory::walk(parent, &mut create)?;
            let last = above.join(name.unwrap_or_default());
            let mut last_made = Vec::new();
            let mut create_last = |missing: &Path| {
                last_made.push(missing.to_owned());
                Ok(())
            };
            let real = directory::walk(&last, &mut create_last)?;
            for path in &last_made {
                make_quietly(path, *path != real)?;
            }
            made.extend(last_made);
            real
        };
        let existed = made.last() != Some(&real);
        if fs::metadata(&real)?.is_dir() != is_dir {
            let what = if is_dir {
                "a directory cannot be mounted on a file"
            } else {
                "a file cannot be mounted on a directory"
            };
            return Err(io::Error::other(what));
        }
        let on_root = |path: &PathBuf| {
            let above = path.parent().unwrap_or(Path::new("/"));
            fs::metadata(above).is_ok_and(|data| data.dev() == root)
        };
        self.stubs.extend(made.into_iter().filter(on_root));
        Ok((real, existed))
    }

    /// Takes the mounts away, and what was made for them and is still empty. What cannot be taken
    /// away is told.
    pub(crate) fn unmount_all(self) -> Result<(), String> {
        let told = |path: &Path, error: &io::Error| {
            let reason = super::lookup::reason(error);
            format!("cannot remove {}: {reason}", path.display())
        };
        for target in self.targets.iter().rev() {
            match sys::unmount(target) {
                Ok(()) => {}
                // The command may have taken its own mountpoint away.
                Err(error) if gone(&error) => {}
                Err(error) => return Err(told(target, &error)),
            }
        }
        for stub in self.stubs.iter().rev() {
            match remove_quietly(stub) {
                Ok(()) => {}
                Err(error) if gone(&error) => {}
                Err(error) => return Err(told(stub, &error)),
            }
        }
        Ok(())
    }
}

fn gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::DirectoryNotEmpty
    )
}

/// Makes an empty directory or file whose parent does not show it.
fn make_quietly(path: &Path, is_dir: bool) -> io::Result<()> {
    keeping_times(path, || {
        if is_dir {
            fs::create_dir(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        } else {
            fs::File::create_new(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o644))
        }
    })
}

/// Removes an empty directory or file; whatever else it has become stays.
fn remove_quietly(path: &Path) -> io::Result<()> {
    let data = fs::symlink_metadata(path)?;
    if data.is_dir() {
        keeping_times(path, || fs::remove_dir(path))
    } else if data.len() == 0 {
        keeping_times(path, || fs::remove_file(path))
    } else {
        Ok(())
    }
}

fn keeping_times(path: &Path, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let data = fs::metadata(parent)?;
    let times = FileTimes::new()
        .set_accessed(data.accessed()?)
        .set_modified(data.modified()?);
    change()?;
    fs::File::open(parent)?.set_times(times)
}

pub(crate) fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}
